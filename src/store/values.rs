//! The values of a bank, a battery and a cell: as a record carries them and as columns hold them. What was not said
//! is `None`, and `NULL` in a column.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use crate::store::schema::{bank_reading, battery_reading, cell_reading, state};

/// A bank's own values in a full sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Insertable)]
#[diesel(table_name = bank_reading, treat_none_as_default_value = false)]
#[allow(missing_docs, reason = "the names hold the units")]
pub struct BankValues {
    pub took_ms: i32,
    pub asked_again: i32,
    pub missing: i32,
    pub batteries: i32,
    pub voltage_mv: Option<i32>,
    pub current_ma: Option<i32>,
    pub power_mw: Option<i64>,
    pub temperature_mc: Option<i32>,
    pub soc_permille: Option<i32>,
    pub remaining_mah: Option<i64>,
    pub energy_mwh: Option<i64>,
    pub cell_voltage_low_mv: Option<i32>,
    pub cell_voltage_high_mv: Option<i32>,
    pub cell_temperature_low_mc: Option<i32>,
    pub cell_temperature_high_mc: Option<i32>,
}

/// A battery's values in a full sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Insertable)]
#[diesel(table_name = battery_reading, treat_none_as_default_value = false)]
#[allow(missing_docs, reason = "the names hold the units")]
pub struct BatteryValues {
    pub voltage_mv: Option<i32>,
    pub current_ma: Option<i32>,
    pub temperature_mc: Option<i32>,
    pub soc_percent: Option<i32>,
    pub remaining_mah: Option<i64>,
    pub energy_mwh: Option<i64>,
    pub mos_temperature_mc: Option<i32>,
    pub cell_voltage_low_mv: Option<i32>,
    pub cell_voltage_high_mv: Option<i32>,
    pub cell_temperature_low_mc: Option<i32>,
    pub cell_temperature_high_mc: Option<i32>,
    pub battery_events: Option<i64>,
    pub power_events: Option<i64>,
    pub system_fault: Option<i64>,
    /// Event words of other names as JSON.
    pub other_events: Option<String>,
    /// The battery's own clock as seconds since 1970, as if it were UTC.
    pub clock_local_s: Option<i64>,
    pub soh_percent: Option<i32>,
    pub cycles: Option<i64>,
}

/// A cell's values in a full sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Insertable)]
#[diesel(table_name = cell_reading, treat_none_as_default_value = false)]
#[serde(from = "PackedCell", into = "PackedCell")]
#[allow(missing_docs, reason = "the names hold the units")]
pub struct CellValues {
    pub voltage_mv: Option<i32>,
    pub current_ma: Option<i32>,
    pub temperature_mc: Option<i32>,
    pub soc_percent: Option<i32>,
    pub coulomb_mah: Option<i64>,
    /// 1 while it is being balanced, else 0.
    pub balancing: Option<i32>,
}

/// A cell's values without their names: there are so many cells that names would be most of a sweep's record.
#[derive(Serialize, Deserialize)]
struct PackedCell(Option<i32>, Option<i32>, Option<i32>, Option<i32>, Option<i64>, Option<i32>);

impl From<PackedCell> for CellValues {
    fn from(
        PackedCell(voltage_mv, current_ma, temperature_mc, soc_percent, coulomb_mah, balancing): PackedCell,
    ) -> Self {
        Self { voltage_mv, current_ma, temperature_mc, soc_percent, coulomb_mah, balancing }
    }
}

impl From<CellValues> for PackedCell {
    fn from(v: CellValues) -> Self {
        Self(v.voltage_mv, v.current_ma, v.temperature_mc, v.soc_percent, v.coulomb_mah, v.balancing)
    }
}

/// A set of state words; few sets occur, so each is stored once and rows name it by a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Insertable)]
#[diesel(table_name = state, treat_none_as_default_value = false)]
#[allow(missing_docs, reason = "the names are those of a reading's measurements")]
#[serde(default)]
pub struct Words {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volt_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temp_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coulomb_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soh_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heater: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge_switch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discharge_switch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell_volt_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell_temp_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_alarm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mos_temp_state: Option<String>,
}

impl Words {
    /// The whole set as one text: equal texts are equal sets.
    pub(super) fn key(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
