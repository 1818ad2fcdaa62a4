//! Follows one bank from reading to reading and says what changed.
//!
//! ```text
//!            an answer says it                        an answer says otherwise
//!   (none) ────────────────────► standing (Raised) ──────────────────────────────► (none) (Cleared)
//!                                    │    ▲
//!                                    └────┘ no answer, a damaged one, a restart
//! ```
//! Pure: reports and times in, events out. A word that was not said clears nothing; the bank's own silence is
//! noticed by [`Tracker::look`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::events::active::{Moment, Owner, Standing};
use crate::events::catalogue::Catalogue;
use crate::events::clocks::{self, Clocks, is_right, later};
use crate::events::decode::{Condition, Said, Whose, decode, own, values};
use crate::events::standing::{SavedBank, SavedEvent};
use crate::model::beat::Beat;
use crate::model::event::{ANSWERS, Event, EventKind, LINK, PRESENCE, Sign, WordName};
use crate::model::place::Place;
use crate::model::reading::{BankReading, Presence, SweepKind};
use crate::model::report::BankReport;
use crate::model::word::Word;

/// So many full sweeps in a row make an absence, or a battery that does not answer.
pub(crate) const SWEEPS: u32 = 3;

/// However short its interval, a bank does not count as silent before a patient asking may be over.
const PATIENT: Duration = Duration::from_secs(10);

/// A console that says nonsense shall not fill the memory: far more conditions than a bank can have.
const MOST_STANDING: usize = 1024;

/// The events of one bank.
#[derive(Debug)]
pub struct Tracker {
    bank: Arc<str>,
    beat: Beat,
    /// When the last reading came (monotonic).
    heard: Duration,
    /// Places at which a battery was seen.
    known: BTreeSet<Place>,
    missed: BTreeMap<Place, Missed>,
    standing: BTreeMap<(Option<Place>, WordName), BTreeMap<Sign, Standing>>,
    changed: bool,
    clocks: Clocks,
}

/// Full sweeps in a row in which something of a battery was missing.
#[derive(Clone, Copy, Debug, Default)]
struct Missed {
    battery: u32,
    answers: u32,
}

impl Tracker {
    /// Follows `bank`, which is to be read each `interval`, from `now` on (monotonic).
    #[must_use]
    pub fn new(bank: Arc<str>, interval: Duration, now: Duration) -> Self {
        Self {
            bank,
            beat: Beat::new(interval),
            heard: now,
            known: BTreeSet::new(),
            missed: BTreeMap::new(),
            standing: BTreeMap::new(),
            changed: false,
            clocks: Clocks::default(),
        }
    }

    /// Goes on where an earlier life left off: what stood then stands now, and is not raised again.
    pub fn restore(&mut self, saved: &SavedBank, at: Timestamp, now: Duration) {
        self.known.extend(&saved.known);
        for event in saved.standing.iter().take(MOST_STANDING) {
            let key = (event.battery, Cow::Owned(event.word.clone()));
            let standing = Standing {
                barcode: event.barcode.clone(),
                name: event.name.clone(),
                level: event.level,
                text: event.text.clone(),
                raised_at: event.raised_at,
                stood: clocks::between(event.raised_at, at),
                since: now,
                restored: true,
            };
            self.standing.entry(key).or_default().insert(event.sign.clone(), standing);
        }
    }

    /// What the next life needs to know.
    #[must_use]
    pub fn saved(&self) -> SavedBank {
        let standing = self.standing.iter().flat_map(|((battery, word), signs)| {
            signs.iter().map(|(sign, standing)| SavedEvent {
                battery: *battery,
                barcode: standing.barcode.clone(),
                word: word.to_string(),
                sign: sign.clone(),
                name: standing.name.clone(),
                level: standing.level,
                text: standing.text.clone(),
                raised_at: standing.raised_at,
            })
        });
        SavedBank { known: self.known.clone(), standing: standing.collect() }
    }

    /// Whether [`Self::saved`] has changed since this was asked last.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Looks at both clocks, at least as often as readings come. What rose by a clock that has been set since gets its
    /// right time: everything that rose while it was not set; after a step back, what rose since the start.
    pub fn watch_clock(&mut self, at: Timestamp, now: Duration) {
        let Some(step) = self.clocks.look(at, now) else { return };
        for standing in self.standing.values_mut().flat_map(BTreeMap::values_mut) {
            if !standing.restored || (step.was_unset && !is_right(standing.raised_at)) {
                standing.raised_at = later(standing.raised_at, step.by_ms).min(at);
                self.changed = true;
            }
        }
    }

