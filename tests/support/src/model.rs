//! Reports at model level: a bank without a console.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bankwatch::internals::model::place::Place;
use bankwatch::internals::model::reading::{
    BankReading, BatteryReading, CellReading, Measured, Presence, SweepKind,
};
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::model::units::{Milliamps, Millicelsius, Millivolts, Percent};
use bankwatch::internals::model::word::Word;
use jiff::Timestamp;

/// A bank named `pytes` with healthy batteries; a full reading has cells.
pub fn reading(kind: SweepKind, batteries: u8, cells: u16) -> BankReading {
    let battery = |place| BatteryReading {
        presence: Presence::Present,
        measured: measured(place),
        cells: (kind == SweepKind::Full).then(|| (1..=cells).map(cell).collect()),
        ..BatteryReading::empty(place)
    };
    BankReading {
        device_log: Vec::new(),
        bank: Arc::from("pytes"),
        kind,
        taken_at: Timestamp::UNIX_EPOCH,
        began: Instant::now(),
        took: Duration::from_secs(1),
        asked_again: 0,
        stack: None,
        batteries: Place::up_to(batteries).map(battery).collect(),
        facts: Vec::new(),
        answered: Vec::new(),
        missing: Vec::new(),
        unreadable_facts: Vec::new(),
    }
}

fn measured(place: Place) -> Measured {
    let normal = || Some(Word::new("Normal"));
    Measured {
        voltage: Some(Millivolts(53_000 + i32::from(place.number()))),
        current: Some(Milliamps(-2_000)),
        temperature: Some(Millicelsius(25_000)),
        soc: Some(Percent(90)),
        base_state: Some(Word::new("Dischg")),
        volt_state: normal(),
        current_state: normal(),
        temp_state: normal(),
        coulomb_state: normal(),
        ..Measured::default()
    }
}

fn cell(number: u16) -> CellReading {
    let normal = || Some(Word::new("Normal"));
    CellReading {
        voltage: Some(Millivolts(3_300 + i32::from(number))),
        current: Some(Milliamps(-2_000)),
        temperature: Some(Millicelsius(25_000)),
        base_state: Some(Word::new("Dischg")),
        volt_state: normal(),
        current_state: normal(),
        temp_state: normal(),
        soc: Some(Percent(90)),
        ..CellReading::default()
    }
}

/// The report of such a reading.
pub fn report(kind: SweepKind, batteries: u8, cells: u16) -> BankReport {
    BankReport::of_one(reading(kind, batteries, cells))
}

/// The report of a reading changed by `change`.
pub fn changed(kind: SweepKind, change: impl FnOnce(&mut BankReading)) -> BankReport {
    let mut reading = reading(kind, 2, 16);
    change(&mut reading);
    BankReport::of_one(reading)
}
