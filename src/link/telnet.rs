//! Telnet escapes and negotiation as far as serial bridges use them (RFC 854, RFC 2217). No I/O: bytes in, data and
//! replies out.

/// Interpret As Command: starts every escape; doubled, it is a data byte.
const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;

/// Eight-bit data in both directions.
const BINARY: u8 = 0;
/// No go-ahead in either direction.
const SUPPRESS_GO_AHEAD: u8 = 3;
/// COM-PORT-OPTION: the serial port's settings (RFC 2217).
const COM_PORT: u8 = 44;

/// Longer subnegotiations are discarded.
const MAX_SUBNEGOTIATION: usize = 256;

/// A setting of the serial port that the client can change (RFC 2217).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortSetting {
    BaudRate(u32),
    DataSize(u8),
    /// 1 is none.
    Parity(u8),
    StopSize(u8),
    /// 1: no flow control; 8, 9: DTR on, off; 11, 12: RTS on, off.
    Control(u8),
}

impl PortSetting {
    /// The subnegotiation that requests this setting.
    pub(super) fn encode(self) -> Vec<u8> {
        let (command, value): (u8, Vec<u8>) = match self {
            Self::BaudRate(baud) => (1, baud.to_be_bytes().to_vec()),
            Self::DataSize(bits) => (2, vec![bits]),
            Self::Parity(parity) => (3, vec![parity]),
            Self::StopSize(bits) => (4, vec![bits]),
            Self::Control(control) => (5, vec![control]),
        };
        [&[IAC, SB, COM_PORT, command], escape(&value).as_slice(), &[IAC, SE]].concat()
    }
}

/// The client's first bytes: they request binary data and the port's settings.
pub(super) const INITIAL_NEGOTIATION: &[u8] = &[
    IAC,
    WILL,
    BINARY,
    IAC,
    DO,
    BINARY,
    IAC,
    WILL,
    SUPPRESS_GO_AHEAD,
    IAC,
    DO,
    SUPPRESS_GO_AHEAD,
    IAC,
    WILL,
    COM_PORT,
];

/// Doubles the escape bytes in `data`.
pub(super) fn escape(data: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(data.len() + 2);
    for byte in data {
        escaped.push(*byte);
        if *byte == IAC {
            escaped.push(IAC);
        }
    }
    escaped
}

/// Decoded telnet input.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decoded {
    /// The console's bytes.
    pub(crate) data: Vec<u8>,
    /// The bytes to send back.
    pub(crate) reply: Vec<u8>,
    /// The bridge refuses to change the port's settings.
    pub(crate) refused: bool,
}

/// Decodes a telnet stream that may arrive in any pieces.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    state: DecoderState,
}

#[derive(Debug, Default)]
enum DecoderState {
    #[default]
    Data,
    Escape,
    Option(u8),
    Subnegotiation(Vec<u8>),
    SubnegotiationEscape(Vec<u8>),
}

impl Decoder {
    pub(super) fn decode(&mut self, bytes: &[u8]) -> Decoded {
        let mut decoded = Decoded::default();
        for byte in bytes {
            self.state = match (std::mem::take(&mut self.state), *byte) {
                (DecoderState::Data, IAC) => DecoderState::Escape,
                (DecoderState::Data, data) => {
                    decoded.data.push(data);
                    DecoderState::Data
                }
                (DecoderState::Escape, IAC) => {
                    decoded.data.push(IAC);
                    DecoderState::Data
                }
                (DecoderState::Escape, SB) => DecoderState::Subnegotiation(Vec::new()),
                (DecoderState::Escape, verb @ WILL..=DONT) => DecoderState::Option(verb),
                (DecoderState::Escape, _) => DecoderState::Data,
                (DecoderState::Option(verb), option) => {
                    negotiate(verb, option, &mut decoded);
                    DecoderState::Data
                }
                (DecoderState::Subnegotiation(content), IAC) => DecoderState::SubnegotiationEscape(content),
                (DecoderState::Subnegotiation(mut content), byte) => {
                    content.push(byte);
                    if content.len() > MAX_SUBNEGOTIATION {
                        DecoderState::Data
                    } else {
                        DecoderState::Subnegotiation(content)
                    }
                }
                (DecoderState::SubnegotiationEscape(mut content), IAC) => {
                    content.push(IAC);
                    DecoderState::Subnegotiation(content)
                }
                // Confirmed settings and line states need no reaction: a broken line shows as a silent console.
                (DecoderState::SubnegotiationEscape(_), _) => DecoderState::Data,
            };
        }
        decoded
    }
}

/// Replies only to options that were not requested, by refusing them, so that the two sides can't answer each other
/// forever.
fn negotiate(verb: u8, option: u8, decoded: &mut Decoded) {
    let wanted = matches!(option, BINARY | SUPPRESS_GO_AHEAD | COM_PORT);
    match verb {
        DO if !wanted => decoded.reply.extend([IAC, WONT, option]),
        WILL if !wanted => decoded.reply.extend([IAC, DONT, option]),
        DONT if option == COM_PORT => decoded.refused = true,
        _ => {}
    }
}

/// Whether the first bytes of a raw connection are telnet negotiation.
pub(super) fn is_negotiation(bytes: &[u8]) -> bool {
    matches!(bytes, [IAC, WILL..=DONT, option, ..] if *option <= COM_PORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_may_be_split_anywhere() {
        let stream = [
            b"pyl".as_slice(),
            &[IAC, IAC],
            b"on",
            &[IAC, SB, COM_PORT, 101, 0, IAC, SE],
            b">",
            &[IAC, WILL, 1],
        ];
        let stream = stream.concat();
        for cut in 0..=stream.len() {
            let mut decoder = Decoder::default();
            let (head, tail) = stream.split_at(cut);
            let (head, tail) = (decoder.decode(head), decoder.decode(tail));
            assert_eq!([head.data, tail.data].concat(), b"pyl\xffon>", "cut at {cut}");
            assert_eq!([head.reply, tail.reply].concat(), [IAC, DONT, 1]);
        }
    }

    #[test]
    fn escape_byte_in_a_baud_rate_is_doubled() {
        assert_eq!(
            PortSetting::BaudRate(0x00ff_1200).encode(),
            [IAC, SB, 44, 1, 0, 255, 255, 0x12, 0, IAC, SE]
        );
    }

    #[test]
    fn requested_options_are_not_answered_and_a_refusal_is_reported() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(&[IAC, DO, COM_PORT, IAC, WILL, BINARY]), Decoded::default());
        assert!(decoder.decode(&[IAC, DONT, COM_PORT]).refused);
    }

    #[test]
    fn telnet_mode_is_recognized_by_the_first_bytes() {
        assert!(is_negotiation(&[IAC, WILL, 1, IAC, WILL, 3]));
        assert!(!is_negotiation(b"\xff\xfepylon>"));
        assert!(!is_negotiation(b"pylon>"));
    }
}
