//! Opening a journal: whose file is it, can it be trusted, is it free?

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::deserialize::QueryableByName;
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Integer, Text};
use diesel::{Connection, RunQueryDsl, SqliteConnection, sql_query};

use super::JournalError;
use crate::file_mode;
use crate::store::files::set_aside;

/// Marks the file as ours: "BWJL".
const APPLICATION: i32 = 0x4257_4a4c;

/// The newest format this version reads and writes.
const FORMAT: i32 = 1;

/// Before anything is read. One process at a time, until it ends or dies; the wait covers a predecessor that is
/// just ending.
const MANNERS: &str =
    "PRAGMA busy_timeout = 500; PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL;";

/// A fresh file. Small pages, since what counts is how much each commit writes to flash, and a commit writes whole
/// pages.
const FRESH: &str = "
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

/// Upgrades a journal from before there were checksums: its rows have none and are accepted as they are. The format
/// number stays the same, because the older version can still read and write it.
const CHECKSUMS: &str = "ALTER TABLE entry ADD COLUMN checksum BIGINT";

/// The log is folded into the file each megabyte and cut back after a large transaction. Nothing is written anywhere
/// else.
const HOUSEKEEPING: &str = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 1000;
    PRAGMA journal_size_limit = 2000000; PRAGMA temp_store = MEMORY;";

/// A journal that is open, and what was in its way.
#[derive(Debug)]
pub struct Opened {
    /// The journal.
    pub journal: super::Journal,
    /// The damaged file that was there.
    pub set_aside: Option<SetAside>,
}

/// A damaged file that was moved out of the way and is kept for whoever wants to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is now.
    pub to: PathBuf,
    /// What was wrong.
    pub reason: String,
}

/// What the file says it is.
#[derive(QueryableByName)]
struct Identity {
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
struct Verdict {
    #[diesel(sql_type = Text)]
    quick_check: String,
}

/// A connection to the journal at `path`, which is made where there is none; a damaged one is set aside first.
pub(super) fn connect(path: &Path) -> Result<(SqliteConnection, Option<SetAside>), JournalError> {
    match connect_as_it_is(path) {
        Err(JournalError::Damaged { reason, .. }) => {
            let to = set_aside(path)
                .map_err(|error| JournalError::Disk { path: path.to_owned(), reason: error.to_string() })?;
            Ok((connect_as_it_is(path)?, Some(SetAside { to, reason })))
        }
        other => Ok((other?, None)),
    }
}

fn connect_as_it_is(path: &Path) -> Result<SqliteConnection, JournalError> {
    // Where that fails, SQLite's own words for it follow.
    let _ = file_mode::ensure(path, file_mode::STATE);
    let mut connection =
        SqliteConnection::establish(&name(path)?).map_err(|error| JournalError::unopened(path, &error))?;
    let identity = identity(&mut connection).map_err(|error| JournalError::of(path, &error))?;
    let has_checksums = identity.checksums > 0;
    match identity {
        Identity { application: 0, format: 0, tables: 0, .. } => begin(&mut connection),
        Identity { application: APPLICATION, format, .. } if format > FORMAT => {
            return Err(JournalError::Newer { path: path.to_owned(), found: format, known: FORMAT });
        }
        Identity { application: APPLICATION, .. } if has_checksums => Ok(()),
        Identity { application: APPLICATION, .. } => connection.batch_execute(CHECKSUMS),
        Identity { .. } => return Err(JournalError::Foreign { path: path.to_owned() }),
    }
    .and_then(|()| connection.batch_execute(HOUSEKEEPING))
    .map_err(|error| JournalError::of(path, &error))?;
    let verdict: Verdict = sql_query("PRAGMA quick_check(1)")
        .get_result(&mut connection)
        .map_err(|error| JournalError::of(path, &error))?;
    match verdict.quick_check.as_str() {
        "ok" => Ok(connection),
        reason => Err(JournalError::Damaged { path: path.to_owned(), reason: reason.to_owned() }),
    }
}

/// What SQLite is told: a path that looks like anything else is a path all the same.
fn name(path: &Path) -> Result<String, JournalError> {
    let unreadable = || JournalError::Unreachable {
        path: path.to_owned(),
        reason: "the path is not valid UTF-8".to_owned(),
    };
    let text = path.to_str().ok_or_else(unreadable)?;
    Ok(if path.is_absolute() { text.to_owned() } else { format!("./{text}") })
}

fn identity(connection: &mut SqliteConnection) -> QueryResult<Identity> {
    connection.batch_execute(MANNERS)?;
    sql_query(
        "SELECT (SELECT application_id FROM pragma_application_id) AS application,
                (SELECT user_version FROM pragma_user_version) AS format,
                (SELECT count(*) FROM sqlite_schema) AS tables,
                (SELECT count(*) FROM pragma_table_info('entry') WHERE name = 'checksum') AS checksums",
    )
    .get_result(connection)
}

/// All of it or nothing: who finds the marks finds the tables.
fn begin(connection: &mut SqliteConnection) -> QueryResult<()> {
    connection.batch_execute(&format!(
        "{FRESH} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; COMMIT;"
    ))
}
