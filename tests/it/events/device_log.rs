//! What batteries remember by themselves: read twice, told once, with the battery's clock held against ours.

use bankwatch::internals::console::command::{Command, CommandName};
use bankwatch::internals::events::device_log_filter::{DeviceLogFilter, clock_ahead};
use bankwatch::internals::model::device_log::{DeviceLogBatch, DeviceLogEntry, DeviceLogKind};
use bankwatch::internals::model::reading::SweepKind;
use bankwatch::internals::simulator::{Dialect, EventWordKind};
use jiff::civil::date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use support::bank::Bank;

const LOG: Command = CommandName::Log.bare();
const SNAPSHOT: Command = CommandName::DataEvent.bare();

fn take(recall: &mut DeviceLogFilter, bank: &mut Bank, between: &[Command]) -> Vec<DeviceLogBatch> {
    recall.take(&bank.summary_and(between), &TimeZone::UTC)
}

#[test]
fn a_record_is_published_once_after_two_equal_reads() {
    for dialect in [Dialect::Us2000c, Dialect::PytesV5, Dialect::ForceH2] {
        let (mut bank, mut recall) = (Bank::new(dialect, 4), DeviceLogFilter::default());
        assert_eq!(take(&mut recall, &mut bank, &[LOG]), []);
        let told = take(&mut recall, &mut bank, &[LOG]);
        assert_eq!(told.len(), 1, "{dialect:?}");
        let records = &told[0].records;
        assert!(
            records.len() > 3 && records.iter().all(|record| record.kind == DeviceLogKind::Log),
            "{records:?}"
        );
        assert!(records.windows(2).all(|pair| pair[0].clock <= pair[1].clock), "the oldest first");
        assert!(records.iter().all(|record| record.clock.is_some() && record.text.is_some()));
        let stack = dialect == Dialect::ForceH2;
        assert_eq!(told[0].battery.map(|place| place.number()), (!stack).then_some(1), "{dialect:?}");
        for _ in 0..3 {
            assert_eq!(take(&mut recall, &mut bank, &[LOG]), [], "{dialect:?}");
        }
    }
}

#[test]
fn a_data_event_snapshot_is_a_record_with_its_event_words() {
    let (mut bank, mut recall) = (Bank::new(Dialect::Us2000c, 2), DeviceLogFilter::default());
    bank.console.bank_mut().raise_event(1, EventWordKind::Battery, 0x2);
    take(&mut recall, &mut bank, &[SNAPSHOT]);
    let told = take(&mut recall, &mut bank, &[SNAPSHOT]);
    let [DeviceLogEntry { kind: DeviceLogKind::Snapshot, text: Some(text), .. }] = told[0].records.as_slice()
    else {
        panic!("{told:?}")
    };
    assert!(text.ends_with(" %, battery 0x2 BHV"), "{text}");
    bank.console.bank_mut().raise_event(1, EventWordKind::Fault, 0x8);
    take(&mut recall, &mut bank, &[SNAPSHOT]);
    let told = take(&mut recall, &mut bank, &[SNAPSHOT]);
    assert_eq!(told[0].records.len(), 1, "only the newer one");
}

#[test]
fn a_stack_snapshot_is_a_record_of_the_stack() {
    let (mut bank, mut recall) = (Bank::new(Dialect::ForceH2, 3), DeviceLogFilter::default());
    bank.console.bank_mut().raise_event(2, EventWordKind::Battery, 0x8);
    take(&mut recall, &mut bank, &[SNAPSHOT]);
    let told = take(&mut recall, &mut bank, &[SNAPSHOT]);
    let [told] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(told.battery, None);
    assert!(told.records[0].text.as_ref().unwrap().ends_with(" %, battery 0x8 BLV"), "{:?}", told.records);
    // The history is another memory: nothing of it is told as an event.
    let history: Command = CommandName::DataHistory.bare();
    assert_eq!(
        (take(&mut recall, &mut bank, &[history]), take(&mut recall, &mut bank, &[history])),
        (vec![], vec![])
    );
}

#[test]
fn a_damaged_record_is_never_published() {
    let (mut bank, mut recall) = (Bank::new(Dialect::Us2000c, 2), DeviceLogFilter::default());
    let flipped = |_: &str, heard: String| Some(heard.replacen("Time    : 26-", "Time    : 36-", 1));
    let damaged = bank.sweep(SweepKind::Summary, &[LOG], flipped);
    assert!(
        damaged.reading.batteries[0].device_log.iter().any(|record| record.clock.unwrap().year() == 2036)
    );
    recall.take(&damaged, &TimeZone::UTC);
    let mut told: Vec<DeviceLogEntry> = Vec::new();
    for _ in 0..4 {
        told.extend(take(&mut recall, &mut bank, &[LOG]).into_iter().flat_map(|told| told.records));
    }
    let clean = bank.summary_and(&[LOG]);
    let mut all = clean.reading.batteries[0].device_log.clone();
    all.sort();
    told.sort();
    assert_eq!(told, all, "all of them, and the damaged one not among them");
}

#[test]
fn records_of_a_moved_battery_keep_their_barcode() {
    let (mut bank, mut recall) = (Bank::new(Dialect::PytesV5, 2), DeviceLogFilter::default());
    take(&mut recall, &mut bank, &[LOG]);
    let first = take(&mut recall, &mut bank, &[LOG]).remove(0);
    bank.console.bank_mut().swap(1, 2);
    take(&mut recall, &mut bank, &[LOG]);
    let second = take(&mut recall, &mut bank, &[LOG]).remove(0);
    assert!(first.barcode.is_some() && second.barcode.is_some() && first.barcode != second.barcode);
}

#[test]
fn a_battery_clock_is_compared_with_local_time() {
    let ours: Timestamp = "2026-11-22T06:00:46Z".parse().unwrap();
    let berlin = TimeZone::fixed(jiff::tz::offset(1));
    let seconds = |clock, zone: &TimeZone| clock_ahead(clock, ours, zone).as_secs();
    let clock = |hour, minute, second| date(2026, 11, 22).at(hour, minute, second, 0);
    assert_eq!(seconds(clock(7, 0, 46), &berlin), 0);
    assert_eq!(seconds(clock(7, 2, 46), &berlin), 120, "two minutes ahead");
    assert_eq!(seconds(clock(6, 59, 16), &berlin), -90, "a minute and a half behind");
    assert_eq!(seconds(clock(6, 0, 46), &berlin), -3_600, "set to UTC, or in winter time");
    assert_eq!(seconds(date(2000, 1, 1).at(0, 0, 0, 0), &TimeZone::UTC) / 86_400, -9_822, "never set");
    // With the records goes how far the clock was off in that very sweep.
    let (mut bank, mut recall) = (Bank::new(Dialect::Us2000c, 1), DeviceLogFilter::default());
    bank.at = date(2026, 6, 1).at(11, 55, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp();
    take(&mut recall, &mut bank, &[LOG]);
    let told = take(&mut recall, &mut bank, &[LOG]).remove(0);
    let ahead = told.clock_ahead.unwrap();
    assert_eq!(told.clock, Some(date(2026, 6, 1).at(11, 55, 20, 0) + ahead), "{ahead:?}");
    assert!((ahead - SignedDuration::from_secs(280)).abs() <= SignedDuration::from_secs(3), "{ahead:?}");
}
