//! Opens the file: resolves the path, checks that the file is ours, and limits the size of its log.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use crate::file_mode;
use crate::store::error::StoreError;
use crate::store::sqlite::reserve::DiskSpace;

/// SQLite's `application_id` of a history: "BWHI".
const APPLICATION: i64 = 0x4257_4849;

/// The first bytes of every SQLite file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Bytes per page, set before the first table is created. A sweep changes about twenty pages, which are written as a
/// whole: with 4096 bytes, most of what is written would be unchanged.
const PAGE: u64 = 1024;

/// Pages of the log per checkpoint, minimum and maximum: fewer on a disk that the log alone would fill.
const LOG_PAGES: (u64, u64) = (64, 4000);

/// Set for each connection. `synchronous = NORMAL` may lose the last sweeps in a power cut, but never the file; it
/// saves a flash card one flush per sweep.
const CONNECTION_PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
     PRAGMA journal_size_limit = 8388608; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;";

#[derive(QueryableByName)]
pub(super) struct FileMark {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    application: i64,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    tables: i64,
    /// How many of three tables exist that no other program has together.
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    own: i64,
}

impl FileMark {
    /// Reads the marks without changing the file.
    pub(super) fn of(connection: &mut SqliteConnection) -> QueryResult<Self> {
        diesel::sql_query(
            "SELECT (SELECT application_id FROM pragma_application_id) AS application,
                    (SELECT count(*) FROM sqlite_master) AS tables,
                    (SELECT count(*) FROM sqlite_master WHERE type = 'table'
                         AND name IN ('bank_reading', 'battery_reading', 'cell_reading')) AS own",
        )
        .get_result(connection)
    }

    /// Whether it is a history or may become one. Early files of 0.1.0 have our tables and no mark.
    pub(super) fn is_ours(&self) -> bool {
        match self.application {
            APPLICATION => true,
            0 => self.tables == 0 || self.own == 3,
            _ => false,
        }
    }

    /// Sets page size, pragmas and mark.
    pub(super) fn prepare(&self, connection: &mut SqliteConnection, path: &Path) -> QueryResult<()> {
        if self.tables == 0 {
            connection.batch_execute(&format!("PRAGMA page_size = {PAGE}"))?;
        }
        connection.batch_execute(CONNECTION_PRAGMAS)?;
        let log = DiskSpace::of(path).map_or(LOG_PAGES.1, |disk| disk.total / 16 / PAGE);
        let log = log.clamp(LOG_PAGES.0, LOG_PAGES.1);
        connection.batch_execute(&format!("PRAGMA wal_autocheckpoint = {log}"))?;
        if self.application != APPLICATION {
            connection.batch_execute(&format!("PRAGMA application_id = {APPLICATION}"))?;
        }
        Ok(())
    }
}

/// Connects to the file, creating it if necessary. Returns its canonical path as well.
pub(super) fn connect(file: &Path, name: &str) -> Result<(PathBuf, SqliteConnection), StoreError> {
    let not_opened = |reason: String| StoreError::NotOpened { what: name.to_owned(), reason };
    // SQLite gives no reason; the file system does.
    let opened = file_mode::ensure(file, file_mode::STATE).and_then(|()| {
        // The target of a dangling symbolic link is created.
        File::options().read(true).append(true).create(true).mode(file_mode::STATE).open(file)
    });
    let mut opened = opened.map_err(|error| match error.kind() {
        std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
            StoreError::ReadOnly { what: name.to_owned() }
        }
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            StoreError::Full { what: name.to_owned() }
        }
        _ => not_opened(error.to_string()),
    })?;
    let mut head = Vec::new();
    (&mut opened).take(100).read_to_end(&mut head).map_err(|error| not_opened(error.to_string()))?;
    if !may_be_a_database(&head) {
        return Err(StoreError::Foreign { what: name.to_owned() });
    }
    let path = fs::canonicalize(file).map_err(|error| not_opened(error.to_string()))?;
    let text = path.to_str().ok_or_else(|| not_opened("its path is not UTF-8".to_owned()))?;
    let connection = SqliteConnection::establish(text).map_err(|error| not_opened(error.to_string()))?;
    Ok((path, connection))
}

/// Whether a file with this header is a database, possibly damaged. A few flipped bits and a block of one repeated byte
/// count as damage; any other file is somebody else's and is never moved away.
fn may_be_a_database(head: &[u8]) -> bool {
    let Some(magic) = head.get(..MAGIC.len()) else { return head.is_empty() };
    let flipped: u32 = magic.iter().zip(MAGIC).map(|(found, right)| (found ^ right).count_ones()).sum();
    flipped <= 16 || head.iter().all(|byte| *byte == head[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_head_is_distinguished_from_another_kind_of_file() {
        let mut flipped = [MAGIC.as_slice(), &[7; 84]].concat();
        assert!(may_be_a_database(&flipped) && may_be_a_database(&[]));
        flipped[3] ^= 0x41;
        flipped[9] ^= 0x80;
        assert!(may_be_a_database(&flipped));
        assert!(may_be_a_database(&[0; 100]) && may_be_a_database(&[0xff; 100]));
        for other in ["# what the cat ate", "PK\u{3}\u{4} an archive of some kind", "x"] {
            assert!(!may_be_a_database(other.as_bytes()), "{other}");
        }
    }
}
