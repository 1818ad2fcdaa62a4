//! Telnet's escapes and negotiation as far as serial bridges use them (RFC 854, RFC 2217). Pure: bytes in, data
//! and replies out.

/// Interpret as command: begins every escape; doubled it is a data byte.
const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;

/// Eight bits to a byte, both ways.
const BINARY: u8 = 0;
/// No go-ahead, both ways.
const SUPPRESS_GO_AHEAD: u8 = 3;
/// The serial port's settings (RFC 2217).
const COM_PORT: u8 = 44;

/// A subnegotiation longer than this is none.
const MOST_SUBNEGOTIATION: usize = 256;

/// What a client may set of the port, by the number of its command in RFC 2217.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// Bits a second.
    Speed(u32),
    /// Data bits.
    DataSize(u8),
    /// 1 is none.
    Parity(u8),
    /// Stop bits.
    StopSize(u8),
    /// 1 no flow control, 8 and 9 DTR on and off, 11 and 12 RTS on and off.
    Control(u8),
}

impl Set {
    /// As it goes over the wire.
    pub(super) fn bytes(self) -> Vec<u8> {
        let (command, value): (u8, Vec<u8>) = match self {
            Self::Speed(baud) => (1, baud.to_be_bytes().to_vec()),
            Self::DataSize(bits) => (2, vec![bits]),
            Self::Parity(parity) => (3, vec![parity]),
            Self::StopSize(bits) => (4, vec![bits]),
            Self::Control(control) => (5, vec![control]),
        };
        [&[IAC, SB, COM_PORT, command], escape(&value).as_slice(), &[IAC, SE]].concat()
    }
}

/// What a client says first: it wants binary data and the port's settings.
pub(super) const GREETING: &[u8] = &[
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

/// Data with its escape bytes doubled.
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

/// What came in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// The console's bytes.
    pub(crate) data: Vec<u8>,
    /// What must be answered.
    pub(crate) reply: Vec<u8>,
    /// The other side will not let the port's settings be changed.
    pub(crate) refused: bool,
}

/// Takes telnet apart, wherever it was cut.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Data,
    Escape,
    Option(u8),
    Subnegotiation(Vec<u8>),
    SubnegotiationEscape(Vec<u8>),
}

impl Decoder {
    /// Takes the next bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Heard {
        let mut heard = Heard::default();
        for byte in bytes {
            self.state = match (std::mem::take(&mut self.state), *byte) {
                (State::Data, IAC) => State::Escape,
                (State::Data, data) => {
                    heard.data.push(data);
                    State::Data
                }
                (State::Escape, IAC) => {
                    heard.data.push(IAC);
                    State::Data
                }
                (State::Escape, SB) => State::Subnegotiation(Vec::new()),
                (State::Escape, verb @ WILL..=DONT) => State::Option(verb),
                (State::Escape, _) => State::Data,
                (State::Option(verb), option) => {
                    negotiate(verb, option, &mut heard);
                    State::Data
                }
                (State::Subnegotiation(said), IAC) => State::SubnegotiationEscape(said),
                (State::Subnegotiation(mut said), byte) => {
                    said.push(byte);
                    if said.len() > MOST_SUBNEGOTIATION { State::Data } else { State::Subnegotiation(said) }
                }
                (State::SubnegotiationEscape(mut said), IAC) => {
                    said.push(IAC);
                    State::Subnegotiation(said)
                }
                // Answers to what was set, and news of the line's state: the console's silence tells more.
                (State::SubnegotiationEscape(_), _) => State::Data,
            };
        }
        heard
    }
}

/// What we asked for is not answered again, so that no two sides answer one another for ever; what we never want
/// is refused.
fn negotiate(verb: u8, option: u8, heard: &mut Heard) {
    let wanted = matches!(option, BINARY | SUPPRESS_GO_AHEAD | COM_PORT);
    match verb {
        DO if !wanted => heard.reply.extend([IAC, WONT, option]),
        WILL if !wanted => heard.reply.extend([IAC, DONT, option]),
        DONT if option == COM_PORT => heard.refused = true,
        _ => {}
    }
}

/// Whether `bytes`, the first of a connection that should carry nothing but the console, negotiate telnet.
pub(super) fn is_negotiation(bytes: &[u8]) -> bool {
    matches!(bytes, [IAC, WILL..=DONT, option, ..] if *option <= COM_PORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_passes_wherever_the_stream_is_cut() {
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
            let (head, tail) = (decoder.take(head), decoder.take(tail));
            assert_eq!([head.data, tail.data].concat(), b"pyl\xffon>", "cut at {cut}");
            assert_eq!([head.reply, tail.reply].concat(), [IAC, DONT, 1]);
        }
    }

    #[test]
    fn a_speed_with_an_escape_byte_in_it_is_doubled() {
        assert_eq!(Set::Speed(0x00ff_1200).bytes(), [IAC, SB, 44, 1, 0, 255, 255, 0x12, 0, IAC, SE]);
    }

    #[test]
    fn what_was_asked_for_is_not_answered_and_a_refusal_is_told() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.take(&[IAC, DO, COM_PORT, IAC, WILL, BINARY]), Heard::default());
        assert!(decoder.take(&[IAC, DONT, COM_PORT]).refused);
    }

    #[test]
    fn a_bridge_in_telnet_mode_is_known_by_its_first_bytes() {
        assert!(is_negotiation(&[IAC, WILL, 1, IAC, WILL, 3]));
        assert!(!is_negotiation(b"\xff\xfepylon>"));
        assert!(!is_negotiation(b"pylon>"));
    }
}
