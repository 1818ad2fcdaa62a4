//! The real program with a working broker: what it publishes at start, while running, and when it is stopped or
//! killed.

use bankwatch::internals::mqtt::client::session::{MqttSession, MqttTimeouts};
use bankwatch::internals::mqtt::message::Message;
use bankwatch::internals::settings::{AutoOr, MqttSettings};
use support::broker::{Broker, Setup};
use support::listener::{Listener, Received};
use support::mqtt_service::{
    RETAINED, SERVICE, bank, complete_at, retained_at, service, wait_until_retained,
};
use support::proxy::Proxy;
use support::service;
use support::service::Service;
use support::sweeps::{sweep_count, wait_for_sweeps};

/// Publishes one message as another client.
async fn publish(settings: &MqttSettings, message: Message) {
    let id = AutoOr::Given("other-client".to_owned());
    let settings = MqttSettings { client_id: id, ..settings.clone() };
    let mut session = MqttSession::new(&settings, None, MqttTimeouts::default()).unwrap();
    session.connect().await.unwrap();
    session.publish(vec![message]).await.unwrap();
    session.close().await;
}

fn is_status(topic: &str) -> bool {
    topic.starts_with("bankwatch/") && topic.ends_with("/status")
}

/// The position of the first message of a topic.
fn first(received: &[Received], topic: &str) -> usize {
    received
        .iter()
        .position(|received| received.topic == topic)
        .unwrap_or_else(|| panic!("{topic} was not received"))
}

fn count(log: &[String], words: &str) -> usize {
    log.iter().filter(|line| line.contains(words)).count()
}

#[tokio::test]
async fn a_start_publishes_discovery_availability_state_then_online() {
    let Some(broker) = Broker::start() else { return };
    let (bank, settings) = (bank(), broker.settings(""));
    // Earlier versions left this in a topic shared by all services.
    publish(&settings, Message::retained("bankwatch/status", "offline")).await;
    let mut listener = Listener::at(&settings, "#").await;
    let service = service(&bank, &broker.url(), "");
    let received = listener.until(|received| complete_at(received).is_some()).await;
    let configs =
        RETAINED.iter().filter(|topic| topic.ends_with("/config")).map(|topic| first(received, topic));
    let configs = configs.max().unwrap();
    assert!(configs < first(received, "bankwatch/bank/state"), "state before discovery is lost");
    let online = received
        .iter()
        .position(|received| received.topic == "bankwatch/bank/status" && received.text() == "online");
    assert!(configs < online.unwrap() && online.unwrap() < first(received, "bankwatch/bank/state"));
    wait_until_retained(&settings).await;
    // State is not retained, so a later subscriber can't take it for current.
    let kept = retained_at(&settings, "#").await;
    assert!(kept.keys().all(|topic| RETAINED.contains(&topic.as_str())), "{:?}", kept.keys());
    let up = service.wait_for_log(&["output up output=mqtt"]);
    let id = up.rsplit_once("client_id=").unwrap().1;
    assert_eq!(RETAINED[SERVICE], format!("bankwatch/service/{id}/status"));
}

#[tokio::test]
async fn sigterm_publishes_offline_without_the_will() {
    let Some(broker) = Broker::start() else { return };
    for version in ["5", "3.1.1"] {
        let (bank, settings) = (bank(), broker.settings(""));
        let service = service(&bank, &broker.url(), &format!("version = \"{version}\""));
        wait_until_retained(&settings).await;
        let mut listener = Listener::at(&settings, "bankwatch/#").await;
        listener
            .until(|received| received.iter().filter(|received| is_status(&received.topic)).count() == 4)
            .await;
        let (status, took, log) = service.stop_with("TERM");
        assert_eq!(status.code(), Some(0), "{log:#?}");
        assert!(took < std::time::Duration::from_secs(5), "{took:?}");
        publish(&settings, Message::transient("bankwatch/end", "")).await;
        let received = listener
            .until(|received| received.last().is_some_and(|last| last.topic == "bankwatch/end"))
            .await;
        let gone: Vec<&str> = received
            .iter()
            .filter(|received| is_status(&received.topic) && received.text() == "offline")
            .map(|received| received.topic.as_str())
            .collect();
        // The will would be another message.
        assert_eq!(gone, [RETAINED[SERVICE], RETAINED[7], RETAINED[8], RETAINED[6]]);
        let kept = retained_at(&settings, "bankwatch/#").await;
        assert!(kept.len() == 4 && kept.values().all(|word| word == "offline"), "{kept:?}");
        assert_eq!(count(&log, " output "), 1, "{log:#?}");
    }
}

