//! Rows of pytes_serial, imported once by those who move: a row of `pwr_data` becomes a reading of its battery, and part
//! of its minute, hour and day. Columns that the table does not have are read as `NULL`.

use std::collections::HashMap;

use diesel::mysql::MysqlConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Double, Nullable, Text};

use super::legacy::{LegacyLayout, WORD};
use super::server::Number;
use super::{MariaDb, ROWS, Writing};
use crate::model::units::{Milliamps, Millivolts};
use crate::store::error::StoreError;
use crate::store::record::{Identity, Record};
use crate::store::rollup::Minutes;
use crate::store::rows::BatteryRow;
use crate::store::schema::{bank_reading, battery, battery_reading, rollup_minute};
use crate::store::sums::Sums;
use crate::store::text::bounded;
use crate::store::values::{BatteryValues, Words};

/// How far an import has come, and what it amounted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Rows in the predecessor's table.
    pub rows: i64,
    /// Rows read so far.
    pub read: i64,
    /// Rows that are readings of the new tables now, or were already.
    pub taken: i64,
    /// Rows without a time or a place.
    pub unreadable: i64,
    /// Rows from the time in which this program has kept history itself: they would be there twice.
    pub(crate) own: i64,
    /// Time of the first and the last reading that was taken, in milliseconds since 1970, UTC.
    pub(crate) span_ms: Option<(i64, i64)>,
}

/// A row as it is read. Its local time becomes UTC on the server, whose zone it is.
#[derive(QueryableByName)]
struct Old {
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

/// The columns that are read, and as what: `NULL` where the table does not have one.
const READ: [(&str, ColumnKind); 16] = [
    ("record_time", ColumnKind::Time),
    ("power", ColumnKind::Number),
    ("voltage", ColumnKind::Real),
    ("current", ColumnKind::Real),
    ("temperature", ColumnKind::Real),
    ("soc", ColumnKind::Number),
    ("basic_st", ColumnKind::Word),
    ("volt_st", ColumnKind::Word),
    ("current_st", ColumnKind::Word),
    ("temp_st", ColumnKind::Word),
    ("coul_st", ColumnKind::Word),
    ("soh_st", ColumnKind::Word),
    ("heater_st", ColumnKind::Word),
    ("bat_events", ColumnKind::Number),
    ("power_events", ColumnKind::Number),
    ("sys_events", ColumnKind::Number),
];

#[derive(Clone, Copy)]
enum ColumnKind {
    Time,
    Number,
    Real,
    Word,
}

impl ColumnKind {
    fn of(self, column: &str) -> String {
        match self {
            Self::Time => format!("CAST(UNIX_TIMESTAMP({column}) AS SIGNED)"),
            Self::Number => format!("CAST({column} AS SIGNED)"),
            Self::Real => format!("CAST({column} AS DOUBLE)"),
            Self::Word => format!("CAST({column} AS CHAR)"),
        }
    }
}

/// The query for the rows past a number, so many of them.
fn read(layout: &LegacyLayout, number: &str) -> String {
    let column = |(name, kind): (&str, ColumnKind)| {
        let found = layout.column(name).map_or("NULL".to_owned(), |found| format!("`{}`", found.name));
        format!("{} AS {name}", kind.of(&found))
    };
    let columns = READ.map(column).join(", ");
    format!(
        "SELECT CAST(`{number}` AS SIGNED) AS id, {columns} FROM pwr_data WHERE `{number}` > ? ORDER BY `{number}` LIMIT ?"
    )
}

impl MariaDb {
    /// Copies the predecessor's rows into the readings of `bank`, and into its roll-ups; `progress` hears of each batch.
    /// A row keeps its second, and within it its number tells it from others: a second import finds every row there. What was
    /// read since this program keeps history itself is left out: it is there, and finer. The service may run meanwhile.
    ///
    /// # Errors
    /// There is no such table; else as everywhere. What was copied stays, and the next import finds it there.
    pub fn import_legacy(
        &mut self,
        bank: &str,
        progress: &mut dyn FnMut(&Imported),
    ) -> Result<Imported, StoreError> {
        let (rows, query) = self.legacy_rows()?;
        let until_ms = self.transact(|connection, known| {
            let bank_id = Writing { connection, known }.bank(bank)?;
            own_since(connection, bank_id)
        })?;
        let mut done = Imported { rows, ..Imported::default() };
        let (mut after, mut minutes) = (0, Minutes::default());
        loop {
            let batch: Vec<Old> = self.transact(|connection, _| {
                let query = diesel::sql_query(&query).bind::<BigInt, _>(after).bind::<BigInt, _>(ROWS as i64);
                query.load(connection)
            })?;
            // Numbers grow, as far as a signed one reaches.
            let Some(last) = batch.last().filter(|last| last.id > after) else { break };
            after = last.id;
            let over = self.transact(|connection, known| {
                Writing { connection, known }.import(bank, &batch, until_ms, &mut minutes, &mut done)
            })?;
            self.write(&over)?;
            progress(&done);
        }
        let mut over = minutes.close();
        self.transact(|connection, known| Writing { connection, known }.name_by_seats(bank, &mut over))?;
        self.write(&over)?;
        Ok(done)
    }

