//! Imports the history of pytes_serial: a row of `pwr_data` becomes a reading of its battery, and part of its minute,
//! hour and day. Missing columns are read as `NULL`.

use std::collections::HashMap;

use diesel::mysql::MysqlConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Double, Nullable, Text};

use crate::model::units::{Milliamps, Millivolts};
use crate::store::error::StoreError;
use crate::store::mariadb::database::{MariaDb, RecordWriter};
use crate::store::mariadb::legacy::columns::WORD;
use crate::store::mariadb::legacy::layout::LegacyLayout;
use crate::store::mariadb::server::CountRow;
use crate::store::model::minute_aggregator::MinuteAggregator;
use crate::store::model::record::Record;
use crate::store::model::sums::RollupSums;
use crate::store::model::sweep_record::BatteryIdentity;
use crate::store::sql::insert::ROWS;
use crate::store::sql::rows::BatteryRow;
use crate::store::sql::schema::{bank_reading, battery, battery_reading, rollup_minute};
use crate::store::sql::values::{BatteryValues, StateWords};
use crate::store::text::bounded;

/// The progress of an import, and its result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Rows in `pwr_data`.
    pub rows: i64,
    /// Rows read so far.
    pub read: i64,
    /// Rows that are readings in our tables now, or were already.
    pub imported: i64,
    /// Rows without a time or a place.
    pub unreadable: i64,
    /// Rows left out because bankwatch was already storing readings itself: they would be stored twice.
    pub own: i64,
    /// Time of the first and the last imported reading, in milliseconds since 1970, UTC.
    pub span_ms: Option<(i64, i64)>,
}

/// A row of `pwr_data`. The server converts its local time to UTC.
#[derive(QueryableByName)]
struct LegacySourceRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    #[diesel(column_name = record_time)]
    at_s: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    power: Option<i64>,
    #[diesel(sql_type = Nullable<Double>)]
    voltage: Option<f64>,
    #[diesel(sql_type = Nullable<Double>)]
    current: Option<f64>,
    #[diesel(sql_type = Nullable<Double>)]
    temperature: Option<f64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    soc: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    basic_st: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    volt_st: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    current_st: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    temp_st: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    coul_st: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    soh_st: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    heater_st: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    bat_events: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    power_events: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    sys_events: Option<i64>,
}

/// The columns that are read, and their kinds.
const READ: [(&str, SourceColumnKind); 16] = [
    ("record_time", SourceColumnKind::Time),
    ("power", SourceColumnKind::Number),
    ("voltage", SourceColumnKind::Real),
    ("current", SourceColumnKind::Real),
    ("temperature", SourceColumnKind::Real),
    ("soc", SourceColumnKind::Number),
    ("basic_st", SourceColumnKind::Word),
    ("volt_st", SourceColumnKind::Word),
    ("current_st", SourceColumnKind::Word),
    ("temp_st", SourceColumnKind::Word),
    ("coul_st", SourceColumnKind::Word),
    ("soh_st", SourceColumnKind::Word),
    ("heater_st", SourceColumnKind::Word),
    ("bat_events", SourceColumnKind::Number),
    ("power_events", SourceColumnKind::Number),
    ("sys_events", SourceColumnKind::Number),
];

#[derive(Clone, Copy)]
enum SourceColumnKind {
    Time,
    Number,
    Real,
    Word,
}

impl SourceColumnKind {
    fn of(self, column: &str) -> String {
        match self {
            Self::Time => format!("CAST(UNIX_TIMESTAMP({column}) AS SIGNED)"),
            Self::Number => format!("CAST({column} AS SIGNED)"),
            Self::Real => format!("CAST({column} AS DOUBLE)"),
            Self::Word => format!("CAST({column} AS CHAR)"),
        }
    }
}

/// The query for a batch of rows after a row number.
fn batch_query(layout: &LegacyLayout, number: &str) -> String {
    let column = |(name, kind): (&str, SourceColumnKind)| {
        let found = layout.column(name).map_or("NULL".to_owned(), |found| format!("`{}`", found.name));
        format!("{} AS {name}", kind.of(&found))
    };
    let columns = READ.map(column).join(", ");
    format!(
        "SELECT CAST(`{number}` AS SIGNED) AS id, {columns} FROM pwr_data WHERE `{number}` > ? ORDER BY `{number}` LIMIT ?"
    )
}

