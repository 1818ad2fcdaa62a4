//! From reports to rows: what is kept of each, under its right time. Pure: both clocks are handed in.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::reading::SweepKind;
use crate::model::report::BankReport;
use crate::store::clock_gate::{ClockGate, ClockNews, Moment, Timed};
use crate::store::counting::Counting;
use crate::store::journal::Entry;
use crate::store::lifetime::LifetimeLog;
use crate::store::{Minutes, Record, Sweep};

/// Reports that may wait for the clock: a quarter of an hour of one bank with summaries each 2 s.
const MOST_WAITING: usize = 512;

/// What came of a report.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// What is to be kept, in order.
    pub(crate) entries: Vec<Entry>,
    /// What is to be said of the clock.
    pub(crate) news: Option<ClockNews>,
    /// Reports that were dropped, since too many wait for the clock.
    pub(crate) dropped: u64,
}

/// What is to be kept, as it came.
#[derive(Clone, Debug)]
pub(crate) enum Row {
    /// A reading of any kind.
    Report(Arc<BankReport>),
    /// What is a record already, and when we learned of it: milliseconds since 1970, UTC.
    Record(Record, i64),
}

impl Row {
    fn came_ms(&self) -> i64 {
        match self {
            Self::Report(report) => report.reading.taken_at.as_millisecond(),
            Self::Record(_, came_ms) => *came_ms,
        }
    }
}

/// Turns what comes into rows: full readings by themselves, all readings as minutes, events and memories as they are.
#[derive(Debug)]
pub(crate) struct Intake {
    gate: ClockGate<Row>,
    minutes: Minutes,
    counting: Counting,
    lifetimes: LifetimeLog,
}

impl Intake {
    /// Nothing stored before `made_at_ms` (milliseconds since 1970, UTC) can have a right time.
    #[must_use]
    pub(crate) fn new(made_at_ms: i64) -> Self {
        Self {
            gate: ClockGate::new(made_at_ms, MOST_WAITING),
            minutes: Minutes::of_run(fastrand::i64(1..)),
            counting: Counting::default(),
            lifetimes: LifetimeLog::default(),
        }
    }

    /// Takes what came, or just looks at the clocks: a minute that is over is over also when nothing comes.
    pub(crate) fn take(&mut self, now: Moment, rows: impl IntoIterator<Item = Row>) -> Taken {
        let timed = rows.into_iter().map(|row| Timed { taken_at_ms: row.came_ms(), row });
        let passed = self.gate.pass(now, timed);
        let Self { minutes, counting, lifetimes, .. } = self;
        let records = passed.rows.into_iter().flat_map(|timed| records(minutes, counting, lifetimes, timed));
        let mut entries: Vec<Entry> = records.filter_map(entry).collect();
        if self.gate.is_set(now) {
            entries.extend(minutes.close_over(now.wall_ms).into_iter().map(dated).filter_map(entry));
        }
        Taken { entries, news: passed.news, dropped: passed.dropped }
    }

    /// The time by the wall clock, where it can be trusted with giving up what is old.
    #[must_use]
    pub(crate) fn trusted_ms(&self, now: Moment) -> Option<i64> {
        self.gate.trusted_ms(now)
    }

    /// The minutes in hand: the service ends.
    pub(crate) fn close(&mut self) -> Vec<Entry> {
        self.minutes.close().into_iter().map(dated).filter_map(entry).collect()
    }
}

/// What is kept of a row, under its right time, with when it came: an old condition that ends and an old record of a
/// battery's memory are as new as what tells of them.
fn records(
    minutes: &mut Minutes,
    counting: &mut Counting,
    lifetimes: &mut LifetimeLog,
    timed: Timed<Row>,
) -> Vec<(i64, Record)> {
    let Timed { taken_at_ms, row } = timed;
    match row {
        Row::Report(report) => {
            let report = at(taken_at_ms, report);
            let full = report.reading.kind == SweepKind::Full;
            let sweep = full.then(|| Record::Sweep(Box::new(Sweep::of(&report))));
            let slow = counting.take(&report).into_iter().chain(lifetimes.take(&report));
            sweep.into_iter().chain(minutes.take(&report)).chain(slow).map(dated).collect()
        }
        Row::Record(mut record, came_ms) => {
            record.shift(taken_at_ms.saturating_sub(came_ms));
            vec![(taken_at_ms, record)]
        }
    }
}

/// The report under its right time.
fn at(taken_at_ms: i64, report: Arc<BankReport>) -> Arc<BankReport> {
    match Timestamp::from_millisecond(taken_at_ms) {
        Ok(right) if report.reading.taken_at.as_millisecond() != taken_at_ms => {
            let mut corrected = BankReport::clone(&report);
            corrected.reading.taken_at = right;
            Arc::new(corrected)
        }
        _ => report,
    }
}

/// A reading or a mean with the time it is of.
fn dated(record: Record) -> (i64, Record) {
    (record.at_ms(), record)
}

