//! Helpers for SQLite files: which file is at a path, and moving a damaged one away.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The number of damaged files that are kept; the last one is overwritten.
const MAX_DAMAGED: usize = 3;

/// Device and inode. SQLite continues to write to a file that was removed, and those rows could never be found.
pub(super) type FileId = (u64, u64);

pub(super) fn file_id(path: &Path) -> Option<FileId> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// The path with something appended to its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Moves a damaged database and its log to `<path>.damaged-<n>` for inspection.
pub(super) fn move_damaged(path: &Path) -> io::Result<PathBuf> {
    // A symbolic link stays; its target is moved on its own disk.
    let target = if path.is_symlink() { fs::canonicalize(path)? } else { path.to_owned() };
    let path = target.as_path();
    let mut candidates = (1..=MAX_DAMAGED).map(|number| with_suffix(path, &format!(".damaged-{number}")));
    let last = with_suffix(path, &format!(".damaged-{MAX_DAMAGED}"));
    let to = candidates.find(|path| !path.exists()).unwrap_or(last);
    // A log that is there belongs to the file that is overwritten.
    let _ = fs::remove_file(with_suffix(&to, "-wal"));
    // The log first, so that a new database can't use it as its own.
    let moved = match fs::rename(with_suffix(path, "-wal"), with_suffix(&to, "-wal")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::rename(path, &to),
    };
    moved.map_err(|error| {
        io::Error::new(error.kind(), format!("it is damaged and can't be moved to {}: {error}", to.display()))
    })?;
    // The log's index is rebuilt when the file is opened.
    let _ = fs::remove_file(with_suffix(path, "-shm"));
    Ok(to)
}