    /// How many rows there are, and the query that reads them.
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
            self.transact(|connection, _| diesel::sql_query(count).get_result::<Number>(connection))?;
        Ok((count.value, read(&layout, &number.name)))
    }
}

/// Since when this program has kept the bank's history itself: by the minutes, which stay, and by the readings, which are
/// there before the first minute is over. An import writes neither of the bank itself.
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
    // The table knows seconds: the one in which the reading was taken is its own already.
    Ok(minute.into_iter().chain(reading.map(|at| at - at.rem_euclid(1000))).min())
}

impl Writing<'_> {
    /// Copies a batch; gives back the minutes that are over.
    fn import(
        &mut self,
        bank: &str,
        batch: &[Old],
        until_ms: Option<i64>,
        minutes: &mut Minutes,
        done: &mut Imported,
    ) -> QueryResult<Vec<Record>> {
        let bank_id = self.bank(bank)?;
        let (mut rows, mut over, mut seats) = (Vec::new(), Vec::new(), HashMap::new());
        for old in batch {
            done.read += 1;
            let place = old.power.and_then(|power| u8::try_from(power).ok()).filter(|place| *place > 0);
            let (Some(at_s), Some(place)) = (old.at_s.filter(|at| *at > 0), place) else {
                done.unreadable += 1;
                continue;
            };
            let taken_at_ms = at_s.saturating_mul(1000).saturating_add(old.id.rem_euclid(1000));
            if until_ms.is_some_and(|until| taken_at_ms >= until) {
                done.own += 1;
                continue;
            }
            let battery_id = match seats.get(&place) {
                Some(id) => *id,
                None => self.seated(bank_id, place)?,
            };
            seats.insert(place, battery_id);
            let state_id = self.state(&old.words())?;
            let values = old.values();
            let place_number = i32::from(place);
            let sums = sums_of(&values);
            rows.push(BatteryRow { taken_at_ms, battery_id, bank_id, place: place_number, state_id, values });
            minutes.add((bank.to_owned(), Some(place)), None, taken_at_ms, &sums, &mut over);
            done.taken += 1;
            let (first, last) = done.span_ms.unwrap_or((taken_at_ms, taken_at_ms));
            done.span_ms = Some((first.min(taken_at_ms), last.max(taken_at_ms)));
        }
        for rows in rows.chunks(ROWS) {
            diesel::insert_into(battery_reading::table)
                .values(rows)
                .on_conflict_do_nothing()
                .execute(self.connection)?;
        }
        self.name_by_seats(bank, &mut over)?;
        Ok(over)
    }

    /// The battery that sits there now, or else the one known by that place: the table names no other.
    fn seated(&mut self, bank_id: i32, place: u8) -> QueryResult<i32> {
        let seated = battery::table
            .filter(battery::bank_id.eq(bank_id).and(battery::place.eq(i32::from(place))))
            .select(battery::id);
        match seated.first::<i32>(self.connection).optional()? {
            Some(id) => Ok(id),
            None => self.battery(bank_id, place, &Identity::default(), false, None),
        }
    }

    /// A minute names its battery by the barcode: that of whoever sits there now, as its rows do.
    fn name_by_seats(&mut self, bank: &str, over: &mut [Record]) -> QueryResult<()> {
        let bank_id = self.bank(bank)?;
        for record in over {
            let Record::Minute(minute) = record else { continue };
            let Some(place) = minute.place else { continue };
            let id = self.seated(bank_id, place)?;
            minute.barcode = battery::table.find(id).select(battery::barcode).first(self.connection)?;
        }
        Ok(())
    }
}

impl Old {
    fn words(&self) -> Words {
        let word = |word: &Option<String>| {
            word.as_deref().map(|word| bounded(word.trim(), WORD)).filter(|word| !word.is_empty())
        };
        Words {
            base_state: word(&self.basic_st),
            volt_state: word(&self.volt_st),
            current_state: word(&self.current_st),
            temp_state: word(&self.temp_st),
            coulomb_state: word(&self.coul_st),
            soh_state: word(&self.soh_st),
            heater: word(&self.heater_st),
            ..Words::default()
        }
    }

    fn values(&self) -> BatteryValues {
        // A FLOAT has some seven digits: thousandths are what was written.
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

fn sums_of(values: &BatteryValues) -> Sums {
    let mut sums = Sums::sample();
    sums.voltage(values.voltage_mv);
    sums.current(values.current_ma);
    sums.temperature(values.temperature_mc);
    sums.soc(values.soc_percent.map(|soc| soc.saturating_mul(10)));
    let power = values.voltage_mv.zip(values.current_ma);
    sums.power(power.map(|(mv, ma)| Millivolts(mv).times(Milliamps(ma)).0));
    sums
}
