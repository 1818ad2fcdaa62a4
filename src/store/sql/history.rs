//! A query for history, its result, and the outcome of retention.
#![cfg_attr(
    not(feature = "internals"),
    allow(dead_code, reason = "no command queries the history yet; tests do")
)]

use std::time::Duration;

use diesel::prelude::*;

use crate::model::units::{Milliamps, Millivolts};
use crate::store::model::sums::RollupSums;
use crate::store::sql::schema::{bank_reading, battery_reading};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// One point per full sweep.
    Raw,
    Minute,
    Hour,
    /// Days in UTC.
    Day,
}

#[derive(Clone, Copy, Debug)]
pub struct HistoryQuery<'a> {
    pub bank: &'a str,
    /// The history of the battery at this place now, wherever it was before; `None`: the bank's own.
    pub place: Option<u8>,
    /// Milliseconds since 1970, UTC.
    pub from_ms: i64,
    /// Exclusive.
    pub to_ms: i64,
    pub resolution: Resolution,
    /// Maximum number of points.
    pub limit: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPoint {
    /// When it was taken or its span started, in milliseconds since 1970, UTC.
    pub at_ms: i64,
    /// The aggregated sweeps.
    pub sums: RollupSums,
}

/// How long raw rows are kept; zero: forever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Rows of banks and batteries.
    pub batteries: Duration,
    /// Rows of cells.
    pub cells: Duration,
}

impl Retention {
    pub(crate) fn batteries_ms(&self) -> Option<i64> {
        milliseconds(self.batteries)
    }

    pub(crate) fn cells_ms(&self) -> Option<i64> {
        milliseconds(self.cells)
    }
}

fn milliseconds(keep: Duration) -> Option<i64> {
    i64::try_from(keep.as_millis()).ok().filter(|keep| *keep > 0)
}

/// The outcome of one step of retention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneProgress {
    /// Deleted rows.
    pub rows: usize,
    /// Whether there is more to delete.
    pub more: bool,
}

/// The columns of a bank's row that a chart shows.
#[derive(Queryable, Selectable)]
#[diesel(table_name = bank_reading)]
pub(crate) struct BankPointRow {
    taken_at_ms: i64,
    voltage_mv: Option<i32>,
    current_ma: Option<i32>,
    power_mw: Option<i64>,
    temperature_mc: Option<i32>,
    soc_permille: Option<i32>,
    cell_voltage_low_mv: Option<i32>,
    cell_voltage_high_mv: Option<i32>,
    cell_temperature_low_mc: Option<i32>,
    cell_temperature_high_mc: Option<i32>,
}

/// The columns of a battery's row that a chart shows.
#[derive(Queryable, Selectable)]
#[diesel(table_name = battery_reading)]
pub(crate) struct BatteryPointRow {
    taken_at_ms: i64,
    voltage_mv: Option<i32>,
    current_ma: Option<i32>,
    temperature_mc: Option<i32>,
    soc_percent: Option<i32>,
    cell_voltage_low_mv: Option<i32>,
    cell_voltage_high_mv: Option<i32>,
    cell_temperature_low_mc: Option<i32>,
    cell_temperature_high_mc: Option<i32>,
    soh_percent: Option<i32>,
    cycles: Option<i64>,
}

impl From<BankPointRow> for HistoryPoint {
    fn from(row: BankPointRow) -> Self {
        let mut sums = RollupSums::of_one_sweep();
        sums.voltage(row.voltage_mv);
        sums.current(row.current_ma);
        sums.power(row.power_mw);
        sums.temperature(row.temperature_mc);
        sums.soc(row.soc_permille);
        sums.cells([
            row.cell_voltage_low_mv,
            row.cell_voltage_high_mv,
            row.cell_temperature_low_mc,
            row.cell_temperature_high_mc,
        ]);
        Self { at_ms: row.taken_at_ms, sums }
    }
}

impl From<BatteryPointRow> for HistoryPoint {
    fn from(row: BatteryPointRow) -> Self {
        let mut sums = RollupSums::of_one_sweep();
        sums.voltage(row.voltage_mv);
        sums.current(row.current_ma);
        let power = row.voltage_mv.zip(row.current_ma);
        sums.power(power.map(|(mv, ma)| Millivolts(mv).times(Milliamps(ma)).0));
        sums.temperature(row.temperature_mc);
        sums.soc(row.soc_percent.map(|soc| soc.saturating_mul(10)));
        sums.cells([
            row.cell_voltage_low_mv,
            row.cell_voltage_high_mv,
            row.cell_temperature_low_mc,
            row.cell_temperature_high_mc,
        ]);
        (sums.soh_percent, sums.cycles) = (row.soh_percent, row.cycles);
        Self { at_ms: row.taken_at_ms, sums }
    }
}
