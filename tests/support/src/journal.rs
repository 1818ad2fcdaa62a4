//! Journal entries, and a database in memory with scripted failures.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bankwatch::internals::store::journal::{
    Bounds, Journal, JournalEntry, JournalSink, OpenedJournal, SinkError, StoredEntry,
};

pub const DAY: Duration = Duration::from_secs(86_400);

/// Far more than a test needs.
pub const WIDE: Bounds = Bounds { disk_bytes: 100_000_000, memory_bytes: 10_000_000, age: DAY };

/// A unique entry; its number is its time as well.
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

/// Opens an undamaged journal.
pub fn open(path: &Path, bounds: Bounds) -> Journal {
    let OpenedJournal { journal, set_aside } = Journal::open(path, bounds).unwrap();
    assert_eq!(set_aside, None);
    journal
}

/// All waiting rows, unconfirmed.
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
    /// In the order of their first arrival.
    pub stored: Vec<JournalEntry>,
    pub dead_letters: Vec<i64>,
    /// The number of rows of each call.
    pub batches: Vec<usize>,
    pub away: Option<String>,
    /// It responds but rejects every row.
    pub refuses: Option<String>,
    /// It stores rows, but the confirmation is lost.
    pub loses_confirmation: bool,
    /// Rows that it rejects.
    pub poison: Vec<i64>,
    /// Whether it reports which row of a batch it rejects.
    pub names_the_row: bool,
    /// Its dead-letter table accepts nothing.
    pub rejects_dead_letters: bool,
}

impl Database {
    pub fn set(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner.lock().unwrap());
    }

    pub fn stored(&self) -> Vec<i64> {
        self.inner.lock().unwrap().stored.iter().map(|entry| entry.taken_at_ms).collect()
    }

    pub fn dead_letters(&self) -> Vec<i64> {
        self.inner.lock().unwrap().dead_letters.clone()
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
        if database.loses_confirmation {
            return Err(SinkError::Unavailable("connection lost while committing".into()));
        }
        Ok(())
    }

    fn dead_letter(&mut self, row: &StoredEntry, _: &str) -> Result<(), SinkError> {
        let mut database = self.inner.lock().unwrap();
        database.there()?;
        if database.rejects_dead_letters {
            return Err(SinkError::Refused("no table dead_letter".into()));
        }
        if !database.dead_letters.contains(&row.entry.taken_at_ms) {
            database.dead_letters.push(row.entry.taken_at_ms);
        }
        Ok(())
    }
}
