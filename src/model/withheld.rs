//! Values that were not shown because no battery can have had them, and how often that happened.

use std::fmt;

use crate::model::place::Place;

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
    pub const ALL: [Self; 9] = [
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
}

impl Implausible {
    /// Both of them, in order.
    pub const ALL: [Self; 2] = [Self::Limit, Self::Step];

    /// Its name in keys.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Step => "step",
        }
    }
}

/// One value that was withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// Whose; `None` is the stack.
    pub battery: Option<Place>,
    /// Of which cell, from 1, where it is one cell's.
    pub cell: Option<u16>,
    /// What it measures.
    pub quantity: Quantity,
    /// What it was, in its quantity's unit.
    pub value: i64,
    /// Why it was not believed.
    pub why: Implausible,
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.quantity.name().replace('_', " ");
        match self.why {
            Implausible::Limit => write!(f, "a {name} of {} is beyond any battery", self.value),
            Implausible::Step => write!(f, "no battery steps to a {name} of {} so soon", self.value),
        }
    }
}

/// How many values were withheld, by what they measure and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WithheldCounts([[u64; Implausible::ALL.len()]; Quantity::ALL.len()]);

impl WithheldCounts {
    /// Counts one.
    pub fn add(&mut self, withheld: &Withheld) {
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
