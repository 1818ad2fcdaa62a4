//! What a battery has measured of itself over its life, as EU rules want it stated: capacity left, efficiency,
//! resistance, throughput, abuse. The figures are one table; what a battery does not state is absent.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// What kind of figure it is, and so what its stored number counts.
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
    /// How many of the stored unit are one of the unit that is shown, and decimals shown.
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

macro_rules! figures {
    ($($(#[$doc:meta])* $name:ident: $measure:ident, $key:literal, $column:literal;)*) => {
        /// A figure that a battery may state of its life.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum LifetimeFigure { $($(#[$doc])* $name),* }

        impl LifetimeFigure {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its kind.
            #[must_use]
            pub(crate) const fn measure(self) -> Measure {
                match self { $(Self::$name => Measure::$measure),* }
            }

            /// Its key in the status document, with the unit shown.
            #[must_use]
            pub const fn key(self) -> &'static str {
                match self { $(Self::$name => $key),* }
            }

            /// Its name in the database, with the unit stored.
            #[must_use]
            pub(crate) const fn column(self) -> &'static str {
                match self { $(Self::$name => $column),* }
            }
        }
    };
}

figures! {
    /// When it was made.
    Manufactured: Date, "manufactured", "manufactured_yyyymmdd";
    /// When it was put into service.
    InService: Date, "in_service_since", "in_service_yyyymmdd";
    /// How long it was stored.
    Storage: Days, "storage_days", "storage_days";
    /// Capacity left.
    Capacity: Charge, "capacity_ah", "capacity_mah";
    /// A second figure of the same; how the two differ is not documented.
    Capacity2: Charge, "capacity_2_ah", "capacity_2_mah";
    /// Energy left in a full battery.
    Energy: Energy, "energy_kwh", "energy_mwh";
    /// Power it can still give.
    Power: Power, "power_w", "power_mw";
    /// The same, of what it could give when new.
    PowerShare: Percent, "power_percent", "power_permyriad";
    /// What comes out of what went in.
    RoundTrip: Percent, "round_trip_efficiency_percent", "round_trip_efficiency_permyriad";
    /// What it loses by itself.
    SelfDischarge: Percent, "self_discharge_percent", "self_discharge_permyriad";
    /// Internal resistance.
    Resistance: Resistance, "resistance_mohm", "resistance_uohm";
    /// Energy that went in over its life.
    EnergyCharged: Energy, "energy_charged_kwh", "energy_charged_mwh";
    /// Energy that came out.
    EnergyDischarged: Energy, "energy_discharged_kwh", "energy_discharged_mwh";
    /// Both together, if they are not listed separately.
    EnergyThroughput: Energy, "energy_throughput_kwh", "energy_throughput_mwh";
    /// Charge that went in over its life.
    ChargeIn: Charge, "charge_in_ah", "charge_in_mah";
    /// Charge that came out.
    ChargeOut: Charge, "charge_out_ah", "charge_out_mah";
    /// Both together, if they are not listed separately.
    ChargeThroughput: Charge, "charge_throughput_ah", "charge_throughput_mah";
    /// How often it was discharged deeply.
    DeepDischarges: Count, "deep_discharges", "deep_discharges";
    /// Time at extreme temperatures.
    ExtremeTemperature: Time, "extreme_temperature_h", "extreme_temperature_s";
    /// The part of that while charging.
    ExtremeCharging: Time, "extreme_temperature_charging_h", "extreme_temperature_charging_s";
    /// Full cycles.
    Cycles: Count, "cycles", "cycles";
    /// A second count of the same; how the two differ is not documented.
    Cycles2: Count, "cycles_2", "cycles_2";
}

/// The figures of one battery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// When they were read.
    pub read_at: Timestamp,
    /// What was stated, each in the unit of its [`Measure`].
    pub values: BTreeMap<LifetimeFigure, i64>,
}

/// A figure as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shown {
    /// In the unit that its key names.
    Number(f64),
    /// The same where it has no decimals.
    Whole(i64),
    /// A day, `YYYY-MM-DD`.
    Day(String),
}

impl Lifetime {
    /// The stored number of a figure.
    #[must_use]
    pub fn get(&self, figure: LifetimeFigure) -> Option<i64> {
        self.values.get(&figure).copied()
    }

    /// The figures as they are shown.
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
