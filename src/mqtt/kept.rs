//! What a broker has kept from before.

use std::time::Duration;

use tokio::time::timeout;

use super::message::Message;
use super::refusal::Refusal;
use super::session::{Incoming, Session};

/// How long the broker may take to hand it out.
const LOOK: Duration = Duration::from_secs(3);

/// Asks for everything that is kept under `filters`. What is kept comes before what is said after the asking, so a
/// word of our own at `echo` marks the end; a broker that does not carry it is listened to for some seconds.
///
/// # Errors
/// The connection is lost, or the broker lets us not listen there.
pub async fn kept(session: &mut Session, filters: &[String], echo: &str) -> Result<Vec<Message>, Refusal> {
    let filters: Vec<String> = filters.iter().cloned().chain([echo.to_owned()]).collect();
    session.subscribe(&filters).await?;
    session.publish(vec![Message::fleeting(echo, "?")]).await?;
    let mut found = Vec::new();
    let listening = async {
        loop {
            match session.next().await {
                Incoming::Message { topic, .. } if topic == echo => return Ok(()),
                Incoming::Message { topic, payload, retained: true } => {
                    found.push(Message::retained(topic, payload));
                }
                Incoming::Message { .. } => {}
                Incoming::Lost(refusal) => return Err(refusal),
            }
        }
    };
    if let Ok(heard) = timeout(LOOK, listening).await {
        heard?;
    }
    session.unsubscribe(&filters).await?;
    Ok(found)
}
