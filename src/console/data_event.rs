//! `data event`: one snapshot of the battery's event memory (protocol, section 9): lines of label and value
//! between two rules, then the cells as they were.

use jiff::civil::DateTime;
use serde::Serialize;

use crate::console::answer::Answer;
use crate::console::error::{ParseError, excerpt};
use crate::console::fields::{Field, field};
use crate::console::number::{date_time, event_word, integer, percent, small};
use crate::console::setters::{set, state_word};
use crate::console::table::{Column, Layout, Shape, Split, split_at_header};
use crate::model::event_word::EventWord;
use crate::model::units::{Milliamps, Millicelsius, Millivolts, Percent};
use crate::model::word::Word;

/// A snapshot of the event memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DataEvent {
    /// Its number in the memory.
    pub item: Option<i64>,
    /// When, by the battery's own clock.
    pub clock: Option<DateTime>,
    /// Voltage.
    #[serde(rename = "voltage_mv")]
    pub voltage: Option<Millivolts>,
    /// Current, positive while charging.
    #[serde(rename = "current_ma")]
    pub current: Option<Milliamps>,
    /// Temperature of the board.
    #[serde(rename = "temperature_mc")]
    pub temperature: Option<Millicelsius>,
    /// State of charge.
    #[serde(rename = "soc_percent")]
    pub soc: Option<Percent>,
    /// Charge, discharge, idle …
    pub base_state: Option<Word>,
    /// Events of the cells.
    pub battery_events: Option<EventWord>,
    /// Events of the battery.
    pub power_events: Option<EventWord>,
    /// Faults of the system.
    pub system_fault: Option<EventWord>,
    /// The other lines, by their label.
    pub other: Vec<(String, String)>,
    /// The cells.
    pub cells: Vec<EventCell>,
}

/// A cell in a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventCell {
    /// The number as printed.
    pub number: Option<u16>,
    /// Voltage of the cell.
    #[serde(rename = "voltage_mv")]
    pub voltage: Option<Millivolts>,
    /// Temperature at the sensor nearest to the cell.
    #[serde(rename = "temperature_mc")]
    pub temperature: Option<Millicelsius>,
    /// Charge, discharge, idle …
    pub base_state: Option<Word>,
    /// State of the voltage.
    pub volt_state: Option<Word>,
    /// State of charge.
    #[serde(rename = "soc_percent")]
    pub soc: Option<Percent>,
}

const COLUMNS: &[Column<EventCell>] = &[
    Column { head: "Battery", shape: Shape::Token, set: set!(id number) },
    Column { head: "Volt", shape: Shape::Token, set: set!(mv voltage) },
    Column { head: "Curr", shape: Shape::Token, set: |_, _| Ok(()) },
    Column { head: "Tempr", shape: Shape::Token, set: set!(mc temperature) },
    Column { head: "Base State", shape: Shape::Token, set: set!(word base_state) },
    Column { head: "Volt. State", shape: Shape::Token, set: set!(word volt_state) },
    Column { head: "Curr. State", shape: Shape::Token, set: |_, _| Ok(()) },
    Column { head: "Temp. State", shape: Shape::Token, set: |_, _| Ok(()) },
    Column { head: "SOC", shape: Shape::Token, set: set!(percent soc) },
    Column {
        head: "Coulomb",
        shape: Shape::Charge,
        set: |row, cut| {
            if !cut.first.is_empty() {
                row.soc = Some(Percent(percent(cut.first).ok_or("a percentage")?));
            }
            Ok(())
        },
    },
    Column { head: "BAL", shape: Shape::Token, set: |_, _| Ok(()) },
];

/// Reads a snapshot.
///
/// # Errors
/// A known line or a row is damaged, or there is nothing to read.
pub fn parse(answer: &Answer) -> Result<DataEvent, ParseError> {
    let table = split_at_header(answer, "Battery Volt").ok();
    let mut event = DataEvent::default();
    let before: Vec<(usize, &str)> = match table {
        None => answer.lines().collect(),
        Some(Split { before, header, rows }) => {
            let layout = Layout::of(header, COLUMNS);
            event.cells = rows
                .into_iter()
                .filter(|(_, line)| !line.trim().bytes().all(|byte| byte == b'-'))
                .map(|(number, line)| layout.read(number, line))
                .collect::<Result<_, _>>()?;
            before
        }
    };
    let mut read = 0;
    for field in before.into_iter().filter_map(|(line, text)| field(line, text)) {
        take(&mut event, &field).map_err(|expected| field.expected(expected))?;
        read += 1;
    }
    if read == 0 {
        return Err(ParseError::Nothing { expected: "lines of label and value", lines: answer.len() });
    }
    Ok(event)
}

fn take(event: &mut DataEvent, field: &Field<'_>) -> Result<(), &'static str> {
    let words = || Some(event_word(field.value).ok_or("an event word like 0x2"));
    let number = || field.value.split_ascii_whitespace().next().and_then(small);
    match field.label.0 {
        "Item Index" | "Rec Item Index" => event.item = integer(field.value),
        "Time" => {
            let mut parts = field.value.split_ascii_whitespace();
            let (date, time) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            event.clock = date_time(date, time).ok_or("a date and a time")?;
        }
        "Voltage" => event.voltage = Some(Millivolts(number().ok_or("a whole number of mV")?)),
        "Current" => event.current = Some(Milliamps(number().ok_or("a whole number of mA")?)),
        "Temperature" => event.temperature = Some(Millicelsius(number().ok_or("a whole number of mC")?)),
        "Percent" => {
            let digits = field.value.trim_end_matches(['%', ' ']);
            event.soc = Some(Percent(small(digits).ok_or("a percentage")?));
        }
        "Base State" => event.base_state = Some(state_word(field.value)?),
        "Bat Events" => event.battery_events = words().transpose()?,
        "Power Events" => event.power_events = words().transpose()?,
        "System Fault" => event.system_fault = words().transpose()?,
        other => event.other.push((excerpt(other), excerpt(field.value))),
    }
    Ok(())
}
