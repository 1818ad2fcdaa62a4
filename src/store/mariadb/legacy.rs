//! The predecessor's table `pwr_data`: a row a battery and reading in volts, amperes and whole degrees, by the server's
//! local time, written for those whose dashboards read it.
//!
//! It has no key, so a row is written only where the reading itself is new, in the same transaction.

use std::collections::BTreeSet;

use diesel::mysql::MysqlConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Double, Integer, Nullable, Text};

use super::Writing;
use super::server::Number;
use crate::store::record::{Battery, Record, Sweep};
use crate::store::schema::bank_reading;
use crate::store::text::bounded;

/// Characters that its words may have.
pub(super) const WORD: usize = 11;

/// Its columns but the time.
const COLUMNS: [&str; 15] = [
    "power",
    "voltage",
    "current",
    "temperature",
    "soc",
    "basic_st",
    "volt_st",
    "current_st",
    "temp_st",
    "coul_st",
    "soh_st",
    "heater_st",
    "bat_events",
    "power_events",
    "sys_events",
];

/// Which of the columns, in their order, must hold something: as the table is.
pub(super) type Required = [bool; COLUMNS.len()];

/// Makes the table where it is not there. Who may write rows alone is not asked for more where it is.
pub(super) fn create(connection: &mut MysqlConnection) -> QueryResult<Required> {
    let table = "CREATE TABLE IF NOT EXISTS pwr_data (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, \
         record_time DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, power INT, voltage FLOAT, current FLOAT, \
         temperature DECIMAL(11,0), soc INT, basic_st VARCHAR(11), volt_st VARCHAR(11), current_st VARCHAR(11), \
         temp_st VARCHAR(11), coul_st VARCHAR(11), soh_st VARCHAR(11), heater_st VARCHAR(11), bat_events INT, \
         power_events INT, sys_events INT)";
    let there = "SELECT COUNT(*) AS value FROM information_schema.TABLES \
         WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'pwr_data'";
    if diesel::sql_query(there).get_result::<Number>(connection)?.value == 0 {
        diesel::sql_query(table).execute(connection)?;
    }
    let required = "SELECT COLUMN_NAME AS name FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'pwr_data' AND IS_NULLABLE = 'NO'";
    let required: Vec<Name> = diesel::sql_query(required).load(connection)?;
    Ok(COLUMNS.map(|column| required.iter().any(|required| required.name == column)))
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

impl Writing<'_> {
    /// Writes the batteries of those sweeps that are new.
    pub(super) fn legacy(&mut self, records: &[Record], required: &Required) -> QueryResult<()> {
        let mut written = BTreeSet::new();
        for record in records {
            let Record::Sweep(sweep) = record else { continue };
            let key = (sweep.taken_at_ms, self.bank(&sweep.bank)?);
            if !written.insert(key) {
                continue;
            }
            // Held until the end: a batch that was given up because it hangs may still be under way.
            let there = bank_reading::table.find(key).select(bank_reading::taken_at_ms).for_update();
            if there.first::<i64>(self.connection).optional()?.is_none() {
                insert(self.connection, sweep, required)?;
            }
        }
        Ok(())
    }
}

/// A value of a row.
#[derive(Clone)]
enum Value {
    Number(Option<i32>),
    Real(Option<f64>),
    Word(Option<String>),
}

impl Value {
    fn is_said(&self) -> bool {
        match self {
            Self::Number(number) => number.is_some(),
            Self::Real(real) => real.is_some(),
            Self::Word(word) => word.is_some(),
        }
    }
}

/// A battery's values in the order of [`COLUMNS`].
fn values_of(sweep: &Sweep, battery: &Battery) -> [Value; COLUMNS.len()] {
    let values = &battery.values;
    let words = sweep.states.get(usize::from(battery.state)).cloned().unwrap_or_default();
    let thousandth = |value: Option<i32>| Value::Real(value.map(|value| f64::from(value) / 1000.0));
    let word = |word: Option<String>| Value::Word(word.map(|word| bounded(word.trim(), WORD)));
    // Its columns are signed: a word's highest bit makes the number negative.
    let bits = |word: Option<i64>| Value::Number(word.map(|word| word as i32));
    [
        Value::Number(Some(battery.place.into())),
        thousandth(values.voltage_mv),
        thousandth(values.current_ma),
        thousandth(values.temperature_mc),
        Value::Number(values.soc_percent),
        word(words.base_state),
        word(words.volt_state),
        word(words.current_state),
        word(words.temp_state),
        word(words.coulomb_state),
        word(words.soh_state),
        word(words.heater),
        bits(values.battery_events),
        bits(values.power_events),
        bits(values.system_fault),
    ]
}

/// Writes the batteries that have what the table requires: a row with a zero for what was not said would be a lie.
fn insert(connection: &mut MysqlConnection, sweep: &Sweep, required: &Required) -> QueryResult<()> {
    let mut rows: Vec<[Value; COLUMNS.len()]> =
        sweep.batteries.iter().map(|battery| values_of(sweep, battery)).collect();
    rows.retain(|row| row.iter().zip(required).all(|(value, required)| value.is_said() || !required));
    if rows.is_empty() {
        return Ok(());
    }
    let row = format!("(FROM_UNIXTIME(?){})", ", ?".repeat(COLUMNS.len()));
    let columns = COLUMNS.join(", ");
    let places = vec![row; rows.len()].join(", ");
    let mut query =
        diesel::sql_query(format!("INSERT INTO pwr_data (record_time, {columns}) VALUES {places}"))
            .into_boxed();
    for row in rows {
        query = query.bind::<BigInt, _>(sweep.taken_at_ms.div_euclid(1000));
        for value in row {
            query = match value {
                Value::Number(number) => query.bind::<Nullable<Integer>, _>(number),
                Value::Real(real) => query.bind::<Nullable<Double>, _>(real),
                Value::Word(word) => query.bind::<Nullable<Text>, _>(word),
            };
        }
    }
    query.execute(connection).map(drop)
}
