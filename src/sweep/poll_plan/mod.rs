//! The polling plan: given what was asked and answered when, what is next? Pure; the time is handed in.
//!
//! ```text
//! full sweep     pwr ─► for each battery found: pwr N, bat N, info N (when due)     each `interval`
//!                 └───► a stack: unit, bat, info (when due)
//! summary        pwr                                                                each `summary_interval` between
//! slow question  stat N or soh N, one at a time                                     between two sweeps
//!                help, rarely; euro where help lists it
//!                log, data event: when the link was opened, when an event appears
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::console::answers::parsed::Rejected;
use crate::console::command::{Command, CommandName};
use crate::console::framing::refusal::CommandRefusal;
use crate::console::transcript::CommandError;
use crate::console::validation::Findings;
use crate::model::place::Place;
use crate::model::reading::SweepKind;

/// How often what is asked.
#[derive(Clone, Debug)]
pub struct PollSchedule {
    /// From one full sweep's begin to the next one's.
    pub interval: Duration,
    /// From a sweep's begin to the next summary's; zero for none.
    pub summary_interval: Duration,
    /// Whether `bat N` is asked; without, only beside an event.
    pub cells: bool,
    /// From one `info`, `stat` or `soh` of a battery to the next.
    pub facts_interval: Duration,
    /// How long a refusal is remembered.
    pub refusal_lifetime: Duration,
}

impl PollSchedule {
    /// The usual rhythm with these intervals: facts every 15 minutes, refusals for an hour.
    #[must_use]
    pub fn new(interval: Duration, summary_interval: Duration, cells: bool) -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self { interval, summary_interval, cells, facts_interval: 15 * MINUTE, refusal_lifetime: 60 * MINUTE }
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanStep {
    /// A sweep begins now; ask on.
    BeginSweep(SweepKind),
    /// Ask this.
    Execute(Command),
    /// The sweep is over: all its questions were asked.
    EndSweep(SweepKind),
    /// Nothing to do until then (monotonic).
    WaitUntil(Duration),
}

/// The plan of one bank.
#[derive(Debug)]
pub(crate) struct PollPlan {
    rhythm: PollSchedule,
    next_full: Duration,
    next_summary: Duration,
    sweep: Option<SweepKind>,
    queue: VecDeque<Command>,
    present: Vec<Place>,
    known: BTreeSet<Place>,
    stack: bool,
    asked_facts: BTreeMap<Command, Duration>,
    refused: BTreeMap<(CommandName, CommandForm), Duration>,
    /// Slow questions that got no answer in time, and when they may be asked again.
    not_before: BTreeMap<Command, Duration>,
    slow_asked: bool,
    slow_at: Duration,
    /// How often each of [`MEMORY`] is still to be asked.
    recalls: BTreeMap<CommandName, u32>,
    /// Whether the console's `help` lists `euro`.
    has_euro: bool,
    /// Batteries, or the stack, that deserved a look when they were asked last.
    eventful: BTreeSet<Option<Place>>,
}

/// What a refusal is remembered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum CommandForm {
    /// The question without a number.
    Bare,
    /// The question with any number.
    Numbered,
    /// The question about this battery.
    Battery(Place),
}

/// Questions whose answers are facts and that are asked one at a time between sweeps.
const SLOW: &[CommandName] = &[CommandName::Stat, CommandName::Soh];

/// What a console knows changes only with its firmware.
const HELP_EVERY: Duration = Duration::from_secs(6 * 3600);

/// Questions about what the battery plugged into remembers by itself, asked as slow ones.
const MEMORY: &[CommandName] = &[CommandName::Log, CommandName::DataEvent];

/// A record is kept for years and guarded by nothing, so it counts once it was read the same twice.
const RECALLS: u32 = 2;

/// Without a slow question for so long, one goes before a sweep that is due.
const STARVED: Duration = Duration::from_secs(60);

impl PollPlan {
    /// A plan whose first full sweep is due at once.
    #[must_use]
    pub(crate) fn new(rhythm: PollSchedule) -> Self {
        Self {
            rhythm,
            next_full: Duration::ZERO,
            next_summary: Duration::ZERO,
            sweep: None,
            queue: VecDeque::new(),
            present: Vec::new(),
            known: BTreeSet::new(),
            stack: false,
            asked_facts: BTreeMap::new(),
            refused: BTreeMap::new(),
            not_before: BTreeMap::new(),
            slow_asked: true,
            slow_at: Duration::ZERO,
            recalls: BTreeMap::new(),
            has_euro: false,
            eventful: BTreeSet::new(),
        }
    }

    /// The link was opened: who is there may have changed, so everybody is asked for `info` again, and a full
    /// sweep is due at once.
    pub(crate) fn on_link_open(&mut self, now: Duration) {
        self.sweep = None;
        self.queue.clear();
        self.asked_facts.clear();
        self.refused.clear();
        self.eventful.clear();
        self.has_euro = false;
        self.recall();
        self.next_full = now;
    }

