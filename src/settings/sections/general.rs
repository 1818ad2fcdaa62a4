//! The settings before the first section.

use crate::settings::check::kind::{PathBase, SettingKind};
use crate::settings::key::SettingDef;

pub(crate) const KEYS: &[SettingDef] = &[SettingDef {
    section: "",
    name: "data_dir",
    kind: SettingKind::Path(PathBase::Current),
    default: ".",
    description: "counters, database, journal; else $STATE_DIRECTORY, or /data in a container",
}];
