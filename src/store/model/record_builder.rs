//! Turns reports, events and device logs into records with correct timestamps. Pure: both clocks are passed in.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::reading::SweepKind;
use crate::model::report::BankReport;
use crate::store::clock_gate::{ClockChange, ClockGate, ClockReading, TimedRow};
use crate::store::journal::entry::JournalEntry;
use crate::store::model::counter_sampler::CounterSampler;
use crate::store::model::lifetime_sampler::LifetimeSampler;
use crate::store::model::minute_aggregator::MinuteAggregator;
use crate::store::model::record::Record;
use crate::store::model::sweep_record::SweepRecord;

/// Reports that may wait for the clock: 15 minutes of one bank with a summary every 2 s.
const MAX_WAITING: usize = 512;

#[derive(Debug, Default)]
pub(crate) struct BuiltRecords {
    pub(crate) entries: Vec<JournalEntry>,
    pub(crate) clock: Option<ClockChange>,
    /// Inputs dropped because too many wait for the clock.
    pub(crate) dropped: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum RecordInput {
    /// A reading of any kind.
    Report(Arc<BankReport>),
    /// A record, and when it was received: milliseconds since 1970, UTC.
    Record(Record, i64),
}

impl RecordInput {
    fn received_ms(&self) -> i64 {
        match self {
            Self::Report(report) => report.reading.taken_at.as_millisecond(),
            Self::Record(_, received_ms) => *received_ms,
        }
    }
}

/// Builds a record of each full sweep, minutes of all sweeps, and the records of slower samplers.
#[derive(Debug)]
pub(crate) struct RecordBuilder {
    gate: ClockGate<RecordInput>,
    minutes: MinuteAggregator,
    counters: CounterSampler,
    lifetimes: LifetimeSampler,
}

impl RecordBuilder {
    /// Times before `released_at_ms` (milliseconds since 1970, UTC) are wrong.
    #[must_use]
    pub(crate) fn new(released_at_ms: i64) -> Self {
        Self {
            gate: ClockGate::new(released_at_ms, MAX_WAITING),
            minutes: MinuteAggregator::for_run(fastrand::i64(1..)),
            counters: CounterSampler::default(),
            lifetimes: LifetimeSampler::default(),
        }
    }

    /// Builds the records of `inputs`, which may be empty: a minute ends by the clock as well.
    pub(crate) fn build(
        &mut self,
        now: ClockReading,
        inputs: impl IntoIterator<Item = RecordInput>,
    ) -> BuiltRecords {
        let timed = inputs.into_iter().map(|row| TimedRow { taken_at_ms: row.received_ms(), row });
        let passed = self.gate.pass(now, timed);
        let Self { minutes, counters, lifetimes, .. } = self;
        let records = passed.rows.into_iter().flat_map(|timed| records(minutes, counters, lifetimes, timed));
        let mut entries: Vec<JournalEntry> = records.filter_map(entry).collect();
        if self.gate.is_set(now) {
            entries.extend(minutes.close_finished(now.wall_ms).into_iter().map(with_time).filter_map(entry));
        }
        BuiltRecords { entries, clock: passed.clock, dropped: passed.dropped }
    }

    /// The wall-clock time, if it can be trusted to expire old rows.
    #[must_use]
    pub(crate) fn trusted_ms(&self, now: ClockReading) -> Option<i64> {
        self.gate.trusted_ms(now)
    }

