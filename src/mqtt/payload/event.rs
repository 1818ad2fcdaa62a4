//! One event.

use serde_json::json;

use crate::model::event::Event;
use crate::mqtt::message::Message;
use crate::mqtt::topics::Topics;

/// What began, ended or happened, for whoever listens now.
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
        "duration_s": event.duration.map(|stood| stood.as_secs()),
    });
    Message::fleeting(topics.event(&event.bank), payload.to_string())
}
