//! The cells of a stack belong to its modules in order and in equal parts.
//!
//! A row that is missing at either end of the table shows only in the count. Then, and whenever the parts are far from
//! the modules' voltages, the voltages decide: other modules' cells are worse than none.

use crate::model::reading::{BatteryReading, CellReading};

/// Gives each module its cells; `first` is the number that the table's first cell states.
///
/// # Errors
/// The cells, or one of them, are missing; in words.
pub(crate) fn distribute(
    modules: &mut [BatteryReading],
    mut cells: Vec<CellReading>,
    first: Option<u16>,
) -> Result<(), String> {
    let (count, of) = (cells.len(), modules.len());
    let whole = of > 0 && count.is_multiple_of(of);
    let one_short = of > 0 && !whole && (count + 1).is_multiple_of(of);
    if one_short {
        // Which end is short shows in the first number: a table that begins with 1 has lost its cell 0.
        let at = if first == Some(1) { 0 } else { count };
        cells.insert(at, CellReading::default());
    }
    let parts = cells.chunks((cells.len() / of.max(1)).max(1));
    let fits = || modules.iter().zip(parts.clone()).all(|(module, part)| amounts_to(module, part, one_short));
    if !(whole || one_short) || !fits() {
        return Err(format!("{count} cells can't be divided equally among {of} modules"));
    }
    modules.iter_mut().zip(parts).for_each(|(module, part)| module.cells = Some(part.to_vec()));
    match one_short {
        true => Err(format!("{count} cells of {of} modules: a cell is missing at one end of the table")),
        false => Ok(()),
    }
}

/// Whether so many cells amount to the module's voltage: where the count is in doubt no other number may, else it must
/// not be far off. Without a voltage nothing speaks against a count that is not in doubt.
fn amounts_to(module: &BatteryReading, cells: &[CellReading], in_doubt: bool) -> bool {
    let known: Vec<i64> = cells.iter().filter_map(|cell| Some(cell.voltage?.0.into())).collect();
    let (Some(voltage), sum @ 1..) = (module.measured.voltage, known.iter().sum::<i64>()) else {
        return !in_doubt;
    };
    let expected = i64::from(voltage.0) * known.len() as i64;
    let off = (expected - sum * cells.len() as i64).abs();
    // Half a cell, or a tenth of the voltage.
    off <= if in_doubt { sum / 2 } else { expected / 10 }
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
            ..BatteryReading::silent(place)
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
    fn equal_parts_that_match_the_voltages_are_shared_out() {
        let mut all = modules(&[Some(49_600), None]);
        assert_eq!(distribute(&mut all, cells(30), Some(0)), Ok(()));
        assert_eq!(ends(&all), [Some((Some(3300), Some(3314))), Some((Some(3315), Some(3329)))]);
        let mut wrong = modules(&[Some(33_000), Some(33_000)]);
        assert!(distribute(&mut wrong, cells(30), Some(0)).is_err(), "a module is missing: 10 cells each");
        assert_eq!(ends(&wrong), [None, None]);
    }

    #[test]
    fn a_row_missing_at_an_end_is_found_where_the_voltages_say_so() {
        let two = [Some(49_700), Some(49_700)];
        let (mut first, mut last, mut unknown) = (modules(&two), modules(&two), modules(&[None, None]));
        assert!(distribute(&mut first, cells(29), Some(1)).is_err(), "it is named all the same");
        assert_eq!(ends(&first), [Some((None, Some(3313))), Some((Some(3314), Some(3328)))]);
        assert!(distribute(&mut last, cells(29), Some(0)).is_err());
        assert_eq!(ends(&last), [Some((Some(3300), Some(3314))), Some((Some(3315), None))]);
        assert!(distribute(&mut unknown, cells(29), Some(0)).is_err());
        assert_eq!(ends(&unknown), [None, None]);
        let mut other = modules(&[Some(53_000), Some(53_000)]);
        assert!(distribute(&mut other, cells(29), Some(0)).is_err());
        assert_eq!(ends(&other), [None, None], "16 each: three rows are missing");
    }
}