    /// What a report of a sweep that began at `began` and came at `now` (both monotonic) changes.
    pub fn take(
        &mut self,
        report: &BankReport,
        catalogue: &Catalogue,
        (began, now): (Duration, Duration),
    ) -> Vec<Event> {
        let reading = &report.reading;
        let moment = Moment { at: self.clocks.right_time(reading.taken_at, began), now };
        let first = self.known.is_empty();
        let mut events = Vec::new();
        self.heard = now;
        if reading.kind == SweepKind::Full {
            self.beat.after(reading.took);
        }
        self.weigh(Owner::BANK, nothing(LINK), moment, &mut events);
        if let Some(stack) = &reading.stack {
            for said in decode(stack, Whose::Stack, catalogue) {
                self.weigh(Owner::BANK, said, moment, &mut events);
            }
            for said in values(report, None, (stack, &[]), |word| self.stands(None, word), catalogue) {
                self.weigh(Owner::BANK, said, moment, &mut events);
            }
        }
        let there = |place: &Place| reading.batteries.iter().any(|battery| battery.place == *place);
        let unsaid: Vec<Place> = self.known.iter().filter(|place| !there(place)).copied().collect();
        for battery in &reading.batteries {
            let facts = report.facts.get(battery.place.index());
            let barcode = facts.and_then(|facts| facts.barcode.as_deref());
            let owner = Owner { battery: Some(battery.place), barcode };
            if let Some(said) = self.presence(battery.place, battery.presence, reading.kind, catalogue) {
                self.weigh(owner, said, moment, &mut events);
            }
            if battery.presence != Presence::Present {
                continue;
            }
            if self.known.insert(battery.place) {
                self.changed = true;
                // Those of the very first reading were there before us.
                let noted = Word::new("Present");
                events.extend(own(PRESENCE, &noted, catalogue).filter(|_| !first).map(|condition| {
                    self.event(EventKind::Noted, owner, &Cow::Borrowed(PRESENCE), condition, moment)
                }));
            }
            if let Some(said) = self.answers(battery.place, reading, catalogue) {
                self.weigh(owner, said, moment, &mut events);
            }
            for said in decode(&battery.measured, Whose::Battery, catalogue) {
                self.weigh(owner, said, moment, &mut events);
            }
            let cells = battery.cells.as_deref().unwrap_or_default();
            let shown = (&battery.measured, cells);
            let stands = |word: &WordName| self.stands(owner.battery, word);
            for said in values(report, owner.battery, shown, stands, catalogue) {
                self.weigh(owner, said, moment, &mut events);
            }
        }
        for place in unsaid {
            let owner = Owner { battery: Some(place), barcode: None };
            if let Some(said) = self.presence(place, Presence::Missing, reading.kind, catalogue) {
                self.weigh(owner, said, moment, &mut events);
            }
        }
        events
    }

    /// Whether the bank has fallen silent; asked from time to time, since nothing comes that would tell.
    pub fn look(&mut self, catalogue: &Catalogue, at: Timestamp, now: Duration) -> Vec<Event> {
        let mut events = Vec::new();
        if now.saturating_sub(self.heard) > self.beat.silence().max(PATIENT) {
            let conditions = own(LINK, &Word::new("Silent"), catalogue).into_iter().collect();
            let said = Said { word: Cow::Borrowed(LINK), conditions };
            self.weigh(Owner::BANK, said, Moment { at, now }, &mut events);
        }
        events
    }

    fn stands(&self, battery: Option<Place>, word: &WordName) -> bool {
        self.standing.contains_key(&(battery, word.clone()))
    }

