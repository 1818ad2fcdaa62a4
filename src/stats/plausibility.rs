//! Withholds values that no battery can have until they are repeated, and values that no working sensor measures
//! always.
//!
//! ```text
//! value ── beyond what a working sensor measures ────────────────────────► withheld, however often it is repeated
//!   │ ──── within its limits and within a step of the last ──────────────► shown
//!   │ ──── outside, and repeated ────────────────────────────────────────► shown: two that agree are accepted
//!   │ ──── outside, of a cell whose battery says that it is faulty ──────► shown: a fault is not damage
//!   └ else ──────────────────────────────────────────────────────────────► withheld and counted; the next decides
//! ```
//! So what lasts is shown or withheld steadily from its second occurrence on. What lasts beyond the limits is named.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::facts::Facts;
use crate::model::place::Place;
use crate::model::reading::{BankReading, BatteryReading, CellReading, Measured, Presence};
use crate::model::withheld::{Implausible, Quantity, ValueKey, ValueScope, Withheld};
use crate::model::word::Word;
use crate::stats::limits::{self, Rating};

/// What was last said of each quantity.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plausibility {
    /// Of the stack.
    stack: Gates,
    batteries: BTreeMap<Place, Gates>,
}

/// The values of a reading that no battery can have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sifted {
    /// Those that were taken out of it.
    pub(crate) withheld: Vec<Withheld>,
    /// Those that were there in the sweep before as well: shown, or of a faulty sensor.
    pub(crate) lasting: Vec<Withheld>,
}

/// The gates of one battery, or of the stack.
#[derive(Clone, Debug, Default)]
struct Gates {
    barcode: Option<String>,
    /// How many cells were seen: a summary shows none, and has the same limits.
    cells: Option<usize>,
    said: BTreeMap<ValueKey, Said>,
}

/// A value and when it was said.
type At = (i64, Instant);

/// The last states of a value.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    /// The last one that was accepted.
    believed: Option<At>,
    /// The last one that was not within a step of that: a doubted one, or where that was confirmed, the one before.
    /// Two answers of a sweep that differ for good are both shown.
    other: Option<At>,
    /// Why the last one was implausible.
    why: Option<Implausible>,
}

/// One look through a battery's values.
struct Look<'a> {
    gates: &'a mut Gates,
    battery: Option<Place>,
    rating: Rating,
    at: Instant,
    /// What was said longer ago says nothing of now.
    most: Duration,
    sifted: &'a mut Sifted,
}

impl Plausibility {
    /// Withholds the implausible values of a reading and names them. Values older than `most` say nothing of now.
    pub(crate) fn sift(
        &mut self,
        reading: &mut BankReading,
        facts: &[Facts],
        bank_facts: &Facts,
        most: Duration,
    ) -> Sifted {
        let mut sifted = Sifted::default();
        let at = reading.began;
        let cells = reading.batteries.iter().map(|battery| Some(battery.cells.as_ref()?.len()));
        let cells: Option<usize> = cells.sum();
        if let Some(stack) = &mut reading.stack {
            let gates = &mut self.stack;
            gates.cells = cells.filter(|cells| *cells > 0).or(gates.cells);
            let rating = Rating::of(bank_facts, gates.cells);
            Look { gates, battery: None, rating, at, most, sifted: &mut sifted }.measured(stack, false);
        }
        for (battery, facts) in reading.batteries.iter_mut().zip(facts) {
            if battery.presence == Presence::Absent {
                self.batteries.remove(&battery.place);
                continue;
            }
            let gates = self.batteries.entry(battery.place).or_default();
            gates.are_of(facts.barcode.as_ref());
            gates.cells = battery.cells.as_ref().map(Vec::len).or(gates.cells);
            let rating = Rating::of(facts, gates.cells);
            let place = Some(battery.place);
            Look { gates, battery: place, rating, at, most, sifted: &mut sifted }.battery(battery);
        }
        sifted
    }
}

