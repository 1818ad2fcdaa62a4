//! One row a setting: its name, what it may be, its default and why it is there.
//!
//! Every section's file holds its rows. From these rows come the defaults, the conversion of variables (so
//! that a password of digits stays a text), the checks, the nearest known key for a misspelt one, what
//! `config show` prints, and the test of the shipped file.

use std::fmt;

use crate::settings::check::kind::Kind;

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// The section, empty for the settings before the first one.
    pub section: &'static str,
    /// Its name within the section.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// Its default, written as it would be in a variable.
    pub default: &'static str,
    /// What it is for, in one line.
    pub why: &'static str,
}

/// The section that is a list.
pub(crate) const BANK: &str = "bank";

/// The ending that names a file holding a secret instead of the secret itself.
pub(crate) const FILE_SUFFIX: &str = "_file";

/// A setting of one bank, or of the whole service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Which setting.
    pub(crate) key: &'static Key,
    /// Which bank, from 1; none for the other sections.
    pub(crate) bank: Option<usize>,
}

impl fmt::Display for Place {
    /// The dotted name, as the command line takes it: `mqtt.url`, `bank.2.link`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.bank, self.key.section) {
            (Some(bank), section) => write!(f, "{section}.{bank}.{}", self.key.name),
            (None, "") => f.write_str(self.key.name),
            (None, section) => write!(f, "{section}.{}", self.key.name),
        }
    }
}
