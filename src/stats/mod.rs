//! Statistics over many sweeps: plausibility, energy and charge counters, time to go, health.
//!
//! ```text
//! BankReading ─► plausibility ─► counters ─► time_to_go ─► health ─► BankReport
//!                                  │  ▲                     │ ▲
//!                                  ▼  │                     ▼ │
//!                                 ledger ◄─► one file per bank, read and written by the actor
//! ```
//! Pure: readings carry their own times; nothing here reads a clock or a disk.

pub(crate) mod barcode_status;
pub(crate) mod counters;
pub(crate) mod cycle;
pub(crate) mod energy;
pub mod health;
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
use crate::stats::barcode_status::{BarcodeStatus, barcode_statuses};
use crate::stats::counters::EnergyCounters;
use crate::stats::energy::Account;
use crate::stats::ledger::Ledger;
use crate::stats::observer::HealthObserver;
use crate::stats::plausibility::{FilterResult, PlausibilityFilter};
use crate::stats::rare_facts::{MachineTime, RareFacts};
use crate::stats::time_to_go::TimeToGo;

/// A longer gap, in full sweeps, is not bridged, because its content is unknown.
const MAX_GAP_SWEEPS: u32 = 3;

/// The statistics of one bank.
#[derive(Clone, Debug)]
pub struct Stats {
    interval: Duration,
    target_soc: Percent,
    ledger: Ledger,
    /// Whether the ledger of earlier runs has been loaded. Until then no total is known.
    is_loaded: bool,
    told: Published,
    /// Rare facts of an earlier run, for batteries whose barcodes have not been read in this one.
    restorable: BTreeMap<Identity, RareFacts>,
    withheld: WithheldCounts,
    sweep_state: SweepState,
}

/// The totals that are published.
#[derive(Clone, Debug)]
enum Published {
    /// Those on disk, so that not even a power cut makes one decrease.
    Kept(Arc<Ledger>),
    /// The latest ones, because nothing is persisted.
    Latest,
}

/// State that is reset after a failure.
#[derive(Clone, Debug, Default)]
struct SweepState {
    plausibility: PlausibilityFilter,
    counters: EnergyCounters,
    time_to_go: TimeToGo,
    observer: HealthObserver,
}

