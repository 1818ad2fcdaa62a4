//! Migration from the discovery of pytes_serial and back: the program that published a message is recognized, messages
//! are replaced in the right order, and every entity keeps its id.

use std::collections::BTreeSet;
use std::time::Instant;

use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::mqtt::homeassistant::migration::{
    count_entities, filters, hand_back, is_ours, legacy_unique_id, not_taken_over, take_over,
};
use bankwatch::internals::mqtt::legacy_topics::LegacyTopics;
use bankwatch::internals::mqtt::message::Message;
use bankwatch::internals::settings::CellLevel;
use bankwatch::internals::status::StatusDocument;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::captures;
use support::payload_fixture::{LEVELS, announced, components, json, reading, snapshot, topics, written};

const RELEASE: &[u8] = b"{\"migrate_discovery\":true}";

/// The discovery messages of pytes_serial for two batteries of 16 cells, derived from the entities of a real Home
/// Assistant.
fn legacy_messages() -> Vec<Message> {
    let rows = include_str!("../../home-assistant-entities.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1);
    rows.map(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        let config = json!({
            "uniq_id": cells[1],
            "name": cells[2].rsplit_once('.').unwrap().1,
            "stat_t": "pytes_serial/pytes/value",
            "val_tpl": "{{ value_json.value }}",
            "dev": { "identifiers": [cells[0]], "name": cells[0] },
        });
        Message::retained(format!("homeassistant/sensor/pytes/{}/config", cells[1]), config.to_string())
    })
    .collect()
}

fn is_pytes_serial(bank: &str, message: &Message) -> bool {
    legacy_unique_id(&topics(), bank, message).is_some()
}

