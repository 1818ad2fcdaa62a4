//! What a journal and a history in a file have in common: which file is at a path, and where a damaged one goes.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How many damaged files are kept; the last place is used over and over.
const MOST_SET_ASIDE: usize = 3;

/// Device and inode: SQLite continues to write into a file that was removed, and those rows could never be found.
pub(super) type FileId = (u64, u64);

/// Which file is at the path.
pub(super) fn file_id(path: &Path) -> Option<FileId> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// The path with something appended to its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Moves a database that is damaged, and its log, to `<path>.damaged-<n>`, where it is kept for inspection.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    // A link stays, and what it leads to is moved on its own disk.
    let behind = if path.is_symlink() { fs::canonicalize(path)? } else { path.to_owned() };
    let path = behind.as_path();
    let mut places = (1..=MOST_SET_ASIDE).map(|number| with_suffix(path, &format!(".damaged-{number}")));
    let last = with_suffix(path, &format!(".damaged-{MOST_SET_ASIDE}"));
    let to = places.find(|place| !place.exists()).unwrap_or(last);
    // One that lies there already belongs to the file that is replaced.
    let _ = fs::remove_file(with_suffix(&to, "-wal"));
    // Its log first, so that a new database never takes it for its own.
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
