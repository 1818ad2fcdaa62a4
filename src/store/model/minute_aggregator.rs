//! Aggregates the sweeps of each minute into one record.
//!
//! Minutes are aggregated in memory instead of updating three roll-up tables with every sweep, which would wear out a
//! flash card. A kill loses the roll-up of the current minute; its full readings are stored all the same.
//!
//! A minute may come in several parts: if the service was restarted during it, or the clock was set back. Each run of
//! the service numbers its parts, so a part that is delivered twice counts once.
//!
//! ```text
//! every sweep ─► MinuteAggregator ─minute is over─► MinuteRecord ─► rollup_minute, merged into rollup_hour and rollup_day
//! ```

use std::collections::BTreeMap;
use std::mem;

#[cfg(feature = "internals")]
use crate::model::reading::SweepKind;
use crate::model::reading::{BatteryReading, Presence};
use crate::model::report::BankReport;
use crate::model::statistics::BatteryStatistics;
use crate::store::model::record::{MinutePart, MinuteRecord, Record};
use crate::store::model::sums::RollupSums;
#[cfg(feature = "internals")]
use crate::store::model::sweep_record::SweepRecord;
use crate::store::model::sweep_record::{extremes, permille};
use crate::store::text::{self, bounded};

/// A minute, an hour and a day in milliseconds.
pub(crate) const SPANS: [i64; 3] = [60_000, 3_600_000, 86_400_000];

/// The clock closes a minute only this long after its end, because a sweep takes time.
const GRACE_MS: i64 = 30_000;

/// The current minute of each bank and each of its batteries.
#[derive(Debug, Default)]
pub struct MinuteAggregator {
    open: BTreeMap<(String, Option<u8>), MinuteRecord>,
    /// The last part; `None` if parts are not numbered.
    last_part: Option<MinutePart>,
}

impl MinuteAggregator {
    /// An aggregator that numbers its parts; `run` must be unique.
    #[must_use]
    pub fn for_run(run: i64) -> Self {
        Self { last_part: Some(MinutePart { run, number: 0 }), ..Self::default() }
    }

    /// All records of a report: the minutes that it completes, and the sweep if it is a full one. Summaries are in
    /// roll-ups only.
    #[cfg(feature = "internals")]
    pub fn records(&mut self, report: &BankReport) -> Vec<Record> {
        let mut records = self.add(report);
        if report.reading.kind == SweepKind::Full {
            records.push(Record::Sweep(Box::new(SweepRecord::from_report(report))));
        }
        records
    }

    /// Adds a sweep of any kind; returns the minutes that it completes.
    pub fn add(&mut self, report: &BankReport) -> Vec<Record> {
        let bank = bounded(&report.reading.bank, 64);
        let at = report.reading.taken_at.as_millisecond();
        let mut finished = Vec::new();
        let bank_sums = bank_sums(report);
        self.add_sums((bank.clone(), None), None, at, &bank_sums, &mut finished);
        for (index, battery) in report.reading.batteries.iter().enumerate() {
            if battery.presence != Presence::Present {
                continue;
            }
            let statistics = report.statistics.batteries.get(index).copied().unwrap_or_default();
            let facts = report.facts.get(index);
            let mut sums = battery_sums(battery, &statistics);
            sums.soh_percent = facts.and_then(|facts| facts.soh).map(|soh| soh.0);
            sums.cycles = facts.and_then(|facts| facts.cycles);
            let barcode = facts.and_then(|facts| facts.barcode.as_deref()).map(text::barcode);
            let barcode = barcode.filter(|barcode| !barcode.is_empty());
            self.add_sums((bank.clone(), Some(battery.place.number())), barcode, at, &sums, &mut finished);
        }
        finished
    }

    /// Adds the values of one sweep; the minute that they complete goes to `finished`.
    pub(crate) fn add_sums(
        &mut self,
        key: (String, Option<u8>),
        barcode: Option<String>,
        at: i64,
        sums: &RollupSums,
        finished: &mut Vec<Record>,
    ) {
        let started_at_ms = at - at.rem_euclid(SPANS[0]);
        let new = || MinuteRecord {
            bank: key.0.clone(),
            place: key.1,
            barcode: barcode.clone(),
            started_at_ms,
            first_ms: at,
            last_ms: at,
            sums: RollupSums::default(),
            part: None,
        };
        let open = self.open.entry(key.clone()).or_insert_with(new);
        // A barcode that has just become known belongs to the same battery; any other change means another battery. A
        // sweep that is not later than the last came after a clock step, and starts a part of its own.
        let same = open.barcode == barcode || (open.barcode.is_none() && barcode.is_some());
        let goes_on = open.sums.samples == 0 || at > open.last_ms;
        if !(same && goes_on && open.started_at_ms == started_at_ms) {
            finished.push(number_part(&mut self.last_part, mem::replace(open, new())));
        }
        open.barcode = barcode;
        open.last_ms = at;
        open.sums.merge(sums);
    }

    /// Returns the minutes that are over at `now_ms` (milliseconds since 1970, UTC), for a bank that has stopped
    /// responding; also those that a clock set back has left in the future.
    pub fn close_finished(&mut self, now_ms: i64) -> Vec<Record> {
        let is_current = |minute: &MinuteRecord| {
            let (start, end) = (minute.started_at_ms, minute.started_at_ms.saturating_add(SPANS[0]));
            (start..end.saturating_add(GRACE_MS)).contains(&now_ms)
        };
        let finished: Vec<_> =
            self.open.iter().filter(|(_, minute)| !is_current(minute)).map(|(key, _)| key.clone()).collect();
        let finished = finished.iter().filter_map(|key| self.open.remove(key));
        finished.map(|minute| number_part(&mut self.last_part, minute)).collect()
    }

    /// Returns all current minutes, at shutdown.
    pub fn close(&mut self) -> Vec<Record> {
        mem::take(&mut self.open)
            .into_values()
            .map(|minute| number_part(&mut self.last_part, minute))
            .collect()
    }
}

/// The minute with the next part number.
fn number_part(last: &mut Option<MinutePart>, minute: MinuteRecord) -> Record {
    if let Some(last) = last {
        last.number += 1;
    }
    Record::Minute(Box::new(MinuteRecord { part: *last, ..minute }))
}

fn bank_sums(report: &BankReport) -> RollupSums {
    let statistics = &report.statistics;
    let mut sums = RollupSums::of_one_sweep();
    sums.voltage(statistics.voltage.map(|v| v.0));
    sums.current(statistics.current.map(|c| c.0));
    sums.temperature(statistics.temperature.map(|t| t.0));
    sums.soc(permille(statistics.soc));
    sums.power(statistics.power.map(|p| p.0));
    sums.cells(extremes(&statistics.cells));
    sums
}

fn battery_sums(battery: &BatteryReading, statistics: &BatteryStatistics) -> RollupSums {
    let measured = &battery.measured;
    let mut sums = RollupSums::of_one_sweep();
    sums.voltage(measured.voltage.map(|v| v.0));
    sums.current(measured.current.map(|c| c.0));
    sums.temperature(measured.temperature.map(|t| t.0));
    sums.soc(measured.soc.map(|soc| soc.0.saturating_mul(10)));
    sums.power(statistics.power.map(|p| p.0));
    let own = extremes(&statistics.cells);
    let table = [
        measured.cell_voltage_low.map(|v| v.0),
        measured.cell_voltage_high.map(|v| v.0),
        measured.cell_temperature_low.map(|t| t.0),
        measured.cell_temperature_high.map(|t| t.0),
    ];
    sums.cells([0, 1, 2, 3].map(|at: usize| own[at].or(table[at])));
    sums
}
