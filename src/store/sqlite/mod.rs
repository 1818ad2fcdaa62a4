//! The store in a SQLite file: no setup, safe against a kill at any moment, bounded by retention.

mod opening;
mod reserve;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel_migrations::MigrationHarness;

use crate::store::files::{FileId, file_id, with_suffix};
use crate::store::sql::impl_store::query_imports;
use crate::store::sql::insert::insert_imports;
use crate::store::sql::migrations::{SQLITE, refuse_newer, versions};
use crate::store::sqlite::opening::{FileMark, connect};
use crate::store::sqlite::reserve::DiskReserve;

query_imports!();
insert_imports!();

/// The timeout for another program's lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long rows are deleted on a full disk before the waiting rows are retried.
const MAX_FREEING_TIME: Duration = Duration::from_secs(10);

/// Bytes of free pages that suffice for the next rows: a few sweeps with the sums of their minutes.
const MIN_FREE_BYTES: i64 = 256 * 1024;

/// The approximate size of a battery's row, the largest that retention deletes.
const ROW_BYTES: i64 = 128;

pub struct SqliteFile {
    connection: SqliteConnection,
    cache: IdCache,
    name: String,
    schema: SchemaVersion,
    path: PathBuf,
    /// The write-ahead log, which is next to the file even if `path` is a symbolic link.
    log_path: PathBuf,
    /// Identifies the file, which may be removed or replaced while in use, and its log once it exists.
    file: Option<FileId>,
    log: Option<FileId>,
    reserve: DiskReserve,
}

impl_insert!(SqliteConnection, |query| query);
impl_query!(SqliteConnection);
impl_store!(SqliteFile);

