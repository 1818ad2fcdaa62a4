//! Units as types: integers in the console's own units, so that no precision is lost and a voltage can't be used as a
//! current.
//!
//! `Display` shows the customary unit (`53.244 V`); JSON contains the plain integer under a name with its unit
//! (`voltage_mv`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines an integer unit whose display divides by a power of ten.
macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $divisor:expr, $decimals:expr, $symbol:literal, $float:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// Returns the value in the unit of `Display`.
            #[must_use]
            pub fn $float(self) -> f64 {
                self.0 as f64 / f64::from($divisor)
            }
        }

        impl From<$name> for i64 {
            fn from(value: $name) -> Self {
                Self::from(value.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:.*} ", $symbol), $decimals, self.$float())
            }
        }
    };
}

unit!(
    /// Millivolts. A 48 V battery reports about 40 000 to 60 000, a cell 2 000 to 3 700 (4 095 is a dead measuring
    /// chip), a high-voltage stack up to 1 000 000.
    Millivolts, i32, 1000, 3, "V", volts
);
unit!(
    /// Milliamperes; positive while charging, negative while discharging.
    Milliamps, i32, 1000, 3, "A", amperes
);
unit!(
    /// Thousandths of a degree Celsius.
    Millicelsius, i32, 1000, 1, "°C", celsius
);
unit!(
    /// State of charge or of health in percent. Some consoles report up to 107.
    Percent, i32, 1, 0, "%", percent
);
unit!(
    /// Milliampere-hours.
    MilliampHours, i64, 1000, 3, "Ah", ampere_hours
);
unit!(
    /// Milliwatt-hours.
    MilliwattHours, i64, 1_000_000, 3, "kWh", kilowatt_hours
);
unit!(
    /// Milliwatts; positive while charging, negative while discharging.
    Milliwatts, i64, 1000, 1, "W", watts
);

impl Millivolts {
    /// Returns the power at `current`, rounded to the milliwatt.
    #[must_use]
    pub fn times(self, current: Milliamps) -> Milliwatts {
        Milliwatts(rounded_quotient(i64::from(self.0) * i64::from(current.0), 1000))
    }
}

/// Returns `dividend` / `divisor` rounded to the nearest integer, halves away from zero. It uses integers because most
/// decimal halves have no exact float. Returns 0 if `divisor` is 0.
#[must_use]
pub(crate) fn rounded_quotient(dividend: i64, divisor: i64) -> i64 {
    let (Some(whole), Some(rest)) = (dividend.checked_div(divisor), dividend.checked_rem(divisor)) else {
        return 0;
    };
    let up = i128::from(rest).abs() * 2 >= i128::from(divisor).abs();
    if up { whole + dividend.signum() * divisor.signum() } else { whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_is_displayed_with_its_symbol() {
        assert_eq!(Millivolts(53_244).to_string(), "53.244 V");
        assert_eq!(Milliamps(-2_185).to_string(), "-2.185 A");
        assert_eq!(Millicelsius(29_300).to_string(), "29.3 °C");
        assert_eq!(Percent(107).to_string(), "107 %");
        assert_eq!(MilliampHours(49_700).to_string(), "49.700 Ah");
    }

    #[test]
    fn power_is_signed_like_the_current() {
        assert_eq!(Millivolts(50_000).times(Milliamps(-2_000)), Milliwatts(-100_000));
        assert_eq!(Millivolts(1_000_000).times(Milliamps(200_000)), Milliwatts(200_000_000));
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        let quotients = [25, 15, 14, 5, 4, 0, -4, -5, -14, -15, -25].map(|value| rounded_quotient(value, 10));
        assert_eq!(quotients, [3, 2, 1, 1, 0, 0, 0, -1, -1, -2, -3]);
        assert_eq!(rounded_quotient(7, 2), 4);
        assert_eq!((rounded_quotient(i64::MAX, 2), rounded_quotient(i64::MIN, 2)), (1 << 62, -(1 << 62)));
        assert_eq!(rounded_quotient(7, 0), 0);
    }
}
