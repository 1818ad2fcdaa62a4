//! Migrates the discovery of pytes_serial, one message per entity, to that of bankwatch, and back.
//!
//! ```text
//! release   {"migrate_discovery": true} to each old topic: Home Assistant releases the entities and keeps their
//!           customizations
//! announce  the same unique ids in the new messages
//! rest      on the way back: entities that pytes_serial does not have, once more at the old topics
//! clear     an empty message to each old topic, which removes the rest
//! ```
//! Only in this order names, icons, entity ids and history are kept. The release is not retained: after an interruption
//! at any point, the migration finds everything as it was and starts over.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::model::place::Place;
use crate::mqtt::homeassistant::discovery::ORIGIN;
use crate::mqtt::homeassistant::entities::{ENTITIES, Entity, Source};
use crate::mqtt::homeassistant::naming::DiscoveryObject;
use crate::mqtt::legacy_topics::{self, LegacyScope};
use crate::mqtt::message::Message;
use crate::mqtt::topics::{OFFLINE, ONLINE, Topics};

/// The steps, each to be received by the broker before the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migration {
    pub release: Vec<Message>,
    pub announce: Vec<Message>,
    /// The old messages without the entities of the new ones. Home Assistant logs a warning for each device that has no
    /// entity when it is cleared, and would keep these entities without a state.
    pub rest: Vec<Message>,
    pub clear: Vec<Message>,
}

impl Migration {
    fn between(old: Vec<&str>, announce: Vec<Message>) -> Self {
        let payload = release_payload();
        Self {
            release: old.iter().map(|topic| Message::transient(*topic, payload.clone())).collect(),
            announce,
            rest: Vec::new(),
            clear: old.into_iter().map(Message::clear_retained).collect(),
        }
    }

    /// Number of old messages that are replaced.
    #[must_use]
    pub fn count(&self) -> usize {
        self.clear.len()
    }

    #[must_use]
    pub fn cleared_topics(&self) -> BTreeSet<String> {
        self.clear.iter().map(|message| message.topic.clone()).collect()
    }

    /// All messages in order.
    pub fn messages(self) -> impl Iterator<Item = Message> {
        self.release.into_iter().chain(self.announce).chain(self.rest).chain(self.clear)
    }
}

const MIGRATE: &str = "migrate_discovery";

/// Payload with which Home Assistant releases the entities of a message and keeps their customizations.
pub(crate) fn release_payload() -> String {
    json!({ MIGRATE: true }).to_string()
}

/// From the messages of pytes_serial among the `retained` ones to `ours`. An entity that is not in `ours`, for example
/// of an absent battery, stays with pytes_serial: see [`not_taken_over`]. If several versions left messages for an
/// entity, all are replaced.
#[must_use]
pub fn take_over(topics: &Topics, bank: &str, retained: &[Message], ours: Vec<Message>) -> Migration {
    let old = legacy_messages(topics, bank, retained, &ours, true);
    Migration::between(old.iter().map(|message| message.topic.as_str()).collect(), ours)
}

/// The messages of pytes_serial for entities that are not in `ours`: beyond the cell level, or of an absent battery.
#[must_use]
pub fn not_taken_over<'a>(
    topics: &Topics,
    bank: &str,
    retained: &'a [Message],
    ours: &[Message],
) -> Vec<&'a Message> {
    legacy_messages(topics, bank, retained, ours, false)
}

/// Number of entities in these messages of pytes_serial.
#[must_use]
pub fn count_entities<'a>(
    topics: &Topics,
    bank: &str,
    messages: impl IntoIterator<Item = &'a Message>,
) -> usize {
    let ids = messages.into_iter().filter_map(|message| legacy_unique_id(topics, bank, message));
    ids.collect::<BTreeSet<_>>().len()
}

fn legacy_messages<'a>(
    topics: &Topics,
    bank: &str,
    retained: &'a [Message],
    ours: &[Message],
    announced: bool,
) -> Vec<&'a Message> {
    let parsed: Vec<Value> =
        ours.iter().filter_map(|ours| serde_json::from_slice(&ours.payload).ok()).collect();
    let components = parsed.iter().filter_map(|ours| ours["cmps"].as_object()).flat_map(Map::values);
    let ids: BTreeSet<&str> = components.filter_map(|config| config["uniq_id"].as_str()).collect();
    let wanted = |message: &&Message| {
        legacy_unique_id(topics, bank, message).is_some_and(|id| ids.contains(id.as_str()) == announced)
    };
    retained.iter().filter(wanted).collect()
}

