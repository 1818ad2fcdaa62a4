//! The definition of a setting: its name, allowed values, default and description.
//!
//! Each section has a table of them. The tables provide the defaults, the conversion of environment variables (so that
//! a password of digits stays a text), the checks, the suggestions for misspelt keys, the output of `config show`, and
//! the test of the shipped file.

use std::fmt;

use crate::settings::check::kind::SettingKind;

#[derive(Debug)]
pub struct SettingDef {
    /// Empty for the settings before the first section.
    pub section: &'static str,
    pub name: &'static str,
    pub kind: SettingKind,
    /// Written as in an environment variable.
    pub default: &'static str,
    pub description: &'static str,
}

pub(crate) const BANK: &str = "bank";

/// The suffix of a key that names a file with the secret: `password_file`.
pub(crate) const FILE_SUFFIX: &str = "_file";

/// The path of a setting: its definition, and for a bank's setting the number of the bank.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SettingPath {
    pub(crate) key: &'static SettingDef,
    /// From 1; `None` outside the bank section.
    pub(crate) bank: Option<usize>,
}

impl fmt::Display for SettingPath {
    /// The dotted name, as on the command line: `mqtt.url`, `bank.2.link`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.bank, self.key.section) {
            (Some(bank), section) => write!(f, "{section}.{bank}.{}", self.key.name),
            (None, "") => f.write_str(self.key.name),
            (None, section) => write!(f, "{section}.{}", self.key.name),
        }
    }
}
