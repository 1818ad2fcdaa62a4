//! Decides what is said to the broker, and when. Pure: reports, finds and times in, messages out.
//!
//! | what | when |
//! |---|---|
//! | discovery | on each connection, when Home Assistant was born, when there is more to announce |
//! | availability | on each connection, and at once when it changes |
//! | totals and batteries | the newest reading, at most once a `publish_interval` |
//! | details, cells, the document | the newest full reading, at most once a `publish_interval` |
//! | what has not changed | not before half of its life is over |
//!
//! Home Assistant listens to a state only some moments after it was told of it, so what is fresh is said again a
//! little later ([`ECHOES`]). Nothing older than its life is ever said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;

use crate::model::reading::SweepKind;
use crate::model::report::BankReport;
use crate::mqtt::homeassistant::announced_devices::Shape;
use crate::mqtt::homeassistant::availability::Roll;
use crate::mqtt::homeassistant::discovery;
use crate::mqtt::homeassistant::expiry::Life;
use crate::mqtt::homeassistant::leftovers::Leftovers;
use crate::mqtt::legacy_topics::Legacy;
use crate::mqtt::message::Message;
use crate::mqtt::payload::{Part, parts};
use crate::mqtt::publish_group::Sort;
use crate::mqtt::rate_limiter::Pace;
use crate::mqtt::round::Round;
use crate::mqtt::topics::{OFFLINE, ONLINE, Topics};
use crate::settings::{BankSettings, MqttSettings};
use crate::status::Status;

/// After telling Home Assistant what there is, what is fresh is said again so much later.
pub const ECHOES: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(15)];

/// What the herald needs to know of one bank.
#[derive(Clone, Debug)]
pub struct BankView {
    /// Its settings.
    pub settings: BankSettings,
    /// From one asking of facts to the next.
    pub facts_every: Duration,
}

/// Decides for all banks.
pub struct Herald {
    topics: Topics,
    discovery: bool,
    banks: BTreeMap<Arc<str>, Bank>,
    /// Corrects what earlier versions left at the topic that all services shared.
    outdated: Option<Message>,
}

/// One bank.
struct Bank {
    name: Arc<str>,
    settings: BankSettings,
    roll: Roll,
    shape: Shape,
    life: Life,
    /// The newest reading of each kind.
    newest: BTreeMap<SweepKind, Heard>,
    /// Of the newest readings, what has not gone out yet.
    waiting: BTreeSet<Sort>,
    paces: BTreeMap<Sort, Pace>,
    said: BTreeMap<String, Said>,
    announce: bool,
    echoes: Vec<Instant>,
    leftovers: Leftovers,
    /// Batteries of an earlier life that the broker believes to be there.
    left_over: BTreeSet<String>,
    legacy: Option<Legacy>,
}

struct Heard {
    parts: Vec<Part>,
    document: Status,
    /// When its sweep began.
    at: Instant,
}

/// What was said last at a topic.
struct Said {
    fingerprint: u64,
    at: Instant,
}

impl Herald {
    /// Speaks of these banks, which are read from `now` on.
    #[must_use]
    pub fn new(settings: &MqttSettings, banks: &[BankView], now: Instant) -> Self {
        let bank = |view: &BankView| {
            let name: Arc<str> = Arc::from(view.settings.name.as_str());
            (name.clone(), Bank::new(name, view, settings, now))
        };
        Self {
            topics: Topics::new(settings),
            discovery: settings.discovery,
            banks: banks.iter().map(bank).collect(),
            outdated: None,
        }
    }

    /// Where to look for what others and earlier lives have left. Each group is looked for by itself: a broker may forbid
    /// one of them.
    #[must_use]
    pub fn finds(&self) -> Vec<Vec<String>> {
        let each = |bank: &Arc<str>| {
            let old = self.discovery.then(|| self.topics.predecessor_config(bank, "+"));
            old.into_iter().chain([self.topics.battery_statuses(bank)])
        };
        let always = self.banks.keys().flat_map(each).chain(self.topics.shared_status()).collect();
        let ours = self.discovery.then(|| vec![self.topics.device_config("+")]);
        [always].into_iter().chain(ours).collect()
    }