/// From the messages of bankwatch among the `retained` ones to those of pytes_serial. Entities that pytes_serial does
/// not have are removed.
#[must_use]
pub fn hand_back(topics: &Topics, bank: &str, retained: &[Message]) -> Migration {
    let ours =
        retained.iter().filter_map(|message| Some((message, parse_own_discovery(topics, bank, message)?)));
    let (mut old, mut announce, mut all_rest) = (Vec::new(), Vec::new(), Vec::new());
    for (message, (about, mut payload)) in ours {
        old.push(message.topic.as_str());
        let mut rest = Map::new();
        for (key, config) in payload["cmps"].as_object().into_iter().flatten() {
            match legacy_message(topics, bank, about, &payload["dev"], config) {
                Some(legacy) => announce.push(legacy),
                None if config["uniq_id"].is_string() => drop(rest.insert(key.clone(), config.clone())),
                None => {}
            }
        }
        if rest.is_empty() {
            rest = placeholder(topics, &about.object_id(bank));
        }
        payload["cmps"] = rest.into();
        all_rest.push(Message::retained(&*message.topic, payload.to_string()));
    }
    Migration { rest: all_rest, ..Migration::between(old, announce) }
}

/// Key of a temporary entity.
const PLACEHOLDER: &str = "released";

/// A temporary entity for a message without entities: Home Assistant logs a warning when such a message is cleared.
pub(crate) fn placeholder(topics: &Topics, object_id: &str) -> Map<String, Value> {
    let id = format!("{object_id}_{PLACEHOLDER}");
    let config = json!({ "p": "sensor", "uniq_id": id, "name": PLACEHOLDER, "stat_t": topics.echo(&id) });
    Map::from_iter([(PLACEHOLDER.to_owned(), config)])
}

/// Topic filters of the retained messages of pytes_serial and bankwatch.
#[must_use]
pub fn filters(topics: &Topics, bank: &str) -> Vec<String> {
    [
        topics.legacy_config(bank, "+"),
        topics.device_config("+"),
        topics.service_status(),
        topics.bank_status(bank),
        topics.battery_status_filter(bank),
    ]
    .into_iter()
    .chain(topics.shared_status())
    .collect()
}

/// `offline` for each battery of `ours` without a retained status. After a migration without a reading, nobody would
/// ever publish the status of a removed battery, and it could not be found as vanished.
#[must_use]
pub fn missing_statuses(topics: &Topics, bank: &str, retained: &[Message], ours: &[Message]) -> Vec<Message> {
    let retained: BTreeSet<&str> = retained.iter().map(|message| message.topic.as_str()).collect();
    let status = |message: &Message| match parse_own_discovery(topics, bank, message)? {
        (DiscoveryObject::Battery(place), _) => Some(topics.battery_status(bank, place)),
        _ => None,
    };
    let missing = ours.iter().filter_map(status).filter(|topic| !retained.contains(topic.as_str()));
    missing.map(|topic| Message::retained(topic, OFFLINE)).collect()
}

/// Whether the retained status of the service is `online`.
#[must_use]
pub fn is_running(topics: &Topics, retained: &[Message]) -> bool {
    let topic = topics.service_status();
    retained.iter().any(|message| message.topic == topic && message.payload == ONLINE.as_bytes())
}

/// The unique id that this message of pytes_serial announces. pytes_serial is recognized by the unique id and the state
/// topic: its versions use different discovery topics, and others may use them as well.
#[must_use]
pub fn legacy_unique_id(topics: &Topics, bank: &str, message: &Message) -> Option<String> {
    if !topics.is_legacy_config(bank, &message.topic) {
        return None;
    }
    let payload: Value = serde_json::from_slice(&message.payload).ok()?;
    let text = |short: &str, long: &str| payload[short].as_str().or(payload[long].as_str());
    let (id, state) = (text("uniq_id", "unique_id")?, text("stat_t", "state_topic")?);
    let rest = id.strip_prefix(bank)?.strip_prefix('_')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let of_entity = |entity: &Entity| match rest.strip_prefix(entity.id) {
        Some(number) => {
            entity.is_legacy && (number.is_empty() || number.strip_prefix('_').is_some_and(digits))
        }
        None => false,
    };
    (legacy_topics::is_state_of(bank, state) && ENTITIES.iter().any(of_entity)).then(|| id.to_owned())
}

