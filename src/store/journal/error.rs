//! Why a journal can't be opened, read or written, in words that say what to do.

use std::path::{Path, PathBuf};

use diesel::result::{ConnectionError, Error};

/// What is wrong with a journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Somebody else has it.
    #[error(
        "the journal {} is in use by another process: stop the other bankwatch, or give one of them another \
         `journal`", .path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A later version of the program wrote it; nothing in it was touched.
    #[error(
        "the journal {} has format {found}, this version knows formats up to {known}: run the version that wrote \
         it until it is empty, or choose another `journal`", .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format in it.
        found: i32,
        /// The newest format known.
        known: i32,
    },
    /// A database, but of something else; nothing in it was touched.
    #[error("{} is a database, but no journal: choose another file for `journal`", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// What is in the file is not what was written.
    #[error("the journal {} is damaged: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        reason: String,
    },
    /// It is no longer at its path.
    #[error("the journal {} was removed or replaced while it was in use", .path.display())]
    Removed {
        /// The file.
        path: PathBuf,
    },
    /// The disk is full.
    #[error("no room for the journal {}: free some space on its disk, or choose another `journal`", .path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file may not be written.
    #[error(
        "the journal {} is read-only: make its file and folder writable for the service, or choose another \
         `journal`", .path.display()
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// There can be no such file.
    #[error(
        "the journal {} can't be opened: its folder must exist and be writable, and the path must not be a folder \
         ({reason})", .path.display()
    )]
    Unreachable {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        reason: String,
    },
    /// Anything else the disk or SQLite has against it.
    #[error("the journal {} fails: {reason}", .path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        reason: String,
    },
}

impl JournalError {
    /// What SQLite's words mean. It has codes for it, but they do not come through; the texts are those of the
    /// bundled SQLite, and each has a test.
    pub(super) fn of(path: &Path, error: &Error) -> Self {
        match error {
            // Why it had to be rolled back says more than why that failed: a full disk ends a transaction by itself.
            Error::RollbackErrorOnCommit { commit_error, .. } => Self::of(path, commit_error),
            error => Self::said(path, error.to_string()),
        }
    }

    /// The same for a file that could not even be opened.
    pub(super) fn unopened(path: &Path, error: &ConnectionError) -> Self {
        let reason = match error {
            ConnectionError::BadConnection(reason) => reason.clone(),
            other => other.to_string(),
        };
        Self::said(path, reason)
    }

    fn said(path: &Path, reason: String) -> Self {
        let path = path.to_owned();
        match reason.as_str() {
            "database is locked" => Self::InUse { path },
            "file is not a database" | "database disk image is malformed" => Self::Damaged { path, reason },
            "database or disk is full" => Self::Full { path },
            "attempt to write a readonly database" => Self::ReadOnly { path },
            "unable to open database file" => Self::Unreachable { path, reason },
            _ => Self::Disk { path, reason },
        }
    }

    /// Whether an open journal is still good for reading: a transaction that found no room has left no trace.
    pub(super) fn leaves_it_open(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::ReadOnly { .. })
    }
}
