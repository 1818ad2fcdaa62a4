//! Event words: a number whose bits are conditions, and the names the console printed beside it.

use std::fmt;

use serde::{Deserialize, Serialize};

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

impl EventWord {
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
}
