//! The settings before the first section.

use super::{
    key::Key,
    kind::{Base, Kind},
};

pub(super) const KEYS: &[Key] = &[Key {
    section: "",
    name: "data_dir",
    kind: Kind::Path(Base::Current),
    default: ".",
    why: "counters, database, journal; else $STATE_DIRECTORY, or /data in a container",
}];
