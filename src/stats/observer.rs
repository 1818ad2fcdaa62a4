//! Samples each battery about once a minute and updates its health model, cycles and weekly means.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::facts::Facts;
use crate::model::health::BatteryHealth;
use crate::model::identity::Identity;
use crate::model::place::Place;
use crate::model::reading::{BankReading, BatteryReading, CellReading, Presence, SweepKind};
use crate::model::statistics::BankStatistics;
use crate::model::trend::TrendMetric;
use crate::model::units::{Millivolts, Percent};
use crate::stats::cycle::CycleSample;
use crate::stats::health::{
    FOLLOWED, HealthInput, HealthSample, MeasuredCapacity, STEEP_ABOVE, STEEP_BELOW, assess,
};
use crate::stats::ledger::{BatteryBook, Ledger};

/// Minimum time between two samples of a battery.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(55);

#[derive(Clone, Debug, Default)]
pub(crate) struct HealthObserver {
    sampled: BTreeMap<Place, Instant>,
    /// The last assessment; it does not change between two full sweeps.
    health: BTreeMap<Place, (Identity, BatteryHealth)>,
    /// The number of cells in the last reading of each battery.
    cell_counts: BTreeMap<Place, usize>,
    /// The capacity that each battery states.
    measured: BTreeMap<Place, (Identity, MeasuredCapacity)>,
}

impl HealthObserver {
    /// Updates the ledger from a reading.
    pub(crate) fn observe<'a>(
        &mut self,
        reading: &BankReading,
        statistics: &BankStatistics,
        facts: &[Facts],
        identity: impl Fn(Place) -> Option<&'a Identity>,
        ledger: &mut Ledger,
    ) {
        let at = reading.taken_at.as_second();
        let shared = shared(reading, statistics, facts);
        for (battery, facts) in reading.batteries.iter().zip(facts) {
            if battery.presence != Presence::Present {
                continue;
            }
            let Some(identity) = identity(battery.place) else { continue };
            let book = ledger.battery(identity);
            book.last_seen = at;
            let soc = battery.measured.soc;
            let (known, measured) =
                self.measured.entry(battery.place).or_insert_with(|| (identity.clone(), Default::default()));
            if known != identity {
                (*known, *measured) = (identity.clone(), MeasuredCapacity::default());
            }
            soc.into_iter().for_each(|soc| measured.take(facts, soc.0));
            let held = soc.and_then(|soc| {
                let (account, full, capacity) = (&book.account, is_full(battery), capacity(facts));
                let ends = ends(battery, facts);
                book.cycles.note(&CycleSample { account, soc, full, capacity, ends, at })
            });
            if let Some(held) = held {
                book.weeks.note(at, TrendMetric::Capacity, held / 1_000.0);
            }
            if reading.kind == SweepKind::Full {
                self.sample(battery, facts, shared, (reading.began, at), book);
            }
        }
        if let Some(soc) = statistics.soc {
            let ends = installed(reading, facts).map(|(battery, facts)| ends(battery, facts));
            let ends = ends.fold((false, false), |all, own| (all.0 || own.0, all.1 || own.1));
            let (soc, capacity) = (Percent(soc.round() as i32), bank_capacity(reading, facts));
            ledger.cycles.note(&CycleSample { account: &ledger.bank, soc, full: false, capacity, ends, at });
        }
    }

    fn sample(
        &mut self,
        battery: &BatteryReading,
        facts: &Facts,
        shared: Option<SharedCurrent>,
        (began, at): (Instant, i64),
        book: &mut BatteryBook,
    ) {
        let Some(cells) =
            battery.cells.as_ref().filter(|cells| self.is_count_certain(battery.place, cells, book))
        else {
            return;
        };
        let measured = &battery.measured;
        let (Some(current), Some(soc), Some(capacity)) = (measured.current, measured.soc, capacity(facts))
        else {
            return;
        };
        let before = self.sampled.get(&battery.place);
        let since = before.map_or(Duration::ZERO, |before| began.saturating_duration_since(*before));
        if before.is_some() && since < SAMPLE_INTERVAL {
            return;
        }
        self.sampled.insert(battery.place, began);
        let before = book.learned.seen();
        let spreads = book.learned.take(&HealthSample {
            cells,
            current: current.amperes(),
            capacity,
            soc: soc.percent(),
            seconds: since.as_secs_f64(),
            bank: shared.map(|shared| (shared.current, capacity / shared.capacity)),
        });
        let soh = facts.soh.map(|soh| f64::from(soh.0));
        let [rest, load] = spreads;
        let seen =
            [(TrendMetric::Soh, soh), (TrendMetric::SpreadRest, rest), (TrendMetric::SpreadLoad, load)];
        // Without new data, an old value would look like a stable one.
        let fresh = book.learned.seen().into_iter().zip(before).map(|(seen, before)| seen > before);
        let learned = book.learned.followed(capacity).into_iter().zip(fresh);
        let learned = learned.map(|(value, fresh)| value.filter(|_| fresh));
        for (figure, value) in seen.into_iter().chain(FOLLOWED.into_iter().zip(learned)) {
            value.into_iter().for_each(|value| book.weeks.note(at, figure, value));
        }
    }

    /// Whether the number of cells is certain. A different number resets the health model, so a single table without
    /// its last row must not count.
    fn is_count_certain(&mut self, place: Place, cells: &[CellReading], book: &BatteryBook) -> bool {
        let before = self.cell_counts.insert(place, cells.len());
        before == Some(cells.len()) || book.learned.cells().is_none_or(|known| known == cells.len())
    }

    /// Returns the health of a battery, assessed again if `is_new` data arrived.
    pub(crate) fn health(
        &mut self,
        battery: &BatteryReading,
        facts: &Facts,
        (identity, book): (&Identity, &BatteryBook),
        at: i64,
        is_new: bool,
    ) -> BatteryHealth {
        let known = self.health.get(&battery.place).filter(|(other, _)| other == identity && !is_new);
        if let Some((_, health)) = known {
            return health.clone();
        }
        let own = self.measured.get(&battery.place).filter(|(other, _)| other == identity);
        // It is unknown if the battery no longer states it.
        let measured =
            own.and_then(|(_, measured)| measured.confirmed()).filter(|_| facts.lifetime.is_some());
        let (cycles, weeks) = (&book.cycles, &book.weeks);
        let health = assess(&book.learned, &HealthInput { battery, facts, cycles, weeks, measured, at });
        self.health.insert(battery.place, (identity.clone(), health.clone()));
        health
    }
}

