//! Moving over from pytes_serial's discovery, a message an entity, to ours, and back.
//!
//! ```text
//! release   {"migrate_discovery": true} to each old topic: Home Assistant lets the entities go and keeps what
//!           people made of them
//! announce  the same unique ids in the new messages
//! rest      on the way back: what pytes_serial has no entity for, once more at the old topics
//! clear     nothing more at the old topics, which removes the rest
//! ```
//! In this order names, icons, entity ids and history stay; in any other they are lost. The release is not kept by
//! the broker: broken off at any point, the handshake finds everything as it was and begins anew.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::model::place::Place;
use crate::mqtt::homeassistant::discovery::ORIGIN;
use crate::mqtt::homeassistant::entities::{ENTITIES, Entity, Source};
use crate::mqtt::homeassistant::naming::About;
use crate::mqtt::legacy_topics::{self, Of};
use crate::mqtt::message::Message;
use crate::mqtt::topics::{OFFLINE, ONLINE, Topics};

/// The steps, each to be with the broker before the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handshake {
    /// Lets go of the old messages.
    pub release: Vec<Message>,
    /// The new messages.
    pub announce: Vec<Message>,
    /// The old messages without what the new ones announce. Home Assistant logs a warning for each device that has
    /// no entity when it is cleared, and would keep these entities without a state.
    pub rest: Vec<Message>,
    /// Clears the old topics.
    pub clear: Vec<Message>,
}

impl Handshake {
    fn between(old: Vec<&str>, announce: Vec<Message>) -> Self {
        let release = release();
        Self {
            release: old.iter().map(|topic| Message::fleeting(*topic, release.clone())).collect(),
            announce,
            rest: Vec::new(),
            clear: old.into_iter().map(Message::forget).collect(),
        }
    }

    /// How many old messages give way.
    #[must_use]
    pub fn count(&self) -> usize {
        self.clear.len()
    }

    /// The topics that it clears.
    #[must_use]
    pub fn cleared(&self) -> BTreeSet<String> {
        self.clear.iter().map(|message| message.topic.clone()).collect()
    }

    /// All of it, in order.
    pub fn messages(self) -> impl Iterator<Item = Message> {
        self.release.into_iter().chain(self.announce).chain(self.rest).chain(self.clear)
    }
}

const MIGRATE: &str = "migrate_discovery";

/// Has Home Assistant let go of a message's entities and keep what people made of them.
pub(crate) fn release() -> String {
    json!({ MIGRATE: true }).to_string()
}

/// From pytes_serial's messages among those that the broker `kept` to `ours`. An entity that we do not announce, as of a
/// battery that is absent now, stays with pytes_serial: see [`left`]. Where several of its versions left a message of
/// the same entity, all of them go.
#[must_use]
pub fn over(topics: &Topics, bank: &str, kept: &[Message], ours: Vec<Message>) -> Handshake {
    let old = theirs(topics, bank, kept, &ours, true);
    Handshake::between(old.iter().map(|message| message.topic.as_str()).collect(), ours)
}

/// Those of pytes_serial's messages whose entities are not among `ours`: beyond the level of cells, or of a battery
/// that is absent.
#[must_use]
pub fn left<'a>(topics: &Topics, bank: &str, kept: &'a [Message], ours: &[Message]) -> Vec<&'a Message> {
    theirs(topics, bank, kept, ours, false)
}

/// Of how many entities these messages of pytes_serial are.
#[must_use]
pub fn entities<'a>(topics: &Topics, bank: &str, messages: impl IntoIterator<Item = &'a Message>) -> usize {
    let ids = messages.into_iter().filter_map(|message| predecessors_id(topics, bank, message));
    ids.collect::<BTreeSet<_>>().len()
}

fn theirs<'a>(
    topics: &Topics,
    bank: &str,
    kept: &'a [Message],
    ours: &[Message],
    announced: bool,
) -> Vec<&'a Message> {
    let parsed: Vec<Value> =
        ours.iter().filter_map(|ours| serde_json::from_slice(&ours.payload).ok()).collect();
    let components = parsed.iter().filter_map(|ours| ours["cmps"].as_object()).flat_map(Map::values);
    let ids: BTreeSet<&str> = components.filter_map(|said| said["uniq_id"].as_str()).collect();
    let wanted = |message: &&Message| {
        predecessors_id(topics, bank, message).is_some_and(|id| ids.contains(id.as_str()) == announced)
    };
    kept.iter().filter(wanted).collect()
}

