//! Migration from pytes_serial with a real broker: by the service, by command, back again, and removal. Nothing is
//! done twice, and topics of other programs are not touched.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use bankwatch::internals::mqtt::client::session::{MqttSession, MqttTimeouts};
use bankwatch::internals::mqtt::homeassistant::migration::hand_back;
use bankwatch::internals::mqtt::message::Message;
use bankwatch::internals::settings::{AutoOr, CellLevel, MqttSettings};
use support::broker::Broker;
use support::listener::{Listener, Received};
use support::mqtt_service::{
    RETAINED, SERVICE, bank, retained_at, service, wait_for_state, wait_until_retained,
};
use support::payload_fixture::{LEVELS, announced, reading, topics};
use support::pytes_serial::{GENERATIONS, Generation, left};
use support::sweeps::wait_for_sweeps;

/// 5 of the bank, 5 and 6 of each battery and its cells, 3 of each cell.
const ENTITIES: usize = 5 + 2 * (5 + 6 + 16 * 3);

/// The discovery messages of pytes_serial for a bank of 2 × 16 at level medium.
fn pytes_serial_messages(bank: &str) -> Vec<Message> {
    hand_back(&topics(), bank, &announced(reading(bank, 2, 16), CellLevel::Medium)).announce
}

/// Similar topics of other programs and other banks.
fn foreign_messages() -> Vec<Message> {
    let device =
        |name: &str| format!(r#"{{"o": {{"name": "{name}"}}, "dev": {{"ids": ["x"]}}, "cmps": {{}}}}"#);
    let others = [
        ("homeassistant/sensor/bank/bank_kwh/config", r#"{"uniq_id": "bank_kwh"}"#.to_owned()),
        (
            "homeassistant/sensor/bank/bank_voltage_roof/config",
            r#"{"uniq_id": "bank_voltage_roof"}"#.to_owned(),
        ),
        // One of our ids with a foreign value, and a value of pytes_serial with a foreign id.
        (
            "homeassistant/sensor/bank/voltage/config",
            r#"{"uniq_id": "bank_voltage", "stat_t": "roof/voltage"}"#.to_owned(),
        ),
        (
            "homeassistant/sensor/bank/roof/config",
            r#"{"uniq_id": "roof", "stat_t": "pytes_serial/bank/0/voltage"}"#.to_owned(),
        ),
        ("homeassistant/device/bank_roof/config", device("bankwatch")),
        ("homeassistant/device/bank_battery_9/config", device("somebody")),
        ("homeassistant/device/roof_bank/config", device("bankwatch")),
        ("bankwatch/roof/status", "online".to_owned()),
        ("bankwatch/roof/battery/1/status", "offline".to_owned()),
    ];
    let others = others.into_iter().map(|(topic, payload)| Message::retained(topic, payload));
    others.chain(pytes_serial_messages("roof")).collect()
}

/// Publishes these messages with another client.
async fn publish(settings: &MqttSettings, messages: Vec<Message>) {
    let id = AutoOr::Given("pytes_serial".to_owned());
    let settings = MqttSettings { client_id: id, ..settings.clone() };
    let mut session = MqttSession::new(&settings, None, MqttTimeouts::default()).unwrap();
    session.connect().await.unwrap();
    session.publish(messages).await.unwrap();
    session.close().await;
}

fn texts(messages: &[Message]) -> BTreeMap<String, String> {
    let text =
        |message: &Message| (message.topic.clone(), String::from_utf8(message.payload.clone()).unwrap());
    messages.iter().map(text).collect()
}

/// Retained topics in addition to the foreign ones, which must be unchanged.
async fn own_retained_topics(settings: &MqttSettings) -> BTreeSet<String> {
    let mut kept = retained_at(settings, "#").await;
    for (topic, payload) in texts(&foreign_messages()) {
        assert_eq!(kept.remove(&topic), Some(payload), "{topic} is not ours");
    }
    kept.into_keys().collect()
}

/// Runs a `bankwatch ha` command for a bank without a running service; returns exit code and lines.
fn ha(broker: &Broker, arguments: &[&str]) -> (Option<i32>, Vec<String>) {
    ha_of(broker, &["bank"], arguments)
}

/// [`ha`] with these banks.
fn ha_of(broker: &Broker, banks: &[&str], arguments: &[&str]) -> (Option<i32>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bankwatch.toml");
    let bank =
        |name: &&str| format!("[[bank]]\nname = {name:?}\nlink = \"/dev/{name}\"\ncells = \"medium\"\n");
    let banks: String = banks.iter().map(bank).collect();
    let text = format!("{banks}[mqtt]\nenabled = true\nurl = {:?}\n", broker.url());
    std::fs::write(&file, text).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_bankwatch"));
    program.arg("ha").args(arguments).arg("--config").arg(&file).env_clear().current_dir(&folder);
    let output = program.output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), lines.lines().map(str::to_owned).collect())
}