    /// The connection is new: the broker may know nothing. What is certain is said at once; what is fresh follows
    /// with the next [`due`](Self::due).
    pub fn connected(&mut self, now: Instant) -> Vec<Message> {
        let mut messages = Vec::new();
        for bank in self.banks.values_mut() {
            bank.leftovers.restart();
            bank.left_over.clear();
            bank.said.clear();
            bank.greet(now);
            if let Some(legacy) = &mut bank.legacy {
                legacy.forget();
            }
            messages.extend(bank.statuses(&self.topics, now));
        }
        messages
    }

    /// Something that the broker kept from before.
    pub fn found(&mut self, kept: &Message) {
        self.outdated = self.outdated.take().or(self.topics.outdated(kept));
        for bank in self.banks.values_mut() {
            bank.leftovers.find(&self.topics, &bank.name, kept);
            let battery = self.topics.battery_of_status(&bank.name, &kept.topic);
            if battery.is_some() && kept.payload == ONLINE.as_bytes() {
                bank.left_over.insert(kept.topic.clone());
            }
        }
    }

    /// Where others say something of who is there: people take back what was said of a battery, and another service
    /// says goodbye in our place.
    #[must_use]
    pub fn statuses(&self) -> Vec<String> {
        let each = |bank: &Arc<str>| [self.topics.battery_statuses(bank), self.topics.bank_status(bank)];
        self.banks.keys().flat_map(each).collect()
    }

    /// "Offline" was said there: by somebody else, if the last that we said was another word, which is then said again.
    pub fn denied(&mut self, topic: &str) {
        for bank in self.banks.values_mut() {
            if bank.said.get(topic).is_some_and(|said| said.fingerprint != fingerprint(Some(false))) {
                bank.said.remove(topic);
            }
        }
    }

    /// The status at that topic was cleared: a battery that is absent is forgotten until it is back, any other status
    /// is published again, unless it was cleared from here.
    pub fn cleared(&mut self, topic: &str) {
        for bank in self.banks.values_mut() {
            if bank.said.get(topic).is_some_and(|said| said.fingerprint != fingerprint(None)) {
                bank.said.remove(topic);
            }
            let place = self.topics.battery_of_status(&bank.name, topic);
            if let Some(place) = place.filter(|place| bank.roll.forget(*place)) {
                bank.shape.forget(place);
            }
        }
    }

    /// Home Assistant has started and knows nothing.
    pub fn born(&mut self, now: Instant) {
        for bank in self.banks.values_mut() {
            bank.said.clear();
            bank.greet(now);
        }
    }

    /// The last announcement took long: fresh values are published again from now on.
    pub(crate) fn announced(&mut self, now: Instant) {
        self.banks.values_mut().for_each(|bank| bank.echo(now));
    }

    /// A reading came whose sweep began so long ago; `restarts` is how often a part of the service had to be
    /// restarted.
    pub fn hear(&mut self, report: &BankReport, age: Duration, restarts: u64, now: Instant) {
        if let Some(bank) = self.banks.get_mut(&report.reading.bank) {
            let at = now.checked_sub(age).unwrap_or(now);
            bank.hear(report, restarts, &self.topics, at);
            bank.roll.hear(&report.reading, now.min(at + report.reading.took));
        }
    }

    /// What is to be said now.
    pub fn due(&mut self, now: Instant) -> Round {
        let mut round = Round { messages: self.outdated.take().into_iter().collect(), ..Round::default() };
        for bank in self.banks.values_mut() {
            if self.discovery {
                bank.announce(&self.topics, &mut round, now);
            }
            round.messages.extend(bank.statuses(&self.topics, now));
            round.messages.extend(bank.states(now));
        }
        round
    }