#[tokio::test]
async fn the_will_is_published_when_the_service_is_killed() {
    let Some(broker) = Broker::start() else { return };
    let (bank, settings) = (bank(), broker.settings(""));
    let killed = service(&bank, &broker.url(), "");
    wait_until_retained(&settings).await;
    let mut listener = Listener::at(&settings, RETAINED[SERVICE]).await;
    listener.receive(1).await;
    killed.stop_with("KILL");
    assert_eq!(listener.receive(1).await[0].parts(), (RETAINED[SERVICE], "offline".to_owned(), false));
    let _again = service(&bank, &broker.url(), "");
    assert_eq!(listener.receive(1).await[0].text(), "online");
    wait_until_retained(&settings).await;
}

#[tokio::test]
async fn a_status_changed_by_others_is_restored() {
    let Some(broker) = Broker::start() else { return };
    let (bank, settings) = (bank(), broker.settings(""));
    // A client id may contain characters with a meaning in topics.
    let _service = service(&bank, &broker.url(), "client_id = \"cellar+1/#\"");
    wait_until_retained(&settings).await;
    let service = "bankwatch/service/cellar%2B1%2F%23/status";
    for status in [service, RETAINED[6], RETAINED[7], RETAINED[8]] {
        let mut listener = Listener::at(&settings, status).await;
        // The will of a previous process, the last message of another service, or a manual change.
        let words = ["online", "offline", "online", "", "online"];
        for (received, word) in [(1, "offline"), (3, "")] {
            listener.until(|all| all.len() == received).await;
            publish(&settings, Message::retained(status, word)).await;
        }
        let received = listener.until(|received| received.len() == words.len());
        assert_eq!(received.await.iter().map(Received::text).collect::<Vec<_>>(), words, "{status}");
    }
    wait_until_retained(&settings).await;
}

#[tokio::test]
async fn the_birth_message_triggers_everything_again() {
    let Some(broker) = Broker::start() else { return };
    let (bank, settings) = (bank(), broker.settings(""));
    let service = service(&bank, &broker.url(), "");
    wait_until_retained(&settings).await;
    let mut listener = Listener::at(&settings, "#").await;
    // The listener has received the retained messages; repeated ones arrive without the retain flag.
    publish(&settings, Message::transient("homeassistant/status", "online")).await;
    let again = |received: &[Received]| {
        let birth = received.iter().position(|received| received.topic == "homeassistant/status");
        let since = birth.map_or(&[][..], |birth| &received[birth..]);
        let was_published =
            |topic: &&str| since.iter().any(|received| received.topic == *topic && !received.retained);
        // The status of the service was never changed, so it is not repeated.
        RETAINED.iter().filter(|topic| **topic != RETAINED[SERVICE]).all(was_published)
            && complete_at(since).is_some()
    };
    listener.until(again).await;
    assert_eq!(count(&service.log(), "output down"), 0);
}

