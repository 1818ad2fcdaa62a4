//! The status document: the content of `<bank>_status.json`, with the keys, units and rounding of pytes_serial.
//!
//! `devices[i]` and `cells_data[i]` are always battery i + 1; a value that was not reported is `null`.

pub(crate) mod derived;
pub mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::event_word::EventWord;
use crate::model::facts::Facts;
use crate::model::lifetime::{Lifetime, Shown};
use crate::model::reading::{BatteryReading, CellReading};
use crate::model::report::{BankReport, ServiceCounters};
use crate::model::statistics::BatteryStatistics;
use crate::model::units::{Milliamps, Millicelsius, Millivolts, rounded_quotient};
use crate::model::word::Word;
use crate::status::derived::{BankKeys, DeviceKeys};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusDocument {
    /// When the sweep began, local time.
    pub(crate) relay_local_time: String,
    /// When the sweep began, UTC.
    pub(crate) taken_at: String,
    pub(crate) bank: String,
    /// The number of places.
    pub powers: usize,
    /// Volts.
    pub(crate) voltage: Option<f64>,
    /// Amperes, positive while charging.
    pub(crate) current: Option<f64>,
    /// Watts, positive while charging.
    pub(crate) power_w: Option<f64>,
    /// Degrees Celsius.
    pub(crate) temperature: Option<f64>,
    /// Percent, its whole part.
    pub(crate) soc: Option<i64>,
    /// Of the master battery.
    pub(crate) basic_st: Option<String>,
    /// Whether the batteries are in series.
    pub(crate) series: bool,
    #[serde(flatten)]
    pub(crate) insight: BankKeys,
    /// One entry per place.
    pub(crate) devices: Vec<Device>,
    /// The cells of each battery; empty if cells are not polled.
    pub(crate) cells_data: Vec<Cells>,
    pub serial_stat: SerialStat,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Device {
    pub(crate) power: u8,
    /// Volts.
    pub(crate) voltage: Option<f64>,
    /// Amperes.
    pub(crate) current: Option<f64>,
    /// Watts.
    pub(crate) power_w: Option<f64>,
    /// Degrees Celsius.
    pub(crate) temperature: Option<f64>,
    /// Percent.
    pub(crate) soc: Option<i32>,
    /// `Charge`, `Dischg`, `Idle` …
    pub(crate) basic_st: Option<String>,
    pub(crate) volt_st: Option<String>,
    pub(crate) current_st: Option<String>,
    pub(crate) temp_st: Option<String>,
    /// State of health, as a word.
    pub(crate) soh_st: Option<String>,
    pub(crate) coul_st: Option<String>,
    /// Whether the heater is on.
    pub(crate) heater_st: Option<String>,
    /// Whether the charging transistor conducts.
    pub(crate) charge_switch: Option<String>,
    /// Whether the discharging transistor conducts.
    pub(crate) discharge_switch: Option<String>,
    /// State of the cells' voltage.
    pub(crate) cell_volt_state: Option<String>,
    /// State of the cells' temperature.
    pub(crate) cell_temp_state: Option<String>,
    /// State of the switching transistors' temperature.
    pub(crate) mos_temp_state: Option<String>,
    /// The system's alarm state.
    pub(crate) system_alarm: Option<String>,
    /// Temperature of the switching transistors in degrees Celsius.
    pub(crate) mos_temperature: Option<f64>,
    /// Remaining charge in ampere-hours.
    pub(crate) remaining_ah: Option<f64>,
    /// Remaining energy in kilowatt-hours.
    pub(crate) energy_kwh: Option<f64>,
    /// Events of the cells.
    pub(crate) bat_events: Option<u32>,
    /// Events of the battery.
    pub(crate) power_events: Option<u32>,
    /// Faults of the system.
    pub(crate) sys_events: Option<u32>,
    /// Serial number.
    pub(crate) barcode: Option<String>,
    /// Type.
    pub(crate) model: Option<String>,
    /// Main firmware.
    pub(crate) firmware: Option<String>,
    /// Nominal capacity in ampere-hours.
    pub(crate) capacity_ah: Option<f64>,
    /// State of health in percent.
    pub(crate) soh: Option<i32>,
    /// Full cycles.
    pub(crate) cycles: Option<i64>,
    /// Lifetime values measured by the battery, by key, and the time at which they were read.
    #[serde(default)]
    pub(crate) lifetime: Option<BTreeMap<String, Value>>,
    #[serde(flatten)]
    pub(crate) insight: DeviceKeys,
}

/// The cells of one battery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cells {
    /// The battery's place.
    pub(crate) power: u8,
    /// Volts, highest minus lowest.
    pub(crate) voltage_delta: Option<f64>,
    /// Volts.
    pub(crate) voltage_min: Option<f64>,
    /// Volts.
    pub(crate) voltage_max: Option<f64>,
    /// Degrees, highest minus lowest.
    pub(crate) temperature_delta: Option<f64>,
    /// Degrees.
    pub(crate) temperature_min: Option<f64>,
    /// Degrees.
    pub(crate) temperature_max: Option<f64>,
    /// Counted from 1.
    pub(crate) voltage_min_cell: Option<u16>,
    /// Counted from 1.
    pub(crate) voltage_max_cell: Option<u16>,
    /// Counted from 1.
    pub(crate) temperature_min_cell: Option<u16>,
    /// Counted from 1.
    pub(crate) temperature_max_cell: Option<u16>,
    /// The cells; `null` if not answered.
    pub(crate) cells: Option<Vec<CellStatus>>,
}

