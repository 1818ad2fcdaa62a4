//! Decides what is published to the broker, and when. Pure: reports, retained messages and times in, messages out.
//!
//! | what | when |
//! |---|---|
//! | discovery | on each connection, on Home Assistant's birth message, when there is more to announce |
//! | availability | on each connection, and at once when it changes |
//! | totals and batteries | the newest reading, at most once per `publish_interval` |
//! | details, cells, the status document | the newest full reading, at most once per `publish_interval` |
//! | unchanged values | again after half of their expiry time |
//!
//! Home Assistant subscribes to a state topic only some moments after it has received the discovery message, so values
//! are repeated a little later ([`REPEAT_AFTER`]). Nothing older than its expiry time is ever published.
//!
//! Length: one state machine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;

use crate::model::reading::SweepKind;
use crate::model::report::BankReport;
use crate::mqtt::homeassistant::announced_devices::AnnouncedDevices;
use crate::mqtt::homeassistant::availability::AvailabilityTracker;
use crate::mqtt::homeassistant::discovery;
use crate::mqtt::homeassistant::expiry::ExpiryPolicy;
use crate::mqtt::homeassistant::leftovers::Leftovers;
use crate::mqtt::legacy_topics::LegacyTopics;
use crate::mqtt::message::Message;
use crate::mqtt::payload::payloads;
use crate::mqtt::payload::topic_payload::TopicPayload;
use crate::mqtt::publish_group::PublishGroup;
use crate::mqtt::publish_round::PublishRound;
use crate::mqtt::rate_limiter::RateLimiter;
use crate::mqtt::topics::{OFFLINE, ONLINE, Topics};
use crate::settings::{BankSettings, MqttSettings};
use crate::status::StatusDocument;

/// Values are published again this long after a discovery message.
pub const REPEAT_AFTER: [Duration; 3] =
    [Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(15)];

#[derive(Clone, Debug)]
pub struct BankView {
    pub settings: BankSettings,
    /// Interval at which facts are read.
    pub facts_every: Duration,
}

pub struct Publisher {
    topics: Topics,
    discovery: bool,
    banks: BTreeMap<Arc<str>, PublishedBank>,
    /// Corrects the status that earlier versions left at the topic shared by all services.
    shared_status: Option<Message>,
}

struct PublishedBank {
    name: Arc<str>,
    settings: BankSettings,
    availability: AvailabilityTracker,
    devices: AnnouncedDevices,
    expiry_policy: ExpiryPolicy,
    newest: BTreeMap<SweepKind, ReceivedReport>,
    /// Groups of the newest reports that are not published yet.
    pending: BTreeSet<PublishGroup>,
    limiters: BTreeMap<PublishGroup, RateLimiter>,
    /// By topic.
    published: BTreeMap<String, LastPublication>,
    must_announce: bool,
    repeat_at: Vec<Instant>,
    leftovers: Leftovers,
    /// Status topics of batteries of an earlier run that are retained as `online`.
    stale_statuses: BTreeSet<String>,
    legacy_topics: Option<LegacyTopics>,
}

struct ReceivedReport {
    payloads: Vec<TopicPayload>,
    document: StatusDocument,
    /// When its sweep started.
    at: Instant,
}

struct LastPublication {
    fingerprint: u64,
    at: Instant,
}

impl Publisher {
    /// The banks are polled from `now` on.
    #[must_use]
    pub fn new(settings: &MqttSettings, banks: &[BankView], now: Instant) -> Self {
        let bank = |view: &BankView| {
            let name: Arc<str> = Arc::from(view.settings.name.as_str());
            (name.clone(), PublishedBank::new(name, view, settings, now))
        };
        Self {
            topics: Topics::new(settings),
            discovery: settings.discovery,
            banks: banks.iter().map(bank).collect(),
            shared_status: None,
        }
    }

    /// Topic filters of the retained messages to read on connecting. Each group is read separately: the access list may
    /// forbid one of them.
    #[must_use]
    pub fn retained_filters(&self) -> Vec<Vec<String>> {
        let each = |bank: &Arc<str>| {
            let old = self.discovery.then(|| self.topics.legacy_config(bank, "+"));
            old.into_iter().chain([self.topics.battery_status_filter(bank)])
        };
        let always = self.banks.keys().flat_map(each).chain(self.topics.shared_status()).collect();
        let ours = self.discovery.then(|| vec![self.topics.device_config("+")]);
        [always].into_iter().chain(ours).collect()
    }

