//! Opens a journal: checks that the file is ours, undamaged and not in use.

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::deserialize::QueryableByName;
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Integer, Text};
use diesel::{Connection, RunQueryDsl, SqliteConnection, sql_query};

use crate::file_mode;
use crate::store::files::move_damaged;
use crate::store::journal::error::JournalError;

/// SQLite's `application_id` of a journal: "BWJL".
const APPLICATION: i32 = 0x4257_4a4c;

/// The newest format this version reads and writes.
const FORMAT: i32 = 1;

/// Set before anything is read. One process at a time, until it exits; the timeout covers a previous process that is
/// just exiting.
const CONNECTION_PRAGMAS: &str =
    "PRAGMA busy_timeout = 500; PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL;";

/// Creates a new file. Small pages, because a commit writes whole pages, and flash wears by bytes written.
const CREATE: &str = "
    PRAGMA page_size = 1024;
    PRAGMA journal_mode = WAL;
    BEGIN IMMEDIATE;
    CREATE TABLE entry (
        seq INTEGER PRIMARY KEY NOT NULL,
        kind TEXT NOT NULL,
        bank TEXT NOT NULL,
        taken_at_ms BIGINT NOT NULL,
        payload BLOB NOT NULL,
        checksum BIGINT
    );
    CREATE TABLE dead_letter (
        id INTEGER PRIMARY KEY NOT NULL,
        kind TEXT NOT NULL,
        bank TEXT NOT NULL,
        taken_at_ms BIGINT NOT NULL,
        reason TEXT NOT NULL,
        payload BLOB NOT NULL
    );";

/// Upgrades a journal written before there were checksums: its rows have none and are accepted unchecked. The format
/// number stays the same, because the older version can still read and write it.
const ADD_CHECKSUMS: &str = "ALTER TABLE entry ADD COLUMN checksum BIGINT";

/// The log is checkpointed every megabyte, and truncated after a large transaction. Nothing is written elsewhere.
const LOG_PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 1000;
    PRAGMA journal_size_limit = 2000000; PRAGMA temp_store = MEMORY;";

/// A damaged journal that was moved away and kept for inspection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedFile {
    pub to: PathBuf,
    pub reason: String,
}

#[derive(QueryableByName)]
struct FileIdentity {
    #[diesel(sql_type = Integer)]
    application: i32,
    #[diesel(sql_type = Integer)]
    format: i32,
    #[diesel(sql_type = BigInt)]
    tables: i64,
    #[diesel(sql_type = BigInt)]
    checksums: i64,
}

#[derive(QueryableByName)]
struct FileCheck {
    #[diesel(sql_type = Text)]
    quick_check: String,
}

/// Connects to the journal at `path`, which is created if there is none; a damaged one is moved away first.
pub(super) fn connect(path: &Path) -> Result<(SqliteConnection, Option<DamagedFile>), JournalError> {
    match connect_as_it_is(path) {
        Err(JournalError::Damaged { reason, .. }) => {
            let to = move_damaged(path)
                .map_err(|error| JournalError::Disk { path: path.to_owned(), reason: error.to_string() })?;
            Ok((connect_as_it_is(path)?, Some(DamagedFile { to, reason })))
        }
        other => Ok((other?, None)),
    }
}

fn connect_as_it_is(path: &Path) -> Result<SqliteConnection, JournalError> {
    // If this fails, SQLite reports why below.
    let _ = file_mode::ensure(path, file_mode::STATE);
    let mut connection = SqliteConnection::establish(&sqlite_path(path)?)
        .map_err(|error| JournalError::unopened(path, &error))?;
    let identity = read_identity(&mut connection).map_err(|error| JournalError::of(path, &error))?;
    let has_checksums = identity.checksums > 0;
    match identity {
        FileIdentity { application: 0, format: 0, tables: 0, .. } => create(&mut connection),
        FileIdentity { application: APPLICATION, format, .. } if format > FORMAT => {
            return Err(JournalError::Newer { path: path.to_owned(), found: format, known: FORMAT });
        }
        FileIdentity { application: APPLICATION, .. } if has_checksums => Ok(()),
        FileIdentity { application: APPLICATION, .. } => connection.batch_execute(ADD_CHECKSUMS),
        FileIdentity { .. } => return Err(JournalError::Foreign { path: path.to_owned() }),
    }
    .and_then(|()| connection.batch_execute(LOG_PRAGMAS))
    .map_err(|error| JournalError::of(path, &error))?;
    let check: FileCheck = sql_query("PRAGMA quick_check(1)")
        .get_result(&mut connection)
        .map_err(|error| JournalError::of(path, &error))?;
    match check.quick_check.as_str() {
        "ok" => Ok(connection),
        reason => Err(JournalError::Damaged { path: path.to_owned(), reason: reason.to_owned() }),
    }
}

/// The path as SQLite takes it: never as a URI or `:memory:`.
fn sqlite_path(path: &Path) -> Result<String, JournalError> {
    let not_utf8 = || JournalError::Unreachable {
        path: path.to_owned(),
        reason: "the path is not valid UTF-8".to_owned(),
    };
    let text = path.to_str().ok_or_else(not_utf8)?;
    Ok(if path.is_absolute() { text.to_owned() } else { format!("./{text}") })
}

fn read_identity(connection: &mut SqliteConnection) -> QueryResult<FileIdentity> {
    connection.batch_execute(CONNECTION_PRAGMAS)?;
    sql_query(
        "SELECT (SELECT application_id FROM pragma_application_id) AS application,
                (SELECT user_version FROM pragma_user_version) AS format,
                (SELECT count(*) FROM sqlite_schema) AS tables,
                (SELECT count(*) FROM pragma_table_info('entry') WHERE name = 'checksum') AS checksums",
    )
    .get_result(connection)
}

/// Creates tables and marks in one transaction, so that a file with the marks has the tables.
fn create(connection: &mut SqliteConnection) -> QueryResult<()> {
    connection.batch_execute(&format!(
        "{CREATE} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; COMMIT;"
    ))
}
