//! What happened to the journal and its drain that is worth a log line; one notice becomes one line.

use std::path::PathBuf;

use crate::outage::{OutageNotice, Recovery};
use crate::store::journal::loss::Loss;

#[derive(Clone, Debug, PartialEq)]
pub enum StoreNotice {
    /// The disk does not accept the journal: new rows wait in memory.
    DiskDown {
        outage: OutageNotice,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The disk accepts rows again, and everything that waited in memory is on it.
    DiskRecovered(Recovery),
    /// A damaged journal was moved away, and a new one created.
    JournalMoved {
        to: PathBuf,
        reason: String,
    },
    /// The history file is gone or damaged, and a new one is created in its place.
    HistoryReplaced {
        /// What happened to the file, and where it is now.
        reason: String,
    },
    /// Rows were dropped since the last such notice.
    RowsLost {
        loss: Loss,
        outage: OutageNotice,
    },
    /// The database accepts nothing; it is retried.
    DatabaseDown {
        outage: OutageNotice,
        /// The sink's message.
        reason: String,
    },
    DatabaseRecovered(Recovery),
    /// The database rejected a row; it was put into a dead-letter table, and the others go on.
    DeadLettered(DeadLetter),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub kind: String,
    pub bank: String,
    /// Milliseconds since 1970, UTC.
    pub taken_at_ms: i64,
    /// The database's message.
    pub reason: String,
    pub table: DeadLetterTable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetterTable {
    /// `dead_letter` in the database.
    Database,
    /// `dead_letter` in the journal, because the database did not accept it there either.
    Journal,
    /// The disk did not accept it either: the row is lost.
    None,
}
