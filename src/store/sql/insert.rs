//! Inserts records, on SQLite and MariaDB alike.
//!
//! The code is a macro over the connection's type. A generic function would need a where clause for every statement,
//! since Diesel resolves batch inserts, `ON CONFLICT` and `REPLACE` per backend, and its `MultiConnection` supports
//! none of them.

/// Rows per statement: with 27 columns they stay below the parameter limits of SQLite (32 766) and MySQL (65 535).
pub(crate) const ROWS: usize = 500;

/// Defines `RecordWriter`, the work of one transaction on a connection. `$locked` turns a query into one that locks
/// what it reads.
macro_rules! impl_insert {
    ($connection:ty, |$query:ident| $locked:expr) => {
        impl_duplicates!();
        impl_ids!();
        impl_minute_parts!(|$query| $locked);

        pub(crate) struct RecordWriter<'a> {
            pub(crate) connection: &'a mut $connection,
            pub(crate) cache: &'a mut IdCache,
        }

        /// The rows of one transaction.
        #[derive(Default)]
        struct RowBatch<'a> {
            banks: Vec<BankRow>,
            batteries: Vec<BatteryRow>,
            cells: Vec<CellRow>,
            minutes: Vec<(RollupKey, &'a MinuteRecord)>,
            parts: BTreeMap<i64, MinutePartRow>,
        }

        /// Inserts rows that do not exist yet.
        macro_rules! insert_new {
            ($to:expr, $table:ident, $rows:expr) => {
                for rows in $rows.chunks(ROWS) {
                    diesel::insert_into($table::table).values(rows).on_conflict_do_nothing().execute($to)?;
                }
            };
        }

        /// Merges sums into the rows of a table: `$merge` does so in memory and returns the keys that changed.
        macro_rules! merge {
            ($to:expr, $table:ident, $row:ident, $keys:expr, $merge:expr) => {{
                let starts: Vec<i64> = $keys;
                let $query =
                    $table::table.filter($table::started_at_ms.eq_any(starts)).select($row::as_select());
                let rows: Vec<$row> = $locked.load($to)?;
                let mut sums: SumsByRollup = rows.into_iter().map($row::into_entry).collect();
                let changed: BTreeSet<RollupKey> = $merge(&mut sums);
                let rows: Vec<$row> =
                    changed.iter().filter_map(|key| Some($row::new(key, sums.get(key)?))).collect();
                for rows in rows.chunks(ROWS) {
                    diesel::replace_into($table::table).values(rows).execute($to)?;
                }
            }};
        }

        impl RecordWriter<'_> {
            pub(crate) fn write(&mut self, records: &[Record]) -> QueryResult<()> {
                self.cache.evict_excess();
                let mut batch = RowBatch::default();
                for record in records {
                    match record {
                        Record::Sweep(sweep) => self.add_sweep(sweep, &mut batch)?,
                        Record::Minute(minute) if !self.is_new(minute, &mut batch.parts)? => {}
                        Record::Minute(minute) => {
                            let barcode = minute.barcode.as_deref();
                            let (bank_id, battery_id) =
                                self.resolve_ids(&minute.bank, minute.place, barcode, minute.first_ms)?;
                            batch.minutes.push(((minute.started_at_ms, bank_id, battery_id), minute));
                        }
                        Record::Event(event) => self.event(event)?,
                        Record::Log(entry) => self.device_log(entry)?,
                        Record::Counter(counter) => self.counter(counter)?,
                        Record::Lifetime(lifetime) => self.lifetime(lifetime)?,
                    }
                }
                insert_new!(self.connection, bank_reading, batch.banks);
                insert_new!(self.connection, battery_reading, batch.batteries);
                insert_new!(self.connection, cell_reading, batch.cells);
                for minutes in batch.minutes.chunks(ROWS) {
                    self.roll_up(minutes)?;
                }
                self.save_part_numbers(batch.parts)
            }

            fn add_sweep(&mut self, sweep: &SweepRecord, batch: &mut RowBatch<'_>) -> QueryResult<()> {
                let bank_id = self.bank(&sweep.bank)?;
                if self.is_stored(bank_id, sweep.taken_at_ms)? {
                    return Ok(());
                }
                let states =
                    sweep.states.iter().map(|words| self.state(words)).collect::<QueryResult<Vec<i32>>>()?;
                let state =
                    |index: u16| states.get(usize::from(index)).copied().ok_or_else(invalid_state_index);
                let taken_at_ms = sweep.taken_at_ms;
                let (state_id, values) = (state(sweep.state)?, sweep.values.clone());
                batch.banks.push(BankRow { taken_at_ms, bank_id, state_id, values });
                let ids = self.assign_batteries(bank_id, sweep)?;
                for (battery, battery_id) in sweep.batteries.iter().zip(ids) {
                    let (place, state_id) = (i32::from(battery.place), state(battery.state)?);
                    let values = battery.values.clone();
                    batch.batteries.push(BatteryRow {
                        taken_at_ms,
                        battery_id,
                        bank_id,
                        place,
                        state_id,
                        values,
                    });
                    for (cell, CellRecord(values, words)) in (1..).zip(&battery.cells) {
                        let (values, state_id) = (*values, state(*words)?);
                        batch.cells.push(CellRow {
                            taken_at_ms,
                            battery_id,
                            cell,
                            bank_id,
                            place,
                            state_id,
                            values,
                        });
                    }
                }
                Ok(())
            }

            /// Whether a sweep is stored already: delivered again, it would move batteries back to their earlier
            /// places.
            fn is_stored(&mut self, bank_id: i32, at_ms: i64) -> QueryResult<bool> {
                if self.cache.last_sweeps.get(&bank_id).is_some_and(|swept| at_ms > *swept) {
                    return Ok(false);
                }
                let row = bank_reading::table.find((at_ms, bank_id)).select(bank_reading::bank_id);
                Ok(row.first::<i32>(self.connection).optional()?.is_some())
            }

            /// An event matches the row of that word, bit and text raised at that time. Times of a clock that was set
            /// late differ by milliseconds, so a row raised at about that time also matches if it has not cleared or
            /// the event clears; otherwise the row that has not cleared yet, because the clock has been set since.
            fn event(&mut self, event: &EventRecord) -> QueryResult<()> {
                let (bank_id, battery_id) =
                    self.resolve_ids(&event.bank, event.place, event.barcode.as_deref(), event.raised_at_ms)?;
                let (word, text) = (bounded(&event.word, 16), bounded(&event.text, 255));
                let (bit, place) = (i64::from(event.bit), event.place.map_or(0, i32::from));
                let alike = || {
                    event::table
                        .filter(event::bank_id.eq(bank_id).and(event::place.eq(place)))
                        .filter(event::word.eq(&word).and(event::bit.eq(bit)))
                        .filter(event::text.eq(&text))
                        .select((event::raised_at_ms, event::battery_id, event::cleared_at_ms))
                };
                let (from, to) = (event.raised_at_ms - JUMP_MS, event.raised_at_ms + JUMP_MS);
                let near: Vec<(i64, i32, Option<i64>)> =
                    alike().filter(event::raised_at_ms.between(from, to)).load(self.connection)?;
                let same = near.into_iter().min_by_key(|(raised, _, cleared)| {
                    let by = raised.abs_diff(event.raised_at_ms);
                    (by > 0, cleared.is_some(), by)
                });
                let row = |(raised, battery, _): (i64, i32, Option<i64>)| {
                    event::table.find((raised, bank_id, battery, word.clone(), bit))
                };
                let Some(cleared) = event.cleared_at_ms.map(|at| event::cleared_at_ms.eq(Some(at))) else {
                    let is_there =
                        same.is_some_and(|(at, _, cleared)| at == event.raised_at_ms || cleared.is_none());
                    return if is_there { Ok(()) } else { self.insert_event(event, bank_id, battery_id) };
                };
                if let Some(same) = same {
                    return diesel::update(row(same)).set(cleared).execute(self.connection).map(drop);
                }
                let open: Option<(i64, i32, Option<i64>)> = alike()
                    .filter(event::cleared_at_ms.is_null())
                    .order(event::raised_at_ms.desc())
                    .first(self.connection)
                    .optional()?;
                match open {
                    // A time from before the clock was set is meaningless.
                    Some(open) if event.raised_at_ms < RELEASED_AT_MS => {
                        diesel::update(row(open)).set(cleared).execute(self.connection).map(drop)
                    }
                    Some(open) => {
                        let corrected = (event::raised_at_ms.eq(event.raised_at_ms), cleared);
                        diesel::update(row(open)).set(corrected).execute(self.connection).map(drop)
                    }
                    // A meaningless start does not show whether the event was delivered before; its end does.
                    None if event.raised_at_ms < RELEASED_AT_MS
                        && alike()
                            .filter(cleared)
                            .first::<(i64, i32, Option<i64>)>(self.connection)
                            .optional()?
                            .is_some() =>
                    {
                        Ok(())
                    }
                    None => self.insert_event(event, bank_id, battery_id),
                }
            }

            fn insert_event(
                &mut self,
                event: &EventRecord,
                bank_id: i32,
                battery_id: i32,
            ) -> QueryResult<()> {
                let unset = event.raised_at_ms < RELEASED_AT_MS;
                let new = EventRow {
                    // The start is unknown; the end is known.
                    raised_at_ms: event.cleared_at_ms.filter(|_| unset).unwrap_or(event.raised_at_ms),
                    bank_id,
                    battery_id,
                    word: bounded(&event.word, 16),
                    bit: event.bit.into(),
                    place: event.place.map_or(0, i32::from),
                    cleared_at_ms: event.cleared_at_ms,
                    level: bounded(&event.level, 16),
                    text: bounded(&event.text, 255),
                };
                diesel::insert_into(event::table)
                    .values(new)
                    .on_conflict_do_nothing()
                    .execute(self.connection)
                    .map(drop)
            }

            fn device_log(&mut self, entry: &StoredLogRecord) -> QueryResult<()> {
                let (_, battery_id) =
                    self.resolve_ids(&entry.bank, Some(entry.place), entry.barcode.as_deref(), i64::MAX)?;
                let text = |text: &Option<String>, most| text.as_deref().map(|text| bounded(text, most));
                let new = DeviceLogRow {
                    battery_id,
                    record: entry.record,
                    clock_local_s: entry.clock_local_s,
                    module: text(&entry.module, 64),
                    code: entry.code,
                    info: text(&entry.info, 255),
                };
                diesel::insert_into(battery_log::table)
                    .values(new)
                    .on_conflict_do_nothing()
                    .execute(self.connection)?;
                Ok(())
            }

            fn counter(&mut self, counter: &CounterRecord) -> QueryResult<()> {
                let (bank_id, battery_id, place) = match &counter.scope {
                    CounterScope::Bank => (self.bank(&counter.bank)?, 0, 0),
                    CounterScope::Place(place) => (self.bank(&counter.bank)?, 0, i32::from(*place)),
                    CounterScope::Battery { place, barcode } => {
                        let barcode = barcode.as_deref();
                        let (bank_id, battery_id) =
                            self.resolve_ids(&counter.bank, Some(*place), barcode, counter.taken_at_ms)?;
                        (bank_id, battery_id, 0)
                    }
                };
                let name = bounded(&counter.name, 32);
                let (value, taken_at_ms) = (counter.value, counter.taken_at_ms);
                let new = CounterRow { bank_id, battery_id, place, name: name.clone(), value, taken_at_ms };
                diesel::insert_into(counter::table)
                    .values(new)
                    .on_conflict_do_nothing()
                    .execute(self.connection)?;
                let row = counter::table.find((bank_id, battery_id, place, name));
                let further = (counter::value.eq(value), counter::taken_at_ms.eq(taken_at_ms));
                diesel::update(row.filter(counter::value.lt(value))).set(further).execute(self.connection)?;
                Ok(())
            }

            fn lifetime(&mut self, lifetime: &LifetimeRecord) -> QueryResult<()> {
                let taken_at_ms = lifetime.taken_at_ms;
                let (_, battery_id) = self.resolve_ids(
                    &lifetime.bank,
                    Some(lifetime.place),
                    lifetime.barcode.as_deref(),
                    taken_at_ms,
                )?;
                let row = |(name, value): &(String, i64)| LifetimeRow {
                    battery_id,
                    name: bounded(name, 48),
                    taken_at_ms,
                    value: *value,
                };
                let rows: Vec<LifetimeRow> = lifetime.values.iter().map(row).collect();
                insert_new!(self.connection, lifetime, rows);
                Ok(())
            }

            /// Merges minutes into their own rows and those of their hours and days.
            fn roll_up(&mut self, minutes: &[(RollupKey, &MinuteRecord)]) -> QueryResult<()> {
                let starts = |span: i64| -> Vec<i64> {
                    let starts: BTreeSet<i64> =
                        minutes.iter().map(|((at, ..), _)| at - at.rem_euclid(span)).collect();
                    starts.into_iter().collect()
                };
                let mut new: Vec<(RollupKey, &MinuteRecord)> = Vec::new();
                merge!(
                    self.connection,
                    rollup_minute,
                    MinuteRow,
                    starts(SPANS[0]),
                    |sums: &mut SumsByRollup| {
                        for (key, minute) in minutes {
                            // A part without a number is stored already if it does not start after the stored ones
                            // ended.
                            let later = |(through, _): &(i64, RollupSums)| minute.first_ms > *through;
                            if minute.part.is_some() || sums.get(key).is_none_or(later) {
                                add(sums, *key, minute);
                                new.push((*key, minute));
                            }
                        }
                        new.iter().map(|(key, _)| *key).collect()
                    }
                );
                let merge_span = |sums: &mut SumsByRollup, span: i64| -> BTreeSet<RollupKey> {
                    let in_span = |(at, bank, battery): RollupKey| (at - at.rem_euclid(span), bank, battery);
                    new.iter().for_each(|(key, minute)| add(sums, in_span(*key), minute));
                    new.iter().map(|(key, _)| in_span(*key)).collect()
                };
                merge!(self.connection, rollup_hour, HourRow, starts(SPANS[1]), |sums: &mut SumsByRollup| {
                    merge_span(sums, SPANS[1])
                });
                merge!(self.connection, rollup_day, DayRow, starts(SPANS[2]), |sums: &mut SumsByRollup| {
                    merge_span(sums, SPANS[2])
                });
                Ok(())
            }
        }

        /// Adds a minute to the sums of a key.
        fn add(sums: &mut SumsByRollup, key: RollupKey, minute: &MinuteRecord) {
            let (through, sums) = sums.entry(key).or_default();
            *through = minute.last_ms.max(*through);
            sums.merge(&minute.sums);
        }

        /// A sweep refers to a set of state words that it does not have; this program does not write such a record.
        fn invalid_state_index() -> diesel::result::Error {
            diesel::result::Error::SerializationError("a state index is out of range".into())
        }
    };
}

