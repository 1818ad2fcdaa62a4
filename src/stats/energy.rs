//! Integrates samples of power and current to energy and charge, in integers, so that sums do not drift over years.
//!
//! Samples are connected by straight lines. A line that crosses zero is split there, so that charging and discharging
//! never cancel out.
//!
//! ```text
//!  p0 ┤●                       in = p0 · t0 / 2
//!     │ ╲
//!   0 ┼──╲t0────── t           t0 = t · p0 / (p0 − p1)
//!     │   ╲    ╱
//!  p1 ┤    ╲● ╱                out = −p1 · (t − t0) / 2
//! ```

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::model::derived::EnergyTotals;
use crate::model::reading::Measured;
use crate::model::units::{MilliampHours, MilliwattHours};

/// Areas are counted in halves of a picojoule (1 µW for 1 µs) and of a nanocoulomb (1 mA for 1 µs), since a
/// triangle is half of a whole number.
const HALVES_A_MILLIWATT_HOUR: u128 = 2 * 3_600_000_000_000;
const HALVES_A_MILLIAMP_HOUR: u128 = 2 * 3_600_000_000;

/// Current and power at one moment, positive while charging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PowerSample {
    /// When.
    pub(crate) at: Instant,
    /// In milliamperes.
    current: i64,
    /// In microwatts.
    power: i64,
}

impl PowerSample {
    /// Returns `None` if voltage or current is missing.
    #[must_use]
    pub(crate) fn of(measured: &Measured, at: Instant) -> Option<Self> {
        let (voltage, current) = (i64::from(measured.voltage?.0), i64::from(measured.current?.0));
        Some(Self { at, current, power: voltage * current })
    }

    /// Sums up batteries in parallel; `None` if a value of one of them is missing.
    #[must_use]
    pub(crate) fn sum<'a>(all: impl IntoIterator<Item = &'a Measured>, at: Instant) -> Option<Self> {
        let mut sum = None;
        for measured in all {
            let own = Self::of(measured, at)?;
            let so_far = sum.unwrap_or(Self { at, current: 0, power: 0 });
            sum = Some(Self { at, current: so_far.current + own.current, power: so_far.power + own.power });
        }
        sum
    }
}

/// Energy and charge that flowed between two samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    energy: (u128, u128),
    charge: (u128, u128),
    micros: u64,
}

impl Flow {
    /// Returns `None` if the gap is longer than `most`, because its content is unknown.
    #[must_use]
    pub(crate) fn between(earlier: &PowerSample, later: &PowerSample, most: Duration) -> Option<Self> {
        let span = later.at.checked_duration_since(earlier.at).filter(|span| *span <= most)?;
        let micros = u64::try_from(span.as_micros()).ok()?;
        let energy = areas(earlier.power, later.power, micros);
        let charge = areas(earlier.current, later.current, micros);
        Some(Self { energy, charge, micros })
    }
}

/// Twice the areas above and below zero under the line from `first` to `last`.
fn areas(first: i64, last: i64, micros: u64) -> (u128, u128) {
    let (first, last, time) = (i128::from(first), i128::from(last), i128::from(micros));
    let (above, below) = if first.signum() * last.signum() >= 0 {
        let whole = (first + last) * time;
        (whole.max(0), whole.min(0))
    } else {
        // Saturates only for currents that do not occur.
        let triangle =
            |corner: i128| corner.saturating_mul(corner).saturating_mul(time) / (first - last).abs();
        if first > 0 { (triangle(first), -triangle(last)) } else { (triangle(last), -triangle(first)) }
    };
    (above.unsigned_abs(), below.unsigned_abs())
}

/// A sum of halves, stored as whole units and a remainder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Tally {
    whole: u64,
    rest: u64,
}

impl Tally {
    fn add(&mut self, halves: u128, a_unit: u128) {
        let sum = halves + u128::from(self.rest);
        self.whole = self.whole.saturating_add(u64::try_from(sum / a_unit).unwrap_or(u64::MAX));
        self.rest = u64::try_from(sum % a_unit).unwrap_or_default();
    }

    fn join(&mut self, other: Self, a_unit: u128) {
        self.whole = self.whole.saturating_add(other.whole);
        self.add(u128::from(other.rest), a_unit);
    }

    fn whole(self) -> i64 {
        i64::try_from(self.whole).unwrap_or(i64::MAX)
    }

    fn sound(self, a_unit: u128) -> bool {
        u128::from(self.rest) < a_unit && i64::try_from(self.whole).is_ok()
    }
}

/// A sum of flows that never decreases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// In milliwatt-hours.
    energy_in: Tally,
    energy_out: Tally,
    /// In milliampere-hours.
    charge_in: Tally,
    charge_out: Tally,
    /// Counted time in microseconds.
    counted: u64,
}

impl Account {
    pub(crate) fn add(&mut self, flow: &Flow) {
        self.energy_in.add(flow.energy.0, HALVES_A_MILLIWATT_HOUR);
        self.energy_out.add(flow.energy.1, HALVES_A_MILLIWATT_HOUR);
        self.charge_in.add(flow.charge.0, HALVES_A_MILLIAMP_HOUR);
        self.charge_out.add(flow.charge.1, HALVES_A_MILLIAMP_HOUR);
        self.counted = self.counted.saturating_add(flow.micros);
    }

