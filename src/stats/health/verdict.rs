//! Derives the verdict with its reasons from the health model.

use crate::model::facts::Facts;
use crate::model::health::{BatteryHealth, Evidence, ExtremeCell, HealthReason, HealthVerdict};
use crate::model::reading::BatteryReading;
use crate::model::trend::{Trend, TrendMetric};
use crate::model::units::{MilliampHours, Millivolts};
use crate::stats::cycle::Cycles;
use crate::stats::health::near_full::Ahead;
use crate::stats::health::{DAY, FOLLOWED, HOUR, HealthModel};
use crate::stats::trend::WeeklyMeans;

/// The thresholds of a value for the verdicts `watch` and `failing`.
#[derive(Clone, Copy, Debug)]
struct Thresholds {
    watch: f64,
    failing: f64,
}

/// More resistance than the others, in ohms times ampere-hours: half a milliohm of a cell of 100 Ah is about as much as
/// a new one has, and two milliohms trip its protection at full current.
const RESISTANCE: Thresholds = Thresholds { watch: 0.05, failing: 0.2 };
/// Below the others when nearly empty, in millivolts: sound cells stay within 25, and one that lacks a fifth of its
/// capacity is 45 to 75 below.
const BELOW: Thresholds = Thresholds { watch: 40.0, failing: 250.0 };
/// Above the others when nearly full, in millivolts.
const ABOVE: f64 = 20.0;
/// Behind the others at both ends, in millivolts: so much is more than a balancer meets in a week.
const LOW: f64 = 150.0;
/// A voltage deviation on the plateau, in millivolts: ten percent of charge are less than 10 mV there.
const OFFSET: f64 = 15.0;
/// A temperature deviation, in degrees.
const WARMTH: f64 = 5.0;
/// Capacity in percent of the nominal; guarantees end at 60 to 70.
const CAPACITY: Thresholds = Thresholds { watch: 80.0, failing: 60.0 };
/// Its own state of health in percent.
const SOH: Thresholds = Thresholds { watch: 80.0, failing: 60.0 };
/// Its share of the current, in percent of its fair share: sound ones of one age stay within 94 to 106.
const SHARE: Thresholds = Thresholds { watch: 70.0, failing: 10.0 };
/// Days without a full charge.
const NOT_FULL: f64 = 30.0;
/// The spread of the current on the plateau that a resistance can be told from, in capacities an hour, squared.
const MOVING: f64 = 0.04 * 0.04;

/// Near full and near empty something was seen after so many seconds there.
const TOP_FOR: f64 = HOUR;
const BOTTOM_FOR: f64 = HOUR / 2.0;

/// The input of the assessment in addition to the model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HealthInput<'a> {
    pub(crate) battery: &'a BatteryReading,
    pub(crate) facts: &'a Facts,
    pub(crate) cycles: &'a Cycles,
    pub(crate) weeks: &'a WeeklyMeans,
    /// The confirmed capacity measured by the battery itself.
    pub(crate) measured: Option<MilliampHours>,
    /// Unix time.
    pub(crate) at: i64,
}

