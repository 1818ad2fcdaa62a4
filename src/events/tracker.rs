//! Tracks the active events of one bank and returns what each report changes.
//!
//! ```text
//!            reported by an answer                       no longer reported by an answer
//!   (none) ────────────────────────► active (Raised) ──────────────────────────────────► (none) (Cleared)
//!                                      │    ▲
//!                                      └────┘ no answer, a damaged one, a restart
//! ```
//! Pure: reports and times in, events out. A word that is not in a reading clears nothing. Silence of the bank is
//! detected by [`Tracker::look`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::events::active::{BothClocks, EventOwner, TrackedEvent};
use crate::events::catalogue::Catalogue;
use crate::events::clocks::{self, Clocks, is_set, later};
use crate::events::decode::{ActiveCondition, EventSource, WordConditions, decode, own, values};
use crate::events::saved::{SavedBank, SavedEvent};
use crate::model::event::{ANSWERS, Condition, Event, EventKind, LINK, PRESENCE, WordName};
use crate::model::observed_interval::ObservedInterval;
use crate::model::place::Place;
use crate::model::reading::{BankReading, Presence, SweepKind};
use crate::model::report::BankReport;
use crate::model::word::Word;

/// Full sweeps in a row after which a battery is missing, or counts as not answering.
pub(crate) const SWEEPS: u32 = 3;

/// The minimum silence of a bank with a short interval: the time that retries of a command may take.
const MIN_SILENCE: Duration = Duration::from_secs(10);

/// Limits memory use if a console reports garbage: far more active events than a bank can have.
const MAX_ACTIVE: usize = 1024;

/// The events of one bank.
#[derive(Debug)]
pub struct Tracker {
    bank: Arc<str>,
    beat: ObservedInterval,
    /// When the last reading arrived (monotonic).
    last_reading: Duration,
    /// Places at which a battery has been seen.
    known: BTreeSet<Place>,
    missed: BTreeMap<Place, Missed>,
    active: BTreeMap<(Option<Place>, WordName), BTreeMap<Condition, TrackedEvent>>,
    changed: bool,
    clocks: Clocks,
}

/// Full sweeps in a row in which a battery or one of its answers was missing.
#[derive(Clone, Copy, Debug, Default)]
struct Missed {
    battery: u32,
    answers: u32,
}

impl Tracker {
    /// Creates a tracker for a bank with this interval; `now` is monotonic.
    #[must_use]
    pub fn new(bank: Arc<str>, interval: Duration, now: Duration) -> Self {
        Self {
            bank,
            beat: ObservedInterval::new(interval),
            last_reading: now,
            known: BTreeSet::new(),
            missed: BTreeMap::new(),
            active: BTreeMap::new(),
            changed: false,
            clocks: Clocks::default(),
        }
    }

    /// Restores the state of an earlier run: its active events are not raised again.
    pub fn restore(&mut self, saved: &SavedBank, at: Timestamp, now: Duration) {
        self.known.extend(&saved.known);
        for event in saved.active.iter().take(MAX_ACTIVE) {
            let key = (event.battery, Cow::Owned(event.word.clone()));
            let standing = TrackedEvent {
                barcode: event.barcode.clone(),
                name: event.name.clone(),
                level: event.level,
                text: event.text.clone(),
                raised_at: event.raised_at,
                active_before: clocks::between(event.raised_at, at),
                since: now,
                restored: true,
            };
            self.active.entry(key).or_default().insert(event.condition.clone(), standing);
        }
    }

    /// Returns the state for the next run.
    #[must_use]
    pub fn saved(&self) -> SavedBank {
        let standing = self.active.iter().flat_map(|((battery, word), signs)| {
            signs.iter().map(|(sign, standing)| SavedEvent {
                battery: *battery,
                barcode: standing.barcode.clone(),
                word: word.to_string(),
                condition: sign.clone(),
                name: standing.name.clone(),
                level: standing.level,
                text: standing.text.clone(),
                raised_at: standing.raised_at,
            })
        });
        SavedBank { known: self.known.clone(), active: standing.collect() }
    }

    /// Whether [`Self::saved`] has changed since the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Compares both clocks; must be called at least once per reading. If the wall clock was set, corrects the times of
    /// active events: those raised while it was unset and, after a backward step, those raised since the start.
    pub fn watch_clock(&mut self, at: Timestamp, now: Duration) {
        let Some(step) = self.clocks.look(at, now) else { return };
        for standing in self.active.values_mut().flat_map(BTreeMap::values_mut) {
            if !standing.restored || (step.was_unset && !is_set(standing.raised_at)) {
                standing.raised_at = later(standing.raised_at, step.by_ms).min(at);
                self.changed = true;
            }
        }
    }

