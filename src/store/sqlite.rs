//! A file of our own. It needs no set-up, survives a kill at any moment, and is bounded by retention.

mod opening;
mod reserve;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel_migrations::MigrationHarness;

use self::opening::{FileMark, connect};
use self::reserve::Reserve;
use crate::store::backend::reading_imports;
use crate::store::files::{FileId, file_id, with_suffix};
use crate::store::migrate::{self, SQLITE};
use crate::store::writing::writing_imports;

reading_imports!();
writing_imports!();

/// How long another program's lock is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long room is made on a full disk before the rows that wait are tried again.
const MAKING_ROOM: Duration = Duration::from_secs(10);

/// Bytes of free pages in which the next rows have a place: a batch of a few sweeps with the sums of their minutes.
const ROOM: i64 = 256 * 1024;

/// What a row of a battery takes, more or less: the largest of those that retention deletes.
const ROW_BYTES: i64 = 128;

/// A history in a file.
pub struct SqliteFile {
    connection: SqliteConnection,
    known: Known,
    name: String,
    schema: Schema,
    path: PathBuf,
    /// The log of the file, which lies next to it also where `path` is a link.
    log_path: PathBuf,
    /// The file, which may be removed or replaced under us, and its log once that is there.
    file: Option<FileId>,
    log: Option<FileId>,
    reserve: Reserve,
}

writing!(SqliteConnection, |query| query);
reading!(SqliteConnection);
store!(SqliteFile);

