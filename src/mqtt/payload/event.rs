//! The payload of one event.

use serde_json::json;

use crate::model::event::Event;
use crate::mqtt::message::Message;
use crate::mqtt::topics::Topics;

/// Not retained: an event is for those who are subscribed.
#[must_use]
pub(crate) fn event(topics: &Topics, event: &Event) -> Message {
    let payload = json!({
        "bank": &*event.bank,
        "battery": event.battery,
        "kind": event.kind.word(),
        "level": event.level.word(),
        "word": event.word,
        "sign": event.condition.to_string(),
        "name": event.name,
        "text": event.text,
        "raised_at": event.raised_at,
        "at": event.at,
        "duration_s": event.duration.map(|duration| duration.as_secs()),
    });
    Message::transient(topics.event(&event.bank), payload.to_string())
}
