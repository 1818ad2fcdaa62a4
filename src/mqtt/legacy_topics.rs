//! The predecessor's topics, one a value, for those who have built on them.
//!
//! ```text
//! pytes_serial/pytes/voltage                       {"value": 52.7}      the bank
//! pytes_serial/pytes/1/soc                         {"value": 81}        battery 2
//! pytes_serial/pytes/1/cells/voltage_max           {"value": 3.312}     its cells together
//! pytes_serial/pytes/1/cells/3/voltage             {"value": 3.295}     its cell 4
//! pytes_serial/pytes/serial_stat                   {"loops": 12, …}     the service
//! ```
//! Batteries and cells count from 0 here, as the predecessor's did. What is not said is `{"value": null}`: the
//! broker keeps these, and would show an older value to whoever comes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::model::place::Place;
use crate::mqtt::message::Message;
use crate::settings::CellLevel;
use crate::status::Status;

/// The predecessor's first level.
const ROOT: &str = "pytes_serial";

/// Everything is said again this long after it was.
const AGAIN: Duration = Duration::from_secs(5 * 60);

const OF_BANK: &[&str] =
    &["relay_local_time", "powers", "voltage", "current", "temperature", "soc", "basic_st"];

const OF_BATTERY: &[&str] = &[
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

const STATISTICS: &[&str] = &[
    "voltage_delta",
    "voltage_min",
    "voltage_max",
    "temperature_delta",
    "temperature_min",
    "temperature_max",
];

/// A cell's keys and the level from which on each is said.
const OF_CELL: &[(CellLevel, &str)] = &[
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

/// Whether pytes_serial published values of `bank` at that topic: one a topic, and before 0.7 all of them at one.
#[must_use]
pub(crate) fn is_state_of(bank: &str, topic: &str) -> bool {
    let value = topic.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('/')?.strip_prefix(bank));
    let is_value = value.is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'));
    is_value || topic == format!("homeassistant/sensor/{bank}/state")
}

/// What a topic's value is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// The bank.
    Bank,
    /// A battery.
    Battery(Place),
    /// A battery's cells together.
    Statistics(Place),
    /// A cell, from 1.
    Cell(Place, usize),
}

impl Of {
    /// Where its value of that key goes.
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

    /// The broker kept the predecessor's values of bank and batteries, and no others.
    fn kept(self) -> bool {
        matches!(self, Self::Bank | Self::Battery(_))
    }
}

/// What was said in these topics of one bank; only what has changed is said again.
#[derive(Clone, Debug, Default)]
pub struct Legacy {
    said: BTreeMap<String, Value>,
    all_since: Option<Instant>,
}

impl Legacy {
    /// Nothing said yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another connection: the broker may have forgotten everything.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// What is to be said of a full reading at `now`: what has changed, or everything where that is due.
    pub fn messages(&mut self, now: Instant, document: &Status, level: CellLevel) -> Vec<Message> {
        if self.all_since.is_none_or(|since| now.saturating_duration_since(since) >= AGAIN) {
            self.said.clear();
            self.all_since = Some(now);
        }
        let mut news = Vec::new();
        each_value(document, level, |of, key, value| {
            let topic = of.topic(&document.bank, key);
            if self.said.get(&topic) == Some(&value) {
                return;
            }
            let payload =
                if value.is_object() { value.to_string() } else { format!("{{\"value\": {value}}}") };
            news.push(Message { topic: topic.clone(), payload: payload.into_bytes(), retained: of.kept() });
            self.said.insert(topic, value);
        });
        news
    }
}

/// Every value that the predecessor had a topic for.
fn each_value(document: &Status, level: CellLevel, mut say: impl FnMut(Of, &'static str, Value)) {
    // A document has nothing that JSON lacks.
    let Ok(document) = serde_json::to_value(document) else { return };
    let list = |key: &str| document[key].as_array().into_iter().flatten();
    let place = |value: &Value| value["power"].as_u64().and_then(|n| Place::new(u8::try_from(n).ok()?));
    for key in OF_BANK {
        say(Of::Bank, key, document[*key].clone());
    }
    for battery in list("devices") {
        let Some(place) = place(battery) else { continue };
        for key in OF_BATTERY {
            say(Of::Battery(place), key, battery[*key].clone());
        }
    }
    for cells in list("cells_data").filter(|_| level > CellLevel::Off) {
        let Some(place) = place(cells) else { continue };
        for key in STATISTICS.iter().filter(|_| level >= CellLevel::Medium) {
            say(Of::Statistics(place), key, cells[*key].clone());
        }
        for (number, cell) in (1..).zip(cells["cells"].as_array().into_iter().flatten()) {
            for (_, key) in OF_CELL.iter().filter(|(from, _)| level >= *from) {
                say(Of::Cell(place, number), key, cell[*key].clone());
            }
        }
    }
    say(Of::Bank, "serial_stat", document["serial_stat"].clone());
}
