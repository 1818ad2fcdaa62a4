//! The journal's file: a SQLite database of its own, written in immediate transactions that are on the disk when they
//! return.
//!
//! Confirmed rows leave with the next append, so that a sweep costs one flush of the disk and not two; a backlog
//! that is being drained leaves at once. Rows confirmed but not yet gone when the process dies are delivered again.

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::dsl::{count_star, max};
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_query;
use diesel::sql_types::BigInt;

use super::open::{self, Opened};
use super::rows::{
    GLANCE, PAGE, STORED_ROWS, StoredRow, both, checksum, dead_letter, drop_rows, entry, first_damaged, fit,
    forget, oldest_rows, pages,
};
use super::{Bounds, Entry, JournalError, Kept, Loss, LossReason};
use crate::store::files::{FileId, file_id};

/// So many confirmed rows leave at once; fewer wait for the next append.
const CONFIRMED_TOGETHER: u64 = 16;

/// Pages that are worth giving back when they are free, and cheap to write anew when they are used.
const FEW_PAGES: u64 = 1024;

/// An open journal. No other process can open it meanwhile.
pub struct Journal {
    path: PathBuf,
    connection: SqliteConnection,
    bounds: Bounds,
    /// Device and number of the file, which may be removed or replaced under us.
    file: FileId,
    next_seq: i64,
    /// Rows up to here are confirmed.
    confirmed: i64,
    /// Rows that are not confirmed.
    len: u64,
    /// Rows that are confirmed and still in the file.
    leaving: u64,
}

