//! Lists new sweeps in `legacy_pending`, in the transaction that stores them.

use std::collections::BTreeSet;

use diesel::prelude::*;

use crate::store::mariadb::database::RecordWriter;
use crate::store::model::record::Record;
use crate::store::sql::schema::{bank_reading, legacy_pending};

#[derive(Insertable)]
#[diesel(table_name = legacy_pending)]
struct NewPendingSweep {
    taken_at_ms: i64,
    bank_id: i32,
}

impl RecordWriter<'_> {
    /// Lists the new sweeps; one that is stored already was listed with its rows.
    pub(crate) fn list_for_legacy(&mut self, records: &[Record]) -> QueryResult<()> {
        let mut listed = BTreeSet::new();
        for record in records {
            let Record::Sweep(sweep) = record else { continue };
            if sweep.batteries.is_empty() {
                continue;
            }
            let key = (sweep.taken_at_ms, self.bank(&sweep.bank)?);
            if listed.contains(&key) {
                continue;
            }
            // Locked until the commit: an abandoned batch that hangs may still be running.
            let there = bank_reading::table.find(key).select(bank_reading::taken_at_ms).for_update();
            if there.first::<i64>(self.connection).optional()?.is_none() {
                listed.insert(key);
            }
        }
        let rows: Vec<NewPendingSweep> = listed
            .into_iter()
            .map(|(taken_at_ms, bank_id)| NewPendingSweep { taken_at_ms, bank_id })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        diesel::insert_into(legacy_pending::table)
            .values(&rows)
            .on_conflict_do_nothing()
            .execute(self.connection)
            .map(drop)
    }
}
