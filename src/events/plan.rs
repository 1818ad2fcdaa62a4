//! All that following events takes, from the settings.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::events::catalogue::Catalogue;
use crate::events::log_file::LogFile;
use crate::model::event::EventLevel;
use crate::settings::{BankSettings, Settings};

/// What is followed, and where it is told.
#[derive(Clone, Debug)]
pub struct EventPlan {
    /// The banks, and how often each is to be read.
    pub banks: Vec<(Arc<str>, Duration)>,
    /// What a condition is called and how much it weighs.
    pub catalogue: Arc<Catalogue>,
    /// From which weight on events are written.
    pub level: EventLevel,
    /// Whether the cells are written beside them.
    pub cells: bool,
    /// The log of events.
    pub log_file: LogFile,
    /// The folder of what stands.
    pub folder: PathBuf,
    /// How long one round of writing may take, and the rest after one that failed.
    pub deadline: Duration,
    /// The zone of the log's times and of the batteries' clocks.
    pub zone: TimeZone,
}

impl EventPlan {
    /// What the settings say; nothing where events are not wanted. The log of events is set aside as the service's own.
    #[must_use]
    pub(crate) fn of(settings: &Settings, catalogue: &Arc<Catalogue>, deadline: Duration) -> Option<Self> {
        let Settings { events, log, banks, data_dir, .. } = settings;
        if !events.enabled {
            return None;
        }
        let followed = |bank: &BankSettings| (Arc::from(bank.name.as_str()), bank.interval);
        Some(Self {
            banks: banks.iter().map(followed).collect(),
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