    /// What batteries remember is to be asked for: at once, but each question at most once a minute anew.
    fn recall(&mut self) {
        for verb in MEMORY {
            let again = self.asked_facts.get(&verb.bare()).map(|asked| *asked + STARVED);
            self.not_before.extend(again.map(|again| (verb.bare(), again)));
            self.recalls.insert(*verb, RECALLS);
        }
    }

    /// Whether all that is to be asked with this verb was asked.
    #[must_use]
    pub(crate) fn device_log_complete(&self, verb: CommandName) -> bool {
        self.recalls.get(&verb).is_none_or(|left| *left == 0)
    }

    /// When the next sweep is due.
    #[must_use]
    pub(crate) fn next_sweep_at(&self) -> Duration {
        if self.summaries() { self.next_full.min(self.next_summary) } else { self.next_full }
    }

    /// Every place at which a battery was seen since the service started.
    pub(crate) fn known_places(&self) -> impl Iterator<Item = Place> {
        self.known.iter().copied()
    }

    /// What to do at `now`.
    pub(crate) fn next_step(&mut self, now: Duration) -> PlanStep {
        if let Some(kind) = self.sweep {
            let Some(command) = self.queue.pop_front() else {
                self.sweep = None;
                self.slow_asked = false;
                return PlanStep::EndSweep(kind);
            };
            return PlanStep::Execute(command);
        }
        if self.starved(now)
            && let Some(command) = self.slow_question(now)
        {
            return self.ask_slowly(command, now);
        }
        if now >= self.next_full {
            // Sweeps that were missed are not caught up with.
            let next = self.next_full + self.rhythm.interval;
            self.next_full = if next > now { next } else { now + self.rhythm.interval };
            return self.begin(SweepKind::Full, now);
        }
        if self.summaries() && now >= self.next_summary {
            return self.begin(SweepKind::Summary, now);
        }
        if !self.slow_asked {
            self.slow_asked = true;
            if let Some(command) = self.slow_question(now) {
                return self.ask_slowly(command, now);
            }
        }
        PlanStep::WaitUntil(self.next_sweep_at())
    }

    /// Sweeps follow one another without a rest, and a minute has gone by without a slow question: one may go
    /// before the next sweep.
    fn starved(&self, now: Duration) -> bool {
        !self.slow_asked && now >= self.next_full && now.saturating_sub(self.slow_at) >= STARVED
    }

    fn ask_slowly(&mut self, command: Command, now: Duration) -> PlanStep {
        self.slow_asked = true;
        self.slow_at = now;
        self.asked_facts.insert(command, now);
        self.recalls.entry(command.name).and_modify(|left| *left = left.saturating_sub(1));
        PlanStep::Execute(command)
    }

    fn summaries(&self) -> bool {
        !self.rhythm.summary_interval.is_zero()
    }

    fn begin(&mut self, kind: SweepKind, now: Duration) -> PlanStep {
        self.sweep = Some(kind);
        self.next_summary = now + self.rhythm.summary_interval;
        self.queue = VecDeque::from([CommandName::Pwr.bare()]);
        PlanStep::BeginSweep(kind)
    }

    /// A question was answered and believed.
    pub(crate) fn on_answer(&mut self, command: Command, now: Duration, found: &Findings) {
        if command == CommandName::Pwr.bare() {
            if let Some(present) = &found.present {
                self.stack = false;
                // An unreadable row is not an absence.
                let unread: Vec<Place> =
                    found.unreadable.iter().copied().filter(|place| self.present.contains(place)).collect();
                self.found(present, &unread);
                if self.sweep == Some(SweepKind::Summary) {
                    // The details replace the row, so that the bank has its totals.
                    self.queue.extend(unread.into_iter().map(|place| CommandName::Pwr.for_place(place)));
                }
            } else if found.is_stack {
                self.stack = true;
            }
            self.plan_batteries(now);
        }
        if command == CommandName::Unit.bare() {
            self.known.extend(found.present.iter().flatten());
        }
        if found.has_event && !self.rhythm.cells {
            let cells = command.place().map(|place| CommandName::Bat.for_place(place));
            cells.into_iter().for_each(|cells| self.queue.push_front(cells));
        }
        if command.name == CommandName::Pwr {
            let stood = self.eventful.remove(&command.place());
            if found.has_event {
                self.eventful.insert(command.place());
            }
            if found.has_event && !stood {
                self.recall();
            }
        }
        if command.name == CommandName::Info {
            self.asked_facts.insert(command, now);
        }
        self.has_euro = found.lists_euro.unwrap_or(self.has_euro);
    }

    /// A question went without an answer.
    pub(crate) fn on_failure(&mut self, command: Command, now: Duration, lost: &CommandError) {
        if command == CommandName::Pwr.bare() {
            // The details of those who were there stand on their own.
            self.plan_batteries(now);
        }
        if let CommandError::Rejected(Rejected::Refused(refusal)) = lost
            && !matches!(command.verb, Verb::Pwr | Verb::Bat)
        {
            let form = match (refusal, command.place()) {
                (CommandRefusal::NotPresent, Some(place)) => CommandForm::Battery(place),
                (_, Some(_)) => CommandForm::Numbered,
                (_, None) => CommandForm::Bare,
            };
            self.refused.insert((command.name, form), now);
            self.recalls.remove(&command.name);
        } else if command.name == CommandName::Help {
            // What it lists is valid for hours, but nothing was heard of it.
            self.asked_facts.remove(&command);
            self.not_before.insert(command, now + self.rhythm.facts_interval);
        }
    }

