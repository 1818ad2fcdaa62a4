//! Roll-ups: what the sweeps of a minute, an hour, a day amount to.
//!
//! ```text
//! every sweep ─► Minutes (memory) ─a minute is over─► Minute ─► rollup_minute, merged into rollup_hour and rollup_day
//! ```
//! Minutes are summed up in memory rather than updated sweep by sweep: five sweeps in ten seconds would write three
//! tables' pages each time, most of what a flash card may bear in a day. A kill costs the minute in hand, whose full
//! readings are history all the same.
//!
//! A minute may come in several parts: the service was restarted in it, or the clock was set back. Each run of the
//! service numbers its parts, so one that is delivered twice counts once.

use std::collections::BTreeMap;
use std::mem;

use serde::{Deserialize, Serialize};

use crate::model::reading::{BatteryReading, Presence, SweepKind};
use crate::model::report::BankReport;
use crate::model::statistics::BatteryStatistics;
use crate::store::record::{Record, Sweep, extremes, permille};
use crate::store::sums::Sums;
use crate::store::text::{self, bounded};

/// A minute, an hour and a day in milliseconds.
pub(super) const SPANS: [i64; 3] = [60_000, 3_600_000, 86_400_000];

/// What the sweeps of one minute amount to, of a bank or of a battery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minute {
    /// The bank's name.
    pub(crate) bank: String,
    /// The battery's place; none for the bank itself.
    pub(crate) place: Option<u8>,
    /// The battery's barcode, where known.
    pub(crate) barcode: Option<String>,
    /// When the minute began, in milliseconds since 1970, UTC.
    pub(crate) started_at_ms: i64,
    /// When the first of the sweeps was taken.
    pub(crate) first_ms: i64,
    /// When the last of them was taken.
    pub(crate) last_ms: i64,
    /// What they amount to.
    pub(crate) sums: Sums,
    /// Which part it is. Records of earlier versions have none: of those, one that does not begin later than what is
    /// stored ended is one seen before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) part: Option<MinutePart>,
}

/// A part among all that a run of the service has stored, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinutePart {
    /// The run, a number that no other has.
    pub(crate) run: i64,
    /// From 1 on.
    pub(crate) number: i64,
}

/// A minute is not closed by the clock before it is over for so long: a sweep takes its time.
const GRACE_MS: i64 = 30_000;

/// The minutes in hand: of each bank and each of its batteries.
#[derive(Debug, Default)]
pub struct Minutes {
    open: BTreeMap<(String, Option<u8>), Minute>,
    /// The last part; none where parts are not numbered.
    last: Option<MinutePart>,
}

impl Minutes {
    /// For a run of the service, which numbers its parts. The number of the run must be unique.
    #[must_use]
    pub fn of_run(run: i64) -> Self {
        Self { last: Some(MinutePart { run, number: 0 }), ..Self::default() }
    }

    /// What a report becomes in a store: the minutes that it ends, then itself where it is a full sweep. Summaries are
    /// in roll-ups alone.
    pub fn records(&mut self, report: &BankReport) -> Vec<Record> {
        let mut records = self.take(report);
        if report.reading.kind == SweepKind::Full {
            records.push(Record::Sweep(Box::new(Sweep::of(report))));
        }
        records
    }

    /// Takes a sweep of any kind; gives back the minutes that are over.
    pub fn take(&mut self, report: &BankReport) -> Vec<Record> {
        let bank = bounded(&report.reading.bank, 64);
        let at = report.reading.taken_at.as_millisecond();
        let mut over = Vec::new();
        let bank_sums = of_bank(report);
        self.add((bank.clone(), None), None, at, &bank_sums, &mut over);
        for (index, battery) in report.reading.batteries.iter().enumerate() {
            if battery.presence != Presence::Present {
                continue;
            }
            let statistics = report.statistics.batteries.get(index).copied().unwrap_or_default();
            let facts = report.facts.get(index);
            let mut sums = of_battery(battery, &statistics);
            sums.soh_percent = facts.and_then(|facts| facts.soh).map(|soh| soh.0);
            sums.cycles = facts.and_then(|facts| facts.cycles);
            let barcode = facts.and_then(|facts| facts.barcode.as_deref()).map(text::barcode);
            let barcode = barcode.filter(|barcode| !barcode.is_empty());
            self.add((bank.clone(), Some(battery.place.number())), barcode, at, &sums, &mut over);
        }
        over
    }

    /// Takes one set of values; what it does not belong to any more goes to `over`.
    pub(super) fn add(
        &mut self,
        key: (String, Option<u8>),
        barcode: Option<String>,
        at: i64,
        sums: &Sums,
        over: &mut Vec<Record>,
    ) {
        let started_at_ms = at - at.rem_euclid(SPANS[0]);
        let fresh = || Minute {
            bank: key.0.clone(),
            place: key.1,
            barcode: barcode.clone(),
            started_at_ms,
            first_ms: at,
            last_ms: at,
            sums: Sums::default(),
            part: None,
        };
        let open = self.open.entry(key.clone()).or_insert_with(fresh);
        // A barcode that has just become known is the same battery's; any other change is another battery's. A sweep
        // that is not later than the last came after a step of the clock, and begins a part of its own.
        let same = open.barcode == barcode || (open.barcode.is_none() && barcode.is_some());
        let goes_on = open.sums.samples == 0 || at > open.last_ms;
        if !(same && goes_on && open.started_at_ms == started_at_ms) {
            over.push(numbered(&mut self.last, mem::replace(open, fresh())));
        }
        open.barcode = barcode;
        open.last_ms = at;
        open.sums.merge(sums);
    }

    /// Gives back what is over at `now_ms` (milliseconds since 1970, UTC), and what a clock that was set back has left
    /// in the future: a bank that has fallen silent sends nothing that would close it.
    pub(crate) fn close_over(&mut self, now_ms: i64) -> Vec<Record> {
        let runs = |minute: &Minute| {
            let (begin, end) = (minute.started_at_ms, minute.started_at_ms.saturating_add(SPANS[0]));
            (begin..end.saturating_add(GRACE_MS)).contains(&now_ms)
        };
        let over: Vec<_> =
            self.open.iter().filter(|(_, minute)| !runs(minute)).map(|(key, _)| key.clone()).collect();
        let over = over.iter().filter_map(|key| self.open.remove(key));
        over.map(|minute| numbered(&mut self.last, minute)).collect()
    }

    /// Gives back all that is in hand: the service ends.
    pub fn close(&mut self) -> Vec<Record> {
        mem::take(&mut self.open).into_values().map(|minute| numbered(&mut self.last, minute)).collect()
    }
}

/// The minute as the next part.
fn numbered(last: &mut Option<MinutePart>, minute: Minute) -> Record {
    if let Some(last) = last {
        last.number += 1;
    }
    Record::Minute(Box::new(Minute { part: *last, ..minute }))
}

fn of_bank(report: &BankReport) -> Sums {
    let statistics = &report.statistics;
    let mut sums = Sums::sample();
    sums.voltage(statistics.voltage.map(|v| v.0));
    sums.current(statistics.current.map(|c| c.0));
    sums.temperature(statistics.temperature.map(|t| t.0));
    sums.soc(permille(statistics.soc));
    sums.power(statistics.power.map(|p| p.0));
    sums.cells(extremes(&statistics.cells));
    sums
}

fn of_battery(battery: &BatteryReading, statistics: &BatteryStatistics) -> Sums {
    let measured = &battery.measured;
    let mut sums = Sums::sample();
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
