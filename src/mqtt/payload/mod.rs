//! What a report says, topic by topic: the status document's keys, units and rounding, in small parts.
//!
//! A key is always there, `null` where the console did not say it. A bank or battery of which nothing was heard
//! says nothing at all: a message full of nulls would count as news of it.

mod cells;
mod event;

pub(crate) use event::event;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value, json};

use crate::model::place::Place;
use crate::model::reading::{Presence, SweepKind};
use crate::model::report::BankReport;
use crate::mqtt::alarm;
use crate::mqtt::homeassistant::entities;
use crate::mqtt::homeassistant::enum_values;
use crate::mqtt::topics::Topics;
use crate::settings::CellLevel;
use crate::status::{Device, Status, rounded};

/// One message's content, and what whoever sends it needs to know of it.
#[derive(Clone, Debug)]
pub struct Part {
    /// Where it goes.
    pub topic: String,
    /// JSON.
    pub payload: Vec<u8>,
    /// What it is about.
    pub kind: Kind,
    /// Of what is said, without what changes by itself from sweep to sweep: equal means no news. Comparable within
    /// one run of the program.
    pub fingerprint: u64,
    /// Keys that Home Assistant's entities read here and that are not null.
    pub said: BTreeSet<&'static str>,
}

/// What a part is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The bank's totals, each reading.
    Bank,
    /// The spread over all cells of the bank, full readings.
    BankCells,
    /// How the service fares, full readings.
    Service,
    /// What the table says of a battery, each reading.
    Battery(Place),
    /// All that is known of a battery, full readings.
    Detail(Place),
    /// A battery's cells, full readings.
    Cells(Place),
    /// The status document, full readings.
    Document,
}

/// All that a report says. `document` is the report as the status document; `restarts` is how often parts of the
/// service were restarted.
#[must_use]
pub fn parts(
    report: &BankReport,
    document: &Status,
    topics: &Topics,
    level: CellLevel,
    restarts: u64,
) -> Vec<Part> {
    let bank = document.bank.as_str();
    let mut parts = Vec::new();
    let full = report.reading.kind == SweepKind::Full;
    if let Some(totals) = totals(report, document) {
        parts.push(part(Kind::Bank, topics.bank_state(bank), totals, &[]));
    }
    if full {
        parts.push(part(Kind::Service, topics.bank_service(bank), service(document, restarts), IN_SERVICE));
    }
    let batteries = report.reading.batteries.iter().zip(&document.devices);
    for (battery, device) in batteries.filter(|(battery, _)| battery.presence == Presence::Present) {
        let place = battery.place;
        if let Some(state) = state(device) {
            parts.push(part(Kind::Battery(place), topics.battery_state(bank, place), state, &[]));
        }
        if let Some(detail) = detail(device).filter(|_| full) {
            let further = [
                ("alarm", alarm::of_battery(report, battery).into()),
                ("balancing", alarm::balancing(battery).into()),
            ];
            let detail = with(detail, further);
            parts.push(part(Kind::Detail(place), topics.battery_detail(bank, place), detail, &[]));
        }
    }
    if full {
        parts.extend(cells::parts(report, document, topics, level));
        parts.extend(topics.document(bank).map(|topic| whole(topic, document)));
    }
    parts
}

/// Changes with every sweep.
const IN_SERVICE: &[&str] = &["last_reading", "sweep_time", "loops", "uptime"];
/// Changes with every sweep.
const IN_DOCUMENT: &[&str] = &["relay_local_time", "taken_at", "serial_stat"];

/// With one decimal more than the document has, which is pytes_serial's.
fn totals(report: &BankReport, document: &Status) -> Option<Value> {
    let statistics = &report.statistics;
    let totals = json!({
        "bank": document.bank,
        "powers": document.powers,
        "series": document.series,
        "voltage": statistics.voltage.map(|voltage| rounded(voltage.0, 2)),
        "current": statistics.current.map(|current| rounded(current.0, 2)),
        "power_w": document.power_w,
        "temperature": document.temperature,
        "soc": document.soc,
        "basic_st": document.basic_st,
        "alarm": alarm::of_bank(&report.reading),
    });
    says_something(&totals).then_some(totals)
}

fn service(document: &Status, restarts: u64) -> Value {
    let fares = &document.serial_stat;
    json!({
        "last_reading": document.taken_at,
        "sweep_time": fares.ser_round_trip,
        "efficiency": fares.efficiency,
        "loops": fares.loops,
        "errors": fares.errors,
        "uptime": fares.uptime,
        "restarts": restarts,
        "energy_charged_kwh": document.insight.energy_charged_kwh,
        "energy_discharged_kwh": document.insight.energy_discharged_kwh,
    })
}

/// What tables of all firmware have, so that a summary never says less than a full reading.
fn state(device: &Device) -> Option<Value> {
    let state = json!({
        "power": device.power,
        "voltage": device.voltage,
        "current": device.current,
        "power_w": device.power_w,
        "temperature": device.temperature,
        "soc": device.soc,
        "basic_st": device.basic_st,
        "volt_st": device.volt_st,
        "current_st": device.current_st,
        "temp_st": device.temp_st,
    });
    says_something(&state).then_some(state)
}

fn detail(device: &Device) -> Option<Value> {
    // A device has nothing that JSON lacks.
    let detail = serde_json::to_value(device).ok()?;
    says_something(&detail).then_some(detail)
}

/// Known without any answer.
const GIVEN: &[&str] = &["bank", "powers", "series", "power"];

/// Whether there is anything that a console said.
fn says_something(content: &Value) -> bool {
    let said = |(key, value): (&String, &Value)| !GIVEN.contains(&key.as_str()) && !value.is_null();
    content.as_object().is_some_and(|keys| keys.iter().any(said))
}

fn with<const N: usize>(mut value: Value, further: [(&str, Value); N]) -> Value {
    for (key, said) in further {
        value[key] = said;
    }
    value
}

fn part(kind: Kind, topic: String, content: Value, volatile: &[&str]) -> Part {
    let mut keys = match content {
        Value::Object(keys) => keys,
        _ => Map::new(),
    };
    enum_values::tame(&mut keys);
    let said = |path: &&str| match value_at(&keys, path) {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => items.iter().any(|item| !item.is_null()),
        Some(_) => true,
    };
    let said = entities::read_from(kind).filter(said).collect();
    let fingerprint = fingerprint(&keys, volatile);
    Part { topic, payload: Value::Object(keys).to_string().into_bytes(), kind, fingerprint, said }
}

/// The value at a path of keys like `lifetime.capacity_ah`.
fn value_at<'a>(keys: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let value = keys.get(first)?;
    if rest.is_empty() { Some(value) } else { value_at(value.as_object()?, rest) }
}

/// The status document as the file has it, word for word.
fn whole(topic: String, document: &Status) -> Part {
    // A document has nothing that JSON lacks.
    let payload = serde_json::to_vec(document).unwrap_or_default();
    let fingerprint = match serde_json::to_value(document) {
        Ok(Value::Object(keys)) => fingerprint(&keys, IN_DOCUMENT),
        _ => 0,
    };
    Part { topic, payload, kind: Kind::Document, fingerprint, said: BTreeSet::new() }
}

fn fingerprint(keys: &Map<String, Value>, volatile: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (key, value) in keys.iter().filter(|(key, _)| !volatile.contains(&key.as_str())) {
        (key, value).hash(&mut hasher);
    }
    hasher.finish()
}