/// Batteries in parallel: their total current in amperes, and their total capacity in ampere-hours.
#[derive(Clone, Copy, Debug)]
struct SharedCurrent {
    current: f64,
    capacity: f64,
}

/// Returns `None` for a single battery, for a stack, and if a current is missing.
fn shared(reading: &BankReading, statistics: &BankStatistics, facts: &[Facts]) -> Option<SharedCurrent> {
    let is_parallel = !reading.is_series() && installed(reading, facts).nth(1).is_some();
    let current = statistics.current.filter(|_| is_parallel)?.amperes();
    Some(SharedCurrent { current, capacity: bank_capacity(reading, facts)? })
}

/// Returns the installed batteries with their facts.
fn installed<'a>(
    reading: &'a BankReading,
    facts: &'a [Facts],
) -> impl Iterator<Item = (&'a BatteryReading, &'a Facts)> {
    reading.batteries.iter().zip(facts).filter(|(battery, _)| battery.presence != Presence::Absent)
}

/// Returns the capacity of the bank: the sum in parallel, the smallest in series; `None` if one is unknown.
fn bank_capacity(reading: &BankReading, facts: &[Facts]) -> Option<f64> {
    let capacities: Option<Vec<f64>> = installed(reading, facts).map(|(_, facts)| capacity(facts)).collect();
    let capacities = capacities.filter(|all| !all.is_empty())?.into_iter();
    Some(if reading.is_series() { capacities.fold(f64::INFINITY, f64::min) } else { capacities.sum() })
}

/// Whether a cell is nearly empty, and whether one is nearly full, at the steep ends of the voltage curve. If the
/// cells are unknown, the mean cell is used.
fn ends(battery: &BatteryReading, facts: &Facts) -> (bool, bool) {
    let measured = &battery.measured;
    let cells = battery.cells.iter().flatten().map(|cell| cell.voltage);
    let extremes = [measured.cell_voltage_low, measured.cell_voltage_high];
    let count = facts.cells.filter(|count| *count > 0);
    let mean = measured.voltage.zip(count).map(|(volts, count)| Millivolts(volts.0 / i32::from(count)));
    let volts = cells.chain(extremes).chain([mean]).flatten().map(|volts| f64::from(volts.0));
    volts.fold((false, false), |all, volts| (all.0 || volts <= STEEP_BELOW, all.1 || volts >= STEEP_ABOVE))
}

fn capacity(facts: &Facts) -> Option<f64> {
    facts.nominal_capacity.map(|capacity| capacity.ampere_hours()).filter(|capacity| *capacity > 0.0)
}

fn is_full(battery: &BatteryReading) -> bool {
    battery.measured.coulomb_state.as_ref().is_some_and(|word| word.as_str() == "Full")
}
