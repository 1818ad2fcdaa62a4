//! The snapshot of all children that the page, the metrics and the health check watch.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::supervise::policy::Role;

/// All children in start order.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Health {
    /// A row a child.
    pub children: Vec<ChildHealth>,
}

/// How one child is.
#[derive(Clone, Debug, Serialize)]
pub struct ChildHealth {
    /// Its name in the list of children.
    pub name: String,
    /// What it is to the service.
    pub(crate) role: Role,
    /// What it does now.
    #[serde(flatten)]
    pub state: State,
    /// How often it had to be restarted.
    pub restarts: u64,
    /// What went wrong last, if anything ever did.
    pub last_trouble: Option<String>,
    /// Since when it is in this state (UTC).
    #[serde(serialize_with = "as_text")]
    pub(crate) since: Timestamp,
}

/// What a child does. See the diagram of this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Its `started` has not returned yet.
    Starting,
    /// It takes messages.
    Running,
    /// It failed; its mailbox waits.
    Restarting {
        /// The pause, in milliseconds from `since`.
        retry_after_ms: u64,
    },
    /// It failed too often; its mailbox waits.
    Failed {
        /// The pause, in milliseconds from `since`; nothing if the process has to end.
        retry_after_ms: Option<u64>,
    },
    /// Its thread is stuck in a call and takes no orders.
    Blocked,
    /// It is over.
    Ended,
}

impl Health {
    /// The child of that name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&ChildHealth> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Whether every child takes messages.
    #[must_use]
    pub fn all_running(&self) -> bool {
        self.children.iter().all(|child| child.state == State::Running)
    }
}

fn as_text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}
