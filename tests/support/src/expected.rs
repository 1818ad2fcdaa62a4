//! The expected status document, computed only from what a simulated console printed.

use bankwatch::internals::simulator::{
    AnswerHistory, PrintedCellRow, PrintedDetail, PrintedUnitRow, PrintedValues,
};
use serde_json::{Value, json};

/// A number that the document rounds; halfway between two values either one is accepted.
fn near(value: f64, decimals: i32) -> Value {
    json!({ "exactly": value, "decimals": decimals, "slack": 0.0 })
}

/// A mean, which is rounded to thousandths first and then for the document.
fn near_mean(values: &[i32], decimals: i32) -> Value {
    let sum: f64 = values.iter().copied().map(f64::from).sum();
    json!({ "exactly": sum / values.len() as f64 / 1000.0, "decimals": decimals, "slack": 0.0005 })
}

fn milli(value: i32, decimals: i32) -> Value {
    near(f64::from(value) / 1000.0, decimals)
}

fn watts(millivolts: i32, milliamps: i32) -> Value {
    let exactly = f64::from(millivolts) * f64::from(milliamps) / 1e6;
    json!({ "exactly": exactly, "decimals": 1, "slack": 0.0005 })
}

/// The first difference between the document and the expected one, with its path.
pub fn difference(path: &str, found: &Value, expected: &Value) -> Option<String> {
    let differs = || Some(format!("{path}: expected {expected}, found {found}"));
    match (found, expected) {
        (Value::Number(found), Value::Object(rounded)) if rounded.contains_key("exactly") => {
            let [exactly, decimals, slack] =
                ["exactly", "decimals", "slack"].map(|key| rounded[key].as_f64().expect("a number"));
            let (found, step) = (found.as_f64().expect("a number"), 10f64.powf(-decimals));
            let on_grid = ((found / step) - (found / step).round()).abs() < 1e-6;
            let close = (found - exactly).abs() <= step / 2.0 + slack + 1e-9;
            if on_grid && close { None } else { differs() }
        }
        (Value::Number(found), Value::Number(expected)) if found.as_f64() == expected.as_f64() => None,
        (Value::Object(found), Value::Object(expected)) => {
            let missing = expected.keys().find(|key| !found.contains_key(*key));
            let further = found.keys().find(|key| !expected.contains_key(*key));
            match missing.or(further) {
                Some(key) => Some(format!("{path}: the key {key:?} is in one of them alone")),
                None => expected
                    .iter()
                    .find_map(|(key, value)| difference(&format!("{path}.{key}"), &found[key], value)),
            }
        }
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => {
            let mut pairs = found.iter().zip(expected).enumerate();
            pairs.find_map(|(at, (found, expected))| difference(&format!("{path}[{at}]"), found, expected))
        }
        _ if found == expected => None,
        _ => differs(),
    }
}

/// Keys of the bank and of each battery that are derived from many sweeps, so that no answer contains them.
const COUNTED: &[&str] = &[
    "energy_charged_kwh",
    "energy_discharged_kwh",
    "charge_in_ah",
    "charge_out_ah",
    "round_trip_efficiency_percent",
    "time_to_full_h",
    "time_to_empty_h",
    "time_to_target_h",
    "active_events",
];
/// Such keys that only batteries have.
const LEARNED: &[&str] = &[
    "battery_energy_charged_kwh",
    "battery_energy_discharged_kwh",
    "battery_charge_in_ah",
    "battery_charge_out_ah",
    "health",
    "health_reasons",
    "lowest_cell",
    "lowest_cell_percent",
    "highest_cell",
    "highest_cell_percent",
    "spread_rest_mv",
    "spread_load_mv",
    "balancing_percent",
    "capacity_seen_ah",
    "current_share_percent",
    "days_since_full",
    "cycles_by_charge",
    "trend",
];

/// Further keys of a battery, some of which only some dialects have; `every_field_of_a_reading_is_in_every_output`
/// checks them.
const FURTHER: &[&str] = &[
    "charge_switch",
    "discharge_switch",
    "cell_volt_state",
    "cell_temp_state",
    "mos_temp_state",
    "system_alarm",
    "mos_temperature",
    "remaining_ah",
    "energy_kwh",
    "lifetime",
];

