//! The values that a console measures of a battery: integers in console units, states as words.

use crate::simulator::physics::battery::{BaseState, EventWordKind, SimulatedBattery};
use crate::simulator::printed::PrintedCellRow;

/// A battery's values as measured by its console.
#[derive(Clone, Debug)]
pub(super) struct Measurement {
    pub(crate) voltage_mv: i32,
    pub(crate) current_ma: i32,
    pub(crate) temperature_mc: i32,
    pub(crate) temperature_low_mc: i32,
    pub(crate) temperature_high_mc: i32,
    pub(crate) cell_low_mv: i32,
    pub(crate) cell_high_mv: i32,
    pub(crate) base_state: &'static str,
    pub(crate) voltage_state: &'static str,
    pub(crate) current_state: &'static str,
    pub(crate) temperature_state: &'static str,
    pub(crate) coulomb_state: &'static str,
    pub(crate) soc: i32,
    /// Remaining charge in milliampere-seconds.
    pub(crate) charge_mas: i64,
    pub(crate) mosfet_mc: Option<i32>,
    pub(crate) cells: Vec<PrintedCellRow>,
}

impl Measurement {
    /// Measures a battery; its temperature sensors have a resolution of `step` thousandths of a degree.
    pub(crate) fn of(battery: &SimulatedBattery, step: i32) -> Self {
        let temperature = |celsius: f64| (celsius * 1000.0 / f64::from(step)).round() as i32 * step;
        let current_ma = (battery.current() * 1000.0).round() as i32;
        let base_state =
            if battery.event_bits(EventWordKind::Fault) == 0 { battery.state().word() } else { "SysError" };
        let cells: Vec<_> = (0..)
            .zip(battery.cells.iter().zip(battery.cell_voltages()))
            .map(|(index, (cell, volts))| {
                let voltage_mv = (volts * 1000.0).round() as i32;
                PrintedCellRow {
                    index,
                    voltage_mv,
                    current_ma: Some(current_ma),
                    temperature_mc: temperature(battery.temperature_at(index)),
                    base_state: Some(battery.state().word().to_owned()),
                    voltage_state: cell_state(voltage_mv).to_owned(),
                    temperature_state: "Normal".to_owned(),
                    soc: percent(cell.soc()),
                    charge_mah: Some((cell.charge / 3.6).round() as i64),
                    energy_mwh: Some((cell.charge / 3.6 * 3.2).round() as i64),
                    balancing: Some(cell.balancing),
                }
            })
            .collect();
        let voltages = || cells.iter().map(|cell| cell.voltage_mv);
        let temperatures = || cells.iter().map(|cell| cell.temperature_mc);
        let (low, high) = (voltages().min().unwrap_or(0), voltages().max().unwrap_or(0));
        Self {
            voltage_mv: (battery.voltage() * 1000.0).round() as i32,
            current_ma,
            temperature_mc: temperature(battery.board_temperature()),
            temperature_low_mc: temperatures().min().unwrap_or(0),
            temperature_high_mc: temperatures().max().unwrap_or(0),
            cell_low_mv: low,
            cell_high_mv: high,
            base_state,
            voltage_state: if cell_state(low) == "Low" { "Low" } else { cell_state(high) },
            current_state: "Normal",
            temperature_state: "Normal",
            coulomb_state: match percent(battery.soc()) {
                _ if battery.is_full() => "Full",
                ..=9 => "Low",
                _ => "Normal",
            },
            soc: if battery.is_full() { 100 } else { percent(battery.soc()) },
            charge_mas: battery
                .cells
                .iter()
                .map(|cell| (cell.charge * 1000.0).round() as i64)
                .min()
                .unwrap_or(0),
            mosfet_mc: battery.mosfet_sensor.then(|| temperature(battery.mosfet_temperature())),
            cells,
        }
    }
}

/// Seconds since it entered `state`, if it is in that state.
pub(super) fn seconds_in(battery: &SimulatedBattery, state: BaseState) -> Option<i64> {
    (battery.state() == state).then_some(battery.state_for as i64)
}

/// Index of the first smallest value.
pub(super) fn lowest(values: &[i32]) -> usize {
    (0..values.len()).min_by_key(|&index| values[index]).unwrap_or(0)
}

/// Index of the first largest value.
pub(super) fn highest(values: &[i32]) -> usize {
    (0..values.len()).rev().max_by_key(|&index| values[index]).unwrap_or(0)
}

fn percent(share: f64) -> i32 {
    (share * 100.0).floor() as i32
}

fn cell_state(millivolts: i32) -> &'static str {
    match millivolts {
        ..=2_899 => "Low",
        3_580.. => "High",
        _ => "Normal",
    }
}
