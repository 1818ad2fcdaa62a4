//! What a battery remembers by itself: the records of its own log and the snapshots of its event memory.

use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use crate::model::place::Place;

/// Which of its memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemoryKind {
    /// Its log: `log`.
    Log,
    /// Its event memory: `data event`.
    Snapshot,
}

impl MemoryKind {
    /// The word for it in logs and outputs.
    #[must_use]
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Snapshot => "snapshot",
        }
    }
}

/// One record, in the order of the battery's own clock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemoryRecord {
    /// When, by the battery's own clock; none where it was never set.
    pub clock: Option<DateTime>,
    /// From which memory.
    pub kind: MemoryKind,
    /// Its number there; higher is newer.
    pub(crate) index: i64,
    /// Which module wrote it.
    pub(crate) module: Option<String>,
    /// A code.
    pub(crate) code: Option<u32>,
    /// What happened, on one line.
    pub text: Option<String>,
}

/// Records that nobody has been told before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recollection {
    /// The bank's name in the settings.
    pub(crate) bank: Arc<str>,
    /// Whose they are; none for a high-voltage stack.
    pub battery: Option<Place>,
    /// That battery's serial number, where it is known.
    pub barcode: Option<String>,
    /// The oldest first.
    pub records: Vec<MemoryRecord>,
    /// When the sweep they came with began, by our clock.
    pub(crate) taken_at: Timestamp,
    /// The battery's own clock in that sweep.
    pub clock: Option<DateTime>,
    /// How far the battery's clock is ahead of our local time; what is behind is negative.
    pub clock_ahead: Option<SignedDuration>,
}