impl Gates {
    /// Another label is another battery, of which nothing has been said yet.
    fn are_of(&mut self, barcode: Option<&String>) {
        if let Some(barcode) = barcode.filter(|barcode| self.barcode.as_ref() != Some(*barcode))
            && self.barcode.replace(barcode.clone()).is_some()
        {
            self.said.clear();
            self.cells = None;
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
        self.gate((Quantity::Voltage, ValueScope::Whole), &mut measured.voltage, false);
        self.gate((Quantity::Current, ValueScope::Whole), &mut measured.current, false);
        self.gate((Quantity::Temperature, ValueScope::Whole), &mut measured.temperature, faulty);
        self.gate((Quantity::MosTemperature, ValueScope::Whole), &mut measured.mos_temperature, faulty);
        self.gate((Quantity::Soc, ValueScope::Whole), &mut measured.soc, false);
        self.gate((Quantity::Charge, ValueScope::Whole), &mut measured.remaining, false);
        self.gate((Quantity::Energy, ValueScope::Whole), &mut measured.energy, false);
        self.gate((Quantity::CellVoltage, ValueScope::LowestCell), &mut measured.cell_voltage_low, faulty);
        self.gate((Quantity::CellVoltage, ValueScope::HighestCell), &mut measured.cell_voltage_high, faulty);
        self.gate(
            (Quantity::CellTemperature, ValueScope::LowestCell),
            &mut measured.cell_temperature_low,
            faulty,
        );
        self.gate(
            (Quantity::CellTemperature, ValueScope::HighestCell),
            &mut measured.cell_temperature_high,
            faulty,
        );
    }

    fn cell(&mut self, number: u16, cell: &mut CellReading, faulty: bool) {
        let faulty = faulty || is_error(&cell.base_state) || is_error(&cell.volt_state);
        self.gate((Quantity::CellVoltage, ValueScope::Cell(number)), &mut cell.voltage, faulty);
        self.gate((Quantity::CellTemperature, ValueScope::Cell(number)), &mut cell.temperature, faulty);
        self.gate((Quantity::Current, ValueScope::Cell(number)), &mut cell.current, false);
        self.gate((Quantity::Soc, ValueScope::Cell(number)), &mut cell.soc, false);
        self.gate((Quantity::Charge, ValueScope::Cell(number)), &mut cell.coulomb, false);
    }

    /// Empties `slot` where its value is not believed.
    fn gate<T: Copy + Into<i64>>(&mut self, key: ValueKey, slot: &mut Option<T>, faulty: bool) {
        let Some(value) = slot.map(Into::into) else { return };
        let (rating, at, most) = (self.rating, self.at, self.most);
        let (quantity, scope) = key;
        let age = |(_, then): At| at.saturating_duration_since(then);
        let recent = |said: Option<At>| said.filter(|said| age(*said) <= most);
        let reach = |said: At| {
            ((value - said.0) as f64).abs() <= rating.step(quantity, age(said).min(most).as_secs_f64())
        };
        let said = self.gates.said.entry(key).or_default();
        let inside = |(low, high): (i64, i64)| (low..=high).contains(&value);
        let why = if !inside(limits::of(quantity).sensor) {
            Some(Implausible::SensorFault)
        } else if !inside(rating.range(quantity)) {
            Some(Implausible::Limit)
        } else {
            recent(said.believed).filter(|before| !reach(*before)).map(|_| Implausible::Step)
        };
        let agrees =
            |said: Option<At>| said.is_some_and(|before| reach(before) && close(quantity, value, before.0));
        let show = match why {
            None => true,
            Some(Implausible::SensorFault) => false,
            // Damage does not happen twice alike, however long ago.
            Some(Implausible::Limit) => faulty || agrees(said.believed) || agrees(said.other),
            Some(Implausible::Step) => faulty || agrees(recent(said.other)),
        };
        let lasts = why == said.why && (show || why == Some(Implausible::SensorFault));
        said.why = why;
        if !show {
            if why != Some(Implausible::SensorFault) {
                said.other = Some((value, at));
            }
            *slot = None;
        } else if why.is_some() && !agrees(said.believed) {
            said.other = said.believed.replace((value, at));
        } else {
            said.believed = Some((value, at));
        }
        let Some(why) = why else { return };
        let found = Withheld { battery: self.battery, quantity, scope, value, why };
        if !show {
            self.sifted.withheld.push(found);
        }
        // The extremes of the table repeat the cells' values, if those are asked.
        let repeated = matches!(scope, ValueScope::LowestCell | ValueScope::HighestCell);
        if lasts && why != Implausible::Step && !(repeated && self.gates.cells.is_some()) {
            self.sifted.lasting.push(found);
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