/// Removes the derived keys; returns an error for a missing one.
fn remove_derived_keys(status: &mut Value) -> Option<String> {
    let take = |value: &mut Value, keys: &[&str]| {
        let object = value.as_object_mut().expect("an object");
        keys.iter()
            .find(|key| object.remove(**key).is_none())
            .map(|key| format!("the key {key:?} is missing"))
    };
    let bank = take(status, COUNTED);
    let devices = status["devices"].as_array_mut().expect("a list").iter_mut();
    let devices = devices
        .filter_map(|device| [COUNTED, LEARNED, FURTHER].into_iter().find_map(|keys| take(device, keys)));
    devices.chain(bank).last()
}

/// Checks and removes what does not come from the console: times, derived values and service statistics. At most
/// `errors` sweeps may have been incomplete. Returns the rest of the document and the first error.
pub fn check_service_keys(status: &Value, errors: u64) -> (Value, Option<String>) {
    let mut status = status.clone();
    let missing_key = remove_derived_keys(&mut status);
    let object = status.as_object_mut().expect("an object");
    let mut take = |key: &str| object.remove(key).unwrap_or_default();
    let form = |text: &Value, pattern: &str| {
        let text = text.as_str().unwrap_or_default();
        text.len() == pattern.len()
            && text.bytes().zip(pattern.bytes()).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
    };
    let (local, utc, counts) = (take("relay_local_time"), take("taken_at"), take("serial_stat"));
    let counters = ["uptime", "loops", "errors", "bat_events_no", "pwr_events_no", "sys_events_no"];
    let wrong = if !form(&local, "0000-00-00 00:00:00") {
        Some(format!("relay_local_time is {local}"))
    } else if !form(&utc, "0000-00-00T00:00:00.000Z") {
        Some(format!("taken_at is {utc}"))
    } else if counters.iter().any(|key| !counts[key].is_number()) || counts["loops"].as_u64() < Some(1) {
        Some(format!("serial_stat is {counts}"))
    } else if counts["errors"].as_u64() > Some(errors) || (errors == 0 && counts["efficiency"] != 100.0) {
        Some(format!("at most {errors} sweeps may be incomplete, but serial_stat is {counts}"))
    } else if errors == 0 && withheld(&counts["plausibility"]) != Some(0) {
        Some(format!("values of a sound bank were withheld: {counts}"))
    } else {
        missing_key
    };
    (status, wrong)
}

/// The total number of withheld values.
fn withheld(counts: &Value) -> Option<u64> {
    counts.as_object()?.values().map(Value::as_u64).sum()
}

/// What the answer history does not contain: the heater state that the dialect prints, and the number of places.
#[derive(Clone, Copy)]
pub struct ExpectedExtras<'a> {
    pub heater: Option<&'a str>,
    pub places: usize,
}

/// The expected document of a 48 V bank.
pub fn bank(truth: &AnswerHistory, extras: ExpectedExtras<'_>) -> Option<Value> {
    let PrintedValues::Table(rows) = &truth.latest("pwr")?.values else { return None };
    let there = |place: usize| rows.iter().any(|row| row.place == place && row.present);
    let detail = |place: usize| match &truth.latest(&format!("pwr {place}"))?.values {
        PrintedValues::Detail(detail) => Some((**detail).clone()),
        _ => None,
    };
    let mut details = Vec::new();
    for place in (1..=extras.places).filter(|place| there(*place)) {
        details.push(detail(place)?);
    }
    let all = |pick: fn(&PrintedDetail) -> i32| details.iter().map(pick).collect::<Vec<_>>();
    let socs = all(|detail| detail.soc);
    let milliwatts: f64 =
        details.iter().map(|d| f64::from(d.voltage_mv) * f64::from(d.current_ma) / 1e6).sum();
    let cells = |place: usize| match &truth.latest(&format!("bat {place}")).filter(|_| there(place))?.values {
        PrintedValues::Cells { cells, .. } => Some(cells.as_slice()),
        _ => None,
    };
    let polled = (1..=extras.places).any(|place| cells(place).is_some());
    let devices: Vec<Value> = (1..=extras.places)
        .map(|place| device(truth, place, details.iter().find(|detail| detail.place == place), extras.heater))
        .collect();
    Some(json!({
        "bank": "bank",
        "powers": extras.places,
        "voltage": near_mean(&all(|detail| detail.voltage_mv), 1),
        "current": near(f64::from(all(|detail| detail.current_ma).iter().sum::<i32>()) / 1000.0, 1),
        "power_w": json!({ "exactly": milliwatts, "decimals": 1, "slack": 0.0005 * details.len() as f64 }),
        "temperature": near_mean(&all(|detail| detail.temperature_mc), 1),
        "soc": socs.iter().sum::<i32>() / socs.len() as i32,
        "basic_st": details.iter().find(|detail| detail.place == 1).map(|detail| detail.base_state.clone()),
        "series": false,
        "devices": devices,
        "cells_data": (1..=extras.places).filter(|_| polled)
            .map(|place| spread(place, cells(place), true)).collect::<Vec<_>>(),
    }))
}

