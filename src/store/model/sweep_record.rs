//! The record of a full sweep, made from a report.

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::model::reading::{BankReading, BatteryReading, CellReading, Measured, Presence, SweepKind};
use crate::model::report::BankReport;
use crate::model::statistics::CellStatistics;
use crate::model::word::Word;
use crate::store::sql::values::{BankValues, BatteryValues, CellValues, StateWords};
use crate::store::text::{barcode, bounded};

/// What is known of a battery. The barcode identifies it if known, otherwise its place does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatteryIdentity {
    /// The serial number.
    pub barcode: Option<String>,
    /// `Pylon`, `PYTES`.
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    /// The main firmware version.
    pub firmware: Option<String>,
    pub nominal_capacity_mah: Option<i64>,
    /// As measured by the battery.
    pub usable_capacity_mah: Option<i64>,
    /// The number of cells.
    pub cells: Option<i32>,
}

/// A full sweep of a bank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepRecord {
    pub bank: String,
    /// When the sweep started, in milliseconds since 1970, UTC.
    pub taken_at_ms: i64,
    pub values: BankValues,
    /// The bank's state: an index into `states`.
    pub state: u16,
    /// The distinct sets of state words in this sweep.
    pub states: Vec<StateWords>,
    /// The batteries that responded.
    pub batteries: Vec<BatteryRecord>,
}

/// A battery in a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatteryRecord {
    /// From 1.
    pub place: u8,
    pub identity: BatteryIdentity,
    pub values: BatteryValues,
    /// The battery's state: an index into the sweep's `states`.
    pub state: u16,
    /// In order; empty if they were not queried or did not respond.
    pub cells: Vec<CellRecord>,
}

/// A cell in a sweep: its values, and its state as an index into the sweep's `states`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellRecord(pub CellValues, pub u16);

impl SweepRecord {
    /// A battery that did not respond is left out: missing is not zero.
    #[must_use]
    pub fn from_report(report: &BankReport) -> Self {
        let BankReport { reading, statistics, .. } = report;
        let mut states = Vec::new();
        let stack = reading.stack.as_ref();
        let base_state =
            StateWords { base_state: word(statistics.base_state.as_ref()), ..StateWords::default() };
        let state = index(&mut states, stack.map_or(base_state, words));
        let extremes = extremes(&statistics.cells);
        let saturated = |count: u128| i32::try_from(count).unwrap_or(i32::MAX);
        let values = BankValues {
            took_ms: saturated(reading.took.as_millis()),
            asked_again: saturated(reading.asked_again.into()),
            missing: saturated(reading.missing.len() as u128),
            batteries: saturated(count_present(reading) as u128),
            voltage_mv: statistics.voltage.map(|v| v.0),
            current_ma: statistics.current.map(|c| c.0),
            power_mw: statistics.power.map(|p| p.0),
            temperature_mc: statistics.temperature.map(|t| t.0),
            soc_permille: permille(statistics.soc),
            remaining_mah: stack.and_then(|stack| stack.remaining).map(|c| c.0),
            energy_mwh: stack.and_then(|stack| stack.energy).map(|e| e.0),
            cell_voltage_low_mv: extremes[0],
            cell_voltage_high_mv: extremes[1],
            cell_temperature_low_mc: extremes[2],
            cell_temperature_high_mc: extremes[3],
        };
        let present =
            (0..).zip(&reading.batteries).filter(|(_, battery)| battery.presence == Presence::Present);
        let batteries = present
            .map(|(at, battery)| BatteryRecord::from_reading(report, at, battery, &mut states))
            .collect();
        let taken_at_ms = reading.taken_at.as_millisecond();
        Self { bank: bounded(&reading.bank, 64), taken_at_ms, values, state, states, batteries }
    }
}

/// The number of batteries present. The summary of a stack lists none; then all known ones count.
fn count_present(reading: &BankReading) -> usize {
    let names_none = reading.is_series() && reading.kind == SweepKind::Summary;
    let is_there = |battery: &&BatteryReading| names_none || battery.presence == Presence::Present;
    reading.batteries.iter().filter(is_there).count()
}

/// Percent as tenths of a percent.
pub(crate) fn permille(percent: Option<f64>) -> Option<i32> {
    // Rounded and far inside the range: a percentage is a few hundred at most.
    percent.filter(|soc| soc.abs() < 10_000.0).map(|soc| (soc * 10.0).round() as i32)
}

