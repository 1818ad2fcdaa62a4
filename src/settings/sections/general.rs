//! The settings before the first section.

use crate::settings::check::kind::{Base, Kind};
use crate::settings::key::Key;

pub(crate) const KEYS: &[Key] = &[Key {
    section: "",
    name: "data_dir",
    kind: Kind::Path(Base::Current),
    default: ".",
    why: "counters, database, journal; else $STATE_DIRECTORY, or /data in a container",
}];
