//! One message to the broker.

/// A topic, what is said there, and whether the broker keeps it for those who come later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where.
    pub topic: String,
    /// What; empty and retained: forget what was kept there.
    pub payload: Vec<u8>,
    /// Whether the broker keeps it.
    pub retained: bool,
}

impl Message {
    /// A message that whoever listens now may hear.
    pub fn fleeting(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { topic: topic.into(), payload: payload.into(), retained: false }
    }

    /// A message that the broker keeps.
    pub fn retained(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { topic: topic.into(), payload: payload.into(), retained: true }
    }

    /// Has the broker forget what it kept at a topic.
    pub fn forget(topic: impl Into<String>) -> Self {
        Self::retained(topic, Vec::new())
    }
}
