//! Records as they wait on disk until a database has confirmed them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/history.rs"]
mod history;
#[path = "support/mariadb.rs"]
mod mariadb;

use bankwatch::model::reading::SweepKind;
use bankwatch::store::{Counter, Event, LogEntry, Minutes, Record, Whose};
use history::{START, battery, report};

/// One of each kind.
fn each_kind() -> Vec<Record> {
    let mut minutes = Minutes::default();
    let batteries =
        (1..=4).map(|place| battery(place, 16, i32::from(place), Some("HPCR02403150117"))).collect();
    let mut records = minutes.records(&report("pytes", START, SweepKind::Full, batteries));
    records.extend(minutes.close());
    let bank = || "pytes".to_owned();
    records.push(Record::Event(Box::new(Event {
        bank: bank(),
        place: None,
        barcode: None,
        word: "system".into(),
        bit: 0x8000_0000,
        raised_at_ms: START,
        cleared_at_ms: Some(START + 5),
        level: "warning".into(),
        text: "\u{1b}[31m\"quoted\"".into(),
    })));
    records.push(Record::Log(Box::new(LogEntry {
        bank: bank(),
        place: 2,
        barcode: None,
        record: 19,
        clock_local_s: 1_795_300_000,
        module: None,
        code: Some(300),
        info: None,
    })));
    for whose in [Whose::Bank, Whose::Place(3), Whose::Battery { place: 3, barcode: Some("B".into()) }] {
        let name = "charged_mwh".into();
        records.push(Record::Counter(Box::new(Counter {
            bank: bank(),
            whose,
            name,
            value: i64::MAX,
            taken_at_ms: START,
        })));
    }
    records
}

#[test]
fn a_record_is_read_as_it_was_written() {
    for record in each_kind() {
        let bytes = record.to_bytes().unwrap();
        assert_eq!(Record::from_bytes(&bytes).unwrap(), record);
        assert!(bytes.starts_with(b"{\"1\":{"), "its version comes first");
    }
}

#[test]
fn a_sweep_of_four_batteries_of_sixteen_cells_takes_a_few_kilobytes() {
    let bytes = each_kind()[0].to_bytes().unwrap();
    assert!(bytes.len() < 6000, "{} bytes", bytes.len());
}

#[test]
fn what_is_no_record_is_refused_with_a_sentence() {
    let later = each_kind()[0].to_bytes().unwrap();
    let later = String::from_utf8(later).unwrap().replacen("\"1\"", "\"2\"", 1);
    for bytes in [&b""[..], b"{", b"{\"1\":{\"sweep\":{}}}", b"\xff\x00", later.as_bytes()] {
        let error = Record::from_bytes(bytes).unwrap_err();
        assert!(
            error.to_string().starts_with("expected a record as this version or an earlier one"),
            "{error}"
        );
    }
}

#[test]
fn a_record_taken_by_a_clock_that_was_late_is_moved_as_a_whole() {
    for mut record in each_kind() {
        let before = record.at_ms();
        record.shift(1000);
        let own_time = matches!(record, Record::Minute(_) | Record::Log(_));
        assert_eq!(record.at_ms(), if own_time { before } else { before + 1000 });
        if let Record::Event(event) = record {
            assert_eq!(event.cleared_at_ms, Some(START + 1005));
        }
    }
}
