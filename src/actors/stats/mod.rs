//! Adds to a reading what it amounts to, the facts known at its time and what many sweeps tell. The one stage with a
//! memory: facts, counters, health, and which troubles it has told.

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

/// How long the last writing may take when the service stops.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// All that the statistics need to know.
#[derive(Clone, Debug)]
pub struct StatsSettings {
    /// When the service started.
    pub started: Instant,
    /// From one full sweep to the next.
    pub interval: Duration,
    /// From one `info` or `stat` to the next.
    pub facts_every: Duration,
    /// How many batteries the settings speak of.
    pub batteries: Option<u8>,
    /// How many cells in each of them.
    pub cells: Option<u8>,
    /// The state of charge to which the time is told, beside full and empty.
    pub target_soc: Percent,
    /// What event words and states mean.
    pub catalogue: Arc<Catalogue>,
    /// Where the counters are kept. Without it they begin anew with each start.
    pub ledger: Option<LedgerFile>,
    /// When the service started by the machine's own clock, where it is known.
    pub machine: Option<MachineTime>,
}

/// The statistics of one bank.
pub struct StatsActor {
    settings: StatsSettings,
    log: Logger,
    outlets: Vec<ReportSink>,
    state: StatsState,
    /// These outlive restarts: counters never step back, and threads that hang stay counted.
    stats: Stats,
    keeping: Option<LedgerStore>,
}

/// What is rebuilt after a failure.
struct StatsState {
    facts: FactBook,
    /// A stack's own facts, held as if it were its first battery.
    bank_facts: FactBook,
    counters: ServiceCounters,
    /// Bits that stood in each battery's event words at the last look: cells, battery, system.
    events: BTreeMap<Place, [u32; 3]>,
    telling: SweepLog,
}

impl StatsState {
    fn new(settings: &StatsSettings, log: &Logger) -> Self {
        Self {
            facts: FactBook::default(),
            bank_facts: FactBook::default(),
            counters: ServiceCounters::default(),
            events: BTreeMap::new(),
            telling: SweepLog::new(log.clone(), settings.batteries, settings.cells),
        }
    }
}

impl StatsActor {
    /// Feeds `outlets`.
    #[must_use]
    pub(crate) fn new(settings: StatsSettings, log: Logger, outlets: Vec<ReportSink>) -> Self {
        let state = StatsState::new(&settings, &log);
        let stats = if settings.ledger.is_some() { Stats::new } else { Stats::without_persistence }(
            settings.interval,
        );
        let stats = stats.with_target_soc(settings.target_soc);
        let keeping = settings.ledger.clone().map(|file| LedgerStore::of(file, log.clone()));
        Self { settings, log, outlets, state, stats, keeping }
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

    /// Restores facts of an earlier run that are not too old; answers whether there were any.
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
            self.state.facts.expire(now, self.longest(reading));
        }
        any
    }

    /// Reads or writes the ledger where that is due. Readings go on meanwhile.
    fn keep(&mut self, ctx: &mut Context<Self>) {
        let (Some(keeping), now) = (&mut self.keeping, Instant::now()) else { return };
        let ledger = self.stats.ledger();
        match (keeping.due(now, ledger), ledger) {
            (Some(LedgerIo::Read), _) => {
                let found = keeping.read(now).into_actor(self).map(|found, actor, _| {
                    let kept = actor.keeping.as_mut().and_then(|keeping| keeping.found(found));
                    kept.into_iter().for_each(|kept| actor.stats.load(kept));
                });
                ctx.spawn(found);
            }
            (Some(LedgerIo::Write), Some(ledger)) => {
                let wrote = keeping.write(now, ledger, Duration::MAX).into_actor(self);
                ctx.spawn(wrote.map(|outcome, actor, _| actor.wrote(outcome)));
            }
            _ => {}
        }
    }

    fn wrote(&mut self, outcome: Result<io::Result<()>, WorkerError>) {
        let kept = self.keeping.as_mut().and_then(|keeping| keeping.wrote(outcome));
        kept.into_iter().for_each(|kept| self.stats.on_saved(kept));
    }

    /// How old the facts of each source may be.
    fn longest(&self, reading: &BankReading) -> impl Fn(FactSource) -> Duration + use<> {
        let settings = &self.settings;
        let interval = settings.interval.max(reading.took);
        // Slow questions go one a sweep, so in a large bank at a long interval each comes round more rarely.
        let round = interval * u32::try_from(slow_questions(reading.batteries.len())).unwrap_or(u32::MAX);
        let rare = settings.facts_every.max(round);
        move |source| match source {
            FactSource::Table | FactSource::Detail => 3 * interval,
            FactSource::Info | FactSource::Stat | FactSource::Euro => 3 * rare,
        }
    }

    fn learn(&mut self, reading: &BankReading, now: Duration) {
        let most = self.longest(reading);
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
        self.keep(ctx);
        // Where sweeps are rare, what the last one added would wait for the next.
        if let Some(file) = &self.settings.ledger {
            ctx.run_interval(file.every / 3, |actor, ctx| actor.keep(ctx));
        }
    }
}

impl Supervised for StatsActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.state = StatsState::new(&self.settings, &self.log);
        self.stats.reset();
        self.keeping.iter_mut().for_each(LedgerStore::forget_errand);
    }
}

impl Handler<ReadingReady> for StatsActor {
    type Result = ();

    fn handle(&mut self, ReadingReady(reading): ReadingReady, ctx: &mut Self::Context) {
        self.state.telling.tell(&reading);
        let report = Arc::new(self.report(&reading));
        self.state.telling.tell_withheld(&report);
        self.outlets.iter().for_each(|outlet| outlet.try_send(&report));
        self.keep(ctx);
    }
}

impl Handler<Ping> for StatsActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Flush> for StatsActor {
    type Result = ResponseActFuture<Self, ()>;

    /// What was queued before has been handled by now; what it amounts to is brought to the disk.
    fn handle(&mut self, _: Flush, _: &mut Self::Context) -> Self::Result {
        let (keeping, ledger) = (self.keeping.as_mut(), self.stats.ledger());
        let Some((keeping, ledger)) = keeping.zip(ledger).filter(|(keeping, ledger)| keeping.lacks(ledger))
        else {
            return Box::pin(fut::ready(()));
        };
        let wrote = keeping.write(Instant::now(), ledger, LAST_WRITE).into_actor(self);
        Box::pin(wrote.map(|outcome, actor, _| actor.wrote(outcome)))
    }
}

#[cfg(test)]
mod tests;
