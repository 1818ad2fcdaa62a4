//! The file with the latest reading.

use std::path::PathBuf;

use serde::Deserialize;

use crate::settings::check::kind::{Base, Kind};
use crate::settings::key::Key;

/// The file with the latest reading.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonFileSettings {
    /// Whether it is written.
    pub(crate) enabled: bool,
    /// The folder of `<bank>_status.json`.
    pub directory: PathBuf,
}

impl JsonFileSettings {
    /// The file of that bank.
    #[must_use]
    pub(crate) fn of(&self, bank: &str) -> PathBuf {
        self.directory.join(format!("{bank}_status.json"))
    }
}

const fn key(name: &'static str, kind: Kind, default: &'static str, why: &'static str) -> Key {
    Key { section: "json_file", name, kind, default, why }
}

pub(crate) const KEYS: &[Key] = &[
    key("enabled", Kind::Flag, "true", "write the latest reading to a file"),
    key("directory", Kind::Path(Base::Data), ".", "the file is <directory>/<bank>_status.json"),
];
