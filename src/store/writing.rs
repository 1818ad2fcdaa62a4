//! How records become rows: the same for both backends, so it is written once, as a macro over the connection's type.
//! (Diesel's own abstraction over connections knows neither batches nor `ON CONFLICT`.)

/// Rows a statement: 27 columns of them stay below the parameters that SQLite (32 766) and MySQL (65 535) allow.
pub(super) const ROWS: usize = 500;

/// Defines `Writing`: one transaction's work on a connection. `$locked` makes a query lock what it reads.
macro_rules! writing {
    ($connection:ty, |$query:ident| $locked:expr) => {
        numbering!();

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
                let mut batch = Batch::default();
                for record in records {
                    match record {
                        Record::Sweep(sweep) => self.sweep(sweep, &mut batch)?,
                        Record::Minute(minute) => {
                            let (bank_id, battery_id) =
                                self.whose(&minute.bank, minute.place, minute.barcode.as_deref())?;
                            batch.minutes.push(((minute.started_at_ms, bank_id, battery_id), minute));
                        }
                        Record::Event(event) => self.event(event)?,
                        Record::Log(entry) => self.log(entry)?,
                        Record::Counter(counter) => self.counter(counter)?,
                    }
                }
                insert_new!(self.connection, bank_reading, batch.banks);
                insert_new!(self.connection, battery_reading, batch.batteries);
                insert_new!(self.connection, cell_reading, batch.cells);
                for minutes in batch.minutes.chunks(ROWS) {
                    self.roll_up(minutes)?;
                }
                Ok(())
            }

            fn sweep(&mut self, sweep: &Sweep, batch: &mut Batch<'_>) -> QueryResult<()> {
                let bank_id = self.bank(&sweep.bank)?;
                let states =
                    sweep.states.iter().map(|words| self.state(words)).collect::<QueryResult<Vec<i32>>>()?;
                let state = |index: u16| states.get(usize::from(index)).copied().ok_or_else(unknown_state);
                let taken_at_ms = sweep.taken_at_ms;
                let (state_id, values) = (state(sweep.state)?, sweep.values.clone());
                batch.banks.push(BankRow { taken_at_ms, bank_id, state_id, values });
                for battery in &sweep.batteries {
                    let battery_id = self.battery(bank_id, battery.place, &battery.identity, true)?;
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

            fn event(&mut self, event: &Event) -> QueryResult<()> {
                let (bank_id, battery_id) = self.whose(&event.bank, event.place, event.barcode.as_deref())?;
                let word = bounded(&event.word, 16);
                let new = EventRow {
                    raised_at_ms: event.raised_at_ms,
                    bank_id,
                    battery_id,
                    word: word.clone(),
                    bit: event.bit.into(),
                    place: event.place.map_or(0, i32::from),
                    cleared_at_ms: event.cleared_at_ms,
                    level: bounded(&event.level, 16),
                    text: bounded(&event.text, 255),
                };
                diesel::insert_into(event::table)
                    .values(new)
                    .on_conflict_do_nothing()
                    .execute(self.connection)?;
                if event.cleared_at_ms.is_some() {
                    let row = event::table.find((
                        event.raised_at_ms,
                        bank_id,
                        battery_id,
                        word,
                        i64::from(event.bit),
                    ));
                    let cleared = event::cleared_at_ms.eq(event.cleared_at_ms);
                    diesel::update(row).set(cleared).execute(self.connection)?;
                }
                Ok(())
            }

            fn log(&mut self, entry: &LogEntry) -> QueryResult<()> {
                let (_, battery_id) = self.whose(&entry.bank, Some(entry.place), entry.barcode.as_deref())?;
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
                        let (bank_id, battery_id) =
                            self.whose(&counter.bank, Some(*place), barcode.as_deref())?;
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
                            // A part that does not begin later than what is there ended is there already.
                            if sums.get(key).is_none_or(|(through, _)| minute.first_ms > *through) {
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
        use std::collections::BTreeSet;

        use diesel::prelude::*;

        use crate::store::known::{Known, KnownBattery, STATES_KEPT, identity_of};
        use crate::store::numbering::numbering;
        use crate::store::record::{Cell, Counter, Event, Identity, LogEntry, Record, Sweep, Whose};
        use crate::store::rollup::{Minute, SPANS};
        use crate::store::rows::{
            BankRow, BatteryFacts, BatteryRow, CellRow, CounterRow, EventRow, LogRow, StateRow,
        };
        use crate::store::schema::*;
        use crate::store::sums::{DayRow, HourRow, Key, MinuteRow, SumsByKey};
        use crate::store::text::bounded;
        use crate::store::values::Words;
        use crate::store::writing::ROWS;
    };
}

pub(super) use {writing, writing_imports};
