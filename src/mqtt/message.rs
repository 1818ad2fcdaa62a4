//! A message to publish.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    /// An empty retained payload clears the topic.
    pub payload: Vec<u8>,
    pub retained: bool,
}

impl Message {
    /// A message without the retain flag.
    pub fn transient(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { topic: topic.into(), payload: payload.into(), retained: false }
    }

    pub fn retained(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { topic: topic.into(), payload: payload.into(), retained: true }
    }

    /// Clears the retained message of a topic.
    pub fn clear_retained(topic: impl Into<String>) -> Self {
        Self::retained(topic, Vec::new())
    }
}
