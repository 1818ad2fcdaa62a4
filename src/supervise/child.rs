//! An entry in the list of children, and what its actor is handed.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use crate::supervise::policy::{Policy, Role};

/// How a child is to be kept: an entry in the list of children.
#[derive(Clone, Debug)]
pub struct Child {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) arbiter: String,
    pub(crate) capacity: usize,
    pub(crate) policy: Option<Policy>,
}

impl Child {
    /// An output with an arbiter of its own, a mailbox of 16, and the supervisor's policy. Names are unique.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { arbiter: name.clone(), name, role: Role::Output, capacity: 16, policy: None }
    }

    /// What it is to the service.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// On a thread that no other child shares (as it is from the start).
    #[must_use]
    pub fn own_arbiter(mut self) -> Self {
        self.arbiter.clone_from(&self.name);
        self
    }

    /// On the thread of that name, together with every other child that names it.
    #[must_use]
    pub fn arbiter(mut self, name: impl Into<String>) -> Self {
        self.arbiter = name.into();
        self
    }

    /// How many messages its mailbox holds before `try_send` says full; at least 1 (actix takes 0 for
    /// "no limit").
    #[must_use]
    pub fn capacity(mut self, messages: usize) -> Self {
        self.capacity = messages.max(1);
        self
    }

    /// Times and limits of its own.
    #[must_use]
    pub(crate) fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }
}

/// By which an actor tells its supervisor why it is about to stop. It is handed to the actor's constructor
/// and lives as long as the actor.
#[derive(Clone, Debug, Default)]
pub struct Lifeline {
    note: Arc<Mutex<Option<Note>>>,
}

/// The reason an actor left before it stopped.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) reason: String,
    pub(crate) gave_up: bool,
}

impl Lifeline {
    /// Notes why the actor will stop; `ctx.stop()` follows. The restart comes with the usual pause.
    pub fn because(&self, reason: impl Display) {
        self.leave(Note { reason: reason.to_string(), gave_up: false });
    }

    /// Notes that a restart won't help for now; `ctx.stop()` follows. An output is then failed and tried
    /// again later; a chain ends the process.
    pub fn give_up(&self, reason: impl Display) {
        self.leave(Note { reason: reason.to_string(), gave_up: true });
    }

    pub(crate) fn take(&self) -> Option<Note> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn leave(&self, note: Note) {
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = Some(note);
    }
}
