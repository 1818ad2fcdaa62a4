//! What one sweep yielded: measurements, valid for this sweep alone, and the facts its answers stated.
//!
//! What a console did not say is `None`: never zero, never another battery's value, never an earlier sweep's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::Serialize;

use crate::model::event_word::EventWord;
use crate::model::facts::{FactSource, Facts};
use crate::model::memory::MemoryRecord;
use crate::model::place::Place;
use crate::model::units::{MilliampHours, Milliamps, Millicelsius, Millivolts, MilliwattHours, Percent};
use crate::model::word::Word;

/// A bank is offline when nothing came for so many of its intervals.
pub(crate) const OFFLINE_AFTER: u32 = 3;

/// How much a sweep asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepKind {
    /// The group table, details and cells of every battery.
    Full,
    /// The group table alone.
    Summary,
}

impl SweepKind {
    /// The word for it in logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Summary => "summary",
        }
    }
}

/// What one sweep of a bank yielded.
#[derive(Clone, Debug, PartialEq)]
pub struct BankReading {
    /// The bank's name in the settings.
    pub bank: Arc<str>,
    /// How much was asked.
    pub kind: SweepKind,
    /// When the sweep began.
    pub taken_at: Timestamp,
    /// The same moment on the clock that nobody sets: what spans of time are reckoned by.
    pub began: Instant,
    /// How long it took.
    pub took: Duration,
    /// How many questions were put again.
    pub asked_again: u32,
    /// The values of a high-voltage stack, whose batteries are in series; `None` for batteries in parallel.
    pub stack: Option<Measured>,
    /// The batteries; the one at place `n` is at index `n - 1`, whether it answered or not.
    pub batteries: Vec<BatteryReading>,
    /// Facts of the whole bank: those of a stack's own `info` and `stat`.
    pub facts: Vec<(FactSource, Facts)>,
    /// What a stack remembers by itself, where it was asked.
    pub memory: Vec<MemoryRecord>,
    /// Commands that were asked in this sweep and answered, with or without damaged lines.
    pub answered: Vec<String>,
    /// Answers that are missing from this sweep, and why.
    pub missing: Vec<Missing>,
    /// Facts whose line could not be read, although the rest of the answer could. No answer is missing because of them.
    pub unreadable_facts: Vec<Missing>,
}

impl BankReading {
    /// Whether the batteries are in series: voltages add and the current is one.
    #[must_use]
    pub(crate) fn series(&self) -> bool {
        self.stack.is_some()
    }
}

/// A part of a sweep that did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The battery it is about, where it is about one.
    pub battery: Option<Place>,
    /// The question.
    pub command: String,
    /// Why there is no answer.
    pub reason: String,
    /// How often it was asked.
    pub asked: u32,
}

/// What is known of a battery's being there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It answered, or the table shows it.
    Present,
    /// The table says that nobody is at this place.
    Absent,
    /// It should be there and said nothing in this sweep.
    #[default]
    Missing,
}

/// One battery in one sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct BatteryReading {
    /// Its place.
    pub place: Place,
    /// Whether it is there.
    pub presence: Presence,
    /// Its measurements: the detail's where it has them, else the table's.
    pub measured: Measured,
    /// Its cells in order, where they were asked and all of them answered.
    pub cells: Option<Vec<CellReading>>,
    /// Facts that this sweep's answers stated.
    pub facts: Vec<(FactSource, Facts)>,
    /// What it remembers by itself, where it was asked.
    pub memory: Vec<MemoryRecord>,
}

impl BatteryReading {
    /// A battery that has said nothing yet.
    #[must_use]
    pub fn silent(place: Place) -> Self {
        Self {
            place,
            presence: Presence::Missing,
            measured: Measured::default(),
            cells: None,
            facts: Vec::new(),
            memory: Vec::new(),
        }
    }
}

/// Measurements of a battery or a stack.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Voltage.
    pub voltage: Option<Millivolts>,
    /// Current, positive while charging.
    pub current: Option<Milliamps>,
    /// Temperature of the board.
    pub temperature: Option<Millicelsius>,
    /// State of charge.
    pub soc: Option<Percent>,
    /// Charge left.
    pub remaining: Option<MilliampHours>,
    /// Energy left.
    pub energy: Option<MilliwattHours>,
    /// Charge, discharge, idle …
    pub base_state: Option<Word>,
    /// State of the voltage.
    pub volt_state: Option<Word>,
    /// State of the current.
    pub current_state: Option<Word>,
    /// State of the temperature.
    pub temp_state: Option<Word>,
    /// State of the charge.
    pub coulomb_state: Option<Word>,
    /// State of health, as a word.
    pub soh_state: Option<Word>,
    /// Whether the heater is on.
    pub heater: Option<Word>,
    /// Whether the charging transistor conducts.
    pub charge_switch: Option<Word>,
    /// Whether the discharging transistor conducts.
    pub discharge_switch: Option<Word>,
    /// State of the cells' voltage.
    pub cell_volt_state: Option<Word>,
    /// State of the cells' temperature.
    pub cell_temp_state: Option<Word>,
    /// State of the switching transistors' temperature.
    pub mos_temp_state: Option<Word>,
    /// The system's alarm state.
    pub system_alarm: Option<Word>,
    /// Temperature of the switching transistors.
    pub mos_temperature: Option<Millicelsius>,
    /// Lowest cell voltage by the table.
    pub cell_voltage_low: Option<Millivolts>,
    /// Highest cell voltage by the table.
    pub cell_voltage_high: Option<Millivolts>,
    /// Coldest cell by the table.
    pub cell_temperature_low: Option<Millicelsius>,
    /// Warmest cell by the table.
    pub cell_temperature_high: Option<Millicelsius>,
    /// Events of the cells.
    pub battery_events: Option<EventWord>,
    /// Events of the battery.
    pub power_events: Option<EventWord>,
    /// Faults of the system.
    pub system_fault: Option<EventWord>,
    /// Event words of other names, by their label.
    pub other_events: Vec<(String, EventWord)>,
    /// The battery's own clock.
    pub clock: Option<DateTime>,
}

/// One cell in one sweep; its number is its position in the list, from 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CellReading {
    /// Voltage.
    pub voltage: Option<Millivolts>,
    /// Current of the battery.
    pub current: Option<Milliamps>,
    /// Temperature at the nearest sensor.
    pub temperature: Option<Millicelsius>,
    /// Charge, discharge, idle …
    pub base_state: Option<Word>,
    /// State of the voltage.
    pub volt_state: Option<Word>,
    /// State of the current.
    pub current_state: Option<Word>,
    /// State of the temperature.
    pub temp_state: Option<Word>,
    /// State of charge.
    pub soc: Option<Percent>,
    /// Charge left.
    pub coulomb: Option<MilliampHours>,
    /// Whether it is being balanced.
    pub balancing: Option<bool>,
}
