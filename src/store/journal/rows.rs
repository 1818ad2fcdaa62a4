//! The journal's tables, and what is done to them inside a transaction.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Nullable};

use super::{Entry, Kept, Loss, LossReason};

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

/// Bytes of a page, as the file was made.
pub(super) const PAGE: u64 = 1024;

/// Rows looked at together when the oldest go.
pub(super) const GLANCE: i64 = 256;

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    all: i64,
    #[diesel(sql_type = BigInt)]
    free: i64,
}

/// Pages of the file.
pub(super) struct Pages {
    all: u64,
    /// Those that hold nothing.
    pub(crate) free: u64,
}

impl Pages {
    /// Those that hold something.
    pub(super) fn used(&self) -> u64 {
        self.all.saturating_sub(self.free)
    }
}

/// Both losses as one.
pub(super) fn both(first: Option<Loss>, second: Option<Loss>) -> Option<Loss> {
    match (first, second) {
        (Some(first), Some(second)) => Some(first.with(second)),
        (first, second) => first.or(second),
    }
}

/// How the file is used.
pub(super) fn pages(connection: &mut SqliteConnection) -> QueryResult<Pages> {
    let Counted { all, free } = sql_query(
        "SELECT (SELECT page_count FROM pragma_page_count) AS \"all\",
                (SELECT freelist_count FROM pragma_freelist_count) AS free",
    )
    .get_result(connection)?;
    Ok(Pages { all: u64::try_from(all).unwrap_or(0), free: u64::try_from(free).unwrap_or(0) })
}

/// Takes confirmed rows out of the file.
pub(super) fn forget(connection: &mut SqliteConnection, confirmed: i64) -> QueryResult<()> {
    diesel::delete(entry::table.filter(entry::seq.le(confirmed))).execute(connection).map(drop)
}

/// A row as the disk returns it. The casts accept whatever a damaged page holds: a row that can't even be read would
/// block all rows behind it.
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

/// Selects [`StoredRow`]s past a number, so many of them.
pub(super) const STORED_ROWS: &str = "SELECT seq,
        COALESCE(CAST(kind AS BLOB), x'') AS kind, COALESCE(CAST(bank AS BLOB), x'') AS bank,
        COALESCE(CAST(taken_at_ms AS INTEGER), 0) AS taken_at_ms,
        COALESCE(CAST(payload AS BLOB), x'') AS payload, checksum
    FROM entry WHERE seq > ? ORDER BY seq LIMIT ?";

impl From<StoredRow> for Kept {
    fn from(row: StoredRow) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let entry = Entry {
            kind: text(&row.kind),
            bank: text(&row.bank),
            taken_at_ms: row.taken_at_ms,
            payload: row.payload,
        };
        let is_damaged = row.checksum.is_some_and(|kept| kept != checksum(row.seq, &entry));
        Self { seq: row.seq, entry, is_damaged }
    }
}

/// 64-bit FNV-1a over the whole row, against decay and not against tampering. A single wrong byte is always detected.
pub(super) fn checksum(seq: i64, entry: &Entry) -> i64 {
    let Entry { kind, bank, taken_at_ms, payload } = entry;
    let numbers = [seq, *taken_at_ms, kind.len() as i64, bank.len() as i64].map(i64::to_le_bytes);
    let bytes = numbers.as_flattened().iter().chain(kind.as_bytes()).chain(bank.as_bytes()).chain(payload);
    let sum = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    sum.cast_signed()
}

/// The first of the rows up to this number that is damaged.
pub(super) fn first_damaged(connection: &mut SqliteConnection, up_to: i64) -> QueryResult<Option<i64>> {
    let mut after = -1;
    while after < up_to {
        let query = sql_query(STORED_ROWS).bind::<BigInt, _>(after).bind::<BigInt, _>(GLANCE);
        let rows: Vec<StoredRow> = query.load(connection)?;
        let Some(last) = rows.last().map(|row| row.seq) else { return Ok(None) };
        let damaged = rows.into_iter().map(Kept::from).find(|row| row.is_damaged && row.seq <= up_to);
        if damaged.is_some() {
            return Ok(damaged.map(|row| row.seq));
        }
        after = last;
    }
    Ok(None)
}

#[derive(QueryableByName)]
struct NumberAndTime {
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = BigInt)]
    taken_at_ms: i64,
}

/// The numbers and times of the oldest rows past a number.
pub(super) fn oldest_rows(
    connection: &mut SqliteConnection,
    after: i64,
    rows: i64,
) -> QueryResult<Vec<(i64, i64)>> {
    let query = "SELECT seq, COALESCE(CAST(taken_at_ms AS INTEGER), 0) AS taken_at_ms FROM entry
        WHERE seq > ? ORDER BY seq LIMIT ?";
    let rows: Vec<NumberAndTime> =
        sql_query(query).bind::<BigInt, _>(after).bind::<BigInt, _>(rows).load(connection)?;
    Ok(rows.into_iter().map(|row| (row.seq, row.taken_at_ms)).collect())
}

/// Drops these rows, which are the oldest.
pub(super) fn drop_rows(
    connection: &mut SqliteConnection,
    why: LossReason,
    rows: &[(i64, i64)],
) -> QueryResult<Option<Loss>> {
    if let Some((last, _)) = rows.last() {
        forget(connection, *last)?;
    }
    Ok(Loss::of(why, rows.iter().map(|(_, taken)| *taken)))
}

/// Drops the oldest until the rows take no more than so many pages: dead letters first.
pub(super) fn fit(connection: &mut SqliteConnection, most: u64) -> QueryResult<Option<Loss>> {
    let mut lost = None;
    loop {
        let pages = pages(connection)?;
        let used = pages.used();
        let Some(over) = used.checked_sub(most).filter(|over| *over > 0) else { return Ok(lost) };
        if diesel::delete(dead_letter::table).execute(connection)? > 0 {
            continue;
        }
        // Half of what would do if all rows were of a size, so that a bound that was lowered is reached in a few
        // steps and no row goes that could have stayed.
        let count = u64::try_from(entry::table.count().get_result::<i64>(connection)?).unwrap_or(0);
        let rows =
            oldest_rows(connection, -1, i64::try_from((over * count / used / 2).max(1)).unwrap_or(i64::MAX))?;
        if rows.is_empty() {
            return Ok(lost);
        }
        lost = both(lost, drop_rows(connection, LossReason::Full, &rows)?);
    }
}
