//! The journal's file: a separate SQLite database, written in transactions that are durable when they return.
//!
//! Confirmed rows are deleted by the next append, so that a sweep costs one disk flush instead of two; a backlog that
//! is being drained is deleted at once. Rows confirmed but not yet deleted when the process dies are delivered again.

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::dsl::{count_star, max};
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_query;
use diesel::sql_types::BigInt;

use crate::store::files::{FileId, file_id};
use crate::store::journal::bounds::Bounds;
use crate::store::journal::entry::{JournalEntry, StoredEntry};
use crate::store::journal::error::JournalError;
use crate::store::journal::loss::{Loss, LossReason};
use crate::store::journal::open::{self, DamagedFile};
use crate::store::journal::rows::{
    PAGE, ROWS_PER_LOOK, STORED_ROWS, StoredRow, checksum, dead_letter, delete_confirmed, drop_rows, entry,
    first_damaged, merge_losses, oldest_rows, pages, shrink_to,
};

/// This many confirmed rows are deleted at once; fewer wait for the next append.
const MIN_DELETED: u64 = 16;

/// A file that uses fewer pages than this is cheap to rewrite; more free pages than this are worth returning.
const SPARSE_PAGES: u64 = 1024;

#[derive(Debug)]
pub struct OpenedJournal {
    pub journal: Journal,
    /// The damaged file found at its path.
    pub set_aside: Option<DamagedFile>,
}

/// An open journal. No other process can open it at the same time.
pub struct Journal {
    path: PathBuf,
    connection: SqliteConnection,
    bounds: Bounds,
    file: FileId,
    next_seq: i64,
    /// Rows up to this sequence number are confirmed.
    confirmed: i64,
    /// Unconfirmed rows.
    len: u64,
    /// Confirmed rows that are still in the file.
    undeleted: u64,
}

impl Journal {
    /// Opens or creates the journal at `path`. A damaged file is moved to `<path>.damaged-<n>` and a new one is
    /// created.
    ///
    /// # Errors
    /// Another process has it open, a newer version or another program wrote it (it is left unchanged), or the disk
    /// fails.
    pub fn open(path: &Path, bounds: Bounds) -> Result<OpenedJournal, JournalError> {
        let (mut connection, set_aside) = open::connect(path)?;
        let counted = entry::table
            .select((max(entry::seq), count_star()))
            .first::<(Option<i64>, i64)>(&mut connection)
            .map_err(|error| JournalError::of(path, &error))?;
        let file = file_id(path).ok_or_else(|| JournalError::Removed { path: path.to_owned() })?;
        let (last, len) = (counted.0.unwrap_or(0), unsigned(counted.1));
        let journal = Self {
            path: path.to_owned(),
            connection,
            bounds,
            file,
            next_seq: last + 1,
            confirmed: 0,
            len,
            undeleted: 0,
        };
        Ok(OpenedJournal { journal, set_aside })
    }

    pub(crate) fn next_seq(&self) -> i64 {
        self.next_seq
    }

    /// Raises the next sequence number to at least `seq`. A journal that replaces another continues its numbers, so
    /// that nothing is confirmed under a number that meant another row.
    pub(crate) fn skip_to_seq(&mut self, seq: i64) {
        self.next_seq = self.next_seq.max(seq);
    }

    /// The number of unconfirmed rows.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    #[cfg(feature = "internals")]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends the entries in this order; they are durable when it returns. Beyond the size limit the oldest rows are
    /// dropped, and returned as the loss.
    ///
    /// # Errors
    /// The disk fails, or the file is no longer at its path; then none of them is stored.
    pub fn append(&mut self, entries: &[JournalEntry]) -> Result<Option<Loss>, JournalError> {
        self.check_file()?;
        let (first, confirmed, max_pages) = (self.next_seq, self.confirmed, self.bounds.disk_bytes / PAGE);
        let lost = self.transaction(|connection| {
            delete_confirmed(connection, confirmed)?;
            for (seq, new) in (first..).zip(entries) {
                let columns = (
                    entry::seq.eq(seq),
                    entry::kind.eq(&new.kind),
                    entry::bank.eq(&new.bank),
                    entry::taken_at_ms.eq(new.taken_at_ms),
                    entry::payload.eq(&new.payload),
                    entry::checksum.eq(checksum(seq, new)),
                );
                diesel::insert_into(entry::table).values(columns).execute(connection)?;
            }
            shrink_to(connection, max_pages)
        })?;
        self.next_seq += entries.len() as i64;
        self.undeleted = 0;
        self.len = (self.len + entries.len() as u64).saturating_sub(lost.map_or(0, |loss| loss.rows));
        self.vacuum_if_sparse();
        Ok(lost)
    }

