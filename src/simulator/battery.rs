//! One battery: cells in series, sensors, counters, event words, a log.

use std::collections::VecDeque;

use fastrand::Rng;

use super::cell::{CELL_MAX, CELL_MIN, Cell};

/// Current below which a battery calls itself idle, in amperes.
const IDLE_BELOW: f64 = 0.1;
/// Resistance of bars, contactor and cable of one battery in ohms.
const WIRING: f64 = 0.002;
/// How many log records a battery keeps.
const LOG_LENGTH: usize = 32;
/// Cells that share one temperature sensor.
const CELLS_PER_SENSOR: usize = 5;

/// What a battery is doing, as its console says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseState {
    /// Current flows in.
    Charge,
    /// Current flows out.
    Dischg,
    /// Less than a tenth of an ampere flows.
    Idle,
}

impl BaseState {
    /// The console's own word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Charge => "Charge",
            Self::Dischg => "Dischg",
            Self::Idle => "Idle",
        }
    }
}

/// The event words of a battery (see the protocol: meanings differ from word to word).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// `Bat Events`: cells.
    Battery,
    /// `Power Events`: the battery as a whole.
    Power,
    /// `System Fault`.
    Fault,
    /// `System Alarm`, where the console has one.
    Alarm,
}

/// What can be wrong with a battery beside its cells.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ailments {
    /// Resistance of a loose cable in ohms.
    pub(crate) loose: f64,
    /// A temperature sensor (from 0) and what it adds, in degrees.
    pub(crate) sensor: Option<(usize, f64)>,
}

/// What a battery counts over its life.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// Changes into charging; consoles call it `Charge Times`.
    pub(crate) charges: u32,
    /// Changes into discharging.
    pub(crate) discharges: u32,
    /// Changes into idling.
    pub(crate) idles: u32,
    /// Charge taken in, in ampere-seconds.
    pub(crate) charged: f64,
    /// Charge given, in ampere-seconds.
    pub(crate) discharged: f64,
    /// How often the highest cell rose above its upper mark.
    pub(crate) cell_high: u32,
    /// How often the lowest cell fell below its lower mark.
    pub(crate) cell_low: u32,
    /// How often the console was reset.
    pub(crate) resets: u32,
}

/// A record of the battery's own log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// Running number.
    pub index: u32,
    /// Seconds since the simulation's epoch.
    pub(crate) seconds: f64,
    /// The running number of charges where one began, else 0.
    pub code: u32,
    /// What happened.
    pub(crate) text: &'static str,
}

/// How many moments a battery keeps of each kind.
const KEPT: usize = 16;

/// The battery as it was at a moment; `data event` shows those worth keeping, `data history` those at intervals.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    /// Running number.
    pub(crate) index: u32,
    /// Seconds since the simulation's epoch.
    pub(crate) seconds: f64,
    /// The battery then, without its own past.
    pub(crate) battery: Box<Battery>,
}

/// One battery.
#[derive(Clone, Debug)]
pub struct Battery {
    /// Unique number on its label.
    pub barcode: String,
    /// What its label promises, in ampere-hours.
    pub nominal: f64,
    pub(super) cells: Vec<Cell>,
    /// Amperes, positive charging.
    pub(super) current: f64,
    /// Degrees Celsius of each sensor.
    pub(super) sensors: Vec<f64>,
    pub(super) state: BaseState,
    /// Seconds since the state last changed.
    pub(super) state_for: f64,
    pub(super) counters: Counters,
    /// Event bits that someone raised by hand: battery, power, fault, alarm.
    pub(super) raised: [u32; 4],
    pub(super) log: VecDeque<LogRecord>,
    /// Moments worth keeping, newest first.
    pub(super) moments: VecDeque<Moment>,
    /// Moments at intervals, newest first.
    pub(super) history: VecDeque<Moment>,
    /// Seconds its clock is behind the master's.
    pub(super) clock_behind: f64,
    /// Whether its board measures the switching transistors; old ones do not.
    pub(super) mosfet_sensor: bool,
    /// What was done to it.
    pub(super) ailments: Ailments,
    high: bool,
    low: bool,
    coulomb_low: bool,
    was_full: bool,
}

