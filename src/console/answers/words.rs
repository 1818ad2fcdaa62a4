//! Lists the words of an answer (states, unknown labels, event words) with their positions, so that a second answer can
//! confirm each of them, and removes those that are not confirmed.

use crate::console::answers::bat::BatRow;
use crate::console::answers::parsed::Parsed;
use crate::console::answers::pwr_detail::{event_indexes, is_event_label};
use crate::console::answers::pwr_table::PwrRow;
use crate::console::answers::stack::StackTableRow;
use crate::console::word_slot::{WordSlot, place_index};
use crate::model::word::Word;

/// A state word with its slot.
type StateSlot<'a> = (WordSlot, &'a mut Option<Word>);

/// The named fields with their slots.
macro_rules! state_slots {
    ($row:expr, $index:expr, $($field:ident)*) => {
        vec![$((WordSlot::State(stringify!($field), $index), &mut $row.$field)),*]
    };
}

/// The state words of an answer about the battery at `place`.
pub(crate) fn state_words(parsed: &mut Parsed, place: u16) -> Vec<StateSlot<'_>> {
    match parsed {
        Parsed::Table(table) => table.rows.iter_mut().flat_map(pwr_row_states).collect(),
        Parsed::Detail(detail) => state_slots!(detail, place, base_state volt_state current_state temp_state
            coulomb_state soh_state heater charge_switch discharge_switch),
        Parsed::Cells(table) => (0..).zip(&mut table.cells).flat_map(cell_states).collect(),
        Parsed::Stack(row) => stack_row_states(row),
        Parsed::Units(units) => units.units.iter_mut().flat_map(stack_row_states).collect(),
        _ => Vec::new(),
    }
}

fn pwr_row_states(row: &mut PwrRow) -> Vec<StateSlot<'_>> {
    let place = place_index(row.place);
    state_slots!(row, place, base_state volt_state current_state temp_state cell_volt_state cell_temp_state
        mos_temp_state system_alarm)
}

fn cell_states((index, cell): (u16, &mut BatRow)) -> Vec<StateSlot<'_>> {
    state_slots!(cell, index, base_state volt_state current_state temp_state charge_temp_state)
}

fn stack_row_states(row: &mut StackTableRow) -> Vec<StateSlot<'_>> {
    let place = place_index(row.place);
    state_slots!(row, place, base_state volt_state current_state temp_state)
}

/// The labels that no console is known to print.
pub(crate) fn unknown_labels(parsed: &Parsed) -> Vec<&str> {
    fn of<T>(lines: &[(String, T)]) -> impl Iterator<Item = &str> {
        lines.iter().map(|(label, _)| label.as_str())
    }
    match parsed {
        Parsed::Detail(detail) => {
            let events = of(&detail.other_events).filter(|label| !is_event_label(label));
            of(&detail.other).chain(events).collect()
        }
        Parsed::Info(info) => of(&info.other).collect(),
        Parsed::Stat(stat) => of(&stat.other).collect(),
        Parsed::Euro(euro) => of(&euro.other).collect(),
        _ => Vec::new(),
    }
}

/// Removes the words at `slots`: a missing value is better than a wrong one.
pub(crate) fn remove_words(parsed: &mut Parsed, place: u16, slots: &[WordSlot]) {
    if slots.is_empty() {
        return;
    }
    for (slot, word) in state_words(parsed, place) {
        if slots.contains(&slot) {
            *word = None;
        }
    }
    let events = |index| slots.contains(&WordSlot::Events(index));
    let label = |label: &str| slots.contains(&WordSlot::Label(label.to_owned()));
    match parsed {
        Parsed::Detail(detail) => {
            let own = [&mut detail.battery_events, &mut detail.power_events, &mut detail.system_fault];
            (0..).zip(own).filter(|(index, _)| events(*index)).for_each(|(_, word)| *word = None);
            let mut indexes = event_indexes(&detail.other_events).into_iter();
            detail.other_events.retain(|(name, _)| !indexes.next().is_some_and(events) && !label(name));
            detail.other.retain(|(name, _)| !label(name));
        }
        Parsed::Info(info) => info.other.retain(|(name, _)| !label(name)),
        Parsed::Stat(stat) => stat.other.retain(|(name, _)| !label(name)),
        Parsed::Euro(euro) => euro.other.retain(|(name, _)| !label(name)),
        Parsed::Stack(row) if events(place_index(row.place)) => row.error_code = None,
        Parsed::Units(units) => {
            let units = units.units.iter_mut().filter(|row| events(place_index(row.place)));
            units.for_each(|row| row.error_code = None);
        }
        _ => {}
    }
}
