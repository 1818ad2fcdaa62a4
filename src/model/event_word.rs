//! Event words: a number whose bits are conditions, and the names that the console printed next to it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::event;

/// An event word as reported by the console. A non-zero word is not necessarily an alarm: several bits report normal
/// conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventWord {
    /// All bits, including undocumented ones.
    pub bits: u32,
    /// The names that the console printed after the number, one for each set bit, lowest first; empty if it printed
    /// none or a different number of names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// The bits that report normal conditions (normal, idle, charging, full), by word. A test compares them with the rows
/// of level info in `config/events.toml`.
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

/// All bit names that consoles are known to print. One of them contains a space, so a list of names can't simply be
/// split at spaces. A test compares them with the names in `config/events.toml`.
pub const NAMES: &[&str] = &[
    "BOV",
    "BHV",
    "BVNOR",
    "BLV",
    "BUV",
    "BSLP",
    "BOT",
    "BHT",
    "BTNOR",
    "BLT",
    "BUT", // cells
    "POV",
    "PHV",
    "PVNOR",
    "PLV",
    "PUV",
    "PSLP",
    "POT",
    "PHT",
    "PTNOR",
    "PLT",
    "PUT", // the battery
    "COULFULL",
    "COULNOR",
    "COULLOW",
    "SC",
    "DOC2",
    "COC2",
    "DOC",
    "COC",
    "CNOR",
    "MTNOR",
    "ETNOR", //
    "IDLE",
    "CHG",
    "DSG",
    "PWRON",
    "SYSERR", //
    "RV",
    "INOV",
    "BMICERR",
    "I2CERR",
    "ONLINE err",
    "EXCOMMTIMEOUT",
    "InitVoltDiff", // faults
];

/// Returns the names in a text, one for each of `count` bits, or nothing if their number differs.
///
/// Known names are matched first, longest first. Any other word is a name by itself; if that gives too many names, all
/// words between two known names form a single name.
fn names_in(text: &str, count: usize) -> Vec<String> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (mut apart, mut together): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let (mut at, mut joins) = (0, false);
    while let Some(first) = words.get(at) {
        let fits =
            |name: &&&str| name.split(' ').eq(words[at..].iter().copied().take(name.split(' ').count()));
        let known = NAMES.iter().filter(fits).max_by_key(|name| name.len());
        let name = known.map_or(*first, |name| *name);
        match together.last_mut().filter(|_| joins && known.is_none()) {
            Some(last) => *last = format!("{last} {name}"),
            None => together.push(name.to_owned()),
        }
        apart.push(name.to_owned());
        joins = known.is_none();
        at += name.split(' ').count();
    }
    [apart, together].into_iter().find(|names| names.len() == count).unwrap_or_default()
}

/// Returns the bits that report normal conditions in the word of that name.
#[must_use]
pub(crate) fn normal_bits(word: &str) -> u32 {
    NORMAL.iter().find(|(name, _)| *name == word).map_or(0, |(_, bits)| *bits)
}

impl EventWord {
    /// Creates a word from its bits and from the text that the console printed after them.
    #[must_use]
    pub(crate) fn printed(bits: u32, text: &str) -> Self {
        Self { bits, names: names_in(text, bits.count_ones() as usize) }
    }

    /// Whether a bit is set that does not report a normal condition in the word of that name (see
    /// [`crate::model::event::WordName`]).
    #[must_use]
    pub(crate) fn deserves_a_look(&self, word: &str) -> bool {
        self.bits & !normal_bits(word) != 0
    }

    /// Returns each set bit, lowest first.
    pub(crate) fn each_bit(&self) -> impl Iterator<Item = u32> + use<> {
        let bits = self.bits;
        (0..u32::BITS).map(|shift| 1 << shift).filter(move |bit| bits & bit != 0)
    }

    #[must_use]
    pub(crate) fn stands(&self) -> bool {
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
    fn set_bits_are_listed_one_by_one() {
        let word = EventWord { bits: 0x8000_2002, names: vec![] };
        assert_eq!(word.each_bit().collect::<Vec<_>>(), [0x2, 0x2000, 0x8000_0000]);
    }

    #[test]
    fn names_are_kept_if_their_count_matches_the_bits() {
        let names = |bits, text| EventWord::printed(bits, text).names;
        assert_eq!(names(0x2100, "ONLINE err InitVoltDiff"), ["ONLINE err", "InitVoltDiff"]);
        assert_eq!(names(0x1100, "ONLINE err EXCOMMTIMEOUT"), ["ONLINE err", "EXCOMMTIMEOUT"]);
        assert_eq!(names(0x1000, "EXCOMMTIMEOUT"), ["EXCOMMTIMEOUT"]);
        assert_eq!(names(0x100, " ONLINE   err "), ["ONLINE err"]);
        assert_eq!(names(0x6, "BHV BVNOR"), ["BHV", "BVNOR"]);
        // Unknown names, with and without spaces.
        assert_eq!(names(0x6, "NEW1 NEW2"), ["NEW1", "NEW2"]);
        assert_eq!(names(0x40, "Relay stuck closed"), ["Relay stuck closed"]);
        assert_eq!(names(0x2040, "Relay stuck InitVoltDiff"), ["Relay stuck", "InitVoltDiff"]);
        assert_eq!(names(0x2140, "Relay stuck ONLINE err Fan"), ["Relay stuck", "ONLINE err", "Fan"]);
    }

    #[test]
    fn names_are_dropped_if_their_count_differs_from_the_bits() {
        let names = |bits, text| EventWord::printed(bits, text).names;
        assert_eq!(names(0x6, "BHV"), [""; 0]);
        assert_eq!(names(0x2, "BHV BVNOR"), [""; 0]);
        assert_eq!(names(0x2, "BHV NEW"), [""; 0]);
        assert_eq!(names(0x0, "BHV"), [""; 0]);
        assert_eq!(names(0x2, ""), [""; 0]);
        assert_eq!(names(0x700, "Relay stuck Fan"), ["Relay", "stuck", "Fan"]);
        assert_eq!(names(0x300, "Relay stuck Fan"), [""; 0], "ambiguous: either space may be inside a name");
    }

    #[test]
    fn a_full_idle_battery_is_normal_and_a_high_cell_is_not() {
        let look = |bits, word| EventWord { bits, names: vec![] }.deserves_a_look(word);
        assert!(!look(0x0020_2004, event::POWER));
        assert!(look(0x0020_2006, event::POWER));
        assert!(look(0x2, event::BATTERY));
        assert!(look(0x4, event::SYSTEM), "no fault is normal");
        assert!(look(0x2, "a word nobody knows"));
    }
}
