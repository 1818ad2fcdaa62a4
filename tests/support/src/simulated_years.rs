//! Readings of a simulated bank without a console: years in seconds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bankwatch::internals::model::facts::Facts;
use bankwatch::internals::model::place::Place;
use bankwatch::internals::model::reading::{
    BankReading, BatteryReading, CellReading, Measured, Presence, SweepKind,
};
use bankwatch::internals::model::report::{BankReport, ServiceCounters};
use bankwatch::internals::model::units::{MilliampHours, Milliamps, Millicelsius, Millivolts, Percent};
use bankwatch::internals::model::word::Word;
use bankwatch::internals::simulator::{BankPlan, SimulatedBank, SimulatedBattery};
use bankwatch::internals::stats::Stats;
use jiff::Timestamp;

/// A bank of 100 Ah batteries with 16 cells each.
pub fn plan(batteries: usize, seed: u64) -> BankPlan {
    BankPlan {
        batteries,
        cells: 16,
        amp_hours: 100.0,
        series: false,
        seed,
        start: jiff::civil::date(2026, 6, 1).at(0, 0, 0, 0),
        barcode_letter: 'B',
    }
}

/// A bank, its clocks, and the statistics computed from its readings.
pub struct SimulatedYears {
    pub bank: SimulatedBank,
    pub stats: Stats,
    start: Instant,
    elapsed: Duration,
}

impl SimulatedYears {
    pub fn new(bank: SimulatedBank, interval: Duration) -> Self {
        Self {
            bank,
            stats: Stats::without_persistence(interval),
            start: Instant::now(),
            elapsed: Duration::ZERO,
        }
    }

    pub fn advance(&mut self, time: Duration) {
        self.bank.advance(time);
        self.elapsed += time;
    }

    pub fn now(&self) -> (Instant, Timestamp) {
        let wall = Timestamp::from_second(1_780_000_000).unwrap();
        (self.start + self.elapsed, wall + self.elapsed)
    }

    /// The reading of a sweep now.
    pub fn reading(&self, kind: SweepKind) -> BankReading {
        let (began, taken_at) = self.now();
        reading(&self.bank, kind, began, taken_at)
    }

    /// The report of a sweep after `change` has modified its reading.
    pub fn report(&mut self, kind: SweepKind, change: impl FnOnce(&mut BankReading)) -> BankReport {
        let mut reading = self.reading(kind);
        change(&mut reading);
        let facts = facts(&self.bank);
        self.stats.report(reading, facts, Facts::default(), ServiceCounters::default())
    }
}

pub fn reading(bank: &SimulatedBank, kind: SweepKind, began: Instant, taken_at: Timestamp) -> BankReading {
    let battery = |place: Place| match bank.battery(usize::from(place.number())) {
        Some(battery) => battery_reading(battery, place, kind),
        None => BatteryReading { presence: Presence::Absent, ..BatteryReading::empty(place) },
    };
    let last = u8::try_from(bank.places()).unwrap();
    let stack = bank.is_series().then(|| {
        let all = || bank.batteries().map(|(_, battery)| battery);
        Measured {
            voltage: Some(Millivolts(milli(all().map(SimulatedBattery::voltage).sum()))),
            current: all().next().map(|battery| Milliamps(milli(battery.current()))),
            soc: Some(Percent((all().map(SimulatedBattery::soc).fold(1.0, f64::min) * 100.0).round() as i32)),
            ..Measured::default()
        }
    });
    BankReading {
        device_log: Vec::new(),
        bank: Arc::from("bank"),
        kind,
        taken_at,
        began,
        took: Duration::ZERO,
        asked_again: 0,
        stack,
        batteries: Place::up_to(last).map(battery).collect(),
        facts: Vec::new(),
        answered: Vec::new(),
        missing: Vec::new(),
        unreadable_facts: Vec::new(),
    }
}

/// The facts of each battery, by place.
pub fn facts(bank: &SimulatedBank) -> Vec<Facts> {
    let battery_facts = |battery: &SimulatedBattery| Facts {
        barcode: Some(battery.barcode.clone()),
        nominal_capacity: Some(MilliampHours((battery.nominal * 1000.0) as i64)),
        cells: u16::try_from(battery.cell_count()).ok(),
        ..Facts::default()
    };
    (1..=bank.places()).map(|place| bank.battery(place).map(battery_facts).unwrap_or_default()).collect()
}

pub fn milli(value: f64) -> i32 {
    (value * 1000.0).round() as i32
}

fn battery_reading(battery: &SimulatedBattery, place: Place, kind: SweepKind) -> BatteryReading {
    let balancing: Vec<bool> = battery.balancing().collect();
    let cells: Vec<CellReading> = battery
        .cell_voltages()
        .enumerate()
        .map(|(index, volts)| CellReading {
            voltage: Some(Millivolts(milli(volts))),
            temperature: Some(Millicelsius(milli(battery.temperature_at(index)))),
            base_state: Some(Word::new(battery.state().word())),
            balancing: Some(balancing[index]),
            ..CellReading::default()
        })
        .collect();
    let measured = Measured {
        voltage: Some(Millivolts(milli(battery.voltage()))),
        current: Some(Milliamps(milli(battery.current()))),
        temperature: Some(Millicelsius(milli(battery.board_temperature()))),
        soc: Some(Percent((battery.soc() * 100.0).round() as i32)),
        base_state: Some(Word::new(battery.state().word())),
        ..Measured::default()
    };
    BatteryReading {
        presence: Presence::Present,
        measured,
        cells: (kind == SweepKind::Full).then_some(cells),
        ..BatteryReading::empty(place)
    }
}
