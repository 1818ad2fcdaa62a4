//! What the publisher wants to publish at one time, and what is to be logged about it.

use std::sync::Arc;

use crate::mqtt::message::Message;

#[derive(Debug, Default)]
pub struct PublishRound {
    /// In order.
    pub messages: Vec<Message>,
    /// Entities taken over from pytes_serial by these messages, by bank.
    pub moved: Vec<(Arc<str>, usize)>,
    /// Entities of earlier runs removed by these messages, by bank.
    pub(crate) removed: Vec<(Arc<str>, usize)>,
    /// Entities of pytes_serial that are not taken over, by bank; only if the count has changed.
    pub left: Vec<(Arc<str>, usize)>,
}
