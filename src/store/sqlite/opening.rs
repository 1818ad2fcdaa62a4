//! Opens a history: resolves the path, checks that the file is ours, and limits how large its log may grow.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::reserve::DiskSpace;
use crate::file_mode;
use crate::store::error::StoreError;

/// Marks the file as ours: "BWHI".
const APPLICATION: i64 = 0x4257_4849;

/// What every file of SQLite begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Bytes of a page, set before the first table is made. A sweep writes each page that it touches as a whole, and
/// touches some twenty: with pages of 4096 bytes most of what is written would be what was there before.
const PAGE: u64 = 1024;

/// Pages of the log that are folded into the file together: fewer on a disk that the log alone would fill.
const LOG_PAGES: (u64, u64) = (64, 4000);

/// Set at each opening. `synchronous = NORMAL` may lose the last sweeps in a power cut, never the file; it spares a
/// flash card a flush a sweep.
const MANNERS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
     PRAGMA journal_size_limit = 8388608; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;";

/// What the file identifies itself as.
#[derive(QueryableByName)]
pub(super) struct FileMark {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    application: i64,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    tables: i64,
    /// How many of the tables are there that no other program has together.
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    own: i64,
}

impl FileMark {
    /// Reads it and touches nothing.
    pub(super) fn of(connection: &mut SqliteConnection) -> QueryResult<Self> {
        diesel::sql_query(
            "SELECT (SELECT application_id FROM pragma_application_id) AS application,
                    (SELECT count(*) FROM sqlite_master) AS tables,
                    (SELECT count(*) FROM sqlite_master WHERE type = 'table'
                         AND name IN ('bank_reading', 'battery_reading', 'cell_reading')) AS own",
        )
        .get_result(connection)
    }

    /// Whether it is a history or may become one. Those of 0.1.0's first days have our tables and no mark.
    pub(super) fn is_ours(&self) -> bool {
        match self.application {
            APPLICATION => true,
            0 => self.tables == 0 || self.own == 3,
            _ => false,
        }
    }

    /// Sets page size, mark and the rest of what makes an open file a history.
    pub(super) fn prepare(&self, connection: &mut SqliteConnection, path: &Path) -> QueryResult<()> {
        if self.tables == 0 {
            connection.batch_execute(&format!("PRAGMA page_size = {PAGE}"))?;
        }
        connection.batch_execute(MANNERS)?;
        let log = DiskSpace::of(path).map_or(LOG_PAGES.1, |disk| disk.total / 16 / PAGE);
        let log = log.clamp(LOG_PAGES.0, LOG_PAGES.1);
        connection.batch_execute(&format!("PRAGMA wal_autocheckpoint = {log}"))?;
        if self.application != APPLICATION {
            connection.batch_execute(&format!("PRAGMA application_id = {APPLICATION}"))?;
        }
        Ok(())
    }
}

/// The file's path, absolute and without links, and a connection to it; it is made where it is not there.
pub(super) fn connect(file: &Path, name: &str) -> Result<(PathBuf, SqliteConnection), StoreError> {
    let not_opened = |reason: String| StoreError::NotOpened { what: name.to_owned(), reason };
    // SQLite gives no reason; the file system does.
    let opened = file_mode::ensure(file, file_mode::STATE).and_then(|()| {
        // Where a link leads to nothing yet, the file is made there.
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

/// Whether a file that begins so is, or was before it was damaged, a database. A text of somebody's is not, and is
/// never moved out of the way: bits flip by the few, and a lost block reads as one byte over and over.
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
