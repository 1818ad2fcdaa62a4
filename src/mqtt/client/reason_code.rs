//! What a broker means by its codes.

use paho_mqtt::{ConnectReturnCode, Error, ReasonCode};
use secrecy::ExposeSecret;

use crate::settings::{MqttSettings, MqttVersion};

use crate::mqtt::client::client_id::client_id;
use crate::mqtt::client::error::{Refusal, RefusalKind as Kind};

/// What was being done when the code came.
#[derive(Clone, Copy, Debug)]
pub(super) enum Doing<'a> {
    /// Getting in.
    Connecting,
    /// Subscribing with a filter.
    Subscribing(&'a str),
    /// Publishing to a topic.
    Publishing(&'a str),
    /// Nothing; the broker ended the connection.
    Nothing,
}

/// What the broker said, where it said anything. Most failures are all the same to the library.
pub(super) fn said(error: &Error, settings: &MqttSettings, doing: Doing<'_>) -> Option<Refusal> {
    match error {
        Error::ReasonCode(code, _) => Some(meant(*code, settings, doing)),
        Error::ConnectReturn(code) => Some(meant(as_reason(*code), settings, doing)),
        // All that a broker could say of a subscription before MQTT 5.
        Error::Failure if settings.version == MqttVersion::V311 && matches!(doing, Doing::Subscribing(_)) => {
            Some(meant(ReasonCode::NotAuthorized, settings, doing))
        }
        _ => None,
    }
}

/// What a code of MQTT 5 means to who runs the service.
pub(super) fn meant(code: ReasonCode, settings: &MqttSettings, doing: Doing<'_>) -> Refusal {
    use ReasonCode as Code;
    let id = || client_id(settings);
    let (kind, sentence) = match (code, doing) {
        (
            Code::BadUserNameOrPassword | Code::NotAuthorized | Code::BadAuthenticationMethod,
            Doing::Connecting,
        ) => (Kind::Credentials, credentials(settings)),
        (Code::NotAuthorized, _) => {
            (Kind::NotAllowed, format!("the broker {}: its access list must allow it", doing.denied()))
        }
        (Code::UnsupportedProtocolVersion, _) => (Kind::Version, version(settings.version)),
        (Code::ClientIdentifierNotValid, _) => (
            Kind::ClientId,
            format!("the broker does not accept the client id {:?}: set another, [mqtt] client_id", id()),
        ),
        (Code::Banned, _) => {
            (Kind::Banned, "the broker has banned this client: who runs the broker can lift that".to_owned())
        }
        (Code::SessionTakenOver, _) => (
            Kind::TakenOver,
            format!(
                "session taken over: another client uses the id {:?}; give this one its own, [mqtt] client_id",
                id()
            ),
        ),
        (Code::PacketTooLarge, _) => {
            (Kind::TooLarge, format!("the broker {}: larger than it takes; raise its limit", doing.denied()))
        }
        (
            Code::QuotaExceeded
            | Code::MessageRateTooHigh
            | Code::ConnectionRateExceeded
            | Code::ReceiveMaximumExceeded,
            _,
        ) => (
            Kind::Quota,
            format!(
                "the broker has had enough of us for now ({code}): raise its limits or [mqtt] publish_interval"
            ),
        ),
        (
            Code::ServerUnavailable
            | Code::ServerBusy
            | Code::ServerShuttingDown
            | Code::UseAnotherServer
            | Code::ServerMoved,
            _,
        ) => {
            (Kind::Unavailable, format!("the broker is there and not in service ({code}): its log says why"))
        }
        (code, Doing::Nothing) => {
            (Kind::Lost, format!("the broker ended the connection ({code}): its log says why"))
        }
        (code, doing) => {
            (Kind::NotAllowed, format!("the broker {} ({code}): its log says why", doing.denied()))
        }
    };
    Refusal::new(kind, sentence)
}

/// The codes before MQTT 5 were few.
fn as_reason(code: ConnectReturnCode) -> ReasonCode {
    match code {
        ConnectReturnCode::Accepted => ReasonCode::Success,
        ConnectReturnCode::UnacceptableProtocolVersion => ReasonCode::UnsupportedProtocolVersion,
        ConnectReturnCode::IdentifierRejected => ReasonCode::ClientIdentifierNotValid,
        ConnectReturnCode::ServerUnavailable => ReasonCode::ServerUnavailable,
        ConnectReturnCode::BadUserNameOrPassword => ReasonCode::BadUserNameOrPassword,
        ConnectReturnCode::NotAuthorized => ReasonCode::NotAuthorized,
    }
}

fn credentials(settings: &MqttSettings) -> String {
    let user = &settings.username;
    if user.is_empty() {
        return "the broker does not let us in without a username and a password: set [mqtt] username and \
                password"
            .to_owned();
    }
    let with = if settings.password.expose_secret().is_empty() { "without a" } else { "with this" };
    format!("the broker does not let user {user:?} in {with} password: check [mqtt] username and password")
}

/// That the broker does not speak what we do.
pub(super) fn version(ours: MqttVersion) -> String {
    let (ours, other) = match ours {
        MqttVersion::V5 => ("5", "3.1.1"),
        MqttVersion::V311 => ("3.1.1", "5"),
    };
    format!("the broker does not speak MQTT {ours}: set [mqtt] version = \"{other}\"")
}

impl Doing<'_> {
    fn denied(self) -> String {
        match self {
            Self::Connecting => "does not let us in".to_owned(),
            Self::Subscribing(filter) => format!("does not take the subscription to {filter:?}"),
            Self::Publishing(topic) => format!("does not allow publishing to {topic:?}"),
            Self::Nothing => "ended the connection because of what we sent".to_owned(),
        }
    }
}