#[tokio::test]
async fn lowering_the_cell_level_removes_entities_once() {
    let Some(broker) = Broker::start() else { return };
    let (bank, settings) = (bank(), broker.settings(""));
    let at_level = |level: &str| {
        let lines = format!(
            "cells = {level:?}\ninterval = \"500ms\"\nsummary_interval = \"0s\"\n[mqtt]\nenabled = true\n\
             url = {:?}\npublish_interval = \"0s\"\n",
            broker.url()
        );
        Service::start(&bank.link(), &lines)
    };
    let has_soc = async || {
        let kept = retained_at(&settings, "homeassistant/device/+/config").await;
        kept.values().any(|config| config.contains("\"soc_101\""))
    };
    let high = at_level("high");
    wait_until_retained(&settings).await;
    high.stop_with("KILL");
    assert!(has_soc().await);
    let mut listener = Listener::at(&settings, RETAINED[2]).await;
    let medium = at_level("medium");
    let is_removal = |received: &Received| received.text().contains("\"soc_101\":{\"p\":\"sensor\"}");
    let received = listener.until(|received| received.iter().any(is_removal)).await;
    let removal = received.iter().position(is_removal).unwrap();
    // Retained messages arrive last.
    listener.until(|received| received.len() > removal + 1).await;
    wait_until_retained(&settings).await;
    assert!(!has_soc().await);
    let (_, _, log) = medium.stop_with("TERM");
    assert_eq!(count(&log, "entities removed bank=bank entities="), 1, "{log:#?}");
    let mut listener = Listener::at(&settings, RETAINED[2]).await;
    let again = at_level("medium");
    listener.until(|received| received.iter().any(|received| !received.retained)).await;
    wait_until_retained(&settings).await;
    let (_, _, log) = again.stop_with("TERM");
    assert_eq!(count(&log, "entities removed"), 0, "{log:#?}");
}

#[tokio::test]
async fn a_hundred_sweeps_use_one_connection() {
    const SWEEPS: u64 = 100;
    let Some(broker) = Broker::start() else { return };
    let (proxy, bank, settings) = (Proxy::in_front_of(broker.port()), bank(), broker.settings(""));
    let lines = format!(
        "interval = \"100ms\"\nsummary_interval = \"0s\"\n[mqtt]\nenabled = true\nurl = {:?}\n\
         publish_interval = \"0s\"\nlegacy_topics = true",
        proxy.url()
    );
    let mut service = service::Service::start(&bank.link(), &lines);
    wait_until_retained(&settings).await;
    let mut documents = Listener::at(&settings, "homeassistant/sensor/bank/state").await;
    let before = sweep_count(&mut service);
    let waiting = tokio::task::spawn_blocking(move || {
        wait_for_sweeps(&mut service, SWEEPS);
        service
    });
    let numbers = |received: &[Received]| -> Vec<u64> {
        let document =
            |received: &Received| serde_json::from_slice::<serde_json::Value>(&received.payload).unwrap();
        received.iter().map(|received| document(received)["serial_stat"]["loops"].as_u64().unwrap()).collect()
    };
    let received = documents.until(|received| numbers(received).last() >= Some(&(before + SWEEPS))).await;
    let numbers = numbers(received);
    assert!(numbers.is_sorted(), "an older reading arrived after a newer one: {numbers:?}");
    assert!(numbers.len() as u64 > SWEEPS / 2, "{} of {SWEEPS} readings went out", numbers.len());
    let service = waiting.await.unwrap();
    assert_eq!(proxy.opened(), 1);
    let (_, _, log) = service.stop_with("TERM");
    assert_eq!(count(&log, " output "), 1, "{log:#?}");
    assert_eq!(proxy.opened(), 1);
}

#[tokio::test]
async fn unsupported_settings_are_logged_once_and_the_rest_runs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.pem"), "no certificate\n").unwrap();
    let Some(broker) = Setup::default().user("house", "hunter2hunter2").start() else { return };
    let port = broker.port();
    let missing = folder.path().join("missing.pem");
    let empty = folder.path().join("empty.pem");
    let cases = [
        (format!("mqtts://localhost:{port}"), format!("ca_file = {missing:?}"), "missing.pem can't be read"),
        (
            format!("mqtts://localhost:{port}"),
            format!("ca_file = {empty:?}"),
            "empty.pem contains no certificate",
        ),
        (format!("mqtts://[::1]:{port}"), String::new(), "can't verify a certificate for an IPv6 address"),
    ];
    for (url, lines, reason) in cases {
        let bank = bank();
        let credentials = "username = \"house\"\npassword = \"hunter2hunter2\"";
        let mut service = service(&bank, &url, &format!("{credentials}\n{lines}"));
        service.wait_for_log(&["mqtt", reason]);
        wait_for_sweeps(&mut service, 5);
        assert_eq!(count(&service.log(), reason), 1, "{:#?}", service.log());
        let (status, _, log) = service.stop_with("TERM");
        assert_eq!(status.code(), Some(0), "{log:#?}");
        assert_eq!(count(&log, "hunter2"), 0, "{log:#?}");
    }
}
