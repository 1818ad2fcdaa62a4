//! How far two answers about the same thing may differ before the question is put again.
//!
//! The console has no checksum (protocol, section 1): a flipped digit is found only because it contradicts
//! another answer. Asking again costs a tenth of a second, so the bounds are narrow; what two answers agree on
//! is believed, however far from the others, so a narrow bound never rejects a true value. Where a byte is lost
//! from a run of the same digits, two answers are damaged alike sooner or later: what never moves by itself takes
//! three.

use crate::console::answers::pwr_detail::event_name;
use crate::console::validation::samples::{Kind, Said};
use crate::model::event_word::normal_bits;

/// How far a figure of one kind may be from the same figure said earlier.
pub struct Tolerance {
    /// The kind.
    pub kind: Kind,
    /// Allowed at once.
    pub flat: f64,
    /// Allowed for each second between the two.
    pub per_second: f64,
    /// What the figure does by itself each second (a clock goes on).
    pub(crate) drift: f64,
    /// No battery of any maker is outside of this.
    pub range: (i64, i64),
    /// Whether it is believed at first sight. An identity is not: it names a battery for years.
    pub(crate) first_sight: bool,
    /// Where the numbers come from.
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

/// Any value.
const ANY: (i64, i64) = (i64::MIN, i64::MAX);

/// One row a kind, in the order of [`Kind`].
pub const TOLERANCES: &[Tolerance] = &[
    row(
        Kind::Voltage,
        (250.0, 50.0),
        (20_000, 1_200_000),
        "load steps seen in the captures move a battery by 0.2 V within a sweep",
    ),
    row(
        Kind::Current,
        (2_000.0, 1_000.0),
        (-500_000, 500_000),
        "table and detail of one sweep differ by 0.9 A at rest of the load (US2000C, battery 1)",
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
        "whole percent; 2 C would be 0.06 %/s; consoles say up to 107 (protocol, section 7)",
    ),
    row(
        Kind::CellVoltageLow,
        (15.0, 5.0),
        (1_000, 4_095),
        "a load step of 50 A moves a cell of 0.5 mOhm by 25 mV; 4095 is a dead chip",
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
        "200 A are 56 mAh each second; also counted over a whole life",
    ),
    row(Kind::Charge, (50.0, 60.0), (0, 10_000_000), "200 A are 56 mAh each second"),
    row(Kind::Energy, (20_000.0, 20_000.0), (0, 1_000_000_000), "100 kW are 28 Wh each second"),
    row(Kind::Rating, (0.0, 0.0), ANY, "printed on the box"),
    row(Kind::Throughput, (20_000.0, 20_000.0), (0, 1_000_000_000_000), "as the energy left, for decades"),
    row(
        Kind::Counter,
        (3.0, 0.5),
        (0, 10_000_000_000),
        "a transition at most every two seconds; seconds of a whole life",
    ),
    row(
        Kind::Events,
        (0.0, 0.0),
        ANY,
        "a bit more or less is an event raised or cleared: worth a second look",
    ),
    Tolerance {
        drift: 1.0,
        ..row(Kind::Clock, (30.0, 0.01), ANY, "one second a second; drifts by seconds a day")
    },
    Tolerance { first_sight: false, ..row(Kind::Identity, (0.0, 0.0), ANY, "printed on the box") },
];

/// The tolerance of a kind.
#[must_use]
pub fn of(kind: Kind) -> &'static Tolerance {
    &TOLERANCES[kind as usize]
}

/// How many other answers to a question must have the same unknown word, or the same value that never changes by
/// itself.
pub(crate) const MOST_WITNESSES: usize = 2;

/// How many other answers to a question must agree with a figure that contradicts `before`, the last accepted one.
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
    /// Whether no battery of any maker has it.
    #[must_use]
    pub(crate) fn is_beyond(&self, number: i64) -> bool {
        !(self.range.0..=self.range.1).contains(&number)
    }
}

/// How far the sum of the cells may be from the battery's voltage, in mV, and more for each second between the
/// two answers; only for a battery that was once seen to agree: some consoles report 2 V and more beside it.
pub(crate) const SUM_OF_CELLS: (f64, f64) = (300.0, 50.0);

/// How far a cell may lie outside of the table's lowest and highest, in mV, and more for each second.
pub(crate) const OUTSIDE_TABLE_VOLTAGE: (f64, f64) = (15.0, 10.0);

/// The same for temperatures, in thousandths of a degree.
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
