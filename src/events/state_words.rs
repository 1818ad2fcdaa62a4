//! The state words that can be events, by their names.

use crate::model::event::{ANSWERS, LINK, PRESENCE};
use crate::model::reading::Measured;
use crate::model::withheld::Quantity;
use crate::model::word::Word;

/// A state word: its name, its label for texts, and its value in a reading.
pub(super) type StateWord = (&'static str, &'static str, fn(&Measured) -> &Option<Word>);

/// The operating state of a battery. Only states that have a row in the catalogue are events.
pub(super) const BASE_STATE: StateWord = ("base_state", "State", |m| &m.base_state);

/// State words that are events unless they are `Normal`.
pub(super) const STATUS_WORDS: &[StateWord] = &[
    ("volt_state", "Voltage", |m| &m.volt_state),
    ("current_state", "Current", |m| &m.current_state),
    ("temp_state", "Temperature", |m| &m.temp_state),
    ("coulomb_state", "Charge", |m| &m.coulomb_state),
    ("soh_state", "State of health", |m| &m.soh_state),
    ("cell_volt_state", "Cell voltage", |m| &m.cell_volt_state),
    ("cell_temp_state", "Cell temperature", |m| &m.cell_temp_state),
    ("mos_temp_state", "Transistor temperature", |m| &m.mos_temp_state),
    ("system_alarm", "System alarm", |m| &m.system_alarm),
];

/// Whether the word of that name has states, not bits.
#[must_use]
pub(super) fn is_state_word(name: &str) -> bool {
    [PRESENCE, ANSWERS, LINK, BASE_STATE.0].contains(&name)
        || STATUS_WORDS.iter().any(|(known, ..)| *known == name)
        || Quantity::ALL.iter().any(|quantity| quantity.name() == name)
}
