//! The poll plan: decides which command is sent next, from the commands and answers so far. Pure; the time is passed
//! in.
//!
//! ```text
//! full sweep     pwr ─► for each battery found: pwr N, bat N, info N (when due)     every `interval`
//!                 └───► a stack: unit, bat, info (when due)
//! summary        pwr                                                                every `summary_interval` between
//! slow command   stat N or soh N, one at a time                                     between two sweeps
//!                help, rarely; euro if help lists it
//!                log, data event: when the link was opened, when an event appears
//! ```
//!
//! Length: one schedule with all its stages.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::console::answers::parsed::Rejected;
use crate::console::command::{Command, CommandName};
use crate::console::framing::refusal::CommandRefusal;
use crate::console::transcript::CommandError;
use crate::console::validation::Findings;
use crate::model::place::Place;
use crate::model::reading::SweepKind;

#[derive(Clone, Debug)]
pub struct PollSchedule {
    /// From the start of a full sweep to the start of the next.
    pub interval: Duration,
    /// From the start of a sweep to the next summary; zero for none.
    pub summary_interval: Duration,
    /// Whether every full sweep includes `bat N`; if not, only batteries with an event are polled for it.
    pub cells: bool,
    /// From one `info`, `stat` or `soh` of a battery to the next.
    pub facts_interval: Duration,
    /// How long a refusal is remembered.
    pub refusal_lifetime: Duration,
}

impl PollSchedule {
    /// Facts every 15 minutes; refusals are remembered for an hour.
    #[must_use]
    pub fn new(interval: Duration, summary_interval: Duration, cells: bool) -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self { interval, summary_interval, cells, facts_interval: 15 * MINUTE, refusal_lifetime: 60 * MINUTE }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanStep {
    /// A sweep starts now.
    BeginSweep(SweepKind),
    /// Send this command.
    Execute(Command),
    /// The sweep is over: all its commands were sent.
    EndSweep(SweepKind),
    /// Nothing to do until this time (monotonic).
    WaitUntil(Duration),
}

/// The poll plan of one bank.
#[derive(Debug)]
pub(crate) struct PollPlan {
    schedule: PollSchedule,
    next_full: Duration,
    next_summary: Duration,
    sweep: Option<SweepKind>,
    queue: VecDeque<Command>,
    present: Vec<Place>,
    known: BTreeSet<Place>,
    stack: bool,
    facts_sent: BTreeMap<Command, Duration>,
    refused: BTreeMap<(CommandName, CommandForm), Duration>,
    /// Slow commands that got no answer in time, and when they may be sent again.
    not_before: BTreeMap<Command, Duration>,
    slow_sent: bool,
    last_slow_at: Duration,
    /// How often each of [`DEVICE_LOG`] is still to be sent.
    device_log_reads: BTreeMap<CommandName, u32>,
    /// Whether the console's `help` lists `euro`.
    has_euro: bool,
    /// Batteries, or the stack, that had an event when they were last polled.
    with_events: BTreeSet<Option<Place>>,
}

/// The form of a command that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum CommandForm {
    /// Without a number.
    Bare,
    /// With any number.
    Numbered,
    /// For this battery.
    Battery(Place),
}

/// Commands for facts, sent one at a time between sweeps.
const SLOW: &[CommandName] = &[CommandName::Stat, CommandName::Soh];

/// The commands of a console change only with its firmware.
const HELP_INTERVAL: Duration = Duration::from_secs(6 * 3600);

/// Slow commands for the device log of the connected battery.
const DEVICE_LOG: &[CommandName] = &[CommandName::Log, CommandName::DataEvent];

/// A record is stored for years and has no checksum, so it counts once it was read twice with the same content.
const DEVICE_LOG_READS: u32 = 2;

/// After this long without a slow command, one is sent before a sweep that is due.
const MAX_SLOW_WAIT: Duration = Duration::from_secs(60);