impl SqliteFile {
    /// Opens or creates the file, and migrates its schema.
    ///
    /// # Errors
    /// It can't be opened or written, is damaged, remains locked, belongs to another program, or has the schema of a
    /// later version.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        let opened = Self::open_without_reserve(file);
        // SQLite creates an index for the log; on a full disk it reports only an I/O error for it.
        let Err(StoreError::Full { .. } | StoreError::Failed { .. }) = &opened else { return opened };
        let Some(reserve) = fs::canonicalize(file).ok().map(|path| DiskReserve::of(&path)) else {
            return opened;
        };
        if !reserve.is_needed() {
            return opened;
        }
        let released = reserve.release();
        let opened = Self::open_without_reserve(file);
        reserve.take_back(released);
        opened
    }

    fn open_without_reserve(file: &Path) -> Result<Self, StoreError> {
        let name = file.display().to_string();
        let failed = |error: &diesel::result::Error| StoreError::of_sqlite(&name, LOCK_TIMEOUT, error);
        let (path, mut connection) = connect(file, &name)?;
        connection.batch_execute("PRAGMA busy_timeout = 5000").map_err(|error| failed(&error))?;
        let mark = FileMark::of(&mut connection).map_err(|error| failed(&error))?;
        if !mark.is_ours() {
            return Err(StoreError::Foreign { what: name });
        }
        let applied = applied(&mut connection).map_err(|error| failed(&error))?;
        let known = versions::<Sqlite>(&SQLITE);
        refuse_newer(&name, &known, &applied)?;
        mark.prepare(&mut connection, &path).map_err(|error| failed(&error))?;
        if applied.len() < known.len() {
            let migrated = connection.immediate_transaction(|connection| {
                connection.run_pending_migrations(SQLITE).map(drop).map_err(MigrationError::Harness)
            });
            migrated.map_err(|error| match error {
                MigrationError::Query(error) => failed(&error),
                MigrationError::Harness(error) => failed(&diesel::result::Error::QueryBuilderError(error)),
            })?;
        }
        let (log_path, reserve) = (with_suffix(&path, "-wal"), DiskReserve::of(&path));
        let (path, file, log) = (file.to_owned(), file_id(file), None);
        let (cache, schema) = (IdCache::default(), SchemaVersion::of(&applied, &known));
        Ok(Self { connection, cache, name, schema, path, log_path, file, log, reserve })
    }

    fn write(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.transact(|connection, cache| RecordWriter { connection, cache }.write(records))?;
        self.reserve.restore();
        Ok(())
    }

    fn transact<T>(
        &mut self,
        work: impl FnOnce(&mut SqliteConnection, &mut IdCache) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        let cache = &mut self.cache;
        // A full disk ends the transaction by itself. Then the rollback fails as well, and Diesel returns that error:
        // so the first error is kept.
        let mut cause = None;
        let done = self.connection.immediate_transaction(|connection| {
            work(connection, cache).map_err(|error| {
                cause = Some(error);
                diesel::result::Error::RollbackTransaction
            })
        });
        let done = done.map_err(|error| {
            // Ids that were inserted in the failed transaction are invalid.
            self.cache = IdCache::default();
            StoreError::of_sqlite(&self.name, LOCK_TIMEOUT, cause.as_ref().unwrap_or(&error))
        });
        // Checked after the transaction, since the file may be removed during it.
        if self.is_in_place() {
            return done;
        }
        // Makes the moved file complete, and leaves no log next to its replacement.
        self.checkpoint();
        Err(StoreError::Removed { what: self.name.clone() })
    }

    /// Whether the file and the log at the paths are still those that are open.
    fn is_in_place(&mut self) -> bool {
        let log = file_id(&self.log_path);
        self.log = self.log.or(log);
        self.file.is_some() && file_id(&self.path) == self.file && log == self.log
    }

    /// Writes the log into the file and truncates it; if a reader holds it or the disk fails, a later call will.
    fn checkpoint(&mut self) {
        let _ = self.connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    /// Runs `work` on a consistent snapshot, concurrently with writers.
    fn read<T>(
        &mut self,
        work: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        self.connection
            .transaction(work)
            .map_err(|error| StoreError::of_sqlite(&self.name, LOCK_TIMEOUT, &error))
    }

    /// Retention on a full disk, within the space of the reserve: in small steps, with a checkpoint after each. Returns
    /// whether there is space for rows now; if so, the reserve is restored with the next rows.
    fn free_space(&mut self, now: Option<Timestamp>, keep: &Retention) -> Result<bool, StoreError> {
        let (start, released) = (Instant::now(), self.reserve.release());
        self.checkpoint();
        let failed = |error: &diesel::result::Error| StoreError::of_sqlite(&self.name, LOCK_TIMEOUT, error);
        let page = pragma(&mut self.connection, "page_size").map_err(|error| failed(&error))?;
        let step = i64::try_from(self.reserve.step()).unwrap_or(i64::MAX);
        let mut rows = (step / 4 / ROW_BYTES).clamp(1, MAX_PRUNED);
        while let Some(now) = now.filter(|_| start.elapsed() < MAX_FREEING_TIME) {
            match self.transact(|connection, _| delete_old(connection, now.as_millisecond(), keep, rows)) {
                Ok(PruneProgress { more, .. }) => {
                    self.checkpoint();
                    if !more {
                        break;
                    }
                }
                // Smaller steps, down to single rows.
                Err(StoreError::Full { .. }) if rows > 1 => {
                    self.checkpoint();
                    rows /= 8;
                    rows = rows.max(1);
                }
                Err(StoreError::Full { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        let free = pragma(&mut self.connection, "freelist_count")
            .map_err(|error| StoreError::of_sqlite(&self.name, LOCK_TIMEOUT, &error))?;
        if free.saturating_mul(page) >= MIN_FREE_BYTES || self.reserve.leaves_room() {
            return Ok(true);
        }
        self.reserve.take_back(released);
        Ok(false)
    }

    /// Frees the reserve for the last rows.
    fn drop_reserve(&mut self) {
        self.reserve.release();
        self.checkpoint();
    }

    /// Rewrites the file if a large part of it is free.
    fn vacuum(&mut self) -> Result<(), StoreError> {
        let failed = |error: diesel::result::Error| StoreError::of_sqlite(&self.name, LOCK_TIMEOUT, &error);
        let connection = &mut self.connection;
        let free = pragma(connection, "freelist_count").map_err(failed)?;
        let all = pragma(connection, "page_count").map_err(failed)?;
        if free < all / 4 {
            return Ok(());
        }
        connection.batch_execute("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").map_err(failed)
    }
}

/// Why migrations failed.
enum MigrationError {
    Query(diesel::result::Error),
    Harness(Box<dyn std::error::Error + Send + Sync>),
}

impl From<diesel::result::Error> for MigrationError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Query(error)
    }
}

/// The applied versions, read without changing the file.
fn applied(connection: &mut SqliteConnection) -> QueryResult<Vec<String>> {
    let table = "SELECT count(*) AS number FROM sqlite_master WHERE name = '__diesel_schema_migrations'";
    if diesel::sql_query(table).get_result::<PragmaValue>(connection)?.number == 0 {
        return Ok(Vec::new());
    }
    let versions: Vec<AppliedVersion> =
        diesel::sql_query("SELECT version FROM __diesel_schema_migrations").load(connection)?;
    Ok(versions.into_iter().map(|row| row.version).collect())
}

fn pragma(connection: &mut SqliteConnection, name: &str) -> QueryResult<i64> {
    let query = format!("SELECT {name} AS number FROM pragma_{name}");
    diesel::sql_query(query).get_result::<PragmaValue>(connection).map(|row| row.number)
}

#[derive(QueryableByName)]
struct PragmaValue {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct AppliedVersion {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::error::ErrorClass;

    /// A few hundred rows, different for each `n`.
    fn records(n: i64) -> Vec<Record> {
        let count = |value| {
            let (bank, name) = ("bank".into(), format!("count {n} {value}"));
            Record::Counter(Box::new(CounterRecord {
                bank,
                scope: CounterScope::Bank,
                name,
                value,
                taken_at_ms: value,
            }))
        };
        (1..400).map(count).collect()
    }

    fn refused_and_taken_after(made: &str, mended: &str, words: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = SqliteFile::open(&folder.path().join("history.db")).expect("a file");
        store.insert(&records(0)).expect("room");
        store.connection.batch_execute(made).expect("a pragma");
        let error = (1..100).find_map(|n| store.insert(&records(n)).err()).expect("no room at last");
        assert_eq!(error.class(), ErrorClass::Outside);
        assert!(error.to_string().contains(words), "{error}");
        store.connection.batch_execute(mended).expect("a pragma");
        store.insert(&records(100)).expect("room");
        let counted: i64 = counter::table
            .filter(counter::name.like("count 100 %"))
            .count()
            .get_result(&mut store.connection)
            .expect("a number");
        assert_eq!(counted, 399);
    }

    #[test]
    fn a_full_file_is_reported_and_continues_with_space() {
        let pages = "PRAGMA max_page_count = 60";
        refused_and_taken_after(pages, "PRAGMA max_page_count = 1000000", "no space left for ");
    }

    /// Simulates a full disk, which a unit test can't mount.
    #[test]
    fn retention_frees_space_in_a_file_that_may_not_grow() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = SqliteFile::open(&folder.path().join("history.db")).expect("a file");
        let fill = "INSERT INTO bank_reading (taken_at_ms, bank_id, took_ms, asked_again, missing, batteries, state_id)
             WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 60000) SELECT x, 1, 0, 0, 0, 0, 1 FROM n";
        store.connection.batch_execute(fill).expect("room");
        let pages = pragma(&mut store.connection, "page_count").expect("a number");
        store.connection.batch_execute(&format!("PRAGMA max_page_count = {pages}")).expect("a pragma");
        let full = (1..100).find_map(|n| store.insert(&records(n)).err()).expect("no room at last");
        assert!(matches!(full, StoreError::Full { .. }), "{full}");
        let keep = Retention { batteries: Duration::from_secs(1), cells: Duration::ZERO };
        let now = Timestamp::from_millisecond(100_000).expect("a time");
        assert!(store.make_room(Some(now), &keep).expect("a file"));
        store.insert(&records(200)).expect("room");
        let left = bank_reading::table.count().get_result::<i64>(&mut store.connection).expect("a number");
        assert_eq!(left, 0, "all of it was past its retention");
    }

    #[test]
    fn a_read_only_file_is_reported_and_continues_when_writable() {
        refused_and_taken_after("PRAGMA query_only = ON", "PRAGMA query_only = OFF", "writable for the user");
    }

    #[test]
    fn shrink_reduces_a_file_that_retention_has_emptied() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("history.db");
        let mut store = SqliteFile::open(&file).expect("a file");
        (0..100).for_each(|n| store.insert(&records(n)).expect("room"));
        store.connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").expect("a pragma");
        let before = std::fs::metadata(&file).expect("a file").len();
        store.connection.batch_execute("DELETE FROM counter").expect("a statement");
        store.shrink().expect("a file");
        let after = std::fs::metadata(&file).expect("a file").len();
        assert!(after < before / 4, "{before} bytes, then {after}");
    }
}
