//! How far two values of the same sample may differ before the command is sent again.
//!
//! The console has no checksum (protocol, section 1): a flipped digit is detected only because it contradicts another
//! answer. A retry takes a tenth of a second, so the bounds are narrow. A value that two answers agree on is accepted
//! regardless of the others, so a narrow bound never rejects a true value. If a byte is lost from a run of equal
//! digits, two answers are sooner or later damaged in the same way, so values that never change by themselves need
//! three.

use crate::console::answers::pwr_detail::event_name;
use crate::console::validation::samples::{Kind, Said};
use crate::model::event_word::normal_bits;

/// How far a sample may be from its earlier value.
pub struct Tolerance {
    pub kind: Kind,
    /// Allowed at any time.
    pub flat: f64,
    /// Allowed in addition for each second between the two.
    pub per_second: f64,
    /// Expected change per second (a clock advances).
    pub(crate) drift: f64,
    /// Plausible values for a battery of any maker.
    pub range: (i64, i64),
    /// Whether the first value is accepted unconfirmed. An identity is not: it is used for years.
    pub(crate) first_sight: bool,
    /// The source of the numbers.
    pub source: &'static str,
}

const fn row(
    kind: Kind,
    (flat, per_second): (f64, f64),
    range: (i64, i64),
    source: &'static str,
) -> Tolerance {
    Tolerance { kind, flat, per_second, drift: 0.0, range, first_sight: true, source }
}

const ANY: (i64, i64) = (i64::MIN, i64::MAX);

/// One row per kind, in the order of [`Kind`].
pub const TOLERANCES: &[Tolerance] = &[
    row(
        Kind::Voltage,
        (250.0, 50.0),
        (20_000, 1_200_000),
        "load steps in the captures change a battery by 0.2 V within a sweep",
    ),
    row(
        Kind::Current,
        (2_000.0, 1_000.0),
        (-500_000, 500_000),
        "table and detail of one sweep differ by 0.9 A at constant load (US2000C, battery 1)",
    ),
    row(
        Kind::Temperature,
        (2_000.0, 50.0),
        (-40_000, 100_000),
        "boards report whole degrees; heating is below 0.1 K/s",
    ),
    row(
        Kind::Soc,
        (1.0, 0.1),
        (0, 110),
        "whole percent; 2 C would be 0.06 %/s; consoles report up to 107 (protocol, section 7)",
    ),
    row(
        Kind::CellVoltageLow,
        (15.0, 5.0),
        (1_000, 4_095),
        "a load step of 50 A changes a cell of 0.5 mOhm by 25 mV; 4095 is a dead chip",
    ),
    row(Kind::CellVoltageHigh, (15.0, 5.0), (1_000, 4_095), "as the lowest cell"),
    row(
        Kind::CellTemperatureLow,
        (1_500.0, 50.0),
        (-40_000, 100_000),
        "sensors report whole degrees on old boards",
    ),
    row(Kind::CellTemperatureHigh, (1_500.0, 50.0), (-40_000, 100_000), "as the coldest cell"),
    row(Kind::CellVoltage, (15.0, 5.0), (1_000, 4_095), "as the lowest cell"),
    row(Kind::CellTemperature, (1_500.0, 50.0), (-40_000, 100_000), "as the coldest cell"),
    row(Kind::CellSoc, (1.0, 0.1), (0, 110), "as the battery's"),
    row(
        Kind::CellCharge,
        (50.0, 60.0),
        (0, 100_000_000_000),
        "200 A are 56 mAh per second; also used for lifetime totals",
    ),
    row(Kind::Charge, (50.0, 60.0), (0, 10_000_000), "200 A are 56 mAh per second"),
    row(Kind::Energy, (20_000.0, 20_000.0), (0, 1_000_000_000), "100 kW are 28 Wh per second"),
    row(Kind::Rating, (0.0, 0.0), ANY, "printed on the box"),
    row(
        Kind::Throughput,
        (20_000.0, 20_000.0),
        (0, 1_000_000_000_000),
        "as the remaining energy, for decades",
    ),
    row(
        Kind::Counter,
        (3.0, 0.5),
        (0, 10_000_000_000),
        "a transition at most every two seconds; also used for seconds of a lifetime",
    ),
    row(
        Kind::Events,
        (0.0, 0.0),
        ANY,
        "a changed bit is an event raised or cleared, and has to be confirmed",
    ),
    Tolerance {
        drift: 1.0,
        ..row(Kind::Clock, (30.0, 0.01), ANY, "one second per second; drifts by seconds a day")
    },
    Tolerance { first_sight: false, ..row(Kind::Identity, (0.0, 0.0), ANY, "printed on the box") },
];

#[must_use]
pub fn of(kind: Kind) -> &'static Tolerance {
    &TOLERANCES[kind as usize]
}

/// How many other answers must have the same unknown word, or the same value of a sample that never changes by itself.
pub(crate) const MOST_WITNESSES: usize = 2;

/// How many other answers must agree with a value that contradicts `before`, the last accepted one.
#[must_use]
pub(crate) fn witnesses((kind, index): (Kind, u16), now: &Said, before: Option<&Said>) -> usize {
    let never_moves = match (now, before) {
        (Said::Number(number), _) => of(kind).is_beyond(*number),
        (Said::Text(_), before) => before.is_some(),
        (Said::Events(now), Some(Said::Events(before))) => {
            (now.bits ^ before.bits) & !normal_bits(event_name(index)) != 0
        }
        (Said::Events(_), _) => false,
    };
    if never_moves { MOST_WITNESSES } else { 1 }
}

impl Tolerance {
    #[must_use]
    pub(crate) fn is_beyond(&self, number: i64) -> bool {
        !(self.range.0..=self.range.1).contains(&number)
    }
}

/// How far the sum of the cells may be from the battery's voltage, in mV, and in addition for each second between the
/// two answers. Only for a battery whose sum has matched before: some consoles differ by 2 V and more.
pub(crate) const SUM_OF_CELLS: (f64, f64) = (300.0, 50.0);

/// How far a cell may be outside the table's range, in mV, and in addition for each second.
pub(crate) const OUTSIDE_TABLE_VOLTAGE: (f64, f64) = (15.0, 10.0);

/// The same for temperatures, in m°C.
pub(crate) const OUTSIDE_TABLE_TEMPERATURE: (f64, f64) = (1_500.0, 50.0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_row_in_order() {
        for (position, tolerance) in TOLERANCES.iter().enumerate() {
            assert_eq!(tolerance.kind as usize, position, "{:?}", tolerance.kind);
            assert!(!tolerance.source.is_empty());
        }
        assert_eq!(TOLERANCES.len(), Kind::Identity as usize + 1);
    }
}
