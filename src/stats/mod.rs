//! What many sweeps tell: what is plausible, counters of energy and charge, time to go, health.
//!
//! ```text
//! BankReading ─► plausibility ─► counters ─► time_to_go ─► health ─► BankReport
//!                                  │  ▲                     │ ▲
//!                                  ▼  │                     ▼ │
//!                                 ledger ◄─► one file a bank, written and read by the actor
//! ```
//! Pure: a reading carries its own times, and nothing here reads a clock or a disk.

pub(crate) mod counters;
pub(crate) mod cycle;
pub(crate) mod energy;
pub mod health;
pub(crate) mod labels;
pub mod ledger;
pub mod limits;
pub(crate) mod means;
pub(crate) mod observer;
pub(crate) mod plausibility;
pub(crate) mod rare_facts;
pub(crate) mod time_to_go;
pub(crate) mod trend;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::charge_rate::ChargeRate;
use crate::model::derived::{BatteryDerivedValues, DerivedValues};
use crate::model::facts::{FactSource, Facts};
use crate::model::identity::Identity;
use crate::model::place::Place;
use crate::model::reading::{BankReading, BatteryReading, SweepKind};
use crate::model::report::{BankReport, ServiceCounters};
use crate::model::statistics::BankStatistics;
use crate::model::units::Percent;
use crate::model::withheld::WithheldCounts;
use crate::stats::counters::Counters;
use crate::stats::energy::Account;
use crate::stats::labels::{KnownBy, labels};
use crate::stats::ledger::Ledger;
use crate::stats::observer::Observer;
use crate::stats::plausibility::{Plausibility, Sifted};
use crate::stats::rare_facts::{MachineTime, RareFacts};
use crate::stats::time_to_go::TimeToGo;

/// A gap of more full sweeps than this is not bridged: nobody knows what was in it.
const MOST_SWEEPS: u32 = 3;

/// The memory of one bank.
#[derive(Clone, Debug)]
pub struct Stats {
    interval: Duration,
    target_soc: Percent,
    /// What has been counted and learned.
    ledger: Ledger,
    /// Whether what was kept before has been taken over. Until then no total is known.
    whole: bool,
    told: Told,
    /// What an earlier run left of batteries that have not stated their barcodes in this one.
    restorable: BTreeMap<Identity, RareFacts>,
    withheld: WithheldCounts,
    passing: Passing,
}

/// Which totals are told.
#[derive(Clone, Debug)]
enum Told {
    /// Those that are on disk: so not even a power cut makes one of them step back.
    Kept(Arc<Ledger>),
    /// The latest: nothing is kept anyhow.
    Latest,
}

/// What is rebuilt after a failure.
#[derive(Clone, Debug, Default)]
struct Passing {
    plausibility: Plausibility,
    counters: Counters,
    time_to_go: TimeToGo,
    observer: Observer,
}

