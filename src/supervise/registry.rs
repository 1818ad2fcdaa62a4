//! The health of all children: each reports its changes of state here, which updates the snapshot and writes one
//! log line a change.

use std::mem::discriminant;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use humantime::format_duration;
use jiff::Timestamp;
use slog::{Logger, crit, error, info, warn};
use tokio::sync::watch;

use crate::supervise::health::{ChildHealth, ChildState, ServiceHealth};
use crate::supervise::policy::{ChildFailure, RestartDecision, Role};

/// A critical child can't be restarted within this process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{actor} failed permanently ({reason}); exiting with status {} so that the service manager restarts the process",
    Self::EXIT_CODE
)]
pub struct FatalFailure {
    /// The name of the child.
    pub actor: String,
    /// Not escaped: whoever prints it must do that, as the log does.
    pub reason: String,
}

impl FatalFailure {
    /// The exit status on which systemd or the container engine restarts the process.
    pub const EXIT_CODE: u8 = 70;
}

/// The state of all children, shared by every thread.
#[derive(Debug)]
pub(crate) struct HealthRegistry {
    log: Logger,
    health: watch::Sender<ServiceHealth>,
    fatal: watch::Sender<Option<FatalFailure>>,
}

impl HealthRegistry {
    pub(crate) fn new(log: Logger) -> Arc<Self> {
        Arc::new(Self { log, health: watch::Sender::default(), fatal: watch::Sender::default() })
    }

    pub(crate) fn health(&self) -> watch::Receiver<ServiceHealth> {
        self.health.subscribe()
    }

    pub(crate) fn fatal(&self) -> watch::Receiver<Option<FatalFailure>> {
        self.fatal.subscribe()
    }

    /// Adds a child that is about to start.
    pub(crate) fn register(
        self: &Arc<Self>,
        name: &str,
        role: Role,
        thread: &Arc<ArbiterThread>,
    ) -> ChildStatus {
        let mut id = 0;
        self.health.send_modify(|health| {
            id = health.children.len();
            health.children.push(ChildHealth {
                name: name.to_owned(),
                role,
                state: ChildState::Starting,
                restarts: 0,
                last_failure: None,
                since: Timestamp::now(),
            });
        });
        ChildStatus { registry: Arc::clone(self), id, name: name.into(), role, thread: Arc::clone(thread) }
    }

    fn name_of(&self, id: usize) -> Option<String> {
        self.health.borrow().children.get(id).map(|child| child.name.clone())
    }
}

/// Which child the thread of an arbiter is running right now.
#[derive(Debug)]
pub(crate) struct ArbiterThread {
    active_child: AtomicUsize,
}

impl ArbiterThread {
    const IDLE: usize = usize::MAX;

    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { active_child: AtomicUsize::new(Self::IDLE) })
    }
}

/// A handle with which one child's runner reports its state.
#[derive(Clone, Debug)]
pub(crate) struct ChildStatus {
    registry: Arc<HealthRegistry>,
    id: usize,
    name: Arc<str>,
    role: Role,
    thread: Arc<ArbiterThread>,
}

