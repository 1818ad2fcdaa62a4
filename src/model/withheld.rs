//! Values that no battery can have: those that were withheld, how often that happened, and those that last.

use std::fmt;

use crate::model::place::Place;
use crate::model::reading::{CellReading, Measured};

/// What a value measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    /// Of a battery or a stack, in millivolts.
    Voltage,
    /// In milliamperes.
    Current,
    /// Of a board, in thousandths of a degree.
    Temperature,
    /// Of the switching transistors, in thousandths of a degree.
    MosTemperature,
    /// State of charge in percent.
    Soc,
    /// Left, in milliampere-hours.
    Charge,
    /// Left, in milliwatt-hours.
    Energy,
    /// Of a cell, in millivolts.
    CellVoltage,
    /// Of a cell, in thousandths of a degree.
    CellTemperature,
}

impl Quantity {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 9] = [
        Self::Voltage,
        Self::Current,
        Self::Temperature,
        Self::MosTemperature,
        Self::Soc,
        Self::Charge,
        Self::Energy,
        Self::CellVoltage,
        Self::CellTemperature,
    ];

    /// Its name in keys and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Voltage => "voltage",
            Self::Current => "current",
            Self::Temperature => "temperature",
            Self::MosTemperature => "mos_temperature",
            Self::Soc => "soc",
            Self::Charge => "charge",
            Self::Energy => "energy",
            Self::CellVoltage => "cell_voltage",
            Self::CellTemperature => "cell_temperature",
        }
    }
}

/// Why a value was not believed at first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Implausible {
    /// No battery can have it.
    Limit,
    /// No battery can have come there since the last sweep.
    Step,
    /// No working sensor measures it: it is withheld however often it is repeated.
    SensorFault,
}

impl Implausible {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 3] = [Self::Limit, Self::Step, Self::SensorFault];

    /// Its name in keys.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Step => "step",
            Self::SensorFault => "sensor_fault",
        }
    }
}

/// Which of the values of its quantity a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueScope {
    /// The battery's own, or the stack's.
    Whole,
    /// A cell's, from 1.
    Cell(u16),
    /// The lowest cell's, by the table.
    LowestCell,
    /// The highest cell's, by the table.
    HighestCell,
}

/// A value of a battery or a stack.
pub type ValueKey = (Quantity, ValueScope);

/// The name of a value as the word of an event: `soc`, `cell_5_voltage`. At most 16 characters, which is what the
/// database holds.
#[must_use]
pub(crate) fn value_name((quantity, scope): ValueKey) -> String {
    let of_cell = match quantity {
        Quantity::CellVoltage => "voltage",
        Quantity::CellTemperature => "temp",
        other => other.name(),
    };
    match scope {
        ValueScope::Whole => quantity.name().to_owned(),
        ValueScope::Cell(number) => format!("cell_{number}_{of_cell}"),
        ValueScope::LowestCell => format!("cell_min_{of_cell}"),
        ValueScope::HighestCell => format!("cell_max_{of_cell}"),
    }
}

/// Whether `word` is, or is like, the name of a value.
#[must_use]
pub(crate) fn is_value_name(word: &str) -> bool {
    word.starts_with("cell_") || Quantity::ALL.iter().any(|quantity| quantity.name() == word)
}

/// A value of a whole battery and whether it is there.
type Own = (ValueKey, fn(&Measured) -> bool);

const OWN: &[Own] = &[
    ((Quantity::Voltage, ValueScope::Whole), |m| m.voltage.is_some()),
    ((Quantity::Current, ValueScope::Whole), |m| m.current.is_some()),
    ((Quantity::Temperature, ValueScope::Whole), |m| m.temperature.is_some()),
    ((Quantity::MosTemperature, ValueScope::Whole), |m| m.mos_temperature.is_some()),
    ((Quantity::Soc, ValueScope::Whole), |m| m.soc.is_some()),
    ((Quantity::Charge, ValueScope::Whole), |m| m.remaining.is_some()),
    ((Quantity::Energy, ValueScope::Whole), |m| m.energy.is_some()),
    ((Quantity::CellVoltage, ValueScope::LowestCell), |m| m.cell_voltage_low.is_some()),
    ((Quantity::CellVoltage, ValueScope::HighestCell), |m| m.cell_voltage_high.is_some()),
    ((Quantity::CellTemperature, ValueScope::LowestCell), |m| m.cell_temperature_low.is_some()),
    ((Quantity::CellTemperature, ValueScope::HighestCell), |m| m.cell_temperature_high.is_some()),
];

/// A value of a cell and whether it is there.
type OfCell = (Quantity, fn(&CellReading) -> bool);

const OF_CELL: &[OfCell] = &[
    (Quantity::CellVoltage, |cell| cell.voltage.is_some()),
    (Quantity::CellTemperature, |cell| cell.temperature.is_some()),
    (Quantity::Current, |cell| cell.current.is_some()),
    (Quantity::Soc, |cell| cell.soc.is_some()),
    (Quantity::Charge, |cell| cell.coulomb.is_some()),
];

/// The values of a battery that a reading shows.
pub fn shown<'a>(
    measured: &'a Measured,
    cells: &'a [CellReading],
) -> impl Iterator<Item = ValueKey> + use<'a> {
    let own = OWN.iter().filter(|(_, is_there)| is_there(measured)).map(|(key, _)| *key);
    own.chain((1..).zip(cells).flat_map(|(number, cell)| {
        let there = OF_CELL.iter().filter(|(_, is_there)| is_there(cell));
        there.map(move |(quantity, _)| (*quantity, ValueScope::Cell(number)))
    }))
}

/// One value that no battery can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// Whose; `None` is the stack.
    pub battery: Option<Place>,
    /// What it measures.
    pub quantity: Quantity,
    /// Which of them.
    pub(crate) scope: ValueScope,
    /// What it was, in its quantity's unit.
    pub(crate) value: i64,
    /// Why it was not believed.
    pub why: Implausible,
}

impl Withheld {
    /// The cell's number, from 1, where it is one cell's.
    #[must_use]
    pub(crate) fn cell(&self) -> Option<u16> {
        match self.scope {
            ValueScope::Cell(number) => Some(number),
            _ => None,
        }
    }

    /// The name of the value.
    #[must_use]
    pub fn name(&self) -> String {
        value_name((self.quantity, self.scope))
    }
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.quantity.name().replace('_', " ");
        match self.why {
            Implausible::Limit => write!(f, "a {name} of {} is beyond any battery", self.value),
            Implausible::Step => write!(f, "no battery steps to a {name} of {} so soon", self.value),
            Implausible::SensorFault => write!(f, "no working sensor measures a {name} of {}", self.value),
        }
    }
}

/// How many values were withheld, by what they measure and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WithheldCounts([[u64; Implausible::ALL.len()]; Quantity::ALL.len()]);

impl WithheldCounts {
    /// Counts one.
    pub(crate) fn add(&mut self, withheld: &Withheld) {
        self.0[withheld.quantity as usize][withheld.why as usize] += 1;
    }

    /// Each count with its name, such as `cell_voltage_step`.
    pub fn each(&self) -> impl Iterator<Item = (String, u64)> + '_ {
        let quantities = Quantity::ALL.iter().zip(&self.0);
        quantities.flat_map(|(quantity, counts)| {
            let reasons = Implausible::ALL.iter().zip(counts);
            reasons.map(|(why, count)| (format!("{}_{}", quantity.name(), why.name()), *count))
        })
    }

    /// All of them together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().flatten().sum()
    }
}
