//! Rows as they are inserted, shared by both backends.

use diesel::prelude::*;

use crate::store::sql::schema::{
    bank_reading, battery, battery_log, battery_reading, cell_reading, counter, dead_letter, event, lifetime,
    rollup_part, state,
};
use crate::store::sql::values::{BankValues, BatteryValues, CellValues, StateWords};

#[derive(Insertable)]
#[diesel(table_name = state, treat_none_as_default_value = false)]
pub(crate) struct StateRow {
    #[diesel(column_name = words)]
    pub(crate) key: String,
    #[diesel(embed)]
    pub(crate) words: StateWords,
}

#[derive(Insertable)]
#[diesel(table_name = bank_reading, treat_none_as_default_value = false)]
pub(crate) struct BankRow {
    pub(crate) taken_at_ms: i64,
    pub(crate) bank_id: i32,
    pub(crate) state_id: i32,
    #[diesel(embed)]
    pub(crate) values: BankValues,
}

#[derive(Insertable)]
#[diesel(table_name = battery_reading, treat_none_as_default_value = false)]
pub(crate) struct BatteryRow {
    pub(crate) taken_at_ms: i64,
    pub(crate) battery_id: i32,
    pub(crate) bank_id: i32,
    pub(crate) place: i32,
    pub(crate) state_id: i32,
    #[diesel(embed)]
    pub(crate) values: BatteryValues,
}

#[derive(Insertable)]
#[diesel(table_name = cell_reading, treat_none_as_default_value = false)]
pub(crate) struct CellRow {
    pub(crate) taken_at_ms: i64,
    pub(crate) battery_id: i32,
    pub(crate) cell: i32,
    pub(crate) bank_id: i32,
    pub(crate) place: i32,
    pub(crate) state_id: i32,
    #[diesel(embed)]
    pub(crate) values: CellValues,
}

#[derive(Insertable)]
#[diesel(table_name = event, treat_none_as_default_value = false)]
pub(crate) struct EventRow {
    pub(crate) raised_at_ms: i64,
    pub(crate) bank_id: i32,
    pub(crate) battery_id: i32,
    pub(crate) word: String,
    pub(crate) bit: i64,
    pub(crate) place: i32,
    pub(crate) cleared_at_ms: Option<i64>,
    pub(crate) level: String,
    pub(crate) text: String,
}

#[derive(Insertable)]
#[diesel(table_name = battery_log, treat_none_as_default_value = false)]
pub(crate) struct DeviceLogRow {
    pub(crate) battery_id: i32,
    pub(crate) record: i64,
    pub(crate) clock_local_s: i64,
    pub(crate) module: Option<String>,
    pub(crate) code: Option<i64>,
    pub(crate) info: Option<String>,
}

#[derive(Insertable)]
#[diesel(table_name = counter, treat_none_as_default_value = false)]
pub(crate) struct CounterRow {
    pub(crate) bank_id: i32,
    pub(crate) battery_id: i32,
    pub(crate) place: i32,
    pub(crate) name: String,
    pub(crate) value: i64,
    pub(crate) taken_at_ms: i64,
}

#[derive(Insertable)]
#[diesel(table_name = rollup_part, treat_none_as_default_value = false)]
pub(crate) struct MinutePartRow {
    pub(crate) run: i64,
    pub(crate) number: i64,
    pub(crate) at_ms: i64,
}

#[derive(Insertable)]
#[diesel(table_name = lifetime, treat_none_as_default_value = false)]
pub(crate) struct LifetimeRow {
    pub(crate) battery_id: i32,
    pub(crate) name: String,
    pub(crate) taken_at_ms: i64,
    pub(crate) value: i64,
}

#[derive(Insertable)]
#[diesel(table_name = dead_letter, treat_none_as_default_value = false)]
pub(crate) struct DeadLetterRow<'a> {
    pub(crate) buried_at_ms: i64,
    pub(crate) reason: String,
    pub(crate) body: &'a [u8],
}

/// The columns of a battery; an unknown value leaves its column unchanged.
#[derive(Clone, Insertable, Queryable, Selectable, AsChangeset)]
#[diesel(table_name = battery)]
pub(crate) struct BatteryInfoRow {
    pub(crate) identity: String,
    pub(crate) bank_id: i32,
    pub(crate) place: i32,
    pub(crate) barcode: Option<String>,
    pub(crate) manufacturer: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) firmware: Option<String>,
    pub(crate) nominal_capacity_mah: Option<i64>,
    pub(crate) usable_capacity_mah: Option<i64>,
    pub(crate) cells: Option<i32>,
}