impl ChildStatus {
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` and marks this child as active meanwhile, so that a thread that never returns from it can be
    /// attributed to the child.
    pub(crate) fn run_active<T>(&self, work: impl FnOnce() -> T) -> T {
        self.thread.active_child.store(self.id, Ordering::Release);
        let result = work();
        self.thread.active_child.store(ArbiterThread::IDLE, Ordering::Release);
        result
    }

    /// The name of the child that this child's thread is running, if any.
    pub(crate) fn active_child(&self) -> Option<String> {
        self.registry.name_of(self.thread.active_child.load(Ordering::Acquire))
    }

    pub(crate) fn state(&self) -> ChildState {
        self.read(|child| child.state)
    }

    /// The restart count that identifies this incarnation; `None` unless the child should answer pings.
    pub(crate) fn incarnation(&self) -> Option<u64> {
        self.read(|child| {
            matches!(child.state, ChildState::Starting | ChildState::Running).then_some(child.restarts)
        })
    }

    pub(crate) fn starting(&self) {
        self.change(|child| child.state = ChildState::Starting);
    }

    pub(crate) fn running(&self) {
        self.change(|child| child.state = ChildState::Running);
    }

    pub(crate) fn ended(&self) {
        self.change(|child| child.state = ChildState::Ended);
    }

    /// The actor failed. `should_log` decides whether a restart is worth a log line.
    pub(crate) fn failed(
        &self,
        failure: &ChildFailure,
        decision: RestartDecision,
        should_log: impl FnOnce(&str) -> bool,
    ) {
        let reason = failure.to_string();
        let restarts = self.change(|child| {
            child.restarts += 1;
            child.last_failure = Some(reason.clone());
            child.state = match decision {
                RestartDecision::Restart(pause) => ChildState::Restarting { retry_after_ms: millis(pause) },
                RestartDecision::Fail(pause) => ChildState::Failed { retry_after_ms: Some(millis(pause)) },
                RestartDecision::Fatal => ChildState::Failed { retry_after_ms: None },
            };
            child.restarts
        });
        let (log, actor) = (&self.registry.log, &*self.name);
        match decision {
            RestartDecision::Restart(pause) if should_log(&reason) => {
                let backoff = format_millis(pause);
                if failure.is_severe() {
                    error!(log, "actor restarted";
                        "actor" => actor, "reason" => reason, "restarts" => restarts, "backoff" => backoff);
                } else {
                    warn!(log, "actor restarted";
                        "actor" => actor, "reason" => reason, "restarts" => restarts, "backoff" => backoff);
                }
            }
            RestartDecision::Restart(_) => {}
            RestartDecision::Fail(pause) => {
                let retry = format_millis(pause);
                error!(log, "actor failed";
                    "actor" => actor, "reason" => reason, "restarts" => restarts, "retry" => retry);
            }
            RestartDecision::Fatal => self.fatal(reason),
        }
    }

    /// The constructor panicked, so there is no actor to restart.
    pub(crate) fn constructor_panicked(&self, message: &str) {
        let reason = format!("constructor panicked: {message}");
        self.change(|child| {
            child.last_failure = Some(reason.clone());
            child.state = ChildState::Failed { retry_after_ms: None };
        });
        match self.role {
            Role::Isolated => {
                error!(self.registry.log, "actor failed"; "actor" => &*self.name, "reason" => reason)
            }
            Role::Critical => self.fatal(reason),
        }
    }

    /// The actor ended and nobody holds its address any more, so it is not restarted. If it stopped without a reason,
    /// that is its natural end.
    pub(crate) fn address_dropped(&self, failure: &ChildFailure) {
        if matches!(failure, ChildFailure::Stopped(None) | ChildFailure::StartFailed(None)) {
            return;
        }
        let reason = format!("{failure}; not restarted because its address was dropped");
        self.change(|child| child.last_failure = Some(reason.clone()));
        match self.role {
            Role::Isolated => {
                error!(self.registry.log, "actor ended"; "actor" => &*self.name, "reason" => reason);
            }
            Role::Critical => self.fatal(reason),
        }
    }

    pub(crate) fn panicked_while_stopping(&self, message: &str) {
        warn!(self.registry.log, "actor panicked while stopping"; "actor" => &*self.name, "reason" => message);
    }

    /// The actor has run long enough after an outage to count as healthy.
    pub(crate) fn recovered(&self, outage: Duration) {
        let restarts = self.read(|child| child.restarts);
        info!(self.registry.log, "actor running again";
            "actor" => &*self.name, "restarts" => restarts, "outage" => format_millis(outage));
    }

    /// The child's thread did not take a command in time. Returns false if it did after all in the meantime.
    pub(crate) fn blocked(&self) -> bool {
        let reason = match self.active_child() {
            Some(name) => format!("thread blocked by {name}"),
            None => "thread blocked".to_owned(),
        };
        let is_blocked = self.change(|child| {
            // Any other state was written by the child's own thread just now, so the thread is not blocked.
            let is_blocked = matches!(child.state, ChildState::Starting | ChildState::Running);
            if is_blocked {
                child.state = ChildState::Blocked;
                child.last_failure = Some(reason.clone());
            }
            is_blocked
        });
        match self.role {
            _ if !is_blocked => {}
            Role::Isolated => {
                error!(self.registry.log, "actor failed"; "actor" => &*self.name, "reason" => reason)
            }
            Role::Critical => self.fatal(reason),
        }
        is_blocked
    }

    /// The child's thread takes commands again.
    pub(crate) fn unblocked(&self, outage: Duration) {
        let is_running = self.change(|child| {
            if child.state == ChildState::Blocked {
                child.state = ChildState::Running;
            }
            child.state == ChildState::Running
        });
        if is_running {
            self.recovered(outage);
        }
    }

    /// Asks the application to end the process.
    fn fatal(&self, reason: String) {
        crit!(self.registry.log, "actor failed";
            "actor" => &*self.name, "reason" => &reason, "exit" => FatalFailure::EXIT_CODE);
        self.registry.fatal.send_if_modified(|fatal| {
            // The first failure is the cause of the ones that follow.
            let is_first = fatal.is_none();
            fatal.get_or_insert_with(|| FatalFailure { actor: self.name.to_string(), reason });
            is_first
        });
    }

    fn read<T>(&self, read: impl FnOnce(&ChildHealth) -> T) -> T {
        // `register` added this row, and rows are never removed.
        read(&self.registry.health.borrow().children[self.id])
    }

    fn change<T>(&self, change: impl FnOnce(&mut ChildHealth) -> T) -> T {
        let mut result = None;
        self.registry.health.send_modify(|health| {
            let child = &mut health.children[self.id];
            let before = discriminant(&child.state);
            result = Some(change(child));
            if discriminant(&child.state) != before {
                child.since = Timestamp::now();
            }
        });
        #[expect(clippy::expect_used, reason = "`send_modify` calls its closure exactly once")]
        result.expect("changed")
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A duration with millisecond precision: `1s`, `870ms`.
fn format_millis(duration: Duration) -> String {
    format_duration(Duration::from_millis(millis(duration))).to_string()
}
