//! Parts of minutes, each stored once, whatever the clock showed. The same for both backends, as in `writing.rs`.
//!
//! A part that is delivered twice must count once. Its times can't tell: after the clock was set back, a minute is
//! there a second time. So each run of the service numbers its parts, and the database keeps the last number of each
//! run.

/// Runs that are kept: a service that is started every hour for a week, with a backlog.
pub(super) const RUNS_KEPT: i64 = 200;

/// Defines how `Writing` knows them. `$locked` makes a query lock what it reads: the server may still be at the commit of
/// a connection that was cut when its rows come again.
macro_rules! parts {
    (|$query:ident| $locked:expr) => {
        impl Writing<'_> {
            /// Whether a part has not been stored yet; it is among `parts` then.
            fn is_new(&mut self, minute: &Minute, parts: &mut BTreeMap<i64, PartRow>) -> QueryResult<bool> {
                let Some(MinutePart { run, number }) = minute.part else { return Ok(true) };
                let last = match self.known.parts.get(&run) {
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
                self.known.parts.insert(run, number);
                parts.insert(run, PartRow { run, number, at_ms: minute.last_ms });
                Ok(true)
            }

            /// Keeps the last number of each run.
            fn note_parts(&mut self, parts: BTreeMap<i64, PartRow>) -> QueryResult<()> {
                for part in parts.into_values() {
                    diesel::replace_into(rollup_part::table).values(part).execute(self.connection)?;
                }
                Ok(())
            }

            /// Of all runs the newest stay.
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

pub(super) use parts;