impl Stats {
    /// For a bank that is swept in full each `interval`. Totals are told once [`Stats::adopt`] was called, and as far
    /// as [`Stats::kept`] says that they are on disk.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        let (ledger, withheld, passing) = (Ledger::default(), WithheldCounts::default(), Passing::default());
        let (target_soc, told) = (Percent(0), Told::Kept(Arc::default()));
        let restorable = BTreeMap::new();
        Self { interval, target_soc, ledger, whole: false, told, restorable, withheld, passing }
    }

    /// The same, which tells the time to this state of charge as well.
    #[must_use]
    pub(crate) fn aiming_at(self, target_soc: Percent) -> Self {
        Self { target_soc, ..self }
    }

    /// The same where nothing is kept: what is counted is told at once, and begins anew with each start.
    #[must_use]
    pub fn unkept(interval: Duration) -> Self {
        Self { whole: true, told: Told::Latest, ..Self::new(interval) }
    }

    /// Takes over what was kept before: of a first start, nothing.
    pub fn adopt(&mut self, kept: Ledger) {
        self.ledger.join(kept.clone());
        self.restorable = restorable(&self.ledger);
        self.whole = true;
        self.kept(Arc::new(kept));
    }

    /// Takes note of what is on disk now.
    pub fn kept(&mut self, kept: Arc<Ledger>) {
        self.told = Told::Kept(kept);
    }

    /// What must be kept; nothing before that which was kept has been taken over.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        self.whole.then_some(&self.ledger)
    }

    /// Begins anew after a failure. Counters are only ever added to, so no failure can have harmed them; what was
    /// learned of health may have been the failure's cause, and goes.
    pub(crate) fn begin_anew(&mut self) {
        self.passing = Passing::default();
        self.ledger.forget_learned();
        self.restorable = restorable(&self.ledger);
    }

    /// Facts that an earlier run was told by batteries that have stated their barcodes in this one, with their age at
    /// `now`; each once.
    pub(crate) fn restore(
        &mut self,
        reading: &BankReading,
        facts: &[Facts],
        now: &MachineTime,
    ) -> Vec<(Place, Facts, Duration)> {
        if self.restorable.is_empty() {
            return Vec::new();
        }
        let restored = |(place, label)| {
            let KnownBy::Own(identity) = label else { return None };
            let rare = self.restorable.remove(&identity)?;
            let age = now.since(&rare.stated)?;
            Some((place, rare.into(), age))
        };
        labels(reading, facts, &self.ledger).into_iter().filter_map(restored).collect()
    }

    /// Keeps what the batteries of a reading that was reported stated of the facts that are asked rarely.
    pub(crate) fn keep_rare(&mut self, reading: &BankReading, now: &MachineTime) {
        for battery in &reading.batteries {
            let stated = battery.facts.iter().rfind(|(source, _)| *source == FactSource::Stat);
            let identity = self.passing.counters.identity(battery.place);
            if let (Some((_, facts)), Some(identity @ Identity::Barcode(barcode))) = (stated, identity) {
                let own = !self.ledger.is_shared(barcode);
                let rare = own.then(|| RareFacts::of(facts, now.clone()));
                self.ledger.battery(identity).rare = rare;
            }
        }
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
        let Sifted { withheld, lasting } = passing.plausibility.sift(&mut reading, &facts, &bank_facts, most);
        withheld.iter().for_each(|withheld| self.withheld.add(withheld));
        service.withheld = self.withheld;
        passing.counters.count(&reading, &facts, most, ledger);
        let statistics = BankStatistics::of(&reading, &facts);
        let labelled = labelled(&reading, &facts, &bank_facts);
        let paces = passing.time_to_go.paces(&reading, &statistics, &labelled, &bank_facts, most);
        let counters = &passing.counters;
        passing.observer.observe(&reading, &statistics, &labelled, |place| counters.identity(place), ledger);
        let insight = self.insight(&reading, &labelled, paces);
        drop(labelled);
        BankReport { reading, statistics, facts, bank_facts, derived: insight, service, withheld, lasting }
    }

    fn insight(
        &mut self,
        reading: &BankReading,
        facts: &[Facts],
        (pace, paces): (Option<ChargeRate>, Vec<Option<ChargeRate>>),
    ) -> DerivedValues {
        let Self { ledger, whole, told, passing, target_soc, .. } = self;
        let told = match told {
            Told::Kept(kept) => &**kept,
            Told::Latest => &*ledger,
        };
        let battery = |((battery, facts), pace): ((&BatteryReading, &Facts), Option<ChargeRate>)| {
            let identity = passing.counters.identity(battery.place).cloned();
            if !*whole {
                return BatteryDerivedValues {
                    identity,
                    charge_rate: pace,
                    ..BatteryDerivedValues::default()
                };
            }
            let (look, at) = (reading.kind == SweepKind::Full, reading.taken_at.as_second());
            let whose =
                identity.as_ref().and_then(|identity| Some((identity, ledger.batteries.get(identity)?)));
            let health = whose.map(|whose| passing.observer.health(battery, facts, whose, at, look));
            let turnover = |account: Option<&Account>| account.map(Account::turnover).unwrap_or_default();
            BatteryDerivedValues {
                totals: identity
                    .as_ref()
                    .map(|who| turnover(told.batteries.get(who).map(|book| &book.account))),
                place_totals: Some(turnover(told.places.get(&battery.place))),
                identity,
                charge_rate: pace,
                health: health.unwrap_or_default(),
                ..BatteryDerivedValues::default()
            }
        };
        let batteries = reading.batteries.iter().zip(facts).zip(paces).map(battery).collect();
        DerivedValues {
            totals: whole.then(|| told.bank.turnover()),
            efficiency: ledger.cycles.efficiency().filter(|_| *whole),
            target_soc: *target_soc,
            charge_rate: pace,
            batteries,
            ..DerivedValues::default()
        }
    }
}

/// What is kept of batteries that alone state their barcodes.
fn restorable(ledger: &Ledger) -> BTreeMap<Identity, RareFacts> {
    let own = |identity: &Identity| match identity {
        Identity::Barcode(barcode) => !ledger.is_shared(barcode),
        Identity::Place(_) => false,
    };
    let all = ledger.batteries.iter().filter(|(identity, _)| own(identity));
    all.filter_map(|(identity, book)| Some((identity.clone(), book.rare.clone()?))).collect()
}

/// What flows through one battery of a stack flows through all, so a stack's capacity is that of each battery which
/// states none itself.
fn labelled<'a>(reading: &BankReading, facts: &'a [Facts], stack: &Facts) -> Cow<'a, [Facts]> {
    if !reading.is_series() || stack.nominal_capacity.is_none() {
        return Cow::Borrowed(facts);
    }
    let own = |facts: &Facts| Facts {
        nominal_capacity: facts.nominal_capacity.or(stack.nominal_capacity),
        ..facts.clone()
    };
    facts.iter().map(own).collect()
}