impl MariaDb {
    /// Copies the rows of pytes_serial to the readings and roll-ups of `bank`; `progress` is called for each batch. A
    /// row keeps its second, and its number sets the milliseconds, so that importing again adds nothing. Rows since
    /// bankwatch stores readings itself are left out, since those are finer. The service may be running.
    ///
    /// # Errors
    /// Also if there is no such table. Copied rows stay, and importing again continues.
    pub fn import_legacy(
        &mut self,
        bank: &str,
        progress: &mut dyn FnMut(&ImportProgress),
    ) -> Result<ImportProgress, StoreError> {
        let (rows, query) = self.legacy_rows()?;
        let until_ms = self.transact(|connection, cache| {
            let bank_id = RecordWriter { connection, cache }.bank(bank)?;
            own_since(connection, bank_id)
        })?;
        let mut done = ImportProgress { rows, ..ImportProgress::default() };
        let (mut after, mut minutes) = (0, MinuteAggregator::default());
        loop {
            let batch: Vec<LegacySourceRow> = self.transact(|connection, _| {
                let query = diesel::sql_query(&query).bind::<BigInt, _>(after).bind::<BigInt, _>(ROWS as i64);
                query.load(connection)
            })?;
            // Numbers grow, as far as a signed one reaches.
            let Some(last) = batch.last().filter(|last| last.id > after) else { break };
            after = last.id;
            let finished = self.transact(|connection, cache| {
                RecordWriter { connection, cache }.import(bank, &batch, until_ms, &mut minutes, &mut done)
            })?;
            self.write(&finished)?;
            progress(&done);
        }
        let mut finished = minutes.close();
        self.transact(|connection, cache| {
            RecordWriter { connection, cache }.set_barcodes(bank, &mut finished)
        })?;
        self.write(&finished)?;
        Ok(done)
    }

    /// The number of rows, and the query that reads them.
    fn legacy_rows(&mut self) -> Result<(i64, String), StoreError> {
        let database = format!("{}/{}", self.server.name(), self.server.database);
        let Some(layout) = self.transact(|connection, _| LegacyLayout::read(connection))? else {
            return Err(StoreError::NoLegacyTable { database });
        };
        let Some(number) = layout.found.iter().find(|column| column.is_number_of_row()) else {
            return Err(StoreError::NoLegacyNumber { database });
        };
        let count = "SELECT COUNT(*) AS value FROM pwr_data";
        let count =
            self.transact(|connection, _| diesel::sql_query(count).get_result::<CountRow>(connection))?;
        Ok((count.value, batch_query(&layout, &number.name)))
    }
}

/// Since when bankwatch has stored the bank's history itself: by the minutes, which are kept forever, and the
/// readings, which exist before the first minute is finished. An import writes neither for the bank itself.
fn own_since(connection: &mut MysqlConnection, bank_id: i32) -> QueryResult<Option<i64>> {
    let minute = rollup_minute::table
        .filter(rollup_minute::bank_id.eq(bank_id).and(rollup_minute::battery_id.eq(0)))
        .order(rollup_minute::started_at_ms)
        .select(rollup_minute::started_at_ms)
        .first::<i64>(connection)
        .optional()?;
    let reading = bank_reading::table
        .filter(bank_reading::bank_id.eq(bank_id))
        .order(bank_reading::taken_at_ms)
        .select(bank_reading::taken_at_ms)
        .first::<i64>(connection)
        .optional()?;
    // The table has a resolution of seconds: the second of the reading counts as ours.
    Ok(minute.into_iter().chain(reading.map(|at| at - at.rem_euclid(1000))).min())
}

