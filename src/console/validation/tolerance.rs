//! How far two values of the same sample may differ before the command is sent again.
//!
//! The console has no checksum (protocol, section 1): a flipped digit is detected only because it contradicts another
//! answer. A retry takes a tenth of a second, so the bounds are narrow. A value that two answers agree on is accepted
//! regardless of the others, so a narrow bound never rejects a true value. If a byte is lost from a run of equal
//! digits, two answers are sooner or later damaged in the same way, so values that never change by themselves need
//! three.

use crate::console::answers::pwr_detail::event_name;
use crate::console::validation::samples::{SampleKind, SampleValue};
use crate::model::event_word::normal_bits;

/// How far a sample may be from its earlier value.
#[cfg_attr(
    not(feature = "internals"),
    expect(dead_code, reason = "a test compares the documentation with it")
)]
pub struct Tolerance {
    pub kind: SampleKind,
    /// Allowed at any time.
    pub flat: f64,
    /// Allowed in addition for each second between the two.
    pub per_second: f64,
    /// Expected change per second (a clock advances).
    pub(crate) drift: f64,
    /// Plausible values for a battery of any maker.
    pub range: (i64, i64),
    /// Whether the first value is accepted unconfirmed. An identity is not: it is used for years.
    pub(crate) accept_unconfirmed: bool,
    /// The source of the numbers.
    pub source: &'static str,
}

const fn row(
    kind: SampleKind,
    (flat, per_second): (f64, f64),
    range: (i64, i64),
    source: &'static str,
) -> Tolerance {
    Tolerance { kind, flat, per_second, drift: 0.0, range, accept_unconfirmed: true, source }
}

const ANY: (i64, i64) = (i64::MIN, i64::MAX);

/// One row per kind, in the order of [`SampleKind`].
pub const TOLERANCES: &[Tolerance] = &[
    row(
        SampleKind::Voltage,
        (250.0, 50.0),
        (20_000, 1_200_000),
        "load steps in the captures change a battery by 0.2 V within a sweep",
    ),
    row(
        SampleKind::Current,
        (2_000.0, 1_000.0),
        (-500_000, 500_000),
        "table and detail of one sweep differ by 0.9 A at constant load (US2000C, battery 1)",
    ),
    row(
        SampleKind::Temperature,
        (2_000.0, 50.0),
        (-40_000, 100_000),
        "boards report whole degrees; heating is below 0.1 K/s",
    ),
    row(
        SampleKind::Soc,
        (1.0, 0.1),
        (0, 110),
        "whole percent; 2 C would be 0.06 %/s; consoles report up to 107 (protocol, section 7)",
    ),
    row(
        SampleKind::CellVoltageLow,
        (15.0, 5.0),
        (1_000, 4_095),
        "a load step of 50 A changes a cell of 0.5 mOhm by 25 mV; 4095 is a dead chip",
    ),
    row(SampleKind::CellVoltageHigh, (15.0, 5.0), (1_000, 4_095), "as for the lowest cell"),
    row(
        SampleKind::CellTemperatureLow,
        (1_500.0, 50.0),
        (-40_000, 100_000),
        "sensors report whole degrees on old boards",
    ),
    row(SampleKind::CellTemperatureHigh, (1_500.0, 50.0), (-40_000, 100_000), "as for the coldest cell"),
    row(SampleKind::CellVoltage, (15.0, 5.0), (1_000, 4_095), "as for the lowest cell"),
    row(SampleKind::CellTemperature, (1_500.0, 50.0), (-40_000, 100_000), "as for the coldest cell"),
    row(SampleKind::CellSoc, (1.0, 0.1), (0, 110), "as for the battery"),
    row(
        SampleKind::CellCharge,
        (50.0, 60.0),
        (0, 100_000_000_000),
        "200 A are 56 mAh per second; also used for lifetime totals",
    ),
    row(SampleKind::Charge, (50.0, 60.0), (0, 10_000_000), "200 A are 56 mAh per second"),
    row(SampleKind::Energy, (20_000.0, 20_000.0), (0, 1_000_000_000), "100 kW are 28 Wh per second"),
    row(SampleKind::Rating, (0.0, 0.0), ANY, "printed on the box"),
    row(
        SampleKind::Throughput,
        (20_000.0, 20_000.0),
        (0, 1_000_000_000_000),
        "as for the remaining energy; decades of use",
    ),
    row(
        SampleKind::Counter,
        (3.0, 0.5),
        (0, 10_000_000_000),
        "a transition at most every two seconds; also used for seconds of a lifetime",
    ),
    row(
        SampleKind::Events,
        (0.0, 0.0),
        ANY,
        "a changed bit is an event raised or cleared, and has to be confirmed",
    ),
    Tolerance {
        drift: 1.0,
        ..row(SampleKind::Clock, (30.0, 0.01), ANY, "one second per second; drifts by seconds per day")
    },
    Tolerance {
        accept_unconfirmed: false,
        ..row(SampleKind::Identity, (0.0, 0.0), ANY, "printed on the box")
    },
];

#[must_use]
pub fn tolerance_for(kind: SampleKind) -> &'static Tolerance {
    &TOLERANCES[kind as usize]
}

/// How many other answers must have the same unknown word, or the same value of a sample that never changes by itself.
pub(crate) const MAX_CONFIRMATIONS: usize = 2;

/// How many other answers must agree with a value that contradicts `before`, the last accepted one.
#[must_use]
pub(crate) fn required_confirmations(
    (kind, index): (SampleKind, u16),
    now: &SampleValue,
    before: Option<&SampleValue>,
) -> usize {
    let never_moves = match (now, before) {
        (SampleValue::Number(number), _) => tolerance_for(kind).is_implausible(*number),
        (SampleValue::Text(_), before) => before.is_some(),
        (SampleValue::Events(now), Some(SampleValue::Events(before))) => {
            (now.bits ^ before.bits) & !normal_bits(event_name(index)) != 0
        }
        (SampleValue::Events(_), _) => false,
    };
    if never_moves { MAX_CONFIRMATIONS } else { 1 }
}

impl Tolerance {
    #[must_use]
    pub(crate) fn is_implausible(&self, number: i64) -> bool {
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
    fn each_kind_has_its_tolerance_in_order() {
        for (position, tolerance) in TOLERANCES.iter().enumerate() {
            assert_eq!(tolerance.kind as usize, position, "{:?}", tolerance.kind);
            assert!(!tolerance.source.is_empty());
        }
        assert_eq!(TOLERANCES.len(), SampleKind::Identity as usize + 1);
    }
}
