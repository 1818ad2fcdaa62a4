//! A session of a test.

use std::time::Duration;

use bankwatch::internals::mqtt::client::error::Refusal;
use bankwatch::internals::mqtt::client::session::{Incoming, Patience, Session};
use bankwatch::internals::mqtt::message::Message;
use bankwatch::internals::settings::MqttSettings;
use tokio::time::timeout;

/// Past this a test has failed; all goes well in a fraction of it.
pub const LONG: Duration = Duration::from_secs(30);

/// For a test that waits for it to run out.
pub const BRIEF: Patience = Patience {
    connect: Duration::from_secs(1),
    token: Duration::from_secs(1),
    close: Duration::from_secs(1),
    keep_alive: Duration::from_secs(1),
};

pub fn will() -> Message {
    Message::retained("bankwatch/status", "offline")
}

pub fn patient(settings: &MqttSettings, patience: Patience) -> Session {
    Session::new(settings, will(), patience).unwrap()
}

pub fn session(settings: &MqttSettings) -> Session {
    patient(settings, Patience::default())
}

pub async fn connected(settings: &MqttSettings) -> Session {
    let mut session = session(settings);
    session.connect().await.unwrap();
    session
}

/// Why one attempt to connect failed.
pub async fn refused(session: &mut Session) -> Refusal {
    timeout(LONG, session.connect()).await.expect("an attempt ends").expect_err("it fails")
}

/// How the connection ended.
pub async fn lost(session: &mut Session) -> Refusal {
    match timeout(LONG, session.next()).await.expect("the loss is told") {
        Incoming::Lost(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Connects as soon as the broker lets it.
pub async fn back(session: &mut Session) {
    let back = async { while session.connect().await.is_err() {} };
    timeout(LONG, back).await.expect("it is back");
}
