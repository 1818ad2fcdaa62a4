//! Whether something is wrong with a battery, and whether it is being balanced: each from what the console itself
//! says, and `None` where it does not.

use crate::model::reading::{BankReading, BatteryReading, CellReading, Measured, Presence};
use crate::model::word::Word;

/// States that are an alarm by themselves (protocol, section 11).
const ALARMS: &[&str] = &["SysError", "Alarm", "Protect"];

/// Words for how full a battery is. Empty and full are where it works, and `soc` shows them; a cell that is
/// too low or too high says so in its voltage.
const CHARGES: &[&str] = &["Normal", "Low", "High", "Full"];

/// Whether the table shows something wrong: a state that is an alarm, or the voltage, the current or the temperature
/// not being normal. For a stack, its own row; else any battery. `None` where a battery that is there did not say.
#[must_use]
pub fn of_bank(reading: &BankReading) -> Option<bool> {
    if let Some(stack) = &reading.stack {
        return of_words(stack);
    }
    let there = reading.batteries.iter().filter(|battery| battery.presence != Presence::Absent);
    any(there.map(|battery| of_words(&battery.measured)))
}

/// Whether anything that a full reading asks of a battery shows something wrong: its states, its charge and
/// health, a system fault, a cell. `None` where nothing did and an answer about it is missing.
#[must_use]
pub fn of_battery(reading: &BankReading, battery: &BatteryReading) -> Option<bool> {
    let measured = &battery.measured;
    let further = [&measured.soh_state, &measured.cell_volt_state, &measured.cell_temp_state];
    let wrong = further.into_iter().flatten().chain(&measured.system_alarm).any(not_normal)
        || measured.coulomb_state.as_ref().is_some_and(|word| !CHARGES.contains(&word.as_str()))
        || measured.system_fault.as_ref().is_some_and(|word| word.stands())
        || battery.cells.iter().flatten().any(cell_is_wrong);
    let all_answered = !reading.missing.iter().any(|missing| {
        let measures = missing.command.starts_with("pwr") || missing.command.starts_with("bat");
        measures && missing.battery.is_none_or(|place| place == battery.place)
    });
    match of_words(measured) {
        _ if wrong => Some(true),
        Some(false) if !all_answered => None,
        said => said,
    }
}

/// Whether any cell is being balanced, or the battery says that it is.
#[must_use]
pub fn balancing(battery: &BatteryReading) -> Option<bool> {
    if battery.measured.base_state.as_ref().is_some_and(|state| state.as_str() == "Balance") {
        return Some(true);
    }
    any(battery.cells.iter().flatten().map(|cell| cell.balancing))
}

/// What table, detail and stack all have.
fn of_words(measured: &Measured) -> Option<bool> {
    let statuses = [&measured.volt_state, &measured.current_state, &measured.temp_state];
    let wrong =
        measured.base_state.as_ref().is_some_and(is_alarm) || statuses.into_iter().flatten().any(not_normal);
    match measured.base_state {
        _ if wrong => Some(true),
        Some(_) => Some(false),
        None => None,
    }
}

fn cell_is_wrong(cell: &CellReading) -> bool {
    let statuses = [&cell.volt_state, &cell.current_state, &cell.temp_state];
    cell.base_state.as_ref().is_some_and(is_alarm) || statuses.into_iter().flatten().any(not_normal)
}

fn is_alarm(state: &Word) -> bool {
    ALARMS.contains(&state.as_str())
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
