//! Why an attempt to connect failed: most reasons are one and the same to the library. So the way is gone once
//! more, step by step, on a connection of its own that is closed again: name, address, TLS, the broker's answer.
//!
//! The broker is asked as nobody in particular, with no client id and no password: that it is one shows in its
//! answer, whatever that is.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use humantime::format_duration;

use crate::settings::{MqttSettings, MqttVersion};

use crate::mqtt::client::error::{Refusal, RefusalKind as Kind};
use crate::mqtt::client::reason_code::version;
use crate::mqtt::client::tls;
use crate::mqtt::client::tls_probe;

/// Of what is no broker, so much is shown.
const SHOWN: usize = 40;

/// The first byte of a broker's answer to who wants to come in.
const CONNACK: u8 = 0x20;

/// Where an answer to who wants to come in has its code.
const CODE_AT: usize = 3;

/// The codes of "not this version", before and since MQTT 5.
const NOT_THIS_VERSION: [u8; 2] = [0x01, 0x84];

/// The first byte of what TLS says to who does not speak it.
const TLS_ALERT: u8 = 0x15;

/// With TLS 1.3 a broker judges our certificate after the handshake, and what it says of it would be lost were
/// we talking. So it may speak first for so long.
const BROKER_FIRST: Duration = Duration::from_millis(300);

/// Looks for the reason. Blocks, each of its few steps no longer than `within`.
pub(super) fn of(settings: &MqttSettings, within: Duration) -> Refusal {
    let found = Probe::to(settings, within).and_then(|probe| probe.judge());
    found.err().unwrap_or_else(|| {
        let sentence = format!(
            "the broker at {} closed the connection before it let us in, and answers now: its log says why",
            settings.url
        );
        Refusal::new(Kind::Lost, sentence)
    })
}

/// The way to the broker, gone once more.
struct Probe<'a> {
    settings: &'a MqttSettings,
    within: Duration,
    address: SocketAddr,
}

impl<'a> Probe<'a> {
    fn to(settings: &'a MqttSettings, within: Duration) -> Result<Self, Refusal> {
        let host = settings.url.host.as_str();
        let unknown = |why: String| {
            let sentence =
                format!("the host name {host:?} is not known ({why}): check [mqtt] url and the name server");
            Refusal::new(Kind::UnknownHost, sentence)
        };
        let found =
            (host, settings.url.port).to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
        let found: Vec<SocketAddr> = found.collect();
        // The one that the library takes.
        let address = found.iter().find(|address| address.is_ipv4()).or(found.last());
        let address = *address.ok_or_else(|| unknown("it has no address".to_owned()))?;
        Ok(Self { settings, within, address })
    }

    /// Says why we can't get in, if we can't.
    fn judge(&self) -> Result<(), Refusal> {
        let (url, ours) = (&self.settings.url, self.settings.version);
        let other = match ours {
            MqttVersion::V5 => MqttVersion::V311,
            MqttVersion::V311 => MqttVersion::V5,
        };
        let no_broker = |what: String| Err(Refusal::new(Kind::NoBroker, what));
        match self.ask(ours)? {
            Answer::Broker(code) if NOT_THIS_VERSION.contains(&code) => self.not_this_version(),
            Answer::Broker(_) => Ok(()),
            Answer::Silence => Err(Refusal::silent(self.settings, self.within)),
            Answer::Other(bytes) => no_broker(format!(
                "what listens at {url} is no MQTT broker: it says \"{}\"; check host and port in [mqtt] url",
                bytes[..bytes.len().min(SHOWN)].escape_ascii()
            )),
            Answer::Closed(_) => match self.ask(other)? {
                Answer::Broker(code) if !NOT_THIS_VERSION.contains(&code) => self.not_this_version(),
                _ => no_broker(format!(
                    "{url} closes the connection without a word: is that a broker, and does it take one more \
                     client? Its log says why"
                )),
            },
        }
    }

    fn not_this_version(&self) -> Result<(), Refusal> {
        Err(Refusal::new(Kind::Version, version(self.settings.version)))
    }

    /// Asks to be let in.
    fn ask(&self, version: MqttVersion) -> Result<Answer, Refusal> {
        if self.settings.url.tls { self.ask_through_tls(version) } else { self.ask_plainly(version) }
    }

