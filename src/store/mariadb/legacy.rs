//! The table `pwr_data` of pytes_serial: a row per battery and sweep in volts, amperes and degrees, by the server's local
//! time, written for those whose dashboards read it.
//!
//! ```text
//! sweep ─► one transaction: our rows + legacy_pending ─► committed, whatever becomes of pwr_data
//!                                        │
//!            LegacyWriter ◄──────────────┘  another connection, another thread
//!                 └─► one transaction: rows into pwr_data, sweep out of legacy_pending
//! ```
//! The table belongs to its owner, who may have changed it, locked it or forbidden it. So our own tables never wait for
//! it: `legacy_pending` lists the sweeps that it has not taken yet, and its rows are made of our own tables.

mod check;
mod layout;
mod refusal;
mod writer;
mod writing;

use std::collections::BTreeSet;

use diesel::mysql::MysqlConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};

use super::Writing;
use crate::store::record::Record;
use crate::store::schema::{bank_reading, legacy_pending};
use crate::store::text::bounded;

pub use check::{LegacyReport, check_legacy_table, prepare_legacy_table};
pub use refusal::LegacyRefusal;
pub use writer::{LeftOut, LegacyStep, LegacyWriter};

pub(super) use layout::LegacyLayout;

/// Characters that its words may have.
pub(super) const WORD: usize = 11;

/// A column as pytes_serial creates it.
pub(super) struct LegacyColumn {
    /// Its name.
    pub(super) name: &'static str,
    /// Its type, as in `CREATE TABLE`.
    pub(super) sql_type: &'static str,
    /// Whether the tables of all versions have it: 2.0.0 creates eleven columns.
    pub(super) is_in_all: bool,
    /// What a battery's row has in it.
    value: fn(&LegacyRow) -> LegacyValue,
}

/// Its columns, except for the number of the row.
#[rustfmt::skip]
pub(super) static COLUMNS: [LegacyColumn; 16] = [
    column("record_time", "DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP", true, |row| LegacyValue::Time(row.taken_at_ms.div_euclid(1000))),
    column("power", "INT", true, |row| LegacyValue::Number(Some(row.place))),
    column("voltage", "FLOAT", true, |row| thousandth(row.voltage_mv)),
    column("current", "FLOAT", true, |row| thousandth(row.current_ma)),
    column("temperature", "DECIMAL(11,0)", true, |row| thousandth(row.temperature_mc)),
    column("soc", "INT", true, |row| LegacyValue::Number(row.soc_percent)),
    column("basic_st", "VARCHAR(11)", true, |row| word(row.base_state.as_deref())),
    column("volt_st", "VARCHAR(11)", true, |row| word(row.volt_state.as_deref())),
    column("current_st", "VARCHAR(11)", true, |row| word(row.current_state.as_deref())),
    column("temp_st", "VARCHAR(11)", true, |row| word(row.temp_state.as_deref())),
    column("coul_st", "VARCHAR(11)", false, |row| word(row.coulomb_state.as_deref())),
    column("soh_st", "VARCHAR(11)", false, |row| word(row.soh_state.as_deref())),
    column("heater_st", "VARCHAR(11)", false, |row| word(row.heater.as_deref())),
    column("bat_events", "INT", false, |row| bits(row.battery_events)),
    column("power_events", "INT", false, |row| bits(row.power_events)),
    column("sys_events", "INT", false, |row| bits(row.system_fault)),
];

const fn column(
    name: &'static str,
    sql_type: &'static str,
    is_in_all: bool,
    value: fn(&LegacyRow) -> LegacyValue,
) -> LegacyColumn {
    LegacyColumn { name, sql_type, is_in_all, value }
}

/// A battery's reading as our own tables have it.
#[derive(QueryableByName)]
pub(super) struct LegacyRow {
    #[diesel(sql_type = BigInt)]
    taken_at_ms: i64,
    #[diesel(sql_type = Integer)]
    pub(super) place: i32,
    #[diesel(sql_type = Nullable<Integer>)]
    voltage_mv: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    current_ma: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    temperature_mc: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    soc_percent: Option<i32>,
    #[diesel(sql_type = Nullable<BigInt>)]
    battery_events: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    power_events: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    system_fault: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    base_state: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    volt_state: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    current_state: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    temp_state: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    coulomb_state: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    soh_state: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    heater: Option<String>,
}

