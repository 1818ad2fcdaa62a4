//! How a sweep's rows get into `pwr_data`, within one transaction.

use diesel::mysql::MysqlConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{BigInt, Double, Integer, Nullable, Text};

use super::layout::LegacyLayout;
use super::writer::LegacyStep;
use super::{LegacyColumn, LegacyRow, LegacyValue, PendingSweep, rows_of};
use crate::store::schema::legacy_pending;

/// Takes a sweep off the list. One by one, by its whole key: nothing else is locked, so that new sweeps can be listed
/// while the transaction waits for `pwr_data`.
pub(super) fn take_off(connection: &mut MysqlConnection, sweep: &PendingSweep) -> QueryResult<()> {
    let row = legacy_pending::table.find((sweep.taken_at_ms, sweep.bank_id));
    match diesel::delete(row).execute(connection)? {
        1 => Ok(()),
        _ => Err(gone(Error::NotFound)),
    }
}

/// A call that was given up has written the sweep after all, or another service has.
fn gone(error: Error) -> Error {
    if error == Error::NotFound { Error::RollbackTransaction } else { error }
}

/// Nothing went wrong where another writer was faster.
pub(super) fn unless_taken<T>(done: QueryResult<T>) -> QueryResult<Option<T>> {
    match done {
        Err(Error::RollbackTransaction) => Ok(None),
        done => done.map(Some),
    }
}

/// Writes a sweep into a table that has each row at once. The rows that it takes before one that it refuses are not
/// written again.
pub(super) fn write_row_by_row(
    connection: &mut MysqlConnection,
    layout: &LegacyLayout,
    sweep: &PendingSweep,
    step: &mut LegacyStep,
) -> QueryResult<()> {
    let row = legacy_pending::table.find((sweep.taken_at_ms, sweep.bank_id));
    let mut reached = sweep.from_place;
    let taken = connection.transaction(|connection| {
        // As it is now: an attempt before this one may have written some of its rows.
        let sweep: PendingSweep =
            row.select(PendingSweep::as_select()).for_update().first(connection).map_err(gone)?;
        reached = sweep.from_place;
        take_off(connection, &sweep)?;
        let own = rows_of(connection, &sweep)?;
        let forgotten = usize::from(own.is_empty());
        let rows = complete(layout, own, step);
        for row in &rows {
            reached = row.place;
            insert(connection, layout, std::slice::from_ref(row))?;
        }
        Ok((usize::from(!rows.is_empty()), forgotten))
    });
    match unless_taken(taken) {
        Ok(taken) => {
            let (written, forgotten) = taken.unwrap_or_default();
            step.written += written;
            step.forgotten += forgotten;
            Ok(())
        }
        Err(error) => {
            diesel::update(row).set(legacy_pending::from_place.eq(reached)).execute(connection)?;
            Err(error)
        }
    }
}

/// The rows that have what the table demands.
pub(super) fn complete(
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

pub(super) fn insert(
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