/// Whether a retained message is a discovery or status message of bankwatch about `bank` or the service.
#[must_use]
pub fn is_ours(topics: &Topics, bank: &str, message: &Message) -> bool {
    let topic = &message.topic;
    let battery = topic.rsplit('/').nth(1).and_then(|place| place.parse::<Place>().ok());
    let is_status =
        topics.correct_shared_status(message).is_some_and(|correction| correction.payload.is_empty())
            || *topic == topics.service_status()
            || *topic == topics.bank_status(bank)
            || battery.is_some_and(|place| *topic == topics.battery_status(bank, place));
    !message.payload.is_empty() && (is_status || parse_own_discovery(topics, bank, message).is_some())
}

/// Whether a retained message is a discovery message of bankwatch about `bank`.
#[must_use]
pub fn is_our_discovery(topics: &Topics, bank: &str, message: &Message) -> bool {
    parse_own_discovery(topics, bank, message).is_some()
}

/// Whether a retained message of bankwatch is about a battery that is offline while its bank is online.
#[must_use]
pub fn is_of_vanished_battery(topics: &Topics, bank: &str, message: &Message, retained: &[Message]) -> bool {
    let has_status = |topic: String, status: &str| {
        retained.iter().any(|message| message.topic == topic && message.payload == status.as_bytes())
    };
    let place = match parse_own_discovery(topics, bank, message) {
        Some((DiscoveryObject::Battery(place) | DiscoveryObject::Cells(place, _), _)) => Some(place),
        Some((DiscoveryObject::Bank, _)) => None,
        None => message.topic.rsplit('/').nth(1).and_then(|place| place.parse().ok()),
    };
    is_ours(topics, bank, message)
        && place.is_some_and(|place| has_status(topics.battery_status(bank, place), OFFLINE))
        && has_status(topics.bank_status(bank), ONLINE)
}

/// Parses a discovery message of bankwatch.
pub(crate) fn parse_own_discovery(
    topics: &Topics,
    bank: &str,
    message: &Message,
) -> Option<(DiscoveryObject, Value)> {
    let object_id = message.topic.rsplit('/').nth(1)?;
    let about = DiscoveryObject::from_object_id(object_id, bank)?;
    let payload: Value = serde_json::from_slice(&message.payload).ok()?;
    let ours = topics.device_config(object_id) == message.topic && payload["o"]["name"] == ORIGIN;
    ours.then_some((about, payload))
}

/// The message of pytes_serial for one component; `None` if pytes_serial does not have the entity.
fn legacy_message(
    topics: &Topics,
    bank: &str,
    about: DiscoveryObject,
    device: &Value,
    component: &Value,
) -> Option<Message> {
    let id = component["uniq_id"].as_str()?;
    let (entity, scope) = find_legacy_entity(bank, about, id)?;
    let mut config = Map::new();
    // pytes_serial has no `enum` class: words are plain text.
    let is_copied = |key: &&str| !component[*key].is_null() && component[*key] != "enum";
    for key in ["uniq_id", "name", "dev_cla", "stat_cla", "unit_of_meas"].into_iter().filter(is_copied) {
        config.insert(key.to_owned(), component[key].clone());
    }
    config.insert("stat_t".into(), scope.topic(bank, entity.key).into());
    config.insert("val_tpl".into(), "{{ value_json.value }}".into());
    let mut device = device.clone();
    for ours in ["sw", "sn", "via_device"] {
        device.as_object_mut()?.remove(ours);
    }
    config.insert("dev".into(), device);
    Some(Message::retained(topics.legacy_config(bank, id), Value::Object(config).to_string()))
}

/// The entity of pytes_serial with that unique id, and what it belongs to.
fn find_legacy_entity(
    bank: &str,
    about: DiscoveryObject,
    id: &str,
) -> Option<(&'static Entity, LegacyScope)> {
    let rest = id.strip_prefix(bank)?.strip_prefix('_')?;
    let (stem, number) = match about {
        DiscoveryObject::Bank => (rest, ""),
        DiscoveryObject::Battery(_) | DiscoveryObject::Cells(..) => rest.rsplit_once('_')?,
    };
    let (source, scope) = match about {
        DiscoveryObject::Bank => (Source::Bank, LegacyScope::Bank),
        DiscoveryObject::Battery(place) => (Source::Battery, LegacyScope::Battery(place)),
        DiscoveryObject::Cells(place, _) if number == place.to_string() => {
            (Source::Statistics, LegacyScope::Statistics(place))
        }
        DiscoveryObject::Cells(place, _) => {
            (Source::Cell, LegacyScope::Cell(place, number.strip_prefix(&place.to_string())?.parse().ok()?))
        }
    };
    let same = |entity: &&Entity| entity.is_legacy && entity.source == source && entity.id == stem;
    Some((ENTITIES.iter().find(same)?, scope))
}
