//! Where the children report. Feeds the health snapshot and writes the one log line a change.

use std::mem::discriminant;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use humantime::format_duration;
use jiff::Timestamp;
use slog::{Logger, crit, error, info, warn};
use tokio::sync::watch;

use crate::supervise::health::{ChildHealth, Health, State};
use crate::supervise::policy::{Role, Trouble, Verdict};

/// Why the process can't go on: a link of the port's chain can't be restarted within it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{actor} can't go on in this process: {reason}")]
pub struct Fatal {
    /// The child.
    pub actor: String,
    /// What went wrong, as it was said: whoever shows it escapes it, as the log does.
    pub reason: String,
}

impl Fatal {
    /// What the process returns, so that systemd or the container starts it afresh.
    pub const EXIT_CODE: u8 = 70;
}

/// The state of all children, shared by every thread.
#[derive(Debug)]
pub(crate) struct Board {
    log: Logger,
    health: watch::Sender<Health>,
    fatal: watch::Sender<Option<Fatal>>,
}

impl Board {
    pub(crate) fn new(log: Logger) -> Arc<Self> {
        Arc::new(Self { log, health: watch::Sender::default(), fatal: watch::Sender::default() })
    }

    pub(crate) fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    pub(crate) fn fatal(&self) -> watch::Receiver<Option<Fatal>> {
        self.fatal.subscribe()
    }

    /// Adds a child that is about to start.
    pub(crate) fn enlist(self: &Arc<Self>, name: &str, role: Role, thread: &Arc<Thread>) -> Reporter {
        let mut id = 0;
        self.health.send_modify(|health| {
            id = health.children.len();
            health.children.push(ChildHealth {
                name: name.to_owned(),
                role,
                state: State::Starting,
                restarts: 0,
                last_trouble: None,
                since: Timestamp::now(),
            });
        });
        Reporter { board: Arc::clone(self), id, name: name.into(), role, thread: Arc::clone(thread) }
    }

    fn name_of(&self, id: usize) -> Option<String> {
        self.health.borrow().children.get(id).map(|child| child.name.clone())
    }
}

/// Which child an arbiter's thread is working for right now.
#[derive(Debug)]
pub(crate) struct Thread {
    at_work: AtomicUsize,
}

impl Thread {
    const IDLE: usize = usize::MAX;

    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { at_work: AtomicUsize::new(Self::IDLE) })
    }
}

/// One child's pen on the board.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    board: Arc<Board>,
    id: usize,
    name: Arc<str>,
    role: Role,
    thread: Arc<Thread>,
}

