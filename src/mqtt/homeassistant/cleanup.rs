//! Removes from Home Assistant what earlier runs announced and this one can't have: entities of a higher level of cells,
//! of cells that a battery no longer has, of another version.
//!
//! ```text
//! remove    {"cmps": {"soc_101": {"p": "sensor"}}}: Home Assistant deletes the entity
//! release   {"migrate_discovery": true}, where entities move to another message: it keeps what people made of them
//! announce  the messages of this run
//! rewrite   earlier messages that this run does not announce, without what was removed; empty ones are cleared
//! ```
//! An entity that has merely not been seen yet stays: to remove it would cost its history and what people made of it. The
//! retained messages change last, so that an interruption at any point leads to the same steps at the next connection.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::mqtt::homeassistant::announced_devices::Shape;
use crate::mqtt::homeassistant::discovery::is_about;
use crate::mqtt::homeassistant::entities::{ENTITIES, Source};
use crate::mqtt::homeassistant::migration::{our_device, placeholder, release};
use crate::mqtt::homeassistant::naming::About;
use crate::mqtt::message::Message;
use crate::mqtt::topics::Topics;
use crate::settings::CellLevel;

/// What is to be published around the announcement.
#[derive(Debug, Default)]
pub(crate) struct Cleanup {
    /// Before it.
    pub(crate) before: Vec<Message>,
    /// After it.
    pub(crate) after: Vec<Message>,
    /// How many entities are removed.
    pub(crate) removed: usize,
    /// Earlier messages of which more may have to be removed later in this run.
    pub(crate) undecided: Vec<Message>,
}

type Components = Map<String, Value>;

impl Cleanup {
    /// From the messages of earlier runs that the broker `kept` to `ours`.
    pub(crate) fn new(
        topics: &Topics,
        shape: &Shape,
        level: CellLevel,
        kept: &[Message],
        ours: &[Message],
    ) -> Self {
        let announced = topics_by_unique_id(ours);
        let mut all = Self::default();
        let mut releases = Vec::new();
        for message in kept {
            let topic = message.topic.as_str();
            let Some((about, mut payload)) = our_device(topics, shape.bank(), message) else { continue };
            let Value::Object(components) = payload["cmps"].take() else { continue };
            let is_announced = ours.iter().any(|ours| ours.topic == topic);
            let count = components.len();
            let (mut rest, gone): (Components, Components) =
                components.into_iter().partition(|(key, said)| can_have(about, key, said, level, shape));
            let moves = |said: &Value| {
                let id = said["uniq_id"].as_str().and_then(|id| announced.get(id));
                id.is_some_and(|new| !new.contains(topic))
            };
            let has_moved = rest.values().any(moves);
            if has_moved {
                releases.push(Message::fleeting(topic, release()));
            }
            let is_undecided = !is_announced || rest.keys().any(|key| is_beyond(about, key, shape));
            if !is_announced {
                rest.retain(|_, said| !moves(said));
            }
            all.removed += gone.len();
            // To clear a message removes what is left of it.
            if !gone.is_empty() && gone.len() < count {
                let only = |(key, said): (String, Value)| (key, json!({ "p": said["p"] }));
                payload["cmps"] = Value::Object(gone.into_iter().map(only).collect());
                all.before.push(Message::fleeting(topic, payload.to_string()));
            }
            let is_empty = rest.is_empty();
            let has_changed = rest.len() < count;
            payload["cmps"] = Value::Object(rest);
            if !is_announced && is_empty {
                if has_moved {
                    payload["cmps"] = placeholder(topics, &about.object_id(shape.bank())).into();
                    all.after.push(Message::fleeting(topic, payload.to_string()));
                }
                all.after.push(Message::forget(topic));
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

/// In which messages each unique id is.
fn topics_by_unique_id(messages: &[Message]) -> BTreeMap<String, BTreeSet<&str>> {
    let mut all = BTreeMap::<String, BTreeSet<&str>>::new();
    for message in messages {
        let payload: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
        let components = payload["cmps"].as_object().into_iter().flat_map(Map::values);
        for id in components.filter_map(|said| said["uniq_id"].as_str()) {
            all.entry(id.to_owned()).or_default().insert(&message.topic);
        }
    }
    all
}

/// Whether an entity of that key may be announced at this level, now or once its value has been seen.
fn can_have(about: About, key: &str, said: &Value, level: CellLevel, shape: &Shape) -> bool {
    let most = about.place().and_then(|place| shape.settled_cells(place)).unwrap_or(usize::MAX);
    let is_row = |stem: &str, source| match (source, about.place()) {
        (Source::Cell, _) => cell(about, stem, key).is_some_and(|cell| cell <= most),
        (_, Some(place)) => key == format!("{stem}_{place}"),
        (_, None) => key == stem,
    };
    let mut rows = ENTITIES.iter().filter(|entity| is_about(about, entity.source) && entity.level <= level);
    !said["uniq_id"].is_null() && rows.any(|entity| is_row(entity.stem, entity.source))
}

/// Whether that key is of a cell that its battery seems not to have.
fn is_beyond(about: About, key: &str, shape: &Shape) -> bool {
    let stems = ENTITIES.iter().filter(|entity| entity.source == Source::Cell).map(|entity| entity.stem);
    let most = about.place().and_then(|place| shape.cells(place));
    most.is_some_and(|most| stems.filter_map(|stem| cell(about, stem, key)).any(|cell| cell > most))
}

/// The cell that a key of that stem is of: two or three digits behind the battery's place.
fn cell(about: About, stem: &str, key: &str) -> Option<usize> {
    let number = key.strip_prefix(stem)?.strip_prefix('_')?;
    let digits = number.strip_prefix(&about.place()?.to_string())?;
    let is_number = (2..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}
