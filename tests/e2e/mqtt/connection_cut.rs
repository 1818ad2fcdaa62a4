//! Connections cut within messages: messages in flight are lost, no old message arrives after a new one, and Paho,
//! which has ended the process in such cases, does no harm.

use std::time::Duration;

use bankwatch::internals::mqtt::client::error::MqttErrorKind;
use bankwatch::internals::mqtt::client::session::MqttTimeouts;
use bankwatch::internals::mqtt::message::Message;
use support::broker::{Broker, settings};
use support::listener::Listener;
use support::mqtt::{LONG, SHORT_TIMEOUTS, connected, disconnect_error, reconnect, session_with};
use support::proxy::{Direction, Proxy};
use tokio::time::timeout;

/// Many large messages.
fn many() -> Vec<Message> {
    (0..100).map(|n| Message::transient(format!("old/{n}"), vec![b'x'; 60_000])).collect()
}

#[tokio::test]
async fn a_connection_cut_within_a_message_can_be_made_again() {
    let Some(broker) = Broker::start() else { return };
    let proxy = Proxy::in_front_of(broker.port());
    let mut listener = Listener::at(&broker.settings(""), "#").await;
    let mut session = connected(&settings(&proxy.url(), "")).await;
    proxy.cut_after(90_000);
    let refusal = timeout(LONG, session.publish(many())).await.unwrap().unwrap_err();
    assert_eq!(refusal.kind, MqttErrorKind::ConnectionLost, "{refusal}");
    disconnect_error(&mut session).await;
    session.connect().await.unwrap();
    session.publish(vec![Message::transient("new", "")]).await.unwrap();
    let received = listener.until(|received| received.last().is_some_and(|last| last.topic == "new")).await;
    let topics: Vec<&str> = received.iter().map(|received| received.topic.as_str()).collect();
    assert_eq!(topics, ["old/0", "bankwatch/status", "new"]);
    assert_eq!(proxy.opened(), 2);
}

/// Two cases ended the process: a message with QoS 1 that could not be written, and a message that the system
/// accepted in two parts.
#[tokio::test]
async fn connections_cut_anywhere_do_no_harm() {
    let Some(broker) = Broker::start() else { return };
    let proxy = Proxy::in_front_of(broker.port());
    let mut session = connected(&settings(&proxy.url(), "")).await;
    for round in 1..=60 {
        proxy.cut_after(round * 20_011 % 900_000);
        let publish = async { while session.publish(many()).await.is_ok() {} };
        timeout(LONG, publish).await.unwrap();
        reconnect(&mut session).await;
    }
    session.publish(many()).await.unwrap();
}

/// Each topic has its own pattern, so that each message is acknowledged and sent separately.
#[tokio::test]
async fn connections_cut_in_acknowledged_messages_do_no_harm() {
    let Some(broker) = Broker::start() else { return };
    let proxy = Proxy::in_front_of(broker.port());
    let mut session = connected(&settings(&proxy.url(), "")).await;
    let shapes = || (0..20).map(|n| Message::transient(format!("shape/{n}/x"), vec![b'x'; 500])).collect();
    for round in 1..=200 {
        proxy.cut_after(round * 997 % 12_000);
        timeout(LONG, session.publish(shapes())).await.unwrap().err();
        proxy.cut();
        reconnect(&mut session).await;
    }
    session.publish(shapes()).await.unwrap();
}

/// A message must be accepted by the system in one part.
#[tokio::test]
async fn bytes_in_flight_fit_the_send_buffer() {
    let Some(broker) = Broker::start() else { return };
    let proxy = Proxy::in_front_of(broker.port());
    let mut listener = Listener::at(&broker.settings(""), "old/#").await;
    let mut session = session_with(&settings(&proxy.url(), ""), SHORT_TIMEOUTS);
    session.connect().await.unwrap();
    // This establishes that the path is fast.
    session.publish(vec![Message::transient("first", vec![b'x'; 60_000])]).await.unwrap();
    proxy.hold(Direction::FromServer);
    let refusal = timeout(LONG, session.publish(many())).await.unwrap().unwrap_err();
    assert_eq!(refusal.kind, MqttErrorKind::Timeout, "{refusal}");
    let topics: Vec<&str> = listener.so_far().await.iter().map(|received| received.topic.as_str()).collect();
    assert_eq!(topics, ["old/0"]);
}

#[tokio::test]
async fn deadlines_allow_for_a_slow_path() {
    let Some(broker) = Broker::start() else { return };
    let proxy = Proxy::in_front_of(broker.port());
    let patience = MqttTimeouts { ack: Duration::from_millis(200), ..SHORT_TIMEOUTS };
    let mut session = session_with(&settings(&proxy.url(), ""), patience);
    session.connect().await.unwrap();
    proxy.slow_down(120_000);
    // Each takes half a second.
    session.publish(many()[..2].to_vec()).await.unwrap();
    assert_eq!(proxy.opened(), 1);
}

#[tokio::test]
async fn unsent_messages_are_not_sent_after_a_reconnect() {
    let Some(broker) = Broker::start() else { return };
    let proxy = Proxy::in_front_of(broker.port());
    let mut listener = Listener::at(&broker.settings(""), "#").await;
    let mut session = session_with(&settings(&proxy.url(), ""), SHORT_TIMEOUTS);
    session.connect().await.unwrap();
    session.publish(vec![Message::transient("first", vec![b'x'; 60_000])]).await.unwrap();
    proxy.hold(Direction::ToServer);
    let refusal = timeout(LONG, session.publish(many())).await.unwrap().unwrap_err();
    assert_eq!(refusal.kind, MqttErrorKind::Timeout, "{refusal}");
    proxy.cut();
    proxy.hold(None);
    reconnect(&mut session).await;
    session.publish(vec![Message::transient("new", "1"), Message::transient("new", "2")]).await.unwrap();
    let received = listener.until(|received| received.last().is_some_and(|last| last.text() == "2")).await;
    let first = received.iter().position(|received| received.topic == "new").unwrap();
    assert_eq!(received.len(), first + 2, "an old message arrived after a new one");
}