    /// Starts over, since the broker may have lost everything. Returns the statuses to publish at once; values follow
    /// with the next [`due`](Self::due).
    pub fn on_connected(&mut self, now: Instant) -> Vec<Message> {
        let mut messages = Vec::new();
        for bank in self.banks.values_mut() {
            bank.leftovers.reset();
            bank.stale_statuses.clear();
            bank.published.clear();
            bank.repeat_all(now);
            if let Some(topics) = &mut bank.legacy_topics {
                topics.reset();
            }
            messages.extend(bank.statuses(&self.topics, now));
        }
        messages
    }

    pub fn on_retained_message(&mut self, retained: &Message) {
        self.shared_status = self.shared_status.take().or(self.topics.correct_shared_status(retained));
        for bank in self.banks.values_mut() {
            bank.leftovers.add(&self.topics, &bank.name, retained);
            let battery = self.topics.battery_from_status(&bank.name, &retained.topic);
            if battery.is_some() && retained.payload == ONLINE.as_bytes() {
                bank.stale_statuses.insert(retained.topic.clone());
            }
        }
    }

    /// Topic filters of the statuses that others may change: people clear the status of a battery, and another service
    /// may publish `offline` in the place of this one.
    #[must_use]
    pub fn status_filters(&self) -> Vec<String> {
        let each = |bank: &Arc<str>| [self.topics.battery_status_filter(bank), self.topics.bank_status(bank)];
        self.banks.keys().flat_map(each).collect()
    }

    /// If `offline` is not what was published here last, another client sent it, and the status is published again.
    pub fn on_offline_received(&mut self, topic: &str) {
        for bank in self.banks.values_mut() {
            if bank.published.get(topic).is_some_and(|last| last.fingerprint != fingerprint(Some(false))) {
                bank.published.remove(topic);
            }
        }
    }

    /// A status was cleared: an absent battery is removed until it is back, any other status is published again, unless
    /// it was cleared by this service.
    pub fn on_status_cleared(&mut self, topic: &str) {
        for bank in self.banks.values_mut() {
            if bank.published.get(topic).is_some_and(|last| last.fingerprint != fingerprint(None)) {
                bank.published.remove(topic);
            }
            let place = self.topics.battery_from_status(&bank.name, topic);
            if let Some(place) = place.filter(|place| bank.availability.remove_absent(*place)) {
                bank.devices.remove_battery(place);
            }
        }
    }

    /// Home Assistant has started and has no states.
    pub fn on_ha_birth(&mut self, now: Instant) {
        for bank in self.banks.values_mut() {
            bank.published.clear();
            bank.repeat_all(now);
        }
    }

    /// The announcement took long: values are repeated relative to `now`.
    pub(crate) fn on_announced(&mut self, now: Instant) {
        self.banks.values_mut().for_each(|bank| bank.schedule_repeats(now));
    }

    /// `age` is the time since the sweep started; `restarts` counts the restarted parts of the service.
    pub fn on_report(&mut self, report: &BankReport, age: Duration, restarts: u64, now: Instant) {
        if let Some(bank) = self.banks.get_mut(&report.reading.bank) {
            let at = now.checked_sub(age).unwrap_or(now);
            bank.on_report(report, restarts, &self.topics, at);
            bank.availability.on_reading(&report.reading, now.min(at + report.reading.took));
        }
    }

    /// What is to be published now.
    pub fn due(&mut self, now: Instant) -> PublishRound {
        let mut round = PublishRound {
            messages: self.shared_status.take().into_iter().collect(),
            ..PublishRound::default()
        };
        for bank in self.banks.values_mut() {
            if self.discovery {
                bank.announce(&self.topics, &mut round, now);
            }
            round.messages.extend(bank.statuses(&self.topics, now));
            round.messages.extend(bank.states(now));
        }
        round
    }

    /// When to call [`due`](Self::due) again at the latest.
    #[must_use]
    pub fn next_wakeup(&self, now: Instant) -> Option<Instant> {
        self.banks.values().filter_map(|bank| bank.wake_at(now)).min()
    }

