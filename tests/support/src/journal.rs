//! Entries, keepers and a database that does what it is told.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bankwatch::internals::store::journal::{
    Bounds, Journal, JournalEntry, JournalSink, OpenedJournal, SinkError, StoredEntry,
};

pub const DAY: Duration = Duration::from_secs(86_400);

/// Far more than a test keeps.
pub const WIDE: Bounds = Bounds { disk_bytes: 100_000_000, memory_bytes: 10_000_000, age: DAY };

/// An entry that can be told from every other; its number is its time as well.
pub fn entry(number: i64, bytes: usize) -> JournalEntry {
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(bytes.max(8), u8::try_from(number.rem_euclid(251)).unwrap());
    JournalEntry { kind: "reading".into(), bank: "house".into(), taken_at_ms: number, payload }
}

pub fn entries(numbers: std::ops::Range<i64>, bytes: usize) -> Vec<JournalEntry> {
    numbers.map(|number| entry(number, bytes)).collect()
}

pub fn numbers(kept: &[StoredEntry]) -> Vec<i64> {
    kept.iter().map(|kept| kept.entry.taken_at_ms).collect()
}

/// Opens a journal in which nothing is wrong.
pub fn open(path: &Path, bounds: Bounds) -> Journal {
    let OpenedJournal { journal, set_aside } = Journal::open(path, bounds).unwrap();
    assert_eq!(set_aside, None);
    journal
}

/// All that waits, without taking it.
pub fn all(journal: &mut Journal) -> Vec<StoredEntry> {
    journal.head(usize::MAX, usize::MAX).unwrap()
}

/// A database in memory, with unique keys.
#[derive(Clone, Debug, Default)]
pub struct Database {
    pub inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
pub struct Inner {
    /// In the order in which they came first.
    pub stored: Vec<JournalEntry>,
    pub buried: Vec<i64>,
    /// How many rows each call brought.
    pub batches: Vec<usize>,
    pub away: Option<String>,
    /// It answers and takes nothing.
    pub refuses: Option<String>,
    /// Stores, and its yes is lost on the way.
    pub forgets_to_answer: bool,
    /// Rows it can't take.
    pub poison: Vec<i64>,
    /// Whether it says which row of a batch it was.
    pub names_the_row: bool,
    /// Its table of dead letters takes nothing.
    pub no_graves: bool,
}

impl Database {
    pub fn set(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner.lock().unwrap());
    }

    pub fn stored(&self) -> Vec<i64> {
        self.inner.lock().unwrap().stored.iter().map(|entry| entry.taken_at_ms).collect()
    }

    pub fn buried(&self) -> Vec<i64> {
        self.inner.lock().unwrap().buried.clone()
    }

    pub fn batches(&self) -> Vec<usize> {
        self.inner.lock().unwrap().batches.clone()
    }
}

impl Inner {
    fn there(&self) -> Result<(), SinkError> {
        match (&self.away, &self.refuses) {
            (Some(reason), _) => Err(SinkError::Unavailable(reason.clone())),
            (_, Some(reason)) => Err(SinkError::Refused(reason.clone())),
            _ => Ok(()),
        }
    }
}

impl JournalSink for Database {
    fn store(&mut self, batch: &[StoredEntry]) -> Result<(), SinkError> {
        let mut database = self.inner.lock().unwrap();
        database.batches.push(batch.len());
        database.there()?;
        if let Some(index) = batch.iter().position(|row| database.poison.contains(&row.entry.taken_at_ms)) {
            let index = database.names_the_row.then_some(index);
            return Err(SinkError::Poison { index, reason: "value out of range".into() });
        }
        for StoredEntry { entry, .. } in batch {
            if !database.stored.contains(entry) {
                database.stored.push(entry.clone());
            }
        }
        if database.forgets_to_answer {
            return Err(SinkError::Unavailable("connection lost while committing".into()));
        }
        Ok(())
    }

    fn dead_letter(&mut self, row: &StoredEntry, _: &str) -> Result<(), SinkError> {
        let mut database = self.inner.lock().unwrap();
        database.there()?;
        if database.no_graves {
            return Err(SinkError::Refused("no table dead_letter".into()));
        }
        if !database.buried.contains(&row.entry.taken_at_ms) {
            database.buried.push(row.entry.taken_at_ms);
        }
        Ok(())
    }
}