impl Reporter {
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` for this child, so that a thread which never returns from it can be told whose it is.
    pub(crate) fn at_work<T>(&self, work: impl FnOnce() -> T) -> T {
        self.thread.at_work.store(self.id, Ordering::Release);
        let done = work();
        self.thread.at_work.store(Thread::IDLE, Ordering::Release);
        done
    }

    /// For whom this child's thread is working, if for a child at all.
    pub(crate) fn who_is_at_work(&self) -> Option<String> {
        self.board.name_of(self.thread.at_work.load(Ordering::Acquire))
    }

    pub(crate) fn state(&self) -> State {
        self.read(|child| child.state)
    }

    /// The number of this life, while there is one that should answer.
    pub(crate) fn life(&self) -> Option<u64> {
        self.read(|child| matches!(child.state, State::Starting | State::Running).then_some(child.restarts))
    }

    pub(crate) fn starting(&self) {
        self.change(|child| child.state = State::Starting);
    }

    pub(crate) fn running(&self) {
        self.change(|child| child.state = State::Running);
    }

    pub(crate) fn ended(&self) {
        self.change(|child| child.state = State::Ended);
    }

    /// A life is over; `tell` says whether a restart is worth a log line.
    pub(crate) fn troubled(&self, trouble: &Trouble, verdict: Verdict, tell: impl FnOnce(&str) -> bool) {
        let reason = trouble.to_string();
        let restarts = self.change(|child| {
            child.restarts += 1;
            child.last_trouble = Some(reason.clone());
            child.state = match verdict {
                Verdict::Restart(pause) => State::Restarting { retry_after_ms: millis(pause) },
                Verdict::Fail(pause) => State::Failed { retry_after_ms: Some(millis(pause)) },
                Verdict::Fatal => State::Failed { retry_after_ms: None },
            };
            child.restarts
        });
        let (log, actor) = (&self.board.log, &*self.name);
        match verdict {
            Verdict::Restart(pause) if tell(&reason) => {
                let backoff = short(pause);
                if trouble.is_severe() {
                    error!(log, "actor restarted";
                        "actor" => actor, "reason" => reason, "restarts" => restarts, "backoff" => backoff);
                } else {
                    warn!(log, "actor restarted";
                        "actor" => actor, "reason" => reason, "restarts" => restarts, "backoff" => backoff);
                }
            }
            Verdict::Restart(_) => {}
            Verdict::Fail(pause) => {
                let retry = short(pause);
                error!(log, "actor failed";
                    "actor" => actor, "reason" => reason, "restarts" => restarts, "retry" => retry);
            }
            Verdict::Fatal => self.fatal(reason),
        }
    }

    /// Its constructor panicked: there is no actor to restart.
    pub(crate) fn stillborn(&self, text: &str) {
        let reason = format!("panicked while being made: {text}");
        self.change(|child| {
            child.last_trouble = Some(reason.clone());
            child.state = State::Failed { retry_after_ms: None };
        });
        match self.role {
            Role::Output => {
                error!(self.board.log, "actor failed"; "actor" => &*self.name, "reason" => reason)
            }
            Role::Chain => self.fatal(reason),
        }
    }

    /// Its life ended and no address is left, so that nothing can restart it. A stop for no reason of its own
    /// is the natural end of such a life.
    pub(crate) fn orphaned(&self, trouble: &Trouble) {
        if matches!(trouble, Trouble::Stopped(None) | Trouble::StartFailed(None)) {
            return;
        }
        let reason = format!("{trouble}, and nobody holds its address");
        self.change(|child| child.last_trouble = Some(reason.clone()));
        match self.role {
            Role::Output => error!(self.board.log, "actor ended"; "actor" => &*self.name, "reason" => reason),
            Role::Chain => self.fatal(reason),
        }
    }

    /// It panicked while it was stopped for good, when nothing is left to restart.
    pub(crate) fn panicked_at_its_end(&self, text: &str) {
        warn!(self.board.log, "actor panicked at its end"; "actor" => &*self.name, "reason" => text);
    }

    /// It has lived for a healthy while after an outage.
    pub(crate) fn recovered(&self, outage: Duration) {
        let restarts = self.read(|child| child.restarts);
        info!(self.board.log, "actor running again";
            "actor" => &*self.name, "restarts" => restarts, "outage" => short(outage));
    }

    /// Its thread takes no orders. False if that has just changed.
    pub(crate) fn blocked(&self) -> bool {
        let reason = match self.who_is_at_work() {
            Some(name) => format!("thread blocked by {name}"),
            None => "thread blocked".to_owned(),
        };
        let is_stuck = self.change(|child| {
            // Anything else was written by the child's own thread just now: it is free.
            let is_stuck = matches!(child.state, State::Starting | State::Running);
            if is_stuck {
                child.state = State::Blocked;
                child.last_trouble = Some(reason.clone());
            }
            is_stuck
        });
        match self.role {
            _ if !is_stuck => {}
            Role::Output => {
                error!(self.board.log, "actor failed"; "actor" => &*self.name, "reason" => reason)
            }
            Role::Chain => self.fatal(reason),
        }
        is_stuck
    }

    /// Its thread takes orders again, after so long.
    pub(crate) fn unblocked(&self, outage: Duration) {
        let is_running = self.change(|child| {
            if child.state == State::Blocked {
                child.state = State::Running;
            }
            child.state == State::Running
        });
        if is_running {
            self.recovered(outage);
        }
    }

    /// Asks the application to end the process.
    fn fatal(&self, reason: String) {
        crit!(self.board.log, "actor failed";
            "actor" => &*self.name, "reason" => &reason, "exit" => Fatal::EXIT_CODE);
        self.board.fatal.send_if_modified(|fatal| {
            // The first reason is the cause, what follows it is not.
            let is_first = fatal.is_none();
            fatal.get_or_insert_with(|| Fatal { actor: self.name.to_string(), reason });
            is_first
        });
    }

    fn read<T>(&self, read: impl FnOnce(&ChildHealth) -> T) -> T {
        // `enlist` made this row, and rows are never removed.
        read(&self.board.health.borrow().children[self.id])
    }

    fn change<T>(&self, change: impl FnOnce(&mut ChildHealth) -> T) -> T {
        let mut result = None;
        self.board.health.send_modify(|health| {
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

/// To the millisecond, as people read it: `1s`, `870ms`.
fn short(duration: Duration) -> String {
    format_duration(Duration::from_millis(millis(duration))).to_string()
}
