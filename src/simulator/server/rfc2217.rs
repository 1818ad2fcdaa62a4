//! A simulated network bridge whose serial port the client configures: the server side of RFC 2217.

use std::io;
use std::time::Duration;

use crate::simulator::server::line_speed;
use crate::simulator::server::transport::{ServerTransport, TcpServer};

/// Interpret As Command: starts every escape; doubled, it is a data byte.
const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;
const COM_PORT: u8 = 44;
/// Binary data, echo, suppress go-ahead, COM-PORT-OPTION.
const SUPPORTED: [u8; 4] = [0, 1, 3, COM_PORT];
const SET_BAUDRATE: u8 = 1;
/// Added to the number of a command in its answer.
const ANSWER_OFFSET: u8 = 100;

pub(crate) struct Rfc2217Server {
    tcp: TcpServer,
    client_count: u64,
    baud: u32,
    /// Decoded data not read yet.
    typed: Vec<u8>,
    state: TelnetState,
}

#[derive(Default)]
enum TelnetState {
    #[default]
    Data,
    Escape,
    Option(u8),
    Subnegotiation(Vec<u8>),
    SubnegotiationEscape(Vec<u8>),
}

impl Rfc2217Server {
    /// Listens on `address`; port 0 takes any free port and keeps it.
    pub(crate) fn listen(address: &str) -> io::Result<Self> {
        let tcp = TcpServer::listen(address)?;
        Ok(Self {
            tcp,
            client_count: 0,
            baud: line_speed::CONSOLE_BAUD,
            typed: Vec::new(),
            state: TelnetState::Data,
        })
    }

    /// Decodes the received bytes. Data received together with a change of the baud rate counts as sent at the new
    /// rate: a client must wait until its bytes are sent.
    fn decode(&mut self, timeout: Duration) -> io::Result<()> {
        let raw = self.tcp.read(timeout)?;
        if self.client_count != self.tcp.client_count() {
            self.client_count = self.tcp.client_count();
            self.state = TelnetState::Data;
            self.typed.clear();
            self.baud = line_speed::CONSOLE_BAUD;
        }
        for byte in raw {
            self.state = match (std::mem::take(&mut self.state), byte) {
                (TelnetState::Data, IAC) => TelnetState::Escape,
                (TelnetState::Escape, IAC) | (TelnetState::Data, _) => {
                    self.typed.push(byte);
                    TelnetState::Data
                }
                (TelnetState::Escape, SB) => TelnetState::Subnegotiation(Vec::new()),
                (TelnetState::Escape, WILL..=DONT) => TelnetState::Option(byte),
                (TelnetState::Option(verb), option) => {
                    self.negotiate(verb, option)?;
                    TelnetState::Data
                }
                (TelnetState::Subnegotiation(content), IAC) => TelnetState::SubnegotiationEscape(content),
                (TelnetState::Subnegotiation(content), _)
                | (TelnetState::SubnegotiationEscape(content), IAC) => {
                    TelnetState::Subnegotiation([content, vec![byte]].concat())
                }
                (TelnetState::SubnegotiationEscape(content), SE) => {
                    self.apply_setting(&content)?;
                    TelnetState::Data
                }
                (TelnetState::Escape | TelnetState::SubnegotiationEscape(_), _) => TelnetState::Data,
            };
        }
        Ok(())
    }

    /// Only the client sends requests, so every request is answered without creating a loop.
    fn negotiate(&mut self, verb: u8, option: u8) -> io::Result<()> {
        let supported = SUPPORTED.contains(&option);
        let answer = match verb {
            WILL if supported => DO,
            WILL => DONT,
            DO if supported => WILL,
            DO => WONT,
            _ => return Ok(()),
        };
        self.tcp.write(&[IAC, answer, option])
    }

    /// Answers a setting with the value now in effect; a baud rate of zero only queries it.
    fn apply_setting(&mut self, content: &[u8]) -> io::Result<()> {
        let [COM_PORT, command, value @ ..] = content else { return Ok(()) };
        let mut value = value.to_vec();
        if let (SET_BAUDRATE, Ok(baud)) = (*command, <[u8; 4]>::try_from(value.as_slice())) {
            self.baud = Some(u32::from_be_bytes(baud)).filter(|baud| *baud > 0).unwrap_or(self.baud);
            value = self.baud.to_be_bytes().to_vec();
        }
        let answer =
            [&[IAC, SB, COM_PORT, command.wrapping_add(ANSWER_OFFSET)], &*escape(&value), &[IAC, SE]];
        self.tcp.write(&answer.concat())
    }
}

impl ServerTransport for Rfc2217Server {
    fn read(&mut self, timeout: Duration) -> io::Result<Vec<u8>> {
        if self.typed.is_empty() {
            self.decode(timeout)?;
        }
        Ok(std::mem::take(&mut self.typed))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tcp.write(&escape(bytes))
    }

    fn baud(&mut self) -> Option<u32> {
        // A change may be waiting behind the data read last.
        let _ignored = self.decode(Duration::ZERO);
        Some(self.baud)
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

fn escape(bytes: &[u8]) -> Vec<u8> {
    let twice = |byte: &u8| std::iter::repeat_n(*byte, if *byte == IAC { 2 } else { 1 });
    bytes.iter().flat_map(twice).collect()
}
