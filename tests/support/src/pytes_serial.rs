//! The retained messages of each generation of pytes_serial, written from its documented topics and keys.

use bankwatch::internals::mqtt::message::Message;
use bankwatch::internals::settings::CellLevel;
use serde_json::json;

/// Versions of pytes_serial that announce entities and publish values in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// 0.2 to 0.5: topics by number, one list of all values.
    List,
    /// 0.6: topics by number, the JSON file's content.
    Document,
    /// 0.7.0: topics by number, one topic per value.
    ValuesByNumber,
    /// 0.7.1 to 1.0.0, and `pytes_esp`: topics by unique id, one topic per value.
    Values,
    /// From 1.0.1 on: the same with decimals.
    Decimals,
}

pub const GENERATIONS: [Generation; 5] = [
    Generation::List,
    Generation::Document,
    Generation::ValuesByNumber,
    Generation::Values,
    Generation::Decimals,
];

const OF_BATTERY: [&str; 5] = ["current", "voltage", "temperature", "soc", "basic_st"];
const STATISTICS: [&str; 6] = [
    "voltage_delta",
    "voltage_min",
    "voltage_max",
    "temperature_delta",
    "temperature_min",
    "temperature_max",
];
const OF_CELL: [(CellLevel, &str); 7] = [
    (CellLevel::Low, "voltage"),
    (CellLevel::Medium, "temperature"),
    (CellLevel::Medium, "volt_st"),
    (CellLevel::High, "soc"),
    (CellLevel::High, "basic_st"),
    (CellLevel::High, "curr_st"),
    (CellLevel::High, "temp_st"),
];

/// An entity: the number behind its key, whether it is on the device of the cells, its value's topic and template.
type Row = (&'static str, String, bool, String, String);

fn rows(batteries: usize, cells: usize, level: CellLevel) -> Vec<Row> {
    let of_bank = OF_BATTERY.map(|key| (key, String::new(), false, key.to_owned(), format!("bank.{key}")));
    let mut rows = of_bank.to_vec();
    for battery in 1..=batteries {
        let index = battery - 1;
        let mut add = |key, number: String, is_cell, path: &str| {
            let template = format!("[{index}].{path}{key}").replace('/', ".");
            rows.push((key, number, is_cell, format!("{index}/{path}{key}"), template));
        };
        OF_BATTERY.iter().for_each(|key| add(*key, format!("_{battery}"), false, ""));
        for key in STATISTICS.iter().filter(|_| level >= CellLevel::Medium) {
            add(*key, format!("_{battery}"), true, "cells/");
        }
        for cell in 1..=cells {
            for (_, key) in OF_CELL.iter().filter(|(from, _)| level >= *from) {
                add(*key, format!("_{battery}{cell:02}"), true, &format!("cells/{}/", cell - 1));
            }
        }
    }
    rows
}

/// The retained messages of a generation for a bank at this cell level.
pub fn left(
    generation: Generation,
    bank: &str,
    batteries: usize,
    cells: usize,
    level: CellLevel,
) -> Vec<Message> {
    let of_row = |(number, (key, suffix, is_cell, path, template)): (usize, Row)| {
        let id = format!("{bank}_{key}{suffix}");
        let device = if is_cell { format!("{bank}_cells") } else { bank.to_owned() };
        let name = if key == "basic_st" { "status" } else { key };
        let mut config = json!({
            "uniq_id": id,
            "name": format!("{name}{suffix}"),
            "stat_t": format!("pytes_serial/{bank}/{path}"),
            "val_tpl": "{{ value_json.value }}",
            "dev": { "ids": [device], "name": device },
        });
        if matches!(generation, Generation::List | Generation::Document) {
            let list = if generation == Generation::List { "pytes" } else { "devices" };
            config["stat_t"] = format!("homeassistant/sensor/{bank}/state").into();
            config["val_tpl"] = format!("{{{{ value_json.{list}{template} }}}}").into();
        }
        if generation == Generation::Decimals {
            config["suggested_display_precision"] = 1.into();
        }
        let place = match generation {
            Generation::List | Generation::Document | Generation::ValuesByNumber => number.to_string(),
            Generation::Values | Generation::Decimals => id,
        };
        Message::retained(format!("homeassistant/sensor/{bank}/{place}/config"), config.to_string())
    };
    (1..).zip(rows(batteries, cells, level)).map(of_row).collect()
}
