//! The topics of pytes_serial: the same names, payloads and retain flags; only changes are published, and everything
//! periodically.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bankwatch::internals::model::reading::{BankReading, BatteryReading};
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::model::units::Millivolts;
use bankwatch::internals::mqtt::legacy_topics::LegacyTopics;
use bankwatch::internals::mqtt::message::Message;
use bankwatch::internals::settings::CellLevel;
use bankwatch::internals::status::StatusDocument;
use jiff::tz::TimeZone;
use support::captures;
use support::payload_fixture::{LEVELS, place, reading, snapshot, written};

fn document(reading: BankReading) -> StatusDocument {
    StatusDocument::of(&BankReport::of_one(reading), &TimeZone::UTC)
}

fn topics(messages: &[Message]) -> BTreeSet<&str> {
    messages.iter().map(|message| message.topic.as_str()).collect()
}

#[test]
fn legacy_topics_of_two_batteries_match_the_snapshot() {
    let all =
        LegacyTopics::new().messages(Instant::now(), &document(reading("pytes", 2, 16)), CellLevel::High);
    captures::assert_snapshot(&snapshot("legacy_2x16_high"), &written(all));
}

#[test]
fn values_of_bank_and_batteries_are_retained_cells_are_not() {
    let all =
        LegacyTopics::new().messages(Instant::now(), &document(reading("pytes", 2, 16)), CellLevel::High);
    for message in &all {
        assert_eq!(message.retained, !message.topic.contains("/cells/"), "{}", message.topic);
    }
    assert_eq!(topics(&all).len(), all.len(), "each topic once");
}

#[test]
fn the_cell_level_determines_the_cell_topics() {
    let counts = LEVELS.map(|level| {
        let all = LegacyTopics::new().messages(Instant::now(), &document(reading("pytes", 2, 16)), level);
        let cells: Vec<&str> = topics(&all).into_iter().filter(|topic| topic.contains("/cells/")).collect();
        let statistics = cells.iter().filter(|topic| topic.split('/').count() == 5).count();
        (cells.len() - statistics, statistics)
    });
    assert_eq!(counts, [(0, 0), (32, 0), (96, 12), (288, 12)]);
}

#[test]
fn only_changed_values_are_published_again() {
    let (mut legacy, start) = (LegacyTopics::new(), Instant::now());
    let mut bank = reading("pytes", 2, 16);
    assert!(!legacy.messages(start, &document(bank.clone()), CellLevel::Medium).is_empty());
    assert_eq!(legacy.messages(start, &document(bank.clone()), CellLevel::Medium), []);
    bank.batteries[1].cells.as_mut().unwrap()[3].voltage = Some(Millivolts(3_401));
    let news = legacy.messages(start, &document(bank.clone()), CellLevel::Medium);
    let changed = ["cells/3/voltage", "cells/voltage_delta", "cells/voltage_max"];
    assert_eq!(
        topics(&news),
        changed.map(|key| format!("pytes_serial/pytes/1/{key}")).iter().map(|t| &**t).collect()
    );
    let voltage = news.iter().find(|message| message.topic.ends_with("cells/3/voltage")).unwrap();
    assert_eq!(voltage.payload, b"{\"value\": 3.401}");
}

#[test]
fn all_values_are_repeated_every_five_minutes_and_on_reconnect() {
    let (mut legacy, start) = (LegacyTopics::new(), Instant::now());
    let document = document(reading("pytes", 2, 16));
    let mut at = |seconds: u64| {
        legacy.messages(start + Duration::from_secs(seconds), &document, CellLevel::Medium).len()
    };
    let all = at(0);
    assert_eq!([10, 299, 300, 301, 599, 600].map(&mut at), [0, 0, all, 0, 0, all]);
    legacy.reset();
    assert_eq!(legacy.messages(start + Duration::from_secs(601), &document, CellLevel::Medium).len(), all);
}

#[test]
fn retained_values_of_a_silent_battery_become_null() {
    let (mut legacy, start) = (LegacyTopics::new(), Instant::now());
    let mut bank = reading("pytes", 2, 16);
    legacy.messages(start, &document(bank.clone()), CellLevel::Off);
    bank.batteries[1] = BatteryReading::empty(place(2));
    let news = legacy.messages(start, &document(bank), CellLevel::Off);
    let of_second: Vec<&Message> =
        news.iter().filter(|message| message.topic.starts_with("pytes_serial/pytes/1/")).collect();
    assert_eq!(of_second.len(), 14);
    assert!(of_second.iter().all(|message| message.retained && message.payload == b"{\"value\": null}"));
}
