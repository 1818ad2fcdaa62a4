//! Adds to a reading what it amounts to and the facts known at its time. The one stage with a memory: facts,
//! counters, and which troubles it has told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Context, Handler, Supervised};
use slog::{Logger, debug, info, warn};

use crate::console::command::Command;
use crate::messages::{Outlet, Read};
use crate::model::facts::{FactBook, FactSource, Facts};
use crate::model::place::Place;
use crate::model::reading::{BankReading, Presence, SweepKind};
use crate::model::report::{BankReport, ServiceCounters};
use crate::model::statistics::BankStatistics;
use crate::supervise::{Flush, Ping};
use crate::trouble::{Took, Trouble};

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
}

/// The statistics of one bank.
pub struct StatsActor {
    settings: StatsSettings,
    log: Logger,
    outlets: Vec<Outlet>,
    state: Memory,
}

/// What is rebuilt after a failure.
#[derive(Default)]
struct Memory {
    facts: FactBook,
    /// A stack's own facts, held as if it were its first battery.
    bank_facts: FactBook,
    counters: ServiceCounters,
    /// Bits that stood in each battery's event words at the last look: cells, battery, system.
    events: BTreeMap<Place, [u32; 3]>,
    missing: BTreeMap<String, Trouble>,
    first_told: bool,
    summary: Option<Hour>,
    told_size: Option<(usize, Option<usize>)>,
}

/// What the hourly line sums up.
struct Hour {
    since: Instant,
    sweeps: u64,
    asked_again: u64,
    incomplete: u64,
}

/// From one summary line to the next.
const HOUR: Duration = Duration::from_secs(3_600);

impl StatsActor {
    /// Feeds `outlets`.
    #[must_use]
    pub fn new(settings: StatsSettings, log: Logger, outlets: Vec<Outlet>) -> Self {
        Self { settings, log, outlets, state: Memory::default() }
    }

    fn report(&mut self, reading: &BankReading) -> BankReport {
        let now = self.settings.started.elapsed();
        self.learn(reading, now);
        self.count(reading, now);
        let facts: Vec<Facts> =
            reading.batteries.iter().map(|battery| self.state.facts.of(battery.place)).collect();
        let statistics = BankStatistics::of(reading, &facts);
        BankReport {
            reading: reading.clone(),
            statistics,
            facts,
            bank_facts: self.state.bank_facts.of(Place::FIRST),
            service: self.state.counters,
        }
    }

    fn learn(&mut self, reading: &BankReading, now: Duration) {
        let settings = &self.settings;
        // Slow questions go one a sweep, so in a large bank at a long interval each comes round more rarely.
        let round = settings.interval * u32::try_from(2 * reading.batteries.len()).unwrap_or(u32::MAX);
        let rare = settings.facts_every.max(round);
        let most = |source| match source {
            FactSource::Table | FactSource::Detail => 3 * settings.interval,
            FactSource::Info | FactSource::Stat => 3 * rare,
        };
        self.state.facts.expire(now, most);
        self.state.bank_facts.expire(now, most);
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

    fn tell(&mut self, reading: &BankReading) {
        self.tell_missing(reading);
        self.tell_size(reading);
        let line = |log: &Logger, info: bool| {
            let (batteries, kind) = (present(reading), reading.kind.word());
            let (bank, again, took) = (&*reading.bank, reading.asked_again, Took(reading.took));
            if info {
                info!(log, "sweep complete"; "bank" => bank, "kind" => kind, "batteries" => batteries,
                    "asked_again" => again, "took" => took);
            } else {
                debug!(log, "sweep complete"; "bank" => bank, "kind" => kind, "batteries" => batteries,
                    "asked_again" => again, "took" => took);
            }
        };
        line(&self.log, !std::mem::replace(&mut self.state.first_told, true));
        self.tell_hour(reading);
    }

    fn tell_hour(&mut self, reading: &BankReading) {
        let fresh = || Hour { since: Instant::now(), sweeps: 0, asked_again: 0, incomplete: 0 };
        let hour = self.state.summary.get_or_insert_with(fresh);
        hour.sweeps += 1;
        hour.asked_again += u64::from(reading.asked_again);
        hour.incomplete += u64::from(!reading.missing.is_empty());
        if hour.since.elapsed() >= HOUR {
            info!(self.log, "sweeps of the last hour"; "bank" => &*reading.bank, "sweeps" => hour.sweeps,
                "asked_again" => hour.asked_again, "incomplete" => hour.incomplete);
            self.state.summary = None;
        }
    }

    /// What is missing from a sweep is told once, at a decreasing pace while it lasts, and when it is back.
    fn tell_missing(&mut self, reading: &BankReading) {
        let now = Instant::now();
        let bank = &*reading.bank;
        for missing in &reading.missing {
            let trouble = self.state.missing.entry(missing.command.clone()).or_default();
            if let Some(say) = trouble.failed(now, &missing.reason) {
                let battery = missing.battery.map_or_else(|| "all".to_owned(), |place| place.to_string());
                warn!(self.log, "battery missing"; "bank" => bank, "battery" => battery, "command" => &missing.command,
                    "reason" => &missing.reason, "asked" => missing.asked, "times" => say.count);
            }
        }
        let still = |command: &str| reading.missing.iter().any(|missing| missing.command == command);
        let log = &self.log;
        self.state.missing.retain(|command, trouble| {
            let asked = reading.kind == SweepKind::Full || command == "pwr";
            if !asked || still(command) {
                return true;
            }
            // A battery that the table says is not there has not come back.
            let place = command.parse().ok().and_then(Command::place);
            if reading.batteries.iter().any(|b| Some(b.place) == place && b.presence == Presence::Absent) {
                return false;
            }
            if let Some(back) = trouble.recovered(now) {
                info!(log, "battery back"; "bank" => bank, "command" => command.clone(), "outage" => Took(back.outage));
            }
            false
        });
    }

    /// Settings that speak of another number of batteries or cells than the bank has are told on change.
    fn tell_size(&mut self, reading: &BankReading) {
        if reading.kind != SweepKind::Full || !reading.missing.is_empty() {
            return;
        }
        let present = present(reading);
        let expected = self.settings.cells.map(usize::from);
        let other = |count: &usize| expected.is_some_and(|expected| *count != expected);
        let counts = reading.batteries.iter().filter_map(|battery| Some(battery.cells.as_ref()?.len()));
        let size = (present, counts.into_iter().find(other));
        if self.state.told_size.replace(size) == Some(size) {
            return;
        }
        if let Some(batteries) = self.settings.batteries.filter(|expected| usize::from(*expected) != present)
        {
            warn!(self.log, "batteries differ from the settings"; "bank" => &*reading.bank,
                "settings" => batteries, "found" => present);
        }
        if let (Some(settings), Some(found)) = (expected, size.1) {
            warn!(self.log, "cells differ from the settings"; "bank" => &*reading.bank,
                "settings" => settings, "found" => found);
        }
    }
}

/// How many batteries are there.
fn present(reading: &BankReading) -> usize {
    reading.batteries.iter().filter(|battery| battery.presence == Presence::Present).count()
}

impl Actor for StatsActor {
    type Context = Context<Self>;
}

impl Supervised for StatsActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.state = Memory::default();
    }
}

