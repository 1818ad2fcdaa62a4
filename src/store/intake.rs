//! From reports to rows: what is kept of each, under its right time. Pure: both clocks are handed in.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::reading::SweepKind;
use crate::model::report::BankReport;
use crate::store::clock_gate::{ClockGate, ClockNews, Moment, Timed};
use crate::store::journal::Entry;
use crate::store::{Minutes, Record, Sweep};

/// Reports that may wait for the clock: a quarter of an hour of one bank with summaries each 2 s.
const MOST_WAITING: usize = 512;

/// What came of a report.
#[derive(Debug, Default)]
pub struct Taken {
    /// What is to be kept, in order.
    pub entries: Vec<Entry>,
    /// What is to be said of the clock.
    pub news: Option<ClockNews>,
    /// Reports that were dropped, since too many wait for the clock.
    pub dropped: u64,
}

/// What is to be kept, as it came.
#[derive(Clone, Debug)]
pub enum Row {
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
pub struct Intake {
    gate: ClockGate<Row>,
    minutes: Minutes,
}

impl Intake {
    /// Nothing stored before `made_at_ms` (milliseconds since 1970, UTC) can have a right time.
    #[must_use]
    pub fn new(made_at_ms: i64) -> Self {
        Self { gate: ClockGate::new(made_at_ms, MOST_WAITING), minutes: Minutes::default() }
    }

    /// Takes what came, or just looks at the clocks.
    pub fn take(&mut self, now: Moment, rows: impl IntoIterator<Item = Row>) -> Taken {
        let timed = rows.into_iter().map(|row| Timed { taken_at_ms: row.came_ms(), row });
        let passed = self.gate.pass(now, timed);
        let records = passed.rows.into_iter().flat_map(|timed| records(&mut self.minutes, timed));
        let entries = records.filter_map(entry).collect();
        Taken { entries, news: passed.news, dropped: passed.dropped }
    }

    /// The time by the wall clock, where it can be trusted with giving up what is old.
    #[must_use]
    pub fn trusted_ms(&self, now: Moment) -> Option<i64> {
        self.gate.trusted_ms(now)
    }

    /// The minutes in hand: the service ends.
    pub fn close(&mut self) -> Vec<Entry> {
        self.minutes.close().into_iter().filter_map(entry).collect()
    }
}

/// What is kept of a row, under its right time.
fn records(minutes: &mut Minutes, timed: Timed<Row>) -> Vec<Record> {
    let Timed { taken_at_ms, row } = timed;
    match row {
        Row::Report(report) => {
            let report = at(taken_at_ms, report);
            let full = report.reading.kind == SweepKind::Full;
            let sweep = full.then(|| Record::Sweep(Box::new(Sweep::of(&report))));
            sweep.into_iter().chain(minutes.take(&report)).collect()
        }
        Row::Record(mut record, came_ms) => {
            record.shift(taken_at_ms.saturating_sub(came_ms));
            vec![record]
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

fn entry(record: Record) -> Option<Entry> {
    let (kind, bank) = match &record {
        Record::Sweep(sweep) => ("sweep", &sweep.bank),
        Record::Minute(minute) => ("minute", &minute.bank),
        Record::Event(event) => ("event", &event.bank),
        Record::Log(entry) => ("log", &entry.bank),
        Record::Counter(counter) => ("counter", &counter.bank),
    };
    // Every record has bytes.
    let payload = record.to_bytes().ok()?;
    Some(Entry { kind: kind.to_owned(), bank: bank.clone(), taken_at_ms: record.at_ms(), payload })
}
