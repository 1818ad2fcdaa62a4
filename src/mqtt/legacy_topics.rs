//! The topics of pytes_serial, one per value, for dashboards and scripts that rely on them.
//!
//! ```text
//! pytes_serial/pytes/voltage                       {"value": 52.7}      the bank
//! pytes_serial/pytes/1/soc                         {"value": 81}        battery 2
//! pytes_serial/pytes/1/cells/voltage_max           {"value": 3.312}     statistics of its cells
//! pytes_serial/pytes/1/cells/3/voltage             {"value": 3.295}     its cell 4
//! pytes_serial/pytes/serial_stat                   {"loops": 12, …}     the service
//! ```
//! Batteries and cells count from 0 here, as in pytes_serial. A missing value is `{"value": null}`: the topics are
//! retained, and an older value would stay otherwise.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::model::place::Place;
use crate::mqtt::message::Message;
use crate::settings::CellLevel;
use crate::status::StatusDocument;

/// First level of the topics.
const ROOT: &str = "pytes_serial";

/// All values are published again after this long.
const REPEAT_AFTER: Duration = Duration::from_secs(5 * 60);

const BANK_KEYS: &[&str] =
    &["relay_local_time", "powers", "voltage", "current", "temperature", "soc", "basic_st"];

const BATTERY_KEYS: &[&str] = &[
    "voltage",
    "current",
    "temperature",
    "soc",
    "basic_st",
    "volt_st",
    "current_st",
    "temp_st",
    "soh_st",
    "coul_st",
    "heater_st",
    "bat_events",
    "power_events",
    "sys_events",
];

const STATISTICS_KEYS: &[&str] = &[
    "voltage_delta",
    "voltage_min",
    "voltage_max",
    "temperature_delta",
    "temperature_min",
    "temperature_max",
];

/// The keys of a cell, each with the lowest level that has it.
const CELL_KEYS: &[(CellLevel, &str)] = &[
    (CellLevel::Low, "voltage"),
    (CellLevel::Medium, "temperature"),
    (CellLevel::Medium, "volt_st"),
    (CellLevel::High, "current"),
    (CellLevel::High, "basic_st"),
    (CellLevel::High, "curr_st"),
    (CellLevel::High, "temp_st"),
    (CellLevel::High, "soc"),
    (CellLevel::High, "coulomb"),
];

/// Whether pytes_serial published values of `bank` at that topic: one per topic, before 0.7 all at one topic.
#[must_use]
pub(crate) fn is_state_of(bank: &str, topic: &str) -> bool {
    let value = topic.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('/')?.strip_prefix(bank));
    let is_value = value.is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'));
    is_value || topic == format!("homeassistant/sensor/{bank}/state")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LegacyScope {
    Bank,
    Battery(Place),
    /// Statistics of the cells of a battery.
    Statistics(Place),
    /// With the number of the cell, from 1.
    Cell(Place, usize),
}

impl LegacyScope {
    #[must_use]
    pub(crate) fn topic(self, bank: &str, key: &str) -> String {
        match self {
            Self::Bank => format!("{ROOT}/{bank}/{key}"),
            Self::Battery(place) => format!("{ROOT}/{bank}/{}/{key}", place.index()),
            Self::Statistics(place) => format!("{ROOT}/{bank}/{}/cells/{key}", place.index()),
            Self::Cell(place, cell) => {
                format!("{ROOT}/{bank}/{}/cells/{}/{key}", place.index(), cell.saturating_sub(1))
            }
        }
    }

    /// pytes_serial retained the values of bank and batteries, and no others.
    fn is_retained(self) -> bool {
        matches!(self, Self::Bank | Self::Battery(_))
    }
}

/// The values of one bank that were published last; only changed values are published again.
#[derive(Clone, Debug, Default)]
pub struct LegacyTopics {
    published: BTreeMap<String, Value>,
    all_published_at: Option<Instant>,
}

impl LegacyTopics {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For a new connection: the broker may have lost everything.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The changed values of a full reading, or all values if that is due.
    pub fn messages(&mut self, now: Instant, document: &StatusDocument, level: CellLevel) -> Vec<Message> {
        if self.all_published_at.is_none_or(|at| now.saturating_duration_since(at) >= REPEAT_AFTER) {
            self.published.clear();
            self.all_published_at = Some(now);
        }
        let mut messages = Vec::new();
        each_value(document, level, |of, key, value| {
            let topic = of.topic(&document.bank, key);
            if self.published.get(&topic) == Some(&value) {
                return;
            }
            let payload =
                if value.is_object() { value.to_string() } else { format!("{{\"value\": {value}}}") };
            messages.push(Message {
                topic: topic.clone(),
                payload: payload.into_bytes(),
                retained: of.is_retained(),
            });
            self.published.insert(topic, value);
        });
        messages
    }
}

fn each_value(
    document: &StatusDocument,
    level: CellLevel,
    mut visit: impl FnMut(LegacyScope, &'static str, Value),
) {
    // Serializing a status document can't fail.
    let Ok(document) = serde_json::to_value(document) else { return };
    let list = |key: &str| document[key].as_array().into_iter().flatten();
    let place = |value: &Value| value["power"].as_u64().and_then(|n| Place::new(u8::try_from(n).ok()?));
    for key in BANK_KEYS {
        visit(LegacyScope::Bank, key, document[*key].clone());
    }
    for battery in list("devices") {
        let Some(place) = place(battery) else { continue };
        for key in BATTERY_KEYS {
            visit(LegacyScope::Battery(place), key, battery[*key].clone());
        }
    }
    for cells in list("cells_data").filter(|_| level > CellLevel::Off) {
        let Some(place) = place(cells) else { continue };
        for key in STATISTICS_KEYS.iter().filter(|_| level >= CellLevel::Medium) {
            visit(LegacyScope::Statistics(place), key, cells[*key].clone());
        }
        for (number, cell) in (1..).zip(cells["cells"].as_array().into_iter().flatten()) {
            for (_, key) in CELL_KEYS.iter().filter(|(from, _)| level >= *from) {
                visit(LegacyScope::Cell(place, number), key, cell[*key].clone());
            }
        }
    }
    visit(LegacyScope::Bank, "serial_stat", document["serial_stat"].clone());
}
