//! The file with the latest reading.

use std::path::PathBuf;

use serde::Deserialize;

use crate::settings::check::kind::{PathBase, SettingKind};
use crate::settings::key::SettingDef;

/// The file with the latest reading.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonFileSettings {
    /// Whether it is written.
    pub enabled: bool,
    /// The folder of `<bank>_status.json`.
    pub directory: PathBuf,
}

impl JsonFileSettings {
    /// The file of that bank.
    #[must_use]
    pub(crate) fn path_for(&self, bank: &str) -> PathBuf {
        self.directory.join(format!("{bank}_status.json"))
    }
}

const fn key(
    name: &'static str,
    kind: SettingKind,
    default: &'static str,
    description: &'static str,
) -> SettingDef {
    SettingDef { section: "json_file", name, kind, default, description }
}

pub(crate) const KEYS: &[SettingDef] = &[
    key("enabled", SettingKind::Bool, "true", "write the latest reading to a file"),
    key("directory", SettingKind::Path(PathBase::Data), ".", "the file is <directory>/<bank>_status.json"),
];
