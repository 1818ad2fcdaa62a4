//! A file of our own. It needs no set-up, survives a kill at any moment, and is bounded by retention.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel_migrations::MigrationHarness;

use crate::file_mode;
use crate::store::backend::reading_imports;
use crate::store::migrate::{self, SQLITE};
use crate::store::writing::writing_imports;

reading_imports!();
writing_imports!();

/// How long another program's lock is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Set at each opening. `synchronous = NORMAL` may lose the last sweeps in a power cut, never the file; it spares a flash
/// card a flush a sweep.
const MANNERS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000; \
     PRAGMA journal_size_limit = 8388608; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;";

/// Set before the first table is made. A sweep writes each page that it touches as a whole, and touches some twenty: with
/// pages of 4096 bytes most of what is written would be what was there before.
const PAGES: &str = "PRAGMA page_size = 1024";

/// A history in a file.
pub struct SqliteFile {
    connection: SqliteConnection,
    known: Known,
    name: String,
    schema: Schema,
}

writing!(SqliteConnection, |query| query);
reading!(SqliteConnection);
store!(SqliteFile);

impl SqliteFile {
    /// Opens or makes the file, and brings its schema up to date.
    ///
    /// # Errors
    /// It can't be opened or written, is damaged, is locked for long, or holds what this version does not know.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        let name = file.display().to_string();
        let failed = |error: &diesel::result::Error| StoreError::of_sqlite(&name, PATIENCE, error);
        let mut connection = connect(file, &name)?;
        connection.batch_execute("PRAGMA busy_timeout = 5000").map_err(|error| failed(&error))?;
        let applied = applied(&mut connection).map_err(|error| failed(&error))?;
        let known = migrate::versions::<Sqlite>(&SQLITE);
        migrate::refuse_newer(&name, &known, &applied)?;
        if applied.is_empty() {
            connection.batch_execute(PAGES).map_err(|error| failed(&error))?;
        }
        connection.batch_execute(MANNERS).map_err(|error| failed(&error))?;
        if applied.len() < known.len() {
            let migrated = connection.immediate_transaction(|connection| {
                connection.run_pending_migrations(SQLITE).map(drop).map_err(Migrating::Harness)
            });
            migrated.map_err(|error| match error {
                Migrating::Query(error) => failed(&error),
                Migrating::Harness(error) => failed(&diesel::result::Error::QueryBuilderError(error)),
            })?;
        }
        Ok(Self { connection, known: Known::default(), name, schema: Schema::of(&applied, &known) })
    }

    fn write(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.transact(|connection, known| Writing { connection, known }.write(records))
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
        done.map_err(|error| {
            // What was looked up in a transaction that came to nothing is nothing.
            self.known = Known::default();
            StoreError::of_sqlite(&self.name, PATIENCE, cause.as_ref().unwrap_or(&error))
        })
    }

    /// Reads one state of the file, beside whoever writes.
    fn look<T>(
        &mut self,
        work: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        self.connection.transaction(work).map_err(|error| StoreError::of_sqlite(&self.name, PATIENCE, &error))
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

fn connect(file: &Path, name: &str) -> Result<SqliteConnection, StoreError> {
    let not_opened = |reason: String| StoreError::NotOpened { what: name.to_owned(), reason };
    // SQLite tells no reasons; the file system does.
    let opened = file_mode::ensure(file, file_mode::STATE)
        .and_then(|()| File::options().read(true).append(true).open(file));
    if let Err(error) = opened {
        return Err(match error.kind() {
            std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
                StoreError::ReadOnly { what: name.to_owned() }
            }
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                StoreError::Full { what: name.to_owned() }
            }
            _ => not_opened(error.to_string()),
        });
    }
    let path = std::path::absolute(file).map_err(|error| not_opened(error.to_string()))?;
    let path = path.to_str().ok_or_else(|| not_opened("its path is no UTF-8".to_owned()))?;
    SqliteConnection::establish(path).map_err(|error| not_opened(error.to_string()))
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
