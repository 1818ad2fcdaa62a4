//! What an operator should hear of the journal and of its drain: one notice, one line of the log.

use std::path::PathBuf;

use super::Loss;
use crate::outage::{OutageNotice, Recovery};

/// Something worth a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The disk does not take the journal: the newest rows wait in memory.
    DiskAway {
        /// Why it is said now.
        say: OutageNotice,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The disk takes it again, and everything that had waited is on it.
    DiskBack(Recovery),
    /// A damaged file was moved out of the way, and a fresh one begun.
    SetAside {
        /// Where it is now.
        to: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// The history file is gone or damaged, and a new one is created in its place.
    HistoryBegun {
        /// What happened to the file, and where it is now.
        reason: String,
    },
    /// Rows are gone: those since the last such notice.
    Lost {
        /// How many, from when to when, and why.
        loss: Loss,
        /// Why it is said now.
        say: OutageNotice,
    },
    /// The database takes nothing; it is tried again.
    SinkAway {
        /// Why it is said now.
        say: OutageNotice,
        /// The sink's words.
        reason: String,
    },
    /// The database takes rows again.
    SinkBack(Recovery),
    /// A row that the database can't take was put aside, and the rest goes on.
    Buried(Buried),
}

/// A row that was put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buried {
    /// Its kind.
    pub kind: String,
    /// Its bank.
    pub bank: String,
    /// When it was taken: milliseconds since 1970, UTC.
    pub taken_at_ms: i64,
    /// What the database has against it.
    pub reason: String,
    /// Where it lies.
    pub grave: Grave,
}

/// Where dead letters lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grave {
    /// In the database's table `dead_letter`.
    Database,
    /// In the journal's own, since the database's did not take it either.
    Journal,
    /// Nowhere: the disk did not take it either, and it is lost.
    None,
}
