//! Whether a battery or bank has an alarm and whether a battery is balancing, from what the console reports; `None` if
//! it does not report it.

use crate::model::event::EventLevel;
use crate::model::reading::{BankReading, BatteryReading, CellReading, Measured, Presence};
use crate::model::report::BankReport;
use crate::model::word::Word;

/// From the table: an alarm state, or a voltage, current or temperature status other than normal. For a stack its own
/// row counts, otherwise any battery. `None` if a present battery did not report its state.
#[must_use]
pub(crate) fn bank_alarm(reading: &BankReading) -> Option<bool> {
    if let Some(stack) = &reading.stack {
        return measured_alarm(stack);
    }
    let present = reading.batteries.iter().filter(|battery| battery.presence != Presence::Absent);
    any(present.map(|battery| measured_alarm(&battery.measured)))
}

/// From everything in a full reading: a bit or state that the event catalogue lists as a warning, or a cell. `None` if
/// there is no alarm but an answer of the battery is missing.
#[must_use]
pub(crate) fn battery_alarm(report: &BankReport, battery: &BatteryReading) -> Option<bool> {
    let own = report.derived.batteries.get(battery.place.index());
    let mut active = own.into_iter().flat_map(|own| &own.active_events);
    let is_alarm = active.any(|event| event.level == EventLevel::Warning)
        || battery.cells.iter().flatten().any(has_cell_alarm);
    let all_answered = !report.reading.missing.iter().any(|missing| {
        let has_measurements = missing.command.starts_with("pwr") || missing.command.starts_with("bat");
        has_measurements && missing.battery.is_none_or(|place| place == battery.place)
    });
    match battery.measured.base_state {
        _ if is_alarm => Some(true),
        Some(_) if all_answered => Some(false),
        _ => None,
    }
}

/// Whether the battery or any of its cells reports balancing.
#[must_use]
pub(crate) fn is_balancing(battery: &BatteryReading) -> Option<bool> {
    if battery.measured.base_state.as_ref().is_some_and(|state| state.as_str() == "Balance") {
        return Some(true);
    }
    any(battery.cells.iter().flatten().map(|cell| cell.balancing))
}

fn measured_alarm(measured: &Measured) -> Option<bool> {
    let statuses = [&measured.volt_state, &measured.current_state, &measured.temp_state];
    let is_alarm = measured.base_state.as_ref().is_some_and(Word::is_alarm)
        || statuses.into_iter().flatten().any(not_normal);
    match measured.base_state {
        _ if is_alarm => Some(true),
        Some(_) => Some(false),
        None => None,
    }
}

fn has_cell_alarm(cell: &CellReading) -> bool {
    let statuses = [&cell.volt_state, &cell.current_state, &cell.temp_state];
    cell.base_state.as_ref().is_some_and(Word::is_alarm) || statuses.into_iter().flatten().any(not_normal)
}

fn not_normal(status: &Word) -> bool {
    status.as_str() != "Normal"
}

/// `Some(true)` if any is true, `Some(false)` if all are known to be false, else `None`.
fn any(each: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all_known = None;
    for value in each {
        match value {
            Some(true) => return Some(true),
            value => all_known = Some(all_known.unwrap_or(true) && value.is_some()),
        }
    }
    (all_known == Some(true)).then_some(false)
}
