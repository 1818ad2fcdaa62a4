//! The session with a real broker: publishing, receiving, errors, and no leaked resources.

use std::time::Duration;

use bankwatch::internals::mqtt::client::error::MqttErrorKind;
use bankwatch::internals::mqtt::client::session::{Incoming, MqttSession, MqttTimeouts};
use bankwatch::internals::mqtt::message::Message;
use support::broker::{Broker, Setup, settings};
use support::listener::Listener;
use support::mqtt;
use support::mqtt::{LONG, SHORT_TIMEOUTS, connected, disconnect_error, reconnect, session, session_with};
use support::own_process;
use support::proxy::Proxy;
use tokio::time::timeout;

#[tokio::test]
async fn messages_arrive_in_order_in_both_versions() {
    let Some(broker) = Broker::start() else { return };
    for version in ["5", "3.1.1"] {
        let settings = broker.settings(&format!("version = \"{version}\""));
        let mut listener = Listener::at(&settings, "house/#").await;
        let mut session = connected(&settings).await;
        let sent: Vec<Message> = (0..200).map(|n| Message::transient("house/a", n.to_string())).collect();
        session.publish(sent).await.unwrap();
        let received: Vec<String> =
            listener.receive(200).await.iter().map(|received| received.text()).collect();
        assert_eq!(received, (0..200).map(|n| n.to_string()).collect::<Vec<_>>());
        session.subscribe(&["x/+/y".to_owned(), "z".to_owned()]).await.unwrap();
        session
            .publish(vec![Message::retained("x/1/y", [0, 255]), Message::transient("z", "")])
            .await
            .unwrap();
        for (topic, payload) in [("x/1/y", vec![0, 255]), ("z", vec![])] {
            let next = timeout(LONG, session.recv()).await.unwrap();
            assert_eq!(next, Incoming::Message { topic: topic.to_owned(), payload, retained: false });
        }
        session.publish(vec![Message::clear_retained("x/1/y")]).await.unwrap();
        session.close().await;
        assert!(!session.is_connected());
    }
}

#[tokio::test]
async fn retained_messages_reach_later_subscribers() {
    let Some(broker) = Broker::start() else { return };
    let settings = broker.settings("");
    let session = connected(&settings).await;
    let sent = vec![
        Message::retained("a/kept", "1"),
        Message::transient("a/gone", "2"),
        Message::retained("a/no", ""),
    ];
    session.publish(sent).await.unwrap();
    let mut listener = Listener::at(&settings, "a/#").await;
    session.publish(vec![Message::transient("a/end", "3")]).await.unwrap();
    let received = listener.receive(2).await;
    assert_eq!(received[0].parts(), ("a/kept", "1".to_owned(), true));
    assert_eq!(received[1].parts(), ("a/end", "3".to_owned(), false));
}

#[tokio::test]
async fn an_undisturbed_session_uses_one_connection() {
    let Some(broker) = Broker::start() else { return };
    let proxy = Proxy::in_front_of(broker.port());
    let mut session = connected(&settings(&proxy.url(), "")).await;
    for n in 0..100 {
        session.publish(vec![Message::transient("a", n.to_string())]).await.unwrap();
    }
    session.close().await;
    assert_eq!(proxy.opened(), 1);
    assert!(proxy.sent() < 100 * 20, "{} bytes", proxy.sent());
}

#[tokio::test]
async fn the_will_is_published_only_without_a_disconnect() {
    let Some(broker) = Broker::start() else { return };
    for version in ["5", "3.1.1"] {
        let version = format!("version = \"{version}\"");
        let proxy = Proxy::in_front_of(broker.port());
        let mut listener = Listener::at(&broker.settings(""), "bankwatch/#").await;
        let mut session = connected(&settings(&proxy.url(), &version)).await;
        proxy.cut();
        assert_eq!(disconnect_error(&mut session).await.kind, MqttErrorKind::ConnectionLost);
        assert_eq!(listener.receive(1).await[0].parts(), ("bankwatch/status", "offline".to_owned(), false));
        // The offline message goes directly to the broker, so that it arrives first.
        connected(&broker.settings(&version)).await.close().await;
        let end = vec![Message::transient("bankwatch/end", ""), Message::clear_retained("bankwatch/status")];
        connected(&broker.settings("client_id = \"other\"")).await.publish(end).await.unwrap();
        assert_eq!(listener.receive(1).await[0].topic, "bankwatch/end");
    }
}

#[tokio::test]
async fn repeated_takeovers_are_detected_without_a_reason_code() {
    let Some(broker) = Broker::start() else { return };
    for version in ["5", "3.1.1"] {
        let settings = broker.settings(&format!("client_id = \"cellar\"\nversion = \"{version}\""));
        let (mut first, mut second) = (session(&settings), session(&settings));
        for nth in 1..=3 {
            first.connect().await.unwrap();
            second.connect().await.unwrap();
            let refusal = disconnect_error(&mut first).await;
            // Newer brokers send the reason code at once.
            let is_named = refusal.to_string().contains("another client uses the id \"cellar\"");
            assert_eq!(is_named, refusal.kind == MqttErrorKind::TakenOver);
            assert!(is_named || nth < 3, "{refusal}");
        }
    }
}

