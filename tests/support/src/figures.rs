//! The values of a reading, and those that a simulated console printed, under the same names.

use std::collections::{BTreeMap, BTreeSet};

use bankwatch::internals::model::reading::BankReading;
use bankwatch::internals::simulator::{PrintedAnswer, PrintedValues};

/// `1 voltage`, `2 cell 7 soc`, …
type Name = String;

/// The values of a reading; missing ones are omitted.
pub fn read(reading: &BankReading) -> BTreeMap<Name, i64> {
    let mut figures = BTreeMap::new();
    let mut put = |name: Name, value: Option<i64>| {
        value.map(|value| figures.insert(name, value));
    };
    for battery in &reading.batteries {
        let (place, measured) = (battery.place, &battery.measured);
        put(format!("{place} voltage"), measured.voltage.map(|v| v.0.into()));
        put(format!("{place} current"), measured.current.map(|v| v.0.into()));
        put(format!("{place} temperature"), measured.temperature.map(|v| v.0.into()));
        put(format!("{place} soc"), measured.soc.map(|v| v.0.into()));
        for (number, cell) in battery.cells.iter().flatten().enumerate() {
            put(format!("{place} cell {number} voltage"), cell.voltage.map(|v| v.0.into()));
            put(format!("{place} cell {number} temperature"), cell.temperature.map(|v| v.0.into()));
            put(format!("{place} cell {number} soc"), cell.soc.map(|v| v.0.into()));
        }
    }
    figures
}

/// The values printed in these answers; one name may have had several values.
pub fn printed<'a>(answers: impl IntoIterator<Item = &'a PrintedAnswer>) -> BTreeMap<Name, BTreeSet<i64>> {
    let mut figures: BTreeMap<Name, BTreeSet<i64>> = BTreeMap::new();
    let mut put = |name: Name, value: i32| {
        figures.entry(name).or_default().insert(value.into());
    };
    for answer in answers {
        match &answer.values {
            PrintedValues::Table(rows) => {
                for row in rows.iter().filter(|row| row.present) {
                    put(format!("{} voltage", row.place), row.voltage_mv);
                    put(format!("{} current", row.place), row.current_ma);
                    put(format!("{} temperature", row.place), row.temperature_mc);
                    put(format!("{} soc", row.place), row.soc);
                }
            }
            PrintedValues::Detail(detail) => {
                put(format!("{} voltage", detail.place), detail.voltage_mv);
                put(format!("{} current", detail.place), detail.current_ma);
                put(format!("{} temperature", detail.place), detail.temperature_mc);
                put(format!("{} soc", detail.place), detail.soc);
            }
            PrintedValues::Cells { place, cells } => {
                for cell in cells {
                    put(format!("{place} cell {} voltage", cell.index), cell.voltage_mv);
                    put(format!("{place} cell {} temperature", cell.index), cell.temperature_mc);
                    put(format!("{place} cell {} soc", cell.index), cell.soc);
                }
            }
            _ => {}
        }
    }
    figures
}
