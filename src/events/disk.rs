//! Queues writes to disk: lines of the event log, and the active events of each bank.
//!
//! The actor runs a [`WriteJob`] on a worker thread and returns what could not be written to the queue.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::atomic_file::AtomicFile;
use crate::events::log_file::LogFile;
use crate::events::saved::SavedBank;

/// Maximum number of queued blocks; beyond it the oldest are dropped.
const MOST_BLOCKS: usize = 256;

#[derive(Debug)]
pub(crate) struct Disk {
    log: LogFile,
    files: BTreeMap<Arc<str>, Arc<AtomicFile>>,
    queued: WriteJob,
}

/// A snapshot of the queue, to be written on another thread.
#[derive(Clone, Debug)]
pub(crate) struct WriteJob {
    log: LogFile,
    blocks: VecDeque<String>,
    standing: BTreeMap<Arc<str>, (Arc<AtomicFile>, SavedBank)>,
}

#[derive(Debug)]
pub(crate) struct WriteOutcome {
    /// What could not be written.
    pub(crate) left: WriteJob,
    /// The reason and the file; `None` if everything was written.
    pub(crate) failed: Option<(String, PathBuf)>,
}

impl Disk {
    /// Writes the event log, and one file with active events in `folder` for each bank.
    pub(crate) fn new<'a>(log: LogFile, folder: &Path, banks: impl Iterator<Item = &'a Arc<str>>) -> Self {
        let file = |bank: &Arc<str>| Arc::new(AtomicFile::state(folder.join(SavedBank::file_name(bank))));
        let files = banks.map(|bank| (bank.clone(), file(bank))).collect();
        let queued = WriteJob { log: log.clone(), blocks: VecDeque::new(), standing: BTreeMap::new() };
        Self { log, files, queued }
    }

    #[must_use]
    pub(crate) fn log_path(&self) -> &Path {
        &self.log.path
    }

    /// Returns the file with the active events of each bank.
    pub(crate) fn standing_paths(&self) -> impl Iterator<Item = (Arc<str>, PathBuf)> {
        self.files.iter().map(|(bank, file)| (bank.clone(), file.path().to_owned()))
    }

    /// Queues lines for the event log.
    pub(crate) fn write(&mut self, block: String) {
        self.queued.blocks.push_back(block);
        let surplus = self.queued.blocks.len().saturating_sub(MOST_BLOCKS);
        self.queued.blocks.drain(..surplus);
    }

    /// Queues the active events of a bank.
    pub(crate) fn save(&mut self, bank: &Arc<str>, saved: SavedBank) {
        if let Some(file) = self.files.get(bank) {
            self.queued.standing.insert(bank.clone(), (file.clone(), saved));
        }
    }

    /// Returns everything queued, or `None` if the queue is empty. The queue is unchanged until [`Self::finish`].
    #[must_use]
    pub(crate) fn job(&self) -> Option<WriteJob> {
        let is_empty = self.queued.blocks.is_empty() && self.queued.standing.is_empty();
        (!is_empty).then(|| self.queued.clone())
    }

    /// Replaces the queue by what a finished job could not write. Nothing must have been queued meanwhile.
    pub(crate) fn done(&mut self, left: WriteJob) {
        self.queued = left;
    }
}

impl WriteJob {
    /// Writes the active events first, because a restart depends on them, then the log.
    #[must_use]
    pub fn run(mut self) -> WriteOutcome {
        let mut failed = None;
        self.standing.retain(|_, (file, saved)| {
            let written = saved.to_bytes().and_then(|content| file.replace(&content));
            written.is_err_and(|error| {
                failed.get_or_insert((error.to_string(), file.path().to_owned()));
                true
            })
        });
        while let Some(block) = self.blocks.front() {
            if let Err(error) = self.log.append(block) {
                failed.get_or_insert((error.to_string(), self.log.path.clone()));
                break;
            }
            self.blocks.pop_front();
        }
        WriteOutcome { left: self, failed }
    }
}
