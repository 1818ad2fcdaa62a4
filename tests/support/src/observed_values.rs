//! An answer as a flat list of named values: as the program parsed it, and as the simulator printed it.

use std::collections::BTreeMap;

use bankwatch::internals::console::answers::parsed::Parsed;
use bankwatch::internals::console::validation::samples::SampleKind;
use bankwatch::internals::model::event_word::EventWord;
use bankwatch::internals::model::word::Word;
use bankwatch::internals::simulator::{PrintedTableRow, PrintedValues};
use jiff::civil::DateTime;

/// A value as it was printed.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Number(i64),
    Text(String),
}

/// Values by name, and by battery or cell if an answer has several.
pub type Seen = BTreeMap<(&'static str, usize), Value>;

/// The tolerance of a value; none for values that the validator does not compare.
pub fn kind(name: &str) -> Option<SampleKind> {
    Some(match name {
        "voltage" => SampleKind::Voltage,
        "current" | "cell current" => SampleKind::Current,
        "temperature" | "mosfet" => SampleKind::Temperature,
        "soc" => SampleKind::Soc,
        "lowest cell" => SampleKind::CellVoltageLow,
        "highest cell" => SampleKind::CellVoltageHigh,
        "coldest cell" => SampleKind::CellTemperatureLow,
        "warmest cell" => SampleKind::CellTemperatureHigh,
        "cell voltage" => SampleKind::CellVoltage,
        "cell temperature" => SampleKind::CellTemperature,
        "cell soc" => SampleKind::CellSoc,
        "cell charge" => SampleKind::CellCharge,
        "capacity" | "learned capacity" | "voltage limit" | "cells" | "charge limit" | "discharge limit" => {
            SampleKind::Rating
        }
        "charge times" => SampleKind::Counter,
        "battery events" | "power events" | "system fault" | "other events" => SampleKind::Events,
        "clock" => SampleKind::Clock,
        "barcode" | "model" | "firmware" | "manufacturer" => SampleKind::Identity,
        _ => return None,
    })
}

/// The event words of a console that splits them into groups, in its order; other consoles have only one.
const TOPICS: [&str; 10] = [
    "Bat Volt Status",
    "Bat Tmpr Status",
    "Pwr Volt Status",
    "Pwr Tmpr Status",
    "Pwr Curr Status",
    "Pwr Base Status",
    "Pwr Coul Status",
    "Mos Tmpr Status",
    "Env Tmpr Status",
    "Cascade Status",
];

#[derive(Default)]
struct Collector(Seen);

impl Collector {
    fn number(&mut self, name: &'static str, index: usize, value: Option<impl Into<i64>>) {
        self.0.extend(value.map(|value| ((name, index), Value::Number(value.into()))));
    }

    fn text(&mut self, name: &'static str, index: usize, value: Option<impl Into<String>>) {
        self.0.extend(value.map(|value| ((name, index), Value::Text(value.into()))));
    }

    fn word(&mut self, name: &'static str, index: usize, word: Option<&Word>) {
        self.text(name, index, word.map(Word::as_str));
    }

    fn events(&mut self, name: &'static str, index: usize, word: Option<&EventWord>) {
        self.number(name, index, word.map(|word| word.bits));
    }
}

fn seconds(time: DateTime) -> i64 {
    time.duration_since(DateTime::MIN).as_secs()
}

/// The parsed values of an answer, without those that the simulator does not provide.
pub fn parsed_values(parsed: &Parsed) -> Seen {
    let mut all = Collector::default();
    match parsed {
        Parsed::Table(table) => {
            for row in &table.rows {
                let at = row.place.map_or(0, |place| usize::from(place.number()));
                // Rows of absent places have no values.
                if row.absent {
                    continue;
                }
                all.number("present", at, Some(1));
                all.number("voltage", at, row.voltage.map(|v| v.0));
                all.number("current", at, row.current.map(|v| v.0));
                all.number("temperature", at, row.temperature.map(|v| v.0));
                all.number("coldest cell", at, row.cell_temperature_low.map(|v| v.0));
                all.number("warmest cell", at, row.cell_temperature_high.map(|v| v.0));
                all.number("lowest cell", at, row.cell_voltage_low.map(|v| v.0));
                all.number("highest cell", at, row.cell_voltage_high.map(|v| v.0));
                let ids = [row.coldest_cell, row.warmest_cell, row.lowest_cell, row.highest_cell];
                for (which, id) in ids.into_iter().enumerate() {
                    all.number("which cell", 10 * at + which, id);
                }
                all.word("base state", at, row.base_state.as_ref());
                all.word("voltage state", at, row.volt_state.as_ref());
                all.word("current state", at, row.current_state.as_ref());
                all.word("temperature state", at, row.temp_state.as_ref());
                all.word("cell voltage state", at, row.cell_volt_state.as_ref());
                all.word("cell temperature state", at, row.cell_temp_state.as_ref());
                all.number("soc", at, row.soc.map(|v| v.0));
                all.number("clock", at, row.clock.map(seconds));
                all.number("mosfet", at, row.mos_temperature.map(|v| v.0));
                all.text("barcode", at, row.barcode.clone());
                all.text("model", at, row.model.clone());
            }
        }
        Parsed::Detail(d) => {
            all.number("number", 0, d.number);
            all.number("voltage", 0, d.voltage.map(|v| v.0));
            all.number("current", 0, d.current.map(|v| v.0));
            all.number("temperature", 0, d.temperature.map(|v| v.0));
            all.number("soc", 0, d.soc.map(|v| v.0));
            all.number("capacity", 0, d.nominal_capacity.map(|v| v.0));
            all.number("learned capacity", 0, d.usable_capacity.map(|v| v.0));
            all.number("voltage limit", 0, d.max_voltage.map(|v| v.0));
            all.number("charge times", 0, d.charge_times);
            all.number("charged over life", 0, d.charged);
            all.number("discharged over life", 0, d.discharged);
            all.word("base state", 0, d.base_state.as_ref());
            all.word("voltage state", 0, d.volt_state.as_ref());
            all.word("current state", 0, d.current_state.as_ref());
            all.word("temperature state", 0, d.temp_state.as_ref());
            all.word("coulomb state", 0, d.coulomb_state.as_ref());
            all.word("health state", 0, d.soh_state.as_ref());
            all.events("battery events", 0, d.battery_events.as_ref());
            all.events("power events", 0, d.power_events.as_ref());
            all.events("system fault", 0, d.system_fault.as_ref());
            for (label, word) in &d.other_events {
                let at = TOPICS.iter().position(|topic| topic == label).unwrap_or(0);
                all.events("other events", at, Some(word));
            }
            all.text("barcode", 0, d.barcode.clone());
            all.text("model", 0, d.model.clone());
            all.text("firmware", 0, d.firmware.clone());
        }
        Parsed::Cells(table) => {
            all.number("cells", 0, Some(table.cells.len() as i64));
            for (at, cell) in table.cells.iter().enumerate() {
                all.number("cell voltage", at, cell.voltage.map(|v| v.0));
                all.number("cell current", at, cell.current.map(|v| v.0));
                all.number("cell temperature", at, cell.temperature.map(|v| v.0));
                all.word("base state", at, cell.base_state.as_ref());
                all.word("voltage state", at, cell.volt_state.as_ref());
                all.word("temperature state", at, cell.temp_state.as_ref());
                all.number("cell soc", at, cell.soc.map(|v| v.0));
                all.number("cell charge", at, cell.coulomb.map(|v| v.0));
                all.number("balancing", at, cell.balancing);
            }
        }
        Parsed::Info(info) => {
            all.number("number", 0, info.address);
            all.text("manufacturer", 0, info.manufacturer.clone());
            all.text("model", 0, info.model.clone());
            all.text("board", 0, info.board.clone());
            all.text("firmware", 0, info.firmware.clone());
            all.text("released", 0, info.released.clone());
            all.text("barcode", 0, info.barcode.clone());
            all.text("specification", 0, info.specification.clone());
            all.number("cells", 0, info.cells);
            all.number("discharge limit", 0, info.max_discharge_current.map(|v| v.0));
            all.number("charge limit", 0, info.max_charge_current.map(|v| v.0));
        }
        Parsed::Stat(stat) => {
            for (at, (_, value)) in stat.counters.iter().enumerate() {
                all.number("counter", at, Some(*value));
            }
        }
        _ => {}
    }
    all.0
}

fn row(all: &mut Collector, row: &PrintedTableRow) {
    let at = row.place;
    if !row.present {
        return;
    }
    all.number("present", at, Some(1));
    all.number("voltage", at, Some(row.voltage_mv));
    all.number("current", at, Some(row.current_ma));
    all.number("temperature", at, Some(row.temperature_mc));
    all.number("coldest cell", at, Some(row.temperature_low_mc));
    all.number("warmest cell", at, Some(row.temperature_high_mc));
    all.number("lowest cell", at, Some(row.cell_low_mv));
    all.number("highest cell", at, Some(row.cell_high_mv));
    for (which, id) in row.cell_ids.into_iter().flatten().enumerate() {
        all.number("which cell", 10 * at + which, Some(id as i64));
    }
    all.text("base state", at, Some(&row.base_state));
    all.text("voltage state", at, Some(&row.voltage_state));
    all.text("current state", at, Some(&row.current_state));
    all.text("temperature state", at, Some(&row.temperature_state));
    all.text("cell voltage state", at, Some(&row.voltage_state));
    all.text("cell temperature state", at, Some(&row.temperature_state));
    all.number("soc", at, Some(row.soc));
    all.number("clock", at, Some(seconds(row.time)));
    all.number("mosfet", at, row.mosfet_mc);
    all.text("barcode", at, row.barcode.as_ref());
    all.text("model", at, row.device_type.as_ref());
}

/// The printed values, before any damage.
pub fn printed_values(values: &PrintedValues) -> Seen {
    let mut all = Collector::default();
    match values {
        PrintedValues::Table(rows) => rows.iter().for_each(|printed| row(&mut all, printed)),
        PrintedValues::Detail(d) => {
            all.number("number", 0, Some(d.place as i64));
            all.number("voltage", 0, Some(d.voltage_mv));
            all.number("current", 0, Some(d.current_ma));
            all.number("temperature", 0, Some(d.temperature_mc));
            all.number("soc", 0, Some(d.soc));
            all.number("capacity", 0, d.total_mah);
            all.number("learned capacity", 0, d.real_mah);
            all.number("voltage limit", 0, d.max_voltage_mv);
            all.number("charge times", 0, Some(d.charge_times));
            all.number("charged over life", 0, d.charged_as);
            all.number("discharged over life", 0, d.discharged_as);
            all.text("base state", 0, Some(&d.base_state));
            all.text("voltage state", 0, Some(&d.voltage_state));
            all.text("current state", 0, Some(&d.current_state));
            all.text("temperature state", 0, Some(&d.temperature_state));
            all.text("coulomb state", 0, Some(&d.coulomb_state));
            all.text("health state", 0, d.soh_state.as_ref());
            all.number("battery events", 0, d.battery_events);
            all.number("power events", 0, d.power_events);
            all.number("system fault", 0, d.system_fault);
            let alarm = d.system_alarm.into_iter();
            for (at, bits) in d.status_words.iter().map(|(_, bits)| *bits).chain(alarm).enumerate() {
                all.number("other events", at, Some(bits));
            }
            all.text("barcode", 0, d.barcode.as_ref());
            all.text("model", 0, d.device_type.as_ref());
            all.text("firmware", 0, d.firmware.as_ref());
        }
        PrintedValues::Cells { cells, .. } => {
            all.number("cells", 0, Some(cells.len() as i64));
            for (at, cell) in cells.iter().enumerate() {
                all.number("cell voltage", at, Some(cell.voltage_mv));
                all.number("cell current", at, cell.current_ma);
                all.number("cell temperature", at, Some(cell.temperature_mc));
                all.text("base state", at, cell.base_state.as_ref());
                all.text("voltage state", at, Some(&cell.voltage_state));
                all.text("temperature state", at, Some(&cell.temperature_state));
                all.number("cell soc", at, Some(cell.soc));
                all.number("cell charge", at, cell.charge_mah);
                all.number("balancing", at, cell.balancing);
            }
        }
        PrintedValues::Info(lines) => info(&mut all, lines),
        PrintedValues::Stat(lines) => {
            for (at, (_, value)) in lines.iter().enumerate() {
                all.number("counter", at, Some(*value));
            }
        }
        _ => {}
    }
    all.0
}

fn info(all: &mut Collector, lines: &[(String, String)]) {
    for (label, value) in lines {
        let number = || value.trim_end_matches("mA").parse::<i64>().ok();
        match label.as_str() {
            "Device address" => all.number("number", 0, number()),
            "Cell Number" => all.number("cells", 0, number()),
            "Max Dischg Curr" => all.number("discharge limit", 0, number()),
            "Max Charge Curr" => all.number("charge limit", 0, number()),
            "Manufacturer" => all.text("manufacturer", 0, Some(value)),
            "Device name" => all.text("model", 0, Some(value)),
            "Board version" => all.text("board", 0, Some(value)),
            "Main Soft version" => all.text("firmware", 0, Some(value)),
            "Release Date" => all.text("released", 0, Some(value)),
            "Barcode" => all.text("barcode", 0, Some(value)),
            "Specification" => all.text("specification", 0, Some(value)),
            _ => {}
        }
    }
}
