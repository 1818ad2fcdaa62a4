//! The session with a real broker: what it carries, what it says when it can't, and what it leaves behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails fails its test")]

use std::time::Duration;

use bankwatch::mqtt::message::Message;
use bankwatch::mqtt::session::{Incoming, Patience, Session};
use bankwatch::settings::MqttSettings;
use broker::{Broker, Setup};
use listener::{LONG, Listener};
use tokio::time::timeout;

#[allow(dead_code, reason = "each test file uses some of it")]
#[path = "support/broker.rs"]
mod broker;
#[allow(dead_code, reason = "each test file uses some of it")]
#[path = "support/listener.rs"]
mod listener;

/// Of a test that waits for it to run out.
const BRIEF: Patience = Patience {
    connect: Duration::from_secs(2),
    token: Duration::from_secs(1),
    close: Duration::from_secs(1),
    keep_alive: Duration::from_secs(1),
};

fn will() -> Message {
    Message::retained("bankwatch/status", "offline")
}

fn session(settings: &MqttSettings) -> Session {
    Session::new(settings, will(), Patience::default()).unwrap()
}

async fn connected(settings: &MqttSettings) -> Session {
    let mut session = session(settings);
    session.connect().await.unwrap();
    session
}

async fn lost(session: &mut Session) -> bankwatch::mqtt::refusal::Refusal {
    match timeout(LONG, session.next()).await.expect("the loss is told") {
        Incoming::Lost(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn messages_go_both_ways_in_order_in_both_versions() {
    let Some(broker) = Broker::start() else { return };
    for version in ["5", "3.1.1"] {
        let settings = broker.settings(&format!("version = \"{version}\""));
        let mut listener = Listener::at(&settings, "house/#").await;
        let mut session = connected(&settings).await;
        let said: Vec<Message> = (0..200).map(|n| Message::fleeting("house/a", n.to_string())).collect();
        session.publish(said).await.unwrap();
        let heard: Vec<String> = listener.hears(200).await.iter().map(|heard| heard.text()).collect();
        assert_eq!(heard, (0..200).map(|n| n.to_string()).collect::<Vec<_>>());
        session.subscribe(&["x/+/y".to_owned(), "z".to_owned()]).await.unwrap();
        session.publish(vec![Message::retained("x/1/y", [0, 255]), Message::fleeting("z", "")]).await.unwrap();
        for (topic, payload) in [("x/1/y", vec![0, 255]), ("z", vec![])] {
            let next = timeout(LONG, session.next()).await.unwrap();
            assert_eq!(next, Incoming::Message { topic: topic.to_owned(), payload, retained: false });
        }
        session.publish(vec![Message::forget("x/1/y")]).await.unwrap();
        session.close().await;
        assert!(!session.is_connected());
    }
}

#[tokio::test]
async fn what_is_retained_is_there_for_those_who_come_later() {
    let Some(broker) = Broker::start() else { return };
    let settings = broker.settings("");
    let session = connected(&settings).await;
    let said = vec![Message::retained("a/kept", "1"), Message::fleeting("a/gone", "2"), Message::retained("a/no", "")];
    session.publish(said).await.unwrap();
    let mut listener = Listener::at(&settings, "a/#").await;
    session.publish(vec![Message::fleeting("a/end", "3")]).await.unwrap();
    let heard = listener.hears(2).await;
    assert_eq!(heard[0].told(), ("a/kept", "1".to_owned(), true));
    assert_eq!(heard[1].told(), ("a/end", "3".to_owned(), false));
}