impl Journal {
    /// Opens the journal at `path`, or makes it. A damaged file is moved to `<path>.damaged-<n>` and a fresh one begun.
    ///
    /// # Errors
    /// Another process has it, a newer version or another program wrote it (both leave it as it is), or the disk
    /// does not let us.
    pub fn open(path: &Path, bounds: Bounds) -> Result<Opened, JournalError> {
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
            leaving: 0,
        };
        Ok(Opened { journal, set_aside })
    }

    /// The number of the next entry.
    #[must_use]
    pub(crate) fn next_seq(&self) -> i64 {
        self.next_seq
    }

    /// Numbers the next entry at least so. A journal that takes another's place begins where the other ended, so
    /// that nothing is confirmed under a number that meant something else.
    pub(crate) fn number_from(&mut self, seq: i64) {
        self.next_seq = self.next_seq.max(seq);
    }

    /// How many rows wait.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keeps the entries, in this order; they are on the disk when it returns. Where the bound is reached the oldest
    /// rows go, which is the loss returned.
    ///
    /// # Errors
    /// The disk does not take them, or the file is not ours any longer; then none of them is kept.
    pub fn append(&mut self, entries: &[Entry]) -> Result<Option<Loss>, JournalError> {
        self.still_ours()?;
        let (first, confirmed, most) = (self.next_seq, self.confirmed, self.bounds.disk_bytes / PAGE);
        let lost = self.transaction(|connection| {
            forget(connection, confirmed)?;
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
            fit(connection, most)
        })?;
        self.next_seq += entries.len() as i64;
        self.leaving = 0;
        self.len = (self.len + entries.len() as u64).saturating_sub(lost.map_or(0, |loss| loss.rows));
        self.give_back_space();
        Ok(lost)
    }

    /// Gives up the rows at the head that were taken before `before_ms`; a damaged one stays, because its time may be
    /// wrong.
    ///
    /// # Errors
    /// The disk's.
    pub fn expire(&mut self, before_ms: i64) -> Result<Option<Loss>, JournalError> {
        let confirmed = self.confirmed;
        let oldest = self.oldest()?;
        if oldest.is_none_or(|oldest| oldest >= before_ms) {
            return Ok(None);
        }
        let lost = self.transaction(|connection| {
            forget(connection, confirmed)?;
            diesel::delete(dead_letter::table.filter(dead_letter::taken_at_ms.lt(before_ms)))
                .execute(connection)?;
            let mut lost: Option<Loss> = None;
            loop {
                let seen = oldest_rows(connection, -1, GLANCE)?;
                let mut old: Vec<_> =
                    seen.iter().copied().take_while(|(_, taken)| *taken < before_ms).collect();
                if let Some((last, _)) = old.last()
                    && let Some(damaged) = first_damaged(connection, *last)?
                {
                    old.retain(|(seq, _)| *seq < damaged);
                }
                lost = both(lost, drop_rows(connection, LossReason::Old, &old)?);
                if old.len() < seen.len() || seen.is_empty() {
                    return Ok(lost);
                }
            }
        })?;
        self.leaving = 0;
        self.len = self.len.saturating_sub(lost.map_or(0, |loss| loss.rows));
        self.give_back_space();
        Ok(lost)
    }

    /// The oldest rows in order: at most so many, and no more bytes of payload than these, but one row where there is
    /// one.
    ///
    /// # Errors
    /// The disk's.
    pub fn head(&mut self, rows: usize, bytes: usize) -> Result<Vec<Kept>, JournalError> {
        let failed = |error| JournalError::of(&self.path, &error);
        let limit = i64::try_from(rows).unwrap_or(i64::MAX);
        let oldest = sql_query(STORED_ROWS).bind::<BigInt, _>(self.confirmed).bind::<BigInt, _>(limit);
        let (mut kept, mut size) = (Vec::new(), 0);
        for row in oldest
            .load_iter::<StoredRow, diesel::connection::DefaultLoadingMode>(&mut self.connection)
            .map_err(failed)?
        {
            let row = Kept::from(row.map_err(failed)?);
            size += row.entry.payload.len();
            if size > bytes && !kept.is_empty() {
                break;
            }
            kept.push(row);
        }
        Ok(kept)
    }

    /// Lets go of every row up to this number: the database has them.
    ///
    /// # Errors
    /// The disk's; the rows count as confirmed all the same as long as this journal is open.
    pub fn confirm(&mut self, up_to: i64) -> Result<(), JournalError> {
        if up_to <= self.confirmed {
            return Ok(());
        }
        let now = entry::table.filter(entry::seq.gt(self.confirmed).and(entry::seq.le(up_to)));
        let count: i64 = now
            .select(count_star())
            .first(&mut self.connection)
            .map_err(|error| JournalError::of(&self.path, &error))?;
        self.confirmed = up_to;
        self.len = self.len.saturating_sub(unsigned(count));
        self.leaving += unsigned(count);
        if self.leaving >= CONFIRMED_TOGETHER { self.tidy() } else { Ok(()) }
    }

    /// Takes the confirmed rows out of the file, so that nothing is delivered again at the next start.
    ///
    /// # Errors
    /// The disk's.
    pub fn tidy(&mut self) -> Result<(), JournalError> {
        if self.leaving > 0 {
            let confirmed = self.confirmed;
            self.transaction(|connection| forget(connection, confirmed))?;
            self.leaving = 0;
            self.give_back_space();
        }
        Ok(())
    }

    /// Puts one row aside, among the journal's own dead letters: the last resort, when the database takes neither the
    /// row nor its dead letter. They are the first to go when the journal is full, and go at the same age.
    ///
    /// # Errors
    /// The disk's.
    pub fn reject(&mut self, seq: i64, reason: &str) -> Result<(), JournalError> {
        let confirmed = self.confirmed;
        let moved = self.transaction(|connection| {
            forget(connection, confirmed)?;
            let query = sql_query(STORED_ROWS).bind::<BigInt, _>(seq - 1).bind::<BigInt, _>(1);
            let found = query.get_result::<StoredRow>(connection).optional()?.map(Kept::from);
            let Some(Kept { entry: row, .. }) = found.filter(|row| row.seq == seq) else { return Ok(false) };
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
        self.leaving = 0;
        self.len -= u64::from(moved);
        Ok(())
    }

    /// How many dead letters of its own it has.
    ///
    /// # Errors
    /// The disk's.
    pub fn dead_letters(&mut self) -> Result<u64, JournalError> {
        let count = dead_letter::table.count().get_result(&mut self.connection);
        count.map(unsigned).map_err(|error| JournalError::of(&self.path, &error))
    }

    /// When the oldest row was taken: milliseconds since 1970, UTC.
    ///
    /// # Errors
    /// The disk's.
    pub fn oldest(&mut self) -> Result<Option<i64>, JournalError> {
        let first = oldest_rows(&mut self.connection, self.confirmed, 1);
        let first = first.map_err(|error| JournalError::of(&self.path, &error))?;
        Ok(first.first().map(|(_, taken_at_ms)| *taken_at_ms))
    }

    /// Bytes of the file that are in use: what the bound looks at.
    ///
    /// # Errors
    /// The disk's.
    pub fn bytes(&mut self) -> Result<u64, JournalError> {
        let pages = pages(&mut self.connection).map_err(|error| JournalError::of(&self.path, &error))?;
        Ok(pages.used() * PAGE)
    }

    /// SQLite goes on writing into a file that has lost its name, and nobody would ever find it.
    fn still_ours(&self) -> Result<(), JournalError> {
        if file_id(&self.path) == Some(self.file) {
            return Ok(());
        }
        Err(JournalError::Removed { path: self.path.clone() })
    }

    /// A file that was large and holds next to nothing is written anew, which costs as little as it holds. Where the
    /// disk does not let us, the rows are safe all the same, and the next ones will say what is wrong.
    fn give_back_space(&mut self) {
        let Ok(pages) = pages(&mut self.connection) else { return };
        if pages.used() <= FEW_PAGES && pages.free > FEW_PAGES {
            let _ = self.connection.batch_execute("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
        }
    }

    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
    ) -> Result<T, JournalError> {
        // A full disk ends the transaction by itself. Then rolling back fails as well, and what diesel hands on is
        // that: so what went wrong first is kept.
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

    fn rows(numbers: std::ops::Range<i64>) -> Vec<Entry> {
        let row = |taken_at_ms| Entry {
            kind: "reading".into(),
            bank: "house".into(),
            taken_at_ms,
            payload: vec![7; 10_000],
        };
        numbers.map(row).collect()
    }

    /// SQLite is told that there is no more room, or that it may not write, and means it: its words are the real ones.
    #[test]
    fn a_full_or_read_only_disk_is_named_leaves_no_trace_and_reading_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let bounds = Bounds { disk_bytes: 10_000_000, memory_bytes: 0, age: Duration::MAX };
        let mut journal = Journal::open(&path, bounds).unwrap().journal;
        journal.append(&rows(0..10)).unwrap();
        for (sets_in, ends, words) in [
            ("PRAGMA max_page_count = 150", "PRAGMA max_page_count = 100000", "no room for the journal"),
            (
                "PRAGMA query_only = ON",
                "PRAGMA query_only = OFF",
                "is read-only: make its file and folder writable",
            ),
        ] {
            let before = journal.len();
            journal.connection.batch_execute(sets_in).unwrap();
            let error = journal.append(&rows(10..30)).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert!(error.leaves_it_open());
            assert_eq!(journal.head(100, usize::MAX).unwrap().len() as u64, before);
            assert_eq!(journal.len(), before);
            journal.connection.batch_execute(ends).unwrap();
            journal.append(&rows(10..30)).unwrap();
            assert_eq!(journal.len(), before + 20);
        }
        drop(journal);
        assert_eq!(Journal::open(&path, bounds).unwrap().journal.len(), 50);
    }
}
