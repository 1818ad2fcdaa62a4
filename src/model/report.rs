//! A reading together with everything computed from it: the input of all outputs.

use std::time::Duration;

use crate::model::derived::{BatteryDerivedValues, DerivedValues};
use crate::model::facts::{FactBook, Facts};
use crate::model::place::Place;
use crate::model::reading::BankReading;
use crate::model::statistics::BankStatistics;
use crate::model::withheld::{ImplausibleValue, WithheldCounts};

/// A reading, its statistics, and the facts and derived values at that time.
#[derive(Clone, Debug)]
pub struct BankReport {
    pub reading: BankReading,
    pub(crate) statistics: BankStatistics,
    /// The facts of each battery, by place.
    pub facts: Vec<Facts>,
    /// The facts of a stack itself.
    pub bank_facts: Facts,
    pub derived: DerivedValues,
    pub service: ServiceCounters,
    /// Implausible values that were removed from this reading.
    pub withheld: Vec<ImplausibleValue>,
    /// Implausible values that were also in the previous sweep: shown or, if the sensor is faulty, withheld.
    pub lasting: Vec<ImplausibleValue>,
}

/// Counters of the service for a bank since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServiceCounters {
    pub(crate) uptime: Duration,
    /// Full sweeps.
    pub sweeps: u64,
    /// Full sweeps in which an answer was missing.
    pub(crate) incomplete: u64,
    /// Newly set bits of `Bat Events`.
    pub(crate) battery_events: u64,
    /// Newly set bits of `Power Events`.
    pub(crate) power_events: u64,
    /// Newly set bits of `System Fault`.
    pub(crate) system_faults: u64,
    pub withheld: WithheldCounts,
}

impl ServiceCounters {
    /// Returns the number of full sweeps without a missing answer, and of all full sweeps; `None` before the first one.
    #[must_use]
    pub(crate) fn complete(&self) -> Option<(i64, i64)> {
        let complete = self.sweeps.checked_sub(self.incomplete)?;
        let counts = (i64::try_from(complete).ok()?, i64::try_from(self.sweeps).ok()?);
        (counts.1 > 0).then_some(counts)
    }
}

impl BankReport {
    /// Creates a report of a single reading: the facts are those in its own answers, and derived values are absent.
    #[must_use]
    pub fn of_one(reading: BankReading) -> Self {
        let mut book = FactBook::default();
        for battery in &reading.batteries {
            for (source, facts) in &battery.facts {
                book.take(battery.place, *source, facts.clone(), Duration::ZERO);
            }
        }
        let facts: Vec<Facts> = reading.batteries.iter().map(|battery| book.of(battery.place)).collect();
        let statistics = BankStatistics::of(&reading, &facts);
        let mut own = FactBook::default();
        for (source, facts) in &reading.facts {
            own.take(Place::FIRST, *source, facts.clone(), Duration::ZERO);
        }
        let bank_facts = own.of(Place::FIRST);
        let incomplete = u64::from(!reading.missing.is_empty());
        let service = ServiceCounters { sweeps: 1, incomplete, ..ServiceCounters::default() };
        let batteries = vec![BatteryDerivedValues::default(); facts.len()];
        let insight = DerivedValues { batteries, ..DerivedValues::default() };
        Self {
            reading,
            statistics,
            facts,
            bank_facts,
            derived: insight,
            service,
            withheld: Vec::new(),
            lasting: Vec::new(),
        }
    }
}