    /// Drops the rows at the head that were taken before `before_ms`, up to the first damaged one, whose time may be
    /// wrong.
    ///
    /// # Errors
    /// The disk fails.
    pub fn expire(&mut self, before_ms: i64) -> Result<Option<Loss>, JournalError> {
        let confirmed = self.confirmed;
        let oldest = self.oldest()?;
        if oldest.is_none_or(|oldest| oldest >= before_ms) {
            return Ok(None);
        }
        let lost = self.transaction(|connection| {
            delete_confirmed(connection, confirmed)?;
            diesel::delete(dead_letter::table.filter(dead_letter::taken_at_ms.lt(before_ms)))
                .execute(connection)?;
            let mut lost: Option<Loss> = None;
            loop {
                let found = oldest_rows(connection, -1, ROWS_PER_LOOK)?;
                let mut old: Vec<_> =
                    found.iter().copied().take_while(|(_, taken)| *taken < before_ms).collect();
                if let Some((last, _)) = old.last()
                    && let Some(damaged) = first_damaged(connection, *last)?
                {
                    old.retain(|(seq, _)| *seq < damaged);
                }
                lost = merge_losses(lost, drop_rows(connection, LossReason::Expired, &old)?);
                if old.len() < found.len() || found.is_empty() {
                    return Ok(lost);
                }
            }
        })?;
        self.undeleted = 0;
        self.len = self.len.saturating_sub(lost.map_or(0, |loss| loss.rows));
        self.vacuum_if_sparse();
        Ok(lost)
    }

    /// The oldest rows in order: at most `rows`, with at most `bytes` of payload, but at least one if there is one.
    ///
    /// # Errors
    /// The disk fails.
    pub fn head(&mut self, rows: usize, bytes: usize) -> Result<Vec<StoredEntry>, JournalError> {
        let failed = |error| JournalError::of(&self.path, &error);
        let limit = i64::try_from(rows).unwrap_or(i64::MAX);
        let oldest = sql_query(STORED_ROWS).bind::<BigInt, _>(self.confirmed).bind::<BigInt, _>(limit);
        let (mut head, mut size) = (Vec::new(), 0);
        for row in oldest
            .load_iter::<StoredRow, diesel::connection::DefaultLoadingMode>(&mut self.connection)
            .map_err(failed)?
        {
            let row = StoredEntry::from(row.map_err(failed)?);
            size += row.entry.payload.len();
            if size > bytes && !head.is_empty() {
                break;
            }
            head.push(row);
        }
        Ok(head)
    }

    /// Confirms every row up to this sequence number: the database has them.
    ///
    /// # Errors
    /// The disk fails; the rows still count as confirmed while this journal is open.
    pub fn confirm(&mut self, up_to: i64) -> Result<(), JournalError> {
        if up_to <= self.confirmed {
            return Ok(());
        }
        let confirmed = entry::table.filter(entry::seq.gt(self.confirmed).and(entry::seq.le(up_to)));
        let count: i64 = confirmed
            .select(count_star())
            .first(&mut self.connection)
            .map_err(|error| JournalError::of(&self.path, &error))?;
        self.confirmed = up_to;
        self.len = self.len.saturating_sub(unsigned(count));
        self.undeleted += unsigned(count);
        if self.undeleted >= MIN_DELETED { self.delete_confirmed() } else { Ok(()) }
    }

    /// Deletes the confirmed rows, so that none of them is delivered again after the next start.
    ///
    /// # Errors
    /// The disk fails.
    pub fn delete_confirmed(&mut self) -> Result<(), JournalError> {
        if self.undeleted > 0 {
            let confirmed = self.confirmed;
            self.transaction(|connection| delete_confirmed(connection, confirmed))?;
            self.undeleted = 0;
            self.vacuum_if_sparse();
        }
        Ok(())
    }

    /// Moves one row to the journal's own dead letters: the last resort, when the database accepts neither the row nor
    /// its dead letter. They are dropped first when the journal is full, and expire at the same age as rows.
    ///
    /// # Errors
    /// The disk fails.
    pub fn dead_letter(&mut self, seq: i64, reason: &str) -> Result<(), JournalError> {
        let confirmed = self.confirmed;
        let moved = self.transaction(|connection| {
            delete_confirmed(connection, confirmed)?;
            let query = sql_query(STORED_ROWS).bind::<BigInt, _>(seq - 1).bind::<BigInt, _>(1);
            let found = query.get_result::<StoredRow>(connection).optional()?.map(StoredEntry::from);
            let Some(StoredEntry { entry: row, .. }) = found.filter(|row| row.seq == seq) else {
                return Ok(false);
            };
            let columns = (
                dead_letter::kind.eq(row.kind),
                dead_letter::bank.eq(row.bank),
                dead_letter::taken_at_ms.eq(row.taken_at_ms),
                dead_letter::reason.eq(reason),
                dead_letter::payload.eq(row.payload),
            );
            diesel::insert_into(dead_letter::table).values(columns).execute(connection)?;
            diesel::delete(entry::table.find(seq)).execute(connection)?;
            Ok(true)
        })?;
        self.undeleted = 0;
        self.len -= u64::from(moved);
        Ok(())
    }

