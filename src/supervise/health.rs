//! The health snapshot of all children, for outputs and health checks to watch.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::supervise::policy::Role;

/// All children in start order.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ServiceHealth {
    pub children: Vec<ChildHealth>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ChildHealth {
    pub name: String,
    pub(crate) role: Role,
    #[serde(flatten)]
    pub state: ChildState,
    pub restarts: u64,
    pub last_failure: Option<String>,
    /// When the child entered this state (UTC).
    #[serde(serialize_with = "as_text")]
    pub(crate) since: Timestamp,
}

/// The state of a child; the diagram in [`crate::supervise`] shows the transitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ChildState {
    /// `started` has not returned yet.
    Starting,
    /// It handles messages.
    Running,
    /// It failed and will be restarted; its mailbox waits.
    Restarting {
        /// The pause in milliseconds, counted from `since`.
        retry_after_ms: u64,
    },
    /// It failed too often; its mailbox waits.
    Failed {
        /// The pause in milliseconds, counted from `since`; `None` if the process has to end.
        retry_after_ms: Option<u64>,
    },
    /// Its thread is stuck in a call and takes no commands.
    Blocked,
    /// It has stopped for good.
    Ended,
}

impl ServiceHealth {
    pub fn child(&self, name: &str) -> Option<&ChildHealth> {
        self.children.iter().find(|child| child.name == name)
    }

    #[cfg(feature = "internals")]
    pub fn all_running(&self) -> bool {
        self.children.iter().all(|child| child.state == ChildState::Running)
    }
}

fn as_text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}
