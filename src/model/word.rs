//! State words of the console: an open set, compared without padding.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// State words that consoles are known to print: base states first, then status words and switches.
///
/// Any other word is kept as reported; the list only decides which words need confirmation.
pub(crate) const KNOWN: &[&str] = &[
    "Charge", "Dischg", "Idle", "Absent", "SysError", "Balance", "Sleep", "Float", "Protect", "Alarm",
    "Normal", "Low", "High", "Full", "Abnormal", "Over", "Under", "ON", "OFF",
];

/// The states of a switch or a heater; no other state word has them.
pub(crate) const SWITCHES: &[&str] = &["ON", "OFF"];

/// Base states that are an alarm (protocol, section 11).
pub const ALARMS: &[&str] = &["SysError", "Alarm", "Protect"];

/// A state or status word as reported by the console, without its padding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Word(Cow<'static, str>);

impl Word {
    /// Creates a word from printed text. Padding is trimmed; known words need no allocation.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        match KNOWN.iter().find(|known| **known == text) {
            Some(known) => Self(Cow::Borrowed(known)),
            None => Self(Cow::Owned(text.to_owned())),
        }
    }

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
