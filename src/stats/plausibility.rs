//! Withholds values that no battery can have until they are repeated, and values that no working sensor measures
//! always.
//!
//! ```text
//! value ── beyond what a working sensor measures ────────────────────────► withheld, however often it is repeated
//!   │ ──── within its limits and within a step of the last ──────────────► shown
//!   │ ──── outside, and repeated ────────────────────────────────────────► shown: two that agree are accepted
//!   │ ──── outside, of a cell whose battery reports a fault ──────────────► shown: a fault is not damage
//!   └ else ──────────────────────────────────────────────────────────────► withheld and counted; the next decides
//! ```
//! So a persistent value is consistently shown or withheld from its second occurrence on. Those outside the limits are
//! reported as persisting.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::facts::Facts;
use crate::model::place::Place;
use crate::model::reading::{BankReading, BatteryReading, CellReading, Measured, Presence};
use crate::model::withheld::{ImplausibleReason, ImplausibleValue, Quantity, ValueKey, ValueScope};
use crate::model::word::Word;
use crate::stats::limits::{self, Rating};

/// Recent values of each quantity of a bank.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlausibilityFilter {
    stack: ValueHistory,
    batteries: BTreeMap<Place, ValueHistory>,
}

/// The implausible values of a reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FilterResult {
    /// Those that were removed from it.
    pub(crate) withheld: Vec<ImplausibleValue>,
    /// Those that were also in the previous sweep: shown or, if the sensor is faulty, withheld.
    pub(crate) lasting: Vec<ImplausibleValue>,
}

/// Recent values of a battery or the stack.
#[derive(Clone, Debug, Default)]
struct ValueHistory {
    barcode: Option<String>,
    /// The number of cells in the last full sweep, which a summary lacks.
    cells: Option<usize>,
    last: BTreeMap<ValueKey, LastValues>,
}

/// A value and its time.
type TimedValue = (i64, Instant);

/// The recent states of a value.
#[derive(Clone, Copy, Debug, Default)]
struct LastValues {
    /// The last accepted one.
    accepted: Option<TimedValue>,
    /// The last one outside a step of `accepted`: a doubtful one or, once that was confirmed, the one before. So two
    /// answers of a sweep that permanently differ are both shown.
    other: Option<TimedValue>,
    /// Why the last one was implausible.
    why: Option<ImplausibleReason>,
}

/// One pass over the values of a battery.
struct FilterPass<'a> {
    history: &'a mut ValueHistory,
    battery: Option<Place>,
    rating: Rating,
    at: Instant,
    /// The maximum age of values that are compared.
    most: Duration,
    sifted: &'a mut FilterResult,
}

impl PlausibilityFilter {
    /// Removes implausible values from a reading and returns them. Values older than `most` are not compared.
    pub(crate) fn filter(
        &mut self,
        reading: &mut BankReading,
        facts: &[Facts],
        bank_facts: &Facts,
        most: Duration,
    ) -> FilterResult {
        let mut sifted = FilterResult::default();
        let at = reading.began;
        let cells = reading.batteries.iter().map(|battery| Some(battery.cells.as_ref()?.len()));
        let cells: Option<usize> = cells.sum();
        if let Some(stack) = &mut reading.stack {
            let history = &mut self.stack;
            history.cells = cells.filter(|cells| *cells > 0).or(history.cells);
            let rating = Rating::of(bank_facts, history.cells);
            FilterPass { history, battery: None, rating, at, most, sifted: &mut sifted }
                .measured(stack, false);
        }
        for (battery, facts) in reading.batteries.iter_mut().zip(facts) {
            if battery.presence == Presence::Absent {
                self.batteries.remove(&battery.place);
                continue;
            }
            let history = self.batteries.entry(battery.place).or_default();
            history.reset_if_replaced(facts.barcode.as_ref());
            history.cells = battery.cells.as_ref().map(Vec::len).or(history.cells);
            let rating = Rating::of(facts, history.cells);
            let place = Some(battery.place);
            FilterPass { history, battery: place, rating, at, most, sifted: &mut sifted }.battery(battery);
        }
        sifted
    }
}

impl ValueHistory {
    /// Clears the history if the barcode changed, because the battery was replaced.
    fn reset_if_replaced(&mut self, barcode: Option<&String>) {
        if let Some(barcode) = barcode.filter(|barcode| self.barcode.as_ref() != Some(*barcode))
            && self.barcode.replace(barcode.clone()).is_some()
        {
            self.last.clear();
            self.cells = None;
        }
    }
}

