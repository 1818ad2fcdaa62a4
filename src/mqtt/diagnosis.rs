//! Why an attempt to connect failed: most reasons are one and the same to the library. So the way is gone once
//! more, step by step, on a connection of its own that is closed again: name, address, TLS, the broker's answer.
//!
//! The broker is asked as nobody in particular, with no client id and no password: that it is one shows in its
//! answer, whatever that is.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use humantime::format_duration;

use crate::settings::{MqttSettings, MqttVersion};

use super::handshake;
use super::reason::version;
use super::refusal::{Refusal, RefusalKind as Kind};
use super::tls;

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

/// Looks for the reason. Blocks, each of its few steps no longer than `within`.
pub(super) fn of(settings: &MqttSettings, within: Duration) -> Refusal {
    reached(settings, within).and_then(|address| entered(settings, address, within)).map_or_else(
        |refusal| refusal,
        |()| {
            let sentence = format!(
                "the broker at {} closed the connection before it let us in, and answers now: its log says why",
                settings.url
            );
            Refusal::new(Kind::Lost, sentence)
        },
    )
}

/// Where the broker is, if anything listens there.
fn reached(settings: &MqttSettings, within: Duration) -> Result<SocketAddr, Refusal> {
    let (url, host) = (&settings.url, &settings.url.host);
    let found = (host.as_str(), url.port).to_socket_addrs().map_err(|error| {
        let sentence =
            format!("the host name {host:?} is not known ({error}): check [mqtt] url and the name server");
        Refusal::new(Kind::UnknownHost, sentence)
    })?;
    // The one that the library takes.
    let found: Vec<SocketAddr> = found.collect();
    let address = found.iter().find(|address| address.is_ipv4()).or(found.last());
    let Some(&address) = address else {
        let sentence = format!("the host name {host:?} has no address: check [mqtt] url and the name server");
        return Err(Refusal::new(Kind::UnknownHost, sentence));
    };
    connect(settings, address, within).map(|_| address)
}

fn connect(settings: &MqttSettings, address: SocketAddr, within: Duration) -> Result<TcpStream, Refusal> {
    let (url, host) = (&settings.url, &settings.url.host);
    let connected = TcpStream::connect_timeout(&address, within).and_then(|stream| {
        stream.set_read_timeout(Some(within))?;
        stream.set_write_timeout(Some(within))?;
        Ok(stream)
    });
    connected.map_err(|error| match error.kind() {
        ErrorKind::ConnectionRefused => Refusal::new(
            Kind::ConnectionRefused,
            format!("connection refused: nothing listens at {url}; is the broker running, and is that its port?"),
        ),
        ErrorKind::TimedOut => Refusal::new(
            Kind::Unreachable,
            format!(
                "{host} does not answer within {}: check the address in [mqtt] url, the network and the firewall",
                format_duration(within)
            ),
        ),
        _ => Refusal::new(
            Kind::Unreachable,
            format!("no way to {host} ({error}): check the address in [mqtt] url and the network"),
        ),
    })
}

/// Whether a broker is behind that address that speaks as we do.
fn entered(settings: &MqttSettings, address: SocketAddr, within: Duration) -> Result<(), Refusal> {
    let url = &settings.url;
    let plain = |version| {
        let answer = connect(settings, address, within).map(|mut stream| ask(&mut stream, version));
        answer.unwrap_or(Answer::Closed)
    };
    if !url.tls {
        let answer = plain(settings.version);
        if matches!(answer, Answer::Closed | Answer::Tls)
            && handshake::is_spoken(connect(settings, address, within)?)
        {
            let sentence =
                format!("{url} expects TLS: write mqtts:// in [mqtt] url, or its port without TLS");
            return Err(Refusal::new(Kind::TlsExpected, sentence));
        }
        return judged(settings, answer, plain, within);
    }
    let connector = tls::connector(settings)?;
    match handshake::shake_hands(&connector, settings, connect(settings, address, within)?) {
        Ok(mut stream) => {
            let answer = ask(&mut stream, settings.version);
            if let Answer::Failed(error) = &answer
                && let Some(refusal) = handshake::of_alert(error, settings)
            {
                return Err(refusal);
            }
            let again = |version| {
                let shaken = connect(settings, address, within).and_then(|stream| {
                    handshake::shake_hands(&connector, settings, stream).map_err(|failed| failed.refusal)
                });
                shaken.map_or(Answer::Closed, |mut stream| ask(&mut stream, version))
            };
            judged(settings, answer, again, within)
        }
        Err(failed) if failed.may_be_plain && matches!(plain(settings.version), Answer::Broker(_)) => {
            let sentence =
                format!("{url} does not speak TLS: write mqtt:// in [mqtt] url, or its port for TLS");
            Err(Refusal::new(Kind::PlainExpected, sentence))
        }
        Err(failed) => Err(failed.refusal),
    }
}

