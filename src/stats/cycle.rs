//! Full cycles: from one full charge to the next, what came out of what went in, and what the battery held.
//!
//! ```text
//!  95 % ┤●╲                      ╱●   the state of charge is the same at both ends, so what went in and did not come
//!       │  ╲                    ╱     out was lost on the way
//!       │    ╲____      ______╱
//!       │         ╲____●              what came out down to here, over the charge it cost, is the capacity
//!       └────────────────────────► t
//! ```

use serde::{Deserialize, Serialize};

use crate::model::units::{MilliampHours, Percent};
use crate::stats::energy::Account;

/// A cycle begins and ends when this state of charge is reached from below, in percent.
const TOP: i32 = 95;
/// Below this it has left the top.
const LEFT: i32 = 90;
/// From here on a battery is full, in percent; some consoles never say 100.
const FULL: i32 = 98;
/// A cycle less deep than this says little of the efficiency, in percent.
const DEEP_FOR_EFFICIENCY: i32 = 30;
/// And this of the capacity: a whole percent at each end is then an error of 3 %.
const DEEP_FOR_CAPACITY: i32 = 60;
/// So much of the time must have been counted.
const COUNTED: f64 = 0.98;
/// Before this second since 1970 the clock was not set.
pub const CLOCK_SET: i64 = 1_767_225_600;

/// What full cycles have shown of a battery or a bank.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cycles {
    at_top: bool,
    began: Option<Mark>,
    deepest: Option<Mark>,
    last_full: Option<i64>,
    /// In milliampere-hours.
    capacity: Option<f64>,
    /// In percent.
    efficiency: Option<f64>,
}

/// The counters at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    /// Seconds since 1970.
    at: i64,
    soc: i32,
    energy: (i64, i64),
    charge: (i64, i64),
    /// Seconds that were counted.
    counted: f64,
}

impl Mark {
    fn of(account: &Account, soc: Percent, at: i64) -> Self {
        let turnover = account.turnover();
        Self {
            at,
            soc: soc.0,
            energy: (turnover.energy_in.0, turnover.energy_out.0),
            charge: (turnover.charge_in.0, turnover.charge_out.0),
            counted: account.counted().as_secs_f64(),
        }
    }

    /// Whether nearly all that flowed since then was counted.
    fn seen_since(&self, then: &Self) -> bool {
        let passed = (self.at - then.at) as f64;
        passed > 0.0 && self.counted - then.counted >= COUNTED * passed
    }

    /// How far the charge has fallen since `top`, in percent. A rising figure was reached just now and a falling one
    /// was just left, whichever way the console rounds: that is one percent less than their difference.
    fn depth(&self, top: &Self) -> i32 {
        top.soc - self.soc - 1
    }
}

impl Cycles {
    /// Takes note of the state of charge with the counters of that moment, `at` seconds since 1970; `full` is the
    /// console's own word. Answers what it held, in milliampere-hours, where a cycle that tells it ends here.
    pub fn note(&mut self, account: &Account, soc: Percent, full: bool, at: i64) -> Option<f64> {
        if at < CLOCK_SET {
            return None;
        }
        let mut held = None;
        if full || soc.0 >= FULL {
            self.last_full = Some(at);
        }
        let now = Mark::of(account, soc, at);
        if soc.0 >= TOP && !std::mem::replace(&mut self.at_top, true) {
            held = self.close(&now);
            (self.began, self.deepest) = (Some(now), None);
        } else if soc.0 <= LEFT {
            self.at_top = false;
        }
        if self.began.is_some() && self.deepest.is_none_or(|deepest| soc.0 < deepest.soc) {
            self.deepest = Some(now);
        }
        held
    }

    fn close(&mut self, now: &Mark) -> Option<f64> {
        let (top, deepest) = (self.began?, self.deepest?);
        let depth = deepest.depth(&top);
        let (put_in, out) = (now.energy.0 - top.energy.0, now.energy.1 - top.energy.1);
        // Whoever was first seen at 100 % holds less when 95 are reached again.
        let as_before = (now.soc - top.soc).abs() <= 1;
        if as_before && depth >= DEEP_FOR_EFFICIENCY && now.seen_since(&top) && put_in > 0 {
            blend(&mut self.efficiency, out as f64 * 100.0 / put_in as f64);
        }
        let net = (deepest.charge.1 - top.charge.1) - (deepest.charge.0 - top.charge.0);
        let told = depth >= DEEP_FOR_CAPACITY && deepest.seen_since(&top) && net > 0;
        let held = told.then(|| net as f64 * 100.0 / f64::from(depth))?;
        blend(&mut self.capacity, held);
        Some(held)
    }

    /// What it held, over its last cycles.
    #[must_use]
    pub fn capacity(&self) -> Option<MilliampHours> {
        self.capacity.map(|capacity| MilliampHours(capacity.round() as i64))
    }

    /// What came out of what went in, in percent, over its last cycles.
    #[must_use]
    pub fn efficiency(&self) -> Option<f64> {
        self.efficiency
    }

    /// How many days ago it was last full, `at` seconds since 1970.
    #[must_use]
    pub fn days_since_full(&self, at: i64) -> Option<f64> {
        let passed = at.checked_sub(self.last_full?).filter(|passed| *passed >= 0)?;
        Some(passed as f64 / 86_400.0)
    }
}

/// Each cycle weighs as much as all before it.
fn blend(mean: &mut Option<f64>, value: f64) {
    *mean = Some(mean.map_or(value, |mean| (mean + value) / 2.0));
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::model::reading::Measured;
    use crate::model::units::{Milliamps, Millivolts};
    use crate::stats::energy::{Flow, Sample};

    /// A battery of 100 Ah at 50 V of which 96 % come out again, as its counters see it.
    struct Watched {
        cycles: Cycles,
        account: Account,
        now: Instant,
        at: i64,
        soc: i32,
    }

    impl Watched {
        fn first_seen_at(soc: i32) -> Self {
            let (cycles, account) = (Cycles::default(), Account::default());
            let mut watched = Self { cycles, account, now: Instant::now(), at: CLOCK_SET, soc };
            watched.look();
            watched
        }

        fn look(&mut self) {
            self.cycles.note(&self.account, Percent(self.soc), false, self.at);
        }

        fn go_to(&mut self, soc: i32) {
            let (step, current, took) = if soc > self.soc { (1, 50_000, 75) } else { (-1, -50_000, 72) };
            let took = Duration::from_secs(took);
            while self.soc != soc {
                let sample = |at| {
                    let (voltage, current) = (Some(Millivolts(50_000)), Some(Milliamps(current)));
                    Sample::of(&Measured { voltage, current, ..Measured::default() }, at)
                        .expect("a whole one")
                };
                let (before, after) = (sample(self.now), sample(self.now + took));
                self.account.add(&Flow::between(&before, &after, took).expect("no gap"));
                self.now += took;
                self.at += took.as_secs() as i64;
                self.soc += step;
                self.look();
            }
        }
    }

    #[test]
    fn what_came_out_of_what_went_in_is_told_from_one_charge_to_the_same() {
        let mut watched = Watched::first_seen_at(100);
        watched.go_to(60);
        watched.go_to(95);
        assert_eq!(watched.cycles.efficiency(), None, "five percent more came out than went in");
        watched.go_to(100);
        watched.go_to(60);
        watched.go_to(95);
        let efficiency = watched.cycles.efficiency().expect("a full cycle");
        assert!((efficiency - 96.0).abs() < 0.1, "{efficiency}");
    }
}
