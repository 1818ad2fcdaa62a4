//! The status document as a table for a terminal.

use std::fmt::Write;

use crate::model::event::EventLevel;
use crate::model::health::HealthVerdict;
use crate::status::derived::{ActiveEventKeys, TrendKeys};
use crate::status::{Cells, Device, StatusDocument};

/// A column: its heading, its width, and a function that formats its value.
type StatusColumn = (&'static str, usize, fn(&Device, Option<&Cells>) -> Option<String>);

const COLUMNS: &[StatusColumn] = &[
    ("battery", 7, |device, _| Some(device.power.to_string())),
    ("voltage", 9, |device, _| device.voltage.map(|volts| format!("{volts:.2} V"))),
    ("current", 10, |device, _| device.current.map(|amperes| format!("{amperes:+.2} A"))),
    ("power", 9, |device, _| device.power_w.map(|watts| format!("{watts:+.0} W"))),
    ("soc", 6, |device, _| device.soc.map(|soc| format!("{soc} %"))),
    ("temp", 8, |device, _| device.temperature.map(|degrees| format!("{degrees:.1} °C"))),
    ("state", 8, |device, _| device.basic_st.clone()),
    ("lowest cell", 14, |_, cells| extreme(cells?.voltage_min, cells?.voltage_min_cell)),
    ("highest cell", 14, |_, cells| extreme(cells?.voltage_max, cells?.voltage_max_cell)),
    ("spread", 8, |_, cells| cells?.voltage_delta.map(|volts| format!("{:.0} mV", volts * 1000.0))),
    ("events", 8, |device, _| events(device)),
];

/// Derived values; a column without any value is left out.
const DERIVED: &[StatusColumn] = &[
    ("battery", 7, |device, _| Some(device.power.to_string())),
    ("health", 8, |device, _| Some(device.insight.health.word().to_owned())),
    ("soh", 5, |device, _| device.soh.map(|soh| format!("{soh} %"))),
    ("cycles", 6, |device, _| device.cycles.map(|cycles| cycles.to_string())),
    ("charged", 13, |device, _| device.insight.energy_charged_kwh.map(|kwh| format!("{kwh:.3} kWh"))),
    ("discharged", 13, |device, _| device.insight.energy_discharged_kwh.map(|kwh| format!("{kwh:.3} kWh"))),
    ("to go", 13, |device, _| to_go(device.insight.time_to_full_h, device.insight.time_to_empty_h)),
    ("efficiency", 10, |device, _| percent(device.insight.round_trip_efficiency_percent)),
    ("capacity", 8, |device, _| device.insight.capacity_seen_ah.map(|held| format!("{held:.1} Ah"))),
    ("share", 7, |device, _| percent(device.insight.current_share_percent)),
    ("at rest", 7, |device, _| device.insight.spread_rest_mv.map(|spread| format!("{spread} mV"))),
    ("under load", 10, |device, _| device.insight.spread_load_mv.map(|spread| format!("{spread} mV"))),
    ("mostly lowest", 13, |device, _| mostly(device.insight.lowest_cell, device.insight.lowest_cell_percent)),
    ("mostly highest", 14, |device, _| {
        mostly(device.insight.highest_cell, device.insight.highest_cell_percent)
    }),
    ("balancing", 9, |device, _| percent(device.insight.balancing_percent)),
    ("last full", 9, |device, _| device.insight.days_since_full.map(|days| format!("{days:.1} d"))),
];

fn to_go(full: Option<f64>, empty: Option<f64>) -> Option<String> {
    let hours = |hours: Option<f64>, to: &str| hours.map(|hours| format!("{hours:.1} h {to}"));
    hours(full, "full").or_else(|| hours(empty, "empty"))
}

fn percent(value: Option<f64>) -> Option<String> {
    value.map(|value| format!("{value:.1} %"))
}

fn mostly(cell: Option<u16>, percent: Option<f64>) -> Option<String> {
    Some(format!("#{} {:.0} %", cell?, percent?))
}

fn extreme(volts: Option<f64>, cell: Option<u16>) -> Option<String> {
    Some(format!("{:.3} V #{}", volts?, cell?))
}

fn events(device: &Device) -> Option<String> {
    let words = [device.bat_events, device.power_events, device.sys_events];
    let active: Vec<String> =
        words.into_iter().flatten().filter(|word| *word != 0).map(|word| format!("{word:#x}")).collect();
    if words.iter().all(Option::is_none) {
        return None;
    }
    Some(if active.is_empty() { "none".to_owned() } else { active.join(" ") })
}

/// The bank as a table and below it, if known, the derived values, active events and the reasons of each verdict. With
/// `cells`, also a line for each battery with the voltages of all its cells.
#[must_use]
pub fn render(status: &StatusDocument, cells: bool) -> String {
    let mut text = String::new();
    heading(&mut text, status);
    table(&mut text, status, COLUMNS.iter());
    let known =
        |(_, _, show): &&StatusColumn| status.devices.iter().any(|device| show(device, None).is_some());
    if status.insight.energy_charged_kwh.is_some() {
        counted(&mut text, status);
        table(&mut text, status, DERIVED.iter().filter(known));
    }
    active_event_lines(&mut text, "stack", &status.insight.active_events);
    for device in &status.devices {
        active_event_lines(&mut text, &format!("battery {}", device.power), &device.insight.active_events);
        lifetime_line(&mut text, device);
        health_lines(&mut text, device);
        trend_lines(&mut text, device);
    }
    for own in status.cells_data.iter().filter(|_| cells) {
        cell_lines(&mut text, own);
    }
    text
}

fn table<'a>(
    text: &mut String,
    status: &StatusDocument,
    columns: impl Iterator<Item = &'a StatusColumn> + Clone,
) {
    let head: Vec<String> = columns.clone().map(|(name, width, _)| format!("{name:>width$}")).collect();
    line(text, &head.join("  "));
    for device in &status.devices {
        let own = status.cells_data.iter().find(|cells| cells.power == device.power);
        let show = |(_, width, show): &StatusColumn| {
            pad(&plain(&show(device, own).unwrap_or_else(|| "-".into())), *width)
        };
        line(text, &columns.clone().map(show).collect::<Vec<_>>().join("  "));
    }
}

