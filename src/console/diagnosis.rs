//! Classifies the bytes that a link returns after an empty line, to diagnose its wiring and settings.

use std::fmt;

use crate::console::framing::prompt::Prompt;
use crate::console::framing::{FrameStatus, Framer};

/// The response to an empty line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LinkResponse {
    Silence,
    /// The other side closed the link without sending anything.
    Closed,
    Prompt(Prompt),
    /// The last line of a text that does not end with a known prompt.
    Text(String),
    /// Frames of the inverter's socket: `~20…` in hexadecimal digits.
    InverterSocket,
    /// A bridge that negotiates telnet.
    Telnet,
    /// Bytes that are not text: the wrong speed, the wrong voltage levels or the wrong socket.
    Noise {
        bytes: usize,
        readable: usize,
    },
}

/// Minimum share of readable bytes in a text.
const READABLE: f64 = 0.9;

impl LinkResponse {
    #[must_use]
    pub(crate) fn classify(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::Silence;
        }
        if let FrameStatus::Complete(answer) = Framer::new("").push(bytes)
            && let Some(prompt) = answer.prompt
        {
            return Self::Prompt(prompt);
        }
        if is_telnet(bytes) {
            return Self::Telnet;
        }
        if is_inverter_frame(bytes) {
            return Self::InverterSocket;
        }
        let readable = bytes.iter().filter(|byte| is_readable(**byte)).count();
        if (readable as f64) < READABLE * bytes.len() as f64 {
            return Self::Noise { bytes: bytes.len(), readable };
        }
        let text: String =
            bytes.iter().filter(|byte| is_readable(**byte)).map(|byte| char::from(*byte)).collect();
        let last = text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("");
        Self::Text(last.chars().take(60).collect())
    }
}

impl fmt::Display for LinkResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence => f.write_str("silence"),
            Self::Closed => f.write_str("closed by the other side"),
            Self::Prompt(prompt) => write!(f, "the prompt {prompt}"),
            Self::Text(text) => write!(f, "text that does not end with a known prompt: {text:?}"),
            Self::InverterSocket => {
                f.write_str("frames like ~20…: this is the inverter's RS485 socket, not the console's")
            }
            Self::Telnet => f.write_str("telnet negotiation: the bridge is not set to raw"),
            Self::Noise { bytes, readable } => {
                write!(f, "noise: {bytes} bytes, of which {readable} could be text")
            }
        }
    }
}

fn is_readable(byte: u8) -> bool {
    byte.is_ascii_graphic() || matches!(byte, b' ' | b'\r' | b'\n' | b'\t')
}

/// Starts with an escape, a verb (251 to 254) and one of the usual options.
fn is_telnet(bytes: &[u8]) -> bool {
    matches!(bytes, [255, 251..=254, 0..=44, ..])
}

fn is_inverter_frame(bytes: &[u8]) -> bool {
    let frame = bytes.iter().position(|byte| *byte == b'~').map(|at| &bytes[at + 1..]);
    frame.is_some_and(|frame| frame.len() >= 12 && frame.iter().take(12).all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_classified() {
        assert_eq!(LinkResponse::classify(b""), LinkResponse::Silence);
        assert_eq!(LinkResponse::classify(b"\n\rPYTES>"), LinkResponse::Prompt(Prompt::Pytes));
        assert_eq!(LinkResponse::classify(b"\r\nlogin: "), LinkResponse::Text("login:".into()));
        assert_eq!(LinkResponse::classify(b"~20024642E00202FD33\r"), LinkResponse::InverterSocket);
        assert_eq!(LinkResponse::classify(&[255, 251, 1, 255, 251, 3]), LinkResponse::Telnet);
        assert_eq!(
            LinkResponse::classify(&[0xfe, 0x80, 0, 0x7c, 0x9c]),
            LinkResponse::Noise { bytes: 5, readable: 1 }
        );
    }
}
