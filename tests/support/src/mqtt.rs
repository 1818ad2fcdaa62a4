//! A session of a test.

use std::time::Duration;

use bankwatch::internals::mqtt::client::error::MqttError;
use bankwatch::internals::mqtt::client::session::{Incoming, MqttSession, MqttTimeouts};
use bankwatch::internals::mqtt::message::Message;
use bankwatch::internals::settings::MqttSettings;
use tokio::time::timeout;

/// Past this a test has failed; all goes well in a fraction of it.
pub const LONG: Duration = Duration::from_secs(30);

/// For a test that waits for it to run out.
pub const BRIEF: MqttTimeouts = MqttTimeouts {
    connect: Duration::from_secs(1),
    ack: Duration::from_secs(1),
    disconnect: Duration::from_secs(1),
    keep_alive: Duration::from_secs(1),
};

pub fn will() -> Message {
    Message::retained("bankwatch/status", "offline")
}

pub fn patient(settings: &MqttSettings, patience: MqttTimeouts) -> MqttSession {
    MqttSession::new(settings, will(), patience).unwrap()
}

pub fn session(settings: &MqttSettings) -> MqttSession {
    patient(settings, MqttTimeouts::default())
}

pub async fn connected(settings: &MqttSettings) -> MqttSession {
    let mut session = session(settings);
    session.connect().await.unwrap();
    session
}

/// Why one attempt to connect failed.
pub async fn refused(session: &mut MqttSession) -> MqttError {
    timeout(LONG, session.connect()).await.expect("an attempt ends").expect_err("it fails")
}

/// How the connection ended.
pub async fn lost(session: &mut MqttSession) -> MqttError {
    match timeout(LONG, session.recv()).await.expect("the loss is told") {
        Incoming::Disconnected(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Connects as soon as the broker lets it.
pub async fn back(session: &mut MqttSession) {
    let back = async { while session.connect().await.is_err() {} };
    timeout(LONG, back).await.expect("it is back");
}
