//! What the herald has decided: messages, and what the log has to say of them.

use std::sync::Arc;

use crate::mqtt::message::Message;

/// What is to be said now.
#[derive(Debug, Default)]
pub struct Round {
    /// In this order.
    pub messages: Vec<Message>,
    /// Banks whose entities came over from pytes_serial with it, and how many.
    pub moved: Vec<(Arc<str>, usize)>,
    /// Banks of which earlier runs announced entities that are removed with it, and how many.
    pub(crate) removed: Vec<(Arc<str>, usize)>,
    /// Banks of which pytes_serial left entities that are not announced here, and how many, where that has changed.
    pub left: Vec<(Arc<str>, usize)>,
}
