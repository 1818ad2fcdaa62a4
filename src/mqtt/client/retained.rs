//! Reads the retained messages of the broker.

use std::time::Duration;

use humantime::format_duration;
use tokio::time::{Instant, timeout, timeout_at};

use crate::mqtt::client::error::{MqttError, MqttErrorKind};
use crate::mqtt::client::session::{Incoming, MqttSession};
use crate::mqtt::message::Message;

/// All messages have arrived once none came for this long.
const IDLE: Duration = Duration::from_secs(3);

/// How long the broker may take to send all of them.
const MAX_DURATION: Duration = Duration::from_secs(60);

/// Far more than pytes_serial left behind for the largest banks.
const MAX_MESSAGES: usize = 16_384;
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Returns all retained messages that match `filters`. A broker sends them before any message that is published after
/// the subscription, so a message published to `echo` marks the end. A broker that does not deliver it is read until it
/// has sent nothing for 3 s.
///
/// # Errors
/// The connection is lost, the access list forbids a filter, or the broker retains too much.
pub async fn fetch_retained(
    session: &mut MqttSession,
    filters: &[String],
    echo: &str,
) -> Result<Vec<Message>, MqttError> {
    let filters: Vec<String> = filters.iter().cloned().chain([echo.to_owned()]).collect();
    // Messages of an earlier fetch that was given up may still arrive.
    let is_wanted = |topic: &str| filters.iter().any(|filter| matches(filter, topic));
    session.subscribe(&filters).await?;
    session.publish(vec![Message::transient(echo, "?")]).await?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    let receive_all = async {
        let mut deadline = Instant::now() + IDLE;
        while let Ok(incoming) = timeout_at(deadline, session.recv()).await {
            match incoming {
                Incoming::Message { topic, .. } if topic == echo => break,
                Incoming::Message { topic, payload, retained: true } if is_wanted(&topic) => {
                    bytes += topic.len() + payload.len();
                    if found.len() == MAX_MESSAGES || bytes > MAX_BYTES {
                        return Ok(false);
                    }
                    found.push(Message::retained(topic, payload));
                    deadline = Instant::now() + IDLE;
                }
                Incoming::Message { .. } => {}
                Incoming::Disconnected(error) => return Err(error),
            }
        }
        Ok(true)
    };
    let is_complete =
        timeout(MAX_DURATION, receive_all).await.unwrap_or(Ok(false))? && session.take_dropped() == 0;
    session.unsubscribe(&filters).await?;
    // A part would be worse than nothing: entities are taken over from pytes_serial only if all of them are known.
    if !is_complete {
        let (filters, duration) = (filters.join(", "), format_duration(MAX_DURATION));
        let message = format!(
            "the broker retains too much under {filters} (more than {MAX_MESSAGES} messages, more than 32 MB, or more than it \
             sends in {duration}): no entities are taken over; delete the retained messages that do not belong there"
        );
        return Err(MqttError::new(MqttErrorKind::InboxOverflow, message));
    }
    Ok(found)
}

fn matches(filter: &str, topic: &str) -> bool {
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(expected), Some(found)) if expected == found => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_mqtt_defines() {
        for topic in ["a", "a/b", "a/b/c"] {
            assert!(matches("a/#", topic) && matches("#", topic), "{topic}");
        }
        assert!(matches("a/+/c", "a/b/c") && matches("a/b", "a/b"));
        for (filter, topic) in
            [("a/+", "a"), ("a/+", "a/b/c"), ("a/b", "a"), ("a", "a/b"), ("other/#", "a/b")]
        {
            assert!(!matches(filter, topic), "{filter} {topic}");
        }
    }
}
