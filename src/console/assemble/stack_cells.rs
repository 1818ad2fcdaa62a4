//! Distributes the cells of a stack to its modules, in order and in equal parts.
//!
//! If a row is missing at either end of the table, only the count reveals it. Then, and if the parts do not match the
//! modules' voltages, the voltages decide: cells of the wrong module are worse than none.

use crate::model::reading::{BatteryReading, CellReading};

/// Assigns each module its cells; `first` is the number of the table's first cell.
///
/// # Errors
/// Returns a description if one or all of the cells are missing.
pub(crate) fn distribute_cells(
    modules: &mut [BatteryReading],
    mut cells: Vec<CellReading>,
    first: Option<u16>,
) -> Result<(), String> {
    let (count, of) = (cells.len(), modules.len());
    let divisible = of > 0 && count.is_multiple_of(of);
    let one_short = of > 0 && !divisible && (count + 1).is_multiple_of(of);
    if one_short {
        // The first number shows which end is short: a table that starts with 1 has lost its cell 0.
        let at = if first == Some(1) { 0 } else { count };
        cells.insert(at, CellReading::default());
    }
    let parts = cells.chunks((cells.len() / of.max(1)).max(1));
    let fits =
        || modules.iter().zip(parts.clone()).all(|(module, part)| matches_voltage(module, part, one_short));
    if !(divisible || one_short) || !fits() {
        return Err(format!("{count} cells cannot be divided equally among {of} modules"));
    }
    modules.iter_mut().zip(parts).for_each(|(module, part)| module.cells = Some(part.to_vec()));
    match one_short {
        true => Err(format!("{count} cells of {of} modules: a cell is missing at one end of the table")),
        false => Ok(()),
    }
}

/// Whether the cells add up to the module's voltage. If the count is doubtful, the voltage must rule out any other
/// count; otherwise a rough match is enough, and a missing voltage is no objection.
fn matches_voltage(module: &BatteryReading, cells: &[CellReading], doubtful: bool) -> bool {
    let known: Vec<i64> = cells.iter().filter_map(|cell| Some(cell.voltage?.0.into())).collect();
    let (Some(voltage), sum @ 1..) = (module.measured.voltage, known.iter().sum::<i64>()) else {
        return !doubtful;
    };
    let expected = i64::from(voltage.0) * known.len() as i64;
    let difference = (expected - sum * cells.len() as i64).abs();
    // Half a cell, or a tenth of the voltage.
    difference <= if doubtful { sum / 2 } else { expected / 10 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::place::Place;
    use crate::model::reading::Measured;
    use crate::model::units::Millivolts;

    fn modules(voltages: &[Option<i32>]) -> Vec<BatteryReading> {
        let module = |(place, voltage): (Place, &Option<i32>)| BatteryReading {
            measured: Measured { voltage: voltage.map(Millivolts), ..Measured::default() },
            ..BatteryReading::empty(place)
        };
        Place::up_to(9).zip(voltages).map(module).collect()
    }

    fn cells(count: i32) -> Vec<CellReading> {
        (0..count)
            .map(|cell| CellReading { voltage: Some(Millivolts(3300 + cell)), ..CellReading::default() })
            .collect()
    }

    /// The voltage of the first and the last cell of each module.
    fn ends(modules: &[BatteryReading]) -> Vec<Option<(Option<i32>, Option<i32>)>> {
        let volts = |cell: &CellReading| cell.voltage.map(|v| v.0);
        let ends = |cells: &Vec<CellReading>| Some((volts(cells.first()?), volts(cells.last()?)));
        modules.iter().map(|module| module.cells.as_ref().and_then(ends)).collect()
    }

    #[test]
    fn equal_parts_that_match_the_voltages_are_distributed() {
        let mut all = modules(&[Some(49_600), None]);
        assert_eq!(distribute_cells(&mut all, cells(30), Some(0)), Ok(()));
        assert_eq!(ends(&all), [Some((Some(3300), Some(3314))), Some((Some(3315), Some(3329)))]);
        let mut wrong = modules(&[Some(33_000), Some(33_000)]);
        assert!(
            distribute_cells(&mut wrong, cells(30), Some(0)).is_err(),
            "a module is missing: 10 cells each"
        );
        assert_eq!(ends(&wrong), [None, None]);
    }

    #[test]
    fn a_row_missing_at_an_end_is_located_by_the_voltages() {
        let two = [Some(49_700), Some(49_700)];
        let (mut first, mut last, mut unknown) = (modules(&two), modules(&two), modules(&[None, None]));
        assert!(distribute_cells(&mut first, cells(29), Some(1)).is_err(), "the missing cell is reported");
        assert_eq!(ends(&first), [Some((None, Some(3313))), Some((Some(3314), Some(3328)))]);
        assert!(distribute_cells(&mut last, cells(29), Some(0)).is_err());
        assert_eq!(ends(&last), [Some((Some(3300), Some(3314))), Some((Some(3315), None))]);
        assert!(distribute_cells(&mut unknown, cells(29), Some(0)).is_err());
        assert_eq!(ends(&unknown), [None, None]);
        let mut other = modules(&[Some(53_000), Some(53_000)]);
        assert!(distribute_cells(&mut other, cells(29), Some(0)).is_err());
        assert_eq!(ends(&other), [None, None], "16 each: three rows are missing");
    }
}
