//! The journal: what is kept on local disk until the database has confirmed it.
//!
//! ```text
//!              keep                                              head                store
//! readings ───────────► Keeper: Journal, a SQLite file ─────────────────► Drain ────────────► Sink, the database
//!          durable when │       │ what the disk does not take             │                       │
//!          it returns   └► memory, while it doesn't                       │◄── yes, away, poison ─┘
//!                               ▲             confirm: gone from here     │
//!                               └─────────────────────────────────────────┘
//! ```
//! A row leaves the journal only after the sink has confirmed it. A crash between the two brings the row a second
//! time, so a [`Sink`] must take a row it has already for stored: exactly once in effect.
//!
//! The journal knows nothing of what it keeps: a row is a kind, a bank, a time and bytes.

mod drain;
mod error;
mod file;
mod keeper;
mod notice;
mod open;
mod rows;

use std::time::Duration;

pub use self::drain::{Drain, Next, Rhythm, Sink, SinkError, Step};
pub use self::error::JournalError;
pub use self::file::Journal;
pub use self::keeper::Keeper;
pub use self::notice::{Buried, Grave, Notice};
pub use self::open::{Opened, SetAside};
use crate::settings::sections::database::DatabaseSettings;

/// What somebody wants kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What the payload is, for whoever stores it.
    pub kind: String,
    /// The bank it is about.
    pub bank: String,
    /// When it was taken: milliseconds since 1970, UTC.
    pub taken_at_ms: i64,
    /// The content; the journal never looks into it.
    pub payload: Vec<u8>,
}

/// An entry that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number: rises with the order of keeping and is used once as long as the process lives.
    pub seq: i64,
    /// What is kept.
    pub entry: Entry,
    /// The disk has given back something else than was kept.
    pub is_damaged: bool,
}

/// How much is kept at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes on disk that rows may take, with all that SQLite needs around them. Beside them the file has a margin
    /// of at most [`Bounds::MARGIN_BYTES`].
    pub disk_bytes: u64,
    /// Bytes of payload in memory, while the disk takes nothing.
    pub memory_bytes: u64,
    /// Rows older than this are given up.
    pub age: Duration,
}

impl Bounds {
    /// What the write-ahead log and one batch take beside the rows.
    pub const MARGIN_BYTES: u64 = 6_000_000;

    /// An hour of four batteries' readings, several times over.
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

/// Rows that are gone though nobody stored them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Why.
    pub why: LossReason,
    /// How many.
    pub rows: u64,
    /// When the oldest of them was taken: milliseconds since 1970, UTC.
    pub from_ms: i64,
    /// When the newest of them was taken: milliseconds since 1970, UTC.
    pub to_ms: i64,
}

/// Why rows were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// The journal is as large as it may be; the oldest went.
    Full,
    /// They were older than they may be.
    Old,
    /// The disk took nothing and memory is as full as it may be; the oldest went.
    Memory,
    /// They went with the journal's file, which was removed, replaced or unmounted while it was in use. Should it
    /// come back with its disk, they are there again.
    Removed,
    /// The database refused the row and its dead letter, and the disk did not take it either.
    Refused,
}

impl LossReason {
    /// The words for it in logs.
    #[must_use]
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Full => "the journal has reached journal_max_mb",
            Self::Old => "older than journal_max_age",
            Self::Memory => "the disk takes nothing and memory is full",
            Self::Removed => "the journal's file was removed, replaced or unmounted",
            Self::Refused => "neither the database nor the disk took the row",
        }
    }
}

impl Loss {
    /// The loss of rows taken at these times; nothing where there are none.
    fn of(why: LossReason, times: impl IntoIterator<Item = i64>) -> Option<Self> {
        let one = |at| Self { why, rows: 1, from_ms: at, to_ms: at };
        times.into_iter().map(one).reduce(Self::with)
    }

    /// Both together, under the first one's reason.
    #[must_use]
    pub(crate) fn with(self, other: Self) -> Self {
        Self {
            why: self.why,
            rows: self.rows + other.rows,
            from_ms: self.from_ms.min(other.from_ms),
            to_ms: self.to_ms.max(other.to_ms),
        }
    }
}
