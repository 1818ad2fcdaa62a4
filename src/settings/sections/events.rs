//! What is done about events.

use std::path::PathBuf;

use serde::Deserialize;

pub use crate::model::event::EventLevel;

use crate::settings::check::kind::{PathBase, SettingKind};
use crate::settings::key::SettingDef;
use crate::settings::value::non_empty;

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
    #[serde(deserialize_with = "non_empty")]
    pub catalogue: Option<PathBuf>,
}

const fn key(
    name: &'static str,
    kind: SettingKind,
    default: &'static str,
    description: &'static str,
) -> SettingDef {
    SettingDef { section: "events", name, kind, default, description }
}

pub(crate) const KEYS: &[SettingDef] = &[
    key("enabled", SettingKind::Bool, "true", "detect and log events"),
    key("file", SettingKind::Path(PathBase::Data), "battery_events.log", "the event log"),
    key(
        "level",
        SettingKind::Choice(&["info", "warning"]),
        "warning",
        "info or warning: lowest level that is written to the event log",
    ),
    key("cells", SettingKind::Bool, "true", "log the cells of a battery with its event"),
    key(
        "catalogue",
        SettingKind::OptionalPath(PathBase::Settings),
        "",
        "file with your own levels and texts, like config/events.toml or events_config.json",
    ),
];
