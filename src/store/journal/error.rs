//! Why a journal can't be opened, read or written, and what to do about it.

use std::path::{Path, PathBuf};

use diesel::result::{ConnectionError, Error};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    #[error(
        "the journal {} is in use by another process: stop the other bankwatch, or give one of them another \
         `journal`", .path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later version of the program; nothing in it was changed.
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
    /// Another program's database; nothing in it was changed.
    #[error("{} is not a bankwatch journal: choose another file for `journal`", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    #[error("the journal {} is damaged: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's message.
        reason: String,
    },
    #[error("the journal {} was removed or replaced while it was in use", .path.display())]
    Removed {
        /// The file.
        path: PathBuf,
    },
    #[error("no space left for the journal {}: free some space on its disk, or choose another `journal`", .path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    #[error(
        "the journal {} is read-only: make its file and folder writable for the service, or choose another \
         `journal`", .path.display()
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    #[error(
        "the journal {} can't be opened ({reason}): its folder must exist and be writable, and the path must not be a \
         folder", .path.display()
    )]
    Unreachable {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        reason: String,
    },
    /// Any other error of the disk or SQLite.
    #[error("the journal {} failed: {reason}", .path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        reason: String,
    },
}

impl JournalError {
    /// Classifies an error by SQLite's message, since Diesel drops its error code. The messages are those of the
    /// bundled SQLite, and each has a test.
    pub(super) fn of(path: &Path, error: &Error) -> Self {
        match error {
            // The reason for the rollback matters more than the failure of the rollback: a full disk ends a
            // transaction by itself.
            Error::RollbackErrorOnCommit { commit_error, .. } => Self::of(path, commit_error),
            error => Self::from_message(path, error.to_string()),
        }
    }

    /// The same for a file that could not be opened.
    pub(super) fn unopened(path: &Path, error: &ConnectionError) -> Self {
        let reason = match error {
            ConnectionError::BadConnection(reason) => reason.clone(),
            other => other.to_string(),
        };
        Self::from_message(path, reason)
    }

    fn from_message(path: &Path, reason: String) -> Self {
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

    /// Whether an open journal can still be read: a transaction that found no space has changed nothing.
    pub(super) fn keeps_connection(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::ReadOnly { .. })
    }
}
