//! The columns of `pwr_data`, and how each is computed from our own tables.

use diesel::mysql::MysqlConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};

use crate::store::sql::schema::legacy_pending;
use crate::store::text::bounded;

/// The maximum length of its words.
pub(crate) const WORD: usize = 11;

/// A column as pytes_serial creates it.
pub(crate) struct LegacyColumn {
    pub(crate) name: &'static str,
    /// As in `CREATE TABLE`.
    pub(crate) sql_type: &'static str,
    /// Whether all versions create it: 2.0.0 creates eleven columns.
    pub(crate) is_in_all: bool,
    pub(crate) value: fn(&LegacyRow) -> LegacyValue,
}

/// Its columns, except the row number.
#[rustfmt::skip]
pub(crate) static COLUMNS: [LegacyColumn; 16] = [
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

/// A battery's reading from our own tables.
#[derive(QueryableByName)]
pub(crate) struct LegacyRow {
    #[diesel(sql_type = BigInt)]
    taken_at_ms: i64,
    #[diesel(sql_type = Integer)]
    pub(crate) place: i32,
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

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LegacyValue {
    /// Seconds since 1970, which the server converts to its local time.
    Time(i64),
    Number(Option<i32>),
    Real(Option<f64>),
    Word(Option<String>),
}

impl LegacyValue {
    /// The value for a column that is `NOT NULL`: an empty word is neutral, a zero would be wrong.
    pub(crate) fn required(self) -> Option<Self> {
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

/// Its columns are signed: the highest bit of an event word makes the number negative.
fn bits(word: Option<i64>) -> LegacyValue {
    LegacyValue::Number(word.map(|word| word as i32))
}

/// The batteries of a sweep, starting at a place.
pub(crate) fn rows_of(connection: &mut MysqlConnection, sweep: &PendingSweep) -> QueryResult<Vec<LegacyRow>> {
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

/// A sweep that the table has not accepted yet, or not completely.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = legacy_pending)]
pub(crate) struct PendingSweep {
    pub(crate) taken_at_ms: i64,
    pub(crate) bank_id: i32,
    pub(crate) from_place: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_required_value_is_an_empty_word_but_never_a_zero() {
        assert_eq!(word(None).required(), Some(LegacyValue::Word(Some(String::new()))));
        assert_eq!(bits(None).required(), None);
        assert_eq!(thousandth(None).required(), None);
        assert_eq!(thousandth(Some(52_007)).required(), Some(LegacyValue::Real(Some(52.007))));
    }
}
