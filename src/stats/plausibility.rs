//! Withholds what no battery can be, until the next sweep says so too.
//!
//! ```text
//! value ── within its limits and within a step of the last ──────────────► shown
//!   │ ──── outside, and the sweep before said the same ──────────────────► shown: two that agree are believed
//!   │ ──── outside, of a cell whose battery says that it is faulty ──────► shown: a fault is not damage
//!   └ else ──────────────────────────────────────────────────────────────► withheld and counted; the next decides
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::facts::Facts;
use crate::model::place::Place;
use crate::model::reading::{BankReading, BatteryReading, CellReading, Measured, Presence};
use crate::model::withheld::{Implausible, Quantity, Withheld};
use crate::model::word::Word;
use crate::stats::limits::Rating;

/// What was last said of each quantity.
#[derive(Clone, Debug, Default)]
pub struct Plausibility {
    /// Of the stack.
    stack: Gates,
    batteries: BTreeMap<Place, Gates>,
}

/// Which value of a battery: what it measures, and which of its kind.
type Key = (Quantity, u16);

/// The gates of one battery, or of the stack.
#[derive(Clone, Debug, Default)]
struct Gates {
    barcode: Option<String>,
    said: BTreeMap<Key, Said>,
}

/// A value and when it was said.
type At = (i64, Instant);

/// The last value that was believed, and the last that was not.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    believed: Option<At>,
    doubted: Option<At>,
}

/// Which of a battery's own values stands for its lowest and highest cell.
const LOWEST: u16 = 10_000;
const HIGHEST: u16 = 10_001;

/// One look through a battery's values.
struct Look<'a> {
    gates: &'a mut Gates,
    battery: Option<Place>,
    rating: Rating,
    at: Instant,
    /// What was said longer ago says nothing of now.
    most: Duration,
    withheld: &'a mut Vec<Withheld>,
}

impl Plausibility {
    /// Withholds the implausible values of a reading and names them. Values older than `most` say nothing of now.
    pub fn sift(
        &mut self,
        reading: &mut BankReading,
        facts: &[Facts],
        bank_facts: &Facts,
        most: Duration,
    ) -> Vec<Withheld> {
        let mut withheld = Vec::new();
        let at = reading.began;
        let cells = reading.batteries.iter().map(|battery| Some(battery.cells.as_ref()?.len()));
        let cells: Option<usize> = cells.sum();
        if let Some(stack) = &mut reading.stack {
            let rating = Rating::of(bank_facts, cells.filter(|cells| *cells > 0));
            let gates = &mut self.stack;
            Look { gates, battery: None, rating, at, most, withheld: &mut withheld }.measured(stack, false);
        }
        for (battery, facts) in reading.batteries.iter_mut().zip(facts) {
            if battery.presence == Presence::Absent {
                self.batteries.remove(&battery.place);
                continue;
            }
            let gates = self.batteries.entry(battery.place).or_default();
            gates.are_of(facts.barcode.as_ref());
            let rating = Rating::of(facts, battery.cells.as_ref().map(Vec::len));
            let place = Some(battery.place);
            Look { gates, battery: place, rating, at, most, withheld: &mut withheld }.battery(battery);
        }
        withheld
    }
}

impl Gates {
    /// Another label is another battery, of which nothing has been said yet.
    fn are_of(&mut self, barcode: Option<&String>) {
        if let Some(barcode) = barcode.filter(|barcode| self.barcode.as_ref() != Some(*barcode))
            && self.barcode.replace(barcode.clone()).is_some()
        {
            self.said.clear();
        }
    }
}

impl Look<'_> {
    fn battery(&mut self, battery: &mut BatteryReading) {
        let faulty = is_faulty(&battery.measured);
        self.measured(&mut battery.measured, faulty);
        for (number, cell) in (1..).zip(battery.cells.iter_mut().flatten()) {
            self.cell(number, cell, faulty);
        }
    }

    fn measured(&mut self, measured: &mut Measured, faulty: bool) {
        self.gate((Quantity::Voltage, 0), &mut measured.voltage, false);
        self.gate((Quantity::Current, 0), &mut measured.current, false);
        self.gate((Quantity::Temperature, 0), &mut measured.temperature, faulty);
        self.gate((Quantity::MosTemperature, 0), &mut measured.mos_temperature, faulty);
        self.gate((Quantity::Soc, 0), &mut measured.soc, false);
        self.gate((Quantity::Charge, 0), &mut measured.remaining, false);
        self.gate((Quantity::Energy, 0), &mut measured.energy, false);
        self.gate((Quantity::CellVoltage, LOWEST), &mut measured.cell_voltage_low, faulty);
        self.gate((Quantity::CellVoltage, HIGHEST), &mut measured.cell_voltage_high, faulty);
        self.gate((Quantity::CellTemperature, LOWEST), &mut measured.cell_temperature_low, faulty);
        self.gate((Quantity::CellTemperature, HIGHEST), &mut measured.cell_temperature_high, faulty);
    }

    fn cell(&mut self, number: u16, cell: &mut CellReading, faulty: bool) {
        let faulty = faulty || is_error(&cell.base_state) || is_error(&cell.volt_state);
        self.gate((Quantity::CellVoltage, number), &mut cell.voltage, faulty);
        self.gate((Quantity::CellTemperature, number), &mut cell.temperature, faulty);
        self.gate((Quantity::Current, number), &mut cell.current, false);
        self.gate((Quantity::Soc, number), &mut cell.soc, false);
        self.gate((Quantity::Charge, number), &mut cell.coulomb, false);
    }

    /// Empties `slot` where its value is not believed.
    fn gate<T: Copy + Into<i64>>(&mut self, key: Key, slot: &mut Option<T>, faulty: bool) {
        let Some(value) = slot.map(Into::into) else { return };
        let (rating, at) = (self.rating, self.at);
        let recent =
            |said: Option<At>| said.filter(|(_, then)| at.saturating_duration_since(*then) <= self.most);
        let reach = |(then, said_at): At| {
            let seconds = at.saturating_duration_since(said_at).as_secs_f64();
            ((value - then) as f64).abs() <= rating.step(key.0, seconds)
        };
        let said = self.gates.said.entry(key).or_default();
        let (low, high) = rating.range(key.0);
        let why = if !(low..=high).contains(&value) {
            Some(Implausible::Limit)
        } else if recent(said.believed).is_some_and(|before| !reach(before)) {
            Some(Implausible::Step)
        } else {
            None
        };
        let confirmed =
            || recent(said.doubted).is_some_and(|before| reach(before) && close(key.0, value, before.0));
        match why.filter(|_| !faulty && !confirmed()) {
            None => *said = Said { believed: Some((value, at)), doubted: None },
            Some(why) => {
                said.doubted = Some((value, at));
                *slot = None;
                let cell = Some(key.1).filter(|number| (1..LOWEST).contains(number));
                let (battery, quantity) = (self.battery, key.0);
                self.withheld.push(Withheld { battery, cell, quantity, value, why });
            }
        }
    }
}

/// A current may step as it likes, so two beyond the limits agree where they are about the same.
fn close(quantity: Quantity, value: i64, before: i64) -> bool {
    quantity != Quantity::Current || (value - before).abs() * 5 <= value.abs().max(before.abs())
}

/// Whether a battery says of itself that something is wrong with it.
fn is_faulty(measured: &Measured) -> bool {
    is_error(&measured.base_state)
        || is_error(&measured.volt_state)
        || measured.system_fault.as_ref().is_some_and(|word| word.stands())
}

fn is_error(state: &Option<Word>) -> bool {
    state.as_ref().is_some_and(|word| word.as_str() == "SysError")
}
