//! What is done about events.

use std::path::PathBuf;

use serde::Deserialize;

pub use crate::model::event::EventLevel;

use crate::settings::check::kind::{Base, Kind};
use crate::settings::key::Key;
use crate::settings::value::unless_blank;

/// What is done about events.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventSettings {
    /// Whether events are told.
    pub enabled: bool,
    /// The log of events.
    pub file: PathBuf,
    /// From which weight on.
    pub level: EventLevel,
    /// Whether the cells are written beside an event.
    pub cells: bool,
    /// A file with other levels and texts: `events.toml`, or the predecessor's `events_config.json`.
    #[serde(deserialize_with = "unless_blank")]
    pub catalogue: Option<PathBuf>,
}

const fn key(name: &'static str, kind: Kind, default: &'static str, why: &'static str) -> Key {
    Key { section: "events", name, kind, default, why }
}

pub(crate) const KEYS: &[Key] = &[
    key("enabled", Kind::Flag, "true", "detect and log events"),
    key("file", Kind::Path(Base::Data), "battery_events.log", "the event log"),
    key(
        "level",
        Kind::Word(&["info", "warning"]),
        "warning",
        "info or warning: lowest level that is written to the event log",
    ),
    key("cells", Kind::Flag, "true", "log the cells of a battery with its event"),
    key(
        "catalogue",
        Kind::OptionalPath(Base::Settings),
        "",
        "file with your own levels and texts, like config/events.toml or events_config.json",
    ),
];