/// From our messages among those that the broker `kept` to pytes_serial's. What it has no entity for is removed.
#[must_use]
pub fn back(topics: &Topics, bank: &str, kept: &[Message]) -> Handshake {
    let ours = kept.iter().filter_map(|message| Some((message, our_device(topics, bank, message)?)));
    let (mut old, mut announce, mut all_rest) = (Vec::new(), Vec::new(), Vec::new());
    for (message, (about, mut payload)) in ours {
        old.push(message.topic.as_str());
        let mut rest = Map::new();
        for (key, said) in payload["cmps"].as_object().into_iter().flatten() {
            match predecessors(topics, bank, about, &payload["dev"], said) {
                Some(theirs) => announce.push(theirs),
                None if said["uniq_id"].is_string() => drop(rest.insert(key.clone(), said.clone())),
                None => {}
            }
        }
        if rest.is_empty() {
            rest = placeholder(topics, &about.object_id(bank));
        }
        payload["cmps"] = rest.into();
        all_rest.push(Message::retained(&*message.topic, payload.to_string()));
    }
    Handshake { rest: all_rest, ..Handshake::between(old, announce) }
}

/// The key of an entity that is there for a moment.
const PLACEHOLDER: &str = "released";

/// An entity without a value, for a message whose entities have been released: Home Assistant logs a warning when a
/// message without entities is cleared.
pub(crate) fn placeholder(topics: &Topics, object_id: &str) -> Map<String, Value> {
    let id = format!("{object_id}_{PLACEHOLDER}");
    let said = json!({ "p": "sensor", "uniq_id": id, "name": PLACEHOLDER, "stat_t": topics.echo(&id) });
    Map::from_iter([(PLACEHOLDER.to_owned(), said)])
}

/// Where to look for what pytes_serial or we have left with the broker.
#[must_use]
pub fn filters(topics: &Topics, bank: &str) -> Vec<String> {
    [
        topics.predecessor_config(bank, "+"),
        topics.device_config("+"),
        topics.service_status(),
        topics.bank_status(bank),
        topics.battery_statuses(bank),
    ]
    .into_iter()
    .chain(topics.shared_status())
    .collect()
}

/// `offline` for each battery of `ours` without a status. After a move without a reading no service has published any,
/// and nobody will for a battery that is gone: it could not be found as one that has vanished.
#[must_use]
pub(crate) fn first_statuses(
    topics: &Topics,
    bank: &str,
    kept: &[Message],
    ours: &[Message],
) -> Vec<Message> {
    let kept: BTreeSet<&str> = kept.iter().map(|message| message.topic.as_str()).collect();
    let status = |message: &Message| match our_device(topics, bank, message)? {
        (About::Battery(place), _) => Some(topics.battery_status(bank, place)),
        _ => None,
    };
    let missing = ours.iter().filter_map(status).filter(|topic| !kept.contains(topic.as_str()));
    missing.map(|topic| Message::retained(topic, OFFLINE)).collect()
}

/// Whether the broker keeps that our service is online.
#[must_use]
pub(crate) fn is_running(topics: &Topics, kept: &[Message]) -> bool {
    let topic = topics.service_status();
    kept.iter().any(|kept| kept.topic == topic && kept.payload == ONLINE.as_bytes())
}

/// The unique id of the entity of `bank` that this message of pytes_serial announces. It is pytes_serial's by the id in
/// its payload and by the topic of its state: where its versions publish it differs, and others may publish there too.
#[must_use]
pub fn predecessors_id(topics: &Topics, bank: &str, message: &Message) -> Option<String> {
    if !topics.is_predecessor_config(bank, &message.topic) {
        return None;
    }
    let payload: Value = serde_json::from_slice(&message.payload).ok()?;
    let text = |short: &str, long: &str| payload[short].as_str().or(payload[long].as_str());
    let (id, state) = (text("uniq_id", "unique_id")?, text("stat_t", "state_topic")?);
    let rest = id.strip_prefix(bank)?.strip_prefix('_')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let of_entity = |entity: &Entity| match rest.strip_prefix(entity.id) {
        Some(number) => {
            entity.predecessor && (number.is_empty() || number.strip_prefix('_').is_some_and(digits))
        }
        None => false,
    };
    (legacy_topics::is_state_of(bank, state) && ENTITIES.iter().any(of_entity)).then(|| id.to_owned())
}