    /// When to ask again at the latest if nothing comes.
    #[must_use]
    pub fn wake_at(&self, now: Instant) -> Option<Instant> {
        self.banks.values().filter_map(|bank| bank.wake_at(now)).min()
    }

    /// The last words: nobody is there.
    pub fn farewell(&mut self) -> Vec<Message> {
        let topics = &self.topics;
        let banks = self.banks.values().flat_map(|bank| {
            let batteries = bank.roll.batteries().map(|(place, _)| topics.battery_status(&bank.name, place));
            batteries.chain([topics.bank_status(&bank.name)])
        });
        // The service first: a link that nobody looks at any more is not one that is disconnected.
        let all = [topics.service_status()].into_iter().chain(banks);
        all.map(|topic| Message::retained(topic, OFFLINE)).collect()
    }
}

impl Bank {
    fn new(name: Arc<str>, view: &BankView, settings: &MqttSettings, now: Instant) -> Self {
        let BankView { settings: bank, facts_every } = view;
        let pace = Pace::new(settings.publish_interval);
        Self {
            name,
            roll: Roll::new(bank.interval, now),
            shape: Shape::new(bank),
            life: Life::new(settings, bank.interval, *facts_every),
            newest: BTreeMap::new(),
            waiting: BTreeSet::new(),
            paces: Sort::ALL.map(|sort| (sort, pace)).into(),
            said: BTreeMap::new(),
            announce: false,
            echoes: Vec::new(),
            leftovers: Leftovers::default(),
            left_over: BTreeSet::new(),
            legacy: settings.legacy_topics.then(Legacy::new),
            settings: bank.clone(),
        }
    }

    fn hear(&mut self, report: &BankReport, restarts: u64, topics: &Topics, at: Instant) {
        let reading = &report.reading;
        let document = Status::of(report, &TimeZone::system());
        let parts = parts(report, &document, topics, self.settings.cells, restarts);
        if reading.kind == SweepKind::Full {
            let expiry = self.life.expiry();
            self.life.swept(reading.took, reading.batteries.len());
            self.roll.allow(self.life.silence());
            self.announce |= self.life.expiry() != expiry;
            let settled = self.shape.settled();
            self.announce |= self.shape.grow(report, &parts);
            self.announce |= self.shape.settled() != settled && self.leftovers.is_undecided();
            self.waiting.insert(Sort::Full);
        } else if self.says_less(&parts) {
            return;
        }
        self.waiting.insert(Sort::State);
        self.newest.insert(reading.kind, Heard { parts, document, at });
    }

    /// A summary that leaves out what the full reading said would make values flicker.
    fn says_less(&self, parts: &[Part]) -> bool {
        let full = self.newest.get(&SweepKind::Full).map_or(&[][..], |heard| &heard.parts);
        full.iter()
            .any(|full| parts.iter().any(|part| part.topic == full.topic && !full.said.is_subset(&part.said)))
    }

    /// Everything is news to whoever listens now.
    fn greet(&mut self, now: Instant) {
        self.announce = true;
        self.echo(now);
        self.repeat();
    }

    fn echo(&mut self, now: Instant) {
        self.echoes = ECHOES.map(|later| now + later).into();
    }

    /// The newest goes out once more, without waiting for its turn.
    fn repeat(&mut self) {
        self.said.retain(|topic, _| topic.ends_with("/status"));
        self.waiting.extend(Sort::ALL);
        self.paces.values_mut().for_each(Pace::reset);
    }

    /// Tells Home Assistant what there is, once it is known, and takes over what the predecessor told it.
    fn announce(&mut self, topics: &Topics, round: &mut Round, now: Instant) {
        if !self.announce || !self.newest.contains_key(&SweepKind::Full) {
            return;
        }
        self.announce = false;
        self.shape.inherit(self.leftovers.unique_ids(topics, &self.name));
        let announced = discovery::messages(topics, &self.shape, self.settings.cells, &self.life.expiry());
        let cleanup = self.leftovers.clean_up(topics, &self.shape, self.settings.cells, &announced);
        round.messages.extend(cleanup.before);
        self.leftovers.take_over(topics, &self.name, announced, round);
        round.messages.extend(cleanup.after);
        round.removed.extend((cleanup.removed > 0).then(|| (self.name.clone(), cleanup.removed)));
        self.echo(now);
        self.repeat();
    }