    /// The current minutes, at shutdown.
    pub(crate) fn close(&mut self) -> Vec<JournalEntry> {
        self.minutes.close().into_iter().map(with_time).filter_map(entry).collect()
    }
}

/// The records of an input, each with the time by which it expires: an old event that clears and an old entry of a
/// battery's log count as new as the message about them.
fn records(
    minutes: &mut MinuteAggregator,
    counters: &mut CounterSampler,
    lifetimes: &mut LifetimeSampler,
    timed: TimedRow<RecordInput>,
) -> Vec<(i64, Record)> {
    let TimedRow { taken_at_ms, row } = timed;
    match row {
        RecordInput::Report(report) => {
            let report = with_corrected_time(taken_at_ms, report);
            let full = report.reading.kind == SweepKind::Full;
            let sweep = full.then(|| Record::Sweep(Box::new(SweepRecord::from_report(&report))));
            let slow = counters.sample(&report).into_iter().chain(lifetimes.sample(&report));
            sweep.into_iter().chain(minutes.add(&report)).chain(slow).map(with_time).collect()
        }
        RecordInput::Record(mut record, received_ms) => {
            record.shift(taken_at_ms.saturating_sub(received_ms));
            vec![(taken_at_ms, record)]
        }
    }
}

fn with_corrected_time(taken_at_ms: i64, report: Arc<BankReport>) -> Arc<BankReport> {
    match Timestamp::from_millisecond(taken_at_ms) {
        Ok(correct) if report.reading.taken_at.as_millisecond() != taken_at_ms => {
            let mut corrected = BankReport::clone(&report);
            corrected.reading.taken_at = correct;
            Arc::new(corrected)
        }
        _ => report,
    }
}

fn with_time(record: Record) -> (i64, Record) {
    (record.at_ms(), record)
}

fn entry((taken_at_ms, record): (i64, Record)) -> Option<JournalEntry> {
    let (kind, bank) = match &record {
        Record::Sweep(sweep) => ("sweep", &sweep.bank),
        Record::Minute(minute) => ("minute", &minute.bank),
        Record::Event(event) => ("event", &event.bank),
        Record::Log(entry) => ("log", &entry.bank),
        Record::Counter(counter) => ("counter", &counter.bank),
        Record::Lifetime(lifetime) => ("lifetime", &lifetime.bank),
    };
    // Every record can be encoded.
    let payload = record.to_bytes().ok()?;
    Some(JournalEntry { kind: kind.to_owned(), bank: bank.clone(), taken_at_ms, payload })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::model::place::Place;
    use crate::model::reading::{BankReading, BatteryReading, Presence};
    use crate::store::model::record::{CounterRecord, CounterScope, EventRecord};

    const RELEASED: i64 = 1_780_000_000_000;

    /// A report of a bank of one battery at `at_ms`.
    fn report(at_ms: i64) -> RecordInput {
        let battery = BatteryReading { presence: Presence::Present, ..BatteryReading::empty(Place::FIRST) };
        RecordInput::Report(Arc::new(BankReport::of_one(BankReading {
            bank: Arc::from("bank"),
            kind: SweepKind::Summary,
            taken_at: Timestamp::from_millisecond(at_ms).expect("a time"),
            began: Instant::now(),
            took: Duration::ZERO,
            asked_again: 0,
            stack: None,
            batteries: vec![battery],
            facts: Vec::new(),
            unreadable_facts: Vec::new(),
            answered: Vec::new(),
            device_log: Vec::new(),
            missing: Vec::new(),
        })))
    }

    fn minutes(built: &BuiltRecords) -> Vec<crate::store::model::record::MinuteRecord> {
        let records = built.entries.iter().map(|entry| Record::from_bytes(&entry.payload).expect("a record"));
        let minute = |record| if let Record::Minute(minute) = record { Some(*minute) } else { None };
        records.filter_map(minute).collect()
    }

    #[test]
    fn the_clock_closes_the_last_minute_of_a_silent_bank() {
        let start = RELEASED - RELEASED.rem_euclid(60_000) + 86_400_000;
        let (mut builder, monotonic) = (RecordBuilder::new(RELEASED), Instant::now());
        let look = |ms: i64| ClockReading {
            monotonic: monotonic + Duration::from_millis(ms.unsigned_abs()),
            wall_ms: start + ms,
        };
        for ms in [10_000, 20_000, 59_000] {
            assert_eq!(minutes(&builder.build(look(ms), [report(start + ms)])).len(), 0);
        }
        assert_eq!(minutes(&builder.build(look(75_000), [])).len(), 0, "a sweep may still be on its way");
        let closed = minutes(&builder.build(look(91_000), []));
        let found: Vec<_> = closed.iter().map(|m| (m.place, m.started_at_ms, m.sums.samples)).collect();
        assert_eq!(found, [(None, start, 3), (Some(1), start, 3)]);
        assert_eq!(minutes(&builder.build(look(95_000), [])).len(), 0, "once");
        // A clock that was set back would leave the minute open until it comes by again.
        builder.build(look(100_000), [report(start + 100_000)]);
        let back = ClockReading { monotonic: look(105_000).monotonic, wall_ms: start - 3_600_000 };
        assert_eq!(minutes(&builder.build(back, [])).len(), 2);
    }

    #[test]
    fn clearing_before_the_clock_is_set_keeps_the_raise_time() {
        let (mut builder, monotonic) = (RecordBuilder::new(RELEASED), Instant::now());
        let event = EventRecord {
            bank: "bank".into(),
            place: Some(1),
            barcode: None,
            word: "power".into(),
            bit: 2,
            raised_at_ms: RELEASED + 1_000,
            cleared_at_ms: Some(5_000),
            level: "warning".into(),
            text: "High voltage alarm".into(),
        };
        let look =
            |ms: u64, wall_ms| ClockReading { monotonic: monotonic + Duration::from_millis(ms), wall_ms };
        let row = RecordInput::Record(Record::Event(Box::new(event)), 5_000);
        assert_eq!(builder.build(look(0, 5_000), [row]).entries.len(), 0, "the clock is not set");
        let set = RELEASED + 3_600_000;
        let built = builder.build(look(10_000, set), []);
        let records = built.entries.iter().map(|entry| Record::from_bytes(&entry.payload).expect("a record"));
        let times = |record| match record {
            Record::Event(event) => (event.raised_at_ms, event.cleared_at_ms),
            other => panic!("{other:?}"),
        };
        let found: Vec<_> = records.map(times).collect();
        assert_eq!(found, [(RELEASED + 1_000, Some(set - 10_000))]);
    }

    #[test]
    fn a_late_record_expires_by_its_receipt_time() {
        let received_ms = RELEASED + 1_000;
        let (bank, name) = ("bank".to_owned(), "charged_mwh".to_owned());
        let long_ago = CounterRecord {
            bank,
            scope: CounterScope::Bank,
            name,
            value: 1,
            taken_at_ms: RELEASED - 90 * 86_400_000,
        };
        let row = RecordInput::Record(Record::Counter(Box::new(long_ago)), received_ms);
        let now = ClockReading { monotonic: Instant::now(), wall_ms: received_ms };
        let built = RecordBuilder::new(RELEASED).build(now, [row]);
        assert_eq!(built.entries.iter().map(|entry| entry.taken_at_ms).collect::<Vec<_>>(), [received_ms]);
    }
}