/// Whether a message that the broker kept is one of ours about `bank`, or about the service.
#[must_use]
pub fn is_ours(topics: &Topics, bank: &str, message: &Message) -> bool {
    let topic = &message.topic;
    let battery = topic.rsplit('/').nth(1).and_then(|place| place.parse::<Place>().ok());
    let says_status = topics.outdated(message).is_some_and(|correction| correction.payload.is_empty())
        || *topic == topics.service_status()
        || *topic == topics.bank_status(bank)
        || battery.is_some_and(|place| *topic == topics.battery_status(bank, place));
    !message.payload.is_empty() && (says_status || our_device(topics, bank, message).is_some())
}

/// Whether a message that the broker kept is one of our discovery messages about `bank`.
#[must_use]
pub(crate) fn is_our_discovery(topics: &Topics, bank: &str, message: &Message) -> bool {
    our_device(topics, bank, message).is_some()
}

/// Whether a message that the broker kept is ours about a battery that is offline while its bank is online.
#[must_use]
pub(crate) fn is_of_vanished(topics: &Topics, bank: &str, message: &Message, kept: &[Message]) -> bool {
    let says = |topic: String, word: &str| {
        kept.iter().any(|kept| kept.topic == topic && kept.payload == word.as_bytes())
    };
    let place = match our_device(topics, bank, message) {
        Some((About::Battery(place) | About::Cells(place, _), _)) => Some(place),
        Some((About::Bank, _)) => None,
        None => message.topic.rsplit('/').nth(1).and_then(|place| place.parse().ok()),
    };
    is_ours(topics, bank, message)
        && place.is_some_and(|place| says(topics.battery_status(bank, place), OFFLINE))
        && says(topics.bank_status(bank), ONLINE)
}

/// What one of our discovery messages is about, and what it says.
pub(crate) fn our_device(topics: &Topics, bank: &str, message: &Message) -> Option<(About, Value)> {
    let object_id = message.topic.rsplit('/').nth(1)?;
    let about = About::of(object_id, bank)?;
    let payload: Value = serde_json::from_slice(&message.payload).ok()?;
    let ours = topics.device_config(object_id) == message.topic && payload["o"]["name"] == ORIGIN;
    ours.then_some((about, payload))
}

/// The predecessor's message of one of our components, in its keys; nothing where it had none.
fn predecessors(topics: &Topics, bank: &str, about: About, device: &Value, said: &Value) -> Option<Message> {
    let id = said["uniq_id"].as_str()?;
    let (entity, of) = row(bank, about, id)?;
    let mut config = Map::new();
    // A word was text without a class there.
    let kept = |key: &&str| !said[*key].is_null() && said[*key] != "enum";
    for key in ["uniq_id", "name", "dev_cla", "stat_cla", "unit_of_meas"].into_iter().filter(kept) {
        config.insert(key.to_owned(), said[key].clone());
    }
    config.insert("stat_t".into(), of.topic(bank, entity.key).into());
    config.insert("val_tpl".into(), "{{ value_json.value }}".into());
    let mut device = device.clone();
    for ours in ["sw", "sn", "via_device"] {
        device.as_object_mut()?.remove(ours);
    }
    config.insert("dev".into(), device);
    Some(Message::retained(topics.predecessor_config(bank, id), Value::Object(config).to_string()))
}

/// The predecessor's entity with that unique id, and what it is of.
fn row(bank: &str, about: About, id: &str) -> Option<(&'static Entity, Of)> {
    let rest = id.strip_prefix(bank)?.strip_prefix('_')?;
    let (stem, number) = match about {
        About::Bank => (rest, ""),
        About::Battery(_) | About::Cells(..) => rest.rsplit_once('_')?,
    };
    let (source, of) = match about {
        About::Bank => (Source::Bank, Of::Bank),
        About::Battery(place) => (Source::Battery, Of::Battery(place)),
        About::Cells(place, _) if number == place.to_string() => (Source::Statistics, Of::Statistics(place)),
        About::Cells(place, _) => {
            (Source::Cell, Of::Cell(place, number.strip_prefix(&place.to_string())?.parse().ok()?))
        }
    };
    let same = |entity: &&Entity| entity.predecessor && entity.source == source && entity.id == stem;
    Some((ENTITIES.iter().find(same)?, of))
}
