//! Replaces files atomically: a reader sees the old content or the new, never a part.
//!
//! A writer may hang on a network mount and resume long after later writers have finished. So each active writer has
//! its own temporary file, and a writer that started earlier never overwrites the content of one that started later.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::file_mode;

/// A flag of open(2). The cast is lossless, because the flag is one low bit.
const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    mode: u32,
    writers: Mutex<ActiveWriters>,
}

#[derive(Debug, Default)]
struct ActiveWriters {
    started: u64,
    /// The number of the latest writer whose content is at the path.
    committed: u64,
    /// The numbers of the temporary files in use.
    temporary: BTreeSet<usize>,
}

/// One active write; when dropped, its temporary name is free again.
struct WriteGuard<'a> {
    file: &'a AtomicFile,
    number: u64,
    temporary: usize,
}

impl AtomicFile {
    /// The file at `path`, for other programs to read. It need not exist yet.
    #[must_use]
    pub fn published(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mode: file_mode::PUBLISHED, writers: Mutex::default() }
    }

    /// The file at `path`, for this service and its group. It need not exist yet.
    #[must_use]
    pub fn state(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mode: file_mode::STATE, writers: Mutex::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the content. It is written to disk before the file gets its name, so a power cut leaves the old file or
    /// the new one. An existing file keeps its mode and, if permitted, its owner; a link stays a link. If a writer that
    /// started later has finished, its content stays.
    ///
    /// # Errors
    /// After an error no temporary file is left behind.
    pub fn replace(&self, content: &[u8]) -> io::Result<()> {
        let guard = self.start();
        let path = destination(&self.path);
        let temporary = temporary_path(&path, guard.temporary)?;
        let written =
            write(&temporary, &path, self.mode, content).and_then(|()| guard.commit(&temporary, &path));
        if written.is_err() {
            // A second error adds nothing to the one that is returned.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn start(&self) -> WriteGuard<'_> {
        let mut writers = self.writers.lock();
        writers.started += 1;
        let temporary = (0..).find(|name| !writers.temporary.contains(name)).unwrap_or_default();
        writers.temporary.insert(temporary);
        WriteGuard { file: self, number: writers.started, temporary }
    }
}

impl WriteGuard<'_> {
    /// Renames the temporary file. The lock is held meanwhile, so that an earlier writer can't overwrite a later one.
    fn commit(&self, temporary: &Path, path: &Path) -> io::Result<()> {
        let mut writers = self.file.writers.lock();
        if writers.committed > self.number {
            return fs::remove_file(temporary);
        }
        fs::rename(temporary, path)?;
        writers.committed = self.number;
        Ok(())
    }
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        self.file.writers.lock().temporary.remove(&self.temporary);
    }
}

/// The destination of a link, even if it does not exist yet.
fn destination(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| match (fs::read_link(path), path.parent()) {
        (Ok(target), Some(folder)) => folder.join(target),
        _ => path.to_owned(),
    })
}

/// Reuses a few names, so that temporary files don't accumulate after power cuts.
fn temporary_path(path: &Path, number: usize) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    if number > 0 {
        hidden.push(number.to_string());
    }
    Ok(path.with_file_name(hidden))
}

fn write(temporary: &Path, path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    file_mode::ensure(temporary, mode)?;
    // Never follow a link that another user may have placed there.
    let mut options = OpenOptions::new();
    options.write(true).truncate(true).custom_flags(NO_FOLLOW);
    let mut file: File = options.open(temporary)?;
    let before = fs::metadata(path);
    let mode = before.as_ref().map_or(mode, |before| before.mode() & 0o7777);
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    if let Ok(before) = before {
        // Only root can change the owner; for other users the file is theirs already.
        let _ = fchown(&file, Some(before.uid()), Some(before.gid()));
    }
    file.write_all(content)?;
    file.sync_data()
}
