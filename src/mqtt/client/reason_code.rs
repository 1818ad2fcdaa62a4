//! Turns the reason codes of a broker into errors that say what to do.

use paho_mqtt::{ConnectReturnCode, Error, ReasonCode};
use secrecy::ExposeSecret;

use crate::settings::{MqttSettings, MqttVersion};

use crate::mqtt::client::client_id::client_id;
use crate::mqtt::client::error::{MqttError, MqttErrorKind as Kind};

/// What the broker answered with the code.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation<'a> {
    Connect,
    /// With the filter.
    Subscribe(&'a str),
    /// With the topic.
    Publish(&'a str),
    /// No operation: the broker ended the connection.
    None,
}

/// The broker's reason; `None` if it sent none, since Paho reports most failures alike.
pub(super) fn from_paho(
    error: &Error,
    settings: &MqttSettings,
    operation: Operation<'_>,
) -> Option<MqttError> {
    match error {
        Error::ReasonCode(code, _) => Some(from_reason_code(*code, settings, operation)),
        Error::ConnectReturn(code) => Some(from_reason_code(to_mqtt5(*code), settings, operation)),
        // Before MQTT 5 a broker has a single failure code for a subscription.
        Error::Failure
            if settings.version == MqttVersion::V311 && matches!(operation, Operation::Subscribe(_)) =>
        {
            Some(from_reason_code(ReasonCode::NotAuthorized, settings, operation))
        }
        _ => None,
    }
}

pub(super) fn from_reason_code(
    code: ReasonCode,
    settings: &MqttSettings,
    operation: Operation<'_>,
) -> MqttError {
    use ReasonCode as Code;
    let id = || client_id(settings);
    let (kind, message) = match (code, operation) {
        (
            Code::BadUserNameOrPassword | Code::NotAuthorized | Code::BadAuthenticationMethod,
            Operation::Connect,
        ) => (Kind::Credentials, credentials(settings)),
        (Code::NotAuthorized, _) => {
            (Kind::NotAuthorized, format!("the broker {}: allow it in its access list", operation.denial()))
        }
        (Code::UnsupportedProtocolVersion, _) => {
            (Kind::UnsupportedVersion, unsupported_version(settings.version))
        }
        (Code::ClientIdentifierNotValid, _) => (
            Kind::ClientId,
            format!("the broker rejects the client id {:?}: set another one in [mqtt] client_id", id()),
        ),
        (Code::Banned, _) => {
            (Kind::Banned, "the broker has banned this client: its administrator can lift the ban".to_owned())
        }
        (Code::SessionTakenOver, _) => (
            Kind::TakenOver,
            format!(
                "session taken over: another client uses the id {:?}; set a unique [mqtt] client_id",
                id()
            ),
        ),
        (Code::PacketTooLarge, _) => (
            Kind::TooLarge,
            format!("the broker {}: larger than its packet size limit; raise the limit", operation.denial()),
        ),
        (
            Code::QuotaExceeded
            | Code::MessageRateTooHigh
            | Code::ConnectionRateExceeded
            | Code::ReceiveMaximumExceeded,
            _,
        ) => (
            Kind::RateLimited,
            format!(
                "the broker is rate-limiting this client ({code}): raise its limits or [mqtt] publish_interval"
            ),
        ),
        (
            Code::ServerUnavailable
            | Code::ServerBusy
            | Code::ServerShuttingDown
            | Code::UseAnotherServer
            | Code::ServerMoved,
            _,
        ) => (Kind::Unavailable, format!("the broker is unavailable ({code}): see its log")),
        (code, Operation::None) => {
            (Kind::ConnectionLost, format!("the broker closed the connection ({code}): see its log"))
        }
        (code, operation) => {
            (Kind::NotAuthorized, format!("the broker {} ({code}): see its log", operation.denial()))
        }
    };
    MqttError::new(kind, message)
}

/// The few codes of MQTT 3.1.1.
fn to_mqtt5(code: ConnectReturnCode) -> ReasonCode {
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
        return "the broker requires a username and password: set [mqtt] username and password".to_owned();
    }
    let password = if settings.password.expose_secret().is_empty() { "without a" } else { "with this" };
    format!("the broker rejects user {user:?} {password} password: check [mqtt] username and password")
}

pub(super) fn unsupported_version(ours: MqttVersion) -> String {
    let (ours, other) = match ours {
        MqttVersion::V5 => ("5", "3.1.1"),
        MqttVersion::V311 => ("3.1.1", "5"),
    };
    format!("the broker does not support MQTT {ours}: set [mqtt] version = \"{other}\"")
}

impl Operation<'_> {
    fn denial(self) -> String {
        match self {
            Self::Connect => "rejects the connection".to_owned(),
            Self::Subscribe(filter) => format!("denies subscribing to {filter:?}"),
            Self::Publish(topic) => format!("denies publishing to {topic:?}"),
            Self::None => "closed the connection because of a packet that it was sent".to_owned(),
        }
    }
}