/// Asserts that the command clears `lines` topics and reports `count`, and nothing when repeated.
#[track_caller]
fn assert_clears(broker: &Broker, arguments: &[&str], lines: usize, count: usize, each: &str, all: &str) {
    let dry: Vec<&str> = arguments.iter().copied().chain(["--dry-run"]).collect();
    let (code, would) = ha(broker, &dry);
    assert_eq!((code, would.len()), (Some(0), lines + 1), "{would:#?}");
    assert!(would[..lines].iter().all(|line| line.starts_with("would ")), "{would:#?}");
    assert!(
        would[lines].starts_with(&format!("{count} ")) && would[lines].contains(" would be "),
        "{would:#?}"
    );
    let (code, done) = ha(broker, arguments);
    assert_eq!(code, Some(0), "{done:#?}");
    assert_eq!(done[lines], format!("{count} {all} at {}", broker.url()));
    for (done, would) in done[..lines].iter().zip(&would) {
        assert_eq!(
            done.strip_prefix(each),
            would.strip_prefix("would ").and_then(|rest| rest.split_once(' ')).map(|(_, topic)| topic)
        );
    }
    let (code, again) = ha(broker, arguments);
    assert_eq!((code, again), (Some(0), vec![format!("0 {all} at {}", broker.url())]));
}

/// Asserts that the command assert_moves this number of entities from this number of topics.
#[track_caller]
fn assert_moves(broker: &Broker, arguments: &[&str], topics: usize, entities: usize) {
    assert_clears(broker, arguments, topics, entities, "moved ", "entities moved");
}

/// Asserts that the command assert_removes this number of topics.
#[track_caller]
fn assert_removes(broker: &Broker, arguments: &[&str], topics: usize) {
    assert_clears(broker, arguments, topics, topics, "removed ", "topics removed");
}