fn counted(text: &mut String, status: &StatusDocument) {
    let keys = &status.insight;
    let unit = |value: Option<f64>, unit: &str| value.map(|value| format!("{value:.3} {unit}"));
    let both = |into: Option<String>, out: Option<String>| Some(format!("{} in, {} out", into?, out?));
    let parts = [
        both(unit(keys.energy_charged_kwh, "kWh"), unit(keys.energy_discharged_kwh, "kWh")),
        both(unit(keys.charge_in_ah, "Ah"), unit(keys.charge_out_ah, "Ah")),
        percent(keys.round_trip_efficiency_percent).map(|share| format!("round trip {share}")),
    ];
    line(text, &format!("counted  {}", parts.into_iter().flatten().collect::<Vec<_>>().join("  ")));
}

fn heading(text: &mut String, status: &StatusDocument) {
    let unit = |value: Option<f64>, shown: fn(f64) -> String| value.map_or_else(|| "-".into(), shown);
    let values = [
        unit(status.voltage, |volts| format!("{volts:.1} V")),
        unit(status.current, |amperes| format!("{amperes:+.1} A")),
        unit(status.power_w, |watts| format!("{watts:+.0} W")),
        status.soc.map_or_else(|| "-".into(), |soc| format!("{soc} %")),
        unit(status.temperature, |degrees| format!("{degrees:.1} °C")),
        plain(status.basic_st.as_deref().unwrap_or("-")),
    ];
    let times = [(status.insight.time_to_full_h, "full"), (status.insight.time_to_empty_h, "empty")];
    let times = times.into_iter().filter_map(|(hours, to)| Some(format!("{:.1} h to {to}", hours?)));
    let values: Vec<String> = values.into_iter().chain(times).collect();
    let (bank, time) = (plain(&status.bank), plain(&status.relay_local_time));
    line(text, &format!("{bank}  {time}  {}", values.join("  ")));
}

/// The lifetime values measured by the battery.
fn lifetime_line(text: &mut String, device: &Device) {
    const SHOWN: &[(&str, &str, &str)] = &[
        ("capacity_ah", "capacity", "Ah"),
        ("energy_kwh", "energy", "kWh"),
        ("round_trip_efficiency_percent", "round trip", "%"),
        ("resistance_mohm", "resistance", "mΩ"),
        ("cycles", "cycles", ""),
        ("deep_discharges", "deep discharges", ""),
        ("in_service_since", "in service since", ""),
    ];
    let Some(lifetime) = &device.lifetime else { return };
    let part = |(key, name, unit): &(&str, &str, &str)| {
        let value = lifetime.get(*key)?;
        let value = value.as_str().map_or_else(|| value.to_string(), plain);
        Some(format!("{name} {value} {unit}").trim_end().to_owned())
    };
    let parts: Vec<String> = SHOWN.iter().filter_map(part).collect();
    if !parts.is_empty() {
        line(text, &format!("battery {}, measured by itself: {}", device.power, parts.join(", ")));
    }
}

/// One line per finding against a battery; for an unknown verdict, one line with the missing evidence.
fn health_lines(text: &mut String, device: &Device) {
    let (verdict, reasons) = (device.insight.health, &device.insight.health_reasons);
    let lines = match verdict {
        HealthVerdict::Unknown if !reasons.is_empty() => vec![reasons.join("; ")],
        _ => reasons.clone(),
    };
    for reason in lines {
        line(text, &format!("battery {}, {}: {}", device.power, verdict.word(), plain(&reason)));
    }
}

/// Active events of level warning.
fn active_event_lines(text: &mut String, owner: &str, events: &[ActiveEventKeys]) {
    for event in events.iter().filter(|event| event.level == EventLevel::Warning) {
        let (word, sign) = (plain(&event.word), plain(&event.sign));
        line(text, &format!("{owner}, event: {} ({word} {sign})", plain(&event.text)));
    }
}

/// Significant trends, except those that are already reasons of the verdict.
fn trend_lines(text: &mut String, device: &Device) {
    let keys = &device.insight;
    let sure = |trend: &&TrendKeys| trend.per_month.abs() > trend.plus_minus;
    let new = |trend: &&TrendKeys| !keys.health_reasons.contains(&trend.text);
    for trend in keys.trend.values().filter(sure).filter(new) {
        line(text, &format!("battery {}, trend: {}", device.power, plain(&trend.text)));
    }
}

fn cell_lines(text: &mut String, cells: &Cells) {
    const EACH_LINE: usize = 8;
    for (index, some) in cells.cells.iter().flat_map(|cells| cells.chunks(EACH_LINE)).enumerate() {
        let label = if index == 0 { format!("{:>7}", cells.power) } else { " ".repeat(7) };
        let values = some.iter().map(|cell| {
            let balancing = if cell.balancing == Some(true) { "*" } else { " " };
            cell.voltage.map_or_else(|| "    -  ".to_owned(), |volts| format!("{volts:.3}{balancing} "))
        });
        line(text, &format!("{label}  {}", values.collect::<String>().trim_end()));
    }
}

/// Replaces control characters in text from a console or a file.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn pad(text: &str, width: usize) -> String {
    format!("{text:>width$}")
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}", line.trim_end());
}
