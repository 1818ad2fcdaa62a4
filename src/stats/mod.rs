//! What many sweeps tell: what is plausible, counters of energy and charge, time to go, health.
//!
//! ```text
//! BankReading ─► plausibility ─► counters ─► time_to_go ─► health ─► BankReport
//!                                  │  ▲                     │ ▲
//!                                  ▼  │                     ▼ │
//!                                 ledger ◄─► one file a bank, written and read by the actor
//! ```
//! Pure: a reading carries its own times, and nothing here reads a clock or a disk.

pub mod counters;
pub mod cycle;
pub mod energy;
pub mod health;
pub mod ledger;
pub mod limits;
pub mod means;
pub mod observer;
pub mod plausibility;
pub mod time_to_go;

use std::time::Duration;

use crate::model::facts::Facts;
use crate::model::insight::{BatteryInsight, Insight};
use crate::model::pace::Pace;
use crate::model::reading::{BankReading, BatteryReading, SweepKind};
use crate::model::report::{BankReport, ServiceCounters};
use crate::model::statistics::BankStatistics;
use crate::model::withheld::WithheldCounts;
use crate::stats::counters::Counters;
use crate::stats::energy::Account;
use crate::stats::ledger::Ledger;
use crate::stats::observer::Observer;
use crate::stats::plausibility::Plausibility;
use crate::stats::time_to_go::TimeToGo;

/// A gap of more full sweeps than this is not bridged: nobody knows what was in it.
const MOST_SWEEPS: u32 = 3;

/// The memory of one bank.
#[derive(Debug)]
pub struct Stats {
    interval: Duration,
    ledger: Ledger,
    /// Whether what was kept before has been taken over. Until then no total is known.
    whole: bool,
    withheld: WithheldCounts,
    passing: Passing,
}

/// What is rebuilt after a failure.
#[derive(Debug, Default)]
struct Passing {
    plausibility: Plausibility,
    counters: Counters,
    time_to_go: TimeToGo,
    observer: Observer,
}

impl Stats {
    /// For a bank that is swept in full each `interval`. What it counts is told once [`Stats::adopt`] was called.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        let (ledger, withheld, passing) = (Ledger::default(), WithheldCounts::default(), Passing::default());
        Self { interval, ledger, whole: false, withheld, passing }
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

    /// Begins anew after a failure. Counters are only ever added to, so no failure can have harmed them; what was
    /// learned of health may have been the failure's cause, and goes.
    pub fn begin_anew(&mut self) {
        self.passing = Passing::default();
        self.ledger.forget_learned();
    }

    /// Takes note of a reading and tells what it amounts to, with the facts known of its batteries, by place, and
    /// of a stack itself.
    pub fn report(
        &mut self,
        mut reading: BankReading,
        facts: Vec<Facts>,
        bank_facts: Facts,
        mut service: ServiceCounters,
    ) -> BankReport {
        let Self { ledger, passing, .. } = self;
        let most = MOST_SWEEPS * self.interval + reading.took;
        let withheld = passing.plausibility.sift(&mut reading, &facts, &bank_facts, most);
        withheld.iter().for_each(|withheld| self.withheld.add(withheld));
        service.withheld = self.withheld;
        passing.counters.count(&reading, &facts, most, ledger);
        let statistics = BankStatistics::of(&reading, &facts);
        let paces = passing.time_to_go.paces(&reading, &statistics, &facts, &bank_facts, most);
        let counters = &passing.counters;
        passing.observer.observe(&reading, &statistics, &facts, |place| counters.identity(place), ledger);
        let insight = self.insight(&reading, &facts, paces);
        BankReport { reading, statistics, facts, bank_facts, insight, service, withheld }
    }

    fn insight(
        &mut self,
        reading: &BankReading,
        facts: &[Facts],
        (pace, paces): (Option<Pace>, Vec<Option<Pace>>),
    ) -> Insight {
        let Self { ledger, whole, passing, .. } = self;
        let battery = |((battery, facts), pace): ((&BatteryReading, &Facts), Option<Pace>)| {
            let identity = passing.counters.identity(battery.place).cloned();
            if !*whole {
                return BatteryInsight { identity, pace, ..BatteryInsight::default() };
            }
            let place = ledger.places.get(&battery.place).map(Account::turnover).unwrap_or_default();
            let book = identity.as_ref().and_then(|identity| ledger.batteries.get(identity));
            let (look, at) = (reading.kind == SweepKind::Full, reading.taken_at.as_second());
            let whose = identity.as_ref().zip(book);
            let health = whose.map(|whose| passing.observer.health(battery, facts, whose, at, look));
            BatteryInsight {
                identity,
                turnover: book.map(|book| book.account.turnover()),
                place: Some(place),
                pace,
                health: health.unwrap_or_default(),
            }
        };
        let batteries = reading.batteries.iter().zip(facts).zip(paces).map(battery).collect();
        let bank = whole.then_some(&*ledger);
        Insight {
            turnover: bank.map(|ledger| ledger.bank.turnover()),
            efficiency: bank.and_then(|ledger| ledger.cycles.efficiency()),
            pace,
            batteries,
        }
    }
}
