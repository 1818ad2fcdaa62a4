//! Event words: a number whose bits are conditions, and the names the console printed beside it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::event;

/// An event word as the console said it. A word that is not zero is not yet an alarm: several bits stand
/// for normal conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventWord {
    /// All bits, also those nobody has a name for.
    pub bits: u32,
    /// The names the console itself printed behind the number, in its order; empty where it printed none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// The bits that say nothing but that all is well (normal, idle, charging, full), by the word they stand in. All
/// other bits deserve a look. `config/events.toml` says the same; a test holds the two together.
pub const NORMAL: &[(&str, u32)] = &[
    (event::BATTERY, 0x404),
    (event::POWER, 0x0ee0_6404),
    ("Bat Volt Status", 0x4),
    ("Bat Tmpr Status", 0x8),
    ("Pwr Volt Status", 0x4),
    ("Pwr Tmpr Status", 0x8),
    ("Pwr Curr Status", 0x1),
    ("Pwr Base Status", 0x7),
    ("Pwr Coul Status", 0x3),
    ("Mos Tmpr Status", 0x8),
    ("Env Tmpr Status", 0x8),
];

impl EventWord {
    /// Whether a bit is set that says more than that all is well, in the word of that name (see
    /// [`crate::model::event::WordName`]).
    #[must_use]
    pub fn deserves_a_look(&self, word: &str) -> bool {
        let normal = NORMAL.iter().find(|(name, _)| *name == word).map_or(0, |(_, bits)| *bits);
        self.bits & !normal != 0
    }

    /// The set bits one by one, lowest first.
    pub fn each_bit(&self) -> impl Iterator<Item = u32> + use<> {
        let bits = self.bits;
        (0..u32::BITS).map(|shift| 1 << shift).filter(move |bit| bits & bit != 0)
    }

    /// Whether any bit is set.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.bits != 0
    }
}

impl fmt::Display for EventWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.bits)?;
        self.names.iter().try_for_each(|name| write!(f, " {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_taken_one_by_one() {
        let word = EventWord { bits: 0x8000_2002, names: vec![] };
        assert_eq!(word.each_bit().collect::<Vec<_>>(), [0x2, 0x2000, 0x8000_0000]);
    }

    #[test]
    fn a_full_battery_that_idles_deserves_no_look_and_a_high_cell_does() {
        let look = |bits, word| EventWord { bits, names: vec![] }.deserves_a_look(word);
        assert!(!look(0x0020_2004, event::POWER));
        assert!(look(0x0020_2006, event::POWER));
        assert!(look(0x2, event::BATTERY));
        assert!(look(0x4, event::SYSTEM), "no fault is normal");
        assert!(look(0x2, "a word nobody knows"));
    }
}