    /// What a sweep says of a battery's being there, where it says anything new.
    fn presence<'a>(
        &mut self,
        place: Place,
        presence: Presence,
        kind: SweepKind,
        catalogue: &'a Catalogue,
    ) -> Option<Said<'a>> {
        let missed = &mut self.missed.entry(place).or_default().battery;
        let gone = match presence {
            Presence::Present => {
                *missed = 0;
                return Some(nothing(PRESENCE));
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
        // However it is gone, it is gone once.
        let told = self.standing.contains_key(&(Some(place), Cow::Borrowed(PRESENCE)));
        let conditions = own(PRESENCE, &gone, catalogue).into_iter().collect();
        (self.known.contains(&place) && !told).then_some(Said { word: Cow::Borrowed(PRESENCE), conditions })
    }

    /// What a full sweep says of whether a battery that is there answers, where it is sure.
    fn answers<'a>(
        &mut self,
        place: Place,
        reading: &BankReading,
        catalogue: &'a Catalogue,
    ) -> Option<Said<'a>> {
        if reading.kind != SweepKind::Full {
            return None;
        }
        let lacks = reading.missing.iter().any(|missing| {
            let measures = missing.command.starts_with("pwr") || missing.command.starts_with("bat");
            measures && missing.battery == Some(place)
        });
        let missed = &mut self.missed.entry(place).or_default().answers;
        if !lacks {
            *missed = 0;
            return Some(nothing(ANSWERS));
        }
        *missed = missed.saturating_add(1);
        let conditions = own(ANSWERS, &Word::new("Failing"), catalogue).into_iter().collect();
        (*missed >= SWEEPS).then_some(Said { word: Cow::Borrowed(ANSWERS), conditions })
    }

    /// Holds what a word says now against what stood of it.
    fn weigh(&mut self, owner: Owner<'_>, said: Said<'_>, moment: Moment, events: &mut Vec<Event>) {
        let Said { word, conditions } = said;
        let key = (owner.battery, word);
        if conditions.is_empty() && !self.standing.contains_key(&key) {
            return;
        }
        let total: usize = self.standing.values().map(BTreeMap::len).sum();
        let stood = self.standing.remove(&key).unwrap_or_default();
        // What stood on the battery that sat here before is over, whatever this one says.
        let (gone, mut before): (BTreeMap<_, _>, BTreeMap<_, _>) =
            stood.into_iter().partition(|(_, standing)| standing.is_of_another(owner));
        let mut now = BTreeMap::new();
        let mut raised = Vec::new();
        for condition in conditions {
            match before.remove(&condition.sign) {
                Some(mut standing) => {
                    if standing.barcode.is_none() && owner.barcode.is_some() {
                        standing.barcode = owner.barcode.map(str::to_owned);
                        self.changed = true;
                    }
                    now.insert(condition.sign, standing);
                }
                None if total + raised.len() >= MOST_STANDING => {}
                None => {
                    now.insert(condition.sign.clone(), Standing::new(owner, &condition, moment));
                    raised.push(self.event(EventKind::Raised, owner, &key.1, condition, moment));
                }
            }
        }
        self.changed |= !gone.is_empty() || !before.is_empty() || !raised.is_empty();
        let over = gone.into_iter().chain(before);
        events.extend(over.map(|(sign, standing)| self.cleared(&key, sign, standing, owner, moment)));
        events.append(&mut raised);
        if !now.is_empty() {
            self.standing.insert(key, now);
        }
    }

    fn event(
        &self,
        kind: EventKind,
        owner: Owner<'_>,
        word: &WordName,
        condition: Condition<'_>,
        moment: Moment,
    ) -> Event {
        Event {
            bank: self.bank.clone(),
            battery: owner.battery,
            barcode: owner.barcode.map(str::to_owned),
            kind,
            word: word.clone(),
            sign: condition.sign,
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
        sign: Sign,
        standing: Standing,
        owner: Owner<'_>,
        moment: Moment,
    ) -> Event {
        // When it ended on a battery that has been replaced, nobody saw.
        let seen = !standing.is_of_another(owner);
        let stood = standing.stood.filter(|_| seen);
        Event {
            bank: self.bank.clone(),
            battery: key.0,
            barcode: standing.barcode,
            kind: EventKind::Cleared,
            word: key.1.clone(),
            sign,
            name: standing.name,
            level: standing.level,
            text: standing.text,
            raised_at: standing.raised_at,
            at: moment.at.max(standing.raised_at),
            duration: stood.map(|stood| stood + moment.now.saturating_sub(standing.since)),
        }
    }
}

/// That word was said, and nothing of it stands.
fn nothing(word: &'static str) -> Said<'static> {
    Said { word: Cow::Borrowed(word), conditions: Vec::new() }
}
