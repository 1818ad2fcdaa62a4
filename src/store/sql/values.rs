//! The values of a bank, a battery and a cell, as in a record and as in a row. An unknown value is `None`, and `NULL`
//! in a column.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use crate::store::sql::schema::{bank_reading, battery_reading, cell_reading, state};

/// A bank's own values in a full sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Insertable)]
#[diesel(table_name = bank_reading, treat_none_as_default_value = false)]
pub struct BankValues {
    pub(crate) took_ms: i32,
    pub(crate) asked_again: i32,
    pub(crate) missing: i32,
    pub batteries: i32,
    pub(crate) voltage_mv: Option<i32>,
    pub(crate) current_ma: Option<i32>,
    pub(crate) power_mw: Option<i64>,
    pub(crate) temperature_mc: Option<i32>,
    pub(crate) soc_permille: Option<i32>,
    pub(crate) remaining_mah: Option<i64>,
    pub(crate) energy_mwh: Option<i64>,
    pub(crate) cell_voltage_low_mv: Option<i32>,
    pub(crate) cell_voltage_high_mv: Option<i32>,
    pub(crate) cell_temperature_low_mc: Option<i32>,
    pub(crate) cell_temperature_high_mc: Option<i32>,
}

/// A battery's values in a full sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Insertable)]
#[diesel(table_name = battery_reading, treat_none_as_default_value = false)]
pub struct BatteryValues {
    pub(crate) voltage_mv: Option<i32>,
    pub(crate) current_ma: Option<i32>,
    pub(crate) temperature_mc: Option<i32>,
    pub(crate) soc_percent: Option<i32>,
    pub(crate) remaining_mah: Option<i64>,
    pub(crate) energy_mwh: Option<i64>,
    pub(crate) mos_temperature_mc: Option<i32>,
    pub(crate) cell_voltage_low_mv: Option<i32>,
    pub(crate) cell_voltage_high_mv: Option<i32>,
    pub(crate) cell_temperature_low_mc: Option<i32>,
    pub(crate) cell_temperature_high_mc: Option<i32>,
    pub(crate) battery_events: Option<i64>,
    pub(crate) power_events: Option<i64>,
    pub(crate) system_fault: Option<i64>,
    /// Event words of other names as JSON.
    pub(crate) other_events: Option<String>,
    /// The battery's own clock as seconds since 1970, as if it were UTC.
    pub(crate) clock_local_s: Option<i64>,
    pub(crate) soh_percent: Option<i32>,
    pub(crate) cycles: Option<i64>,
}

/// A cell's values in a full sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Insertable)]
#[diesel(table_name = cell_reading, treat_none_as_default_value = false)]
#[serde(from = "PackedCell", into = "PackedCell")]
pub struct CellValues {
    pub(crate) voltage_mv: Option<i32>,
    pub(crate) current_ma: Option<i32>,
    pub(crate) temperature_mc: Option<i32>,
    pub(crate) soc_percent: Option<i32>,
    pub(crate) coulomb_mah: Option<i64>,
    /// 1 while it is being balanced, else 0.
    pub(crate) balancing: Option<i32>,
}

/// A cell's values without their names, which would be most of a sweep's record.
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

/// A set of state words. Few sets occur, so each is stored once, and rows refer to it by a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Insertable)]
#[diesel(table_name = state, treat_none_as_default_value = false)]
#[serde(default)]
pub struct StateWords {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) volt_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) temp_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) coulomb_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) soh_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) heater: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) charge_switch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) discharge_switch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cell_volt_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cell_temp_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) system_alarm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mos_temp_state: Option<String>,
}

impl StateWords {
    /// The set as one text: equal texts are equal sets.
    pub(crate) fn key(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
