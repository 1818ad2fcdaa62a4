//! What many sweeps tell: counters of energy and charge, and who is credited with them.
//!
//! ```text
//! BankReading ─► counters ─► Insight
//!                  │  ▲
//!                  ▼  │
//!                 ledger ◄─► one file a bank, written and read by the actor
//! ```
//! Pure: a reading carries its own times, and nothing here reads a clock or a disk.

pub mod counters;
pub mod energy;
pub mod ledger;

use std::time::Duration;

use crate::model::facts::Facts;
use crate::model::insight::{BatteryInsight, Insight};
use crate::model::reading::{BankReading, BatteryReading};
use crate::model::report::{BankReport, ServiceCounters};
use crate::model::statistics::BankStatistics;
use crate::stats::counters::Counters;
use crate::stats::energy::Account;
use crate::stats::ledger::Ledger;

/// The memory of one bank.
#[derive(Debug)]
pub struct Stats {
    interval: Duration,
    ledger: Ledger,
    /// Whether what was kept before has been taken over. Until then no total is known.
    whole: bool,
    counters: Counters,
}

impl Stats {
    /// For a bank that is swept in full each `interval`. What it counts is told once [`Stats::adopt`] was called.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self { interval, ledger: Ledger::default(), whole: false, counters: Counters::new(interval) }
    }

    /// Takes over what was kept before: of a first start, nothing.
    pub fn adopt(&mut self, kept: Ledger) {
        self.ledger.join(kept);
        self.whole = true;
    }

    /// What must be kept; nothing before that which was kept has been taken over.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        self.whole.then_some(&self.ledger)
    }

    /// Begins anew after a failure. Counters are only ever added to, so no failure can have harmed them.
    pub fn begin_anew(&mut self) {
        self.counters = Counters::new(self.interval);
    }

    /// Takes note of a reading and tells what it amounts to, with the facts known of its batteries, by place, and
    /// of a stack itself.
    pub fn report(
        &mut self,
        reading: BankReading,
        facts: Vec<Facts>,
        bank_facts: Facts,
        service: ServiceCounters,
    ) -> BankReport {
        self.counters.count(&reading, &facts, &mut self.ledger);
        let statistics = BankStatistics::of(&reading, &facts);
        let insight = self.insight(&reading);
        BankReport { reading, statistics, facts, bank_facts, insight, service }
    }

    fn insight(&self, reading: &BankReading) -> Insight {
        let battery = |battery: &BatteryReading| {
            let identity = self.counters.identity(battery.place);
            let book = identity.and_then(|identity| self.ledger()?.batteries.get(identity));
            BatteryInsight {
                identity: identity.cloned(),
                turnover: book.map(|book| book.account.turnover()),
                place: self
                    .ledger()
                    .and_then(|ledger| ledger.places.get(&battery.place))
                    .map(Account::turnover),
            }
        };
        Insight {
            turnover: self.ledger().map(|ledger| ledger.bank.turnover()),
            batteries: reading.batteries.iter().map(battery).collect(),
        }
    }
}
