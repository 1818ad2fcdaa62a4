//! The specification of a child, and the handle with which an actor reports why it stops.

use std::fmt::Display;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::supervise::policy::Role;

/// How a child is run: OTP's child specification.
#[derive(Clone, Debug)]
pub struct ChildSpec {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) arbiter: String,
    pub(crate) capacity: usize,
}

impl ChildSpec {
    /// An isolated child on its own arbiter, with a mailbox of 16. Names are unique.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { arbiter: name.clone(), name, role: Role::Isolated, capacity: 16 }
    }

    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Runs on a thread that no other child shares. This is the default.
    #[must_use]
    pub fn own_arbiter(mut self) -> Self {
        self.arbiter.clone_from(&self.name);
        self
    }

    /// Runs on the arbiter of that name, together with every other child that names it.
    #[must_use]
    pub fn arbiter(mut self, name: impl Into<String>) -> Self {
        self.arbiter = name.into();
        self
    }

    /// How many messages the mailbox holds before `try_send` fails; at least 1, because actix takes 0 as unlimited.
    #[must_use]
    pub fn capacity(mut self, messages: usize) -> Self {
        self.capacity = messages.max(1);
        self
    }
}

/// With this handle an actor tells its supervisor why it is about to stop. The constructor receives it, and it lives
/// as long as the actor.
#[derive(Clone, Debug, Default)]
pub struct StopHandle {
    reason: Arc<Mutex<Option<StopReason>>>,
}

/// Why an actor stops.
#[derive(Debug)]
pub(crate) struct StopReason {
    pub(crate) reason: String,
    /// A restart won't help for now.
    pub(crate) gave_up: bool,
}

impl StopHandle {
    /// Records why the actor stops; call `ctx.stop()` next. The actor is restarted after the usual backoff.
    #[cfg(feature = "internals")]
    pub fn because(&self, reason: impl Display) {
        self.set(StopReason { reason: reason.to_string(), gave_up: false });
    }

    /// Records that a restart won't help for now; call `ctx.stop()` next. An isolated child is marked as failed and
    /// retried later; a critical one ends the process.
    pub fn give_up(&self, reason: impl Display) {
        self.set(StopReason { reason: reason.to_string(), gave_up: true });
    }

    pub(crate) fn take(&self) -> Option<StopReason> {
        self.reason.lock().take()
    }

    fn set(&self, reason: StopReason) {
        *self.reason.lock() = Some(reason);
    }
}