/// One cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CellStatus {
    /// The battery's place.
    pub(crate) power: u8,
    /// From 1.
    pub(crate) cell: usize,
    /// Volts.
    pub(crate) voltage: Option<f64>,
    /// Amperes.
    pub(crate) current: Option<f64>,
    /// Degrees Celsius.
    pub(crate) temperature: Option<f64>,
    /// `Charge`, `Dischg`, `Idle` …
    pub(crate) basic_st: Option<String>,
    pub(crate) volt_st: Option<String>,
    pub(crate) curr_st: Option<String>,
    pub(crate) temp_st: Option<String>,
    /// Percent.
    pub(crate) soc: Option<i32>,
    /// Remaining ampere-hours.
    pub(crate) coulomb: Option<f64>,
    /// Whether it is being balanced.
    pub(crate) balancing: Option<bool>,
}

/// Counters of the service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SerialStat {
    /// Days.
    pub(crate) uptime: f64,
    /// Full sweeps.
    pub loops: u64,
    /// Full sweeps in which an answer was missing.
    pub(crate) errors: u64,
    /// Newly set bits of `Bat Events`.
    pub(crate) bat_events_no: u64,
    /// Newly set bits of `Power Events`.
    pub(crate) pwr_events_no: u64,
    /// Newly set bits of `System Fault`.
    pub(crate) sys_events_no: u64,
    /// Percent of full sweeps without a missing answer.
    pub(crate) efficiency: Option<f64>,
    /// Duration of the sweep in seconds.
    pub(crate) ser_round_trip: f64,
    /// Withheld values by quantity and reason.
    #[serde(default)]
    pub(crate) plausibility: BTreeMap<String, u64>,
}

impl StatusDocument {
    /// Creates the document of a report; local times are in `zone`.
    #[must_use]
    pub fn of(report: &BankReport, zone: &TimeZone) -> Self {
        let BankReport { reading, statistics, facts, derived: insight, service, .. } = report;
        let has_cells = reading.batteries.iter().any(|battery| battery.cells.is_some())
            || reading.missing.iter().any(|missing| missing.command.starts_with("bat"));
        let batteries = reading.batteries.iter().zip(&statistics.batteries);
        let cells_data =
            batteries.clone().filter(|_| has_cells).map(|(battery, values)| cells(battery, values)).collect();
        Self {
            relay_local_time: reading
                .taken_at
                .to_zoned(zone.clone())
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string(),
            taken_at: reading.taken_at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            bank: reading.bank.to_string(),
            powers: reading.batteries.len(),
            voltage: statistics.voltage.map(|voltage| rounded(voltage.0, 1)),
            current: statistics.current.map(|current| rounded(current.0, 1)),
            power_w: statistics.power.map(|power| rounded(power.0, 1)),
            temperature: statistics.temperature.map(|temperature| rounded(temperature.0, 1)),
            soc: statistics.soc.map(|soc| soc.trunc() as i64),
            basic_st: word(&statistics.base_state),
            series: reading.is_series(),
            insight: BankKeys::of(insight),
            devices: batteries
                .zip(facts)
                .zip(&insight.batteries)
                .map(|(((battery, values), facts), own)| {
                    let keys = DeviceKeys::of(own, insight.target_soc);
                    device(battery, values, facts, keys)
                })
                .collect(),
            cells_data,
            serial_stat: serial_stat(service, reading.took),
        }
    }
}

fn device(
    battery: &BatteryReading,
    values: &BatteryStatistics,
    facts: &Facts,
    insight: DeviceKeys,
) -> Device {
    let measured = &battery.measured;
    let bits = |word: &Option<EventWord>| word.as_ref().map(|word| word.bits);
    Device {
        power: battery.place.number(),
        voltage: measured.voltage.map(|voltage| rounded(voltage.0, 2)),
        current: measured.current.map(|current| rounded(current.0, 2)),
        power_w: values.power.map(|power| rounded(power.0, 1)),
        temperature: measured.temperature.map(|temperature| rounded(temperature.0, 1)),
        soc: measured.soc.map(|soc| soc.0),
        basic_st: word(&measured.base_state),
        volt_st: word(&measured.volt_state),
        current_st: word(&measured.current_state),
        temp_st: word(&measured.temp_state),
        soh_st: word(&measured.soh_state),
        coul_st: word(&measured.coulomb_state),
        heater_st: word(&measured.heater),
        charge_switch: word(&measured.charge_switch),
        discharge_switch: word(&measured.discharge_switch),
        cell_volt_state: word(&measured.cell_volt_state),
        cell_temp_state: word(&measured.cell_temp_state),
        mos_temp_state: word(&measured.mos_temp_state),
        system_alarm: word(&measured.system_alarm),
        mos_temperature: measured.mos_temperature.map(|temperature| rounded(temperature.0, 1)),
        remaining_ah: measured.remaining.map(|charge| charge.ampere_hours()),
        energy_kwh: measured.energy.map(|energy| decimal(energy.0, 1_000_000, 3)),
        bat_events: bits(&measured.battery_events),
        power_events: bits(&measured.power_events),
        sys_events: bits(&measured.system_fault),
        barcode: facts.barcode.clone(),
        model: facts.model.clone(),
        firmware: facts.firmware.clone(),
        capacity_ah: facts.nominal_capacity.map(|capacity| capacity.ampere_hours()),
        soh: facts.soh.map(|soh| soh.0),
        cycles: facts.cycles,
        lifetime: facts.lifetime.as_deref().map(lifetime),
        insight,
    }
}