/// What came back.
enum Answer {
    /// A broker's, with its code.
    Broker(u8),
    /// TLS.
    Tls,
    /// Something else; its beginning.
    Other(Vec<u8>),
    /// Nothing in time.
    Silence,
    /// Nothing, and the connection was closed.
    Closed,
    /// The connection broke.
    Failed(std::io::Error),
}

/// What an answer means; `again` asks once more in another version.
fn judged(
    settings: &MqttSettings,
    answer: Answer,
    again: impl Fn(MqttVersion) -> Answer,
    within: Duration,
) -> Result<(), Refusal> {
    let url = &settings.url;
    let no_broker = |what: String| {
        let sentence =
            format!("what listens at {url} is no MQTT broker: {what}; check host and port in [mqtt] url");
        Err(Refusal::new(Kind::NoBroker, sentence))
    };
    match answer {
        Answer::Broker(code) if NOT_THIS_VERSION.contains(&code) => {
            Err(Refusal::new(Kind::Version, version(settings.version)))
        }
        Answer::Broker(_) => Ok(()),
        Answer::Silence => Err(Refusal::silent(settings, within)),
        Answer::Other(bytes) => {
            no_broker(format!("it says \"{}\"", bytes[..bytes.len().min(SHOWN)].escape_ascii()))
        }
        Answer::Tls => no_broker("it speaks TLS of its own kind".to_owned()),
        Answer::Closed | Answer::Failed(_) => {
            let other = match settings.version {
                MqttVersion::V5 => MqttVersion::V311,
                MqttVersion::V311 => MqttVersion::V5,
            };
            match again(other) {
                Answer::Broker(code) if !NOT_THIS_VERSION.contains(&code) => {
                    Err(Refusal::new(Kind::Version, version(settings.version)))
                }
                _ => Err(Refusal::new(
                    Kind::NoBroker,
                    format!(
                        "{url} closes the connection without a word: is that a broker, and does it take one more \
                         client? Its log says why"
                    ),
                )),
            }
        }
    }
}

/// Knocks and hears what is said.
fn ask(stream: &mut (impl Read + Write), version: MqttVersion) -> Answer {
    let mut heard = [0; 64];
    let answer = stream.write_all(knock(version)).and_then(|()| stream.read(&mut heard));
    match answer {
        Ok(0) => Answer::Closed,
        Ok(count @ 4..) if heard[0] == CONNACK && usize::from(heard[1]) + 2 >= count => {
            Answer::Broker(heard[CODE_AT])
        }
        Ok(_) if heard[0] == TLS_ALERT => Answer::Tls,
        Ok(count) => Answer::Other(heard[..count].to_vec()),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Answer::Silence,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Answer::Closed,
            _ => Answer::Failed(error),
        },
    }
}

/// A packet that asks to be let in: fixed header, protocol's name and version, clean start, 10 s to live, no
/// properties (since version 5), empty client id.
fn knock(version: MqttVersion) -> &'static [u8] {
    match version {
        MqttVersion::V5 => b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x00",
        MqttVersion::V311 => b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00",
    }
}
