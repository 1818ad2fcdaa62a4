//! Rows as they are written, shared by both backends.

use diesel::prelude::*;

use crate::store::schema::{
    bank_reading, battery, battery_log, battery_reading, cell_reading, counter, dead_letter, event, lifetime,
    rollup_part, state,
};
use crate::store::values::{BankValues, BatteryValues, CellValues, Words};

#[derive(Insertable)]
#[diesel(table_name = state, treat_none_as_default_value = false)]
pub(super) struct StateRow {
    #[diesel(column_name = words)]
    pub(super) key: String,
    #[diesel(embed)]
    pub(super) words: Words,
}

#[derive(Insertable)]
#[diesel(table_name = bank_reading, treat_none_as_default_value = false)]
pub(super) struct BankRow {
    pub(super) taken_at_ms: i64,
    pub(super) bank_id: i32,
    pub(super) state_id: i32,
    #[diesel(embed)]
    pub(super) values: BankValues,
}

#[derive(Insertable)]
#[diesel(table_name = battery_reading, treat_none_as_default_value = false)]
pub(super) struct BatteryRow {
    pub(super) taken_at_ms: i64,
    pub(super) battery_id: i32,
    pub(super) bank_id: i32,
    pub(super) place: i32,
    pub(super) state_id: i32,
    #[diesel(embed)]
    pub(super) values: BatteryValues,
}

#[derive(Insertable)]
#[diesel(table_name = cell_reading, treat_none_as_default_value = false)]
pub(super) struct CellRow {
    pub(super) taken_at_ms: i64,
    pub(super) battery_id: i32,
    pub(super) cell: i32,
    pub(super) bank_id: i32,
    pub(super) place: i32,
    pub(super) state_id: i32,
    #[diesel(embed)]
    pub(super) values: CellValues,
}

#[derive(Insertable)]
#[diesel(table_name = event, treat_none_as_default_value = false)]
pub(super) struct EventRow {
    pub(super) raised_at_ms: i64,
    pub(super) bank_id: i32,
    pub(super) battery_id: i32,
    pub(super) word: String,
    pub(super) bit: i64,
    pub(super) place: i32,
    pub(super) cleared_at_ms: Option<i64>,
    pub(super) level: String,
    pub(super) text: String,
}

#[derive(Insertable)]
#[diesel(table_name = battery_log, treat_none_as_default_value = false)]
pub(super) struct LogRow {
    pub(super) battery_id: i32,
    pub(super) record: i64,
    pub(super) clock_local_s: i64,
    pub(super) module: Option<String>,
    pub(super) code: Option<i64>,
    pub(super) info: Option<String>,
}

#[derive(Insertable)]
#[diesel(table_name = counter, treat_none_as_default_value = false)]
pub(super) struct CounterRow {
    pub(super) bank_id: i32,
    pub(super) battery_id: i32,
    pub(super) place: i32,
    pub(super) name: String,
    pub(super) value: i64,
    pub(super) taken_at_ms: i64,
}

#[derive(Insertable)]
#[diesel(table_name = rollup_part, treat_none_as_default_value = false)]
pub(super) struct PartRow {
    pub(super) run: i64,
    pub(super) number: i64,
    pub(super) at_ms: i64,
}

#[derive(Insertable)]
#[diesel(table_name = lifetime, treat_none_as_default_value = false)]
pub(super) struct LifetimeRow {
    pub(super) battery_id: i32,
    pub(super) name: String,
    pub(super) taken_at_ms: i64,
    pub(super) value: i64,
}

#[derive(Insertable)]
#[diesel(table_name = dead_letter, treat_none_as_default_value = false)]
pub(super) struct LetterRow<'a> {
    pub(super) buried_at_ms: i64,
    pub(super) reason: String,
    pub(super) body: &'a [u8],
}

/// A battery as its row has it; a value that is not known changes nothing there.
#[derive(Clone, Insertable, Queryable, Selectable, AsChangeset)]
#[diesel(table_name = battery)]
pub(super) struct BatteryFacts {
    pub(super) identity: String,
    pub(super) bank_id: i32,
    pub(super) place: i32,
    pub(super) barcode: Option<String>,
    pub(super) manufacturer: Option<String>,
    pub(super) model: Option<String>,
    pub(super) firmware: Option<String>,
    pub(super) nominal_capacity_mah: Option<i64>,
    pub(super) usable_capacity_mah: Option<i64>,
    pub(super) cells: Option<i32>,
}
