//! A simulated bank as readings, without a console: years of it in seconds.

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

/// A bank, the clocks beside it, and the statistics that look at it.
pub struct SimulatedYears {
    pub bank: SimulatedBank,
    pub stats: Stats,
    start: Instant,
    lived: Duration,
}

impl SimulatedYears {
    pub fn new(bank: SimulatedBank, interval: Duration) -> Self {
        Self { bank, stats: Stats::unkept(interval), start: Instant::now(), lived: Duration::ZERO }
    }

    /// Lets time pass.
    pub fn advance(&mut self, time: Duration) {
        self.bank.advance(time);
        self.lived += time;
    }

    pub fn now(&self) -> (Instant, Timestamp) {
        let wall = Timestamp::from_second(1_780_000_000).unwrap();
        (self.start + self.lived, wall + self.lived)
    }

    /// What a sweep would say now.
    pub fn reading(&self, kind: SweepKind) -> BankReading {
        let (began, taken_at) = self.now();
        reading(&self.bank, kind, began, taken_at)
    }

    /// The report of a sweep, in which something may have been changed on the way.
    pub fn report(&mut self, kind: SweepKind, change: impl FnOnce(&mut BankReading)) -> BankReport {
        let mut reading = self.reading(kind);
        change(&mut reading);
        let facts = facts(&self.bank);
        self.stats.report(reading, facts, Facts::default(), ServiceCounters::default())
    }
}

/// What the bank would say.
pub fn reading(bank: &SimulatedBank, kind: SweepKind, began: Instant, taken_at: Timestamp) -> BankReading {
    let battery = |place: Place| match bank.battery(usize::from(place.number())) {
        Some(battery) => said(battery, place, kind),
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

/// What its labels say, by place.
pub fn facts(bank: &SimulatedBank) -> Vec<Facts> {
    let of = |battery: &SimulatedBattery| Facts {
        barcode: Some(battery.barcode.clone()),
        nominal_capacity: Some(MilliampHours((battery.nominal * 1000.0) as i64)),
        cells: u16::try_from(battery.cell_count()).ok(),
        ..Facts::default()
    };
    (1..=bank.places()).map(|place| bank.battery(place).map(of).unwrap_or_default()).collect()
}

pub fn milli(value: f64) -> i32 {
    (value * 1000.0).round() as i32
}

fn said(battery: &SimulatedBattery, place: Place, kind: SweepKind) -> BatteryReading {
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
