//! The service's own log.

use std::path::PathBuf;

use serde::Deserialize;

use crate::settings::check::kind::{PathBase, SettingKind};
use crate::settings::key::SettingDef;
use crate::settings::value::non_empty;

/// The service's own log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// From which weight on.
    pub level: LogLevel,
    /// For people or for machines.
    pub(crate) format: LogFormat,
    /// The file; standard error where none.
    #[serde(deserialize_with = "non_empty")]
    pub file: Option<PathBuf>,
    /// The size in kilobytes at which the file is set aside.
    pub max_size_kb: u64,
    /// How many files that were set aside are kept.
    pub max_files: usize,
}

/// The weight of a line, in falling order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something is broken.
    Error,
    /// Something is amiss.
    Warning,
    /// What an operator wants to know.
    Info,
    /// What helps to find a fault.
    Debug,
    /// Every byte.
    Trace,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object a line.
    Json,
}

const fn key(
    name: &'static str,
    kind: SettingKind,
    default: &'static str,
    description: &'static str,
) -> SettingDef {
    SettingDef { section: "log", name, kind, default, description }
}

pub(crate) const KEYS: &[SettingDef] = &[
    key(
        "level",
        SettingKind::Choice(&["error", "warning", "info", "debug", "trace"]),
        "info",
        "error, warning, info, debug or trace",
    ),
    key("format", SettingKind::Choice(&["text", "json"]), "text", "text or json"),
    key("file", SettingKind::OptionalPath(PathBase::Data), "", "empty: standard error"),
    key("max_size_kb", SettingKind::Number(1..=10_000_000), "5000", "size at which the file is rotated"),
    key("max_files", SettingKind::Number(0..=1000), "1", "number of rotated files that are kept"),
];
