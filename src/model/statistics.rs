//! Statistics of a reading: totals of the bank, spread of the cells.
//!
//! Totals cover all installed batteries. If one of them did not report a value, the total is absent: a sum over three
//! of four batteries is not the current of the bank.

use crate::model::facts::Facts;
use crate::model::place::Place;
use crate::model::reading::{BankReading, BatteryReading, CellReading, Presence};
use crate::model::units::{Milliamps, Millicelsius, Millivolts, Milliwatts, rounded_quotient};
use crate::model::word::Word;

/// An extreme value and the cell that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extreme<T> {
    pub(crate) value: T,
    pub(crate) battery: Place,
    /// Counted from 1.
    pub(crate) cell: u16,
}

/// Lowest and highest value of a set of cells; of equal values, the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spread<T> {
    pub(crate) min: Extreme<T>,
    pub(crate) max: Extreme<T>,
}

impl Spread<Millivolts> {
    /// Highest minus lowest.
    #[must_use]
    pub(crate) fn delta(&self) -> Millivolts {
        Millivolts(self.max.value.0.saturating_sub(self.min.value.0))
    }
}

impl Spread<Millicelsius> {
    /// Highest minus lowest.
    #[must_use]
    pub(crate) fn delta(&self) -> Millicelsius {
        Millicelsius(self.max.value.0.saturating_sub(self.min.value.0))
    }
}

/// The spread of the cells of a battery or a bank; absent if a cell did not report its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CellStatistics {
    pub(crate) voltage: Option<Spread<Millivolts>>,
    pub(crate) temperature: Option<Spread<Millicelsius>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatteryStatistics {
    /// Voltage times current.
    pub(crate) power: Option<Milliwatts>,
    pub(crate) cells: CellStatistics,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct BankStatistics {
    /// Mean of the batteries in parallel; the stack's own in series.
    pub(crate) voltage: Option<Millivolts>,
    /// Sum of the batteries in parallel; the stack's own in series.
    pub current: Option<Milliamps>,
    /// Mean of the batteries; the stack's own in series.
    pub(crate) temperature: Option<Millicelsius>,
    /// In percent: weighted by capacity if every capacity is known, else the mean; the stack's own in series.
    pub soc: Option<f64>,
    /// Sum of the batteries' powers; the stack's own in series.
    pub power: Option<Milliwatts>,
    /// That of the master; the stack's own in series.
    pub(crate) base_state: Option<Word>,
    pub(crate) cells: CellStatistics,
    /// One entry per battery, by place.
    pub(crate) batteries: Vec<BatteryStatistics>,
}

impl BankStatistics {
    /// Computes the statistics from a reading and the facts of its batteries, by place.
    #[must_use]
    pub fn of(reading: &BankReading, facts: &[Facts]) -> Self {
        let installed: Vec<&BatteryReading> =
            reading.batteries.iter().filter(|battery| battery.presence != Presence::Absent).collect();
        let batteries: Vec<BatteryStatistics> = reading.batteries.iter().map(battery).collect();
        let cells = spread(installed.iter().map(|battery| (battery.place, battery.cells.as_deref())));
        if let Some(stack) = &reading.stack {
            return Self {
                voltage: stack.voltage,
                current: stack.current,
                temperature: stack.temperature,
                soc: stack.soc.map(|soc| f64::from(soc.0)),
                power: power(stack.voltage, stack.current),
                base_state: stack.base_state.clone(),
                cells,
                batteries,
            };
        }
        let all = |value: &dyn Fn(&BatteryReading) -> Option<i64>| -> Option<Vec<i64>> {
            let values: Vec<i64> = installed.iter().map(|battery| value(battery)).collect::<Option<_>>()?;
            (!values.is_empty()).then_some(values)
        };
        let small = |value: i64| i32::try_from(value).ok();
        Self {
            voltage: all(&|b| b.measured.voltage.map(|v| v.0.into()))
                .and_then(|v| small(mean(&v)))
                .map(Millivolts),
            current: all(&|b| b.measured.current.map(|c| c.0.into()))
                .and_then(|v| small(v.iter().sum()))
                .map(Milliamps),
            temperature: all(&|b| b.measured.temperature.map(|t| t.0.into()))
                .and_then(|v| small(mean(&v)))
                .map(Millicelsius),
            soc: all(&|b| b.measured.soc.map(|soc| soc.0.into()))
                .and_then(|socs| soc(&socs, &installed, facts)),
            power: all(&|b| power(b.measured.voltage, b.measured.current).map(|p| p.0))
                .map(|v| Milliwatts(v.iter().sum())),
            base_state: reading.batteries.first().and_then(|master| master.measured.base_state.clone()),
            cells,
            batteries,
        }
    }
}

fn battery(battery: &BatteryReading) -> BatteryStatistics {
    BatteryStatistics {
        power: power(battery.measured.voltage, battery.measured.current),
        cells: spread(std::iter::once((battery.place, battery.cells.as_deref()))),
    }
}

fn power(voltage: Option<Millivolts>, current: Option<Milliamps>) -> Option<Milliwatts> {
    Some(voltage?.times(current?))
}

/// Rounded to the nearest whole number.
fn mean(values: &[i64]) -> i64 {
    rounded_quotient(values.iter().sum(), values.len() as i64)
}

fn soc(socs: &[i64], installed: &[&BatteryReading], facts: &[Facts]) -> Option<f64> {
    let capacity = |battery: &&BatteryReading| facts.get(battery.place.index())?.nominal_capacity;
    let weights: Vec<f64> = match installed.iter().map(capacity).collect::<Option<Vec<_>>>() {
        Some(capacities) if capacities.iter().all(|capacity| capacity.0 > 0) => {
            capacities.iter().map(|capacity| capacity.0 as f64).collect()
        }
        _ => vec![1.0; socs.len()],
    };
    let total: f64 = weights.iter().sum();
    let weighted: f64 = socs.iter().zip(&weights).map(|(soc, weight)| *soc as f64 * weight).sum();
    (total > 0.0).then(|| weighted / total)
}

fn spread<'a>(batteries: impl Iterator<Item = (Place, Option<&'a [CellReading]>)>) -> CellStatistics {
    let mut voltages: Vec<Option<Extreme<Millivolts>>> = Vec::new();
    let mut temperatures: Vec<Option<Extreme<Millicelsius>>> = Vec::new();
    for (battery, cells) in batteries {
        let Some(cells) = cells else { return CellStatistics::default() };
        for (number, cell) in (1..).zip(cells) {
            voltages.push(cell.voltage.map(|value| Extreme { value, battery, cell: number }));
            temperatures.push(cell.temperature.map(|value| Extreme { value, battery, cell: number }));
        }
    }
    CellStatistics { voltage: extremes(voltages), temperature: extremes(temperatures) }
}

fn extremes<T: Copy + Ord>(values: Vec<Option<Extreme<T>>>) -> Option<Spread<T>> {
    let values: Vec<Extreme<T>> = values.into_iter().collect::<Option<_>>()?;
    let min = values.iter().min_by_key(|extreme| extreme.value)?;
    let max = values.iter().rev().max_by_key(|extreme| extreme.value)?;
    Some(Spread { min: *min, max: *max })
}
