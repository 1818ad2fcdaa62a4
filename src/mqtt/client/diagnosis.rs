//! Finds out why an attempt to connect failed, since Paho reports most failures alike. It repeats the steps on a
//! connection of its own: name resolution, TCP, TLS, the broker's CONNACK.
//!
//! The CONNECT packet has no client id and no credentials: any CONNACK shows that the peer is a broker.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use humantime::format_duration;

use crate::settings::{MqttSettings, MqttVersion};

use crate::mqtt::client::error::{MqttError, MqttErrorKind as Kind};
use crate::mqtt::client::reason_code::unsupported_version;
use crate::mqtt::client::tls;
use crate::mqtt::client::tls_probe;

/// Bytes of an answer that is not a broker's that an error shows.
const SHOWN_BYTES: usize = 40;

/// First byte of a CONNACK packet.
const CONNACK: u8 = 0x20;

/// Position of the reason code in a CONNACK packet.
const CODE_AT: usize = 3;

/// Reason codes of MQTT 3.1.1 and of MQTT 5.
const UNSUPPORTED_VERSION: [u8; 2] = [0x01, 0x84];

/// First byte of a TLS alert.
const TLS_ALERT: u8 = 0x15;

/// With TLS 1.3 a broker verifies the client certificate after the handshake, and its alert would be lost if the client
/// sent something. So the client waits this long for an alert.
const ALERT_WAIT: Duration = Duration::from_millis(300);

/// Blocks; each of the few steps takes at most `within`.
pub(super) fn diagnose(settings: &MqttSettings, within: Duration) -> MqttError {
    let found = BrokerProbe::resolve(settings, within).and_then(|probe| probe.run());
    found.err().unwrap_or_else(|| {
        let message = format!(
            "the broker at {} closed the connection before it accepted it, but answers now: see its log",
            settings.url
        );
        MqttError::new(Kind::ConnectionLost, message)
    })
}

struct BrokerProbe<'a> {
    settings: &'a MqttSettings,
    within: Duration,
    address: SocketAddr,
}

impl<'a> BrokerProbe<'a> {
    fn resolve(settings: &'a MqttSettings, within: Duration) -> Result<Self, MqttError> {
        let host = settings.url.host.as_str();
        let unknown = |reason: String| {
            let message = format!(
                "host name {host:?} can't be resolved ({reason}): check [mqtt] url and the DNS server"
            );
            MqttError::new(Kind::UnknownHost, message)
        };
        let found =
            (host, settings.url.port).to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
        let found: Vec<SocketAddr> = found.collect();
        // The address that Paho uses.
        let address = found.iter().find(|address| address.is_ipv4()).or(found.last());
        let address = *address.ok_or_else(|| unknown("it has no address".to_owned()))?;
        Ok(Self { settings, within, address })
    }

    /// # Errors
    /// Why the broker can't be used; none if it answers.
    fn run(&self) -> Result<(), MqttError> {
        let (url, ours) = (&self.settings.url, self.settings.version);
        let other = match ours {
            MqttVersion::V5 => MqttVersion::V311,
            MqttVersion::V311 => MqttVersion::V5,
        };
        let not_a_broker = |message: String| Err(MqttError::new(Kind::NotABroker, message));
        match self.connect_mqtt(ours)? {
            BrokerResponse::Connack(code) if UNSUPPORTED_VERSION.contains(&code) => {
                self.unsupported_version_error()
            }
            BrokerResponse::Connack(_) => Ok(()),
            BrokerResponse::Timeout => Err(MqttError::timeout(self.settings, self.within)),
            BrokerResponse::Other(bytes) => not_a_broker(format!(
                "{url} is not an MQTT broker: it answered \"{}\"; check host and port in [mqtt] url",
                bytes[..bytes.len().min(SHOWN_BYTES)].escape_ascii()
            )),
            BrokerResponse::Closed(_) => match self.connect_mqtt(other)? {
                BrokerResponse::Connack(code) if !UNSUPPORTED_VERSION.contains(&code) => {
                    self.unsupported_version_error()
                }
                _ => not_a_broker(format!(
                    "{url} closes the connection without an answer: is it an MQTT broker, and does it accept one \
                     more client? See its log"
                )),
            },
        }
    }

    fn unsupported_version_error(&self) -> Result<(), MqttError> {
        Err(MqttError::new(Kind::UnsupportedVersion, unsupported_version(self.settings.version)))
    }

    /// Sends a CONNECT packet.
    fn connect_mqtt(&self, version: MqttVersion) -> Result<BrokerResponse, MqttError> {
        if self.settings.url.tls {
            self.connect_mqtt_over_tls(version)
        } else {
            self.connect_mqtt_plain(version)
        }
    }

