//! The messages that every supervised actor handles.

use actix::Message;

/// A liveness probe; its handler is empty.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Ping;

/// Asks an actor to hand on or write to disk everything it has received so far; answered when that is done.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Flush;
