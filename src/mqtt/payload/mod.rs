//! The payloads of a report, topic by topic: keys, units and rounding of the status document, in small messages.
//!
//! Every key is always there, `null` if the console did not report the value. A bank or battery without any value has
//! no message: one full of nulls would keep its entities available.

mod cells;
mod event;
pub mod topic_payload;

pub(crate) use self::event::event;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::model::reading::{Presence, SweepKind};
use crate::model::report::BankReport;
use crate::mqtt::alarm;
use crate::mqtt::message_kind::MessageKind;
use crate::mqtt::payload::topic_payload::{TopicPayload, build_payload, fingerprint};
use crate::mqtt::topics::Topics;
use crate::settings::CellLevel;
use crate::status::{Device, StatusDocument, rounded};

/// All payloads of a report. `document` is the report as the status document; `restarts` counts the restarted parts of
/// the service.
#[must_use]
pub fn payloads(
    report: &BankReport,
    document: &StatusDocument,
    topics: &Topics,
    level: CellLevel,
    restarts: u64,
) -> Vec<TopicPayload> {
    let bank = document.bank.as_str();
    let mut payloads = Vec::new();
    let full = report.reading.kind == SweepKind::Full;
    if let Some(totals) = totals(report, document) {
        payloads.push(build_payload(MessageKind::Bank, topics.bank_state(bank), totals, &[]));
    }
    if full {
        payloads.push(build_payload(
            MessageKind::Service,
            topics.bank_service(bank),
            service(document, restarts),
            VOLATILE_IN_SERVICE,
        ));
    }
    let batteries = report.reading.batteries.iter().zip(&document.devices);
    for (battery, device) in batteries.filter(|(battery, _)| battery.presence == Presence::Present) {
        let place = battery.place;
        if let Some(state) = state(device) {
            payloads.push(build_payload(
                MessageKind::Battery(place),
                topics.battery_state(bank, place),
                state,
                &[],
            ));
        }
        if let Some(detail) = detail(device).filter(|_| full) {
            let alarms = [
                ("alarm", alarm::battery_alarm(report, battery).into()),
                ("balancing", alarm::is_balancing(battery).into()),
            ];
            let detail = insert(detail, alarms);
            payloads.push(build_payload(
                MessageKind::Detail(place),
                topics.battery_detail(bank, place),
                detail,
                &[],
            ));
        }
    }
    if full {
        payloads.extend(cells::payloads(report, document, topics, level));
        payloads.extend(topics.document(bank).map(|topic| document_payload(topic, document)));
    }
    payloads
}

/// Change with every sweep.
const VOLATILE_IN_SERVICE: &[&str] = &["last_reading", "sweep_time", "loops", "uptime"];
/// Change with every sweep.
const VOLATILE_IN_DOCUMENT: &[&str] = &["relay_local_time", "taken_at", "serial_stat"];

/// With one decimal more than the document, which rounds as pytes_serial does.
fn totals(report: &BankReport, document: &StatusDocument) -> Option<Value> {
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
        "alarm": alarm::bank_alarm(&report.reading),
    });
    has_values(&totals).then_some(totals)
}

fn service(document: &StatusDocument, restarts: u64) -> Value {
    let stat = &document.serial_stat;
    json!({
        "last_reading": document.taken_at,
        "sweep_time": stat.ser_round_trip,
        "efficiency": stat.efficiency,
        "loops": stat.loops,
        "errors": stat.errors,
        "uptime": stat.uptime,
        "restarts": restarts,
        "energy_charged_kwh": document.insight.energy_charged_kwh,
        "energy_discharged_kwh": document.insight.energy_discharged_kwh,
    })
}

/// Values that the tables of all firmware have, so that a summary never has fewer than a full reading.
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
    has_values(&state).then_some(state)
}

fn detail(device: &Device) -> Option<Value> {
    // Serializing a device can't fail.
    let detail = serde_json::to_value(device).ok()?;
    has_values(&detail).then_some(detail)
}

/// Known without an answer of the console.
const KNOWN_KEYS: &[&str] = &["bank", "powers", "series", "power"];

/// Whether there is any value from the console.
fn has_values(content: &Value) -> bool {
    let is_value = |(key, value): (&String, &Value)| !KNOWN_KEYS.contains(&key.as_str()) && !value.is_null();
    content.as_object().is_some_and(|keys| keys.iter().any(is_value))
}

fn insert<const N: usize>(mut value: Value, entries: [(&str, Value); N]) -> Value {
    for (key, entry) in entries {
        value[key] = entry;
    }
    value
}

/// The status document exactly as in the JSON file.
fn document_payload(topic: String, document: &StatusDocument) -> TopicPayload {
    // Serializing a status document can't fail.
    let payload = serde_json::to_vec(document).unwrap_or_default();
    let fingerprint = match serde_json::to_value(document) {
        Ok(Value::Object(keys)) => fingerprint(&keys, VOLATILE_IN_DOCUMENT),
        _ => 0,
    };
    TopicPayload { topic, payload, kind: MessageKind::Document, fingerprint, present_keys: BTreeSet::new() }
}
