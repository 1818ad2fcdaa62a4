//! Implausible values: those that were withheld, how often that happened, and those that persist.

use std::fmt;

use crate::model::place::Place;
use crate::model::reading::{CellReading, Measured};

/// The physical quantity of a value.
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
    /// Remaining, in milliampere-hours.
    Charge,
    /// Remaining, in milliwatt-hours.
    Energy,
    /// Of a cell, in millivolts.
    CellVoltage,
    /// Of a cell, in thousandths of a degree.
    CellTemperature,
}

impl Quantity {
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

/// Why a value is implausible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImplausibleReason {
    /// It is outside the range of any battery.
    Limit,
    /// It differs from the last one by more than any battery can change.
    Step,
    /// It is outside the range of any working sensor, so it is withheld however often it is repeated.
    SensorFault,
}

impl ImplausibleReason {
    pub(crate) const ALL: [Self; 3] = [Self::Limit, Self::Step, Self::SensorFault];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Step => "step",
            Self::SensorFault => "sensor_fault",
        }
    }
}

/// The part of a battery that a value belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueScope {
    /// The battery or the stack.
    Whole,
    /// A cell, counted from 1.
    Cell(u16),
    /// The lowest cell according to the table.
    LowestCell,
    /// The highest cell according to the table.
    HighestCell,
}

pub type ValueKey = (Quantity, ValueScope);

/// Returns the name of a value as the word of an event: `soc`, `cell_5_voltage`. It has at most 16 characters, the size
/// of the database column.
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

/// Whether `word` is the name of a value or starts like one.
#[must_use]
pub(crate) fn is_value_name(word: &str) -> bool {
    word.starts_with("cell_") || Quantity::ALL.iter().any(|quantity| quantity.name() == word)
}

/// A value of a battery, and a function that checks whether a reading contains it.
type BatteryValue = (ValueKey, fn(&Measured) -> bool);

const BATTERY_VALUES: &[BatteryValue] = &[
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

/// A value of a cell, and a function that checks whether a reading contains it.
type CellValue = (Quantity, fn(&CellReading) -> bool);

const CELL_VALUES: &[CellValue] = &[
    (Quantity::CellVoltage, |cell| cell.voltage.is_some()),
    (Quantity::CellTemperature, |cell| cell.temperature.is_some()),
    (Quantity::Current, |cell| cell.current.is_some()),
    (Quantity::Soc, |cell| cell.soc.is_some()),
    (Quantity::Charge, |cell| cell.coulomb.is_some()),
];

/// Returns the keys of the values that a reading of a battery contains.
pub fn shown<'a>(
    measured: &'a Measured,
    cells: &'a [CellReading],
) -> impl Iterator<Item = ValueKey> + use<'a> {
    let own = BATTERY_VALUES.iter().filter(|(_, is_present)| is_present(measured)).map(|(key, _)| *key);
    own.chain((1..).zip(cells).flat_map(|(number, cell)| {
        let present = CELL_VALUES.iter().filter(|(_, is_present)| is_present(cell));
        present.map(move |(quantity, _)| (*quantity, ValueScope::Cell(number)))
    }))
}

/// An implausible value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImplausibleValue {
    /// `None` for the stack.
    pub battery: Option<Place>,
    pub quantity: Quantity,
    pub(crate) scope: ValueScope,
    /// In the unit of its quantity.
    pub(crate) value: i64,
    pub why: ImplausibleReason,
}

impl ImplausibleValue {
    /// Returns the number of the cell, from 1, if the value belongs to one.
    #[must_use]
    pub(crate) fn cell(&self) -> Option<u16> {
        match self.scope {
            ValueScope::Cell(number) => Some(number),
            _ => None,
        }
    }

    #[must_use]
    pub fn name(&self) -> String {
        value_name((self.quantity, self.scope))
    }
}

impl fmt::Display for ImplausibleValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.quantity.name().replace('_', " ");
        match self.why {
            ImplausibleReason::Limit => {
                write!(f, "a {name} of {} is outside the range of any battery", self.value)
            }
            ImplausibleReason::Step => {
                write!(f, "the {name} can't have changed to {} since the last sweep", self.value)
            }
            ImplausibleReason::SensorFault => {
                write!(f, "a {name} of {} is outside the range of any working sensor", self.value)
            }
        }
    }
}

/// The number of withheld values by quantity and reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WithheldCounts([[u64; ImplausibleReason::ALL.len()]; Quantity::ALL.len()]);

impl WithheldCounts {
    pub(crate) fn add(&mut self, withheld: &ImplausibleValue) {
        self.0[withheld.quantity as usize][withheld.why as usize] += 1;
    }

    /// Returns each count with its name, such as `cell_voltage_step`.
    pub fn each(&self) -> impl Iterator<Item = (String, u64)> + '_ {
        let quantities = Quantity::ALL.iter().zip(&self.0);
        quantities.flat_map(|(quantity, counts)| {
            let reasons = ImplausibleReason::ALL.iter().zip(counts);
            reasons.map(|(why, count)| (format!("{}_{}", quantity.name(), why.name()), *count))
        })
    }

    #[cfg(feature = "internals")]
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().flatten().sum()
    }
}
