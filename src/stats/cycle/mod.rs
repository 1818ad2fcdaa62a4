//! Full cycles, from one full charge to the next: round-trip efficiency and capacity.
//!
//! ```text
//!  95 % ┤●╲                      ╱●   the state of charge is the same at both ends, so energy that went in and did
//!       │  ╲                    ╱     not come out was lost
//!       │    ╲____      ______╱
//!       │         ╲____●              the charge taken out down to here, by the change of state of charge, is the capacity
//!       └────────────────────────► t
//! ```

use serde::{Deserialize, Serialize};

use crate::model::units::{MilliampHours, Percent};
use crate::stats::energy::Account;

/// A cycle starts and ends when this state of charge is reached from below, in percent.
const TOP: i32 = 95;
/// Below this it has left the top.
const LEFT: i32 = 90;
/// From here on a battery is full, in percent; some consoles never report 100.
const FULL: i32 = 98;
/// Minimum depth of a cycle for its efficiency, in percent.
const DEEP_FOR_EFFICIENCY: i32 = 30;
/// Minimum depth for its capacity: a whole percent at each end is then an error of 3 %.
const DEEP_FOR_CAPACITY: i32 = 60;
/// Minimum share of the time that was counted.
const COUNTED: f64 = 0.98;
/// The charge that must flow for a change of the state of charge, relative to the nominal capacity: no battery works
/// with less than 30 % of it, and none stores 30 % more.
const FLOWED: (f64, f64) = (0.3, 1.3);
/// The same for charging, which also covers the unmeasured consumption of the battery's electronics.
const FLOWED_UP: (f64, f64) = (FLOWED.0, 1.5);
/// A change by this many percent is compared with the charge at once, allowing for rounding.
const STEP: i32 = 10;
const ROUNDING: i32 = 2;
/// The maximum time for that, in seconds: over days, unmeasured flow exceeds rounding.
const STEP_WITHIN: i64 = 6 * 3_600;
/// An earlier Unix time means that the clock has not been set.
pub(crate) const CLOCK_SET: i64 = 1_767_225_600;

/// Results of the full cycles of a battery or a bank.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cycles {
    at_top: bool,
    began: Option<CyclePoint>,
    /// The last time at which the state of charge was at its maximum in this cycle: charge that flows into a full
    /// battery before that is not stored.
    #[serde(default)]
    peak: Option<CyclePoint>,
    deepest: Option<CyclePoint>,
    last_full: Option<i64>,
    /// In milliampere-hours.
    capacity: Option<f64>,
    /// In percent.
    efficiency: Option<f64>,
    /// Whether state of charge and measured charge disagreed in the last cycle.
    #[serde(default)]
    disagree: bool,
    /// The reference for the next comparison of state of charge and charge.
    #[serde(skip)]
    step_from: Option<CyclePoint>,
}

/// The input of the cycle detection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CycleSample<'a> {
    pub(crate) account: &'a Account,
    pub(crate) soc: Percent,
    /// Whether the console reports it as full.
    pub(crate) full: bool,
    /// Nominal ampere-hours. If unknown, no cycle counts, because charge and state of charge can't be compared.
    pub(crate) capacity: Option<f64>,
    /// Whether a cell is nearly empty, and whether one is nearly full. There a battery corrects its state of charge
    /// down or up, and the charge that was measured need not explain it.
    pub(crate) ends: (bool, bool),
    /// Seconds since 1970.
    pub(crate) at: i64,
}

/// The counters at one time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CyclePoint {
    /// Seconds since 1970.
    at: i64,
    soc: i32,
    energy: (i64, i64),
    charge: (i64, i64),
    /// Seconds that were counted.
    counted: f64,
}

impl CyclePoint {
    fn of(sample: &CycleSample<'_>) -> Self {
        let turnover = sample.account.totals();
        Self {
            at: sample.at,
            soc: sample.soc.0,
            energy: (turnover.energy_in.0, turnover.energy_out.0),
            charge: (turnover.charge_in.0, turnover.charge_out.0),
            counted: sample.account.counted().as_secs_f64(),
        }
    }

    /// Whether nearly all of the time since then was counted.
    fn is_covered_since(&self, then: &Self) -> bool {
        let passed = (self.at - then.at) as f64;
        passed > 0.0 && self.counted - then.counted >= COUNTED * passed
    }

    /// Charge in minus charge out since then, in milliampere-hours.
    fn gained_since(&self, then: &Self) -> f64 {
        ((self.charge.0 - then.charge.0) - (self.charge.1 - then.charge.1)) as f64
    }

    /// How far the charge has fallen since `top`, in percent. A rising figure was reached just now and a falling one
    /// was just left, whichever way the console rounds: that is one percent less than their difference.
    fn depth(&self, top: &Self) -> i32 {
        top.soc - self.soc - 1
    }
}