impl Stats {
    /// Creates the statistics of a bank with this interval. Totals are published once [`Stats::load`] was called, and
    /// as far as [`Stats::on_saved`] says that they are on disk.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        let (ledger, withheld, sweep_state) =
            (Ledger::default(), WithheldCounts::default(), SweepState::default());
        let (target_soc, told) = (Percent(0), Published::Kept(Arc::default()));
        let restorable = BTreeMap::new();
        Self { interval, target_soc, ledger, is_loaded: false, told, restorable, withheld, sweep_state }
    }

    /// Also computes the time to this state of charge.
    #[must_use]
    pub(crate) fn with_target_soc(self, target_soc: Percent) -> Self {
        Self { target_soc, ..self }
    }

    /// Creates statistics whose counters are published at once and restart at zero with each start.
    #[must_use]
    pub fn without_persistence(interval: Duration) -> Self {
        Self { is_loaded: true, told: Published::Latest, ..Self::new(interval) }
    }

    /// Loads the ledger of earlier runs; an empty one on the first start.
    pub fn load(&mut self, kept: Ledger) {
        self.ledger.join(kept.clone());
        self.restorable = restorable(&self.ledger);
        self.is_loaded = true;
        self.on_saved(Arc::new(kept));
    }

    /// Records the ledger that is now on disk.
    pub fn on_saved(&mut self, kept: Arc<Ledger>) {
        self.told = Published::Kept(kept);
    }

    /// Returns the ledger to save, or `None` until the previous one has been loaded.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        self.is_loaded.then_some(&self.ledger)
    }

    /// Resets the state after a failure. The counters are kept, because they are only ever added to; the health
    /// models are reset, because they may have caused the failure.
    pub(crate) fn reset(&mut self) {
        self.sweep_state = SweepState::default();
        self.ledger.forget_learned();
        self.restorable = restorable(&self.ledger);
    }

    /// Returns the rare facts of an earlier run for batteries whose barcodes have been read in this one, with their
    /// age at `now`. Each is returned once.
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
            let BarcodeStatus::Own(identity) = label else { return None };
            let rare = self.restorable.remove(&identity)?;
            let age = now.since(&rare.stated)?;
            Some((place, rare.into(), age))
        };
        barcode_statuses(reading, facts, &self.ledger).into_iter().filter_map(restored).collect()
    }

    /// Stores the rarely polled facts of a reading, after its report was made.
    pub(crate) fn record_rare_facts(&mut self, reading: &BankReading, now: &MachineTime) {
        for battery in &reading.batteries {
            let stated = battery.facts.iter().rfind(|(source, _)| *source == FactSource::Stat);
            let identity = self.sweep_state.counters.identity(battery.place);
            if let (Some((_, facts)), Some(identity @ Identity::Barcode(barcode))) = (stated, identity) {
                let own = !self.ledger.is_shared(barcode);
                let rare = own.then(|| RareFacts::of(facts, now.clone()));
                self.ledger.battery(identity).rare = rare;
            }
        }
    }

    /// Processes a reading and returns its report. `facts` are those of its batteries by place, `bank_facts` those of a
    /// stack itself.
    pub fn report(
        &mut self,
        mut reading: BankReading,
        facts: Vec<Facts>,
        bank_facts: Facts,
        mut service: ServiceCounters,
    ) -> BankReport {
        let Self { ledger, sweep_state, .. } = self;
        let most = MAX_GAP_SWEEPS * self.interval + reading.took;
        let FilterResult { withheld, lasting } =
            sweep_state.plausibility.filter(&mut reading, &facts, &bank_facts, most);
        withheld.iter().for_each(|withheld| self.withheld.add(withheld));
        service.withheld = self.withheld;
        sweep_state.counters.count(&reading, &facts, most, ledger);
        let statistics = BankStatistics::of(&reading, &facts);
        let battery_facts = with_stack_capacity(&reading, &facts, &bank_facts);
        let paces =
            sweep_state.time_to_go.charge_rates(&reading, &statistics, &battery_facts, &bank_facts, most);
        let counters = &sweep_state.counters;
        sweep_state.observer.observe(
            &reading,
            &statistics,
            &battery_facts,
            |place| counters.identity(place),
            ledger,
        );
        let insight = self.insight(&reading, &battery_facts, paces);
        drop(battery_facts);
        BankReport { reading, statistics, facts, bank_facts, derived: insight, service, withheld, lasting }
    }

    fn insight(
        &mut self,
        reading: &BankReading,
        facts: &[Facts],
        (pace, paces): (Option<ChargeRate>, Vec<Option<ChargeRate>>),
    ) -> DerivedValues {
        let Self { ledger, is_loaded, told, sweep_state, target_soc, .. } = self;
        let told = match told {
            Published::Kept(kept) => &**kept,
            Published::Latest => &*ledger,
        };
        let battery = |((battery, facts), pace): ((&BatteryReading, &Facts), Option<ChargeRate>)| {
            let identity = sweep_state.counters.identity(battery.place).cloned();
            if !*is_loaded {
                return BatteryDerivedValues {
                    identity,
                    charge_rate: pace,
                    ..BatteryDerivedValues::default()
                };
            }
            let (look, at) = (reading.kind == SweepKind::Full, reading.taken_at.as_second());
            let book =
                identity.as_ref().and_then(|identity| Some((identity, ledger.batteries.get(identity)?)));
            let health = book.map(|book| sweep_state.observer.health(battery, facts, book, at, look));
            let turnover = |account: Option<&Account>| account.map(Account::totals).unwrap_or_default();
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
            totals: is_loaded.then(|| told.bank.totals()),
            efficiency: ledger.cycles.efficiency().filter(|_| *is_loaded),
            target_soc: *target_soc,
            charge_rate: pace,
            batteries,
            ..DerivedValues::default()
        }
    }
}

/// Returns the stored facts of batteries with a unique barcode.
fn restorable(ledger: &Ledger) -> BTreeMap<Identity, RareFacts> {
    let own = |identity: &Identity| match identity {
        Identity::Barcode(barcode) => !ledger.is_shared(barcode),
        Identity::Place(_) => false,
    };
    let all = ledger.batteries.iter().filter(|(identity, _)| own(identity));
    all.filter_map(|(identity, book)| Some((identity.clone(), book.rare.clone()?))).collect()
}

/// Fills in the capacity of batteries in a stack that state none: the same charge flows through all of them, so it is
/// that of the stack.
fn with_stack_capacity<'a>(reading: &BankReading, facts: &'a [Facts], stack: &Facts) -> Cow<'a, [Facts]> {
    if !reading.is_series() || stack.nominal_capacity.is_none() {
        return Cow::Borrowed(facts);
    }
    let own = |facts: &Facts| Facts {
        nominal_capacity: facts.nominal_capacity.or(stack.nominal_capacity),
        ..facts.clone()
    };
    facts.iter().map(own).collect()
}
