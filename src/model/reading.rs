//! The result of one sweep: measurements, which are valid for this sweep only, and the facts in its answers.
//!
//! A value that the console did not report is `None`: never zero, never the value of another battery or of an earlier
//! sweep.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::Serialize;

use crate::model::device_log::DeviceLogEntry;
use crate::model::event_word::EventWord;
use crate::model::facts::{FactSource, Facts};
use crate::model::place::Place;
use crate::model::units::{MilliampHours, Milliamps, Millicelsius, Millivolts, MilliwattHours, Percent};
use crate::model::word::Word;

/// A bank is offline after this number of intervals without a reading.
pub(crate) const OFFLINE_AFTER: u32 = 3;

/// The scope of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepKind {
    /// The group table, and the details and cells of every battery.
    Full,
    /// Only the group table.
    Summary,
}

impl SweepKind {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Summary => "summary",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct BankReading {
    pub bank: Arc<str>,
    pub kind: SweepKind,
    /// Start of the sweep.
    pub taken_at: Timestamp,
    /// Start of the sweep by the monotonic clock, for computing durations.
    pub began: Instant,
    pub took: Duration,
    /// The number of commands that were repeated.
    pub asked_again: u32,
    /// The values of a high-voltage stack; `None` for batteries in parallel.
    pub stack: Option<Measured>,
    /// The battery at place `n` is at index `n - 1`, whether it answered or not.
    pub batteries: Vec<BatteryReading>,
    /// Facts of a stack: those of its own `info` and `stat`.
    pub facts: Vec<(FactSource, Facts)>,
    /// Log records of a stack, if polled in this sweep.
    pub device_log: Vec<DeviceLogEntry>,
    /// Commands of this sweep that were answered, with or without damaged lines.
    pub answered: Vec<String>,
    pub missing: Vec<MissingAnswer>,
    /// Facts whose line could not be parsed although the rest of the answer could. They do not count as missing
    /// answers.
    pub unreadable_facts: Vec<MissingAnswer>,
}

impl BankReading {
    /// Whether the batteries are in series, so that voltages add up and the current is the same.
    #[must_use]
    pub(crate) fn is_series(&self) -> bool {
        self.stack.is_some()
    }
}

/// An answer that is missing from a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingAnswer {
    /// `None` if the command is not about a single battery.
    pub battery: Option<Place>,
    pub command: String,
    pub reason: String,
    /// The number of attempts.
    pub asked: u32,
}

/// Whether a battery is installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It answered, or the table lists it.
    Present,
    /// The table reports no battery at this place.
    Absent,
    /// It is expected, but this sweep contains nothing about it.
    #[default]
    Missing,
}

/// One battery in one sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct BatteryReading {
    pub place: Place,
    pub presence: Presence,
    /// Values of the details if they contain them, else of the table.
    pub measured: Measured,
    /// Its cells in order; `None` if not polled or not all of them were reported.
    pub cells: Option<Vec<CellReading>>,
    /// Facts in the answers of this sweep.
    pub facts: Vec<(FactSource, Facts)>,
    /// Log records, if polled in this sweep.
    pub device_log: Vec<DeviceLogEntry>,
}

impl BatteryReading {
    /// Creates a battery without any values.
    #[must_use]
    pub fn empty(place: Place) -> Self {
        Self {
            place,
            presence: Presence::Missing,
            measured: Measured::default(),
            cells: None,
            facts: Vec::new(),
            device_log: Vec::new(),
        }
    }
}

/// Measurements of a battery or a stack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    pub voltage: Option<Millivolts>,
    /// Positive while charging.
    pub current: Option<Milliamps>,
    /// Of the board.
    pub temperature: Option<Millicelsius>,
    pub soc: Option<Percent>,
    /// Remaining charge.
    pub remaining: Option<MilliampHours>,
    /// Remaining energy.
    pub energy: Option<MilliwattHours>,
    /// Operating state: `Charge`, `Dischg`, `Idle` …
    pub base_state: Option<Word>,
    pub volt_state: Option<Word>,
    pub current_state: Option<Word>,
    pub temp_state: Option<Word>,
    pub coulomb_state: Option<Word>,
    /// State of health as a word.
    pub soh_state: Option<Word>,
    pub heater: Option<Word>,
    /// Whether the charging transistor conducts.
    pub charge_switch: Option<Word>,
    /// Whether the discharging transistor conducts.
    pub discharge_switch: Option<Word>,
    pub cell_volt_state: Option<Word>,
    pub cell_temp_state: Option<Word>,
    pub mos_temp_state: Option<Word>,
    pub system_alarm: Option<Word>,
    /// Of the switching transistors.
    pub mos_temperature: Option<Millicelsius>,
    /// Lowest cell voltage according to the table.
    pub cell_voltage_low: Option<Millivolts>,
    /// Highest cell voltage according to the table.
    pub cell_voltage_high: Option<Millivolts>,
    /// Coldest cell according to the table.
    pub cell_temperature_low: Option<Millicelsius>,
    /// Warmest cell according to the table.
    pub cell_temperature_high: Option<Millicelsius>,
    /// `Bat Events`.
    pub battery_events: Option<EventWord>,
    /// `Power Events`.
    pub power_events: Option<EventWord>,
    /// `System Fault`, or `Err Code` of a stack.
    pub system_fault: Option<EventWord>,
    /// Event words with other labels.
    pub other_events: Vec<(String, EventWord)>,
    /// The battery's clock.
    pub clock: Option<DateTime>,
}

/// One cell in one sweep; its number is its position in the list, counted from 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CellReading {
    pub voltage: Option<Millivolts>,
    /// Current of the battery.
    pub current: Option<Milliamps>,
    /// At the nearest sensor.
    pub temperature: Option<Millicelsius>,
    /// Operating state: `Charge`, `Dischg`, `Idle` …
    pub base_state: Option<Word>,
    pub volt_state: Option<Word>,
    pub current_state: Option<Word>,
    pub temp_state: Option<Word>,
    pub soc: Option<Percent>,
    /// Remaining charge.
    pub coulomb: Option<MilliampHours>,
    pub balancing: Option<bool>,
}