impl PollPlan {
    /// The first full sweep is due at once.
    #[must_use]
    pub(crate) fn new(schedule: PollSchedule) -> Self {
        Self {
            schedule,
            next_full: Duration::ZERO,
            next_summary: Duration::ZERO,
            sweep: None,
            queue: VecDeque::new(),
            present: Vec::new(),
            known: BTreeSet::new(),
            stack: false,
            facts_sent: BTreeMap::new(),
            refused: BTreeMap::new(),
            not_before: BTreeMap::new(),
            slow_sent: true,
            last_slow_at: Duration::ZERO,
            device_log_reads: BTreeMap::new(),
            has_euro: false,
            with_events: BTreeSet::new(),
        }
    }

    /// To be called when the link was opened: the batteries may have changed, so `info` is sent to all of them again,
    /// and a full sweep is due at once.
    pub(crate) fn on_link_open(&mut self, now: Duration) {
        self.sweep = None;
        self.queue.clear();
        self.facts_sent.clear();
        self.refused.clear();
        self.with_events.clear();
        self.has_euro = false;
        self.schedule_device_log();
        self.next_full = now;
    }

    /// Schedules the commands for the device log: at once, but each at most once a minute.
    fn schedule_device_log(&mut self) {
        for name in DEVICE_LOG {
            let retry_at = self.facts_sent.get(&name.bare()).map(|sent| *sent + MAX_SLOW_WAIT);
            self.not_before.extend(retry_at.map(|at| (name.bare(), at)));
            self.device_log_reads.insert(*name, DEVICE_LOG_READS);
        }
    }

    /// Whether this command for the device log has been sent as often as needed.
    #[must_use]
    pub(crate) fn device_log_complete(&self, name: CommandName) -> bool {
        self.device_log_reads.get(&name).is_none_or(|left| *left == 0)
    }

    /// When the next sweep is due (monotonic).
    #[must_use]
    pub(crate) fn next_sweep_at(&self) -> Duration {
        if self.has_summaries() { self.next_full.min(self.next_summary) } else { self.next_full }
    }

    /// The places at which a battery was seen since the service started.
    pub(crate) fn known_places(&self) -> impl Iterator<Item = Place> {
        self.known.iter().copied()
    }

    /// What to do at `now`.
    pub(crate) fn next_step(&mut self, now: Duration) -> PlanStep {
        if let Some(kind) = self.sweep {
            let Some(command) = self.queue.pop_front() else {
                self.sweep = None;
                self.slow_sent = false;
                return PlanStep::EndSweep(kind);
            };
            return PlanStep::Execute(command);
        }
        if self.is_slow_overdue(now)
            && let Some(command) = self.next_slow_command(now)
        {
            return self.execute_slow(command, now);
        }
        if now >= self.next_full {
            // Missed sweeps are not made up for.
            let next = self.next_full + self.schedule.interval;
            self.next_full = if next > now { next } else { now + self.schedule.interval };
            return self.begin_sweep(SweepKind::Full, now);
        }
        if self.has_summaries() && now >= self.next_summary {
            return self.begin_sweep(SweepKind::Summary, now);
        }
        if !self.slow_sent {
            self.slow_sent = true;
            if let Some(command) = self.next_slow_command(now) {
                return self.execute_slow(command, now);
            }
        }
        PlanStep::WaitUntil(self.next_sweep_at())
    }

    /// Whether a slow command may be sent before a sweep that is due: sweeps follow one another without a pause, and a
    /// minute has passed without a slow command.
    fn is_slow_overdue(&self, now: Duration) -> bool {
        !self.slow_sent && now >= self.next_full && now.saturating_sub(self.last_slow_at) >= MAX_SLOW_WAIT
    }

    fn execute_slow(&mut self, command: Command, now: Duration) -> PlanStep {
        self.slow_sent = true;
        self.last_slow_at = now;
        self.facts_sent.insert(command, now);
        self.device_log_reads.entry(command.name).and_modify(|left| *left = left.saturating_sub(1));
        PlanStep::Execute(command)
    }