impl SqliteFile {
    /// Opens or makes the file, and brings its schema up to date.
    ///
    /// # Errors
    /// It can't be opened or written, is damaged, is locked for long, belongs to another program, or holds what this
    /// version does not know.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        let opened = Self::open_as_it_is(file);
        // The log needs an index, of which SQLite says on a full disk only that the disk failed.
        let Err(StoreError::Full { .. } | StoreError::Failed { .. }) = &opened else { return opened };
        let Some(reserve) = fs::canonicalize(file).ok().map(|path| Reserve::of(&path)) else { return opened };
        if !reserve.is_needed() {
            return opened;
        }
        let held = reserve.release();
        let opened = Self::open_as_it_is(file);
        reserve.take_back(held);
        opened
    }

    fn open_as_it_is(file: &Path) -> Result<Self, StoreError> {
        let name = file.display().to_string();
        let failed = |error: &diesel::result::Error| StoreError::of_sqlite(&name, PATIENCE, error);
        let (path, mut connection) = connect(file, &name)?;
        connection.batch_execute("PRAGMA busy_timeout = 5000").map_err(|error| failed(&error))?;
        let mark = FileMark::of(&mut connection).map_err(|error| failed(&error))?;
        if !mark.is_ours() {
            return Err(StoreError::Foreign { what: name });
        }
        let applied = applied(&mut connection).map_err(|error| failed(&error))?;
        let known = migrate::versions::<Sqlite>(&SQLITE);
        migrate::refuse_newer(&name, &known, &applied)?;
        mark.prepare(&mut connection, &path).map_err(|error| failed(&error))?;
        if applied.len() < known.len() {
            let migrated = connection.immediate_transaction(|connection| {
                connection.run_pending_migrations(SQLITE).map(drop).map_err(Migrating::Harness)
            });
            migrated.map_err(|error| match error {
                Migrating::Query(error) => failed(&error),
                Migrating::Harness(error) => failed(&diesel::result::Error::QueryBuilderError(error)),
            })?;
        }
        let (log_path, reserve) = (with_suffix(&path, "-wal"), Reserve::of(&path));
        let (path, file, log) = (file.to_owned(), file_id(file), None);
        let (known, schema) = (Known::default(), Schema::of(&applied, &known));
        Ok(Self { connection, known, name, schema, path, log_path, file, log, reserve })
    }

    fn write(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.transact(|connection, known| Writing { connection, known }.write(records))?;
        self.reserve.restore();
        Ok(())
    }

    fn transact<T>(
        &mut self,
        work: impl FnOnce(&mut SqliteConnection, &mut Known) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        let known = &mut self.known;
        // A full disk ends the transaction by itself. Then rolling back fails as well, and what diesel hands on is
        // that: so what went wrong first is kept.
        let mut cause = None;
        let done = self.connection.immediate_transaction(|connection| {
            work(connection, known).map_err(|error| {
                cause = Some(error);
                diesel::result::Error::RollbackTransaction
            })
        });
        let done = done.map_err(|error| {
            // What was looked up in a transaction that came to nothing is nothing.
            self.known = Known::default();
            StoreError::of_sqlite(&self.name, PATIENCE, cause.as_ref().unwrap_or(&error))
        });
        // Only now: a file may lose its name in the middle of a transaction as well.
        if self.is_still_there() {
            return done;
        }
        // A moved file is complete, and no log is left next to the file that took its place.
        self.fold_log();
        Err(StoreError::Removed { what: self.name.clone() })
    }

    /// Whether the file at the path and the log next to it are still those that we write into.
    fn is_still_there(&mut self) -> bool {
        let log = file_id(&self.log_path);
        self.log = self.log.or(log);
        self.file.is_some() && file_id(&self.path) == self.file && log == self.log
    }

    /// Writes the log into the file and gives its room back; where a reader holds it or the disk fails, another time.
    fn fold_log(&mut self) {
        let _ = self.connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    /// Reads one state of the file, beside whoever writes.
    fn look<T>(
        &mut self,
        work: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        self.connection.transaction(work).map_err(|error| StoreError::of_sqlite(&self.name, PATIENCE, &error))
    }

    /// Retention on a full disk, within the room of the reserve: little at a time, the log folded in after each step.
    /// Answers whether rows have a place now; then the reserve is set aside again with the next ones.
    fn relieve(&mut self, now: Option<Timestamp>, keep: &Retention) -> Result<bool, StoreError> {
        let (began, held) = (Instant::now(), self.reserve.release());
        self.fold_log();
        let failed = |error: &diesel::result::Error| StoreError::of_sqlite(&self.name, PATIENCE, error);
        let page = pragma(&mut self.connection, "page_size").map_err(|error| failed(&error))?;
        let step = i64::try_from(self.reserve.step()).unwrap_or(i64::MAX);
        let mut rows = (step / 4 / ROW_BYTES).clamp(1, PRUNED);
        while let Some(now) = now.filter(|_| began.elapsed() < MAKING_ROOM) {
            match self.transact(|connection, _| delete_old(connection, now.as_millisecond(), keep, rows)) {
                Ok(Pruned { more, .. }) => {
                    self.fold_log();
                    if !more {
                        break;
                    }
                }
                // Smaller steps, down to single rows.
                Err(StoreError::Full { .. }) if rows > 1 => {
                    self.fold_log();
                    rows /= 8;
                    rows = rows.max(1);
                }
                Err(StoreError::Full { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        let free = pragma(&mut self.connection, "freelist_count")
            .map_err(|error| StoreError::of_sqlite(&self.name, PATIENCE, &error))?;
        if free.saturating_mul(page) >= ROOM || self.reserve.leaves_room() {
            return Ok(true);
        }
        self.reserve.take_back(held);
        Ok(false)
    }

    /// Gives the reserve to the last rows.
    fn spend_reserve(&mut self) {
        self.reserve.release();
        self.fold_log();
    }

    /// Writes the file anew without what has become free, where that is a large part of it.
    fn give_back(&mut self) -> Result<(), StoreError> {
        let failed = |error: diesel::result::Error| StoreError::of_sqlite(&self.name, PATIENCE, &error);
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
enum Migrating {
    Query(diesel::result::Error),
    Harness(Box<dyn std::error::Error + Send + Sync>),
}

impl From<diesel::result::Error> for Migrating {
    fn from(error: diesel::result::Error) -> Self {
        Self::Query(error)
    }
}

/// The versions that the file has, read without touching it.
fn applied(connection: &mut SqliteConnection) -> QueryResult<Vec<String>> {
    let table = "SELECT count(*) AS number FROM sqlite_master WHERE name = '__diesel_schema_migrations'";
    if diesel::sql_query(table).get_result::<Number>(connection)?.number == 0 {
        return Ok(Vec::new());
    }
    let versions: Vec<Version> =
        diesel::sql_query("SELECT version FROM __diesel_schema_migrations").load(connection)?;
    Ok(versions.into_iter().map(|row| row.version).collect())
}

fn pragma(connection: &mut SqliteConnection, name: &str) -> QueryResult<i64> {
    let query = format!("SELECT {name} AS number FROM pragma_{name}");
    diesel::sql_query(query).get_result::<Number>(connection).map(|row| row.number)
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::error::Class;

    /// Some hundred rows at another place each time.
    fn records(n: i64) -> Vec<Record> {
        let count = |value| {
            let (bank, name) = ("bank".into(), format!("count {n} {value}"));
            Record::Counter(Box::new(Counter { bank, whose: Whose::Bank, name, value, taken_at_ms: value }))
        };
        (1..400).map(count).collect()
    }

    fn refused_and_taken_after(made: &str, mended: &str, words: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = SqliteFile::open(&folder.path().join("history.db")).expect("a file");
        store.insert(&records(0)).expect("room");
        store.connection.batch_execute(made).expect("a pragma");
        let error = (1..100).find_map(|n| store.insert(&records(n)).err()).expect("no room at last");
        assert_eq!(error.class(), Class::Outside);
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
    fn a_file_without_room_is_told_and_goes_on_when_there_is_some() {
        let pages = "PRAGMA max_page_count = 60";
        refused_and_taken_after(pages, "PRAGMA max_page_count = 1000000", "no space left for ");
    }

    /// A substitute for a full disk, which can't be mounted here.
    #[test]
    fn retention_makes_room_in_a_file_that_may_not_grow() {
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
    fn a_file_that_has_become_read_only_is_told_and_goes_on_when_it_is_writable() {
        refused_and_taken_after("PRAGMA query_only = ON", "PRAGMA query_only = OFF", "make it writable");
    }

    #[test]
    fn a_file_that_retention_has_emptied_becomes_smaller_where_that_is_asked_for() {
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
