//! How records become rows: the same for both backends, so it is written once, as a macro over the connection's type.
//! (Diesel's own abstraction over connections knows neither batches nor `ON CONFLICT`.)

/// Rows a statement: 27 columns of them stay below the parameters that SQLite (32 766) and MySQL (65 535) allow.
pub(super) const ROWS: usize = 500;

/// Defines `Writing`: one transaction's work on a connection. `$locked` makes a query lock what it reads.
macro_rules! writing {
    ($connection:ty, |$query:ident| $locked:expr) => {
        duplicates!();
        numbering!();
        parts!(|$query| $locked);

        /// The work of one transaction.
        pub(super) struct Writing<'a> {
            pub(super) connection: &'a mut $connection,
            pub(super) known: &'a mut Known,
        }

        /// Rows in hand.
        #[derive(Default)]
        struct Batch<'a> {
            banks: Vec<BankRow>,
            batteries: Vec<BatteryRow>,
            cells: Vec<CellRow>,
            minutes: Vec<(Key, &'a Minute)>,
            parts: BTreeMap<i64, PartRow>,
        }

        /// Inserts rows that are not there yet.
        macro_rules! insert_new {
            ($to:expr, $table:ident, $rows:expr) => {
                for rows in $rows.chunks(ROWS) {
                    diesel::insert_into($table::table).values(rows).on_conflict_do_nothing().execute($to)?;
                }
            };
        }

        /// Merges sums into the rows of a table; `$merge` does so in memory and answers whose have changed.
        macro_rules! merge {
            ($to:expr, $table:ident, $row:ident, $keys:expr, $merge:expr) => {{
                let starts: Vec<i64> = $keys;
                let $query =
                    $table::table.filter($table::started_at_ms.eq_any(starts)).select($row::as_select());
                let rows: Vec<$row> = $locked.load($to)?;
                let mut sums: SumsByKey = rows.into_iter().map($row::into_entry).collect();
                let changed: BTreeSet<Key> = $merge(&mut sums);
                let rows: Vec<$row> =
                    changed.iter().filter_map(|key| Some($row::of(key, sums.get(key)?))).collect();
                for rows in rows.chunks(ROWS) {
                    diesel::replace_into($table::table).values(rows).execute($to)?;
                }
            }};
        }

        impl Writing<'_> {
            /// Stores records in their order.
            pub(super) fn write(&mut self, records: &[Record]) -> QueryResult<()> {
                self.known.forget_surplus();
                let mut batch = Batch::default();
                for record in records {
                    match record {
                        Record::Sweep(sweep) => self.sweep(sweep, &mut batch)?,
                        Record::Minute(minute) if !self.is_new(minute, &mut batch.parts)? => {}
                        Record::Minute(minute) => {
                            let barcode = minute.barcode.as_deref();
                            let (bank_id, battery_id) =
                                self.whose(&minute.bank, minute.place, barcode, minute.first_ms)?;
                            batch.minutes.push(((minute.started_at_ms, bank_id, battery_id), minute));
                        }
                        Record::Event(event) => self.event(event)?,
                        Record::Log(entry) => self.log(entry)?,
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
                self.note_parts(batch.parts)
            }

            fn sweep(&mut self, sweep: &Sweep, batch: &mut Batch<'_>) -> QueryResult<()> {
                let bank_id = self.bank(&sweep.bank)?;
                if self.is_stored(bank_id, sweep.taken_at_ms)? {
                    return Ok(());
                }
                let states =
                    sweep.states.iter().map(|words| self.state(words)).collect::<QueryResult<Vec<i32>>>()?;
                let state = |index: u16| states.get(usize::from(index)).copied().ok_or_else(unknown_state);
                let taken_at_ms = sweep.taken_at_ms;
                let (state_id, values) = (state(sweep.state)?, sweep.values.clone());
                batch.banks.push(BankRow { taken_at_ms, bank_id, state_id, values });
                let ids = self.seat(bank_id, sweep)?;
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
                    for (cell, Cell(values, words)) in (1..).zip(&battery.cells) {
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

            /// Whether a sweep is already stored: delivered again, it would move batteries back to their earlier
            /// places.
            fn is_stored(&mut self, bank_id: i32, at_ms: i64) -> QueryResult<bool> {
                if self.known.swept.get(&bank_id).is_some_and(|swept| at_ms > *swept) {
                    return Ok(false);
                }
                let row = bank_reading::table.find((at_ms, bank_id)).select(bank_reading::bank_id);
                Ok(row.first::<i32>(self.connection).optional()?.is_some())
            }

            /// An event matches the row of that word, bit and text raised at that time. Times taken from a clock that was
            /// set late differ by some milliseconds, so a row raised about then also matches if it has not ended or the
            /// event ends; else the row that has not ended yet, because the clock has been set since.
            fn event(&mut self, event: &Event) -> QueryResult<()> {
                let (bank_id, battery_id) =
                    self.whose(&event.bank, event.place, event.barcode.as_deref(), event.raised_at_ms)?;
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
                    return if is_there { Ok(()) } else { self.raise(event, bank_id, battery_id) };
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
                    // A time from before the clock was set is none.
                    Some(open) if event.raised_at_ms < MADE_AT_MS => {
                        diesel::update(row(open)).set(cleared).execute(self.connection).map(drop)
                    }
                    Some(open) => {
                        let corrected = (event::raised_at_ms.eq(event.raised_at_ms), cleared);
                        diesel::update(row(open)).set(corrected).execute(self.connection).map(drop)
                    }
                    // A time that is none does not tell whether it has come before; its end does.
                    None if event.raised_at_ms < MADE_AT_MS
                        && alike()
                            .filter(cleared)
                            .first::<(i64, i32, Option<i64>)>(self.connection)
                            .optional()?
                            .is_some() =>
                    {
                        Ok(())
                    }
                    None => self.raise(event, bank_id, battery_id),
                }
            }

            fn raise(&mut self, event: &Event, bank_id: i32, battery_id: i32) -> QueryResult<()> {
                let unset = event.raised_at_ms < MADE_AT_MS;
                let new = EventRow {
                    // When it began is not known; that it was over then is.
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

            fn log(&mut self, entry: &LogEntry) -> QueryResult<()> {
                let (_, battery_id) =
                    self.whose(&entry.bank, Some(entry.place), entry.barcode.as_deref(), i64::MAX)?;
                let text = |text: &Option<String>, most| text.as_deref().map(|text| bounded(text, most));
                let new = LogRow {
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

            fn counter(&mut self, counter: &Counter) -> QueryResult<()> {
                let (bank_id, battery_id, place) = match &counter.whose {
                    Whose::Bank => (self.bank(&counter.bank)?, 0, 0),
                    Whose::Place(place) => (self.bank(&counter.bank)?, 0, i32::from(*place)),
                    Whose::Battery { place, barcode } => {
                        let barcode = barcode.as_deref();
                        let (bank_id, battery_id) =
                            self.whose(&counter.bank, Some(*place), barcode, counter.taken_at_ms)?;
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
                let (_, battery_id) = self.whose(
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

            /// Merges minutes into their own rows and into those of their hours and days.
            fn roll_up(&mut self, minutes: &[(Key, &Minute)]) -> QueryResult<()> {
                let starts = |span: i64| -> Vec<i64> {
                    let starts: BTreeSet<i64> =
                        minutes.iter().map(|((at, ..), _)| at - at.rem_euclid(span)).collect();
                    starts.into_iter().collect()
                };
                let mut fresh: Vec<(Key, &Minute)> = Vec::new();
                merge!(
                    self.connection,
                    rollup_minute,
                    MinuteRow,
                    starts(SPANS[0]),
                    |sums: &mut SumsByKey| {
                        for (key, minute) in minutes {
                            // Without a number, a part that does not begin later than what is there ended is there
                            // already.
                            let later = |(through, _): &(i64, Sums)| minute.first_ms > *through;
                            if minute.part.is_some() || sums.get(key).is_none_or(later) {
                                add(sums, *key, minute);
                                fresh.push((*key, minute));
                            }
                        }
                        fresh.iter().map(|(key, _)| *key).collect()
                    }
                );
                let merge_span = |sums: &mut SumsByKey, span: i64| -> BTreeSet<Key> {
                    let in_span = |(at, bank, battery): Key| (at - at.rem_euclid(span), bank, battery);
                    fresh.iter().for_each(|(key, minute)| add(sums, in_span(*key), minute));
                    fresh.iter().map(|(key, _)| in_span(*key)).collect()
                };
                merge!(self.connection, rollup_hour, HourRow, starts(SPANS[1]), |sums: &mut SumsByKey| {
                    merge_span(sums, SPANS[1])
                });
                merge!(self.connection, rollup_day, DayRow, starts(SPANS[2]), |sums: &mut SumsByKey| {
                    merge_span(sums, SPANS[2])
                });
                Ok(())
            }
        }

        /// Adds a minute to the sums of a key.
        fn add(sums: &mut SumsByKey, key: Key, minute: &Minute) {
            let (through, sums) = sums.entry(key).or_default();
            *through = minute.last_ms.max(*through);
            sums.merge(&minute.sums);
        }

        /// A sweep names a set of words that it does not have: none that this program made.
        fn unknown_state() -> diesel::result::Error {
            diesel::result::Error::SerializationError("a state's index is past the sweep's states".into())
        }
    };
}

/// What the macro's users need in scope.
macro_rules! writing_imports {
    () => {
        use std::collections::{BTreeMap, BTreeSet};

        use diesel::prelude::*;

        use crate::model::identity::{LONGEST_BARCODE, is_plausible};
        use crate::store::clock_gate::{JUMP_MS, MADE_AT_MS};
        use crate::store::duplicates::duplicates;
        use crate::store::known::{
            HOUR_MS, Known, KnownBattery, LastRead, Numbered, STATES_KEPT, WEEK_MS, identity_of,
        };
        use crate::store::lifetime::LifetimeRecord;
        use crate::store::numbering::numbering;
        use crate::store::parts::{RUNS_KEPT, parts};
        use crate::store::record::{Battery, Cell, Counter, Event, Identity, LogEntry, Record, Sweep, Whose};
        use crate::store::rollup::{Minute, MinutePart, SPANS};
        use crate::store::rows::{
            BankRow, BatteryFacts, BatteryRow, CellRow, CounterRow, EventRow, LifetimeRow, LogRow, PartRow,
            StateRow,
        };
        use crate::store::schema::*;
        use crate::store::sums::{DayRow, HourRow, Key, MinuteRow, Sums, SumsByKey};
        use crate::store::text::bounded;
        use crate::store::values::Words;
        use crate::store::writing::ROWS;
    };
}

pub(super) use {writing, writing_imports};
