//! Turns a reading into a report by adding statistics, facts and derived values. This is the only stateful stage of the
//! chain: facts, counters, health, and which problems have been logged.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, ResponseActFuture, Supervised, WrapFuture, fut,
};
use slog::Logger;

use crate::events::catalogue::Catalogue;
use crate::events::decode::set_active_events;
use crate::messages::{ReadingReady, ReportSink};
use crate::model::facts::{FactBook, FactSource, Facts, slow_questions};
use crate::model::place::Place;
use crate::model::reading::{BankReading, Presence, SweepKind};
use crate::model::report::{BankReport, ServiceCounters};
use crate::model::units::Percent;
use crate::stats::Stats;
use crate::stats::rare_facts::MachineTime;
use crate::supervise::{Flush, Ping, WorkerError};

mod ledger_store;
mod machine_time;
mod sweep_log;

pub(crate) use ledger_store::LedgerFile;
use ledger_store::{LedgerIo, LedgerStore};
pub(crate) use machine_time::machine_time;
use sweep_log::SweepLog;

/// The timeout of the last write when the service stops.
const LAST_WRITE: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub struct StatsSettings {
    /// When the service started.
    pub started: Instant,
    /// From one full sweep to the next.
    pub interval: Duration,
    /// From one `info` or `stat` to the next.
    pub facts_every: Duration,
    /// The configured number of batteries.
    pub batteries: Option<u8>,
    /// The configured number of cells per battery.
    pub cells: Option<u8>,
    /// The state of charge for which the time to go is published in addition to full and empty.
    pub target_soc: Percent,
    pub catalogue: Arc<Catalogue>,
    /// The file of the counters. Without it they restart at zero with each start.
    pub ledger: Option<LedgerFile>,
    /// When the service started by the uptime of the machine, if known.
    pub machine: Option<MachineTime>,
}

pub struct StatsActor {
    settings: StatsSettings,
    log: Logger,
    sinks: Vec<ReportSink>,
    state: StatsState,
    /// These survive restarts of the actor: counters never decrease, and hanging threads stay counted.
    stats: Stats,
    store: Option<LedgerStore>,
}

/// State that is reset when the actor restarts.
struct StatsState {
    facts: FactBook,
    /// Facts of a stack, stored as if it were its first battery.
    bank_facts: FactBook,
    counters: ServiceCounters,
    /// The last bits of each battery's event words: cells, battery, system.
    events: BTreeMap<Place, [u32; 3]>,
    sweep_log: SweepLog,
}

impl StatsState {
    fn new(settings: &StatsSettings, log: &Logger) -> Self {
        Self {
            facts: FactBook::default(),
            bank_facts: FactBook::default(),
            counters: ServiceCounters::default(),
            events: BTreeMap::new(),
            sweep_log: SweepLog::new(log.clone(), settings.batteries, settings.cells),
        }
    }
}

impl StatsActor {
    #[must_use]
    pub(crate) fn new(settings: StatsSettings, log: Logger, sinks: Vec<ReportSink>) -> Self {
        let state = StatsState::new(&settings, &log);
        let stats = if settings.ledger.is_some() { Stats::new } else { Stats::without_persistence }(
            settings.interval,
        );
        let stats = stats.with_target_soc(settings.target_soc);
        let store = settings.ledger.clone().map(|file| LedgerStore::of(file, log.clone()));
        Self { settings, log, sinks, state, stats, store }
    }

    fn report(&mut self, reading: &BankReading) -> BankReport {
        let now = self.settings.started.elapsed();
        let machine = self.settings.machine.as_ref().map(|started| started.after(now));
        self.learn(reading, now);
        self.count(reading, now);
        let mut facts = self.facts(reading);
        if let Some(machine) = &machine
            && self.restore(reading, &facts, now, machine)
        {
            facts = self.facts(reading);
        }
        let bank_facts = self.state.bank_facts.of(Place::FIRST);
        let mut report = self.stats.report(reading.clone(), facts, bank_facts, self.state.counters);
        machine.iter().for_each(|machine| self.stats.record_rare_facts(reading, machine));
        set_active_events(&mut report, &self.settings.catalogue);
        report
    }

    fn facts(&self, reading: &BankReading) -> Vec<Facts> {
        reading.batteries.iter().map(|battery| self.state.facts.of(battery.place)).collect()
    }

    /// Restores facts of an earlier run that are not too old; returns whether there were any.
    fn restore(
        &mut self,
        reading: &BankReading,
        facts: &[Facts],
        now: Duration,
        machine: &MachineTime,
    ) -> bool {
        let restored = self.stats.restore(reading, facts, machine);
        let any = !restored.is_empty();
        for (place, facts, age) in restored {
            self.state.facts.restore(place, FactSource::Stat, facts, now, age);
        }
        if any {
            self.state.facts.expire(now, self.max_age(reading));
        }
        any
    }

