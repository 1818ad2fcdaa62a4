//! Computes the time to any state of charge at a constant current.

use std::time::Duration;

use crate::model::units::{MilliampHours, Milliamps, Percent};

/// The current is not constant for longer than this.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The charge and the current of a battery or a bank that is charging or discharging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChargeRate {
    /// Remaining charge.
    pub(crate) remaining: MilliampHours,
    /// Charge when full.
    pub(crate) capacity: MilliampHours,
    /// Smoothed, positive while charging, never zero.
    pub(crate) current: Milliamps,
}

impl ChargeRate {
    /// Returns the time until `soc` is reached, or `None` if the charge moves away from it, is already there, or would
    /// take more than a month.
    #[must_use]
    pub(crate) fn time_to_soc(&self, soc: Percent) -> Option<Duration> {
        let target = self.capacity.0.checked_mul(soc.0.into())? / 100;
        let missing = target.checked_sub(self.remaining.0)?;
        let hours = missing as f64 / f64::from(self.current.0);
        let long = (hours > 0.0).then(|| Duration::try_from_secs_f64(hours * 3_600.0).ok())?;
        long.filter(|long| *long <= LONGEST)
    }

    #[must_use]
    pub(crate) fn time_to_full(&self) -> Option<Duration> {
        self.time_to_soc(Percent(100))
    }

    #[must_use]
    pub(crate) fn time_to_empty(&self) -> Option<Duration> {
        self.time_to_soc(Percent(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(current: i32) -> ChargeRate {
        ChargeRate {
            remaining: MilliampHours(60_000),
            capacity: MilliampHours(100_000),
            current: Milliamps(current),
        }
    }

    fn hours(long: Option<Duration>) -> Option<f64> {
        long.map(|long| long.as_secs_f64() / 3_600.0)
    }

    #[test]
    fn time_to_soc_is_missing_charge_over_current() {
        let charging = pace(20_000);
        assert_eq!((hours(charging.time_to_full()), hours(charging.time_to_empty())), (Some(2.0), None));
        assert_eq!(hours(charging.time_to_soc(Percent(80))), Some(1.0));
        let discharging = pace(-20_000);
        assert_eq!(
            (hours(discharging.time_to_full()), hours(discharging.time_to_empty())),
            (None, Some(3.0))
        );
        assert_eq!(hours(discharging.time_to_soc(Percent(20))), Some(2.0));
    }

    #[test]
    fn targets_behind_reached_or_a_month_away_are_absent() {
        assert_eq!(pace(20_000).time_to_soc(Percent(50)), None);
        assert_eq!(pace(20_000).time_to_soc(Percent(60)), None);
        assert_eq!(pace(10).time_to_full(), None);
        assert_eq!(ChargeRate { current: Milliamps(0), ..pace(1) }.time_to_full(), None);
    }
}
