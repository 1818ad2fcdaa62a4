//! Formats the lines of the event log, for people and for scripts that split lines at `|`.
//!
//! ```text
//! 20261122 06:00:46| WARNING| pytes|2|raised|power|0x2|PHV|High voltage alarm||
//! 20261122 06:00:46| WARNING| Power|Cell|Voltage |Temperature|Volt_st  |Bat_events|Pwr_events|Sys_events|
//! 20261122 06:00:46| WARNING| -----|----|--------|-----------|---------|----------|----------|----------|
//! 20261122 06:00:46| WARNING|     2|   1|   3.295|       22.0|Normal   |       0x0|       0x2|       0x0|
//! 20261122 06:01:46| WARNING| pytes|2|cleared|power|0x2|PHV|High voltage alarm|1m0s|
//! ```
//! Times and table have the format of pytes_serial.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::event::{Event, EventKind, EventLevel};
use crate::model::place::Place;
use crate::model::reading::BatteryReading;
use crate::model::report::BankReport;
use crate::outage::HumanDuration;

#[derive(Debug)]
pub struct LogText {
    level: EventLevel,
    cells: bool,
    zone: TimeZone,
    /// Batteries, and the level of their event, whose cells still have to be written because the reading that raised
    /// the event had none.
    pending_cells: BTreeMap<Arc<str>, BTreeMap<Place, EventLevel>>,
}

/// The column headers, padded to the width of the columns.
const COLUMNS: [&str; 8] =
    ["Power", "Cell", "Voltage ", "Temperature", "Volt_st  ", "Bat_events", "Pwr_events", "Sys_events"];

impl LogText {
    /// Formats events at or above `level`, with the cells of their battery if `cells`; times are in `zone`.
    #[must_use]
    pub fn new(level: EventLevel, cells: bool, zone: TimeZone) -> Self {
        Self { level, cells, zone, pending_cells: BTreeMap::new() }
    }

    /// Returns the lines for these events and for pending cells, or `None` if there are none.
    pub fn block(&mut self, events: &[Event], report: Option<&BankReport>) -> Option<String> {
        let mut block = String::new();
        for event in events.iter().filter(|event| event.level >= self.level) {
            self.line(&mut block, event.at, event.level, &fields(event));
            if let Some(place) = event.battery.filter(|_| self.cells && event.kind == EventKind::Raised) {
                let pending = self.pending_cells.entry(event.bank.clone()).or_default();
                let level = pending.entry(place).or_insert(event.level);
                *level = event.level.max(*level);
            }
        }
        if let Some(report) = report
            && let Some(mut pending) = self.pending_cells.remove(&report.reading.bank)
        {
            for battery in report.reading.batteries.iter().filter(|battery| battery.cells.is_some()) {
                if let Some(level) = pending.remove(&battery.place) {
                    self.table(&mut block, report.reading.taken_at, level, battery);
                }
            }
            self.pending_cells.insert(report.reading.bank.clone(), pending);
        }
        (!block.is_empty()).then_some(block)
    }

    /// Adds the cells of a battery with its event words.
    fn table(&self, block: &mut String, at: Timestamp, level: EventLevel, battery: &BatteryReading) {
        self.line(block, at, level, &COLUMNS.join("|"));
        self.line(block, at, level, &COLUMNS.map(|head| "-".repeat(head.len())).join("|"));
        let measured = &battery.measured;
        let words = [&measured.battery_events, &measured.power_events, &measured.system_fault];
        let words = words.map(|word| or_dash(word.as_ref().map(|word| format!("{:#x}", word.bits))));
        for (number, cell) in battery.cells.iter().flatten().enumerate() {
            let row = [
                format!("{:>5}", battery.place.number()),
                format!("{:>4}", number + 1),
                format!("{:>8}", or_dash(cell.voltage.map(|voltage| format!("{:.3}", voltage.volts())))),
                format!(
                    "{:>11}",
                    or_dash(cell.temperature.map(|temperature| format!("{:.1}", temperature.celsius())))
                ),
                format!("{:<9}", or_dash(cell.volt_state.as_ref().map(|state| sanitize(state.as_str())))),
                format!("{:>10}|{:>10}|{:>10}", words[0], words[1], words[2]),
            ];
            self.line(block, at, level, &row.join("|"));
        }
    }

    fn line(&self, block: &mut String, at: Timestamp, level: EventLevel, fields: &str) {
        let time = at.to_zoned(self.zone.clone()).strftime("%Y%m%d %H:%M:%S");
        block.push_str(&format!("{time}|{:>8}| {fields}|\n", level.word().to_uppercase()));
    }
}

/// Returns the fields of an event; a field without a value is empty.
fn fields(event: &Event) -> String {
    let fields = [
        event.bank.to_string(),
        or_dash(event.battery),
        event.kind.word().to_owned(),
        event.word.to_string(),
        event.condition.to_string(),
        event.name.clone().unwrap_or_default(),
        event.text.clone(),
        event.duration.map(|duration| HumanDuration(duration).to_string()).unwrap_or_default(),
    ];
    fields.map(|field| sanitize(&field)).join("|")
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Replaces bars and control characters, which would break the line or add a column.
fn sanitize(text: &str) -> String {
    text.chars().map(|c| if c == '|' || c.is_control() { '?' } else { c }).collect()
}
