//! The configuration of the event actor, derived from the settings.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::events::catalogue::Catalogue;
use crate::events::log_file::LogFile;
use crate::model::event::EventLevel;
use crate::settings::{BankSettings, Settings};

#[derive(Clone, Debug)]
pub struct EventConfig {
    /// The banks and their intervals.
    pub banks: Vec<(Arc<str>, Duration)>,
    pub catalogue: Arc<Catalogue>,
    /// The lowest level that is written to the event log.
    pub level: EventLevel,
    /// Whether the cells of a battery are written with its events.
    pub cells: bool,
    pub log_file: LogFile,
    /// The folder of the files with active events.
    pub folder: PathBuf,
    /// Timeout of one write to disk, and the pause after a failed one.
    pub deadline: Duration,
    /// The time zone of the event log and of the batteries' clocks.
    pub zone: TimeZone,
}

impl EventConfig {
    /// Returns `None` if events are disabled. The event log is rotated like the service's own log.
    #[must_use]
    pub(crate) fn of(settings: &Settings, catalogue: &Arc<Catalogue>, deadline: Duration) -> Option<Self> {
        let Settings { events, log, banks, data_dir, .. } = settings;
        if !events.enabled {
            return None;
        }
        let bank = |bank: &BankSettings| (Arc::from(bank.name.as_str()), bank.interval);
        Some(Self {
            banks: banks.iter().map(bank).collect(),
            catalogue: catalogue.clone(),
            level: events.level,
            cells: events.cells,
            log_file: LogFile {
                path: events.file.clone(),
                max_size: log.max_size_kb.saturating_mul(1000),
                max_files: log.max_files,
            },
            folder: data_dir.clone(),
            deadline,
            zone: TimeZone::system(),
        })
    }
}
