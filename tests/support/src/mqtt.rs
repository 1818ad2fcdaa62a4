//! MQTT sessions for tests.

use std::time::Duration;

use bankwatch::internals::mqtt::client::error::MqttError;
use bankwatch::internals::mqtt::client::session::{Incoming, MqttSession, MqttTimeouts};
use bankwatch::internals::mqtt::message::Message;
use bankwatch::internals::settings::MqttSettings;
use tokio::time::timeout;

/// Deadline; a successful test needs a fraction of it.
pub const LONG: Duration = Duration::from_secs(30);

/// For tests that wait for a timeout.
pub const SHORT_TIMEOUTS: MqttTimeouts = MqttTimeouts {
    connect: Duration::from_secs(1),
    ack: Duration::from_secs(1),
    disconnect: Duration::from_secs(1),
    keep_alive: Duration::from_secs(1),
};

pub fn will() -> Message {
    Message::retained("bankwatch/status", "offline")
}

pub fn session_with(settings: &MqttSettings, patience: MqttTimeouts) -> MqttSession {
    MqttSession::new(settings, will(), patience).unwrap()
}

pub fn session(settings: &MqttSettings) -> MqttSession {
    session_with(settings, MqttTimeouts::default())
}

pub async fn connected(settings: &MqttSettings) -> MqttSession {
    let mut session = session(settings);
    session.connect().await.unwrap();
    session
}

/// Why one attempt to connect failed.
pub async fn connect_error(session: &mut MqttSession) -> MqttError {
    timeout(LONG, session.connect()).await.expect("the attempt ends in time").expect_err("an error")
}

/// How the connection ended.
pub async fn disconnect_error(session: &mut MqttSession) -> MqttError {
    match timeout(LONG, session.recv()).await.expect("the connection ends in time") {
        Incoming::Disconnected(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Connects as soon as the broker accepts it.
pub async fn reconnect(session: &mut MqttSession) {
    let connect = async { while session.connect().await.is_err() {} };
    timeout(LONG, connect).await.expect("a connection");
}
