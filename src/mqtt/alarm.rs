//! Whether something is wrong with a battery, and whether it is being balanced: each from what the console itself
//! says, and `None` where it does not.

use crate::model::event::EventLevel;
use crate::model::reading::{BankReading, BatteryReading, CellReading, Measured, Presence};
use crate::model::report::BankReport;
use crate::model::word::Word;

/// Whether the table shows something wrong: a state that is an alarm, or the voltage, the current or the temperature
/// not being normal. For a stack, its own row; else any battery. `None` where a battery that is there did not say.
#[must_use]
pub(crate) fn of_bank(reading: &BankReading) -> Option<bool> {
    if let Some(stack) = &reading.stack {
        return of_words(stack);
    }
    let there = reading.batteries.iter().filter(|battery| battery.presence != Presence::Absent);
    any(there.map(|battery| of_words(&battery.measured)))
}

/// Whether anything that a full reading asks of a battery shows something wrong: a bit or a state that the catalogue of
/// events calls a warning, or a cell. `None` where nothing did and an answer about it is missing.
#[must_use]
pub(crate) fn of_battery(report: &BankReport, battery: &BatteryReading) -> Option<bool> {
    let own = report.derived.batteries.get(battery.place.index());
    let mut standing = own.into_iter().flat_map(|own| &own.standing);
    let wrong = standing.any(|standing| standing.level == EventLevel::Warning)
        || battery.cells.iter().flatten().any(cell_is_wrong);
    let all_answered = !report.reading.missing.iter().any(|missing| {
        let measures = missing.command.starts_with("pwr") || missing.command.starts_with("bat");
        measures && missing.battery.is_none_or(|place| place == battery.place)
    });
    match battery.measured.base_state {
        _ if wrong => Some(true),
        Some(_) if all_answered => Some(false),
        _ => None,
    }
}

/// Whether any cell is being balanced, or the battery says that it is.
#[must_use]
pub(crate) fn balancing(battery: &BatteryReading) -> Option<bool> {
    if battery.measured.base_state.as_ref().is_some_and(|state| state.as_str() == "Balance") {
        return Some(true);
    }
    any(battery.cells.iter().flatten().map(|cell| cell.balancing))
}

/// What table, detail and stack all have.
fn of_words(measured: &Measured) -> Option<bool> {
    let statuses = [&measured.volt_state, &measured.current_state, &measured.temp_state];
    let wrong = measured.base_state.as_ref().is_some_and(Word::is_alarm)
        || statuses.into_iter().flatten().any(not_normal);
    match measured.base_state {
        _ if wrong => Some(true),
        Some(_) => Some(false),
        None => None,
    }
}

fn cell_is_wrong(cell: &CellReading) -> bool {
    let statuses = [&cell.volt_state, &cell.current_state, &cell.temp_state];
    cell.base_state.as_ref().is_some_and(Word::is_alarm) || statuses.into_iter().flatten().any(not_normal)
}

fn not_normal(status: &Word) -> bool {
    status.as_str() != "Normal"
}

/// True where one is, false where all are said not to be, `None` where there is none.
fn any(each: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all_said = None;
    for one in each {
        match one {
            Some(true) => return Some(true),
            said => all_said = Some(all_said.unwrap_or(true) && said.is_some()),
        }
    }
    (all_said == Some(true)).then_some(false)
}
