//! A network bridge whose serial port the client sets: telnet with the COM-PORT-OPTION (RFC 2217), the server's
//! side of it.

use std::io;
use std::time::Duration;

use super::line::{Line, Tcp};
use super::speed;

/// Interpret as command: begins every escape; doubled it is a data byte.
const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;
const COM_PORT: u8 = 44;
/// Binary data, echo, no go-ahead, the port's settings.
const SPOKEN: [u8; 4] = [0, 1, 3, COM_PORT];
/// The command that sets the speed; an answer's number is higher by the other.
const SET_BAUDRATE: u8 = 1;
const ANSWER: u8 = 100;

/// The bridge.
pub(super) struct Rfc2217 {
    tcp: Tcp,
    clients: u64,
    speed: u32,
    /// Data that came with the negotiation and was not asked for yet.
    typed: Vec<u8>,
    state: State,
}

#[derive(Default)]
enum State {
    #[default]
    Data,
    Escape,
    Option(u8),
    Said(Vec<u8>),
    SaidEscape(Vec<u8>),
}

impl Rfc2217 {
    /// Listens on `address`; port 0 takes any free one and keeps it.
    pub(crate) fn listen(address: &str) -> io::Result<Self> {
        let tcp = Tcp::listen(address)?;
        Ok(Self { tcp, clients: 0, speed: speed::CONSOLE, typed: Vec::new(), state: State::Data })
    }

    /// Takes what comes in apart. What came in one go with a change of speed is typed at the new one: a client that
    /// does not wait for its bytes to be on their way spoils them.
    fn take(&mut self, patience: Duration) -> io::Result<()> {
        let raw = self.tcp.hear(patience)?;
        if self.clients != self.tcp.clients() {
            self.clients = self.tcp.clients();
            self.state = State::Data;
            self.typed.clear();
            self.speed = speed::CONSOLE;
        }
        for byte in raw {
            self.state = match (std::mem::take(&mut self.state), byte) {
                (State::Data, IAC) => State::Escape,
                (State::Escape, IAC) | (State::Data, _) => {
                    self.typed.push(byte);
                    State::Data
                }
                (State::Escape, SB) => State::Said(Vec::new()),
                (State::Escape, WILL..=DONT) => State::Option(byte),
                (State::Option(verb), option) => {
                    self.agree(verb, option)?;
                    State::Data
                }
                (State::Said(said), IAC) => State::SaidEscape(said),
                (State::Said(said), _) | (State::SaidEscape(said), IAC) => {
                    State::Said([said, vec![byte]].concat())
                }
                (State::SaidEscape(said), SE) => {
                    self.set(&said)?;
                    State::Data
                }
                (State::Escape | State::SaidEscape(_), _) => State::Data,
            };
        }
        Ok(())
    }

    /// Only the client asks, so every request is answered and no answer begets another.
    fn agree(&mut self, verb: u8, option: u8) -> io::Result<()> {
        let spoken = SPOKEN.contains(&option);
        let answer = match verb {
            WILL if spoken => DO,
            WILL => DONT,
            DO if spoken => WILL,
            DO => WONT,
            _ => return Ok(()),
        };
        self.tcp.say(&[IAC, answer, option])
    }

    /// A setting is answered with the value that is now in force; asking for the speed zero is a question.
    fn set(&mut self, said: &[u8]) -> io::Result<()> {
        let [COM_PORT, command, value @ ..] = said else { return Ok(()) };
        let mut value = value.to_vec();
        if let (SET_BAUDRATE, Ok(speed)) = (*command, <[u8; 4]>::try_from(value.as_slice())) {
            self.speed = Some(u32::from_be_bytes(speed)).filter(|speed| *speed > 0).unwrap_or(self.speed);
            value = self.speed.to_be_bytes().to_vec();
        }
        let answer = [&[IAC, SB, COM_PORT, command.wrapping_add(ANSWER)], &*doubled(&value), &[IAC, SE]];
        self.tcp.say(&answer.concat())
    }
}

impl Line for Rfc2217 {
    fn hear(&mut self, patience: Duration) -> io::Result<Vec<u8>> {
        if self.typed.is_empty() {
            self.take(patience)?;
        }
        Ok(std::mem::take(&mut self.typed))
    }

    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tcp.say(&doubled(bytes))
    }

    fn speed(&mut self) -> Option<u32> {
        // The news of a change may be waiting behind what was heard last.
        let _in_trouble = self.take(Duration::ZERO);
        Some(self.speed)
    }

    fn unplug(&mut self) {
        self.tcp.unplug();
    }

    fn plug(&mut self) -> io::Result<()> {
        self.tcp.plug()
    }

    fn link(&self) -> String {
        self.tcp.link().replacen("tcp", "rfc2217", 1)
    }
}

fn doubled(bytes: &[u8]) -> Vec<u8> {
    let twice = |byte: &u8| std::iter::repeat_n(*byte, if *byte == IAC { 2 } else { 1 });
    bytes.iter().flat_map(twice).collect()
}
