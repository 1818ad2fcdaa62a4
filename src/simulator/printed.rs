//! The values that the console printed. Tests compare the parser's result with them, field by field.
//!
//! Numbers are integers in the console's units, exactly as printed; values that a dialect does not print are `None`.

use jiff::civil::DateTime;

use crate::simulator::faults::Damage;

/// An answer and the values in it.
#[derive(Clone, Debug, PartialEq)]
pub struct PrintedAnswer {
    /// From 1.
    pub number: u64,
    /// The bank's clock.
    pub at: DateTime,
    pub command: String,
    /// The effect of a fault; `values` are those before the damage.
    pub damage: Option<Damage>,
    pub values: PrintedValues,
}

/// The values in an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum PrintedValues {
    /// `pwr`: one row per place.
    Table(Vec<PrintedTableRow>),
    /// `pwr N`.
    Detail(Box<PrintedDetail>),
    /// `bat`, `bat N`: the cells of a battery or of a whole stack.
    Cells {
        /// From 1; 0 is a high-voltage stack.
        place: usize,
        cells: Vec<PrintedCellRow>,
    },
    /// `info`, `info N`: labels (trimmed) and values in order.
    Info(Vec<(String, String)>),
    /// `stat`, `stat N`: labels (trimmed) and counters in order.
    Stat(Vec<(String, i64)>),
    /// `euro`: labels and values in order.
    Euro(Vec<(String, String)>),
    /// `soh`, `soh N`: the voltage of each cell in millivolts, in order.
    Soh(Vec<i32>),
    /// `pwr` of a high-voltage stack.
    Stack(Box<PrintedStackRow>),
    /// `unit` of a high-voltage stack.
    Units(Vec<PrintedUnitRow>),
    /// `time`.
    Time(DateTime),
    /// `log`: all records on all pages.
    Log(Vec<PrintedLogRecord>),
    /// `data event`, `data history`.
    Snapshot(Box<PrintedSnapshot>),
    /// The first line of an error.
    Refusal(String),
    /// An answer without values (`help`, `ver`, `login`, …).
    Nothing,
}

/// One row of `pwr`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PrintedTableRow {
    /// From 1.
    pub place: usize,
    /// False for `Absent`; then all other fields are unused.
    pub present: bool,
    /// Millivolts.
    pub voltage_mv: i32,
    /// Milliamperes, positive charging.
    pub current_ma: i32,
    /// Board, in thousandths of a degree Celsius like all temperatures.
    pub temperature_mc: i32,
    /// Coldest cell.
    pub temperature_low_mc: i32,
    /// Warmest cell.
    pub temperature_high_mc: i32,
    /// Lowest cell in millivolts.
    pub cell_low_mv: i32,
    /// Highest cell in millivolts.
    pub cell_high_mv: i32,
    /// Indices (from 0) of the coldest, warmest, lowest and highest cell.
    pub cell_ids: Option<[usize; 4]>,
    /// `Charge`, `Dischg`, `Idle`, …
    pub base_state: String,
    /// `Normal`, `High`, …
    pub voltage_state: String,
    /// `Normal`, …
    pub current_state: String,
    /// `Normal`, …
    pub temperature_state: String,
    /// Percent.
    pub soc: i32,
    /// The battery's clock.
    pub time: DateTime,
    /// MOSFET temperature.
    pub mosfet_mc: Option<i32>,
    pub barcode: Option<String>,
    pub device_type: Option<String>,
}

/// The block of `pwr N`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PrintedDetail {
    /// From 1.
    pub place: usize,
    /// Millivolts.
    pub voltage_mv: i32,
    /// Milliamperes, positive charging.
    pub current_ma: i32,
    /// Board, thousandths of a degree Celsius.
    pub temperature_mc: i32,
    /// Percent.
    pub soc: i32,
    /// Nominal capacity, printed in mAH or mAS.
    pub total_mah: Option<i64>,
    /// Learned capacity.
    pub real_mah: Option<i64>,
    pub max_voltage_mv: Option<i32>,
    /// Transitions to charging.
    pub charge_times: i64,
    /// Lifetime charge in ampere-seconds.
    pub charged_as: Option<i64>,
    /// Lifetime discharge in ampere-seconds.
    pub discharged_as: Option<i64>,
    /// `Charge`, `Dischg`, `Idle`, …
    pub base_state: String,
    /// Seconds since charging started, while charging.
    pub(crate) charge_seconds: Option<i64>,
    /// Seconds since discharging started, while discharging.
    pub(crate) discharge_seconds: Option<i64>,
    /// `Normal`, …
    pub voltage_state: String,
    /// `Normal`, …
    pub current_state: String,
    /// `Normal`, …
    pub temperature_state: String,
    /// `Normal`, `Low`, `Full`.
    pub coulomb_state: String,
    /// `Normal`, …
    pub soh_state: Option<String>,
    pub battery_events: Option<u32>,
    pub power_events: Option<u32>,
    pub system_fault: Option<u32>,
    pub system_alarm: Option<u32>,
    /// Label and bits of each status word, on models that have those instead of event words.
    pub status_words: Vec<(String, u32)>,
    pub barcode: Option<String>,
    pub device_type: Option<String>,
    pub firmware: Option<String>,
    pub(crate) cells: Option<usize>,
}