impl RecordWriter<'_> {
    /// Copies a batch; returns the minutes that are finished.
    fn import(
        &mut self,
        bank: &str,
        batch: &[LegacySourceRow],
        until_ms: Option<i64>,
        minutes: &mut MinuteAggregator,
        done: &mut ImportProgress,
    ) -> QueryResult<Vec<Record>> {
        let bank_id = self.bank(bank)?;
        let (mut rows, mut finished, mut battery_ids) = (Vec::new(), Vec::new(), HashMap::new());
        for row in batch {
            done.read += 1;
            let place = row.power.and_then(|power| u8::try_from(power).ok()).filter(|place| *place > 0);
            let (Some(at_s), Some(place)) = (row.at_s.filter(|at| *at > 0), place) else {
                done.unreadable += 1;
                continue;
            };
            let taken_at_ms = at_s.saturating_mul(1000).saturating_add(row.id.rem_euclid(1000));
            if until_ms.is_some_and(|until| taken_at_ms >= until) {
                done.own += 1;
                continue;
            }
            let battery_id = match battery_ids.get(&place) {
                Some(id) => *id,
                None => self.battery_at(bank_id, place)?,
            };
            battery_ids.insert(place, battery_id);
            let state_id = self.state(&row.words())?;
            let values = row.values();
            let place_number = i32::from(place);
            let sums = sums_of(&values);
            rows.push(BatteryRow { taken_at_ms, battery_id, bank_id, place: place_number, state_id, values });
            minutes.add_sums((bank.to_owned(), Some(place)), None, taken_at_ms, &sums, &mut finished);
            done.imported += 1;
            let (first, last) = done.span_ms.unwrap_or((taken_at_ms, taken_at_ms));
            done.span_ms = Some((first.min(taken_at_ms), last.max(taken_at_ms)));
        }
        for rows in rows.chunks(ROWS) {
            diesel::insert_into(battery_reading::table)
                .values(rows)
                .on_conflict_do_nothing()
                .execute(self.connection)?;
        }
        self.set_barcodes(bank, &mut finished)?;
        Ok(finished)
    }

    /// The battery that is at the place now, or else the one identified by that place: the table has no barcodes.
    fn battery_at(&mut self, bank_id: i32, place: u8) -> QueryResult<i32> {
        let seated = battery::table
            .filter(battery::bank_id.eq(bank_id).and(battery::place.eq(i32::from(place))))
            .select(battery::id);
        match seated.first::<i32>(self.connection).optional()? {
            Some(id) => Ok(id),
            None => self.battery(bank_id, place, &BatteryIdentity::default(), false, None),
        }
    }

    /// Sets the barcode of each minute to that of the battery at its place now.
    fn set_barcodes(&mut self, bank: &str, finished: &mut [Record]) -> QueryResult<()> {
        let bank_id = self.bank(bank)?;
        for record in finished {
            let Record::Minute(minute) = record else { continue };
            let Some(place) = minute.place else { continue };
            let id = self.battery_at(bank_id, place)?;
            minute.barcode = battery::table.find(id).select(battery::barcode).first(self.connection)?;
        }
        Ok(())
    }
}

impl LegacySourceRow {
    fn words(&self) -> StateWords {
        let word = |word: &Option<String>| {
            word.as_deref().map(|word| bounded(word.trim(), WORD)).filter(|word| !word.is_empty())
        };
        StateWords {
            base_state: word(&self.basic_st),
            volt_state: word(&self.volt_st),
            current_state: word(&self.current_st),
            temp_state: word(&self.temp_st),
            coulomb_state: word(&self.coul_st),
            soh_state: word(&self.soh_st),
            heater: word(&self.heater_st),
            ..StateWords::default()
        }
    }

    fn values(&self) -> BatteryValues {
        // A FLOAT has about seven digits, and thousandths were written.
        let thousandths = |value: Option<f64>| {
            value
                .map(|value| (value * 1000.0).round())
                .filter(|value| value.abs() < 2e9)
                .map(|value| value as i32)
        };
        BatteryValues {
            voltage_mv: thousandths(self.voltage),
            current_ma: thousandths(self.current),
            temperature_mc: thousandths(self.temperature),
            soc_percent: self.soc.and_then(|soc| i32::try_from(soc).ok()),
            battery_events: self.bat_events,
            power_events: self.power_events,
            system_fault: self.sys_events,
            ..BatteryValues::default()
        }
    }
}

fn sums_of(values: &BatteryValues) -> RollupSums {
    let mut sums = RollupSums::of_one_sweep();
    sums.voltage(values.voltage_mv);
    sums.current(values.current_ma);
    sums.temperature(values.temperature_mc);
    sums.soc(values.soc_percent.map(|soc| soc.saturating_mul(10)));
    let power = values.voltage_mv.zip(values.current_ma);
    sums.power(power.map(|(mv, ma)| Millivolts(mv).times(Milliamps(ma)).0));
    sums
}
