//! The plausibility limits: the range of any battery, the range of any working sensor, and the largest step between two
//! sweeps.
//!
//! They are wide on purpose: answers are already validated with much narrower tolerances, and a true value that is
//! withheld here is missing for a sweep. A value outside is damage, or a fault that will persist. A value outside the
//! range of the sensor is never shown, because it means that the sensor is broken.

use crate::model::facts::Facts;
use crate::model::withheld::Quantity;

/// The limits of one quantity, in its unit.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "internals"),
    expect(dead_code, reason = "a test compares the documentation with it")
)]
pub struct Limit {
    pub quantity: Quantity,
    /// Lowest and highest possible value; for the voltage of a battery, per cell.
    pub range: (i64, i64),
    /// Lowest and highest value of a working sensor.
    pub sensor: (i64, i64),
    /// The largest instantaneous step; for the voltage of a battery, per cell.
    pub step: i64,
    /// The additional step per second.
    pub per_second: i64,
    /// The source of the numbers.
    pub source: &'static str,
}

/// A sensor without known limits.
pub const ANY_VALUE: (i64, i64) = (i64::MIN, i64::MAX);

/// The sensors end at 125 degrees; a broken or shorted one reads far beyond.
const THERMOMETER: (i64, i64) = (-60_000, 200_000);

/// A quantity without a limit of its steps.
pub const ANY_STEP: i64 = i64::MAX;

const fn row(
    quantity: Quantity,
    range: (i64, i64),
    sensor: (i64, i64),
    (step, per_second): (i64, i64),
    source: &'static str,
) -> Limit {
    Limit { quantity, range, sensor, step, per_second, source }
}

/// One row per quantity, in the order of [`Quantity`].
pub const LIMITS: &[Limit] = &[
    row(
        Quantity::Voltage,
        (1_500, 4_000),
        ANY_VALUE,
        (200, 10),
        "as for a cell; 20 mOhm of a battery of 16 old cells times a step of 160 A are 3.2 V",
    ),
    row(
        Quantity::Current,
        (-500_000, 500_000),
        ANY_VALUE,
        (ANY_STEP, 0),
        "twice the rated current, if known, else five times the capacity per hour; switching a load takes no time",
    ),
    row(
        Quantity::Temperature,
        (-40_000, 100_000),
        THERMOMETER,
        (5_000, 200),
        "range of the sensors, which end at 125 degrees and read above 200 or below -60 when broken; whole degrees on old boards; heating is below 0.1 K/s",
    ),
    row(
        Quantity::MosTemperature,
        (-40_000, 150_000),
        THERMOMETER,
        (30_000, 2_000),
        "silicon works up to 150 degrees; a transistor is small and warms fast",
    ),
    row(
        Quantity::Soc,
        (0, 120),
        (i64::MIN, 200),
        (5, 1),
        "some consoles report up to 107; 255 is a byte that was never written; 2 C are 0.06 %/s; a recalibration is accepted when it is repeated",
    ),
    row(Quantity::Charge, (0, 10_000_000), ANY_VALUE, (5_000, 200), "500 A are 139 mAh per second"),
    row(Quantity::Energy, (0, 1_000_000_000), ANY_VALUE, (500_000, 50_000), "100 kW are 28 Wh per second"),
    row(
        Quantity::CellVoltage,
        (1_000, 4_000),
        (i64::MIN, 5_999),
        (200, 10),
        "LFP cells work between 2.0 and 3.8 V; 4095 is a chip's full scale, 65535 a register that was never written",
    ),
    row(Quantity::CellTemperature, (-40_000, 100_000), THERMOMETER, (5_000, 200), "as for `temperature`"),
];

#[must_use]
pub(crate) fn of(quantity: Quantity) -> &'static Limit {
    &LIMITS[quantity as usize]
}

/// The number of cells if it is unknown.
const CELLS: i64 = 16;
/// The voltage range of a battery or stack with an unknown number of cells.
const ANY_VOLTAGE: (i64, i64) = (20_000, 1_200_000);

/// The ratings of a battery or a stack.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rating {
    cells: Option<i64>,
    /// Maximum current in either direction, in milliamperes.
    current: Option<i64>,
}

impl Rating {
    /// Derives the ratings from the facts and from the number of cells in a reading.
    #[must_use]
    pub(crate) fn of(facts: &Facts, cells: Option<usize>) -> Self {
        let label = [facts.max_charge_current, facts.max_discharge_current].into_iter().flatten();
        let label = label.map(|current| i64::from(current.0).abs()).max().filter(|current| *current > 0);
        let capacity = facts.nominal_capacity.map(|capacity| capacity.0).filter(|capacity| *capacity > 0);
        // A stated maximum far below the capacity per hour is too low as a limit.
        let current = match (label, capacity) {
            (Some(label), capacity) => Some(2 * label.max(capacity.unwrap_or(0))),
            (None, capacity) => capacity.map(|capacity| capacity.saturating_mul(5)),
        };
        let cells = cells.or(facts.cells.map(usize::from)).filter(|cells| *cells > 0);
        Self { cells: cells.and_then(|cells| i64::try_from(cells).ok()), current }
    }

    /// Returns the lowest and highest value of a quantity.
    #[must_use]
    pub(crate) fn range(&self, quantity: Quantity) -> (i64, i64) {
        let (low, high) = of(quantity).range;
        match quantity {
            Quantity::Voltage => self.cells.map_or(ANY_VOLTAGE, |cells| (low * cells, high * cells)),
            Quantity::Current => {
                let most = self.current.map_or(high, |current| current.min(high));
                (-most, most)
            }
            _ => (low, high),
        }
    }

    /// Returns the largest step within a time in seconds.
    #[must_use]
    pub(crate) fn step(&self, quantity: Quantity, seconds: f64) -> f64 {
        let limit = of(quantity);
        let cells = if quantity == Quantity::Voltage { self.cells.unwrap_or(CELLS) } else { 1 };
        (limit.step as f64 + limit.per_second as f64 * seconds) * cells as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_quantity_has_its_row_in_order() {
        assert_eq!(LIMITS.len(), Quantity::ALL.len());
        for (quantity, limit) in Quantity::ALL.into_iter().zip(LIMITS) {
            assert_eq!(limit.quantity, quantity);
            assert!(limit.range.0 < limit.range.1 && !limit.source.is_empty());
        }
    }
}
