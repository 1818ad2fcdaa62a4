//! Time to full, to empty or to any state of charge, from the remaining charge and a smoothed current.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::charge_rate::ChargeRate;
use crate::model::facts::Facts;
use crate::model::place::Place;
use crate::model::reading::{BankReading, BatteryReading, Measured, Presence};
use crate::model::statistics::BankStatistics;
use crate::model::units::{MilliampHours, Milliamps};

/// Short loads such as a kettle are smoothed out; passing clouds are not.
const SMOOTHED_OVER: Duration = Duration::from_secs(300);
/// The direction of the current must have been stable for this long.
const SETTLED: Duration = Duration::from_secs(60);
/// Below a hundredth of the capacity in an hour a battery is idle: the boards' own consumption is less.
const IDLE_PER_HOUR: f64 = 0.01;

/// The smoothed currents of one bank.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimeToGo {
    bank: Option<SmoothedCurrent>,
    batteries: BTreeMap<Place, SmoothedCurrent>,
}

/// A smoothed current that restarts when the direction changes.
#[derive(Clone, Copy, Debug)]
struct SmoothedCurrent {
    /// In milliamperes.
    current: f64,
    /// The unsmoothed current, which detects idling at once.
    latest: f64,
    since: Instant,
    at: Instant,
}

impl TimeToGo {
    /// Returns the charge rates of the bank and of its batteries by place. Smoothing restarts after a gap longer than
    /// `most`.
    pub(crate) fn charge_rates(
        &mut self,
        reading: &BankReading,
        statistics: &BankStatistics,
        facts: &[Facts],
        bank_facts: &Facts,
        most: Duration,
    ) -> (Option<ChargeRate>, Vec<Option<ChargeRate>>) {
        let at = reading.began;
        let batteries: Vec<Option<ChargeRate>> = reading
            .batteries
            .iter()
            .zip(facts)
            .map(|(battery, facts)| {
                let before = self.batteries.remove(&battery.place);
                let after = SmoothedCurrent::after(before, battery.measured.current, at, most)?;
                self.batteries.insert(battery.place, after);
                after.charge_rate(content(&battery.measured, facts)?)
            })
            .collect();
        self.bank = SmoothedCurrent::after(self.bank, statistics.current, at, most);
        let content = match &reading.stack {
            Some(stack) => content(stack, bank_facts),
            None => together(reading.batteries.iter().zip(facts)),
        };
        (self.bank.zip(content).and_then(|(smooth, content)| smooth.charge_rate(content)), batteries)
    }
}

/// The remaining charge and the charge when full.
type ChargeLevel = (MilliampHours, MilliampHours);

/// Returns the remaining charge reported by the console, else state of charge times capacity.
fn content(measured: &Measured, facts: &Facts) -> Option<ChargeLevel> {
    let capacity = facts.usable_capacity.or(facts.nominal_capacity).filter(|capacity| capacity.0 > 0)?;
    let share = || Some(MilliampHours(capacity.0 * i64::from(measured.soc?.0.clamp(0, 100)) / 100));
    Some((measured.remaining.or_else(share)?, capacity))
}

/// Sums up batteries in parallel; `None` if one of them is unknown.
fn together<'a>(batteries: impl Iterator<Item = (&'a BatteryReading, &'a Facts)>) -> Option<ChargeLevel> {
    let installed = batteries.filter(|(battery, _)| battery.presence != Presence::Absent);
    let all: Vec<ChargeLevel> =
        installed.map(|(battery, facts)| content(&battery.measured, facts)).collect::<Option<_>>()?;
    let sum = |part: fn(&ChargeLevel) -> i64| MilliampHours(all.iter().map(part).sum());
    (!all.is_empty()).then(|| (sum(|content| content.0.0), sum(|content| content.1.0)))
}

impl SmoothedCurrent {
    fn after(before: Option<Self>, current: Option<Milliamps>, at: Instant, most: Duration) -> Option<Self> {
        let Some(current) = current.map(|current| f64::from(current.0)) else {
            return before.filter(|before| at.saturating_duration_since(before.at) <= most);
        };
        let fresh = Self { current, latest: current, since: at, at };
        let Some(before) = before.filter(|before| at.saturating_duration_since(before.at) <= most) else {
            return Some(fresh);
        };
        if before.current * current < 0.0 {
            return Some(fresh);
        }
        let span = at.saturating_duration_since(before.at).as_secs_f64();
        let kept = (-span / SMOOTHED_OVER.as_secs_f64()).exp();
        let smoothed = current + (before.current - current) * kept;
        Some(Self { current: smoothed, latest: current, since: before.since, at })
    }

    fn charge_rate(&self, (remaining, capacity): ChargeLevel) -> Option<ChargeRate> {
        let settled = self.at.saturating_duration_since(self.since) >= SETTLED;
        let idle = self.current.abs().min(self.latest.abs()) < capacity.0 as f64 * IDLE_PER_HOUR;
        let current = Milliamps(self.current.round() as i32);
        (settled && !idle).then_some(ChargeRate { remaining, capacity, current })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWEEP: Duration = Duration::from_secs(10);
    const FULL: ChargeLevel = (MilliampHours(50_000), MilliampHours(100_000));

    fn after(currents: &[i32]) -> Option<ChargeRate> {
        let mut at = Instant::now();
        let mut smooth = None;
        for current in currents {
            smooth = SmoothedCurrent::after(smooth, Some(Milliamps(*current)), at, 3 * SWEEP);
            at += SWEEP;
        }
        smooth.and_then(|smooth| smooth.charge_rate(FULL))
    }

    #[test]
    fn a_steady_current_gives_a_time_after_a_minute_and_idle_never() {
        assert_eq!(after(&[10_000; 6]), None);
        assert_eq!(after(&[10_000; 7]).map(|rate| rate.current), Some(Milliamps(10_000)));
        assert_eq!(after(&[900; 100]), None);
    }

    #[test]
    fn going_idle_removes_the_time_at_once() {
        let mut currents = vec![-50_000; 30];
        currents.push(0);
        assert_eq!(after(&currents), None);
        currents.push(-50_000);
        assert!(
            after(&currents).is_some_and(|rate| rate.current.0 < -40_000),
            "a short pause does not restart smoothing"
        );
    }

    #[test]
    fn a_short_load_changes_little_and_a_new_direction_restarts() {
        let mut currents = vec![-10_000; 30];
        currents.extend([-50_000; 3]);
        let current = after(&currents).expect("a rate").current.0;
        assert!((-15_000..-10_000).contains(&current), "{current}");
        currents.extend([20_000; 3]);
        assert_eq!(after(&currents), None);
        currents.extend([20_000; 7]);
        assert_eq!(after(&currents).map(|rate| rate.current), Some(Milliamps(20_000)));
    }
}
