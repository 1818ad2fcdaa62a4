//! Why the broker can't be talked to, in a sentence that ends with what to do about it.

use std::time::Duration;

use humantime::format_duration;

use crate::settings::MqttSettings;

use crate::mqtt::client::client_id::client_id;

/// What happened and what to do about it. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Refusal {
    /// Its kind, for those who decide by it.
    pub kind: RefusalKind,
    sentence: String,
}

/// The kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// Nothing listens there.
    ConnectionRefused,
    /// The name of the host is not known.
    UnknownHost,
    /// No way leads there, or nothing there answers.
    Unreachable,
    /// It takes connections, or took messages, and does not answer.
    Silent,
    /// The user name or the password is wrong, or missing.
    Credentials,
    /// The broker does not allow what was asked for.
    NotAllowed,
    /// The broker does not accept the client id.
    ClientId,
    /// The broker has banned us.
    Banned,
    /// The broker does not speak this version of MQTT.
    Version,
    /// What listens there is no broker.
    NoBroker,
    /// The port expects TLS.
    TlsExpected,
    /// The port does not speak TLS.
    PlainExpected,
    /// The broker's certificate has expired, or is not valid yet.
    CertificateExpired,
    /// The broker's certificate is for another host.
    CertificateName,
    /// The broker's certificate comes from an authority that is not trusted.
    CertificateUnknown,
    /// The broker wants a certificate of ours, or another one.
    ClientCertificate,
    /// A file of certificates or a key is of no use.
    File,
    /// TLS fails for another reason.
    Tls,
    /// A message is larger than the broker takes.
    TooLarge,
    /// The broker has had enough of us for now.
    Quota,
    /// The broker is there and not in service.
    Unavailable,
    /// Another client with the same id has taken over.
    TakenOver,
    /// The broker sends more messages than can be processed.
    Flooded,
    /// The connection ended.
    Lost,
    /// There is no connection.
    NotConnected,
    /// The settings can't be carried out.
    Settings,
    /// The library does not take calls, as when a name server hangs.
    Stuck,
}

impl Refusal {
    /// Of that kind, in these words.
    pub(super) fn new(kind: RefusalKind, sentence: impl Into<String>) -> Self {
        Self { kind, sentence: sentence.into() }
    }

    /// No connection has been made, or it has ended.
    pub(super) fn not_connected() -> Self {
        Self::new(RefusalKind::NotConnected, "there is no connection to the broker")
    }

    /// Messages were dropped because more came than could be processed.
    pub(crate) fn flooded() -> Self {
        let sentence = "the broker sends more messages than can be processed, and some were dropped: find who publishes so many";
        Self::new(RefusalKind::Flooded, sentence)
    }

    /// No acknowledgement came in time.
    pub(super) fn silent(settings: &MqttSettings, within: Duration) -> Self {
        let (url, within) = (&settings.url, format_duration(Duration::from_secs(within.as_secs().max(1))));
        let sentence =
            format!("the broker at {url} did not answer within {within}: it hangs, or the network does");
        Self::new(RefusalKind::Silent, sentence)
    }

    /// The connection ended without a word; `short_lives` connections in a row ended soon after they began.
    pub(super) fn lost(settings: &MqttSettings, short_lives: u32) -> Self {
        /// Once or twice a broker that restarts does the same.
        const SUSPICIOUS: u32 = 3;
        if short_lives < SUSPICIOUS {
            return Self::new(
                RefusalKind::Lost,
                "the connection ended: the broker or the network closed it, or the broker fell silent",
            );
        }
        let id = client_id(settings);
        let sentence = format!(
            "session taken over, most likely: the broker closes each connection soon after it was made, as it does \
             when another client uses the id {id:?}; give this one its own, [mqtt] client_id, or check the broker's log"
        );
        Self::new(RefusalKind::TakenOver, sentence)
    }
}
