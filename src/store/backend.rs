//! The trait, for any backend that has `transact` (a transaction that writes), `look` (one that does not), `write` (records
//! in one), `give_back`, `relieve` and `spend_reserve`.

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
                self.transact(|connection, _| delete_old(connection, now.as_millisecond(), keep, PRUNED))
            }

            fn make_room(&mut self, now: Option<Timestamp>, keep: &Retention) -> Result<bool, StoreError> {
                self.relieve(now, keep)
            }

            fn give_all_room(&mut self) {
                self.spend_reserve();
            }

            fn shrink(&mut self) -> Result<(), StoreError> {
                self.give_back()
            }

            fn history(&mut self, asked: &Asked<'_>) -> Result<Vec<Point>, StoreError> {
                self.look(|connection| history(connection, asked))
            }

            fn export(
                &mut self,
                asked: &Export<'_>,
                each: &mut dyn FnMut(&str) -> bool,
            ) -> Result<(), StoreError> {
                let mut banks = self.look(|connection| bank_names(connection))?;
                if let Some(wanted) = asked.bank {
                    let known = banks.iter().map(|(_, bank)| bank.clone()).collect();
                    banks.retain(|(_, bank)| bank == wanted);
                    if banks.is_empty() {
                        return Err(StoreError::NoBank { bank: wanted.to_owned(), known });
                    }
                }
                if !each(&asked.rows.header()) {
                    return Ok(());
                }
                for (id, bank) in banks {
                    let mut at = asked.from_ms;
                    loop {
                        let next = self.look(|connection| next_row(connection, asked.rows, id, at))?;
                        let Some(next) = next.filter(|next| *next < asked.to_ms) else { break };
                        at = next.saturating_add(asked.rows.slice_ms()).min(asked.to_ms);
                        let slice = Export { bank: Some(&bank), from_ms: next, to_ms: at, ..*asked };
                        let lines = self.look(|connection| lines(connection, &slice))?;
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
        use crate::store::export::{BankLine, BatteryLine, CellLine, Export, Rows, SpanLine};
        use crate::store::history::{Asked, Point, Pruned, RawBank, RawBattery, Retention, Step};
        use crate::store::migrate::Schema;
        use crate::store::reading::{PRUNED, reading};
        use crate::store::rows::LetterRow;
        use crate::store::writing::writing;
        use crate::store::{LETTERS_KEPT, Store};
    };
}

pub(super) use {reading_imports, store};