    fn found(&mut self, present: &[Place], unread: &[Place]) {
        for place in present {
            if !self.present.contains(place) {
                // Whoever sits here now may be another battery than before.
                self.asked_facts.retain(|command, _| {
                    let plugged_into = matches!(command.verb, Verb::Help | Verb::Euro);
                    command.place() != Some(*place) && !(*place == Place::FIRST && plugged_into)
                });
            }
        }
        self.known.extend(present);
        self.present = [present, unread].concat();
        self.present.sort_unstable();
        self.present.dedup();
    }

    fn plan_batteries(&mut self, now: Duration) {
        if self.sweep != Some(SweepKind::Full) {
            return;
        }
        if self.stack {
            self.queue.push_back(CommandName::Unit.bare());
            self.queue.extend(self.rhythm.cells.then(|| CommandName::Bat.bare()));
            self.queue.extend(Some(CommandName::Info.bare()).filter(|info| self.due(*info, now)));
            return;
        }
        let mut bare_info = false;
        for place in self.present.clone() {
            self.queue.push_back(CommandName::Pwr.for_place(place));
            self.queue.extend(self.rhythm.cells.then(|| CommandName::Bat.for_place(place)));
            let info = self.form(CommandName::Info, place, now);
            let twice =
                info.is_some_and(|info| info.index.is_none() && std::mem::replace(&mut bare_info, true));
            self.queue.extend(info.filter(|info| !twice && self.due(*info, now)));
        }
    }

    /// The question about the battery at `place` in a form that was not refused: some firmware takes no number
    /// and answers for the battery plugged into.
    fn form(&self, verb: CommandName, place: Place, now: Duration) -> Option<Command> {
        let refused = |form| {
            self.refused
                .get(&(verb, form))
                .is_some_and(|since| now.saturating_sub(*since) < self.rhythm.refusal_lifetime)
        };
        if refused(CommandForm::Battery(place))
            || (refused(CommandForm::Numbered) && refused(CommandForm::Bare))
        {
            None
        } else if refused(CommandForm::Numbered) {
            Some(verb.bare())
        } else {
            Some(verb.for_place(place))
        }
    }

    /// Whether a sweep is due.
    #[must_use]
    pub(crate) fn is_sweep_due(&self, now: Duration) -> bool {
        now >= self.next_sweep_at()
    }

    /// A slow question got no answer in the time there was: it is asked again in a minute.
    pub(crate) fn postpone(&mut self, command: Command, now: Duration) {
        self.asked_facts.remove(&command);
        self.recalls.entry(command.name).and_modify(|left| *left += 1);
        self.not_before.insert(command, now + STARVED);
    }

    fn is_refused(&self, verb: CommandName, form: CommandForm, now: Duration) -> bool {
        let since = self.refused.get(&(verb, form));
        since.is_some_and(|since| now.saturating_sub(*since) < self.rhythm.refusal_lifetime)
    }

    fn due(&self, command: Command, now: Duration) -> bool {
        let asked = self.asked_facts.get(&command);
        let waits = self.not_before.get(&command).is_some_and(|until| now < *until);
        let every = if command.name == CommandName::Help { HELP_EVERY } else { self.rhythm.facts_interval };
        !waits && asked.is_none_or(|asked| now.saturating_sub(*asked) >= every)
    }

    /// What is to be remembered, else the slow question that has waited longest.
    fn slow_question(&self, now: Duration) -> Option<Command> {
        let waits = |command: &Command| self.not_before.get(command).is_some_and(|until| now < *until);
        let open = |verb: &&CommandName| {
            !self.device_log_complete(**verb) && !self.is_refused(**verb, CommandForm::Bare, now)
        };
        let memory = MEMORY.iter().filter(open).map(|verb| verb.alone()).find(|command| !waits(command));
        if memory.is_some() {
            return memory;
        }
        let places: &[Place] = if self.stack { &[] } else { &self.present };
        // A verb of every battery before the next verb: `stat` has facts to state, `soh` has none.
        let numbered = SLOW.iter().flat_map(|verb| places.iter().map(|place| self.form(*verb, *place, now)));
        let stack = (self.stack && !self.is_refused(CommandName::Stat, CommandForm::Bare, now))
            .then(|| Some(CommandName::Stat.bare()));
        // A stack has no battery that is plugged into, but the group.
        let own = [(CommandName::Help, !self.stack), (CommandName::Euro, !self.stack && self.has_euro)];
        let own =
            own.into_iter().filter(|(verb, asked)| *asked && !self.is_refused(*verb, CommandForm::Bare, now));
        numbered
            .chain(stack)
            .flatten()
            .chain(own.map(|(verb, _)| verb.alone()))
            .filter(|command| self.due(*command, now))
            .min_by_key(|command| self.asked_facts.get(command).copied())
    }
}

#[cfg(test)]
mod tests;
