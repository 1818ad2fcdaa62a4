//! Values that a battery has measured over its lifetime, as required by EU rules: remaining capacity, efficiency,
//! resistance, throughput, abuse. All of them are rows of one table; a value that a battery does not state is absent.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// The unit of a stored value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// A day, as the number `yyyymmdd`.
    Date,
    /// Whole days.
    Days,
    /// Milliampere-hours.
    Charge,
    /// Milliwatt-hours.
    Energy,
    /// Milliwatts.
    Power,
    /// Hundredths of a percent.
    Percent,
    /// Microohms.
    Resistance,
    /// Seconds.
    Time,
    /// A plain number.
    Count,
}

impl Measure {
    /// Returns the divisor from the stored to the displayed unit, and the number of decimals.
    const fn shown(self) -> (f64, i32) {
        match self {
            Self::Date | Self::Days | Self::Count => (1.0, 0),
            Self::Charge | Self::Power | Self::Resistance => (1_000.0, 3),
            Self::Energy => (1_000_000.0, 3),
            Self::Percent => (100.0, 2),
            Self::Time => (3_600.0, 1),
        }
    }
}

macro_rules! lifetime_figures {
    ($($(#[$doc:meta])* $name:ident: $measure:ident, $key:literal, $column:literal;)*) => {
        /// A lifetime value that a battery may state.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum LifetimeFigure { $($(#[$doc])* $name),* }

        impl LifetimeFigure {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            #[must_use]
            pub(crate) const fn measure(self) -> Measure {
                match self { $(Self::$name => Measure::$measure),* }
            }

            /// Returns its key in the status document, with the displayed unit.
            #[must_use]
            pub const fn key(self) -> &'static str {
                match self { $(Self::$name => $key),* }
            }

            /// Returns its name in the database, with the stored unit.
            #[must_use]
            pub(crate) const fn column(self) -> &'static str {
                match self { $(Self::$name => $column),* }
            }
        }
    };
}

lifetime_figures! {
    Manufactured: Date, "manufactured", "manufactured_yyyymmdd";
    InService: Date, "in_service_since", "in_service_yyyymmdd";
    Storage: Days, "storage_days", "storage_days";
    /// Remaining capacity.
    Capacity: Charge, "capacity_ah", "capacity_mah";
    /// A second capacity; the difference is not documented.
    Capacity2: Charge, "capacity_2_ah", "capacity_2_mah";
    /// Remaining energy of a full battery.
    Energy: Energy, "energy_kwh", "energy_mwh";
    /// Remaining power.
    Power: Power, "power_w", "power_mw";
    /// Remaining power relative to a new battery.
    PowerShare: Percent, "power_percent", "power_permyriad";
    /// Round-trip efficiency.
    RoundTrip: Percent, "round_trip_efficiency_percent", "round_trip_efficiency_permyriad";
    SelfDischarge: Percent, "self_discharge_percent", "self_discharge_permyriad";
    Resistance: Resistance, "resistance_mohm", "resistance_uohm";
    EnergyCharged: Energy, "energy_charged_kwh", "energy_charged_mwh";
    EnergyDischarged: Energy, "energy_discharged_kwh", "energy_discharged_mwh";
    /// Charged plus discharged, if they are not listed separately.
    EnergyThroughput: Energy, "energy_throughput_kwh", "energy_throughput_mwh";
    ChargeIn: Charge, "charge_in_ah", "charge_in_mah";
    ChargeOut: Charge, "charge_out_ah", "charge_out_mah";
    /// In plus out, if they are not listed separately.
    ChargeThroughput: Charge, "charge_throughput_ah", "charge_throughput_mah";
    DeepDischarges: Count, "deep_discharges", "deep_discharges";
    ExtremeTemperature: Time, "extreme_temperature_h", "extreme_temperature_s";
    /// Time at extreme temperatures while charging.
    ExtremeCharging: Time, "extreme_temperature_charging_h", "extreme_temperature_charging_s";
    Cycles: Count, "cycles", "cycles";
    /// A second cycle count; the difference is not documented.
    Cycles2: Count, "cycles_2", "cycles_2";
}

/// The lifetime values of one battery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifetime {
    pub read_at: Timestamp,
    /// Each in the unit of its [`Measure`].
    pub values: BTreeMap<LifetimeFigure, i64>,
}

/// A lifetime value in its displayed unit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shown {
    /// A value with decimals.
    Number(f64),
    /// A value without decimals.
    Whole(i64),
    /// A date, `YYYY-MM-DD`.
    Day(String),
}

impl Lifetime {
    #[must_use]
    pub fn get(&self, figure: LifetimeFigure) -> Option<i64> {
        self.values.get(&figure).copied()
    }

    pub(crate) fn shown(&self) -> impl Iterator<Item = (LifetimeFigure, Shown)> + '_ {
        self.values.iter().map(|(figure, value)| (*figure, shown(*figure, *value)))
    }
}

fn shown(figure: LifetimeFigure, value: i64) -> Shown {
    let measure = figure.measure();
    if measure == Measure::Date {
        return Shown::Day(format!("{:04}-{:02}-{:02}", value / 10_000, value / 100 % 100, value % 100));
    }
    let (each, decimals) = measure.shown();
    if decimals == 0 {
        return Shown::Whole(value);
    }
    let scale = 10_f64.powi(decimals);
    Shown::Number((value as f64 / each * scale).round() / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_is_shown_in_the_unit_of_its_key() {
        let values = BTreeMap::from([
            (LifetimeFigure::Manufactured, 20_230_511),
            (LifetimeFigure::Capacity, 71_250),
            (LifetimeFigure::RoundTrip, 9_531),
            (LifetimeFigure::EnergyCharged, 1_234_567_000),
            (LifetimeFigure::ExtremeTemperature, 5_400),
            (LifetimeFigure::Cycles, 116),
        ]);
        let lifetime = Lifetime { read_at: Timestamp::UNIX_EPOCH, values };
        let shown: Vec<_> = lifetime.shown().map(|(_, shown)| shown).collect();
        let number = Shown::Number;
        let day = Shown::Day("2023-05-11".into());
        let cycles = Shown::Whole(116);
        assert_eq!(shown, [day, number(71.25), number(95.31), number(1_234.567), number(1.5), cycles]);
    }
}