    /// Returns the events of a report whose sweep began at `began` and which arrived at `now` (both monotonic).
    pub fn take(
        &mut self,
        report: &BankReport,
        catalogue: &Catalogue,
        (began, now): (Duration, Duration),
    ) -> Vec<Event> {
        let reading = &report.reading;
        let moment = BothClocks { at: self.clocks.correct_time(reading.taken_at, began), now };
        let first = self.known.is_empty();
        let mut events = Vec::new();
        self.last_reading = now;
        if reading.kind == SweepKind::Full {
            self.beat.record(reading.took);
        }
        self.update(EventOwner::BANK, no_conditions(LINK), moment, &mut events);
        if let Some(stack) = &reading.stack {
            for reported in decode(stack, EventSource::Stack, catalogue) {
                self.update(EventOwner::BANK, reported, moment, &mut events);
            }
            for reported in values(report, None, (stack, &[]), |word| self.is_active(None, word), catalogue) {
                self.update(EventOwner::BANK, reported, moment, &mut events);
            }
        }
        let is_listed = |place: &Place| reading.batteries.iter().any(|battery| battery.place == *place);
        let unlisted: Vec<Place> = self.known.iter().filter(|place| !is_listed(place)).copied().collect();
        for battery in &reading.batteries {
            let facts = report.facts.get(battery.place.index());
            let barcode = facts.and_then(|facts| facts.barcode.as_deref());
            let owner = EventOwner { battery: Some(battery.place), barcode };
            if let Some(reported) = self.presence(battery.place, battery.presence, reading.kind, catalogue) {
                self.update(owner, reported, moment, &mut events);
            }
            if battery.presence != Presence::Present {
                continue;
            }
            if self.known.insert(battery.place) {
                self.changed = true;
                // The batteries of the first reading are not new.
                let noted = Word::new("Present");
                events.extend(own(PRESENCE, &noted, catalogue).filter(|_| !first).map(|condition| {
                    self.event(EventKind::Noted, owner, &Cow::Borrowed(PRESENCE), condition, moment)
                }));
            }
            if let Some(reported) = self.answers(battery.place, reading, catalogue) {
                self.update(owner, reported, moment, &mut events);
            }
            for reported in decode(&battery.measured, EventSource::Battery, catalogue) {
                self.update(owner, reported, moment, &mut events);
            }
            let cells = battery.cells.as_deref().unwrap_or_default();
            let shown_values = (&battery.measured, cells);
            let is_active = |word: &WordName| self.is_active(owner.battery, word);
            for reported in values(report, owner.battery, shown_values, is_active, catalogue) {
                self.update(owner, reported, moment, &mut events);
            }
        }
        for place in unlisted {
            let owner = EventOwner { battery: Some(place), barcode: None };
            if let Some(reported) = self.presence(place, Presence::Missing, reading.kind, catalogue) {
                self.update(owner, reported, moment, &mut events);
            }
        }
        events
    }

    /// Raises an event if no reading has arrived for too long; must be called regularly.
    pub fn look(&mut self, catalogue: &Catalogue, at: Timestamp, now: Duration) -> Vec<Event> {
        let mut events = Vec::new();
        if now.saturating_sub(self.last_reading) > self.beat.offline_after().max(MIN_SILENCE) {
            let conditions = own(LINK, &Word::new("Silent"), catalogue).into_iter().collect();
            let reported = WordConditions { word: Cow::Borrowed(LINK), conditions };
            self.update(EventOwner::BANK, reported, BothClocks { at, now }, &mut events);
        }
        events
    }

    fn is_active(&self, battery: Option<Place>, word: &WordName) -> bool {
        self.active.contains_key(&(battery, word.clone()))
    }