#[tokio::test]
async fn a_hanging_broker_is_noticed_while_publishing() {
    let Some(broker) = Broker::start() else { return };
    let mut session = session_with(&broker.settings(""), SHORT_TIMEOUTS);
    session.connect().await.unwrap();
    broker.hang();
    let refusal =
        timeout(LONG, session.publish(vec![Message::transient("a", "1")])).await.unwrap().unwrap_err();
    assert_eq!(refusal.kind, MqttErrorKind::Timeout);
    assert_eq!(disconnect_error(&mut session).await, refusal);
    let refusal = mqtt::connect_error(&mut session).await;
    assert_eq!(refusal.kind, MqttErrorKind::Timeout, "{refusal}");
    broker.go_on();
    reconnect(&mut session).await;
    session.publish(vec![Message::transient("a", "2")]).await.unwrap();
}

#[tokio::test]
async fn a_hanging_broker_is_noticed_while_idle() {
    let Some(broker) = Broker::start() else { return };
    let mut session = session_with(&broker.settings(""), SHORT_TIMEOUTS);
    session.connect().await.unwrap();
    broker.hang();
    assert_eq!(disconnect_error(&mut session).await.kind, MqttErrorKind::ConnectionLost);
}

#[tokio::test]
async fn a_restarted_broker_is_reconnected() {
    let Some(mut broker) = Broker::start() else { return };
    let settings = broker.settings("");
    let mut session = connected(&settings).await;
    session.publish(vec![Message::retained("kept", "1")]).await.unwrap();
    broker.kill();
    assert_eq!(disconnect_error(&mut session).await.kind, MqttErrorKind::ConnectionLost);
    assert_eq!(mqtt::connect_error(&mut session).await.kind, MqttErrorKind::ConnectionRefused);
    broker.start_again();
    session.connect().await.unwrap();
    session.publish(vec![Message::retained("kept", "2")]).await.unwrap();
    let received = Listener::at(&settings, "kept").await.receive(1).await;
    assert_eq!(received[0].parts(), ("kept", "2".to_owned(), true));
}

#[tokio::test]
async fn without_a_connection_nothing_is_published_or_received() {
    let mut session = session(&settings("mqtt://127.0.0.1:1", ""));
    let refusal = session.publish(vec![Message::transient("a", "")]).await.unwrap_err();
    assert_eq!(refusal.kind, MqttErrorKind::NotConnected);
    assert_eq!(session.subscribe(&["a".to_owned()]).await.unwrap_err().kind, MqttErrorKind::NotConnected);
    assert!(timeout(Duration::from_millis(20), session.recv()).await.is_err());
    session.close().await;
}

#[tokio::test]
async fn connecting_again_closes_the_old_connection() {
    let Some(broker) = Broker::start() else { return };
    let proxy = Proxy::in_front_of(broker.port());
    let mut session = connected(&settings(&proxy.url(), "")).await;
    session.connect().await.unwrap();
    session.publish(vec![Message::transient("a", "")]).await.unwrap();
    assert_eq!(proxy.opened(), 2);
    assert!(session.is_connected());
}

/// The numbers of open files and threads of this process.
fn open_files_and_threads() -> (usize, usize) {
    let count = |folder| std::fs::read_dir(folder).unwrap().count();
    (count("/proc/self/fd"), count("/proc/self/task"))
}

#[test]
fn five_hundred_connections_leave_nothing_behind() {
    // Other tests would change the counts.
    if !own_process::is_alone(concat!(module_path!(), "::five_hundred_connections_leave_nothing_behind")) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let Some(broker) = Broker::start() else { return };
        let proxy = Proxy::in_front_of(broker.port());
        let settings = broker.settings("");
        let mut session = MqttSession::new(&settings, mqtt::will(), MqttTimeouts::default()).unwrap();
        for n in 0..20 {
            session.connect().await.unwrap();
            if n % 2 == 0 {
                session.close().await;
            }
        }
        drop(proxy);
        let (files, threads) = open_files_and_threads();
        for n in 0..500 {
            session.connect().await.unwrap();
            if n % 2 == 0 {
                session.close().await;
            }
        }
        session.close().await;
        // The threads of closed connections may still be ending.
        let settled = timeout(LONG, async {
            while open_files_and_threads().0 > files || open_files_and_threads().1 > threads {
                tokio::task::yield_now().await;
            }
        });
        assert!(
            settled.await.is_ok(),
            "{:?} files and threads, and {:?} before",
            open_files_and_threads(),
            (files, threads)
        );
    });
}

#[tokio::test]
async fn secrets_are_never_shown() {
    let Some(broker) = Setup::default().user("house", "right").start() else { return };
    let settings = broker.settings("username = \"house\"\npassword = \"hunter2hunter2\"");
    let mut session = session(&settings);
    let refusal = mqtt::connect_error(&mut session).await;
    let shown = format!("{session:?} {refusal:?} {refusal} {settings:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    // The library logs its options including the password at level debug.
    assert!(log::STATIC_MAX_LEVEL < log::LevelFilter::Debug);
}