impl BatteryRecord {
    fn from_reading(
        report: &BankReport,
        at: usize,
        battery: &BatteryReading,
        states: &mut Vec<StateWords>,
    ) -> Self {
        let facts = report.facts.get(at).cloned().unwrap_or_default();
        let statistics = report.statistics.batteries.get(at).copied().unwrap_or_default();
        let measured = &battery.measured;
        let state = index(states, words(measured));
        let cells =
            battery.cells.iter().flatten().map(|cell| CellRecord::from_reading(cell, states)).collect();
        let text = |text: &Option<String>| text.as_deref().map(|text| bounded(text, 64));
        let identity = BatteryIdentity {
            barcode: facts.barcode.as_deref().map(barcode).filter(|barcode| !barcode.is_empty()),
            manufacturer: text(&facts.manufacturer),
            model: text(&facts.model),
            firmware: text(&facts.firmware),
            nominal_capacity_mah: facts.nominal_capacity.map(|c| c.0),
            usable_capacity_mah: facts.usable_capacity.map(|c| c.0),
            cells: facts.cells.map(i32::from),
        };
        let own = extremes(&statistics.cells);
        let values = BatteryValues {
            voltage_mv: measured.voltage.map(|v| v.0),
            current_ma: measured.current.map(|c| c.0),
            temperature_mc: measured.temperature.map(|t| t.0),
            soc_percent: measured.soc.map(|soc| soc.0),
            remaining_mah: measured.remaining.map(|c| c.0),
            energy_mwh: measured.energy.map(|e| e.0),
            mos_temperature_mc: measured.mos_temperature.map(|t| t.0),
            cell_voltage_low_mv: own[0].or(measured.cell_voltage_low.map(|v| v.0)),
            cell_voltage_high_mv: own[1].or(measured.cell_voltage_high.map(|v| v.0)),
            cell_temperature_low_mc: own[2].or(measured.cell_temperature_low.map(|t| t.0)),
            cell_temperature_high_mc: own[3].or(measured.cell_temperature_high.map(|t| t.0)),
            battery_events: measured.battery_events.as_ref().map(|word| word.bits.into()),
            power_events: measured.power_events.as_ref().map(|word| word.bits.into()),
            system_fault: measured.system_fault.as_ref().map(|word| word.bits.into()),
            other_events: other_events(measured),
            clock_local_s: measured.clock.map(|clock| {
                let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
                clock.duration_since(epoch).as_secs()
            }),
            soh_percent: facts.soh.map(|soh| soh.0),
            cycles: facts.cycles,
        };
        Self { place: battery.place.number(), identity, values, state, cells }
    }
}

impl CellRecord {
    fn from_reading(cell: &CellReading, states: &mut Vec<StateWords>) -> Self {
        let words = StateWords {
            base_state: word(cell.base_state.as_ref()),
            volt_state: word(cell.volt_state.as_ref()),
            current_state: word(cell.current_state.as_ref()),
            temp_state: word(cell.temp_state.as_ref()),
            ..StateWords::default()
        };
        let values = CellValues {
            voltage_mv: cell.voltage.map(|v| v.0),
            current_ma: cell.current.map(|c| c.0),
            temperature_mc: cell.temperature.map(|t| t.0),
            soc_percent: cell.soc.map(|soc| soc.0),
            coulomb_mah: cell.coulomb.map(|c| c.0),
            balancing: cell.balancing.map(i32::from),
        };
        Self(values, index(states, words))
    }
}

/// Lowest and highest voltage, lowest and highest temperature.
pub(crate) fn extremes(cells: &CellStatistics) -> [Option<i32>; 4] {
    [
        cells.voltage.map(|spread| spread.min.value.0),
        cells.voltage.map(|spread| spread.max.value.0),
        cells.temperature.map(|spread| spread.min.value.0),
        cells.temperature.map(|spread| spread.max.value.0),
    ]
}

/// Event words with other names, as JSON: `{"CMOS": 1}`; `None` if all are zero.
fn other_events(measured: &Measured) -> Option<String> {
    let active = measured.other_events.iter().filter(|(_, word)| word.stands());
    let named: serde_json::Map<_, _> =
        active.take(16).map(|(label, word)| (bounded(label, 32), word.bits.into())).collect();
    (!named.is_empty()).then(|| serde_json::Value::Object(named).to_string())
}

/// A word as a column stores it: without characters that JSON would escape, so that the length of a set is bounded.
fn word(word: Option<&Word>) -> Option<String> {
    word.map(|word| bounded(word.as_str(), 24).replace(['"', '\\'], "?")).filter(|word| !word.is_empty())
}

fn words(measured: &Measured) -> StateWords {
    StateWords {
        base_state: word(measured.base_state.as_ref()),
        volt_state: word(measured.volt_state.as_ref()),
        current_state: word(measured.current_state.as_ref()),
        temp_state: word(measured.temp_state.as_ref()),
        coulomb_state: word(measured.coulomb_state.as_ref()),
        soh_state: word(measured.soh_state.as_ref()),
        heater: word(measured.heater.as_ref()),
        charge_switch: word(measured.charge_switch.as_ref()),
        discharge_switch: word(measured.discharge_switch.as_ref()),
        cell_volt_state: word(measured.cell_volt_state.as_ref()),
        cell_temp_state: word(measured.cell_temp_state.as_ref()),
        system_alarm: word(measured.system_alarm.as_ref()),
        mos_temp_state: word(measured.mos_temp_state.as_ref()),
    }
}

/// The index of the set among those of the sweep, to which it is added if it is new. Beyond the range of an index,
/// which no console reaches, it is 0.
fn index(states: &mut Vec<StateWords>, words: StateWords) -> u16 {
    let at = states.iter().position(|known| *known == words).unwrap_or_else(|| {
        states.push(words);
        states.len() - 1
    });
    u16::try_from(at).unwrap_or(0)
}
