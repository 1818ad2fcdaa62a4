//! Decides whether the capacity that a battery states is a measured capacity. The value is not documented and may
//! also be the remaining charge, so it counts only once it has stayed constant while the state of charge moved.

use crate::model::facts::Facts;
use crate::model::lifetime::LifetimeFigure;
use crate::model::units::MilliampHours;

/// Required change of the state of charge, in percent.
const MOVED: i32 = 20;
/// Allowed change of the value meanwhile, in thousandths of the nominal capacity.
const STEADY: i64 = 20;

/// A battery's measured capacity, and the lowest and highest state of charge at which it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MeasuredCapacity {
    capacity: Option<MilliampHours>,
    read_at_ms: i64,
    low: i32,
    high: i32,
}

impl MeasuredCapacity {
    /// Records the value, which is read rarely, together with the state of charge.
    pub(crate) fn take(&mut self, facts: &Facts, soc: i32) {
        let Some((lifetime, nominal)) = facts.lifetime.as_deref().zip(facts.nominal_capacity) else { return };
        let read_at_ms = lifetime.read_at.as_millisecond();
        let capacity = lifetime.get(LifetimeFigure::Capacity).map(MilliampHours);
        if read_at_ms == self.read_at_ms {
            return;
        }
        let differs =
            |before: MilliampHours, now: MilliampHours| (now.0 - before.0).abs() * 1_000 > nominal.0 * STEADY;
        match (self.capacity, capacity) {
            (Some(before), Some(now)) if !differs(before, now) => {
                (self.low, self.high) = (self.low.min(soc), self.high.max(soc));
                self.read_at_ms = read_at_ms;
            }
            _ => *self = Self { capacity, read_at_ms, low: soc, high: soc },
        }
    }

    /// Returns the capacity once it is confirmed.
    #[must_use]
    pub(crate) fn confirmed(&self) -> Option<MilliampHours> {
        self.capacity.filter(|_| self.high - self.low >= MOVED)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::model::lifetime::Lifetime;

    fn facts(read_at: i64, capacity: i64) -> Facts {
        let read_at = jiff::Timestamp::from_second(read_at).expect("a time");
        let values = BTreeMap::from([(LifetimeFigure::Capacity, capacity)]);
        let lifetime = Some(Arc::new(Lifetime { read_at, values }));
        Facts { lifetime, nominal_capacity: Some(MilliampHours(100_000)), ..Facts::default() }
    }

    #[test]
    fn a_capacity_is_confirmed_if_stable_while_soc_moves() {
        let mut measured = MeasuredCapacity::default();
        for (at, soc) in [(1, 50), (2, 60), (3, 69)] {
            measured.take(&facts(at, 71_000), soc);
            assert_eq!(measured.confirmed(), None, "at {soc} %");
        }
        measured.take(&facts(3, 71_000), 95);
        assert_eq!(measured.confirmed(), None, "that was read earlier");
        measured.take(&facts(4, 72_000), 40);
        assert_eq!(measured.confirmed(), Some(MilliampHours(71_000)));
        measured.take(&facts(5, 60_000), 40);
        assert_eq!(measured.confirmed(), None, "another figure");
    }

    #[test]
    fn the_remaining_charge_is_not_a_capacity() {
        let mut measured = MeasuredCapacity::default();
        for (at, soc) in (1..).zip((5..=100).chain((5..=100).rev())) {
            measured.take(&facts(at, i64::from(soc) * 400), soc);
            assert_eq!(measured.confirmed(), None, "at {soc} % of a battery that has lost more than half");
        }
    }
}