    fn has_summaries(&self) -> bool {
        !self.schedule.summary_interval.is_zero()
    }

    fn begin_sweep(&mut self, kind: SweepKind, now: Duration) -> PlanStep {
        self.sweep = Some(kind);
        self.next_summary = now + self.schedule.summary_interval;
        self.queue = VecDeque::from([CommandName::Pwr.bare()]);
        PlanStep::BeginSweep(kind)
    }

    /// To be called when an answer was accepted.
    pub(crate) fn on_answer(&mut self, command: Command, now: Duration, found: &Findings) {
        if command == CommandName::Pwr.bare() {
            if let Some(present) = &found.present {
                self.stack = false;
                // An unreadable row does not mean that the battery is absent.
                let unread: Vec<Place> =
                    found.unreadable.iter().copied().filter(|place| self.present.contains(place)).collect();
                self.update_present(present, &unread);
                if self.sweep == Some(SweepKind::Summary) {
                    // The details replace the row, so that the bank has its totals.
                    self.queue.extend(unread.into_iter().map(|place| CommandName::Pwr.for_place(place)));
                }
            } else if found.is_stack {
                self.stack = true;
            }
            self.queue_batteries(now);
        }
        if command == CommandName::Unit.bare() {
            self.known.extend(found.present.iter().flatten());
        }
        if found.has_event && !self.schedule.cells {
            let cells = command.place().map(|place| CommandName::Bat.for_place(place));
            cells.into_iter().for_each(|cells| self.queue.push_front(cells));
        }
        if command.name == CommandName::Pwr {
            let had_event = self.with_events.remove(&command.place());
            if found.has_event {
                self.with_events.insert(command.place());
            }
            if found.has_event && !had_event {
                self.schedule_device_log();
            }
        }
        if command.name == CommandName::Info {
            self.facts_sent.insert(command, now);
        }
        self.has_euro = found.lists_euro.unwrap_or(self.has_euro);
    }

    /// To be called when a command got no accepted answer.
    pub(crate) fn on_failure(&mut self, command: Command, now: Duration, error: &CommandError) {
        if command == CommandName::Pwr.bare() {
            // The details of the known batteries are valid without the table.
            self.queue_batteries(now);
        }
        if let CommandError::Rejected(Rejected::Refused(refusal)) = error
            && !matches!(command.name, CommandName::Pwr | CommandName::Bat)
        {
            let form = match (refusal, command.place()) {
                (CommandRefusal::NotPresent, Some(place)) => CommandForm::Battery(place),
                (_, Some(_)) => CommandForm::Numbered,
                (_, None) => CommandForm::Bare,
            };
            self.refused.insert((command.name, form), now);
            self.device_log_reads.remove(&command.name);
        } else if command.name == CommandName::Help {
            // Retry earlier than after an answer, which is valid for hours.
            self.facts_sent.remove(&command);
            self.not_before.insert(command, now + self.schedule.facts_interval);
        }
    }

    fn update_present(&mut self, present: &[Place], unread: &[Place]) {
        for place in present {
            if !self.present.contains(place) {
                // This may be another battery than before.
                self.facts_sent.retain(|command, _| {
                    let plugged_into = matches!(command.name, CommandName::Help | CommandName::Euro);
                    command.place() != Some(*place) && !(*place == Place::FIRST && plugged_into)
                });
            }
        }
        self.known.extend(present);
        self.present = [present, unread].concat();
        self.present.sort_unstable();
        self.present.dedup();
    }