    pub(crate) fn join(&mut self, other: &Self) {
        self.energy_in.join(other.energy_in, HALVES_A_MILLIWATT_HOUR);
        self.energy_out.join(other.energy_out, HALVES_A_MILLIWATT_HOUR);
        self.charge_in.join(other.charge_in, HALVES_A_MILLIAMP_HOUR);
        self.charge_out.join(other.charge_out, HALVES_A_MILLIAMP_HOUR);
        self.counted = self.counted.saturating_add(other.counted);
    }

    /// Returns whole milliwatt-hours and milliampere-hours.
    #[must_use]
    pub fn totals(&self) -> EnergyTotals {
        EnergyTotals {
            energy_in: MilliwattHours(self.energy_in.whole()),
            energy_out: MilliwattHours(self.energy_out.whole()),
            charge_in: MilliampHours(self.charge_in.whole()),
            charge_out: MilliampHours(self.charge_out.whole()),
        }
    }

    /// Returns the counted time.
    #[must_use]
    pub(crate) fn counted(&self) -> Duration {
        Duration::from_micros(self.counted)
    }

    /// Whether the values can result from additions; false for a damaged file.
    #[must_use]
    pub(crate) fn sound(&self) -> bool {
        let energy = [self.energy_in, self.energy_out].into_iter().all(|t| t.sound(HALVES_A_MILLIWATT_HOUR));
        energy && [self.charge_in, self.charge_out].into_iter().all(|t| t.sound(HALVES_A_MILLIAMP_HOUR))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::units::{Milliamps, Millivolts};

    const HOUR: Duration = Duration::from_secs(3_600);

    fn sample(at: Instant, amperes: f64) -> PowerSample {
        let measured = Measured {
            voltage: Some(Millivolts(50_000)),
            current: Some(Milliamps((amperes * 1000.0) as i32)),
            ..Measured::default()
        };
        PowerSample::of(&measured, at).expect("both are set")
    }

    fn over(amperes: (f64, f64), span: Duration) -> EnergyTotals {
        let start = Instant::now();
        let mut account = Account::default();
        let flow = Flow::between(&sample(start, amperes.0), &sample(start + span, amperes.1), HOUR);
        account.add(&flow.expect("no gap"));
        account.totals()
    }

    #[test]
    fn a_constant_current_for_an_hour_is_counted_exactly() {
        let charged = over((2.0, 2.0), HOUR);
        assert_eq!((charged.energy_in.0, charged.charge_in.0), (100_000, 2_000));
        assert_eq!((charged.energy_out.0, charged.charge_out.0), (0, 0));
        let discharged = over((-1.0, -3.0), HOUR);
        assert_eq!((discharged.energy_out.0, discharged.charge_out.0), (100_000, 2_000));
    }

    #[test]
    fn a_change_of_sign_is_split_at_zero() {
        // 30 A fall to -10 A in an hour: three quarters of it in, a quarter out.
        let both = over((30.0, -10.0), HOUR);
        assert_eq!((both.charge_in.0, both.charge_out.0), (11_250, 1_250));
        let back = over((-10.0, 30.0), HOUR);
        assert_eq!((back.charge_in.0, back.charge_out.0), (11_250, 1_250));
    }

    #[test]
    fn a_gap_or_a_backward_step_in_time_is_no_flow() {
        let start = Instant::now();
        let (early, late) = (sample(start, 5.0), sample(start + HOUR, 5.0));
        assert_eq!(Flow::between(&early, &late, HOUR - Duration::from_millis(1)), None);
        assert_eq!(Flow::between(&late, &early, HOUR), None);
    }

    proptest! {
        #[test]
        fn the_sum_is_independent_of_how_a_span_is_split(cuts in prop::collection::vec(1..5_000_000_u64, 1..200)) {
            let start = Instant::now();
            let (mut whole, mut parts, mut at) = (Account::default(), Account::default(), 0);
            for micros in &cuts {
                let (from, to) = (start + Duration::from_micros(at), start + Duration::from_micros(at + micros));
                parts.add(&Flow::between(&sample(from, 7.3), &sample(to, 7.3), HOUR).unwrap());
                at += micros;
            }
            let end = start + Duration::from_micros(at);
            whole.add(&Flow::between(&sample(start, 7.3), &sample(end, 7.3), HOUR).unwrap());
            prop_assert_eq!(whole, parts);
        }

        #[test]
        fn no_sample_decreases_an_account(currents in prop::collection::vec(any::<i32>(), 2..50)) {
            let (mut at, mut account, mut before) = (Instant::now(), Account::default(), None);
            for current in currents {
                at += Duration::from_secs(2);
                let measured = Measured { voltage: Some(Millivolts(i32::MAX)), current: Some(Milliamps(current)), ..Measured::default() };
                let now = PowerSample::of(&measured, at).unwrap();
                if let Some(before) = before.replace(now) {
                    let then = account.totals();
                    account.add(&Flow::between(&before, &now, HOUR).unwrap());
                    let now = account.totals();
                    prop_assert!(account.sound());
                    prop_assert!(now.energy_in >= then.energy_in && now.energy_out >= then.energy_out);
                    prop_assert!(now.charge_in >= then.charge_in && now.charge_out >= then.charge_out);
                }
            }
        }
    }
}
