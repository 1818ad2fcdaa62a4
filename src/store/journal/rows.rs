//! The journal's tables, and what is done to them inside a transaction.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::BigInt;

use super::{Loss, LossReason};

diesel::table! {
    entry (seq) {
        seq -> BigInt,
        kind -> Text,
        bank -> Text,
        taken_at_ms -> BigInt,
        payload -> Binary,
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
    pub free: u64,
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

/// The numbers and times of the oldest rows.
pub(super) fn oldest_rows(connection: &mut SqliteConnection, rows: i64) -> QueryResult<Vec<(i64, i64)>> {
    entry::table.select((entry::seq, entry::taken_at_ms)).order(entry::seq).limit(rows).load(connection)
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
            oldest_rows(connection, i64::try_from((over * count / used / 2).max(1)).unwrap_or(i64::MAX))?;
        if rows.is_empty() {
            return Ok(lost);
        }
        lost = both(lost, drop_rows(connection, LossReason::Full, &rows)?);
    }
}