/// The imports that the code of [`impl_insert`] needs.
macro_rules! insert_imports {
    () => {
        use std::collections::{BTreeMap, BTreeSet};

        use diesel::prelude::*;

        use crate::model::identity::{MAX_BARCODE_LEN, is_plausible};
        use crate::store::clock_gate::{JUMP_MS, RELEASED_AT_MS};
        use crate::store::model::minute_aggregator::SPANS;
        use crate::store::model::record::{
            CounterRecord, CounterScope, EventRecord, LifetimeRecord, MinutePart, MinuteRecord, Record,
            StoredLogRecord,
        };
        use crate::store::model::sums::{DayRow, HourRow, MinuteRow, RollupKey, RollupSums, SumsByRollup};
        use crate::store::model::sweep_record::{BatteryIdentity, BatteryRecord, CellRecord, SweepRecord};
        use crate::store::sql::duplicates::impl_duplicates;
        use crate::store::sql::id_cache::{
            BatteryIdHistory, CachedBattery, HOUR_MS, IdCache, LastRead, MAX_CACHED_STATES, WEEK_MS,
            battery_identity_key,
        };
        use crate::store::sql::ids::impl_ids;
        use crate::store::sql::insert::ROWS;
        use crate::store::sql::minute_parts::{RUNS_KEPT, impl_minute_parts};
        use crate::store::sql::rows::{
            BankRow, BatteryInfoRow, BatteryRow, CellRow, CounterRow, DeviceLogRow, EventRow, LifetimeRow,
            MinutePartRow, StateRow,
        };
        use crate::store::sql::schema::*;
        use crate::store::sql::values::StateWords;
        use crate::store::text::bounded;
    };
}

pub(crate) use {impl_insert, insert_imports};