    /// `offline` for everything.
    pub fn offline_messages(&mut self) -> Vec<Message> {
        let topics = &self.topics;
        let banks = self.banks.values().flat_map(|bank| {
            let batteries =
                bank.availability.batteries().map(|(place, _)| topics.battery_status(&bank.name, place));
            batteries.chain([topics.bank_status(&bank.name)])
        });
        // The service first: with it offline, the offline banks are not taken for lost links.
        let all = [topics.service_status()].into_iter().chain(banks);
        all.map(|topic| Message::retained(topic, OFFLINE)).collect()
    }
}

impl PublishedBank {
    fn new(name: Arc<str>, view: &BankView, settings: &MqttSettings, now: Instant) -> Self {
        let BankView { settings: bank, facts_every } = view;
        let limiter = RateLimiter::new(settings.publish_interval);
        Self {
            name,
            availability: AvailabilityTracker::new(bank.interval, now),
            devices: AnnouncedDevices::new(bank),
            expiry_policy: ExpiryPolicy::new(settings, bank.interval, *facts_every),
            newest: BTreeMap::new(),
            pending: BTreeSet::new(),
            limiters: PublishGroup::ALL.map(|group| (group, limiter)).into(),
            published: BTreeMap::new(),
            must_announce: false,
            repeat_at: Vec::new(),
            leftovers: Leftovers::default(),
            stale_statuses: BTreeSet::new(),
            legacy_topics: settings.legacy_topics.then(LegacyTopics::new),
            settings: bank.clone(),
        }
    }

    fn on_report(&mut self, report: &BankReport, restarts: u64, topics: &Topics, at: Instant) {
        let reading = &report.reading;
        let document = StatusDocument::of(report, &TimeZone::system());
        let payloads = payloads(report, &document, topics, self.settings.cells, restarts);
        if reading.kind == SweepKind::Full {
            let expiry = self.expiry_policy.expiry();
            self.expiry_policy.record_sweep(reading.took, reading.batteries.len());
            self.availability.set_offline_after(self.expiry_policy.offline_after());
            self.must_announce |= self.expiry_policy.expiry() != expiry;
            let settled = self.devices.settled_batteries();
            self.must_announce |= self.devices.update(report, &payloads);
            self.must_announce |=
                self.devices.settled_batteries() != settled && self.leftovers.is_undecided();
            self.pending.insert(PublishGroup::Full);
        } else if self.lacks_values(&payloads) {
            return;
        }
        self.pending.insert(PublishGroup::State);
        self.newest.insert(reading.kind, ReceivedReport { payloads, document, at });
    }

    /// Whether values of the last full reading are missing: publishing such a summary would make them flicker.
    fn lacks_values(&self, payloads: &[TopicPayload]) -> bool {
        let full = self.newest.get(&SweepKind::Full).map_or(&[][..], |report| &report.payloads);
        let lacks = |full: &TopicPayload, new: &TopicPayload| {
            new.topic == full.topic && !full.present_keys.is_subset(&new.present_keys)
        };
        full.iter().any(|full| payloads.iter().any(|new| lacks(full, new)))
    }

    /// Announces and publishes everything again.
    fn repeat_all(&mut self, now: Instant) {
        self.must_announce = true;
        self.schedule_repeats(now);
        self.repeat_values();
    }

    fn schedule_repeats(&mut self, now: Instant) {
        self.repeat_at = REPEAT_AFTER.map(|delay| now + delay).into();
    }

    /// Publishes the newest values again with the next [`due`](Publisher::due), whether changed or not.
    fn repeat_values(&mut self) {
        self.published.retain(|topic, _| topic.ends_with("/status"));
        self.pending.extend(PublishGroup::ALL);
        self.limiters.values_mut().for_each(RateLimiter::reset);
    }

    /// Publishes discovery once there is a full reading, and takes over the entities of pytes_serial.
    fn announce(&mut self, topics: &Topics, round: &mut PublishRound, now: Instant) {
        if !self.must_announce || !self.newest.contains_key(&SweepKind::Full) {
            return;
        }
        self.must_announce = false;
        self.devices.add_legacy_ids(self.leftovers.legacy_unique_ids(topics, &self.name));
        let announcements =
            discovery::messages(topics, &self.devices, self.settings.cells, &self.expiry_policy.expiry());
        let cleanup = self.leftovers.clean_up(topics, &self.devices, self.settings.cells, &announcements);
        round.messages.extend(cleanup.before);
        self.leftovers.take_over(topics, &self.name, announcements, round);
        round.messages.extend(cleanup.after);
        round.removed.extend((cleanup.removed > 0).then(|| (self.name.clone(), cleanup.removed)));
        self.schedule_repeats(now);
        self.repeat_values();
    }