#[tokio::test]
async fn the_service_migrates_entities_once_in_the_right_order() {
    let Some(broker) = Broker::start() else { return };
    let (bank, settings, old) = (bank(), broker.settings(""), pytes_serial_messages("bank"));
    assert_eq!(old.len(), ENTITIES);
    publish(&settings, [old.clone(), foreign_messages()].concat()).await;
    let mut listener = Listener::at(&settings, "homeassistant/#").await;
    let first = service(&bank, &broker.url(), "");
    let cleared =
        |received: &[Received]| received.iter().filter(|received| received.payload.is_empty()).count();
    let received = listener.until(|received| cleared(received) == ENTITIES).await;
    let news: Vec<&Received> = received.iter().filter(|received| !received.retained).collect();
    let releases =
        news.iter().take_while(|received| received.text() == r#"{"migrate_discovery":true}"#).count();
    assert_eq!(releases, ENTITIES);
    let old: BTreeSet<&str> = old.iter().map(|message| message.topic.as_str()).collect();
    let named = |received: &[&Received]| {
        received.iter().map(|received| received.topic.clone()).collect::<BTreeSet<_>>()
    };
    assert!(named(&news[..releases]).iter().eq(old.iter()));
    // All state is published after that.
    let begin_of_end = news.iter().position(|received| received.payload.is_empty()).unwrap();
    let announced = named(&news[releases..begin_of_end]);
    assert!(announced.iter().all(|topic| topic.starts_with("homeassistant/device/bank_")), "{announced:?}");
    assert_eq!(announced.len(), 5);
    assert!(named(&news[begin_of_end..][..ENTITIES]).iter().eq(old.iter()));
    let line = first.wait_for_log(&["entities taken over"]);
    assert!(line.ends_with(&format!("bank=bank entities={ENTITIES} from=pytes_serial")), "{line}");
    wait_until_retained(&settings).await;
    first.stop_with("TERM");

    let mut listener = Listener::at(&settings, "homeassistant/sensor/bank/+/config").await;
    let mut second = service(&bank, &broker.url(), "");
    wait_until_retained(&settings).await;
    wait_for_state(&settings).await;
    wait_for_sweeps(&mut second, 3);
    publish(&settings, vec![Message::transient("homeassistant/sensor/bank/end/config", "")]).await;
    let received = listener
        .until(|received| received.last().is_some_and(|last| last.topic.ends_with("end/config")))
        .await;
    assert!(
        received[..received.len() - 1].iter().all(|received| received.retained),
        "it was done already: {received:?}"
    );
    let (_, _, log) = second.stop_with("TERM");
    assert!(!log.iter().any(|line| line.contains("taken over")), "{log:#?}");
    assert_eq!(
        own_retained_topics(&settings).await,
        RETAINED.iter().map(|topic| (*topic).to_owned()).collect()
    );
}

#[tokio::test]
async fn ha_commands_migrate_back_again_and_remove() {
    let Some(broker) = Broker::start() else { return };
    let settings = broker.settings("");
    let old = pytes_serial_messages("bank");
    publish(&settings, [old.clone(), foreign_messages()].concat()).await;
    let names = |messages: &[Message]| texts(messages).into_keys().collect::<BTreeSet<_>>();
    // No battery has been read yet.
    let ours: BTreeSet<String> =
        [&RETAINED[..SERVICE], &RETAINED[7..]].concat().into_iter().map(str::to_owned).collect();
    for _ in 0..2 {
        assert_moves(&broker, &["migrate"], ENTITIES, ENTITIES);
        assert_eq!(own_retained_topics(&settings).await, ours);
        assert_moves(&broker, &["migrate", "--back"], SERVICE, ENTITIES);
        assert_eq!(own_retained_topics(&settings).await, names(&old));
    }
    assert_removes(&broker, &["remove"], 0);
    assert_moves(&broker, &["migrate"], ENTITIES, ENTITIES);
    assert_removes(&broker, &["remove"], ours.len());
    assert_eq!(own_retained_topics(&settings).await, BTreeSet::new());
}

#[tokio::test]
async fn entities_of_any_version_and_level_migrate_and_back() {
    let Some(broker) = Broker::start() else { return };
    let settings = broker.settings("");
    let (mut banks, mut old, mut restored) = (Vec::new(), Vec::new(), Vec::new());
    for (generation, level) in GENERATIONS.iter().flat_map(|one| LEVELS.map(|level| (*one, level))) {
        let bank = format!("{generation:?}-{level:?}");
        old.extend(left(generation, &bank, 2, 16, level));
        restored.extend(left(Generation::Values, &bank, 2, 16, level));
        banks.push(bank);
    }
    // And with entities of two versions in the same place.
    old.extend(left(Generation::Document, "both", 2, 16, CellLevel::Low));
    old.extend(left(Generation::Values, "both", 2, 16, CellLevel::Low));
    restored.extend(left(Generation::Values, "both", 2, 16, CellLevel::Low));
    banks.push("both".to_owned());
    let banks: Vec<&str> = banks.iter().map(String::as_str).collect();
    publish(&settings, old.clone()).await;
    let last = |arguments: &[&str]| ha_of(&broker, &banks, arguments).1.pop().unwrap();
    let moved = |count: usize| format!("{count} entities moved at {}", broker.url());
    // Entities that two versions left for one bank are the same.
    assert_eq!(last(&["migrate"]), moved(restored.len()));
    assert_eq!(retained_at(&settings, "homeassistant/sensor/#").await.len(), 0);
    assert_eq!(last(&["migrate"]), moved(0));
    assert_eq!(last(&["migrate", "--back"]), moved(restored.len()));
    let kept: BTreeSet<String> = retained_at(&settings, "homeassistant/#").await.into_keys().collect();
    assert_eq!(kept, texts(&restored).into_keys().collect());
}

#[tokio::test]
async fn further_entities_of_pytes_serial_are_reported_and_removable() {
    let Some(broker) = Broker::start() else { return };
    let (bank, settings) = (bank(), broker.settings(""));
    // One battery and one level more than the bank has, from two versions.
    let of = |generation| left(generation, "bank", 3, 16, CellLevel::High);
    let beyond = 2 * 16 * 4 + 5 + 6 + 16 * 7;
    publish(&settings, [of(Generation::Document), of(Generation::Values), foreign_messages()].concat()).await;
    let service = service(&bank, &broker.url(), "");
    service.wait_for_log(&["entities taken over bank=bank", &format!("entities={ENTITIES} ")]);
    service.wait_for_log(&[
        "entities of pytes_serial left behind bank=bank",
        &format!("entities={beyond} "),
        "remedy=\"bankwatch ha remove --legacy\"",
    ]);
    wait_until_retained(&settings).await;
    let (code, lines) = ha(&broker, &["migrate"]);
    assert_eq!((code, lines.len()), (Some(0), 2), "{lines:#?}");
    assert!(lines[0].starts_with("0 "), "{lines:#?}");
    assert!(
        lines[1].starts_with(&format!("{beyond} entities of pytes_serial are left behind in bank bank"))
            && lines[1].ends_with("bankwatch ha remove --legacy"),
        "{lines:#?}"
    );
    assert_removes(&broker, &["remove", "--legacy"], 2 * beyond);
    assert_eq!(
        own_retained_topics(&settings).await,
        RETAINED.iter().map(|topic| (*topic).to_owned()).collect()
    );
}

#[tokio::test]
async fn a_battery_gone_before_the_migration_is_found_as_vanished() {
    let Some(broker) = Broker::start() else { return };
    let (bank, settings) = (bank(), broker.settings(""));
    let old = left(Generation::ValuesByNumber, "bank", 3, 16, CellLevel::Medium);
    publish(&settings, [old.clone(), foreign_messages()].concat()).await;
    assert_eq!(
        ha(&broker, &["migrate"]).1.pop(),
        Some(format!("{} entities moved at {}", old.len(), broker.url()))
    );
    let service = service(&bank, &broker.url(), "");
    wait_until_retained(&settings).await;
    assert_removes(&broker, &["remove", "--vanished"], 3);
    assert_eq!(
        own_retained_topics(&settings).await,
        RETAINED.iter().map(|topic| (*topic).to_owned()).collect()
    );
    // A running service takes the entities over again; the command warns about that.
    let (_, lines) = ha(&broker, &["migrate", "--back", "--dry-run"]);
    assert!(lines[SERVICE + 1].contains("is running and takes the entities over again"), "{lines:#?}");
    service.stop_with("TERM");
    assert_moves(&broker, &["migrate", "--back"], SERVICE, ENTITIES);
    assert_eq!(
        own_retained_topics(&settings).await,
        texts(&pytes_serial_messages("bank")).into_keys().collect()
    );
}

#[tokio::test]
async fn entities_that_can_be_taken_over_are_not_removed() {
    let Some(broker) = Broker::start() else { return };
    let settings = broker.settings("");
    publish(&settings, [pytes_serial_messages("bank"), foreign_messages()].concat()).await;
    let before = retained_at(&settings, "#").await;
    let (code, lines) = ha(&broker, &["remove", "--legacy"]);
    assert_eq!((code, &*lines[0]), (Some(0), &*format!("0 topics removed at {}", broker.url())));
    assert!(
        lines[1].starts_with(&format!("{ENTITIES} topics")) && lines[1].ends_with("bankwatch ha migrate")
    );
    assert_eq!(retained_at(&settings, "#").await, before);
}

#[tokio::test]
async fn ha_migrate_finishes_an_interrupted_migration() {
    let Some(broker) = Broker::start() else { return };
    let settings = broker.settings("");
    // Killed after the first announcement.
    let partly_announced = announced(reading("bank", 2, 16), CellLevel::Medium)[..1].to_vec();
    publish(&settings, [pytes_serial_messages("bank"), partly_announced, foreign_messages()].concat()).await;
    let (code, lines) = ha(&broker, &["remove", "--legacy"]);
    assert_eq!((code, &*lines[0]), (Some(0), &*format!("0 topics removed at {}", broker.url())));
    assert_moves(&broker, &["migrate"], ENTITIES, ENTITIES);
    let ours: BTreeSet<String> =
        [&RETAINED[..SERVICE], &RETAINED[7..]].concat().into_iter().map(str::to_owned).collect();
    assert_eq!(own_retained_topics(&settings).await, ours);
}

#[tokio::test]
async fn entities_removed_while_the_service_runs_come_back() {
    let Some(broker) = Broker::start() else { return };
    let (bank, settings) = (bank(), broker.settings(""));
    publish(&settings, foreign_messages()).await;
    let service = service(&bank, &broker.url(), "");
    wait_until_retained(&settings).await;
    let (code, lines) = ha(&broker, &["remove"]);
    assert_eq!((code, lines.len()), (Some(0), SERVICE + 2), "{lines:#?}");
    assert!(lines[SERVICE + 1].contains("is running and announces its entities again"), "{lines:#?}");
    // No entity is left, and the status topics remain.
    let statuses = retained_at(&settings, "bankwatch/#").await;
    assert_eq!(
        own_retained_topics(&settings).await,
        RETAINED[SERVICE..].iter().map(|topic| (*topic).to_owned()).collect()
    );
    assert!(RETAINED[SERVICE..].iter().all(|topic| statuses[*topic] == "online"), "{statuses:?}");
    wait_for_state(&settings).await;
    publish(&settings, vec![Message::transient("homeassistant/status", "online")]).await;
    wait_until_retained(&settings).await;
    service.stop_with("TERM");
    assert_removes(&broker, &["remove"], RETAINED.len());
    assert_eq!(own_retained_topics(&settings).await, BTreeSet::new());
}

#[tokio::test]
async fn a_removed_battery_stays_removed() {
    let Some(broker) = Broker::start() else { return };
    let (bank, settings) = (bank(), broker.settings(""));
    publish(&settings, foreign_messages()).await;
    let mut service = service(&bank, &broker.url(), "");
    wait_until_retained(&settings).await;
    assert_removes(&broker, &["remove", "--vanished"], 0);
    assert!(bank.with_bank(|bank| bank.take_out(2)));
    Listener::at(&settings, "bankwatch/bank/battery/2/status")
        .await
        .until(|received| received.last().is_some_and(|last| last.text() == "offline"))
        .await;
    assert_removes(&broker, &["remove", "--vanished"], 3);
    let without: BTreeSet<String> = RETAINED
        .iter()
        .filter(|topic| !topic.contains("battery/2") && !topic.contains("battery_2"))
        .map(|topic| (*topic).to_owned())
        .collect();
    assert_eq!(own_retained_topics(&settings).await, without);
    // Home Assistant restarts, and so assert_clears the service.
    let mut listener = Listener::at(&settings, "homeassistant/device/+/config").await;
    publish(&settings, vec![Message::transient("homeassistant/status", "online")]).await;
    listener
        .until(|received| received.iter().any(|received| received.topic == RETAINED[2] && !received.retained))
        .await;
    wait_for_a_state(&settings).await;
    assert_eq!(own_retained_topics(&settings).await, without);
    wait_for_sweeps(&mut service, 1);
    // Once it is back, it is announced again.
    assert!(bank.with_bank(|bank| bank.put_back(2)));
    wait_until_retained(&settings).await;
}

async fn wait_for_a_state(settings: &MqttSettings) {
    let mut listener = Listener::at(settings, "bankwatch/bank/battery/1/state").await;
    listener.receive(1).await;
}

#[tokio::test]
async fn ha_fails_without_a_broker() {
    let Some(mut broker) = Broker::start() else { return };
    broker.kill();
    for arguments in [&["migrate"][..], &["migrate", "--back", "--dry-run"], &["remove"]] {
        let (code, lines) = ha(&broker, arguments);
        assert_eq!(code, Some(1), "{lines:#?}");
        assert!(
            lines.iter().any(|line| line.contains("connection refused: nothing listens at mqtt://")),
            "{lines:#?}"
        );
    }
}