    /// Whose availability is another than the broker was told. What is not known yet is cleared, so that nobody takes
    /// what is kept there for fresh: neither `online` of a killed service nor `offline` of one that was stopped.
    fn statuses(&mut self, topics: &Topics, now: Instant) -> Vec<Message> {
        let status = |(place, there)| (topics.battery_status(&self.name, place), Some(there));
        let mut statuses: Vec<(String, Option<bool>)> = self.roll.batteries().map(status).collect();
        for topic in std::mem::take(&mut self.left_over) {
            if !statuses.iter().any(|(known, _)| *known == topic) {
                statuses.push((topic, Some(false)));
            }
        }
        statuses.push((topics.bank_status(&self.name), self.roll.bank(now)));
        let changed = |(topic, there): (String, Option<bool>)| {
            let fingerprint = fingerprint(there);
            if self.said.get(&topic).is_some_and(|said| said.fingerprint == fingerprint) {
                return None;
            }
            self.said.insert(topic.clone(), Said { fingerprint, at: now });
            Some(match there {
                Some(true) => Message::retained(topic, ONLINE),
                Some(false) => Message::retained(topic, OFFLINE),
                None => Message::forget(topic),
            })
        };
        statuses.into_iter().filter_map(changed).collect()
    }

    /// Whose turn has come of what is fresh.
    fn states(&mut self, now: Instant) -> Vec<Message> {
        if self.echoes.first().is_some_and(|echo| *echo <= now) {
            self.echoes.retain(|echo| *echo > now);
            self.repeat();
        }
        let mut messages = Vec::new();
        for sort in Sort::ALL.into_iter().rev() {
            let turn = |pace: &mut Pace| pace.take(now);
            if self.waiting.contains(&sort) && self.paces.get_mut(&sort).is_some_and(turn) {
                self.waiting.remove(&sort);
                self.say(sort, now, &mut messages);
            }
        }
        messages
    }

    /// Says the newest reading of that sort, unless it has grown too old.
    fn say(&mut self, sort: Sort, now: Instant, messages: &mut Vec<Message>) {
        let newest = match sort {
            Sort::Full => self.newest.get(&SweepKind::Full),
            Sort::State => self.newest.values().max_by_key(|heard| heard.at),
        };
        let life = self.life.expiry().measured;
        let Some(heard) = newest.filter(|heard| now.saturating_duration_since(heard.at) < life) else {
            return;
        };
        let series = heard.document.series;
        for part in heard.parts.iter().filter(|part| Sort::of(part.kind, series) == sort) {
            // What was said lately need not be said again.
            let is_known = self.said.get(&part.topic).is_some_and(|said| {
                said.fingerprint == part.fingerprint && now.saturating_duration_since(said.at) < life / 2
            });
            if !is_known {
                self.said.insert(part.topic.clone(), Said { fingerprint: part.fingerprint, at: now });
                messages.push(Message::fleeting(part.topic.clone(), part.payload.clone()));
            }
        }
        if let (Sort::Full, Some(legacy)) = (sort, &mut self.legacy) {
            messages.extend(legacy.messages(now, &heard.document, self.settings.cells));
        }
    }

    fn wake_at(&self, now: Instant) -> Option<Instant> {
        let turns = self.waiting.iter().filter_map(|sort| self.paces.get(sort)?.next());
        let silent = Some(self.roll.silent_at()).filter(|silent| *silent > now);
        turns.chain(self.echoes.first().copied()).chain(silent).min()
    }
}

/// Of what is said of an availability.
fn fingerprint(there: Option<bool>) -> u64 {
    there.map_or(2, u64::from)
}
