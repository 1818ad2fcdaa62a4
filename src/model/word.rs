//! The console's own words for states: an open set, compared trimmed.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// State words that consoles are known to print: base states first, then status words and switches.
///
/// Any other word is kept as it was said; the list only tells a word that everybody knows from one that
/// deserves a second look.
pub(crate) const KNOWN: &[&str] = &[
    "Charge", "Dischg", "Idle", "Absent", "SysError", "Balance", "Sleep", "Float", "Protect", "Alarm",
    "Normal", "Low", "High", "Full", "Abnormal", "Over", "Under", "ON", "OFF",
];

/// What a switch or a heater is; no other state is one of these.
pub(crate) const SWITCHES: &[&str] = &["ON", "OFF"];

/// Base states that are an alarm by themselves (protocol, section 11).
pub const ALARMS: &[&str] = &["SysError", "Alarm", "Protect"];

/// A state or status word as the console said it, without its padding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Word(Cow<'static, str>);

impl Word {
    /// Takes a word as printed; padding goes, known words cost no allocation.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        match KNOWN.iter().find(|known| **known == text) {
            Some(known) => Self(Cow::Borrowed(known)),
            None => Self(Cow::Owned(text.to_owned())),
        }
    }

    /// The word itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one of [`ALARMS`].
    #[must_use]
    pub(crate) fn is_alarm(&self) -> bool {
        ALARMS.contains(&self.as_str())
    }

    /// Whether it is one of [`SWITCHES`].
    #[must_use]
    pub(crate) fn is_switch(&self) -> bool {
        SWITCHES.contains(&self.as_str())
    }

    /// Whether it is one of [`KNOWN`].
    #[must_use]
    pub(crate) fn is_known(&self) -> bool {
        matches!(self.0, Cow::Borrowed(_)) || KNOWN.contains(&self.as_str())
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_trimmed_and_unknown_words_are_kept() {
        assert_eq!(Word::new("Dischg  ").as_str(), "Dischg");
        assert!(Word::new("Idle").is_known());
        assert_eq!(Word::new(" Mystery ").as_str(), "Mystery");
        assert!(!Word::new("Mystery").is_known());
    }
}
