//! Replaces a file as a whole: whoever reads it sees the old content or the new, never half of one.
//!
//! A writer may hang (a network mount) and wake up long after others have gone on without it. So each writer at
//! work has a hidden file of its own, and whoever began earlier never comes after one who began later.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::file_mode;

/// Flags of open(2): fits, since the flag is one low bit.
const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// A file that is only ever replaced as a whole.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    mode: u32,
    writers: Mutex<Writers>,
}

/// Who writes right now.
#[derive(Debug, Default)]
struct Writers {
    begun: u64,
    /// The latest writer whose content stands at the path.
    stands: u64,
    /// The hidden names in use, by number.
    at_work: BTreeSet<usize>,
}

/// One writer's turn; dropped, its hidden name is free again.
struct Turn<'a> {
    file: &'a AtomicFile,
    number: u64,
    hidden: usize,
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

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts `content` there. It is on the disk before it gets the name, so a power cut leaves the old file or the
    /// new one. A file that was there keeps its mode and, where we may, its owner; a link stays a link. If
    /// somebody who began later is done already, his content stays.
    ///
    /// # Errors
    /// Those of the system; nothing is left behind beside the file.
    pub fn replace(&self, content: &[u8]) -> io::Result<()> {
        let turn = self.begin();
        let path = destination(&self.path);
        let beside = beside(&path, turn.hidden)?;
        let written = write(&beside, &path, self.mode, content).and_then(|()| turn.put(&beside, &path));
        if written.is_err() {
            // What is in the way may be no file of ours; then the error that counts is told already.
            let _ = fs::remove_file(&beside);
        }
        written
    }

    fn begin(&self) -> Turn<'_> {
        let mut writers = self.lock();
        writers.begun += 1;
        let hidden = (0..).find(|name| !writers.at_work.contains(name)).unwrap_or_default();
        writers.at_work.insert(hidden);
        Turn { file: self, number: writers.begun, hidden }
    }

    fn lock(&self) -> MutexGuard<'_, Writers> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Gives the content its name. The lock is held meanwhile, so that no later writer is overtaken.
    fn put(&self, beside: &Path, path: &Path) -> io::Result<()> {
        let mut writers = self.file.lock();
        if writers.stands > self.number {
            return fs::remove_file(beside);
        }
        fs::rename(beside, path)?;
        writers.stands = self.number;
        Ok(())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.file.lock().at_work.remove(&self.hidden);
    }
}

/// Where a link leads, even if nothing is there yet.
fn destination(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| match (fs::read_link(path), path.parent()) {
        (Ok(target), Some(folder)) => folder.join(target),
        _ => path.to_owned(),
    })
}

/// The same few names each time, so that nothing piles up after a power cut.
fn beside(path: &Path, number: usize) -> io::Result<PathBuf> {
    let name =
        path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no file's name"))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    if number > 0 {
        hidden.push(number.to_string());
    }
    Ok(path.with_file_name(hidden))
}

fn write(beside: &Path, path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    file_mode::ensure(beside, mode)?;
    // Never through a link somebody else may have laid there.
    let mut options = OpenOptions::new();
    options.write(true).truncate(true).custom_flags(NO_FOLLOW);
    let mut file: File = options.open(beside)?;
    let before = fs::metadata(path);
    let mode = before.as_ref().map_or(mode, |before| before.mode() & 0o7777);
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    if let Ok(before) = before {
        // Only root may give files away; for everybody else they are ours already.
        let _ = fchown(&file, Some(before.uid()), Some(before.gid()));
    }
    file.write_all(content)?;
    file.sync_data()
}