    fn queue_batteries(&mut self, now: Duration) {
        if self.sweep != Some(SweepKind::Full) {
            return;
        }
        if self.stack {
            self.queue.push_back(CommandName::Unit.bare());
            self.queue.extend(self.schedule.cells.then(|| CommandName::Bat.bare()));
            self.queue.extend(Some(CommandName::Info.bare()).filter(|info| self.is_due(*info, now)));
            return;
        }
        let mut bare_info_queued = false;
        for place in self.present.clone() {
            self.queue.push_back(CommandName::Pwr.for_place(place));
            self.queue.extend(self.schedule.cells.then(|| CommandName::Bat.for_place(place)));
            let info = self.supported_form(CommandName::Info, place, now);
            let repeated = info
                .is_some_and(|info| info.index.is_none() && std::mem::replace(&mut bare_info_queued, true));
            self.queue.extend(info.filter(|info| !repeated && self.is_due(*info, now)));
        }
    }

    /// The command for the battery at `place` in a form that was not refused: some firmware accepts no number and
    /// answers for the connected battery.
    fn supported_form(&self, name: CommandName, place: Place, now: Duration) -> Option<Command> {
        let refused = |form| {
            self.refused
                .get(&(name, form))
                .is_some_and(|since| now.saturating_sub(*since) < self.schedule.refusal_lifetime)
        };
        if refused(CommandForm::Battery(place))
            || (refused(CommandForm::Numbered) && refused(CommandForm::Bare))
        {
            None
        } else if refused(CommandForm::Numbered) {
            Some(name.bare())
        } else {
            Some(name.for_place(place))
        }
    }

    #[must_use]
    pub(crate) fn is_sweep_due(&self, now: Duration) -> bool {
        now >= self.next_sweep_at()
    }

    /// To be called when a slow command got no answer before the next sweep: it is sent again in a minute.
    pub(crate) fn postpone(&mut self, command: Command, now: Duration) {
        self.facts_sent.remove(&command);
        self.device_log_reads.entry(command.name).and_modify(|left| *left += 1);
        self.not_before.insert(command, now + MAX_SLOW_WAIT);
    }

    fn is_refused(&self, name: CommandName, form: CommandForm, now: Duration) -> bool {
        let since = self.refused.get(&(name, form));
        since.is_some_and(|since| now.saturating_sub(*since) < self.schedule.refusal_lifetime)
    }

    fn is_due(&self, command: Command, now: Duration) -> bool {
        let sent = self.facts_sent.get(&command);
        let waits = self.not_before.get(&command).is_some_and(|until| now < *until);
        let every =
            if command.name == CommandName::Help { HELP_INTERVAL } else { self.schedule.facts_interval };
        !waits && sent.is_none_or(|sent| now.saturating_sub(*sent) >= every)
    }

    /// A command for the device log, else the slow command that has waited longest.
    fn next_slow_command(&self, now: Duration) -> Option<Command> {
        let waits = |command: &Command| self.not_before.get(command).is_some_and(|until| now < *until);
        let pending = |name: &&CommandName| {
            !self.device_log_complete(**name) && !self.is_refused(**name, CommandForm::Bare, now)
        };
        let device_log =
            DEVICE_LOG.iter().filter(pending).map(|name| name.bare()).find(|command| !waits(command));
        if device_log.is_some() {
            return device_log;
        }
        let places: &[Place] = if self.stack { &[] } else { &self.present };
        // One command for every battery before the next: `stat` has facts, `soh` has none.
        let numbered =
            SLOW.iter().flat_map(|name| places.iter().map(|place| self.supported_form(*name, *place, now)));
        let stack = (self.stack && !self.is_refused(CommandName::Stat, CommandForm::Bare, now))
            .then(|| Some(CommandName::Stat.bare()));
        // The console of a stack belongs to the group, not to a connected battery.
        let connected = [(CommandName::Help, !self.stack), (CommandName::Euro, !self.stack && self.has_euro)];
        let connected = connected
            .into_iter()
            .filter(|(name, supported)| *supported && !self.is_refused(*name, CommandForm::Bare, now));
        numbered
            .chain(stack)
            .flatten()
            .chain(connected.map(|(name, _)| name.bare()))
            .filter(|command| self.is_due(*command, now))
            .min_by_key(|command| self.facts_sent.get(command).copied())
    }
}

#[cfg(test)]
mod tests;
