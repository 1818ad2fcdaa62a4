//! The messages that every supervised actor answers.

use actix::Message;

/// "Are you there?" Every child answers at once; its handler is empty.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Ping;

/// "Let go of what you hold." Answered when everything taken so far has been handed on or is on disk.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Flush;
