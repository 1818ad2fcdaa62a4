//! The size and age limits of the journal.

use std::time::Duration;

use crate::settings::sections::database::DatabaseSettings;

/// Limits of the journal; beyond them the oldest rows are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes on disk for rows, including SQLite's overhead. The file may exceed this by at most 6 MB
    /// (`MARGIN_BYTES`): the write-ahead log and one batch.
    pub disk_bytes: u64,
    /// Bytes of payload in memory, used while the disk accepts nothing.
    pub memory_bytes: u64,
    /// Older rows are dropped.
    pub age: Duration,
}

impl Bounds {
    /// The size of the write-ahead log and one batch, in addition to the rows.
    #[cfg(feature = "internals")]
    pub const MARGIN_BYTES: u64 = 6_000_000;

    /// Several hours of readings of four batteries.
    const MEMORY_BYTES: u64 = 16_000_000;
}

impl From<&DatabaseSettings> for Bounds {
    fn from(settings: &DatabaseSettings) -> Self {
        Self {
            disk_bytes: settings.journal_max_mb.saturating_mul(1_000_000),
            memory_bytes: Self::MEMORY_BYTES,
            age: settings.journal_max_age,
        }
    }
}
