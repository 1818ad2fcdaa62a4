//! Checks cells against the rest of a sweep: the table's minimum and maximum, and the battery's voltage.

use std::time::Duration;

use crate::console::answers::bat::CellTable;
use crate::console::answers::pwr_table::PwrRow;
use crate::console::validation::samples::SampleKind;
use crate::console::validation::tolerance::{OUTSIDE_TABLE_TEMPERATURE, OUTSIDE_TABLE_VOLTAGE, SUM_OF_CELLS};

/// A value of a cell outside the table's range.
pub(crate) struct CellOutOfRange {
    pub(crate) kind: SampleKind,
    /// From 0.
    pub(crate) index: u16,
    pub(crate) value: i64,
    /// `voltage`, `temperature`.
    pub(crate) name: &'static str,
}

/// `age` is the time between the table and the cells.
pub(crate) fn cells_out_of_range(row: &PwrRow, cells: &CellTable, age: Duration) -> Vec<CellOutOfRange> {
    let volts = (row.cell_voltage_low.map(|v| v.0), row.cell_voltage_high.map(|v| v.0));
    let degrees = (row.cell_temperature_low.map(|v| v.0), row.cell_temperature_high.map(|v| v.0));
    let (voltage, temperature) = (SampleKind::CellVoltage, SampleKind::CellTemperature);
    let mut all = Vec::new();
    for (index, cell) in (0..).zip(&cells.cells) {
        let own = [
            (voltage, "voltage", cell.voltage.map(|v| v.0), volts, OUTSIDE_TABLE_VOLTAGE),
            (temperature, "temperature", cell.temperature.map(|t| t.0), degrees, OUTSIDE_TABLE_TEMPERATURE),
        ];
        for (kind, name, value, (low, high), (flat, per_second)) in own {
            let slack = flat + per_second * age.as_secs_f64();
            let out_of_range = |value: i32| {
                let bounds =
                    low.zip(high).map(|(low, high)| f64::from(low) - slack..=f64::from(high) + slack);
                bounds.is_some_and(|bounds| !bounds.contains(&f64::from(value)))
            };
            let value = value.filter(|value| out_of_range(*value)).map(i64::from);
            all.extend(value.map(|value| CellOutOfRange { kind, index, value, name }));
        }
    }
    all
}

/// Whether the cells add up to the voltage of their battery, which comes with its time.
pub(crate) fn sum_matches_voltage(
    voltage: Option<&(Duration, i64)>,
    at: Duration,
    cells: &CellTable,
) -> Option<bool> {
    let (then, voltage) = voltage?;
    let sum: i64 = cells.cells.iter().map(|cell| Some(i64::from(cell.voltage?.0))).sum::<Option<i64>>()?;
    let slack = SUM_OF_CELLS.0 + SUM_OF_CELLS.1 * at.saturating_sub(*then).as_secs_f64();
    Some(((sum - voltage).abs() as f64) <= slack)
}