    fn connect_mqtt_plain(&self, version: MqttVersion) -> Result<BrokerResponse, MqttError> {
        let url = &self.settings.url;
        let response = send_connect(&mut self.connect_tcp()?, version);
        let may_be_tls = match &response {
            BrokerResponse::Closed(_) => true,
            BrokerResponse::Other(bytes) => bytes.first() == Some(&TLS_ALERT),
            BrokerResponse::Connack(_) | BrokerResponse::Timeout => false,
        };
        if may_be_tls && tls_probe::speaks_tls(&url.host, self.connect_tcp()?) {
            let message =
                format!("{url} expects TLS: use mqtts:// in [mqtt] url, or the broker's port without TLS");
            return Err(MqttError::new(Kind::TlsExpected, message));
        }
        Ok(response)
    }

    fn connect_mqtt_over_tls(&self, version: MqttVersion) -> Result<BrokerResponse, MqttError> {
        let url = &self.settings.url;
        let connector = tls::connector(self.settings)?;
        let stream = tls_probe::handshake(&connector, self.settings, self.connect_tcp()?);
        let mut stream = stream.map_err(|failure| {
            let is_plain = failure.may_be_plain
                && self.connect_tcp().is_ok_and(|mut stream| {
                    matches!(send_connect(&mut stream, version), BrokerResponse::Connack(_))
                });
            if !is_plain {
                return failure.error;
            }
            let message =
                format!("{url} does not speak TLS: use mqtt:// in [mqtt] url, or the broker's TLS port");
            MqttError::new(Kind::PlainExpected, message)
        })?;
        self.set_timeout(stream.get_ref(), self.within.min(ALERT_WAIT))?;
        let response = match read_response(&mut stream) {
            BrokerResponse::Timeout => {
                self.set_timeout(stream.get_ref(), self.within)?;
                send_connect(&mut stream, version)
            }
            first => first,
        };
        match &response {
            BrokerResponse::Closed(Some(error)) => {
                tls_probe::error_from_alert(error, self.settings).map_or(Ok(response), Err)
            }
            _ => Ok(response),
        }
    }

    fn connect_tcp(&self) -> Result<TcpStream, MqttError> {
        let stream = TcpStream::connect_timeout(&self.address, self.within)
            .map_err(|error| self.unreachable(&error))?;
        self.set_timeout(&stream, self.within)?;
        Ok(stream)
    }

    fn set_timeout(&self, stream: &TcpStream, within: Duration) -> Result<(), MqttError> {
        let set = stream.set_read_timeout(Some(within)).and_then(|()| stream.set_write_timeout(Some(within)));
        set.map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &io::Error) -> MqttError {
        let (url, host) = (&self.settings.url, &self.settings.url.host);
        match error.kind() {
            ErrorKind::ConnectionRefused => MqttError::new(
                Kind::ConnectionRefused,
                format!(
                    "connection refused: nothing listens at {url}; is the broker running, and is that its port?"
                ),
            ),
            ErrorKind::TimedOut => MqttError::new(
                Kind::Unreachable,
                format!(
                    "{host} does not answer within {}: check the address in [mqtt] url, the network and the \
                     firewall",
                    format_duration(self.within)
                ),
            ),
            _ => MqttError::new(
                Kind::Unreachable,
                format!("{host} is unreachable ({error}): check the address in [mqtt] url and the network"),
            ),
        }
    }
}

enum BrokerResponse {
    /// With its reason code.
    Connack(u8),
    /// The first bytes of any other answer.
    Other(Vec<u8>),
    Timeout,
    Closed(Option<io::Error>),
}

fn send_connect(stream: &mut (impl Read + Write), version: MqttVersion) -> BrokerResponse {
    match stream.write_all(connect_packet(version)) {
        Ok(()) => read_response(stream),
        Err(error) => BrokerResponse::Closed(Some(error)),
    }
}

fn read_response(stream: &mut impl Read) -> BrokerResponse {
    let mut received = [0; 64];
    match stream.read(&mut received) {
        Ok(0) => BrokerResponse::Closed(None),
        Ok(count) if count > CODE_AT && received[0] == CONNACK => BrokerResponse::Connack(received[CODE_AT]),
        Ok(count) => BrokerResponse::Other(received[..count].to_vec()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            BrokerResponse::Timeout
        }
        Err(error) => BrokerResponse::Closed(Some(error)),
    }
}

/// CONNECT: fixed header, protocol name and version, clean start, keep alive 10 s, no properties (MQTT 5 only), empty
/// client id.
fn connect_packet(version: MqttVersion) -> &'static [u8] {
    match version {
        MqttVersion::V5 => b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x00",
        MqttVersion::V311 => b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00",
    }
}