/// What a column of a row holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum LegacyValue {
    /// Seconds since 1970; the server makes its local time of them.
    Time(i64),
    Number(Option<i32>),
    Real(Option<f64>),
    Word(Option<String>),
}

impl LegacyValue {
    /// The value for a column that must hold something: an empty word states nothing, a zero would be wrong.
    fn required(self) -> Option<Self> {
        match self {
            Self::Number(None) | Self::Real(None) => None,
            Self::Word(None) => Some(Self::Word(Some(String::new()))),
            value => Some(value),
        }
    }
}

fn thousandth(value: Option<i32>) -> LegacyValue {
    LegacyValue::Real(value.map(|value| f64::from(value) / 1000.0))
}

fn word(word: Option<&str>) -> LegacyValue {
    LegacyValue::Word(word.map(|word| bounded(word.trim(), WORD)))
}

/// Its columns are signed: an event word's highest bit makes the number negative.
fn bits(word: Option<i64>) -> LegacyValue {
    LegacyValue::Number(word.map(|word| word as i32))
}

/// The batteries of a sweep from a place on.
fn rows_of(connection: &mut MysqlConnection, sweep: &PendingSweep) -> QueryResult<Vec<LegacyRow>> {
    let query = "SELECT r.taken_at_ms, r.place, r.voltage_mv, r.current_ma, r.temperature_mc, r.soc_percent, \
         r.battery_events, r.power_events, r.system_fault, s.base_state, s.volt_state, s.current_state, s.temp_state, \
         s.coulomb_state, s.soh_state, s.heater FROM battery_reading AS r LEFT JOIN state AS s ON s.id = r.state_id \
         WHERE r.taken_at_ms = ? AND r.bank_id = ? AND r.place >= ? ORDER BY r.place";
    diesel::sql_query(query)
        .bind::<BigInt, _>(sweep.taken_at_ms)
        .bind::<Integer, _>(sweep.bank_id)
        .bind::<Integer, _>(sweep.from_place)
        .load(connection)
}

/// A sweep that the table has not taken yet, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = legacy_pending)]
struct PendingSweep {
    taken_at_ms: i64,
    bank_id: i32,
    from_place: i32,
}

#[derive(Insertable)]
#[diesel(table_name = legacy_pending)]
struct NewPending {
    taken_at_ms: i64,
    bank_id: i32,
}

impl Writing<'_> {
    /// Lists those sweeps for the table that are new: one that is stored already was listed with its rows.
    pub(super) fn list_for_legacy(&mut self, records: &[Record]) -> QueryResult<()> {
        let mut listed = BTreeSet::new();
        for record in records {
            let Record::Sweep(sweep) = record else { continue };
            if sweep.batteries.is_empty() {
                continue;
            }
            let key = (sweep.taken_at_ms, self.bank(&sweep.bank)?);
            if listed.contains(&key) {
                continue;
            }
            // Held until the end: a batch that was given up because it hangs may still be under way.
            let there = bank_reading::table.find(key).select(bank_reading::taken_at_ms).for_update();
            if there.first::<i64>(self.connection).optional()?.is_none() {
                listed.insert(key);
            }
        }
        let rows: Vec<NewPending> =
            listed.into_iter().map(|(taken_at_ms, bank_id)| NewPending { taken_at_ms, bank_id }).collect();
        if rows.is_empty() {
            return Ok(());
        }
        diesel::insert_into(legacy_pending::table)
            .values(&rows)
            .on_conflict_do_nothing()
            .execute(self.connection)
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_required_value_that_is_not_known_is_an_empty_word_and_never_a_zero() {
        assert_eq!(word(None).required(), Some(LegacyValue::Word(Some(String::new()))));
        assert_eq!(bits(None).required(), None);
        assert_eq!(thousandth(None).required(), None);
        assert_eq!(thousandth(Some(52_007)).required(), Some(LegacyValue::Real(Some(52.007))));
    }
}