    fn ask_plainly(&self, version: MqttVersion) -> Result<Answer, Refusal> {
        let url = &self.settings.url;
        let answer = knock(&mut self.connect()?, version);
        let may_be_tls = match &answer {
            Answer::Closed(_) => true,
            Answer::Other(bytes) => bytes.first() == Some(&TLS_ALERT),
            Answer::Broker(_) | Answer::Silence => false,
        };
        if may_be_tls && tls_probe::is_spoken(&url.host, self.connect()?) {
            let sentence =
                format!("{url} expects TLS: write mqtts:// in [mqtt] url, or its port without TLS");
            return Err(Refusal::new(Kind::TlsExpected, sentence));
        }
        Ok(answer)
    }

    fn ask_through_tls(&self, version: MqttVersion) -> Result<Answer, Refusal> {
        let url = &self.settings.url;
        let connector = tls::connector(self.settings)?;
        let shaken = tls_probe::shake_hands(&connector, self.settings, self.connect()?);
        let mut stream = shaken.map_err(|failed| {
            let is_plain = failed.may_be_plain
                && self
                    .connect()
                    .is_ok_and(|mut stream| matches!(knock(&mut stream, version), Answer::Broker(_)));
            if !is_plain {
                return failed.refusal;
            }
            let sentence =
                format!("{url} does not speak TLS: write mqtt:// in [mqtt] url, or its port for TLS");
            Refusal::new(Kind::PlainExpected, sentence)
        })?;
        self.wait(stream.get_ref(), self.within.min(BROKER_FIRST))?;
        let answer = match hear(&mut stream) {
            Answer::Silence => {
                self.wait(stream.get_ref(), self.within)?;
                knock(&mut stream, version)
            }
            first => first,
        };
        match &answer {
            Answer::Closed(Some(error)) => tls_probe::of_alert(error, self.settings).map_or(Ok(answer), Err),
            _ => Ok(answer),
        }
    }

    fn connect(&self) -> Result<TcpStream, Refusal> {
        let stream = TcpStream::connect_timeout(&self.address, self.within)
            .map_err(|error| self.unreachable(&error))?;
        self.wait(&stream, self.within)?;
        Ok(stream)
    }

    fn wait(&self, stream: &TcpStream, within: Duration) -> Result<(), Refusal> {
        let set = stream.set_read_timeout(Some(within)).and_then(|()| stream.set_write_timeout(Some(within)));
        set.map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &io::Error) -> Refusal {
        let (url, host) = (&self.settings.url, &self.settings.url.host);
        match error.kind() {
            ErrorKind::ConnectionRefused => Refusal::new(
                Kind::ConnectionRefused,
                format!(
                    "connection refused: nothing listens at {url}; is the broker running, and is that its port?"
                ),
            ),
            ErrorKind::TimedOut => Refusal::new(
                Kind::Unreachable,
                format!(
                    "{host} does not answer within {}: check the address in [mqtt] url, the network and the \
                     firewall",
                    format_duration(self.within)
                ),
            ),
            _ => Refusal::new(
                Kind::Unreachable,
                format!("no way to {host} ({error}): check the address in [mqtt] url and the network"),
            ),
        }
    }
}

/// What came back.
enum Answer {
    /// A broker's, with its code.
    Broker(u8),
    /// Something else; its beginning.
    Other(Vec<u8>),
    /// Nothing in time.
    Silence,
    /// The connection was closed, or broke.
    Closed(Option<io::Error>),
}

/// Asks to be let in and hears what is said.
fn knock(stream: &mut (impl Read + Write), version: MqttVersion) -> Answer {
    match stream.write_all(request(version)) {
        Ok(()) => hear(stream),
        Err(error) => Answer::Closed(Some(error)),
    }
}

fn hear(stream: &mut impl Read) -> Answer {
    let mut heard = [0; 64];
    match stream.read(&mut heard) {
        Ok(0) => Answer::Closed(None),
        Ok(count) if count > CODE_AT && heard[0] == CONNACK => Answer::Broker(heard[CODE_AT]),
        Ok(count) => Answer::Other(heard[..count].to_vec()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Answer::Silence,
        Err(error) => Answer::Closed(Some(error)),
    }
}

/// A packet that asks to be let in: fixed header, protocol's name and version, clean start, 10 s to live, no
/// properties (since version 5), empty client id.
fn request(version: MqttVersion) -> &'static [u8] {
    match version {
        MqttVersion::V5 => b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x00",
        MqttVersion::V311 => b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00",
    }
}
