//! The journal's tables, and the statements on them within a transaction.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Nullable};

use crate::store::journal::entry::{JournalEntry, StoredEntry};
use crate::store::journal::loss::{Loss, LossReason};

diesel::table! {
    entry (seq) {
        seq -> BigInt,
        kind -> Text,
        bank -> Text,
        taken_at_ms -> BigInt,
        payload -> Binary,
        checksum -> Nullable<BigInt>,
    }
}

diesel::table! {
    dead_letter (id) {
        id -> BigInt,
        kind -> Text,
        bank -> Text,
        taken_at_ms -> BigInt,
        reason -> Text,
        payload -> Binary,
    }
}

/// Bytes per page, set when the file is created.
pub(super) const PAGE: u64 = 1024;

/// Rows read at once when the oldest are dropped.
pub(super) const ROWS_PER_LOOK: i64 = 256;

#[derive(QueryableByName)]
struct PageCounts {
    #[diesel(sql_type = BigInt)]
    all: i64,
    #[diesel(sql_type = BigInt)]
    free: i64,
}

pub(super) struct PageUsage {
    all: u64,
    pub(crate) free: u64,
}

impl PageUsage {
    pub(super) fn used(&self) -> u64 {
        self.all.saturating_sub(self.free)
    }
}

pub(super) fn merge_losses(first: Option<Loss>, second: Option<Loss>) -> Option<Loss> {
    match (first, second) {
        (Some(first), Some(second)) => Some(first.merge(second)),
        (first, second) => first.or(second),
    }
}

pub(super) fn pages(connection: &mut SqliteConnection) -> QueryResult<PageUsage> {
    let PageCounts { all, free } = sql_query(
        "SELECT (SELECT page_count FROM pragma_page_count) AS \"all\",
                (SELECT freelist_count FROM pragma_freelist_count) AS free",
    )
    .get_result(connection)?;
    Ok(PageUsage { all: u64::try_from(all).unwrap_or(0), free: u64::try_from(free).unwrap_or(0) })
}

/// Deletes confirmed rows.
pub(super) fn delete_confirmed(connection: &mut SqliteConnection, confirmed: i64) -> QueryResult<()> {
    diesel::delete(entry::table.filter(entry::seq.le(confirmed))).execute(connection).map(drop)
}

/// A row as the disk returns it. The casts accept whatever a damaged page holds: a row that can't be read would block
/// all rows behind it.
#[derive(QueryableByName)]
pub(super) struct StoredRow {
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = Binary)]
    kind: Vec<u8>,
    #[diesel(sql_type = Binary)]
    bank: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    taken_at_ms: i64,
    #[diesel(sql_type = Binary)]
    payload: Vec<u8>,
    #[diesel(sql_type = Nullable<BigInt>)]
    checksum: Option<i64>,
}

/// Selects a number of [`StoredRow`]s after a sequence number.
pub(super) const STORED_ROWS: &str = "SELECT seq,
        COALESCE(CAST(kind AS BLOB), x'') AS kind, COALESCE(CAST(bank AS BLOB), x'') AS bank,
        COALESCE(CAST(taken_at_ms AS INTEGER), 0) AS taken_at_ms,
        COALESCE(CAST(payload AS BLOB), x'') AS payload, checksum
    FROM entry WHERE seq > ? ORDER BY seq LIMIT ?";

impl From<StoredRow> for StoredEntry {
    fn from(row: StoredRow) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let entry = JournalEntry {
            kind: text(&row.kind),
            bank: text(&row.bank),
            taken_at_ms: row.taken_at_ms,
            payload: row.payload,
        };
        let is_damaged = row.checksum.is_some_and(|stored| stored != checksum(row.seq, &entry));
        Self { seq: row.seq, entry, is_damaged }
    }
}

/// 64-bit FNV-1a over the whole row, against bit rot, not tampering. A single wrong byte is always detected.
pub(super) fn checksum(seq: i64, entry: &JournalEntry) -> i64 {
    let JournalEntry { kind, bank, taken_at_ms, payload } = entry;
    let numbers = [seq, *taken_at_ms, kind.len() as i64, bank.len() as i64].map(i64::to_le_bytes);
    let bytes = numbers.as_flattened().iter().chain(kind.as_bytes()).chain(bank.as_bytes()).chain(payload);
    let sum = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    sum.cast_signed()
}

/// The first damaged row up to this sequence number.
pub(super) fn first_damaged(connection: &mut SqliteConnection, up_to: i64) -> QueryResult<Option<i64>> {
    let mut after = -1;
    while after < up_to {
        let query = sql_query(STORED_ROWS).bind::<BigInt, _>(after).bind::<BigInt, _>(ROWS_PER_LOOK);
        let rows: Vec<StoredRow> = query.load(connection)?;
        let Some(last) = rows.last().map(|row| row.seq) else { return Ok(None) };
        let damaged = rows.into_iter().map(StoredEntry::from).find(|row| row.is_damaged && row.seq <= up_to);
        if damaged.is_some() {
            return Ok(damaged.map(|row| row.seq));
        }
        after = last;
    }
    Ok(None)
}

#[derive(QueryableByName)]
struct SeqAndTime {
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = BigInt)]
    taken_at_ms: i64,
}

/// The sequence numbers and times of the oldest rows after a sequence number.
pub(super) fn oldest_rows(
    connection: &mut SqliteConnection,
    after: i64,
    rows: i64,
) -> QueryResult<Vec<(i64, i64)>> {
    let query = "SELECT seq, COALESCE(CAST(taken_at_ms AS INTEGER), 0) AS taken_at_ms FROM entry
        WHERE seq > ? ORDER BY seq LIMIT ?";
    let rows: Vec<SeqAndTime> =
        sql_query(query).bind::<BigInt, _>(after).bind::<BigInt, _>(rows).load(connection)?;
    Ok(rows.into_iter().map(|row| (row.seq, row.taken_at_ms)).collect())
}

pub(super) fn drop_rows(
    connection: &mut SqliteConnection,
    reason: LossReason,
    rows: &[(i64, i64)],
) -> QueryResult<Option<Loss>> {
    if let Some((last, _)) = rows.last() {
        delete_confirmed(connection, *last)?;
    }
    Ok(Loss::of(reason, rows.iter().map(|(_, taken)| *taken)))
}

/// Drops the oldest rows until they use at most `max_pages`; dead letters go first.
pub(super) fn shrink_to(connection: &mut SqliteConnection, max_pages: u64) -> QueryResult<Option<Loss>> {
    let mut lost = None;
    loop {
        let pages = pages(connection)?;
        let used = pages.used();
        let Some(over) = used.checked_sub(max_pages).filter(|over| *over > 0) else { return Ok(lost) };
        if diesel::delete(dead_letter::table).execute(connection)? > 0 {
            continue;
        }
        // Half of what would suffice if all rows had the same size: a lowered limit is reached in a few steps, and no
        // row is dropped unnecessarily.
        let count = u64::try_from(entry::table.count().get_result::<i64>(connection)?).unwrap_or(0);
        let rows =
            oldest_rows(connection, -1, i64::try_from((over * count / used / 2).max(1)).unwrap_or(i64::MAX))?;
        if rows.is_empty() {
            return Ok(lost);
        }
        lost = merge_losses(lost, drop_rows(connection, LossReason::Full, &rows)?);
    }
}
