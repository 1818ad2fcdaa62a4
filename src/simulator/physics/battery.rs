//! A battery: cells in series, temperature sensors, counters, event words, log and snapshots.

use std::collections::VecDeque;

use fastrand::Rng;

use crate::simulator::physics::cell::{CELL_MAX, CELL_MIN, SimulatedCell};

/// A battery reports idle below this current, in amperes.
const IDLE_BELOW: f64 = 0.1;
/// Resistance of busbars, contactor and cable of a battery in ohms.
const WIRING: f64 = 0.002;
/// Number of log records that a battery stores.
const LOG_LENGTH: usize = 32;
/// Cells that share one temperature sensor.
const CELLS_PER_SENSOR: usize = 5;

/// The state that the console prints as `Base.St`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseState {
    Charge,
    Dischg,
    /// The current is below 0.1 A.
    Idle,
}

impl BaseState {
    /// The word printed by the console.
    pub fn word(self) -> &'static str {
        match self {
            Self::Charge => "Charge",
            Self::Dischg => "Dischg",
            Self::Idle => "Idle",
        }
    }
}

/// The event words of a battery; the meaning of a bit differs from word to word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventWordKind {
    /// `Bat Events`: the cells.
    Battery,
    /// `Power Events`: the battery as a whole.
    Power,
    /// `System Fault`.
    Fault,
    /// `System Alarm`, on models that have it.
    Alarm,
}

/// Defects of a battery, in addition to those of its cells.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Defects {
    /// Resistance of a loose cable in ohms.
    pub(crate) cable_resistance: f64,
    /// A faulty temperature sensor (from 0) and its error in degrees.
    pub(crate) sensor: Option<(usize, f64)>,
}

/// Lifetime counters of a battery.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SimulatedCounters {
    /// Transitions to charging, printed as `Charge Times`.
    pub(crate) charges: u32,
    /// Transitions to discharging.
    pub(crate) discharges: u32,
    /// Transitions to idle.
    pub(crate) idles: u32,
    /// In ampere-seconds.
    pub(crate) charged: f64,
    /// In ampere-seconds.
    pub(crate) discharged: f64,
    /// How often the highest cell rose above the upper threshold.
    pub(crate) cell_high: u32,
    /// How often the lowest cell fell below the lower threshold.
    pub(crate) cell_low: u32,
    pub(crate) resets: u32,
}

/// A record of the battery's log.
#[derive(Clone, Debug, PartialEq)]
pub struct BatteryLogRecord {
    pub index: u32,
    /// Seconds since the simulation's epoch.
    pub(crate) seconds: f64,
    /// The number of charges if a charge started, otherwise 0.
    pub code: u32,
    pub(crate) text: &'static str,
}

/// Number of snapshots that a battery stores of each kind.
const MAX_SNAPSHOTS: usize = 16;

/// The state of the battery at a past time: `data event` prints those taken at events, `data history` those taken
/// periodically.
#[derive(Clone, Debug)]
pub(crate) struct BatterySnapshot {
    pub index: u32,
    /// Seconds since the simulation's epoch.
    pub(crate) seconds: f64,
    /// Without its log and snapshots.
    pub(crate) battery: Box<SimulatedBattery>,
}

#[derive(Clone, Debug)]
pub struct SimulatedBattery {
    pub barcode: String,
    /// Nominal capacity in ampere-hours.
    pub nominal: f64,
    pub(crate) cells: Vec<SimulatedCell>,
    /// Amperes, positive charging.
    pub(crate) current: f64,
    /// Degrees Celsius of each sensor.
    pub(crate) sensors: Vec<f64>,
    pub(crate) state: BaseState,
    /// Seconds since the state last changed.
    pub(crate) state_for: f64,
    pub(crate) counters: SimulatedCounters,
    /// Event bits raised through the API, by [`EventWordKind`].
    pub(crate) raised: [u32; 4],
    pub(crate) log: VecDeque<BatteryLogRecord>,
    /// Newest first.
    pub(crate) event_snapshots: VecDeque<BatterySnapshot>,
    /// Newest first.
    pub(crate) history: VecDeque<BatterySnapshot>,
    /// Seconds that its clock lags behind the master's.
    pub(crate) clock_lag: f64,
    /// Whether its board measures the MOSFET temperature; old boards don't.
    pub(crate) mosfet_sensor: bool,
    pub(crate) defects: Defects,
    was_high: bool,
    was_low: bool,
    was_coulomb_low: bool,
    was_full: bool,
}

