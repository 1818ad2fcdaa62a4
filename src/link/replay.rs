//! A recording instead of a console: each command gets its next recorded answer, cyclically, so that a short
//! recording can be read forever.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::console::framing::prompt::Prompt;
use crate::console::framing::recorded;
use crate::link::{LinkError, Transport};

/// Larger files are not recordings.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Opens the recording in `file`.
pub(super) fn open(file: &Path) -> Result<Replay, LinkError> {
    let recording = read(file).map_err(|error| LinkError::InvalidRecording {
        what: format!("replay:{}", file.display()),
        reason: error.to_string(),
    })?;
    Ok(Replay::new(recorded::decode_text(&recording).into_owned()))
}

/// A device or pipe may be endless or never send anything, so only a regular file is read, up to the size limit.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut recording = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut recording)?;
    if recording.len() as u64 > MAX_BYTES {
        let mebibytes = MAX_BYTES / 1024 / 1024;
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {mebibytes} MiB"),
        ));
    }
    Ok(recording)
}

/// An open recording.
pub(super) struct Replay {
    recording: Vec<u8>,
    /// The answers to each command, in order.
    answers: HashMap<Vec<u8>, Vec<ReplayedAnswer>>,
    /// How many answers to each command were sent.
    sent: HashMap<Vec<u8>, usize>,
    input: Vec<u8>,
    output: VecDeque<u8>,
    reader: Option<Waker>,
}

/// One recorded answer.
struct ReplayedAnswer {
    /// Where it is in the recording, from its echo on.
    bytes: Range<usize>,
    /// What a console sends after the answer: the end mark, if a complete answer lost it in the recording, and the
    /// prompt.
    end: Vec<u8>,
}

impl Replay {
    fn new(recording: Vec<u8>) -> Self {
        let mut answers: HashMap<Vec<u8>, Vec<ReplayedAnswer>> = HashMap::new();
        recorded::for_each_answer(&recording, |recorded| {
            let Some(command) = &recorded.answer.echo else { return };
            let lost = recorded.is_complete() && !recorded.answer.has_end_mark;
            let prompt = recorded.answer.prompt.unwrap_or(Prompt::Pylon);
            let end = ["\r\n\r", if lost { "$$\r\n\r" } else { "" }, prompt.text()].concat().into_bytes();
            let answer = ReplayedAnswer { bytes: recorded.bytes.clone(), end };
            answers.entry(command.clone().into_bytes()).or_default().push(answer);
        });
        let (sent, input, output) = (HashMap::new(), Vec::new(), VecDeque::new());
        Self { recording, answers, sent, input, output, reader: None }
    }

    fn answer(&mut self, command: &[u8]) {
        match self.answers.get(command) {
            Some(answers) => {
                let sent = self.sent.entry(command.to_vec()).or_default();
                let ReplayedAnswer { bytes, end } = &answers[*sent % answers.len()];
                *sent += 1;
                self.output.extend(&self.recording[bytes.clone()]);
                self.output.extend(end);
            }
            None if command.is_empty() => self.output.extend(b"\n\rpylon>"),
            None => {
                let error = [
                    command,
                    b"\n\r@\r\r\nUnknown command '",
                    command,
                    b"' - try 'help'\r\n\r$$\r\n\rpylon>",
                ];
                self.output.extend(error.concat());
            }
        }
        self.reader.take().into_iter().for_each(Waker::wake);
    }
}

impl Transport for Replay {}

impl AsyncRead for Replay {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.output.is_empty() {
            this.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let (ready, _) = this.output.as_slices();
        let taken = ready.len().min(buffer.remaining());
        buffer.put_slice(&ready[..taken]);
        this.output.drain(..taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replay {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        for byte in bytes {
            if matches!(byte, b'\r' | b'\n') {
                let command = std::mem::take(&mut this.input);
                this.answer(&command);
            } else {
                this.input.push(*byte);
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_invalid_recordings() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = folder.path().join("missing");
        for (path, reason) in [
            (missing.as_path(), "No such file"),
            (folder.path(), "it is not a regular file"),
            (Path::new("/dev/zero"), "it is not a regular file"),
        ] {
            let Err(error) = open(path) else { panic!("{} is a recording", path.display()) };
            let message = error.to_string();
            assert!(message.starts_with(&format!("cannot replay replay:{}: ", path.display())), "{message}");
            assert!(message.contains(reason) && message.contains("recorded answers"), "{message}");
            assert!(!message.contains("adapter"), "{message}");
        }
    }
}