    /// Returns the conditions of the presence word, or `None` if this sweep changes nothing.
    fn presence<'a>(
        &mut self,
        place: Place,
        presence: Presence,
        kind: SweepKind,
        catalogue: &'a Catalogue,
    ) -> Option<WordConditions<'a>> {
        let missed = &mut self.missed.entry(place).or_default().battery;
        let gone = match presence {
            Presence::Present => {
                *missed = 0;
                return Some(no_conditions(PRESENCE));
            }
            Presence::Absent => Word::new("Absent"),
            Presence::Missing => {
                *missed = missed.saturating_add(u32::from(kind == SweepKind::Full));
                if *missed < SWEEPS {
                    return None;
                }
                Word::new("Missing")
            }
        };
        // A battery that is already reported as removed stays as it is.
        let is_reported = self.active.contains_key(&(Some(place), Cow::Borrowed(PRESENCE)));
        let conditions = own(PRESENCE, &gone, catalogue).into_iter().collect();
        (self.known.contains(&place) && !is_reported)
            .then_some(WordConditions { word: Cow::Borrowed(PRESENCE), conditions })
    }

    /// Returns the conditions of the answers word, or `None` if they are not known yet.
    fn answers<'a>(
        &mut self,
        place: Place,
        reading: &BankReading,
        catalogue: &'a Catalogue,
    ) -> Option<WordConditions<'a>> {
        if reading.kind != SweepKind::Full {
            return None;
        }
        let is_incomplete = reading.missing.iter().any(|missing| {
            let measures = missing.command.starts_with("pwr") || missing.command.starts_with("bat");
            measures && missing.battery == Some(place)
        });
        let missed = &mut self.missed.entry(place).or_default().answers;
        if !is_incomplete {
            *missed = 0;
            return Some(no_conditions(ANSWERS));
        }
        *missed = missed.saturating_add(1);
        let conditions = own(ANSWERS, &Word::new("Failing"), catalogue).into_iter().collect();
        (*missed >= SWEEPS).then_some(WordConditions { word: Cow::Borrowed(ANSWERS), conditions })
    }

    /// Compares the reported conditions of a word with its active events.
    fn update(
        &mut self,
        owner: EventOwner<'_>,
        reported: WordConditions<'_>,
        moment: BothClocks,
        events: &mut Vec<Event>,
    ) {
        let WordConditions { word, conditions } = reported;
        let key = (owner.battery, word);
        if conditions.is_empty() && !self.active.contains_key(&key) {
            return;
        }
        let total: usize = self.active.values().map(BTreeMap::len).sum();
        let before = self.active.remove(&key).unwrap_or_default();
        // Events of a battery that has been replaced are over.
        let (replaced, mut before): (BTreeMap<_, _>, BTreeMap<_, _>) =
            before.into_iter().partition(|(_, standing)| standing.is_of_another(owner));
        let mut now = BTreeMap::new();
        let mut raised = Vec::new();
        for condition in conditions {
            match before.remove(&condition.condition) {
                Some(mut standing) => {
                    if standing.barcode.is_none() && owner.barcode.is_some() {
                        standing.barcode = owner.barcode.map(str::to_owned);
                        self.changed = true;
                    }
                    now.insert(condition.condition, standing);
                }
                None if total + raised.len() >= MAX_ACTIVE => {}
                None => {
                    now.insert(condition.condition.clone(), TrackedEvent::new(owner, &condition, moment));
                    raised.push(self.event(EventKind::Raised, owner, &key.1, condition, moment));
                }
            }
        }
        self.changed |= !replaced.is_empty() || !before.is_empty() || !raised.is_empty();
        let over = replaced.into_iter().chain(before);
        events.extend(over.map(|(sign, standing)| self.cleared(&key, sign, standing, owner, moment)));
        events.append(&mut raised);
        if !now.is_empty() {
            self.active.insert(key, now);
        }
    }

    fn event(
        &self,
        kind: EventKind,
        owner: EventOwner<'_>,
        word: &WordName,
        condition: ActiveCondition<'_>,
        moment: BothClocks,
    ) -> Event {
        Event {
            bank: self.bank.clone(),
            battery: owner.battery,
            barcode: owner.barcode.map(str::to_owned),
            kind,
            word: word.clone(),
            condition: condition.condition,
            name: condition.name.map(str::to_owned),
            level: condition.level,
            text: condition.text.into_owned(),
            raised_at: moment.at,
            at: moment.at,
            duration: None,
        }
    }

    fn cleared(
        &self,
        key: &(Option<Place>, WordName),
        sign: Condition,
        standing: TrackedEvent,
        owner: EventOwner<'_>,
        moment: BothClocks,
    ) -> Event {
        // It is unknown when an event of a replaced battery ended.
        let is_known = !standing.is_of_another(owner);
        let before = standing.active_before.filter(|_| is_known);
        Event {
            bank: self.bank.clone(),
            battery: key.0,
            barcode: standing.barcode,
            kind: EventKind::Cleared,
            word: key.1.clone(),
            condition: sign,
            name: standing.name,
            level: standing.level,
            text: standing.text,
            raised_at: standing.raised_at,
            at: moment.at.max(standing.raised_at),
            duration: before.map(|before| before + moment.now.saturating_sub(standing.since)),
        }
    }
}

/// The word was reported without any condition.
fn no_conditions(word: &'static str) -> WordConditions<'static> {
    WordConditions { word: Cow::Borrowed(word), conditions: Vec::new() }
}