impl FilterPass<'_> {
    fn battery(&mut self, battery: &mut BatteryReading) {
        let faulty = is_faulty(&battery.measured);
        self.measured(&mut battery.measured, faulty);
        for (number, cell) in (1..).zip(battery.cells.iter_mut().flatten()) {
            self.cell(number, cell, faulty);
        }
    }

    fn measured(&mut self, measured: &mut Measured, faulty: bool) {
        self.check((Quantity::Voltage, ValueScope::Whole), &mut measured.voltage, false);
        self.check((Quantity::Current, ValueScope::Whole), &mut measured.current, false);
        self.check((Quantity::Temperature, ValueScope::Whole), &mut measured.temperature, faulty);
        self.check((Quantity::MosTemperature, ValueScope::Whole), &mut measured.mos_temperature, faulty);
        self.check((Quantity::Soc, ValueScope::Whole), &mut measured.soc, false);
        self.check((Quantity::Charge, ValueScope::Whole), &mut measured.remaining, false);
        self.check((Quantity::Energy, ValueScope::Whole), &mut measured.energy, false);
        self.check((Quantity::CellVoltage, ValueScope::LowestCell), &mut measured.cell_voltage_low, faulty);
        self.check((Quantity::CellVoltage, ValueScope::HighestCell), &mut measured.cell_voltage_high, faulty);
        self.check(
            (Quantity::CellTemperature, ValueScope::LowestCell),
            &mut measured.cell_temperature_low,
            faulty,
        );
        self.check(
            (Quantity::CellTemperature, ValueScope::HighestCell),
            &mut measured.cell_temperature_high,
            faulty,
        );
    }

    fn cell(&mut self, number: u16, cell: &mut CellReading, faulty: bool) {
        let faulty = faulty || is_error(&cell.base_state) || is_error(&cell.volt_state);
        self.check((Quantity::CellVoltage, ValueScope::Cell(number)), &mut cell.voltage, faulty);
        self.check((Quantity::CellTemperature, ValueScope::Cell(number)), &mut cell.temperature, faulty);
        self.check((Quantity::Current, ValueScope::Cell(number)), &mut cell.current, false);
        self.check((Quantity::Soc, ValueScope::Cell(number)), &mut cell.soc, false);
        self.check((Quantity::Charge, ValueScope::Cell(number)), &mut cell.coulomb, false);
    }

    /// Clears `slot` if its value is implausible and not confirmed.
    fn check<T: Copy + Into<i64>>(&mut self, key: ValueKey, slot: &mut Option<T>, faulty: bool) {
        let Some(value) = slot.map(Into::into) else { return };
        let (rating, at, most) = (self.rating, self.at, self.most);
        let (quantity, scope) = key;
        let age = |(_, then): TimedValue| at.saturating_duration_since(then);
        let recent = |last: Option<TimedValue>| last.filter(|last| age(*last) <= most);
        let reach = |last: TimedValue| {
            ((value - last.0) as f64).abs() <= rating.step(quantity, age(last).min(most).as_secs_f64())
        };
        let last = self.history.last.entry(key).or_default();
        let inside = |(low, high): (i64, i64)| (low..=high).contains(&value);
        let why = if !inside(limits::of(quantity).sensor) {
            Some(ImplausibleReason::SensorFault)
        } else if !inside(rating.range(quantity)) {
            Some(ImplausibleReason::Limit)
        } else {
            recent(last.accepted).filter(|before| !reach(*before)).map(|_| ImplausibleReason::Step)
        };
        let agrees = |last: Option<TimedValue>| {
            last.is_some_and(|before| reach(before) && close(quantity, value, before.0))
        };
        let show = match why {
            None => true,
            Some(ImplausibleReason::SensorFault) => false,
            // Damage does not produce the same value twice, however long ago.
            Some(ImplausibleReason::Limit) => faulty || agrees(last.accepted) || agrees(last.other),
            Some(ImplausibleReason::Step) => faulty || agrees(recent(last.other)),
        };
        let persists = why == last.why && (show || why == Some(ImplausibleReason::SensorFault));
        last.why = why;
        if !show {
            if why != Some(ImplausibleReason::SensorFault) {
                last.other = Some((value, at));
            }
            *slot = None;
        } else if why.is_some() && !agrees(last.accepted) {
            last.other = last.accepted.replace((value, at));
        } else {
            last.accepted = Some((value, at));
        }
        let Some(why) = why else { return };
        let found = ImplausibleValue { battery: self.battery, quantity, scope, value, why };
        if !show {
            self.sifted.withheld.push(found);
        }
        // The extremes of the table repeat the values of the cells, if those are polled.
        let repeated = matches!(scope, ValueScope::LowestCell | ValueScope::HighestCell);
        if persists && why != ImplausibleReason::Step && !(repeated && self.history.cells.is_some()) {
            self.sifted.lasting.push(found);
        }
    }
}

/// The steps of a current are not limited, so two values outside the limits agree only if they are similar.
fn close(quantity: Quantity, value: i64, before: i64) -> bool {
    quantity != Quantity::Current || (value - before).abs() * 5 <= value.abs().max(before.abs())
}

/// Whether a battery reports a fault of its own.
fn is_faulty(measured: &Measured) -> bool {
    is_error(&measured.base_state)
        || is_error(&measured.volt_state)
        || measured.system_fault.as_ref().is_some_and(|word| word.stands())
}

fn is_error(state: &Option<Word>) -> bool {
    state.as_ref().is_some_and(|word| word.as_str() == "SysError")
}
