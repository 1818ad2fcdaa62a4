//! Removes entities from Home Assistant that earlier runs announced and this one can't have: entities of a higher cell
//! level, of cells that a battery no longer has, or of another version.
//!
//! ```text
//! remove    {"cmps": {"soc_101": {"p": "sensor"}}}: Home Assistant deletes the entity
//! release   {"migrate_discovery": true}, if entities move to another message: Home Assistant keeps their customizations
//! announce  the messages of this run
//! rewrite   earlier messages that this run does not announce, without the removed entities; empty ones are cleared
//! ```
//! An entity that merely has not been seen yet stays: removing it would lose its history and customizations. Retained
//! messages change last, so that after an interruption at any point the next connection repeats the same steps.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::mqtt::homeassistant::announced_devices::AnnouncedDevices;
use crate::mqtt::homeassistant::discovery::belongs_to;
use crate::mqtt::homeassistant::entities::{ENTITIES, Source};
use crate::mqtt::homeassistant::migration::{parse_own_discovery, placeholder, release_payload};
use crate::mqtt::homeassistant::naming::DiscoveryObject;
use crate::mqtt::message::Message;
use crate::mqtt::topics::Topics;
use crate::settings::CellLevel;

/// Messages to publish before and after the announcement.
#[derive(Debug, Default)]
pub(crate) struct Cleanup {
    pub(crate) before: Vec<Message>,
    pub(crate) after: Vec<Message>,
    /// Number of removed entities.
    pub(crate) removed: usize,
    /// Earlier messages with entities that may have to be removed later in this run.
    pub(crate) undecided: Vec<Message>,
}

type Components = Map<String, Value>;

impl Cleanup {
    /// From the `retained` messages of earlier runs to the messages of this run.
    pub(crate) fn new(
        topics: &Topics,
        devices: &AnnouncedDevices,
        level: CellLevel,
        retained: &[Message],
        ours: &[Message],
    ) -> Self {
        let announced = topics_by_unique_id(ours);
        let mut all = Self::default();
        let mut releases = Vec::new();
        for message in retained {
            let topic = message.topic.as_str();
            let Some((about, mut payload)) = parse_own_discovery(topics, devices.bank(), message) else {
                continue;
            };
            let Value::Object(components) = payload["cmps"].take() else { continue };
            let is_announced = ours.iter().any(|ours| ours.topic == topic);
            let count = components.len();
            let (mut rest, gone): (Components, Components) = components
                .into_iter()
                .partition(|(key, config)| is_supported(about, key, config, level, devices));
            let moves = |config: &Value| {
                let id = config["uniq_id"].as_str().and_then(|id| announced.get(id));
                id.is_some_and(|new| !new.contains(topic))
            };
            let has_moved = rest.values().any(moves);
            if has_moved {
                releases.push(Message::transient(topic, release_payload()));
            }
            let is_undecided = !is_announced || rest.keys().any(|key| is_beyond_cells(about, key, devices));
            if !is_announced {
                rest.retain(|_, config| !moves(config));
            }
            all.removed += gone.len();
            // Clearing a message removes its remaining entities.
            if !gone.is_empty() && gone.len() < count {
                let only = |(key, config): (String, Value)| (key, json!({ "p": config["p"] }));
                payload["cmps"] = Value::Object(gone.into_iter().map(only).collect());
                all.before.push(Message::transient(topic, payload.to_string()));
            }
            let is_empty = rest.is_empty();
            let has_changed = rest.len() < count;
            payload["cmps"] = Value::Object(rest);
            if !is_announced && is_empty {
                if has_moved {
                    payload["cmps"] = placeholder(topics, &about.object_id(devices.bank())).into();
                    all.after.push(Message::transient(topic, payload.to_string()));
                }
                all.after.push(Message::clear_retained(topic));
            } else if is_undecided {
                let rewritten = Message::retained(topic, payload.to_string());
                if !is_announced && has_changed {
                    all.after.push(rewritten.clone());
                }
                all.undecided.push(rewritten);
            }
        }
        all.before.extend(releases);
        all
    }
}

/// The topics that announce each unique id.
fn topics_by_unique_id(messages: &[Message]) -> BTreeMap<String, BTreeSet<&str>> {
    let mut all = BTreeMap::<String, BTreeSet<&str>>::new();
    for message in messages {
        let payload: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
        let components = payload["cmps"].as_object().into_iter().flat_map(Map::values);
        for id in components.filter_map(|config| config["uniq_id"].as_str()) {
            all.entry(id.to_owned()).or_default().insert(&message.topic);
        }
    }
    all
}

/// Whether the entity may be announced at this level, now or once its value has been seen.
fn is_supported(
    about: DiscoveryObject,
    key: &str,
    config: &Value,
    level: CellLevel,
    devices: &AnnouncedDevices,
) -> bool {
    let max = about.place().and_then(|place| devices.settled_cells(place)).unwrap_or(usize::MAX);
    let is_row = |stem: &str, source| match (source, about.place()) {
        (Source::Cell, _) => cell_from_key(about, stem, key).is_some_and(|cell| cell <= max),
        (_, Some(place)) => key == format!("{stem}_{place}"),
        (_, None) => key == stem,
    };
    let mut rows = ENTITIES.iter().filter(|entity| belongs_to(about, entity.source) && entity.level <= level);
    !config["uniq_id"].is_null() && rows.any(|entity| is_row(entity.stem, entity.source))
}

/// Whether the entity is of a cell that the battery seems not to have.
fn is_beyond_cells(about: DiscoveryObject, key: &str, devices: &AnnouncedDevices) -> bool {
    let stems = ENTITIES.iter().filter(|entity| entity.source == Source::Cell).map(|entity| entity.stem);
    let max = about.place().and_then(|place| devices.cells(place));
    max.is_some_and(|max| stems.filter_map(|stem| cell_from_key(about, stem, key)).any(|cell| cell > max))
}

/// The cell number in the key of a cell entity: two or three digits after the battery's place.
fn cell_from_key(about: DiscoveryObject, stem: &str, key: &str) -> Option<usize> {
    let number = key.strip_prefix(stem)?.strip_prefix('_')?;
    let digits = number.strip_prefix(&about.place()?.to_string())?;
    let is_number = (2..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}
