//! Errors of the MQTT session. Each message ends with what to do about it.

use std::time::Duration;

use humantime::format_duration;

use crate::settings::MqttSettings;

use crate::mqtt::client::client_id::client_id;

/// Never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MqttError {
    pub kind: MqttErrorKind,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MqttErrorKind {
    ConnectionRefused,
    UnknownHost,
    /// No route to the host, or the host does not answer.
    Unreachable,
    /// The broker accepted the connection or messages, and then did not answer.
    Timeout,
    /// User name or password wrong or missing.
    Credentials,
    /// The broker's access list forbids the operation.
    NotAuthorized,
    ClientId,
    Banned,
    UnsupportedVersion,
    NotABroker,
    TlsExpected,
    /// The port expects a connection without TLS.
    PlainExpected,
    /// Expired, or not valid yet.
    CertificateExpired,
    /// Issued for another host.
    CertificateName,
    /// Issued by a CA that is not trusted.
    CertificateUntrusted,
    /// The broker requires a client certificate, or rejects the one it was shown.
    ClientCertificate,
    /// A certificate or key file is unusable.
    InvalidFile,
    /// Another TLS failure.
    Tls,
    /// A message exceeds the broker's packet size limit.
    TooLarge,
    RateLimited,
    /// The broker answers that it is out of service.
    Unavailable,
    /// Another client connected with the same client id.
    TakenOver,
    /// The broker sent more messages than could be processed.
    InboxOverflow,
    ConnectionLost,
    NotConnected,
    InvalidSettings,
    /// Paho does not return from a call, for example while a name server hangs.
    LibraryStuck,
}

impl MqttError {
    pub(super) fn new(kind: MqttErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(super) fn not_connected() -> Self {
        Self::new(MqttErrorKind::NotConnected, "there is no connection to the broker")
    }

    pub(crate) fn inbox_overflow() -> Self {
        let message = "the broker sends more messages than can be processed, some were dropped: find the client that publishes \
                    so many";
        Self::new(MqttErrorKind::InboxOverflow, message)
    }

    /// No acknowledgement arrived `within` that time.
    pub(super) fn timeout(settings: &MqttSettings, within: Duration) -> Self {
        let (url, within) = (&settings.url, format_duration(Duration::from_secs(within.as_secs().max(1))));
        let message =
            format!("the broker at {url} did not answer within {within}: it hangs, or the network is down");
        Self::new(MqttErrorKind::Timeout, message)
    }

    /// The connection was lost without a reason. `short_connections` connections in a row ended right after they were
    /// made.
    pub(super) fn connection_lost(settings: &MqttSettings, short_connections: u32) -> Self {
        /// A broker that restarts may cause one or two.
        const SUSPICIOUS: u32 = 3;
        if short_connections < SUSPICIOUS {
            return Self::new(
                MqttErrorKind::ConnectionLost,
                "the connection was lost: closed by the broker or the network, or the broker stopped answering",
            );
        }
        let id = client_id(settings);
        let message = format!(
            "session taken over, probably: the broker closes each connection right after it was made, as it does when \
             another client uses the id {id:?}; set a unique [mqtt] client_id, or check the broker's log"
        );
        Self::new(MqttErrorKind::TakenOver, message)
    }
}
