//! The batteries' own logs: read twice, published once, with the battery's clock compared to the local time.

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

fn take(filter: &mut DeviceLogFilter, bank: &mut Bank, between: &[Command]) -> Vec<DeviceLogBatch> {
    filter.take(&bank.summary_and(between), &TimeZone::UTC)
}

#[test]
fn a_record_is_published_once_after_two_equal_reads() {
    for dialect in [Dialect::Us2000c, Dialect::PytesV5, Dialect::ForceH2] {
        let (mut bank, mut filter) = (Bank::new(dialect, 4), DeviceLogFilter::default());
        assert_eq!(take(&mut filter, &mut bank, &[LOG]), []);
        let batches = take(&mut filter, &mut bank, &[LOG]);
        assert_eq!(batches.len(), 1, "{dialect:?}");
        let records = &batches[0].records;
        assert!(
            records.len() > 3 && records.iter().all(|record| record.kind == DeviceLogKind::Log),
            "{records:?}"
        );
        assert!(records.windows(2).all(|pair| pair[0].clock <= pair[1].clock), "the oldest first");
        assert!(records.iter().all(|record| record.clock.is_some() && record.text.is_some()));
        let stack = dialect == Dialect::ForceH2;
        assert_eq!(batches[0].battery.map(|place| place.number()), (!stack).then_some(1), "{dialect:?}");
        for _ in 0..3 {
            assert_eq!(take(&mut filter, &mut bank, &[LOG]), [], "{dialect:?}");
        }
    }
}

#[test]
fn a_data_event_snapshot_is_a_record_with_its_event_words() {
    let (mut bank, mut filter) = (Bank::new(Dialect::Us2000c, 2), DeviceLogFilter::default());
    bank.console.bank_mut().raise_event(1, EventWordKind::Battery, 0x2);
    take(&mut filter, &mut bank, &[SNAPSHOT]);
    let batches = take(&mut filter, &mut bank, &[SNAPSHOT]);
    let [DeviceLogEntry { kind: DeviceLogKind::Snapshot, text: Some(text), .. }] =
        batches[0].records.as_slice()
    else {
        panic!("{batches:?}")
    };
    assert!(text.ends_with(" %, battery 0x2 BHV"), "{text}");
    bank.console.bank_mut().raise_event(1, EventWordKind::Fault, 0x8);
    take(&mut filter, &mut bank, &[SNAPSHOT]);
    let batches = take(&mut filter, &mut bank, &[SNAPSHOT]);
    assert_eq!(batches[0].records.len(), 1, "only the newer one");
}

#[test]
fn a_stack_snapshot_is_a_record_of_the_stack() {
    let (mut bank, mut filter) = (Bank::new(Dialect::ForceH2, 3), DeviceLogFilter::default());
    bank.console.bank_mut().raise_event(2, EventWordKind::Battery, 0x8);
    take(&mut filter, &mut bank, &[SNAPSHOT]);
    let batches = take(&mut filter, &mut bank, &[SNAPSHOT]);
    let [batch] = batches.as_slice() else { panic!("{batches:?}") };
    assert_eq!(batch.battery, None);
    assert!(batch.records[0].text.as_ref().unwrap().ends_with(" %, battery 0x8 BLV"), "{:?}", batch.records);
    // The data history is another memory; none of it is published as a device log.
    let history: Command = CommandName::DataHistory.bare();
    assert_eq!(
        (take(&mut filter, &mut bank, &[history]), take(&mut filter, &mut bank, &[history])),
        (vec![], vec![])
    );
}

#[test]
fn a_damaged_record_is_never_published() {
    let (mut bank, mut filter) = (Bank::new(Dialect::Us2000c, 2), DeviceLogFilter::default());
    let flipped = |_: &str, answer: String| Some(answer.replacen("Time    : 26-", "Time    : 36-", 1));
    let damaged = bank.sweep(SweepKind::Summary, &[LOG], flipped);
    assert!(
        damaged.reading.batteries[0].device_log.iter().any(|record| record.clock.unwrap().year() == 2036)
    );
    filter.take(&damaged, &TimeZone::UTC);
    let mut published: Vec<DeviceLogEntry> = Vec::new();
    for _ in 0..4 {
        published.extend(take(&mut filter, &mut bank, &[LOG]).into_iter().flat_map(|batch| batch.records));
    }
    let clean = bank.summary_and(&[LOG]);
    let mut all = clean.reading.batteries[0].device_log.clone();
    all.sort();
    published.sort();
    assert_eq!(published, all, "all records except the damaged one");
}

#[test]
fn records_of_a_moved_battery_keep_their_barcode() {
    let (mut bank, mut filter) = (Bank::new(Dialect::PytesV5, 2), DeviceLogFilter::default());
    take(&mut filter, &mut bank, &[LOG]);
    let first = take(&mut filter, &mut bank, &[LOG]).remove(0);
    bank.console.bank_mut().swap(1, 2);
    take(&mut filter, &mut bank, &[LOG]);
    let second = take(&mut filter, &mut bank, &[LOG]).remove(0);
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
    // A batch has the clock's deviation measured in the same sweep.
    let (mut bank, mut filter) = (Bank::new(Dialect::Us2000c, 1), DeviceLogFilter::default());
    bank.at = date(2026, 6, 1).at(11, 55, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp();
    take(&mut filter, &mut bank, &[LOG]);
    let batch = take(&mut filter, &mut bank, &[LOG]).remove(0);
    let ahead = batch.clock_ahead.unwrap();
    assert_eq!(batch.clock, Some(date(2026, 6, 1).at(11, 55, 20, 0) + ahead), "{ahead:?}");
    assert!((ahead - SignedDuration::from_secs(280)).abs() <= SignedDuration::from_secs(3), "{ahead:?}");
}