fn lifetime(lifetime: &Lifetime) -> BTreeMap<String, Value> {
    let value = |shown| match shown {
        Shown::Number(number) => number.into(),
        Shown::Whole(number) => number.into(),
        Shown::Day(day) => day.into(),
    };
    let figures = lifetime.shown().map(|(figure, shown)| (figure.key().to_owned(), value(shown)));
    let read_at = lifetime.read_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    figures.chain([("read_at".to_owned(), read_at.into())]).collect()
}

fn cells(battery: &BatteryReading, values: &BatteryStatistics) -> Cells {
    let power = battery.place.number();
    let voltage = values.cells.voltage;
    let temperature = values.cells.temperature;
    let volts = |value: Millivolts| rounded(value.0, 3);
    let degrees = |value: Millicelsius| rounded(value.0, 1);
    let list = |cells: &Vec<CellReading>| {
        (1..).zip(cells).map(|(number, value)| cell(power, number, value)).collect()
    };
    Cells {
        power,
        voltage_delta: voltage.map(|spread| volts(spread.delta())),
        voltage_min: voltage.map(|spread| volts(spread.min.value)),
        voltage_max: voltage.map(|spread| volts(spread.max.value)),
        temperature_delta: temperature.map(|spread| degrees(spread.delta())),
        temperature_min: temperature.map(|spread| degrees(spread.min.value)),
        temperature_max: temperature.map(|spread| degrees(spread.max.value)),
        voltage_min_cell: voltage.map(|spread| spread.min.cell),
        voltage_max_cell: voltage.map(|spread| spread.max.cell),
        temperature_min_cell: temperature.map(|spread| spread.min.cell),
        temperature_max_cell: temperature.map(|spread| spread.max.cell),
        cells: battery.cells.as_ref().map(list),
    }
}

fn cell(power: u8, number: usize, cell: &CellReading) -> CellStatus {
    CellStatus {
        power,
        cell: number,
        voltage: cell.voltage.map(|voltage| voltage.volts()),
        current: cell.current.map(Milliamps::amperes),
        temperature: cell.temperature.map(|temperature| rounded(temperature.0, 1)),
        basic_st: word(&cell.base_state),
        volt_st: word(&cell.volt_state),
        curr_st: word(&cell.current_state),
        temp_st: word(&cell.temp_state),
        soc: cell.soc.map(|soc| soc.0),
        coulomb: cell.coulomb.map(|coulomb| coulomb.ampere_hours()),
        balancing: cell.balancing,
    }
}

fn serial_stat(service: &ServiceCounters, round_trip: Duration) -> SerialStat {
    const DAY: i64 = 86_400_000;
    let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    SerialStat {
        uptime: decimal(millis(service.uptime), DAY, 3),
        loops: service.sweeps,
        errors: service.incomplete,
        bat_events_no: service.battery_events,
        pwr_events_no: service.power_events,
        sys_events_no: service.system_faults,
        efficiency: service.complete().map(|(complete, all)| decimal(complete.saturating_mul(100), all, 2)),
        ser_round_trip: decimal(millis(round_trip), 1000, 2),
        plausibility: service.withheld.each().collect(),
    }
}

fn word(word: &Option<Word>) -> Option<String> {
    word.as_ref().map(|word| word.as_str().to_owned())
}

/// Rounds a value in thousandths to `decimals`.
#[must_use]
pub(crate) fn rounded(thousandths: impl Into<i64>, decimals: u32) -> f64 {
    decimal(thousandths.into(), 1000, decimals)
}

/// Rounds `dividend` / `divisor` to `decimals`, halves away from zero.
fn decimal(dividend: i64, divisor: i64, decimals: u32) -> f64 {
    let scale = 10_i64.pow(decimals);
    rounded_quotient(dividend.saturating_mul(scale), divisor) as f64 / scale as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_away_from_zero_despite_float_error() {
        assert_eq!([1_005, 2_675, 52_715, -1_005].map(|value| rounded(value, 2)), [1.01, 2.68, 52.72, -1.01]);
        assert_eq!([25_050, 35_550, -50, 49].map(|value| rounded(value, 1)), [25.1, 35.6, -0.1, 0.0]);
        assert_eq!(rounded(3_295, 3), 3.295);
    }
}