    /// The statuses that have changed since they were published. An unknown status is cleared, so that nobody takes the
    /// retained one for current: neither `online` of a killed service nor `offline` of a stopped one.
    fn statuses(&mut self, topics: &Topics, now: Instant) -> Vec<Message> {
        let status = |(place, online)| (topics.battery_status(&self.name, place), Some(online));
        let mut statuses: Vec<(String, Option<bool>)> = self.availability.batteries().map(status).collect();
        for topic in std::mem::take(&mut self.stale_statuses) {
            if !statuses.iter().any(|(known, _)| *known == topic) {
                statuses.push((topic, Some(false)));
            }
        }
        statuses.push((topics.bank_status(&self.name), self.availability.is_bank_online(now)));
        let changed = |(topic, online): (String, Option<bool>)| {
            let fingerprint = fingerprint(online);
            if self.published.get(&topic).is_some_and(|last| last.fingerprint == fingerprint) {
                return None;
            }
            self.published.insert(topic.clone(), LastPublication { fingerprint, at: now });
            Some(match online {
                Some(true) => Message::retained(topic, ONLINE),
                Some(false) => Message::retained(topic, OFFLINE),
                None => Message::clear_retained(topic),
            })
        };
        statuses.into_iter().filter_map(changed).collect()
    }

    /// The pending values that the rate limits allow now.
    fn states(&mut self, now: Instant) -> Vec<Message> {
        if self.repeat_at.first().is_some_and(|at| *at <= now) {
            self.repeat_at.retain(|at| *at > now);
            self.repeat_values();
        }
        let mut messages = Vec::new();
        for group in PublishGroup::ALL.into_iter().rev() {
            let is_allowed = |limiter: &mut RateLimiter| limiter.try_acquire(now);
            if self.pending.contains(&group) && self.limiters.get_mut(&group).is_some_and(is_allowed) {
                self.pending.remove(&group);
                self.publish_group(group, now, &mut messages);
            }
        }
        messages
    }

    /// Publishes the group from the newest report, unless that has expired.
    fn publish_group(&mut self, group: PublishGroup, now: Instant, messages: &mut Vec<Message>) {
        let newest = match group {
            PublishGroup::Full => self.newest.get(&SweepKind::Full),
            PublishGroup::State => self.newest.values().max_by_key(|report| report.at),
        };
        let expiry = self.expiry_policy.expiry().measured;
        let Some(report) = newest.filter(|report| now.saturating_duration_since(report.at) < expiry) else {
            return;
        };
        let series = report.document.series;
        for payload in
            report.payloads.iter().filter(|payload| PublishGroup::of(payload.kind, series) == group)
        {
            // An unchanged value is repeated only after half of its expiry time.
            let is_current = self.published.get(&payload.topic).is_some_and(|last| {
                last.fingerprint == payload.fingerprint && now.saturating_duration_since(last.at) < expiry / 2
            });
            if !is_current {
                let last = LastPublication { fingerprint: payload.fingerprint, at: now };
                self.published.insert(payload.topic.clone(), last);
                messages.push(Message::transient(payload.topic.clone(), payload.payload.clone()));
            }
        }
        if let (PublishGroup::Full, Some(topics)) = (group, &mut self.legacy_topics) {
            messages.extend(topics.messages(now, &report.document, self.settings.cells));
        }
    }

    fn wake_at(&self, now: Instant) -> Option<Instant> {
        let allowed = self.pending.iter().filter_map(|group| self.limiters.get(group)?.next_at());
        let offline = Some(self.availability.offline_at()).filter(|offline| *offline > now);
        allowed.chain(self.repeat_at.first().copied()).chain(offline).min()
    }
}

/// Of an availability status.
fn fingerprint(online: Option<bool>) -> u64 {
    online.map_or(2, u64::from)
}