fn entry((taken_at_ms, record): (i64, Record)) -> Option<Entry> {
    let (kind, bank) = match &record {
        Record::Sweep(sweep) => ("sweep", &sweep.bank),
        Record::Minute(minute) => ("minute", &minute.bank),
        Record::Event(event) => ("event", &event.bank),
        Record::Log(entry) => ("log", &entry.bank),
        Record::Counter(counter) => ("counter", &counter.bank),
        Record::Lifetime(lifetime) => ("lifetime", &lifetime.bank),
    };
    // Every record has bytes.
    let payload = record.to_bytes().ok()?;
    Some(Entry { kind: kind.to_owned(), bank: bank.clone(), taken_at_ms, payload })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::model::place::Place;
    use crate::model::reading::{BankReading, BatteryReading, Presence};
    use crate::store::record::{Counter, Event, Whose};

    const MADE: i64 = 1_780_000_000_000;

    /// A report of a bank of one battery at `at_ms`.
    fn report(at_ms: i64) -> Row {
        let battery = BatteryReading { presence: Presence::Present, ..BatteryReading::empty(Place::FIRST) };
        Row::Report(Arc::new(BankReport::of_one(BankReading {
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

    fn minutes(taken: &Taken) -> Vec<crate::store::Minute> {
        let records = taken.entries.iter().map(|entry| Record::from_bytes(&entry.payload).expect("a record"));
        let minute = |record| if let Record::Minute(minute) = record { Some(*minute) } else { None };
        records.filter_map(minute).collect()
    }

    #[test]
    fn the_last_minute_of_a_bank_that_falls_silent_is_closed_by_the_clock() {
        let start = MADE - MADE.rem_euclid(60_000) + 86_400_000;
        let (mut intake, monotonic) = (Intake::new(MADE), Instant::now());
        let look = |ms: i64| Moment {
            monotonic: monotonic + Duration::from_millis(ms.unsigned_abs()),
            wall_ms: start + ms,
        };
        for ms in [10_000, 20_000, 59_000] {
            assert_eq!(minutes(&intake.take(look(ms), [report(start + ms)])).len(), 0);
        }
        assert_eq!(minutes(&intake.take(look(75_000), [])).len(), 0, "a sweep may still be on its way");
        let closed = minutes(&intake.take(look(91_000), []));
        let found: Vec<_> = closed.iter().map(|m| (m.place, m.started_at_ms, m.sums.samples)).collect();
        assert_eq!(found, [(None, start, 3), (Some(1), start, 3)]);
        assert_eq!(minutes(&intake.take(look(95_000), [])).len(), 0, "once");
        // A clock that was set back would leave the minute open until it comes by again.
        intake.take(look(100_000), [report(start + 100_000)]);
        let back = Moment { monotonic: look(105_000).monotonic, wall_ms: start - 3_600_000 };
        assert_eq!(minutes(&intake.take(back, [])).len(), 2);
    }

    #[test]
    fn an_end_before_the_clock_is_set_leaves_the_beginning_before_a_restart_as_it_was() {
        let (mut intake, monotonic) = (Intake::new(MADE), Instant::now());
        let event = Event {
            bank: "bank".into(),
            place: Some(1),
            barcode: None,
            word: "power".into(),
            bit: 2,
            raised_at_ms: MADE + 1_000,
            cleared_at_ms: Some(5_000),
            level: "warning".into(),
            text: "High voltage alarm".into(),
        };
        let look = |ms: u64, wall_ms| Moment { monotonic: monotonic + Duration::from_millis(ms), wall_ms };
        let row = Row::Record(Record::Event(Box::new(event)), 5_000);
        assert_eq!(intake.take(look(0, 5_000), [row]).entries.len(), 0, "the clock is not set");
        let set = MADE + 3_600_000;
        let taken = intake.take(look(10_000, set), []);
        let records = taken.entries.iter().map(|entry| Record::from_bytes(&entry.payload).expect("a record"));
        let times = |record| match record {
            Record::Event(event) => (event.raised_at_ms, event.cleared_at_ms),
            other => panic!("{other:?}"),
        };
        let found: Vec<_> = records.map(times).collect();
        assert_eq!(found, [(MADE + 1_000, Some(set - 10_000))]);
    }

    #[test]
    fn what_is_told_of_long_ago_is_as_new_as_the_telling() {
        let came_ms = MADE + 1_000;
        let (bank, name) = ("bank".to_owned(), "charged_mwh".to_owned());
        let long_ago =
            Counter { bank, whose: Whose::Bank, name, value: 1, taken_at_ms: MADE - 90 * 86_400_000 };
        let row = Row::Record(Record::Counter(Box::new(long_ago)), came_ms);
        let now = Moment { monotonic: Instant::now(), wall_ms: came_ms };
        let taken = Intake::new(MADE).take(now, [row]);
        assert_eq!(taken.entries.iter().map(|entry| entry.taken_at_ms).collect::<Vec<_>>(), [came_ms]);
    }
}
