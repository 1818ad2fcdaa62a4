//! What waits for the disk: lines for the log of events, and what stands in each bank.
//!
//! Whoever owns it hands out a [`Job`] to be done where blocking harms nobody, and takes back what was left over.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::atomic_file::AtomicFile;
use crate::events::log_file::LogFile;
use crate::events::standing::SavedBank;

/// Blocks of lines that wait; of more, the newest are kept.
const MOST_BLOCKS: usize = 256;

/// What waits.
#[derive(Debug)]
pub(crate) struct Disk {
    log: LogFile,
    files: BTreeMap<Arc<str>, Arc<AtomicFile>>,
    waiting: Job,
}

/// What is to be written.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    log: LogFile,
    blocks: VecDeque<String>,
    standing: BTreeMap<Arc<str>, (Arc<AtomicFile>, SavedBank)>,
}

/// What came of a job.
#[derive(Debug)]
pub(crate) struct Done {
    /// What could not be written.
    pub(crate) left: Job,
    /// Why, and where; nothing where all is written.
    pub(crate) failed: Option<(String, PathBuf)>,
}

impl Disk {
    /// The log of events, and a file in `folder` for what stands in each of `banks`.
    pub(crate) fn new<'a>(log: LogFile, folder: &Path, banks: impl Iterator<Item = &'a Arc<str>>) -> Self {
        let file = |bank: &Arc<str>| Arc::new(AtomicFile::state(folder.join(SavedBank::file_name(bank))));
        let files = banks.map(|bank| (bank.clone(), file(bank))).collect();
        let waiting = Job { log: log.clone(), blocks: VecDeque::new(), standing: BTreeMap::new() };
        Self { log, files, waiting }
    }

    /// The log's file.
    #[must_use]
    pub(crate) fn log_path(&self) -> &Path {
        &self.log.path
    }

    /// Where what stands is kept, by bank.
    pub(crate) fn standing_paths(&self) -> impl Iterator<Item = (Arc<str>, PathBuf)> {
        self.files.iter().map(|(bank, file)| (bank.clone(), file.path().to_owned()))
    }

    /// Lines for the log.
    pub(crate) fn write(&mut self, block: String) {
        self.waiting.blocks.push_back(block);
        let surplus = self.waiting.blocks.len().saturating_sub(MOST_BLOCKS);
        self.waiting.blocks.drain(..surplus);
    }

    /// What stands in a bank now.
    pub(crate) fn save(&mut self, bank: &Arc<str>, saved: SavedBank) {
        if let Some(file) = self.files.get(bank) {
            self.waiting.standing.insert(bank.clone(), (file.clone(), saved));
        }
    }

    /// All that waits; nothing where nothing does. It waits on until [`Self::done`] says otherwise.
    #[must_use]
    pub(crate) fn job(&self) -> Option<Job> {
        let is_empty = self.waiting.blocks.is_empty() && self.waiting.standing.is_empty();
        (!is_empty).then(|| self.waiting.clone())
    }

    /// A job is done, and nothing else came to wait meanwhile: this is left of it.
    pub(crate) fn done(&mut self, left: Job) {
        self.waiting = left;
    }
}

impl Job {
    /// Writes: what stands first, since a restart stands on it.
    #[must_use]
    pub fn run(mut self) -> Done {
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
        Done { left: self, failed }
    }
}
