//! Cell values of each battery as compact lists, and statistics over the bank.

use serde_json::{Map, Value, json};

use crate::model::reading::Presence;
use crate::model::report::BankReport;
use crate::model::statistics::Extreme;
use crate::mqtt::homeassistant::naming;
use crate::mqtt::message_kind::MessageKind;
use crate::mqtt::payload::topic_payload::{TopicPayload, build_payload};
use crate::mqtt::topics::Topics;
use crate::settings::CellLevel;
use crate::status::{CellStatus, Cells, StatusDocument, rounded};

/// A value of each cell: the lowest level that has it, its key, and how to read it.
type CellField = (CellLevel, &'static str, fn(&CellStatus) -> Value);

const FIELDS: &[CellField] = &[
    (CellLevel::Low, "voltage", |cell| cell.voltage.into()),
    (CellLevel::Medium, "temperature", |cell| cell.temperature.into()),
    (CellLevel::Medium, "volt_st", |cell| cell.volt_st.clone().into()),
    (CellLevel::High, "current", |cell| cell.current.into()),
    (CellLevel::High, "basic_st", |cell| cell.basic_st.clone().into()),
    (CellLevel::High, "curr_st", |cell| cell.curr_st.clone().into()),
    (CellLevel::High, "temp_st", |cell| cell.temp_st.clone().into()),
    (CellLevel::High, "soc", |cell| cell.soc.into()),
    (CellLevel::High, "coulomb", |cell| cell.coulomb.into()),
    (CellLevel::High, "balancing", |cell| cell.balancing.into()),
];

/// A statistic over the cells of a battery.
type CellStatistic = (&'static str, fn(&Cells) -> Value);

const STATISTICS: &[CellStatistic] = &[
    ("voltage_delta", |cells| cells.voltage_delta.into()),
    ("voltage_min", |cells| cells.voltage_min.into()),
    ("voltage_max", |cells| cells.voltage_max.into()),
    ("voltage_min_cell", |cells| cells.voltage_min_cell.into()),
    ("voltage_max_cell", |cells| cells.voltage_max_cell.into()),
    ("temperature_delta", |cells| cells.temperature_delta.into()),
    ("temperature_min", |cells| cells.temperature_min.into()),
    ("temperature_max", |cells| cells.temperature_max.into()),
    ("temperature_min_cell", |cells| cells.temperature_min_cell.into()),
    ("temperature_max_cell", |cells| cells.temperature_max_cell.into()),
];

/// The lowest level that has statistics.
const STATISTICS_LEVEL: CellLevel = CellLevel::Medium;

/// The cell payloads of a full reading at that level.
pub(crate) fn payloads(
    report: &BankReport,
    document: &StatusDocument,
    topics: &Topics,
    level: CellLevel,
) -> Vec<TopicPayload> {
    let mut payloads = Vec::new();
    if level == CellLevel::Off {
        return payloads;
    }
    let bank = document.bank.as_str();
    let batteries = report.reading.batteries.iter().zip(&document.cells_data);
    for (battery, cells) in batteries.filter(|(battery, _)| battery.presence == Presence::Present) {
        if let Some(content) = battery_cells(cells, level) {
            let place = battery.place;
            payloads.push(build_payload(
                MessageKind::Cells(place),
                topics.battery_cells(bank, place),
                content,
                &[],
            ));
        }
    }
    if let Some(content) = bank_cells(report).filter(|_| level >= STATISTICS_LEVEL) {
        payloads.push(build_payload(MessageKind::BankCells, topics.bank_cells(bank), content, &[]));
    }
    payloads
}

/// `None` if the cells did not answer.
fn battery_cells(cells: &Cells, level: CellLevel) -> Option<Value> {
    let list = cells.cells.as_ref()?;
    let fields = FIELDS
        .iter()
        .filter(|(from, _, _)| level >= *from)
        .map(|(_, key, value)| ((*key).to_owned(), list.iter().map(value).collect()));
    let statistics = STATISTICS
        .iter()
        .filter(|_| level >= STATISTICS_LEVEL)
        .map(|(key, value)| ((*key).to_owned(), value(cells)));
    let place = [("power".to_owned(), cells.power.into())];
    Some(Value::Object(place.into_iter().chain(fields).chain(statistics).collect::<Map<_, _>>()))
}

/// `None` unless every cell of the bank reported its voltage.
fn bank_cells(report: &BankReport) -> Option<Value> {
    let spread = report.statistics.cells;
    let (voltage, temperature) = (spread.voltage?, spread.temperature);
    let counts = report.reading.batteries.iter().filter_map(|battery| battery.cells.as_ref().map(Vec::len));
    let digits = naming::cell_digits(counts.max().unwrap_or(0));
    Some(json!({
        "voltage_delta": rounded(voltage.delta().0, 3),
        "voltage_min": rounded(voltage.min.value.0, 3),
        "voltage_max": rounded(voltage.max.value.0, 3),
        "lowest_cell": name(voltage.min, digits),
        "highest_cell": name(voltage.max, digits),
        "temperature_delta": temperature.map(|spread| rounded(spread.delta().0, 1)),
        "temperature_min": temperature.map(|spread| rounded(spread.min.value.0, 1)),
        "temperature_max": temperature.map(|spread| rounded(spread.max.value.0, 1)),
        "coldest_cell": temperature.map(|spread| name(spread.min, digits)),
        "warmest_cell": temperature.map(|spread| name(spread.max, digits)),
    }))
}

fn name<T>(extreme: Extreme<T>, digits: usize) -> String {
    naming::cell_number(extreme.battery, usize::from(extreme.cell), digits)
}