/// A value that `info` or `stat` printed for a battery; without a number these commands mean the first battery.
fn label(truth: &AnswerHistory, verb: &str, place: usize, label: &str) -> Option<String> {
    let numbered = truth.latest(&format!("{verb} {place}")).map(|answer| &answer.values);
    let of_values = |values: &PrintedValues| match values {
        PrintedValues::Info(lines) => {
            lines.iter().find(|(name, _)| name == label).map(|(_, value)| value.clone())
        }
        PrintedValues::Stat(lines) => {
            lines.iter().find(|(name, _)| name == label).map(|(_, value)| value.to_string())
        }
        _ => None,
    };
    numbered.and_then(of_values).or_else(|| {
        let bare = truth.latest(verb).filter(|_| place == 1)?;
        of_values(&bare.values)
    })
}

fn device(
    truth: &AnswerHistory,
    place: usize,
    detail: Option<&PrintedDetail>,
    heater: Option<&str>,
) -> Value {
    let Some(detail) = detail else { return absent_device(place) };
    let info = |name: &str| label(truth, "info", place, name).filter(|value| !value.is_empty());
    let stat = |name: &str| label(truth, "stat", place, name).and_then(|value| value.parse::<i64>().ok());
    let row = truth.answers.iter().rev().find_map(|answer| match &answer.values {
        PrintedValues::Table(rows) => rows.iter().find(|row| row.place == place && row.present),
        _ => None,
    });
    let row =
        |pick: fn(&bankwatch::internals::simulator::PrintedTableRow) -> Option<String>| row.and_then(pick);
    let ampere_hours = info("Specification")
        .and_then(|text| text.rsplit('/').next()?.strip_suffix("AH")?.parse::<f64>().ok())
        .or_else(|| detail.total_mah.map(|mah| mah as f64 / 1000.0));
    json!({
        "power": place,
        "voltage": milli(detail.voltage_mv, 2),
        "current": milli(detail.current_ma, 2),
        "power_w": watts(detail.voltage_mv, detail.current_ma),
        "temperature": milli(detail.temperature_mc, 1),
        "soc": detail.soc,
        "basic_st": detail.base_state,
        "volt_st": detail.voltage_state,
        "current_st": detail.current_state,
        "temp_st": detail.temperature_state,
        "soh_st": detail.soh_state,
        "coul_st": detail.coulomb_state,
        "heater_st": heater,
        "bat_events": detail.battery_events,
        "power_events": detail.power_events,
        "sys_events": detail.system_fault,
        "barcode": info("Barcode").or_else(|| detail.barcode.clone()).or_else(|| row(|row| row.barcode.clone())),
        "model": info("Device name").or_else(|| detail.device_type.clone()).or_else(|| row(|row| row.device_type.clone())),
        "firmware": info("Main Soft version").or_else(|| detail.firmware.clone()),
        "capacity_ah": ampere_hours,
        "soh": stat("SOH"),
        "cycles": stat("CYCLE Times"),
    })
}

/// An absent battery keeps its place and has no values.
fn absent_device(place: usize) -> Value {
    let keys = [
        "voltage",
        "current",
        "power_w",
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
        "barcode",
        "model",
        "firmware",
        "capacity_ah",
        "soh",
        "cycles",
    ];
    let mut device = json!({ "power": place });
    for key in keys {
        device[key] = Value::Null;
    }
    device
}