/// A check that adds findings against a battery.
type Check = fn(&HealthModel, &HealthInput<'_>, &mut HealthFindings);

const CHECKS: &[Check] = &[
    faults,
    cells,
    warmth,
    capacity,
    own_capacity,
    state_of_health,
    share_of_current,
    not_full,
    trends,
    agreement,
];

/// Whether a kind of evidence has been seen.
type IsSeen = fn(&HealthModel, &HealthInput<'_>) -> bool;

/// The evidence required before a battery is healthy; each kind reveals a way in which cells fail.
const NEEDED: &[(Evidence, IsSeen)] = &[
    (Evidence::Load, |learned, known| {
        plateau(learned, nominal(known.facts)).iter().any(|(_, slope)| slope.is_some())
    }),
    (Evidence::NearFull, |learned, _| learned.top.after(TOP_FOR).is_some()),
    (Evidence::NearEmpty, |learned, _| learned.bottom.after(BOTTOM_FOR).is_some()),
];

/// Assesses the health of a battery.
#[must_use]
pub(crate) fn assess(learned: &HealthModel, known: &HealthInput<'_>) -> BatteryHealth {
    let mut found = Vec::new();
    CHECKS.iter().for_each(|check| check(learned, known, &mut found));
    if found.iter().all(|(verdict, _)| *verdict == HealthVerdict::Unknown) {
        found.extend(missing(learned, known).map(|reason| (HealthVerdict::Unknown, reason)));
    }
    found.sort_by_key(|(verdict, _)| *verdict);
    let (lowest, highest) = steady(learned);
    let spread = |spread: Option<f64>| spread.map(|spread| Millivolts(spread.round() as i32));
    BatteryHealth {
        verdict: found.first().map_or(HealthVerdict::Healthy, |(verdict, _)| *verdict),
        reasons: found.into_iter().map(|(_, reason)| reason).collect(),
        lowest,
        highest,
        spread_rest: spread(learned.rest.one(HOUR)),
        spread_load: spread(learned.load.one(HOUR)),
        balancing: learned.balancing.one(HOUR).map(|share| share * 100.0),
        capacity_seen: known.cycles.capacity(),
        efficiency: known.cycles.efficiency(),
        current_share: share(learned),
        days_since_full: known.cycles.days_since_full(known.at),
        cycles_by_charge: cycles_by_charge(known.facts),
        trends: known.weeks.trends().collect(),
    }
}

/// Returns the evidence that is missing for `healthy`.
fn missing(learned: &HealthModel, known: &HealthInput<'_>) -> impl Iterator<Item = HealthReason> {
    let watched = learned.watched.seconds();
    let early = (watched < DAY).then_some(HealthReason::TooEarly { hours: watched / HOUR });
    let unseen = NEEDED.iter().filter(|(_, seen)| !seen(learned, known));
    early.into_iter().chain(unseen.map(|(evidence, _)| HealthReason::NotYetSeen(*evidence)))
}

fn capacity(_: &HealthModel, known: &HealthInput<'_>, found: &mut HealthFindings) {
    let nominal = known.facts.nominal_capacity.filter(|nominal| nominal.0 > 0);
    let Some((seen, nominal)) = known.cycles.capacity().zip(nominal) else { return };
    let percent = seen.0 as f64 * 100.0 / nominal.0 as f64;
    found.extend(below(percent, CAPACITY).map(|verdict| (verdict, HealthReason::Capacity { seen, percent })));
}

/// Returns the capacity measured by the battery itself, also in percent of the nominal.
fn own_measurement(known: &HealthInput<'_>) -> Option<(MilliampHours, f64)> {
    let nominal = known.facts.nominal_capacity.filter(|nominal| nominal.0 > 0)?;
    known.measured.map(|capacity| (capacity, capacity.0 as f64 * 100.0 / nominal.0 as f64))
}

fn own_capacity(_: &HealthModel, known: &HealthInput<'_>, found: &mut HealthFindings) {
    let Some((capacity, percent)) = own_measurement(known) else { return };
    found.extend(
        below(percent, CAPACITY).map(|verdict| (verdict, HealthReason::OwnCapacity { capacity, percent })),
    );
}

/// The reported state of health. A measured capacity is more reliable than a computed state of health.
fn state_of_health(_: &HealthModel, known: &HealthInput<'_>, found: &mut HealthFindings) {
    let Some(soh) = known.facts.soh.map(|soh| soh.0).filter(|_| own_measurement(known).is_none()) else {
        return;
    };
    found.extend(below(f64::from(soh), SOH).map(|verdict| (verdict, HealthReason::Soh(soh))));
}

fn share_of_current(learned: &HealthModel, _: &HealthInput<'_>, found: &mut HealthFindings) {
    let Some(percent) = share(learned) else { return };
    found.extend(below(percent, SHARE).map(|verdict| (verdict, HealthReason::Share { percent })));
}

fn not_full(_: &HealthModel, known: &HealthInput<'_>, found: &mut HealthFindings) {
    let days = known.cycles.days_since_full(known.at).filter(|days| *days > NOT_FULL);
    found.extend(days.map(|days| (HealthVerdict::Watch, HealthReason::NotFull { days })));
}

fn trends(_: &HealthModel, known: &HealthInput<'_>, found: &mut HealthFindings) {
    let harmful = known.weeks.trends().filter(|trend| is_harmful(trend, known.facts));
    found.extend(harmful.map(|trend| (HealthVerdict::Watch, HealthReason::Trend(trend))));
}

/// If the reported state of charge is wrong, the capacity is unknown; the cells may be healthy.
fn agreement(_: &HealthModel, known: &HealthInput<'_>, found: &mut HealthFindings) {
    found.extend(known.cycles.disagree().then_some((HealthVerdict::Unknown, HealthReason::ChargeDisagrees)));
}

/// Whether a metric certainly degrades so fast that a healthy value would become worth watching within a year; normal
/// wear takes many years.
fn is_harmful(trend: &Trend, facts: &Facts) -> bool {
    let Some(capacity) = facts.nominal_capacity.map(|capacity| capacity.ampere_hours()) else { return false };
    let (toward, most) = match trend.metric {
        TrendMetric::Capacity => (-1.0, capacity * 0.02),
        TrendMetric::Soh => (-1.0, 2.0),
        TrendMetric::SpreadRest => (1.0, 5.0),
        TrendMetric::Resistance if capacity > 0.0 => (1.0, 10.0 / capacity),
        TrendMetric::Share => (-1.0, 5.0),
        // It follows the current, which follows the seasons.
        TrendMetric::SpreadLoad | TrendMetric::Resistance => return false,
    };
    trend.per_month * toward - trend.plus_minus >= most
}

type HealthFindings = Vec<(HealthVerdict, HealthReason)>;

/// Rates a value that should be high.
fn below(value: f64, thresholds: Thresholds) -> Option<HealthVerdict> {
    match value {
        value if value < thresholds.failing => Some(HealthVerdict::Failing),
        value if value < thresholds.watch => Some(HealthVerdict::Watch),
        _ => None,
    }
}

/// Rates a value that should be low.
fn above(value: f64, thresholds: Thresholds) -> Option<HealthVerdict> {
    below(-value, Thresholds { watch: -thresholds.watch, failing: -thresholds.failing })
}

/// Faults reported by the battery itself.
fn faults(_: &HealthModel, known: &HealthInput<'_>, found: &mut HealthFindings) {
    let measured = &known.battery.measured;
    let cells = (1..).zip(known.battery.cells.iter().flatten());
    let broken = |word: &str| word == "SysError";
    let states = [&measured.base_state, &measured.volt_state].into_iter().flatten();
    if states.map(|word| word.as_str()).any(broken) {
        found.push((HealthVerdict::Failing, HealthReason::Fault("SysError".to_owned())));
    }
    for (number, cell) in cells {
        let states = [&cell.base_state, &cell.volt_state].into_iter().flatten();
        if states.map(|word| word.as_str()).any(broken) {
            found.push((HealthVerdict::Failing, HealthReason::Fault(format!("SysError of cell {number}"))));
        }
    }
    if let Some(fault) = measured.system_fault.as_ref().filter(|word| word.stands()) {
        found.push((HealthVerdict::Failing, HealthReason::Fault(format!("system fault {fault}"))));
    }
    if let Some(word) = measured.soh_state.as_ref().filter(|word| word.as_str() == "Abnormal") {
        found.push((HealthVerdict::Watch, HealthReason::Fault(format!("state of health {word}"))));
    }
}

/// Compares each cell with the others. One reason per cell: the first one that explains most.
fn cells(learned: &HealthModel, known: &HealthInput<'_>, found: &mut HealthFindings) {
    let capacity = nominal(known.facts);
    let line = plateau(learned, capacity);
    let count = line.len().max(learned.bottom.after(0.0).map_or(0, <[f32]>::len));
    let count = count.max(learned.near_full.cells());
    let ends = learned.top.after(TOP_FOR).zip(learned.bottom.after(BOTTOM_FOR));
    for index in 0..count {
        let Some(cell) = u16::try_from(index + 1).ok() else { return };
        let (offset, slope) = line.get(index).copied().unwrap_or_default();
        let end = |means: &[f32]| means.get(index).copied().map_or(0.0, f64::from);
        let (top, bottom) = ends.map_or((0.0, 0.0), |(top, bottom)| (end(top), end(bottom)));
        // Resistance shows at both ends as well, so what it makes there is not counted twice.
        let more = slope.unwrap_or(0.0);
        let resistive = above(more * capacity / 1_000.0, RESISTANCE);
        if let Some(verdict) = resistive {
            found.push((verdict, HealthReason::Resistance { cell, more }));
        } else if let Some(verdict) =
            // If a balancer keeps it level with the others at the top, only a larger deviation is the cell's own.
            above(-bottom, BELOW).filter(|_| top >= ABOVE || (top >= 0.0 && -bottom >= LOW))
        {
            found.push((verdict, HealthReason::WeakCell { cell, below: -bottom }));
        } else if -bottom >= LOW && top < 0.0 {
            found.push((HealthVerdict::Watch, HealthReason::LowCell { cell, below: -bottom }));
        } else if let Some(reason) = near_full(learned, index, cell, offset) {
            found.push((HealthVerdict::Watch, reason));
        } else if offset.abs() >= OFFSET {
            found.push((HealthVerdict::Watch, HealthReason::VoltageSensor { cell, off: offset }));
        }
    }
}

/// Checks a cell near full; `offset` is its sensing error.
fn near_full(learned: &HealthModel, index: usize, cell: u16, offset: f64) -> Option<HealthReason> {
    let behind = learned.near_full.behind(index, offset);
    let Some(ahead) = learned.near_full.ahead(index, offset, learned.watched.seconds()) else {
        return behind.map(|below| HealthReason::LagsBehind { cell, below });
    };
    let Ahead { above, highest, rate } = ahead;
    Some(HealthReason::RunsAhead { cell, above, highest, rate, behind })
}

/// Returns the nominal capacity in ampere-hours, 100 if unknown.
fn nominal(facts: &Facts) -> f64 {
    facts.nominal_capacity.map_or(100.0, |capacity| capacity.ampere_hours())
}

impl HealthModel {
    /// The figures of [`FOLLOWED`] for a battery of so many ampere-hours, as far as they are known.
    #[must_use]
    pub(crate) fn followed(&self, capacity: f64) -> [Option<f64>; FOLLOWED.len()] {
        let slopes = plateau(self, capacity).into_iter().filter_map(|(_, slope)| slope);
        [slopes.reduce(f64::max), share(self)]
    }
}

/// Of each cell on the plateau: its deviation without current, in millivolts, and what it gains with the current, in
/// milliohms, where that has moved enough.
fn plateau(learned: &HealthModel, capacity: f64) -> Vec<(f64, Option<f64>)> {
    let Some(means) = learned.plateau.after(6.0 * HOUR) else { return Vec::new() };
    let means: Vec<f64> = means.iter().copied().map(f64::from).collect();
    let (current, square) = (means[0], means[1]);
    let cells = (means.len() - 2) / 2;
    let moved = square - current * current;
    let of = |index: usize| {
        let (off, product) = (means[2 + index], means[2 + cells + index]);
        if moved < MOVING * capacity * capacity {
            return (off, None);
        }
        let slope = (product - current * off) / moved;
        (off - slope * current, Some(slope))
    };
    (0..cells).map(of).collect()
}

/// Cells with a deviating temperature; those of one sensor are reported together.
fn warmth(learned: &HealthModel, _: &HealthInput<'_>, found: &mut HealthFindings) {
    let Some(means) = learned.warmth.after(6.0 * HOUR) else { return };
    let strange = |off: f32| f64::from(off).abs() >= WARMTH;
    let mut index = 0;
    while let Some(off) = means.get(index).copied() {
        let same = means[index..].iter().take_while(|other| strange(**other) && (**other - off).abs() < 1.0);
        let count = same.count().max(1);
        let numbers = (u16::try_from(index + 1), u16::try_from(index + count));
        if let (true, (Ok(first), Ok(last))) = (strange(off), numbers) {
            let off = f64::from(off);
            found.push((HealthVerdict::Watch, HealthReason::TemperatureSensor { first, last, off }));
        }
        index += count;
    }
}

/// Returns the current share in percent of the fair share.
fn share(learned: &HealthModel) -> Option<f64> {
    let [own, fair] = *learned.share.after(3.0 * HOUR)? else { return None };
    (fair > 0.0).then(|| f64::from(own) * 100.0 / f64::from(fair))
}

fn steady(learned: &HealthModel) -> (Option<ExtremeCell>, Option<ExtremeCell>) {
    let most = |shares: &[f32]| {
        let (index, share) = shares.iter().enumerate().max_by(|(_, one), (_, other)| one.total_cmp(other))?;
        Some(ExtremeCell { cell: u16::try_from(index + 1).ok()?, percent: f64::from(*share) * 100.0 })
    };
    let Some(shares) = learned.extremes.after(HOUR) else { return (None, None) };
    let (lowest, highest) = shares.split_at(shares.len() / 2);
    (most(lowest), most(highest))
}

/// Some firmware counts cycles by another rule, so they are computed from the discharged charge.
fn cycles_by_charge(facts: &Facts) -> Option<f64> {
    let nominal = facts.nominal_capacity.filter(|capacity| capacity.0 > 0)?;
    Some(facts.discharged?.0 as f64 / nominal.0 as f64)
}
