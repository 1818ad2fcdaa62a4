//! Inserts a sweep's rows into `pwr_data`, within one transaction.

use diesel::mysql::MysqlConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{BigInt, Double, Integer, Nullable, Text};

use crate::store::mariadb::legacy::columns::{LegacyColumn, LegacyRow, LegacyValue, PendingSweep, rows_of};
use crate::store::mariadb::legacy::layout::LegacyLayout;
use crate::store::mariadb::legacy::step::LegacyStep;
use crate::store::sql::schema::legacy_pending;

/// Deletes a sweep from the list. By its full key, so that nothing else is locked, and new sweeps can be listed while
/// the transaction waits for `pwr_data`.
pub(crate) fn delete_pending(connection: &mut MysqlConnection, sweep: &PendingSweep) -> QueryResult<()> {
    let row = legacy_pending::table.find((sweep.taken_at_ms, sweep.bank_id));
    match diesel::delete(row).execute(connection)? {
        1 => Ok(()),
        _ => Err(as_rollback(Error::NotFound)),
    }
}

/// An abandoned call has written the sweep after all, or another service has.
fn as_rollback(error: Error) -> Error {
    if error == Error::NotFound { Error::RollbackTransaction } else { error }
}

/// `None` if another writer has written the sweep.
pub(crate) fn unless_written<T>(done: QueryResult<T>) -> QueryResult<Option<T>> {
    match done {
        Err(Error::RollbackTransaction) => Ok(None),
        done => done.map(Some),
    }
}

/// Writes a sweep to a table without transactions. Rows accepted before a refused one are not written again.
pub(crate) fn write_row_by_row(
    connection: &mut MysqlConnection,
    layout: &LegacyLayout,
    sweep: &PendingSweep,
    step: &mut LegacyStep,
) -> QueryResult<()> {
    let row = legacy_pending::table.find((sweep.taken_at_ms, sweep.bank_id));
    let mut reached = sweep.from_place;
    let written = connection.transaction(|connection| {
        // Read again: an earlier attempt may have written some of its rows.
        let sweep: PendingSweep =
            row.select(PendingSweep::as_select()).for_update().first(connection).map_err(as_rollback)?;
        reached = sweep.from_place;
        delete_pending(connection, &sweep)?;
        let own = rows_of(connection, &sweep)?;
        let expired = usize::from(own.is_empty());
        let rows = complete_rows(layout, own, step);
        for row in &rows {
            reached = row.place;
            insert(connection, layout, std::slice::from_ref(row))?;
        }
        Ok((usize::from(!rows.is_empty()), expired))
    });
    match unless_written(written) {
        Ok(written) => {
            let (written, expired) = written.unwrap_or_default();
            step.written += written;
            step.expired += expired;
            Ok(())
        }
        Err(error) => {
            diesel::update(row).set(legacy_pending::from_place.eq(reached)).execute(connection)?;
            Err(error)
        }
    }
}

/// The rows that have a value for each required column.
pub(crate) fn complete_rows(
    layout: &LegacyLayout,
    mut rows: Vec<LegacyRow>,
    step: &mut LegacyStep,
) -> Vec<LegacyRow> {
    let required: Vec<&LegacyColumn> =
        layout.written().into_iter().filter_map(|(column, required)| required.then_some(column)).collect();
    rows.retain(|row| {
        let lacking = required.iter().find(|column| (column.value)(row).required().is_none());
        step.unreported.extend(lacking.map(|column| (column.name, column.sql_type)));
        lacking.is_none()
    });
    rows
}

pub(crate) fn insert(
    connection: &mut MysqlConnection,
    layout: &LegacyLayout,
    rows: &[LegacyRow],
) -> QueryResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let written = layout.written();
    let names: Vec<String> = written.iter().map(|(column, _)| format!("`{}`", column.name)).collect();
    let mark = |column: &LegacyColumn| if column.name == "record_time" { "FROM_UNIXTIME(?)" } else { "?" };
    let marks: Vec<&str> = written.iter().map(|(column, _)| mark(column)).collect();
    let row = format!("({})", marks.join(", "));
    let statement =
        format!("INSERT INTO pwr_data ({}) VALUES {}", names.join(", "), vec![row; rows.len()].join(", "));
    let mut query = diesel::sql_query(statement).into_boxed();
    for row in rows {
        for (column, required) in &written {
            let value = (column.value)(row);
            let value = if *required { value.clone().required().unwrap_or(value) } else { value };
            query = match value {
                LegacyValue::Time(seconds) => query.bind::<BigInt, _>(seconds),
                LegacyValue::Number(number) => query.bind::<Nullable<Integer>, _>(number),
                LegacyValue::Real(real) => query.bind::<Nullable<Double>, _>(real),
                LegacyValue::Word(word) => query.bind::<Nullable<Text>, _>(word),
            };
        }
    }
    query.execute(connection).map(drop)
}
