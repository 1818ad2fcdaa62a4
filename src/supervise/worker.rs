//! A thread for calls that may block for ever: a database, a disk, a name server.
//!
//! An actor that blocks can't be reached by any order, so its blocking calls run here, each with a deadline.
//! Past it the thread is abandoned with its call and a fresh one goes on with the queue. An abandoned thread
//! whose call returns after all drops the result and ends itself.
//!
//! ```text
//!            call                      done, or a panic was caught
//!  Idle ───────────► Working ───────────────────────────► Idle
//!                       │ deadline
//!                       ▼             limit reached
//!                   Abandoned ──────► Exhausted: calls fail at once
//!                       │ its call returns      │
//!                       ▼                       │ one returns
//!                     gone               Idle ◄─┘
//! ```

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use humantime::format_duration;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::supervise::panic::guarded;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It was still running at its deadline; its thread is abandoned.
    #[error("expected an answer within {}, but the call is still running", format_duration(*.after))]
    TimedOut {
        /// The deadline.
        after: Duration,
    },
    /// It had not begun at its deadline, since earlier calls took all the time; it will not run.
    #[error("not begun within {}: earlier calls took all the time", format_duration(*.after))]
    Busy {
        /// The deadline.
        after: Duration,
    },
    /// It panicked; the text is the panic's.
    #[error("the call panicked: {0}")]
    Panicked(String),
    /// As many threads as may be are stuck in calls that never returned; it will not run.
    #[error("{abandoned} threads are stuck in calls that never returned, and no more may be made")]
    Exhausted {
        /// How many.
        abandoned: usize,
    },
    /// The system gave no thread.
    #[error("no thread for the call: {0}")]
    NoThread(#[source] io::Error),
}

/// Runs blocking calls in order, on a thread that is replaced when a call does not return in time.
///
/// An actor keeps it among what outlives a restart, or the count of abandoned threads begins anew each time.
/// Dropped, it lets the calls that were taken finish.
pub struct Worker {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    limit: usize,
    desk: Mutex<Desk>,
    changed: Condvar,
}

/// What the worker's threads and callers share.
#[derive(Default)]
struct Desk {
    queue: VecDeque<Job>,
    next_ticket: u64,
    /// While a call runs: when its time is up.
    running: Option<Instant>,
    /// The number of the thread that serves the queue; a thread with an older number is abandoned.
    generation: u64,
    has_thread: bool,
    abandoned: usize,
    is_closed: bool,
}

/// A call in the queue.
struct Job {
    ticket: u64,
    until: Instant,
    run: Box<dyn FnOnce() + Send>,
}

impl Worker {
    /// A worker whose threads bear this name, of which at most `limit` may be abandoned at a time. The first
    /// thread is made with the first call.
    pub fn new(name: impl Into<String>, limit: usize) -> Self {
        let (desk, changed) = (Mutex::default(), Condvar::new());
        Self { shared: Arc::new(Shared { name: name.into(), limit, desk, changed }) }
    }

    /// Puts a call into the queue now and resolves with its result, at the latest `deadline` from now. The
    /// time spent in the queue counts. If the future is dropped, a call that has not begun never runs.
    ///
    /// # Errors
    /// When the call panics, is not over (or not begun) at its deadline, or there is no thread for it.
    pub fn call<T, F>(
        &self,
        deadline: Duration,
        work: F,
    ) -> impl Future<Output = Result<T, WorkerError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let until = Instant::now() + deadline;
        let (reply, answer) = oneshot::channel();
        let run = move || {
            if !reply.is_closed() {
                // A caller that is gone by now wants no result.
                let _ = reply.send(guarded(work));
            }
        };
        let ticket = self.shared.enter(until, Box::new(run));
        let shared = Arc::clone(&self.shared);
        async move {
            let ticket = ticket?;
            match timeout_at(until.into(), answer).await {
                Ok(Ok(done)) => done.map_err(WorkerError::Panicked),
                // The queue was dropped: no thread is left to serve it.
                Ok(Err(_)) => Err(WorkerError::Exhausted { abandoned: shared.lock().abandoned }),
                Err(_) => Err(shared.give_up(ticket, deadline)),
            }
        }
    }

    /// How many threads are stuck in calls past their deadline.
    #[must_use]
    pub fn abandoned(&self) -> usize {
        self.shared.lock().abandoned
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

impl Shared {
    /// No call runs under this lock; were it poisoned all the same, the desk is still in order.
    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a call into the queue and makes sure that a thread serves it.
    fn enter(self: &Arc<Self>, until: Instant, run: Box<dyn FnOnce() + Send>) -> Result<u64, WorkerError> {
        self.abandon_overdue();
        let mut desk = self.lock();
        if desk.abandoned >= self.limit {
            return Err(WorkerError::Exhausted { abandoned: desk.abandoned });
        }
        self.serve(&mut desk).map_err(WorkerError::NoThread)?;
        let ticket = desk.next_ticket;
        desk.next_ticket += 1;
        desk.queue.push_back(Job { ticket, until, run });
        self.changed.notify_all();
        Ok(ticket)
    }

    /// The time of a call is up: takes it out of the queue, or abandons the thread that runs it.
    fn give_up(self: &Arc<Self>, ticket: u64, after: Duration) -> WorkerError {
        self.abandon_overdue();
        let mut desk = self.lock();
        let place = desk.queue.iter().position(|job| job.ticket == ticket);
        let never_begun = place.and_then(|place| desk.queue.remove(place));
        drop(desk);
        match never_begun {
            Some(_) => WorkerError::Busy { after },
            None => WorkerError::TimedOut { after },
        }
    }

    /// If the running call's time is up, whoever made it, its thread is abandoned and the queue gets a fresh
    /// one, or is dropped when too many are stuck.
    fn abandon_overdue(self: &Arc<Self>) {
        let mut desk = self.lock();
        if desk.running.is_none_or(|until| Instant::now() < until) {
            return;
        }
        desk.running = None;
        desk.generation += 1;
        desk.has_thread = false;
        desk.abandoned += 1;
        let is_served =
            desk.queue.is_empty() || (desk.abandoned < self.limit && self.serve(&mut desk).is_ok());
        let dropped = if is_served { VecDeque::new() } else { std::mem::take(&mut desk.queue) };
        // What the calls hold is dropped outside the lock: it may be anything.
        drop(desk);
        drop(dropped);
    }

    /// Sees to it that there is a thread.
    fn serve(self: &Arc<Self>, desk: &mut Desk) -> io::Result<()> {
        if !desk.has_thread {
            let (shared, generation) = (Arc::clone(self), desk.generation);
            thread::Builder::new().name(self.name.clone()).spawn(move || shared.work(generation))?;
            desk.has_thread = true;
        }
        Ok(())
    }

    /// A thread's life: the queue in order, until it is abandoned or the worker is dropped.
    fn work(&self, generation: u64) {
        while let Some(run) = self.next_job() {
            // Only dropping a result that nobody waits for can still panic here.
            let _ = guarded(run);
            let mut desk = self.lock();
            if desk.generation != generation {
                desk.abandoned -= 1;
                return;
            }
            desk.running = None;
        }
    }

    /// Waits for the next call and notes that it runs; nothing once the worker is dropped and the queue empty.
    fn next_job(&self) -> Option<Box<dyn FnOnce() + Send>> {
        let mut desk = self.lock();
        loop {
            if let Some(job) = desk.queue.pop_front() {
                desk.running = Some(job.until);
                return Some(job.run);
            }
            if desk.is_closed {
                desk.has_thread = false;
                return None;
            }
            desk = self.changed.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