impl SimulatedBattery {
    pub(crate) fn new(
        prefix: char,
        cells: usize,
        amp_hours: f64,
        soc: f64,
        ambient: f64,
        rng: &mut Rng,
    ) -> Self {
        let cycles = 20.0 + rng.f64() * 400.0;
        let cells: Vec<_> = (0..cells).map(|_| SimulatedCell::new(amp_hours, cycles, soc, rng)).collect();
        let sensors =
            (0..cells.len().div_ceil(CELLS_PER_SENSOR)).map(|_| ambient + 2.0 + rng.f64() * 2.0).collect();
        Self {
            barcode: format!("{prefix}{:015}", rng.u64(1..1_000_000_000_000_000)),
            nominal: amp_hours,
            cells,
            current: 0.0,
            sensors,
            state: BaseState::Idle,
            state_for: 0.0,
            counters: SimulatedCounters {
                charges: (cycles * 9.0) as u32,
                discharges: (cycles * 9.5) as u32,
                idles: (cycles * 14.0) as u32,
                charged: cycles * amp_hours * 3600.0 * 1.01,
                discharged: cycles * amp_hours * 3600.0,
                resets: rng.u32(3..90),
                ..SimulatedCounters::default()
            },
            raised: [0; 4],
            log: VecDeque::new(),
            event_snapshots: VecDeque::new(),
            history: VecDeque::new(),
            clock_lag: rng.f64() * 2.0,
            mosfet_sensor: true,
            defects: Defects::default(),
            was_high: false,
            was_low: false,
            was_coulomb_low: false,
            was_full: false,
        }
    }

    pub fn cell_count(&self) -> usize {
        self.cells.len()
    }

    pub fn state(&self) -> BaseState {
        self.state
    }

    pub(crate) fn counters(&self) -> &SimulatedCounters {
        &self.counters
    }

    /// In amperes, positive charging.
    pub fn current(&self) -> f64 {
        self.current
    }

    /// In volts, at the terminals.
    pub fn voltage(&self) -> f64 {
        self.cells.iter().map(|cell| cell.voltage(self.current)).sum::<f64>() + self.current * WIRING
    }

    /// State of charge (0 to 1) of the emptiest cell, as in real consoles.
    pub fn soc(&self) -> f64 {
        self.cells.iter().map(SimulatedCell::soc).fold(1.0, f64::min)
    }

    /// Measured voltage of each cell in volts.
    pub fn cell_voltages(&self) -> impl Iterator<Item = f64> {
        self.cells.iter().map(|cell| cell.voltage(self.current) + cell.reading_error + cell.offset)
    }

    /// Whether each cell's balancing resistor is on.
    pub fn balancing(&self) -> impl Iterator<Item = bool> {
        self.cells.iter().map(|cell| cell.balancing)
    }

    /// In degrees Celsius, of the sensor nearest to `cell` (from 0).
    pub fn temperature_at(&self, cell: usize) -> f64 {
        let sensor = (cell / CELLS_PER_SENSOR).min(self.sensors.len() - 1);
        let error =
            self.defects.sensor.filter(|(faulty, _)| *faulty == sensor).map_or(0.0, |(_, error)| error);
        self.sensors[sensor] + error
    }

    /// In degrees Celsius.
    pub fn board_temperature(&self) -> f64 {
        self.sensors.iter().sum::<f64>() / self.sensors.len() as f64 + 2.4
    }

    /// In degrees Celsius.
    pub(crate) fn mosfet_temperature(&self) -> f64 {
        self.board_temperature() - 1.3 + self.current.powi(2) * 0.004
    }

    pub(crate) fn is_full(&self) -> bool {
        self.soc() >= 0.985
    }

    /// The active bits of an event word: those raised through the API, and `COULFULL` of a full battery.
    pub(crate) fn event_bits(&self, word: EventWordKind) -> u32 {
        const COULFULL: u32 = 0x2000;
        let full = if word == EventWordKind::Power && self.is_full() { COULFULL } else { 0 };
        self.raised[word as usize] | full
    }

    /// In volts.
    pub(crate) fn open_circuit_voltage(&self) -> f64 {
        self.cells.iter().map(SimulatedCell::open_circuit_voltage).sum()
    }

    /// In ohms.
    pub(crate) fn resistance(&self) -> f64 {
        self.cells.iter().map(|cell| cell.resistance).sum::<f64>() + WIRING + self.defects.cable_resistance
    }

    /// Limits `requested` (in amperes) so that no cell exceeds its voltage limits.
    pub(crate) fn limit_current(&self, requested: f64) -> f64 {
        let currents = |limit: f64| {
            self.cells.iter().map(move |cell| (limit - cell.open_circuit_voltage()) / cell.resistance)
        };
        let charging = currents(CELL_MAX).fold(self.nominal, f64::min).max(0.0);
        let discharging = currents(CELL_MIN).fold(-self.nominal, f64::max).min(0.0);
        requested.clamp(discharging, charging)
    }