impl Battery {
    pub(super) fn new(
        prefix: char,
        cells: usize,
        amp_hours: f64,
        soc: f64,
        ambient: f64,
        rng: &mut Rng,
    ) -> Self {
        let cycles = 20.0 + rng.f64() * 400.0;
        let cells: Vec<_> = (0..cells).map(|_| Cell::new(amp_hours, cycles, soc, rng)).collect();
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
            counters: Counters {
                charges: (cycles * 9.0) as u32,
                discharges: (cycles * 9.5) as u32,
                idles: (cycles * 14.0) as u32,
                charged: cycles * amp_hours * 3600.0 * 1.01,
                discharged: cycles * amp_hours * 3600.0,
                resets: rng.u32(3..90),
                ..Counters::default()
            },
            raised: [0; 4],
            log: VecDeque::new(),
            moments: VecDeque::new(),
            history: VecDeque::new(),
            clock_behind: rng.f64() * 2.0,
            mosfet_sensor: true,
            ailments: Ailments::default(),
            high: false,
            low: false,
            coulomb_low: false,
            was_full: false,
        }
    }

    /// Number of cells.
    #[must_use]
    pub fn cell_count(&self) -> usize {
        self.cells.len()
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> BaseState {
        self.state
    }

    /// What it has counted so far.
    #[must_use]
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Current in amperes, positive charging.
    #[must_use]
    pub fn current(&self) -> f64 {
        self.current
    }

    /// Voltage at its terminals in volts.
    #[must_use]
    pub fn voltage(&self) -> f64 {
        self.cells.iter().map(|cell| cell.voltage(self.current)).sum::<f64>() + self.current * WIRING
    }

    /// State of charge (0 to 1): that of its emptiest cell, as the consoles have it.
    #[must_use]
    pub fn soc(&self) -> f64 {
        self.cells.iter().map(Cell::soc).fold(1.0, f64::min)
    }

    /// Voltage of each cell in volts, as its measuring chip reads it.
    pub fn cell_voltages(&self) -> impl Iterator<Item = f64> {
        self.cells.iter().map(|cell| cell.voltage(self.current) + cell.reading_error + cell.offset)
    }

    /// Whether each cell's bleeding resistor is on.
    pub fn balancing(&self) -> impl Iterator<Item = bool> {
        self.cells.iter().map(|cell| cell.balancing)
    }

    /// Temperature in degrees Celsius of the sensor nearest to `cell` (from 0).
    #[must_use]
    pub fn temperature_at(&self, cell: usize) -> f64 {
        let sensor = (cell / CELLS_PER_SENSOR).min(self.sensors.len() - 1);
        let off = self.ailments.sensor.filter(|(which, _)| *which == sensor).map_or(0.0, |(_, off)| off);
        self.sensors[sensor] + off
    }

    /// Temperature of the board in degrees Celsius.
    #[must_use]
    pub fn board_temperature(&self) -> f64 {
        self.sensors.iter().sum::<f64>() / self.sensors.len() as f64 + 2.4
    }

    /// Temperature of the switching transistors in degrees Celsius.
    #[must_use]
    pub(crate) fn mosfet_temperature(&self) -> f64 {
        self.board_temperature() - 1.3 + self.current.powi(2) * 0.004
    }

    /// Whether it has been filled: the charging current has faded at a high voltage.
    #[must_use]
    pub(crate) fn full(&self) -> bool {
        self.soc() >= 0.985
    }

    /// The bits of an event word that stand: those raised by hand, and `COULFULL` of a full battery.
    #[must_use]
    pub(crate) fn events(&self, word: Word) -> u32 {
        const COULFULL: u32 = 0x2000;
        let full = if word == Word::Power && self.full() { COULFULL } else { 0 };
        self.raised[word as usize] | full
    }

    /// Sum of the open-circuit voltages in volts.
    pub(super) fn electromotive_force(&self) -> f64 {
        self.cells.iter().map(Cell::open_circuit).sum()
    }

    /// Resistance in ohms.
    pub(super) fn resistance(&self) -> f64 {
        self.cells.iter().map(|cell| cell.resistance).sum::<f64>() + WIRING + self.ailments.loose
    }

    /// The nearest current to `wanted` that harms no cell, in amperes.
    pub(super) fn allowed(&self, wanted: f64) -> f64 {
        let most =
            |limit: f64| self.cells.iter().map(move |cell| (limit - cell.open_circuit()) / cell.resistance);
        let charging = most(CELL_MAX).fold(self.nominal, f64::min).max(0.0);
        let giving = most(CELL_MIN).fold(-self.nominal, f64::max).min(0.0);
        wanted.clamp(giving, charging)
    }

    /// Lives through one step at `current`.
    pub(super) fn step(&mut self, current: f64, ambient: f64, seconds: f64, now: f64, rng: &mut Rng) {
        // What leaks through a resting board is not worth a measurement.
        self.current = if current.abs() < 0.02 { 0.0 } else { current };
        let highest = self.cell_voltages().fold(0.0, f64::max);
        let lowest = self.cell_voltages().fold(9.0, f64::min);
        for cell in &mut self.cells {
            let voltage = cell.voltage(self.current);
            cell.balancing = self.current > -IDLE_BELOW && voltage > 3.36 && voltage > lowest + 0.01;
            cell.pass(self.current, seconds);
            cell.reading_error = (rng.f64() - 0.5) * 0.001_4;
        }
        self.warm(ambient, seconds);
        self.count(highest, lowest, seconds, now);
    }

    /// Joule heat in, ambient out, with a time constant of two hours.
    fn warm(&mut self, ambient: f64, seconds: f64) {
        let heat = self.current.powi(2) * self.resistance() / self.sensors.len() as f64;
        for (place, sensor) in self.sensors.iter_mut().enumerate() {
            let own = ambient + 1.5 + place as f64 * 0.4;
            *sensor += heat * seconds / 9000.0 - (*sensor - own) * seconds / 7200.0;
        }
    }

    fn count(&mut self, highest: f64, lowest: f64, seconds: f64, now: f64) {
        let moved = self.current * seconds;
        self.counters.charged += moved.max(0.0);
        self.counters.discharged -= moved.min(0.0);
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
                    self.note(now, self.counters.charges, "The device start charging.");
                }
                BaseState::Dischg => {
                    self.counters.discharges += 1;
                    self.note(now, 0, "The device start discharging.");
                }
                BaseState::Idle => self.counters.idles += 1,
            }
        }
        if rises(&mut self.high, highest > 3.55) {
            self.counters.cell_high += 1;
            self.keep(now);
        }
        let is_full = self.full();
        if rises(&mut self.was_full, is_full) {
            self.keep(now);
        }
        if rises(&mut self.low, lowest < 3.0) {
            self.counters.cell_low += 1;
        }
        let (was_low, is_low) = (self.coulomb_low, self.soc() < 0.1);
        if rises(&mut self.coulomb_low, is_low) {
            self.note(now, 0, "The coulomb of device is low.");
        } else if was_low && !is_low {
            self.note(now, 0, "The coulomb of device is normal.");
        }
    }

    /// Keeps this moment for `data event`.
    pub(super) fn keep(&mut self, now: f64) {
        let moment = self.moment(now, self.moments.front().map(|newest| newest.index));
        self.moments.push_front(moment);
        self.moments.truncate(KEPT);
    }

    /// Keeps this moment for `data history`.
    pub(super) fn record(&mut self, now: f64) {
        let moment = self.moment(now, self.history.front().map(|newest| newest.index));
        self.history.push_front(moment);
        self.history.truncate(KEPT);
    }

    /// This moment, numbered behind the newest of its kind.
    fn moment(&mut self, now: f64, newest: Option<u32>) -> Moment {
        let past = std::mem::take(&mut self.log);
        let moments = [&mut self.moments, &mut self.history].map(std::mem::take);
        let battery = Box::new(self.clone());
        self.log = past;
        [self.moments, self.history] = moments;
        Moment { index: newest.map_or(0, |newest| newest + 1), seconds: now, battery }
    }

    fn note(&mut self, now: f64, code: u32, text: &'static str) {
        let index = self.log.front().map_or(0, |newest| newest.index + 1);
        self.log.push_front(LogRecord { index, seconds: now, code, text });
        self.log.truncate(LOG_LENGTH);
    }
}

/// Stores the condition and says whether it has just come true.
fn rises(was: &mut bool, is: bool) -> bool {
    let rose = is && !*was;
    *was = is;
    rose
}
