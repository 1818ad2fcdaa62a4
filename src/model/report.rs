//! A reading with everything computed from it: what the outputs project into their own worlds.

use std::time::Duration;

use crate::model::facts::{FactBook, Facts};
use crate::model::insight::{BatteryInsight, Insight};
use crate::model::place::Place;
use crate::model::reading::BankReading;
use crate::model::statistics::BankStatistics;
use crate::model::withheld::{Withheld, WithheldCounts};

/// One sweep's reading, its statistics, and what was known at its time.
#[derive(Clone, Debug)]
pub struct BankReport {
    /// What the sweep yielded.
    pub reading: BankReading,
    /// What it amounts to.
    pub(crate) statistics: BankStatistics,
    /// The facts known of each battery, by place.
    pub facts: Vec<Facts>,
    /// The facts known of the whole bank: a stack's own.
    pub bank_facts: Facts,
    /// What no single sweep tells: counters, time to go, health.
    pub insight: Insight,
    /// How the service has fared with this bank.
    pub service: ServiceCounters,
    /// What of this sweep was withheld: no battery can have had it.
    pub withheld: Vec<Withheld>,
    /// Values that no battery can have and that were there in the sweep before as well: shown, or of a faulty sensor
    /// and withheld.
    pub lasting: Vec<Withheld>,
}

/// How the service has fared with a bank since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServiceCounters {
    /// Since when.
    pub(crate) uptime: Duration,
    /// Full sweeps.
    pub sweeps: u64,
    /// Full sweeps in which an answer was missing.
    pub(crate) incomplete: u64,
    /// Cell events that rose.
    pub(crate) battery_events: u64,
    /// Battery events that rose.
    pub(crate) power_events: u64,
    /// System faults that rose.
    pub(crate) system_faults: u64,
    /// Values that were withheld because no battery can have had them.
    pub withheld: WithheldCounts,
}

impl ServiceCounters {
    /// In how many of the full sweeps nothing was missing, and how many there were; nothing before the first.
    #[must_use]
    pub(crate) fn complete(&self) -> Option<(i64, i64)> {
        let complete = self.sweeps.checked_sub(self.incomplete)?;
        let counts = (i64::try_from(complete).ok()?, i64::try_from(self.sweeps).ok()?);
        (counts.1 > 0).then_some(counts)
    }
}

impl BankReport {
    /// A report of one reading by itself: the facts are those its own answers stated, and what only many sweeps
    /// tell is absent.
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
        let batteries = vec![BatteryInsight::default(); facts.len()];
        let insight = Insight { batteries, ..Insight::default() };
        Self {
            reading,
            statistics,
            facts,
            bank_facts,
            insight,
            service,
            withheld: Vec::new(),
            lasting: Vec::new(),
        }
    }
}