    /// Advances by one step of `seconds` at `current`.
    pub(crate) fn step(&mut self, current: f64, ambient: f64, seconds: f64, now: f64, rng: &mut Rng) {
        // The current sensor does not resolve the leakage of an idle board.
        self.current = if current.abs() < 0.02 { 0.0 } else { current };
        let highest = self.cell_voltages().fold(0.0, f64::max);
        let lowest = self.cell_voltages().fold(9.0, f64::min);
        for cell in &mut self.cells {
            let voltage = cell.voltage(self.current);
            cell.balancing = self.current > -IDLE_BELOW && voltage > 3.36 && voltage > lowest + 0.01;
            cell.apply_current(self.current, seconds);
            cell.reading_error = (rng.f64() - 0.5) * 0.001_4;
        }
        self.update_temperatures(ambient, seconds);
        self.update_counters(highest, lowest, seconds, now);
    }

    /// Joule heating, and cooling to ambient with a time constant of two hours.
    fn update_temperatures(&mut self, ambient: f64, seconds: f64) {
        let heat = self.current.powi(2) * self.resistance() / self.sensors.len() as f64;
        for (index, sensor) in self.sensors.iter_mut().enumerate() {
            let resting = ambient + 1.5 + index as f64 * 0.4;
            *sensor += heat * seconds / 9000.0 - (*sensor - resting) * seconds / 7200.0;
        }
    }

    fn update_counters(&mut self, highest: f64, lowest: f64, seconds: f64, now: f64) {
        let charge = self.current * seconds;
        self.counters.charged += charge.max(0.0);
        self.counters.discharged -= charge.min(0.0);
        self.state_for += seconds;
        let state = match self.current {
            current if current > IDLE_BELOW => BaseState::Charge,
            current if current < -IDLE_BELOW => BaseState::Dischg,
            _ => BaseState::Idle,
        };
        if state != self.state {
            self.state = state;
            self.state_for = 0.0;
            match state {
                BaseState::Charge => {
                    self.counters.charges += 1;
                    self.append_log(now, self.counters.charges, "The device start charging.");
                }
                BaseState::Dischg => {
                    self.counters.discharges += 1;
                    self.append_log(now, 0, "The device start discharging.");
                }
                BaseState::Idle => self.counters.idles += 1,
            }
        }
        if rising_edge(&mut self.was_high, highest > 3.55) {
            self.counters.cell_high += 1;
            self.take_event_snapshot(now);
        }
        let is_full = self.is_full();
        if rising_edge(&mut self.was_full, is_full) {
            self.take_event_snapshot(now);
        }
        if rising_edge(&mut self.was_low, lowest < 3.0) {
            self.counters.cell_low += 1;
        }
        let (was_low, is_low) = (self.was_coulomb_low, self.soc() < 0.1);
        if rising_edge(&mut self.was_coulomb_low, is_low) {
            self.append_log(now, 0, "The coulomb of device is low.");
        } else if was_low && !is_low {
            self.append_log(now, 0, "The coulomb of device is normal.");
        }
    }

    /// Stores a snapshot for `data event`.
    pub(crate) fn take_event_snapshot(&mut self, now: f64) {
        let snapshot = self.snapshot(now, self.event_snapshots.front().map(|newest| newest.index));
        self.event_snapshots.push_front(snapshot);
        self.event_snapshots.truncate(MAX_SNAPSHOTS);
    }

    /// Stores a snapshot for `data history`.
    pub(crate) fn take_history_snapshot(&mut self, now: f64) {
        let snapshot = self.snapshot(now, self.history.front().map(|newest| newest.index));
        self.history.push_front(snapshot);
        self.history.truncate(MAX_SNAPSHOTS);
    }

    /// A snapshot with the index after `newest`.
    fn snapshot(&mut self, now: f64, newest: Option<u32>) -> BatterySnapshot {
        let log = std::mem::take(&mut self.log);
        let snapshots = [&mut self.event_snapshots, &mut self.history].map(std::mem::take);
        let battery = Box::new(self.clone());
        self.log = log;
        [self.event_snapshots, self.history] = snapshots;
        BatterySnapshot { index: newest.map_or(0, |newest| newest + 1), seconds: now, battery }
    }

    fn append_log(&mut self, now: f64, code: u32, text: &'static str) {
        let index = self.log.front().map_or(0, |newest| newest.index + 1);
        self.log.push_front(BatteryLogRecord { index, seconds: now, code, text });
        self.log.truncate(LOG_LENGTH);
    }
}

/// Stores the condition and returns whether it has just become true.
fn rising_edge(was: &mut bool, is: bool) -> bool {
    let rose = is && !*was;
    *was = is;
    rose
}
