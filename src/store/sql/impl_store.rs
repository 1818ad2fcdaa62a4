//! Implements the trait for a backend that has `transact` (a write transaction), `read` (a read transaction), `write`
//! (records in one transaction), `vacuum`, `free_space` and `drop_reserve`.

/// Implements [`Store`](crate::store::Store) with the code of `impl_insert` and `impl_query`.
macro_rules! impl_store {
    ($backend:ty) => {
        impl Store for $backend {
            fn schema(&self) -> SchemaVersion {
                self.schema.clone()
            }

            fn insert(&mut self, records: &[Record]) -> Result<(), StoreError> {
                self.write(records)
            }

            fn dead_letter(&mut self, body: &[u8], reason: &str, at: Timestamp) -> Result<(), StoreError> {
                self.transact(|connection, _| {
                    insert_dead_letter(connection, body, reason, at.as_millisecond())
                })
            }

            fn prune(&mut self, now: Timestamp, keep: &Retention) -> Result<PruneProgress, StoreError> {
                self.transact(|connection, _| delete_old(connection, now.as_millisecond(), keep, MAX_PRUNED))
            }

            fn make_room(&mut self, now: Option<Timestamp>, keep: &Retention) -> Result<bool, StoreError> {
                self.free_space(now, keep)
            }

            fn release_reserve(&mut self) {
                self.drop_reserve();
            }

            fn shrink(&mut self) -> Result<(), StoreError> {
                self.vacuum()
            }

            fn history(&mut self, query: &HistoryQuery<'_>) -> Result<Vec<HistoryPoint>, StoreError> {
                self.read(|connection| history(connection, query))
            }

            fn export(
                &mut self,
                query: &ExportQuery<'_>,
                each: &mut dyn FnMut(&StringRecord) -> bool,
            ) -> Result<(), StoreError> {
                let mut banks = self.read(|connection| bank_names(connection))?;
                if let Some(wanted) = query.bank {
                    let known = banks.iter().map(|(_, bank)| bank.clone()).collect();
                    banks.retain(|(_, bank)| bank == wanted);
                    if banks.is_empty() {
                        return Err(StoreError::NoBank { bank: wanted.to_owned(), known });
                    }
                }
                if !each(&query.table.header()) {
                    return Ok(());
                }
                for (id, bank) in banks {
                    let mut at = query.from_ms;
                    loop {
                        let next = self.read(|connection| next_row(connection, query.table, id, at))?;
                        let Some(next) = next.filter(|next| *next < query.to_ms) else { break };
                        at = next.saturating_add(query.table.slice_ms()).min(query.to_ms);
                        let slice = ExportQuery { bank: Some(&bank), from_ms: next, to_ms: at, ..*query };
                        let rows = self.read(|connection| export_slice(connection, &slice))?;
                        if !rows.iter().all(&mut *each) {
                            return Ok(());
                        }
                    }
                }
                Ok(())
            }
        }
    };
}

/// The imports that the code of `impl_query` and [`impl_store`] needs in addition to those of `impl_insert`.
macro_rules! query_imports {
    () => {
        use csv::StringRecord;
        use jiff::Timestamp;

        use crate::store::backend::{MAX_DEAD_LETTERS, Store};
        use crate::store::error::StoreError;
        use crate::store::sql::export::{
            BankExportRow, BatteryExportRow, CellExportRow, ExportQuery, ExportTable, RollupExportRow,
        };
        use crate::store::sql::history::{
            BankPointRow, BatteryPointRow, HistoryPoint, HistoryQuery, PruneProgress, Resolution, Retention,
        };
        use crate::store::sql::impl_store::impl_store;
        use crate::store::sql::insert::impl_insert;
        use crate::store::sql::migrations::SchemaVersion;
        use crate::store::sql::query::{MAX_PRUNED, impl_query};
        use crate::store::sql::rows::DeadLetterRow;
    };
}

pub(crate) use {impl_store, query_imports};
