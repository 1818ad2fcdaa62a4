//! The cards in `deploy/home-assistant` show entities that exist and are enabled from the start.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bankwatch::internals::model::reading::SweepKind;
use bankwatch::internals::mqtt::homeassistant::announced_devices::AnnouncedDevices;
use bankwatch::internals::mqtt::homeassistant::discovery;
use bankwatch::internals::mqtt::homeassistant::expiry::Expiry;
use bankwatch::internals::mqtt::payload::payloads;
use bankwatch::internals::mqtt::topics::Topics;
use bankwatch::internals::status::StatusDocument;
use jiff::tz::TimeZone;
use serde_json::Value;
use support::model;
use support::settings::SettingsFixture;

/// The entity ids in a text.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
    let is_entity = |word: &&str| word.starts_with("sensor.") || word.starts_with("binary_sensor.");
    words.filter(is_entity).map(str::to_owned).collect()
}

/// The ids of the entities that a new installation enables, for a bank named `pytes` with four batteries of 16 cells.
fn enabled() -> BTreeSet<String> {
    let settings =
        SettingsFixture::with("[[bank]]\nname = \"pytes\"\nlink = \"/dev/ttyUSB0\"").loaded().settings;
    let (bank, topics) = (&settings.banks[0], Topics::new(&settings.mqtt));
    let report = model::report(SweepKind::Full, 4, 16);
    let document = StatusDocument::of(&report, &TimeZone::UTC);
    let mut shape = AnnouncedDevices::new(bank);
    shape.update(&report, &payloads(&report, &document, &topics, bank.cells, 0));
    let expiry = Expiry::new(None, bank.interval, bank.interval);
    let messages = discovery::messages(&topics, &shape, bank.cells, &expiry);
    let payloads = messages.iter().map(|message| serde_json::from_slice::<Value>(&message.payload).unwrap());
    let components: Vec<Value> = payloads
        .flat_map(|payload| payload["cmps"].as_object().unwrap().values().cloned().collect::<Vec<_>>())
        .collect();
    let is_enabled = |component: &&Value| component["en"] != false;
    components
        .iter()
        .filter(is_enabled)
        .map(|component| component["def_ent_id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_entity_of_the_cards_is_enabled_from_the_start() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/home-assistant");
    let enabled = enabled();
    for card in ["bank-card.yaml", "cells-card.yaml"] {
        let shown = named(&fs::read_to_string(folder.join(card)).expect(card));
        assert!(shown.len() > 10, "{card} shows {}", shown.len());
        let missing: Vec<_> = shown.difference(&enabled).collect();
        assert!(missing.is_empty(), "{card} shows entities that are not enabled: {missing:?}");
    }
}