    /// Starts a read or write of the ledger if one is due. Readings continue meanwhile.
    fn sync_ledger(&mut self, ctx: &mut Context<Self>) {
        let (Some(store), now) = (&mut self.store, Instant::now()) else { return };
        let ledger = self.stats.ledger();
        match (store.due(now, ledger), ledger) {
            (Some(LedgerIo::Read), _) => {
                let found = store.read(now).into_actor(self).map(|found, actor, _| {
                    let kept = actor.store.as_mut().and_then(|store| store.on_read(found));
                    kept.into_iter().for_each(|kept| actor.stats.load(kept));
                });
                ctx.spawn(found);
            }
            (Some(LedgerIo::Write), Some(ledger)) => {
                let wrote = store.write(now, ledger, Duration::MAX).into_actor(self);
                ctx.spawn(wrote.map(|outcome, actor, _| actor.on_written(outcome)));
            }
            _ => {}
        }
    }

    fn on_written(&mut self, outcome: Result<io::Result<()>, WorkerError>) {
        let kept = self.store.as_mut().and_then(|store| store.on_written(outcome));
        kept.into_iter().for_each(|kept| self.stats.on_saved(kept));
    }

    /// Returns the maximum age of the facts of each source.
    fn max_age(&self, reading: &BankReading) -> impl Fn(FactSource) -> Duration + use<> {
        let settings = &self.settings;
        let interval = settings.interval.max(reading.took);
        // One slow command is sent per sweep, so in a large bank with a long interval each is repeated less often.
        let round = interval * u32::try_from(slow_questions(reading.batteries.len())).unwrap_or(u32::MAX);
        let rare = settings.facts_every.max(round);
        move |source| match source {
            FactSource::Table | FactSource::Detail => 3 * interval,
            FactSource::Info | FactSource::Stat | FactSource::Euro => 3 * rare,
        }
    }

    fn learn(&mut self, reading: &BankReading, now: Duration) {
        let most = self.max_age(reading);
        self.state.facts.expire(now, &most);
        self.state.bank_facts.expire(now, &most);
        for battery in &reading.batteries {
            if battery.presence == Presence::Absent {
                self.state.facts.forget(battery.place);
            }
            for (source, facts) in &battery.facts {
                self.state.facts.take(battery.place, *source, facts.clone(), now);
            }
        }
        for (source, facts) in &reading.facts {
            self.state.bank_facts.take(Place::FIRST, *source, facts.clone(), now);
        }
    }

    fn count(&mut self, reading: &BankReading, now: Duration) {
        let counters = &mut self.state.counters;
        counters.uptime = now;
        if reading.kind == SweepKind::Full {
            counters.sweeps += 1;
            counters.incomplete += u64::from(!reading.missing.is_empty());
        }
        for battery in &reading.batteries {
            let measured = &battery.measured;
            let words = [&measured.battery_events, &measured.power_events, &measured.system_fault];
            let before = self.state.events.entry(battery.place).or_default();
            let totals =
                [&mut counters.battery_events, &mut counters.power_events, &mut counters.system_faults];
            for ((word, before), total) in words.into_iter().zip(before).zip(totals) {
                let Some(word) = word else { continue };
                *total += u64::from((word.bits & !*before).count_ones());
                *before = word.bits;
            }
        }
    }
}

impl Actor for StatsActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.sync_ledger(ctx);
        // With rare sweeps, the values of the last one would otherwise not be saved until the next.
        if let Some(file) = &self.settings.ledger {
            ctx.run_interval(file.every / 3, |actor, ctx| actor.sync_ledger(ctx));
        }
    }
}

impl Supervised for StatsActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.state = StatsState::new(&self.settings, &self.log);
        self.stats.reset();
        self.store.iter_mut().for_each(LedgerStore::abort_io);
    }
}

impl Handler<ReadingReady> for StatsActor {
    type Result = ();

    fn handle(&mut self, ReadingReady(reading): ReadingReady, ctx: &mut Self::Context) {
        self.state.sweep_log.log_sweep(&reading);
        let report = Arc::new(self.report(&reading));
        self.state.sweep_log.log_implausible(&report);
        self.sinks.iter().for_each(|sink| sink.try_send(&report));
        self.sync_ledger(ctx);
    }
}

impl Handler<Ping> for StatsActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Flush> for StatsActor {
    type Result = ResponseActFuture<Self, ()>;

    /// Everything queued before has been handled; its results are written to disk.
    fn handle(&mut self, _: Flush, _: &mut Self::Context) -> Self::Result {
        let (store, ledger) = (self.store.as_mut(), self.stats.ledger());
        let Some((store, ledger)) = store.zip(ledger).filter(|(store, ledger)| store.has_unsaved(ledger))
        else {
            return Box::pin(fut::ready(()));
        };
        let wrote = store.write(Instant::now(), ledger, LAST_WRITE).into_actor(self);
        Box::pin(wrote.map(|outcome, actor, _| actor.on_written(outcome)))
    }
}

#[cfg(test)]
mod tests;
