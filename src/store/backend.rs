//! The trait, for any backend that has `transact` (a transaction that writes), `look` (one that does not), `write` (records
//! in one) and `give_back`.

/// Implements [`Store`](crate::store::Store) on what `writing` and `reading` have defined.
macro_rules! store {
    ($backend:ty) => {
        impl Store for $backend {
            fn schema(&self) -> Schema {
                self.schema.clone()
            }

            fn insert(&mut self, records: &[Record]) -> Result<(), StoreError> {
                self.write(records)
            }

            fn bury(&mut self, body: &[u8], reason: &str, at: Timestamp) -> Result<(), StoreError> {
                self.transact(|connection, _| bury_letter(connection, body, reason, at.as_millisecond()))
            }

            fn prune(&mut self, now: Timestamp, keep: &Retention) -> Result<Pruned, StoreError> {
                self.transact(|connection, _| delete_old(connection, now.as_millisecond(), keep))
            }

            fn shrink(&mut self) -> Result<(), StoreError> {
                self.give_back()
            }

            fn history(&mut self, asked: &Asked<'_>) -> Result<Vec<Point>, StoreError> {
                self.look(|connection| history(connection, asked))
            }

            fn export(
                &mut self,
                rows: Rows,
                (from_ms, to_ms): (i64, i64),
                each: &mut dyn FnMut(&str) -> bool,
            ) -> Result<(), StoreError> {
                let banks = self.look(|connection| bank_names(connection))?;
                if !each(rows.header()) {
                    return Ok(());
                }
                for (id, bank) in banks {
                    let mut at = from_ms;
                    loop {
                        let next = self.look(|connection| next_row(connection, rows, id, at))?;
                        let Some(next) = next.filter(|next| *next < to_ms) else { break };
                        at = next.saturating_add(rows.slice_ms()).min(to_ms);
                        let lines = self.look(|connection| lines(connection, rows, &bank, next, at))?;
                        if !lines.iter().all(|line| each(line)) {
                            return Ok(());
                        }
                    }
                }
                Ok(())
            }
        }
    };
}

/// What the macros `reading` and `store` need in scope beside that of `writing`.
macro_rules! reading_imports {
    () => {
        use jiff::Timestamp;

        use crate::store::backend::store;
        use crate::store::error::StoreError;
        use crate::store::export::{BankLine, BatteryLine, CellLine, Rows};
        use crate::store::history::{Asked, Point, Pruned, RawBank, RawBattery, Retention, Step};
        use crate::store::migrate::Schema;
        use crate::store::reading::{PRUNED, reading};
        use crate::store::rows::LetterRow;
        use crate::store::writing::writing;
        use crate::store::{LETTERS_KEPT, Store};
    };
}

pub(super) use {reading_imports, store};