    /// The number of its own dead letters.
    ///
    /// # Errors
    /// The disk fails.
    #[cfg(feature = "internals")]
    pub fn dead_letters(&mut self) -> Result<u64, JournalError> {
        let count = dead_letter::table.count().get_result(&mut self.connection);
        count.map(unsigned).map_err(|error| JournalError::of(&self.path, &error))
    }

    /// When the oldest row was taken: milliseconds since 1970, UTC.
    ///
    /// # Errors
    /// The disk fails.
    pub fn oldest(&mut self) -> Result<Option<i64>, JournalError> {
        let first = oldest_rows(&mut self.connection, self.confirmed, 1);
        let first = first.map_err(|error| JournalError::of(&self.path, &error))?;
        Ok(first.first().map(|(_, taken_at_ms)| *taken_at_ms))
    }

    /// Bytes of the file that are in use; these count against the limit.
    ///
    /// # Errors
    /// The disk fails.
    #[cfg(feature = "internals")]
    pub fn bytes(&mut self) -> Result<u64, JournalError> {
        let pages = pages(&mut self.connection).map_err(|error| JournalError::of(&self.path, &error))?;
        Ok(pages.used() * PAGE)
    }

    /// SQLite goes on writing to a file that was removed, and those rows could never be found.
    fn check_file(&self) -> Result<(), JournalError> {
        if file_id(&self.path) == Some(self.file) {
            return Ok(());
        }
        Err(JournalError::Removed { path: self.path.clone() })
    }

    /// Rewrites a file that was large and is nearly empty, which costs little. If the disk fails, the rows are safe,
    /// and the next append reports it.
    fn vacuum_if_sparse(&mut self) {
        let Ok(pages) = pages(&mut self.connection) else { return };
        if pages.used() <= SPARSE_PAGES && pages.free > SPARSE_PAGES {
            let _ = self.connection.batch_execute("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
        }
    }

    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
    ) -> Result<T, JournalError> {
        // A full disk ends the transaction by itself. Then the rollback fails as well, and Diesel returns that error:
        // so the first error is kept.
        let mut cause = None;
        let done = self.connection.immediate_transaction(|connection| {
            work(connection).map_err(|error| {
                cause = Some(error);
                Error::RollbackTransaction
            })
        });
        done.map_err(|error| JournalError::of(&self.path, cause.as_ref().unwrap_or(&error)))
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("path", &self.path).field("len", &self.len).finish_non_exhaustive()
    }
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rows(numbers: std::ops::Range<i64>) -> Vec<JournalEntry> {
        let row = |taken_at_ms| JournalEntry {
            kind: "reading".into(),
            bank: "house".into(),
            taken_at_ms,
            payload: vec![7; 10_000],
        };
        numbers.map(row).collect()
    }

    /// The pragmas make SQLite report a full or read-only disk with its real messages.
    #[test]
    fn a_full_or_read_only_disk_is_reported_and_reading_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let bounds = Bounds { disk_bytes: 10_000_000, memory_bytes: 0, age: Duration::MAX };
        let mut journal = Journal::open(&path, bounds).unwrap().journal;
        journal.append(&rows(0..10)).unwrap();
        for (start, end, message) in [
            (
                "PRAGMA max_page_count = 150",
                "PRAGMA max_page_count = 100000",
                "no space left for the journal",
            ),
            (
                "PRAGMA query_only = ON",
                "PRAGMA query_only = OFF",
                "is read-only: make its file and folder writable",
            ),
        ] {
            let before = journal.len();
            journal.connection.batch_execute(start).unwrap();
            let error = journal.append(&rows(10..30)).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
            assert!(error.keeps_connection());
            assert_eq!(journal.head(100, usize::MAX).unwrap().len() as u64, before);
            assert_eq!(journal.len(), before);
            journal.connection.batch_execute(end).unwrap();
            journal.append(&rows(10..30)).unwrap();
            assert_eq!(journal.len(), before + 20);
        }
        drop(journal);
        assert_eq!(Journal::open(&path, bounds).unwrap().journal.len(), 50);
    }
}
