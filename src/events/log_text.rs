//! What is written into the log of events: for people, and for whoever splits lines at `|`.
//!
//! ```text
//! 20261122 06:00:46| WARNING| pytes|2|raised|power|0x2|PHV|High voltage alarm||
//! 20261122 06:00:46| WARNING| Power|Cell|Voltage |Temperature|Volt_st  |Bat_events|Pwr_events|Sys_events|
//! 20261122 06:00:46| WARNING| -----|----|--------|-----------|---------|----------|----------|----------|
//! 20261122 06:00:46| WARNING|     2|   1|   3.295|       22.0|Normal   |       0x0|       0x2|       0x0|
//! 20261122 06:01:46| WARNING| pytes|2|cleared|power|0x2|PHV|High voltage alarm|1m0s|
//! ```
//! Times and table are the predecessor's. Pure: reports and events in, blocks of lines out.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::event::{Event, EventKind, EventLevel};
use crate::model::place::Place;
use crate::model::reading::BatteryReading;
use crate::model::report::BankReport;
use crate::outage::HumanDuration;

/// Makes the lines.
#[derive(Debug)]
pub struct LogText {
    level: EventLevel,
    cells: bool,
    zone: TimeZone,
    /// Batteries with an event that is written, and its weight, whose cells are not: the reading that told of it
    /// had none.
    owed: BTreeMap<Arc<str>, BTreeMap<Place, EventLevel>>,
}

/// The heads of the table, as wide as their columns.
const COLUMNS: [&str; 8] =
    ["Power", "Cell", "Voltage ", "Temperature", "Volt_st  ", "Bat_events", "Pwr_events", "Sys_events"];

impl LogText {
    /// Writes events from `level` on, with the cells of their battery if `cells`; times are those of `zone`.
    #[must_use]
    pub fn new(level: EventLevel, cells: bool, zone: TimeZone) -> Self {
        Self { level, cells, zone, owed: BTreeMap::new() }
    }

    /// The lines for these events, and for the cells that an earlier reading left owing; nothing where there are
    /// none.
    pub fn block(&mut self, events: &[Event], report: Option<&BankReport>) -> Option<String> {
        let mut block = String::new();
        for event in events.iter().filter(|event| event.level >= self.level) {
            self.line(&mut block, event.at, event.level, &fields(event));
            if let Some(place) = event.battery.filter(|_| self.cells && event.kind == EventKind::Raised) {
                let owed = self.owed.entry(event.bank.clone()).or_default();
                let level = owed.entry(place).or_insert(event.level);
                *level = event.level.max(*level);
            }
        }
        if let Some(report) = report
            && let Some(mut owed) = self.owed.remove(&report.reading.bank)
        {
            for battery in report.reading.batteries.iter().filter(|battery| battery.cells.is_some()) {
                if let Some(level) = owed.remove(&battery.place) {
                    self.table(&mut block, report.reading.taken_at, level, battery);
                }
            }
            self.owed.insert(report.reading.bank.clone(), owed);
        }
        (!block.is_empty()).then_some(block)
    }

    /// The cells of a battery, with its event words.
    fn table(&self, block: &mut String, at: Timestamp, level: EventLevel, battery: &BatteryReading) {
        self.line(block, at, level, &COLUMNS.join("|"));
        self.line(block, at, level, &COLUMNS.map(|head| "-".repeat(head.len())).join("|"));
        let measured = &battery.measured;
        let words = [&measured.battery_events, &measured.power_events, &measured.system_fault];
        let words = words.map(|word| shown(word.as_ref().map(|word| format!("{:#x}", word.bits))));
        for (number, cell) in battery.cells.iter().flatten().enumerate() {
            let row = [
                format!("{:>5}", battery.place.number()),
                format!("{:>4}", number + 1),
                format!("{:>8}", shown(cell.voltage.map(|voltage| format!("{:.3}", voltage.volts())))),
                format!("{:>11}", shown(cell.temperature.map(|warmth| format!("{:.1}", warmth.celsius())))),
                format!("{:<9}", shown(cell.volt_state.as_ref().map(|state| plain(state.as_str())))),
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

/// An event's own line; each field has its place, also where it is empty.
fn fields(event: &Event) -> String {
    let fields = [
        event.bank.to_string(),
        shown(event.battery),
        event.kind.word().to_owned(),
        event.word.to_string(),
        event.sign.to_string(),
        event.name.clone().unwrap_or_default(),
        event.text.clone(),
        event.duration.map(|duration| HumanDuration(duration).to_string()).unwrap_or_default(),
    ];
    fields.map(|field| plain(&field)).join("|")
}

/// What there is, or a dash.
fn shown(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Text from a console or a catalogue, so that it neither breaks its line nor adds a column.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c == '|' || c.is_control() { '?' } else { c }).collect()
}