fn ids(messages: &[Message]) -> BTreeSet<String> {
    messages.iter().map(|message| json(&message.payload)["uniq_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn only_messages_of_pytes_serial_are_recognized_as_such() {
    let old = legacy_messages();
    assert_eq!(old.len(), 251);
    assert!(old.iter().all(|message| is_pytes_serial("pytes", message)));
    assert!(!old.iter().any(|message| is_pytes_serial("pyte", message)));
    let (id, state) = ("pytes_voltage", "pytes_serial/pytes/voltage");
    let payload = |id: &str, state: &str| json!({ "uniq_id": id, "stat_t": state }).to_string();
    let theirs = [
        ("homeassistant/sensor/pytes/pytes_voltage/config", payload(id, state)),
        ("homeassistant/sensor/pytes/1/config", payload(id, state)),
        (
            "homeassistant/sensor/pytes/102/config",
            payload("pytes_voltage_102", "pytes_serial/pytes/0/cells/1/voltage"),
        ),
        ("homeassistant/sensor/pytes/7/config", payload("pytes_soc_1", "homeassistant/sensor/pytes/state")),
        (
            "homeassistant/sensor/pytes/8/config",
            json!({ "unique_id": "pytes_soc_2", "state_topic": "homeassistant/sensor/pytes/state" })
                .to_string(),
        ),
    ];
    for (topic, payload) in theirs {
        assert!(is_pytes_serial("pytes", &Message::retained(topic, payload.clone())), "{topic} {payload}");
    }
    let place = "homeassistant/sensor/pytes/pytes_voltage/config";
    let strangers = [
        (place, String::new()),
        (place, "{".to_owned()),
        (place, payload("another", state)),
        (place, payload("roof_voltage", state)),
        (place, json!({ "uniq_id": id }).to_string()),
        (place, payload(id, "roof/voltage")),
        (place, payload(id, "pytes_serial/roof/voltage")),
        (place, payload(id, "pytes_serial/pytes_2/voltage")),
        (place, payload(id, "pytes_serial/pytes/")),
        (place, payload(id, "homeassistant/sensor/roof/state")),
        (place, json!({ "uniq_id": 1, "stat_t": [state] }).to_string()),
        ("homeassistant/sensor/pytes/pytes_kwh/config", payload("pytes_kwh", state)),
        ("homeassistant/sensor/pytes/1/config", payload("pytes_voltage_roof", state)),
        ("homeassistant/sensor/pytes/1/config", payload("pytes_power_1", state)),
        ("homeassistant/switch/pytes/pytes_voltage/config", payload(id, state)),
        ("homeassistant/sensor/house/pytes_voltage/config", payload(id, state)),
        ("homeassistant/sensor/pytes/1/2/config", payload(id, state)),
        ("homeassistant/sensor/pytes//config", payload(id, state)),
        ("homeassistant/sensor/pytes/state", payload(id, state)),
        ("config", payload(id, state)),
    ];
    for (topic, payload) in strangers {
        assert!(!is_pytes_serial("pytes", &Message::retained(topic, payload.clone())), "{topic} {payload}");
    }
}

#[test]
fn messages_of_two_versions_for_one_entity_are_both_replaced() {
    let ours = announced(reading("pytes", 2, 16), CellLevel::Medium);
    let mut kept = legacy_messages();
    let by_number = |(number, message): (usize, &Message)| {
        Message::retained(format!("homeassistant/sensor/pytes/{number}/config"), message.payload.clone())
    };
    kept.extend(legacy_messages().iter().enumerate().map(by_number));
    let handshake = take_over(&topics(), "pytes", &kept, ours.clone());
    let left = not_taken_over(&topics(), "pytes", &kept, &ours);
    // Of each cell `high` has four more entities than `medium`.
    assert_eq!((handshake.count(), left.len()), (2 * (251 - 2 * 16 * 4), 2 * 2 * 16 * 4));
    assert_eq!(count_entities(&topics(), "pytes", left), 2 * 16 * 4);
    let released: BTreeSet<String> = handshake.release.iter().map(|message| message.topic.clone()).collect();
    assert_eq!(released, handshake.cleared_topics());
}

#[test]
fn migration_releases_then_announces_then_clears() {
    let ours = announced(reading("pytes", 2, 16), CellLevel::High);
    let mut kept = legacy_messages();
    kept.push(Message::retained(
        "homeassistant/sensor/pytes/pytes_kwh/config",
        r#"{"uniq_id": "pytes_kwh"}"#,
    ));
    let handshake = take_over(&topics(), "pytes", &kept, ours.clone());
    assert_eq!(handshake.count(), 251);
    let old: Vec<&str> = kept[..251].iter().map(|message| message.topic.as_str()).collect();
    let messages: Vec<Message> = handshake.messages().collect();
    let (release, rest) = messages.split_at(251);
    let (announce, clear) = rest.split_at(ours.len());
    assert_eq!(announce, ours);
    assert!(release.iter().all(|message| message.payload == RELEASE && !message.retained));
    assert!(clear.iter().all(|message| message.payload.is_empty() && message.retained));
    for step in [release, clear] {
        assert_eq!(step.iter().map(|message| message.topic.as_str()).collect::<Vec<_>>(), old);
    }
}

#[test]
fn without_messages_of_pytes_serial_migration_only_announces() {
    let ours = announced(reading("pytes", 1, 16), CellLevel::Low);
    let handshake = take_over(&topics(), "pytes", &ours, ours.clone());
    assert_eq!((handshake.count(), handshake.messages().collect::<Vec<_>>()), (0, ours));
}

#[test]
fn no_new_topic_equals_an_old_one() {
    for message in announced(reading("pytes", 2, 16), CellLevel::High) {
        assert_ne!(message.topic, "homeassistant/device/pytes/config");
    }
}

#[test]
fn migrating_back_matches_the_snapshot() {
    let ours = announced(reading("pytes", 2, 16), CellLevel::High);
    let handshake = hand_back(&topics(), "pytes", &ours);
    assert_eq!(handshake.count(), ours.len());
    assert_eq!(ids(&handshake.announce), ids(&legacy_messages()));
    assert!(handshake.release.iter().all(|message| message.payload == RELEASE));
    assert!(handshake.clear.iter().all(|message| message.payload.is_empty() && message.retained));
    captures::assert_snapshot(&snapshot("back_2x16_high"), &written(handshake.announce));
}

#[test]
fn migrating_back_removes_entities_unknown_to_pytes_serial() {
    for level in LEVELS {
        let ours = announced(reading("pytes", 2, 16), level);
        let handshake = hand_back(&topics(), "pytes", &ours);
        let topics_of =
            |messages: &[Message]| messages.iter().map(|one| one.topic.clone()).collect::<Vec<_>>();
        assert_eq!(topics_of(&handshake.rest), topics_of(&ours));
        let ids_of = |messages: &[Message]| -> BTreeSet<String> {
            components(messages).iter().map(|one| one.text("uniq_id").to_owned()).collect()
        };
        let (rest, theirs) = (ids_of(&handshake.rest), ids(&handshake.announce));
        assert!(rest.is_disjoint(&theirs));
        assert!(rest.is_superset(&ids_of(&ours).difference(&theirs).cloned().collect()));
        // Home Assistant warns of each device message without any entity when it is cleared.
        assert!(handshake.rest.iter().all(|one| !components(std::slice::from_ref(one)).is_empty()));
        let last: Vec<Message> = handshake.clone().messages().skip(ours.len() + theirs.len()).collect();
        assert_eq!(last, [handshake.rest, handshake.clear].concat());
    }
}

#[test]
fn after_migrating_back_every_entity_has_a_value() {
    let report = BankReport::of_one(reading("pytes", 3, 120));
    let document = StatusDocument::of(&report, &TimeZone::UTC);
    for level in LEVELS {
        let published: BTreeSet<String> = LegacyTopics::new()
            .messages(Instant::now(), &document, level)
            .into_iter()
            .map(|message| message.topic)
            .collect();
        let handshake = hand_back(&topics(), "pytes", &announced(report.reading.clone(), level));
        for config in &handshake.announce {
            let config = json(&config.payload);
            assert!(published.contains(config["stat_t"].as_str().unwrap()), "{level:?} {config}");
        }
    }
}

#[test]
fn migration_works_again_after_migrating_back() {
    let ours = announced(reading("pytes", 2, 16), CellLevel::Medium);
    let returned = hand_back(&topics(), "pytes", &ours).announce;
    assert!(returned.iter().all(|message| is_pytes_serial("pytes", message)));
    let again = take_over(&topics(), "pytes", &returned, ours.clone());
    assert_eq!((again.count(), again.announce), (returned.len(), ours));
}

#[test]
fn only_messages_of_bankwatch_are_recognized_as_such() {
    let mut ours = announced(reading("pytes", 2, 120), CellLevel::High);
    assert!(ours.iter().any(|message| message.topic.ends_with("_cells_2/config")));
    let statuses =
        ["bankwatch/service/house/status", "bankwatch/pytes/status", "bankwatch/pytes/battery/12/status"];
    ours.extend(statuses.map(|topic| Message::retained(topic, "offline")));
    for message in &ours {
        assert!(is_ours(&topics(), "pytes", message), "{}", message.topic);
        assert!(!is_ours(&topics(), "pytes", &Message::clear_retained(&*message.topic)), "cleared already");
    }
    let device = r#"{"o": {"name": "somebody"}}"#;
    let mine = r#"{"o": {"name": "bankwatch"}}"#;
    let strangers = [
        ("homeassistant/device/pytes_bank/config", device),
        ("homeassistant/device/pytes_bank/config", "{"),
        ("homeassistant/device/pytes_battery_/config", mine),
        ("homeassistant/device/pytes_battery_01/config", mine),
        ("homeassistant/device/pytes_battery_1_cells_0x/config", mine),
        ("homeassistant/device/roof_bank/config", mine),
        ("homeassistant/sensor/pytes_bank/config", mine),
        ("bankwatch/roof/status", "online"),
        ("bankwatch/pytes/battery/0/status", "online"),
        ("homeassistant/status", "online"),
    ];
    for (topic, payload) in strangers {
        assert!(!is_ours(&topics(), "pytes", &Message::retained(topic, payload)), "{topic} {payload}");
    }
    assert!(legacy_messages().iter().all(|message| !is_ours(&topics(), "pytes", message)));
}

#[test]
fn the_filters_match_the_messages_of_both_programs() {
    let filters = filters(&topics(), "pytes");
    let matches = |topic: &str| {
        filters.iter().any(|filter| {
            let (filter, topic) = (filter.split('/'), topic.split('/'));
            filter.clone().count() == topic.clone().count()
                && filter.zip(topic).all(|(wanted, level)| wanted == "+" || wanted == level)
        })
    };
    let statuses =
        ["bankwatch/service/house/status", "bankwatch/pytes/status", "bankwatch/pytes/battery/12/status"];
    let ours = announced(reading("pytes", 2, 16), CellLevel::High);
    let left = legacy_messages().into_iter().chain(ours).map(|message| message.topic);
    for topic in left.chain(statuses.map(str::to_owned)) {
        assert!(matches(&topic), "{topic}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn migrating_back_restores_every_legacy_entity_of_any_bank(
        name in "[A-Za-z0-9_-]{1,16}",
        batteries in 1..14_u8,
        cells in 1..24_u16,
    ) {
        let ours = announced(reading(&name, batteries, cells), CellLevel::High);
        let returned = hand_back(&topics(), &name, &ours).announce;
        // 5 of the bank and of each battery, 6 of its cells together, 7 of each cell.
        let (batteries, cells) = (usize::from(batteries), usize::from(cells));
        prop_assert_eq!(returned.len(), 5 + batteries * (5 + 6 + 7 * cells));
        let ids = ids(&returned);
        prop_assert_eq!(ids.len(), returned.len());
        let known: BTreeSet<String> =
            components(&ours).iter().map(|one| one.text("uniq_id").to_owned()).collect();
        prop_assert!(ids.is_subset(&known));
        prop_assert!(returned.iter().all(|message| is_pytes_serial(&name, message)));
    }

    #[test]
    fn foreign_messages_are_ignored(topic in "\\PC{0,60}", payload in any::<Vec<u8>>()) {
        let message = Message::retained(topic, payload);
        prop_assert!(!is_pytes_serial("pytes", &message) && !is_ours(&topics(), "pytes", &message));
        let kept = [message];
        prop_assert_eq!(hand_back(&topics(), "pytes", &kept).count() + take_over(&topics(), "pytes", &kept, vec![]).count(), 0);
    }

    #[test]
    fn hostile_discovery_messages_do_no_harm(content in hostile()) {
        let message = Message::retained("homeassistant/device/pytes_battery_1_cells/config", content.to_string());
        let handshake = hand_back(&topics(), "pytes", std::slice::from_ref(&message));
        prop_assert!(handshake.announce.len() <= 1);
    }
}

/// A message in our format with arbitrary content in place of its ids.
fn hostile() -> impl Strategy<Value = Value> {
    ("(pytes)?[_0-9a-z]{0,14}", any::<bool>()).prop_map(|(id, device)| {
        let device = if device { json!({ "name": "pytes" }) } else { Value::Null };
        json!({ "o": { "name": "bankwatch" }, "dev": device, "cmps": { "one": { "uniq_id": id }, "two": 2 } })
    })
}