/// The cells of a battery and their extremes; of equal cells the first one is named.
fn spread(place: usize, cells: Option<&[PrintedCellRow]>, pack: bool) -> Value {
    let extremes = |pick: fn(&PrintedCellRow) -> i32, decimals: i32| {
        let values: Option<Vec<i32>> = cells.map(|cells| cells.iter().map(pick).collect());
        let low = values.as_ref().and_then(|values| values.iter().min().copied());
        let high = values.as_ref().and_then(|values| values.iter().max().copied());
        let which = |wanted: Option<i32>| {
            values
                .as_ref()
                .and_then(|values| Some(values.iter().position(|value| Some(*value) == wanted)? + 1))
        };
        let number = |value: Option<i32>| value.map(|value| milli(value, decimals));
        let delta = high.zip(low).map(|(high, low)| milli(high - low, decimals));
        (number(low), number(high), delta, which(low), which(high))
    };
    let volts = extremes(|cell| cell.voltage_mv, 3);
    let warmth = extremes(|cell| cell.temperature_mc, 1);
    json!({
        "power": place,
        "voltage_min": volts.0, "voltage_max": volts.1, "voltage_delta": volts.2,
        "voltage_min_cell": volts.3, "voltage_max_cell": volts.4,
        "temperature_min": warmth.0, "temperature_max": warmth.1, "temperature_delta": warmth.2,
        "temperature_min_cell": warmth.3, "temperature_max_cell": warmth.4,
        "cells": cells.map(|cells| (1..).zip(cells).map(|(number, row)| cell(place, number, row, pack)).collect::<Vec<_>>()),
    })
}

fn cell(place: usize, number: usize, cell: &PrintedCellRow, pack: bool) -> Value {
    json!({
        "power": place,
        "cell": number,
        "voltage": milli(cell.voltage_mv, 3),
        "current": cell.current_ma.map(|current| milli(current, 3)),
        "temperature": milli(cell.temperature_mc, 1),
        "basic_st": cell.base_state,
        "volt_st": cell.voltage_state,
        // In the simulator the current state of a cell equals its temperature state.
        "curr_st": pack.then(|| cell.temperature_state.clone()),
        "temp_st": cell.temperature_state,
        "soc": cell.soc,
        "coulomb": cell.charge_mah.map(|charge| near(charge as f64 / 1000.0, 3)),
        "balancing": cell.balancing,
    })
}

/// The expected document of a high-voltage stack: totals from its own row, a battery per module, cells divided evenly.
pub fn stack(truth: &AnswerHistory) -> Option<Value> {
    let PrintedValues::Stack(row) = &truth.latest("pwr")?.values else { return None };
    let PrintedValues::Units(units) = &truth.latest("unit")?.values else { return None };
    let PrintedValues::Cells { cells, .. } = &truth.latest("bat")?.values else { return None };
    let each = cells.len() / units.len();
    let shares: Vec<Value> =
        (1..).zip(cells.chunks(each)).map(|(place, cells)| spread(place, Some(cells), false)).collect();
    Some(json!({
        "bank": "bank",
        "powers": units.len(),
        "voltage": milli(row.voltage_mv, 1),
        "current": milli(row.current_ma, 1),
        "power_w": watts(row.voltage_mv, row.current_ma),
        "temperature": milli(row.temperature_mc, 1),
        "soc": row.soc,
        "basic_st": row.base_state,
        "series": true,
        "devices": units.iter().map(unit).collect::<Vec<_>>(),
        "cells_data": shares,
    }))
}

fn unit(unit: &PrintedUnitRow) -> Value {
    let mut device = absent_device(unit.index);
    device["voltage"] = milli(unit.voltage_mv, 2);
    device["current"] = milli(unit.current_ma, 2);
    device["power_w"] = watts(unit.voltage_mv, unit.current_ma);
    device["temperature"] = milli(unit.temperature_mc, 1);
    device["soc"] = unit.soc.into();
    device["basic_st"] = unit.base_state.clone().into();
    device["volt_st"] = "Normal".into();
    device["temp_st"] = "Normal".into();
    device
}