impl Cycles {
    /// Records a sample. Returns the capacity in milliampere-hours if a cycle that is deep enough ends here.
    pub(crate) fn note(&mut self, sample: &CycleSample<'_>) -> Option<f64> {
        let (soc, now) = (sample.soc, CyclePoint::of(sample));
        if sample.at < CLOCK_SET {
            return None;
        }
        if sample.full || soc.0 >= FULL {
            self.last_full = Some(sample.at);
        }
        if self.has_jumped(&now, sample) {
            self.abandon();
            self.at_top = soc.0 >= TOP;
            return None;
        }
        let mut held = None;
        if soc.0 >= TOP && !std::mem::replace(&mut self.at_top, true) {
            held = self.close(&now, sample.capacity);
            (self.began, self.peak, self.deepest) = (Some(now), None, None);
        } else if soc.0 <= LEFT {
            self.at_top = false;
        }
        if self.began.is_some() && self.peak.is_none_or(|peak| soc.0 >= peak.soc) {
            (self.peak, self.deepest) = (Some(now), None);
        } else if self.began.is_some() && self.deepest.is_none_or(|deepest| soc.0 < deepest.soc) {
            self.deepest = Some(now);
        }
        held
    }

    /// Whether the state of charge has changed by more than the charge that flowed explains.
    fn has_jumped(&mut self, now: &CyclePoint, sample: &CycleSample<'_>) -> bool {
        let Some(then) = self.step_from else {
            self.step_from = Some(*now);
            return false;
        };
        let change = now.soc - then.soc;
        let due = change.abs() >= STEP;
        if due || !(0..STEP_WITHIN).contains(&(now.at - then.at)) {
            self.step_from = Some(*now);
        }
        let corrected = if change < 0 { sample.ends.0 } else { sample.ends.1 };
        let Some(capacity) = sample.capacity.filter(|_| due && !corrected && now.is_covered_since(&then))
        else {
            return false;
        };
        let least = f64::from(change.abs() - ROUNDING) * capacity * 10.0 * FLOWED.0;
        now.gained_since(&then) * f64::from(change.signum()) < least
    }

    /// Drops the current cycle.
    fn abandon(&mut self) {
        (self.began, self.peak, self.deepest, self.disagree) = (None, None, None, true);
    }

    fn close(&mut self, now: &CyclePoint, capacity: Option<f64>) -> Option<f64> {
        let (top, deepest, nominal) = (self.began?, self.deepest?, capacity? * 1_000.0);
        let peak = self.peak.unwrap_or(top);
        let depth = deepest.depth(&peak);
        if depth < DEEP_FOR_EFFICIENCY {
            return None;
        }
        let per_percent = |gained: f64, percent: i32| gained * 100.0 / f64::from(percent);
        let out = deepest.is_covered_since(&peak).then(|| per_percent(-deepest.gained_since(&peak), depth));
        let back = now
            .is_covered_since(&deepest)
            .then(|| per_percent(now.gained_since(&deepest), -now.depth(&deepest) - 2));
        let (energy_in, energy_out) = (now.energy.0 - top.energy.0, now.energy.1 - top.energy.1);
        // A battery that was first seen at 100 % stores less when it reaches 95 % again.
        let as_before = (now.soc - top.soc).abs() <= 1;
        let efficiency = (as_before && now.is_covered_since(&top) && energy_in > 0)
            .then(|| energy_out as f64 * 100.0 / energy_in as f64);
        let agrees = |held: Option<f64>, (least, most): (f64, f64)| {
            held.is_none_or(|held| (nominal * least..=nominal * most).contains(&held))
        };
        // The effect of rounding to a percent at either end.
        let most = 100.0 + f64::from(100 * ROUNDING) / f64::from(depth);
        let agree =
            agrees(out, FLOWED) && agrees(back, FLOWED_UP) && efficiency.is_none_or(|share| share <= most);
        if !agree {
            self.abandon();
            return None;
        }
        efficiency.into_iter().for_each(|share| blend(&mut self.efficiency, share.min(100.0)));
        let held = out.filter(|_| depth >= DEEP_FOR_CAPACITY);
        held.into_iter().for_each(|held| blend(&mut self.capacity, held));
        self.disagree &= efficiency.or(held).is_none();
        held
    }

    /// Returns the capacity over its last cycles.
    #[must_use]
    pub(crate) fn capacity(&self) -> Option<MilliampHours> {
        self.capacity.map(|capacity| MilliampHours(capacity.round() as i64))
    }

    /// Returns the round-trip efficiency in percent over its last cycles.
    #[must_use]
    pub(crate) fn efficiency(&self) -> Option<f64> {
        self.efficiency
    }

    /// Whether the last cycle did not count because state of charge and measured charge disagreed.
    #[must_use]
    pub(crate) fn disagree(&self) -> bool {
        self.disagree
    }

    /// Removes impossible results that versions without the comparison of charge and state of charge stored.
    pub(crate) fn forget_impossible(&mut self) {
        if self.efficiency.is_some_and(|share| share > 100.0) {
            (self.efficiency, self.capacity) = (None, None);
        }
    }

    /// Returns the days since it was last full; `at` is Unix time.
    #[must_use]
    pub(crate) fn days_since_full(&self, at: i64) -> Option<f64> {
        let passed = at.checked_sub(self.last_full?).filter(|passed| *passed >= 0)?;
        Some(passed as f64 / 86_400.0)
    }
}

/// Each cycle has the same weight as all previous ones together.
fn blend(mean: &mut Option<f64>, value: f64) {
    *mean = Some(mean.map_or(value, |mean| (mean + value) / 2.0));
}

#[cfg(test)]
mod tests;
