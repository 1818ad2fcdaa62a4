//! What a broker has kept from before.

use std::time::Duration;

use humantime::format_duration;
use tokio::time::{Instant, timeout, timeout_at};

use crate::mqtt::client::error::{Refusal, RefusalKind};
use crate::mqtt::client::session::{Incoming, Session};
use crate::mqtt::message::Message;

/// After such a silence nothing more comes.
const SILENCE: Duration = Duration::from_secs(3);

/// How long the broker may take to hand all of it out.
const WHOLE: Duration = Duration::from_secs(60);

/// How much of it is read: far more than pytes_serial left behind for the largest banks.
const MOST: usize = 16_384;
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// Asks for everything that is kept under `filters`. What is kept comes before what is said after the asking, so a
/// word of our own at `echo` marks the end; a broker that does not carry it is listened to until it is silent.
///
/// # Errors
/// The connection is lost, the broker lets us not listen there, or there is no end to what it hands out.
pub async fn kept(session: &mut Session, filters: &[String], echo: &str) -> Result<Vec<Message>, Refusal> {
    let filters: Vec<String> = filters.iter().cloned().chain([echo.to_owned()]).collect();
    // What is still under way of an earlier search that was given up is not an answer to this one.
    let is_asked_for = |topic: &str| filters.iter().any(|filter| matches(filter, topic));
    session.subscribe(&filters).await?;
    session.publish(vec![Message::fleeting(echo, "?")]).await?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    let listening = async {
        let mut until = Instant::now() + SILENCE;
        while let Ok(incoming) = timeout_at(until, session.next()).await {
            match incoming {
                Incoming::Message { topic, .. } if topic == echo => break,
                Incoming::Message { topic, payload, retained: true } if is_asked_for(&topic) => {
                    bytes += topic.len() + payload.len();
                    if found.len() == MOST || bytes > MOST_BYTES {
                        return Ok(false);
                    }
                    found.push(Message::retained(topic, payload));
                    until = Instant::now() + SILENCE;
                }
                Incoming::Message { .. } => {}
                Incoming::Lost(refusal) => return Err(refusal),
            }
        }
        Ok(true)
    };
    let is_whole = timeout(WHOLE, listening).await.unwrap_or(Ok(false))? && session.take_dropped() == 0;
    session.unsubscribe(&filters).await?;
    // Half of it would be worse than nothing: who takes over from the predecessor must know all of it.
    if !is_whole {
        let (filters, whole) = (filters.join(", "), format_duration(WHOLE));
        let sentence = format!(
            "the broker retains too much under {filters} (more than {MOST} messages, more than 32 MB, or more than it \
             sends in {whole}): no entities are taken over; delete the retained messages that do not belong there"
        );
        return Err(Refusal::new(RefusalKind::Flooded, sentence));
    }
    Ok(found)
}

/// Whether a topic is one of those that a filter with `+` and `#` stands for.
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
    fn a_filter_stands_for_the_topics_that_its_wildcards_leave_open() {
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
