//! Allows one service per `data_dir`: the counters, the active events, the history and the journal in it have one
//! writer each.
//!
//! The lock is a `flock` on a file that names its holder. It ends with the process, however that ends, so a crash
//! leaves nothing to clean up. Only the service takes it: verbs that read, and `db`, work while it is held.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;

const LOCK_FILE: &str = "bankwatch.lock";

/// A flag of open(2). The cast is lossless, because the flag is one low bit.
const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// The lock on a folder; released when dropped.
#[derive(Debug)]
pub(crate) struct InstanceLock {
    _file: File,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum InstanceLockError {
    /// Another service uses the folder.
    #[error(
        "another bankwatch ({holder}) is running with data_dir {}; stop it, or give this one its own data_dir",
        .folder.display()
    )]
    Held {
        folder: PathBuf,
        /// The process and host, if known.
        holder: String,
    },
    /// The file system does not allow the file or the lock.
    #[error(
        "cannot lock {} ({error}); make sure that no second bankwatch uses this data_dir", .path.display()
    )]
    Unavailable { path: PathBuf, error: io::Error },
}

impl InstanceLock {
    /// Locks `folder` for this process.
    ///
    /// # Errors
    /// [`InstanceLockError::Held`] if another process has it, [`InstanceLockError::Unavailable`] if the file system
    /// does not allow it.
    pub(crate) fn take(folder: &Path) -> Result<Self, InstanceLockError> {
        let path = folder.join(LOCK_FILE);
        let mut file = match open(&path) {
            Ok(file) => file,
            Err(error) => return Err(InstanceLockError::Unavailable { path, error }),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(InstanceLockError::Held { folder: folder.to_owned(), holder: holder(&path) });
            }
            Err(TryLockError::Error(error)) => return Err(InstanceLockError::Unavailable { path, error }),
        }
        // Errors are ignored: the lock is what counts. On a full disk only the process id is missing from the message.
        let host = rustix::system::uname();
        let _ = file.set_len(0);
        let _ = writeln!(file, "process {} on {}", process::id(), host.nodename().to_string_lossy());
        Ok(Self { _file: file })
    }
}

/// Opens the lock file. A file of another user can be locked although it can't be written.
fn open(path: &Path) -> io::Result<File> {
    let created = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .custom_flags(NO_FOLLOW)
        .open(path);
    match created {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(path)
        }
        opened => opened,
    }
}

/// The holder that the lock file names.
fn holder(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() || line.len() > 200 || line.chars().any(char::is_control) {
        "process id unknown".to_owned()
    } else {
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once_until_the_lock_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = InstanceLock::take(folder.path()).expect("the lock is free");
        let error = InstanceLock::take(folder.path()).expect_err("it is held");
        let message = error.to_string();
        assert!(matches!(error, InstanceLockError::Held { .. }), "{message}");
        assert!(message.contains(&format!("(process {} on ", process::id())), "{message}");
        drop(first);
        InstanceLock::take(folder.path()).expect("the lock is free, whatever the file contains");
    }

    #[test]
    fn a_missing_folder_is_distinguished_from_one_in_use() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = InstanceLock::take(&folder.path().join("missing")).expect_err("no folder");
        assert!(matches!(error, InstanceLockError::Unavailable { .. }), "{error}");
    }
}
