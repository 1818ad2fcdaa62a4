//! Makes sure that each part of a minute is stored once. A macro, for the reason in `insert.rs`.
//!
//! A part may be delivered twice, and its time does not identify it: after the clock was set back, a minute occurs a
//! second time. So each run of the service numbers its parts, and the database stores the last number of each run.

/// Runs whose last number is stored: a service restarted every hour for a week, with a backlog.
pub(crate) const RUNS_KEPT: i64 = 200;

/// Implements it for `RecordWriter`. `$locked` turns a query into one that locks what it reads: the server may still be
/// committing on a connection that was cut when its rows come again.
macro_rules! impl_minute_parts {
    (|$query:ident| $locked:expr) => {
        impl RecordWriter<'_> {
            /// Whether a part has not been stored yet; if so, it is added to `parts`.
            fn is_new(
                &mut self,
                minute: &MinuteRecord,
                parts: &mut BTreeMap<i64, MinutePartRow>,
            ) -> QueryResult<bool> {
                let Some(MinutePart { run, number }) = minute.part else { return Ok(true) };
                let last = match self.cache.parts.get(&run) {
                    Some(last) => Some(*last),
                    None => {
                        let $query = rollup_part::table.find(run).select(rollup_part::number);
                        $locked.get_result(self.connection).optional()?
                    }
                };
                match last {
                    Some(last) if number <= last => return Ok(false),
                    Some(_) => {}
                    None => self.forget_old_runs()?,
                }
                self.cache.parts.insert(run, number);
                parts.insert(run, MinutePartRow { run, number, at_ms: minute.last_ms });
                Ok(true)
            }

            /// Stores the last number of each run.
            fn save_part_numbers(&mut self, parts: BTreeMap<i64, MinutePartRow>) -> QueryResult<()> {
                for part in parts.into_values() {
                    diesel::replace_into(rollup_part::table).values(part).execute(self.connection)?;
                }
                Ok(())
            }

            /// Deletes all but the newest runs.
            fn forget_old_runs(&mut self) -> QueryResult<()> {
                let newest = rollup_part::table.order(rollup_part::at_ms.desc()).select(rollup_part::at_ms);
                let oldest: Option<i64> = newest.offset(RUNS_KEPT).first(self.connection).optional()?;
                if let Some(oldest) = oldest {
                    let old = rollup_part::table.filter(rollup_part::at_ms.le(oldest));
                    diesel::delete(old).execute(self.connection)?;
                }
                Ok(())
            }
        }
    };
}

pub(crate) use impl_minute_parts;
