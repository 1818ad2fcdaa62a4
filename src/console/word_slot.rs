//! The position of a word in an answer, so that a second answer can confirm it there.

use crate::model::place::Place;
use crate::model::word::Word;

/// The position of a word in an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WordSlot {
    /// A state word: the field, and the place of the battery or the index of the cell.
    State(&'static str, u16),
    /// An unknown label.
    Label(String),
    /// An event word: its index among the [samples](crate::console::validation::samples) of that kind.
    Events(u16),
}

impl WordSlot {
    /// Whether consoles are known to print `word` here: `On` and `Off` only for switches.
    pub(crate) fn accepts(&self, word: &Word) -> bool {
        let switch = matches!(self, Self::State("heater" | "charge_switch" | "discharge_switch", _));
        word.is_known() && word.is_switch() == switch
    }
}

/// A battery's place as an index; 0 for the bank itself.
pub(crate) fn place_index(place: Option<Place>) -> u16 {
    place.map_or(0, |place| u16::from(place.number()))
}
