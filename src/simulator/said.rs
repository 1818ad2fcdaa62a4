//! The truth: what the console said, as values. Tests hold a reader's result against it, field by field.
//!
//! Numbers are integers in the console's own units and exactly those that were printed; what a dialect does
//! not print is `None`.

use jiff::civil::DateTime;

use super::faults::Damage;

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Running number from 1.
    pub number: u64,
    /// The time on the bank's clock.
    pub at: DateTime,
    /// The command as it was typed.
    pub command: String,
    /// What a fault did to the answer; the values below are those before the damage.
    pub damage: Option<Damage>,
    /// What was said.
    pub values: Values,
}

/// What an answer contained.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// `pwr`: a row for each place.
    Table(Vec<TableRow>),
    /// `pwr N`.
    Detail(Box<Detail>),
    /// `bat`, `bat N`: the cells of one battery, or of the whole stack (then `place` is 0).
    Cells {
        /// Which battery (from 1); 0 is a high-voltage stack.
        place: usize,
        /// Its cells in order.
        cells: Vec<CellRow>,
    },
    /// `info`, `info N`: labels (trimmed) and values in order.
    Info(Vec<(String, String)>),
    /// `stat`, `stat N`: labels (trimmed) and counters in order.
    Stat(Vec<(String, i64)>),
    /// `euro`: labels and values in order.
    Euro(Vec<(String, String)>),
    /// `soh`, `soh N`: each cell's voltage in millivolts, in order.
    Soh(Vec<i32>),
    /// `pwr` of a high-voltage stack.
    Stack(Box<StackRow>),
    /// `unit` of a high-voltage stack.
    Units(Vec<UnitRow>),
    /// `time`.
    Time(DateTime),
    /// `log`: all records, also those behind the pager.
    Log(Vec<LogEntry>),
    /// `data event`, `data history`.
    Snapshot(Box<Snapshot>),
    /// A refusal and its first line.
    Refusal(String),
    /// Anything without values (`help`, `ver`, `login`, …).
    Nothing,
}

/// One row of `pwr`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableRow {
    /// Place from 1.
    pub place: usize,
    /// False for `Absent`; then nothing below means anything.
    pub present: bool,
    /// Millivolts.
    pub voltage_mv: i32,
    /// Milliamperes, positive charging.
    pub current_ma: i32,
    /// Board, in thousandths of a degree Celsius; so are all temperatures.
    pub temperature_mc: i32,
    /// Coldest cell.
    pub temperature_low_mc: i32,
    /// Warmest cell.
    pub temperature_high_mc: i32,
    /// Lowest cell in millivolts.
    pub cell_low_mv: i32,
    /// Highest cell in millivolts.
    pub cell_high_mv: i32,
    /// Which cells (from 0) those are: coldest, warmest, lowest, highest.
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
    /// The battery's own clock.
    pub time: DateTime,
    /// Switching transistors.
    pub mosfet_mc: Option<i32>,
    /// Serial number.
    pub barcode: Option<String>,
    /// Model.
    pub device_type: Option<String>,
}

/// The block of `pwr N`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detail {
    /// Place from 1.
    pub place: usize,
    /// Millivolts.
    pub voltage_mv: i32,
    /// Milliamperes, positive charging.
    pub current_ma: i32,
    /// Board, thousandths of a degree Celsius.
    pub temperature_mc: i32,
    /// Percent.
    pub soc: i32,
    /// Nominal capacity, whether printed in mAH or mAS.
    pub total_mah: Option<i64>,
    /// Learned capacity.
    pub real_mah: Option<i64>,
    /// Upper limit of the voltage.
    pub max_voltage_mv: Option<i32>,
    /// Changes into charging.
    pub charge_times: i64,
    /// Lifetime charge taken in, ampere-seconds.
    pub charged_as: Option<i64>,
    /// Lifetime charge given, ampere-seconds.
    pub discharged_as: Option<i64>,
    /// `Charge`, `Dischg`, `Idle`, …
    pub base_state: String,
    /// Seconds it has been charging, while it is.
    pub(crate) charge_seconds: Option<i64>,
    /// Seconds it has been discharging, while it is.
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
    /// `Bat Events`.
    pub battery_events: Option<u32>,
    /// `Power Events`.
    pub power_events: Option<u32>,
    /// `System Fault`.
    pub system_fault: Option<u32>,
    /// `System Alarm`.
    pub system_alarm: Option<u32>,
    /// One word a topic, where the console has those instead: label and bits.
    pub topics: Vec<(String, u32)>,
    /// Serial number.
    pub barcode: Option<String>,
    /// Model.
    pub device_type: Option<String>,
    /// Firmware.
    pub firmware: Option<String>,
    /// Number of cells.
    pub(crate) cells: Option<usize>,
}

/// One row of `bat`.
#[derive(Clone, Debug, PartialEq)]
pub struct CellRow {
    /// Index from 0, as printed.
    pub index: usize,
    /// Millivolts.
    pub voltage_mv: i32,
    /// Milliamperes.
    pub current_ma: Option<i32>,
    /// Thousandths of a degree Celsius.
    pub temperature_mc: i32,
    /// `Charge`, …; a high-voltage stack does not say it of each cell.
    pub base_state: Option<String>,
    /// `Normal`, …
    pub voltage_state: String,
    /// `Normal`, …
    pub temperature_state: String,
    /// Percent.
    pub soc: i32,
    /// Milliampere-hours; an event's snapshot leaves them out.
    pub charge_mah: Option<i64>,
    /// Milliwatt-hours.
    pub energy_mwh: Option<i64>,
    /// Whether its bleeding resistor is on.
    pub balancing: Option<bool>,
}

/// The row of a high-voltage stack, and its preamble.
#[derive(Clone, Debug, PartialEq)]
pub struct StackRow {
    /// Mean of all sensors.
    pub(crate) average_temperature_mc: i32,
    /// Voltage behind the contactor.
    pub(crate) dc_voltage_mv: i32,
    /// Sum of the units.
    pub(crate) battery_voltage_mv: i32,
    /// The row's own voltage.
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
    /// Percent by energy, and milliwatt-hours as printed (whole watt-hours where the console says `WH`).
    pub energy: Option<(i32, i64)>,
    /// The stack's clock.
    pub time: DateTime,
    /// `Err Code`.
    pub error: u32,
}

/// One row of `unit`.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitRow {
    /// Index from 1.
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
    /// Percent by energy, and milliwatt-hours as printed.
    pub energy: Option<(i32, i64)>,
    /// Its clock.
    pub time: DateTime,
}

/// One record of `log`.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    /// Running number.
    pub index: u32,
    /// When.
    pub time: DateTime,
    /// Printed as bare hexadecimal digits.
    pub code: u32,
    /// What happened.
    pub text: String,
}

/// What `data event` or `data history` shows of a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// `Item Index`.
    pub index: u32,
    /// When.
    pub time: DateTime,
    /// The battery then, or the stack.
    pub detail: Detail,
    /// Its cells then.
    pub cells: Vec<CellRow>,
    /// The modules of a stack then.
    pub units: Vec<UnitRow>,
}

/// All that was said lately.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// The last answers, oldest first.
    pub answers: Vec<Said>,
}

impl Truth {
    /// The newest answer to a command, word for word.
    #[must_use]
    pub fn latest(&self, command: &str) -> Option<&Said> {
        self.answers.iter().rev().find(|said| said.command == command)
    }
}
