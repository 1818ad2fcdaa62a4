//! The service's own log.

use std::path::PathBuf;

use serde::Deserialize;

use crate::settings::check::kind::{Base, Kind};
use crate::settings::key::Key;
use crate::settings::value::unless_blank;

/// The service's own log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// From which weight on.
    pub level: LogLevel,
    /// For people or for machines.
    pub(crate) format: LogFormat,
    /// The file; standard error where none.
    #[serde(deserialize_with = "unless_blank")]
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

const fn key(name: &'static str, kind: Kind, default: &'static str, why: &'static str) -> Key {
    Key { section: "log", name, kind, default, why }
}

pub(crate) const KEYS: &[Key] = &[
    key(
        "level",
        Kind::Word(&["error", "warning", "info", "debug", "trace"]),
        "info",
        "error, warning, info, debug or trace",
    ),
    key("format", Kind::Word(&["text", "json"]), "text", "text or json"),
    key("file", Kind::OptionalPath(Base::Data), "", "empty: standard error"),
    key("max_size_kb", Kind::Number(1..=10_000_000), "5000", "size at which the file is rotated"),
    key("max_files", Kind::Number(0..=1000), "1", "number of rotated files that are kept"),
];
