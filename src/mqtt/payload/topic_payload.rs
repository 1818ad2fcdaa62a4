//! One payload with its topic, and how it is built from JSON.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value};

use crate::mqtt::homeassistant::{entities, enum_values};
use crate::mqtt::message_kind::MessageKind;

#[derive(Clone, Debug)]
pub struct TopicPayload {
    pub topic: String,
    /// JSON.
    pub payload: Vec<u8>,
    pub kind: MessageKind,
    /// Of the values, without those that change in every sweep: equal means unchanged. Comparable within one run of the
    /// program.
    pub fingerprint: u64,
    /// Keys read by Home Assistant entities whose values are not null.
    pub present_keys: BTreeSet<&'static str>,
}

/// Replaces unknown words; `volatile` keys don't count for the fingerprint.
pub(crate) fn build_payload(
    kind: MessageKind,
    topic: String,
    content: Value,
    volatile: &[&str],
) -> TopicPayload {
    let mut keys = match content {
        Value::Object(keys) => keys,
        _ => Map::new(),
    };
    enum_values::sanitize(&mut keys);
    let is_present = |path: &&str| match value_at(&keys, path) {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => items.iter().any(|item| !item.is_null()),
        Some(_) => true,
    };
    let present_keys = entities::keys_of(kind).filter(is_present).collect();
    let fingerprint = fingerprint(&keys, volatile);
    TopicPayload {
        topic,
        payload: Value::Object(keys).to_string().into_bytes(),
        kind,
        fingerprint,
        present_keys,
    }
}

/// The value at a path of keys like `lifetime.capacity_ah`.
fn value_at<'a>(keys: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let value = keys.get(first)?;
    if rest.is_empty() { Some(value) } else { value_at(value.as_object()?, rest) }
}

pub(crate) fn fingerprint(keys: &Map<String, Value>, volatile: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (key, value) in keys.iter().filter(|(key, _)| !volatile.contains(&key.as_str())) {
        (key, value).hash(&mut hasher);
    }
    hasher.finish()
}
