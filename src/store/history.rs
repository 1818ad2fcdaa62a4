//! What is asked of history, and what it answers.

use std::time::Duration;

use diesel::prelude::*;

use crate::model::units::{Milliamps, Millivolts};
use crate::store::schema::{bank_reading, battery_reading};
use crate::store::sums::Sums;

/// How fine the history is that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Each full sweep.
    Raw,
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
    /// Days of UTC.
    Day,
}

/// Which history is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The bank's name.
    pub bank: &'a str,
    /// The place of a battery: the history of the one that sits there now, wherever it sat; none: the bank's own.
    pub place: Option<u8>,
    /// From when, in milliseconds since 1970, UTC.
    pub from_ms: i64,
    /// Until when (exclusive).
    pub to_ms: i64,
    /// How fine.
    pub step: Step,
    /// Points at most.
    pub most: i64,
}

/// One point of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// When it was taken or when its span began, in milliseconds since 1970, UTC.
    pub at_ms: i64,
    /// What the sweeps in it amount to; of a single one, that one.
    pub sums: Sums,
}

/// How long raw rows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Those of banks and batteries; zero: for ever.
    pub batteries: Duration,
    /// Those of cells; zero: for ever.
    pub cells: Duration,
}

impl Retention {
    pub(super) fn batteries_ms(&self) -> Option<i64> {
        milliseconds(self.batteries)
    }

    pub(super) fn cells_ms(&self) -> Option<i64> {
        milliseconds(self.cells)
    }
}

fn milliseconds(keep: Duration) -> Option<i64> {
    i64::try_from(keep.as_millis()).ok().filter(|keep| *keep > 0)
}

/// What one step of retention did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Rows deleted.
    pub rows: usize,
    /// Whether another step would find more to do.
    pub more: bool,
}

/// A bank's row, as far as a chart wants it.
#[derive(Queryable, Selectable)]
#[diesel(table_name = bank_reading)]
pub(super) struct RawBank {
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

/// A battery's row, as far as a chart wants it.
#[derive(Queryable, Selectable)]
#[diesel(table_name = battery_reading)]
pub(super) struct RawBattery {
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

impl From<RawBank> for Point {
    fn from(row: RawBank) -> Self {
        let mut sums = Sums::sample();
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

impl From<RawBattery> for Point {
    fn from(row: RawBattery) -> Self {
        let mut sums = Sums::sample();
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