impl Handler<Read> for StatsActor {
    type Result = ();

    fn handle(&mut self, Read(reading): Read, _: &mut Self::Context) {
        self.tell(&reading);
        let report = Arc::new(self.report(&reading));
        self.outlets.iter().for_each(|outlet| outlet.offer(&report));
    }
}

impl Handler<Ping> for StatsActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Flush> for StatsActor {
    type Result = ();

    /// What was queued before has been handled by now.
    fn handle(&mut self, _: Flush, _: &mut Self::Context) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::assemble::assemble;
    use crate::console::transcript::Transcript;

    const INTERVAL: Duration = Duration::from_secs(10);
    const RARE: Duration = Duration::from_secs(900);

    fn actor() -> StatsActor {
        let settings = StatsSettings {
            started: Instant::now(),
            interval: INTERVAL,
            facts_every: RARE,
            batteries: None,
            cells: None,
        };
        StatsActor::new(settings, Logger::root(slog::Discard, slog::o!()), Vec::new())
    }

    /// A sweep in which a stack said this of itself.
    fn stack(facts: &[(FactSource, Facts)]) -> BankReading {
        let nothing = Transcript {
            bank: Arc::from("stack"),
            kind: SweepKind::Full,
            began_at: jiff::Timestamp::UNIX_EPOCH,
            took: Duration::ZERO,
            known: Vec::new(),
            exchanges: Vec::new(),
        };
        BankReading { facts: facts.to_vec(), ..assemble(&nothing) }
    }

    #[test]
    fn a_stack_s_own_facts_complete_one_another_and_expire_like_all_others() {
        let mut actor = actor();
        let info = Facts { model: Some("SC0500".into()), ..Facts::default() };
        let stat = Facts { cycles: Some(83), ..Facts::default() };
        let known = |actor: &StatsActor| actor.state.bank_facts.of(Place::FIRST);

        actor.learn(&stack(&[(FactSource::Info, info.clone())]), Duration::ZERO);
        actor.learn(&stack(&[(FactSource::Stat, stat.clone())]), RARE);
        assert_eq!(known(&actor), Facts { cycles: Some(83), ..info.clone() }, "neither drives the other out");

        actor.learn(&stack(&[]), 3 * RARE);
        assert_eq!(known(&actor).model, info.model);
        actor.learn(&stack(&[]), 3 * RARE + INTERVAL);
        assert_eq!(known(&actor), stat, "the older answer is too old now");
        actor.learn(&stack(&[]), 4 * RARE + INTERVAL);
        assert_eq!(known(&actor), Facts::default());
    }
}