/// One row of `bat`.
#[derive(Clone, Debug, PartialEq)]
pub struct PrintedCellRow {
    /// From 0.
    pub index: usize,
    /// Millivolts.
    pub voltage_mv: i32,
    /// Milliamperes.
    pub current_ma: Option<i32>,
    /// Thousandths of a degree Celsius.
    pub temperature_mc: i32,
    /// `Charge`, …; not printed by a high-voltage stack.
    pub base_state: Option<String>,
    /// `Normal`, …
    pub voltage_state: String,
    /// `Normal`, …
    pub temperature_state: String,
    /// Percent.
    pub soc: i32,
    /// Milliampere-hours; not printed in event snapshots.
    pub charge_mah: Option<i64>,
    /// Milliwatt-hours.
    pub energy_mwh: Option<i64>,
    pub balancing: Option<bool>,
}

/// The preamble and row of `pwr` of a high-voltage stack.
#[derive(Clone, Debug, PartialEq)]
pub struct PrintedStackRow {
    /// Mean of all sensors.
    pub(crate) average_temperature_mc: i32,
    /// Voltage outside the contactor.
    pub(crate) dc_voltage_mv: i32,
    /// Sum of the units.
    pub(crate) battery_voltage_mv: i32,
    /// Voltage in the row.
    pub voltage_mv: i32,
    /// Milliamperes, positive charging.
    pub current_ma: i32,
    /// Board.
    pub temperature_mc: i32,
    /// Coldest and warmest cell.
    pub cell_temperature_mc: [i32; 2],
    /// Lowest and highest cell.
    pub cell_voltage_mv: [i32; 2],
    /// Coldest and warmest unit.
    pub(crate) unit_temperature_mc: [i32; 2],
    /// Lowest and highest unit.
    pub(crate) unit_voltage_mv: [i32; 2],
    /// `Charge`, …
    pub base_state: String,
    /// Percent.
    pub soc: i32,
    /// Milliampere-hours.
    pub charge_mah: i64,
    /// Percent by energy, and the printed amount in milliwatt-hours or (`WH`) watt-hours.
    pub energy: Option<(i32, i64)>,
    /// The stack's clock.
    pub time: DateTime,
    /// `Err Code`.
    pub error: u32,
}

/// One row of `unit`.
#[derive(Clone, Debug, PartialEq)]
pub struct PrintedUnitRow {
    /// From 1.
    pub index: usize,
    /// Millivolts.
    pub voltage_mv: i32,
    /// Milliamperes.
    pub current_ma: i32,
    /// Board.
    pub temperature_mc: i32,
    /// Mean of its sensors.
    pub(crate) average_temperature_mc: Option<i32>,
    /// Coldest and warmest cell.
    pub cell_temperature_mc: [i32; 2],
    /// Lowest and highest cell.
    pub cell_voltage_mv: [i32; 2],
    /// `Charge`, …
    pub base_state: String,
    /// Percent.
    pub soc: i32,
    /// Milliampere-hours.
    pub charge_mah: i64,
    /// Percent by energy, and the printed amount in milliwatt-hours or (`WH`) watt-hours.
    pub energy: Option<(i32, i64)>,
    pub time: DateTime,
}

/// A record of `log`.
#[derive(Clone, Debug, PartialEq)]
pub struct PrintedLogRecord {
    pub index: u32,
    pub time: DateTime,
    /// Printed as hexadecimal digits without prefix.
    pub code: u32,
    pub text: String,
}

/// The answer to `data event` or `data history`.
#[derive(Clone, Debug, PartialEq)]
pub struct PrintedSnapshot {
    /// `Item Index`.
    pub index: u32,
    pub time: DateTime,
    /// The battery or the stack.
    pub detail: PrintedDetail,
    pub cells: Vec<PrintedCellRow>,
    /// The modules of a stack.
    pub units: Vec<PrintedUnitRow>,
}

/// The most recent answers.
#[derive(Clone, Debug, Default)]
pub struct AnswerHistory {
    /// Oldest first.
    pub answers: Vec<PrintedAnswer>,
}

impl AnswerHistory {
    /// The newest answer to exactly this command.
    pub fn latest(&self, command: &str) -> Option<&PrintedAnswer> {
        self.answers.iter().rev().find(|answer| answer.command == command)
    }
}
