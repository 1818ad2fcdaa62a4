//! A worker thread for calls that may block forever: to a database, a disk, a name server.
//!
//! A blocked actor can't receive any command, so blocking calls run here, each with a deadline. If a call misses its
//! deadline, its thread is abandoned and a new one serves the queue. An abandoned thread whose call returns after all
//! drops the result and ends.
//!
//! ```text
//!            call                      returned or panicked
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
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use humantime::format_duration;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::supervise::panic::catch_panic;

#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The call missed its deadline; its thread is abandoned.
    #[error("expected an answer within {}, but the call is still running", format_duration(*.after))]
    TimedOut { after: Duration },
    /// The call had not started by its deadline and will not run.
    #[error("not started within {}: earlier calls took all the time", format_duration(*.after))]
    Busy { after: Duration },
    #[error("the call panicked: {0}")]
    Panicked(String),
    /// The limit of abandoned threads is reached; the call will not run.
    #[error("{abandoned} threads are stuck in calls that never returned; no further thread is started")]
    Exhausted { abandoned: usize },
    #[error("cannot start a thread for the call: {0}")]
    NoThread(#[source] io::Error),
}

/// Runs blocking calls in order, on a thread that is replaced when a call does not return in time.
///
/// An actor must keep it across restarts, or the count of abandoned threads restarts at zero each time. When it is
/// dropped, the queued calls still run.
pub struct Worker {
    shared: Arc<SharedQueue>,
}

struct SharedQueue {
    name: String,
    limit: usize,
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    queue: VecDeque<QueuedCall>,
    next_ticket: u64,
    /// The deadline of the call that is running.
    running_until: Option<Instant>,
    /// The number of the thread that serves the queue; a thread with an older number is abandoned.
    generation: u64,
    has_thread: bool,
    abandoned: usize,
    is_closed: bool,
}

struct QueuedCall {
    ticket: u64,
    deadline: Instant,
    run: Box<dyn FnOnce() + Send>,
}

impl Worker {
    /// Creates a worker whose threads have this name and of which at most `limit` may be abandoned at a time. The first
    /// thread is started with the first call.
    pub fn new(name: impl Into<String>, limit: usize) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self { shared: Arc::new(SharedQueue { name: name.into(), limit, state, changed }) }
    }

    /// Queues a call and resolves with its result, or with an error once `timeout` has passed, the time in the queue
    /// included. If the future is dropped, a call that has not started never runs.
    ///
    /// # Errors
    /// Fails if the call panics, has not finished (or started) by its deadline, or there is no thread for it.
    pub fn call<T, F>(
        &self,
        timeout: Duration,
        work: F,
    ) -> impl Future<Output = Result<T, WorkerError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let deadline = Instant::now() + timeout;
        let (reply, answer) = oneshot::channel();
        let run = move || {
            if !reply.is_closed() {
                // An error means that the caller is gone.
                let _ = reply.send(catch_panic(work));
            }
        };
        let ticket = self.shared.enqueue(deadline, Box::new(run));
        let shared = Arc::clone(&self.shared);
        async move {
            let ticket = ticket?;
            match timeout_at(deadline.into(), answer).await {
                Ok(Ok(result)) => result.map_err(WorkerError::Panicked),
                // The queue was dropped: no thread is left to serve it.
                Ok(Err(_)) => Err(WorkerError::Exhausted { abandoned: shared.state.lock().abandoned }),
                Err(_) => Err(shared.time_out(ticket, timeout)),
            }
        }
    }

    /// How many threads are stuck in calls past their deadline.
    #[cfg(feature = "internals")]
    pub fn abandoned(&self) -> usize {
        self.shared.state.lock().abandoned
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.state.lock().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

impl SharedQueue {
    /// Queues a call and makes sure that a thread serves the queue.
    fn enqueue(
        self: &Arc<Self>,
        deadline: Instant,
        run: Box<dyn FnOnce() + Send>,
    ) -> Result<u64, WorkerError> {
        self.abandon_overdue();
        let mut state = self.state.lock();
        if state.abandoned >= self.limit {
            return Err(WorkerError::Exhausted { abandoned: state.abandoned });
        }
        self.ensure_thread(&mut state).map_err(WorkerError::NoThread)?;
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.queue.push_back(QueuedCall { ticket, deadline, run });
        self.changed.notify_all();
        Ok(ticket)
    }

    /// A call has missed its deadline: removes it from the queue, or abandons the thread that runs it.
    fn time_out(self: &Arc<Self>, ticket: u64, after: Duration) -> WorkerError {
        self.abandon_overdue();
        let mut state = self.state.lock();
        let index = state.queue.iter().position(|call| call.ticket == ticket);
        let not_started = index.and_then(|index| state.queue.remove(index));
        drop(state);
        match not_started {
            Some(_) => WorkerError::Busy { after },
            None => WorkerError::TimedOut { after },
        }
    }

    /// Abandons the thread of the running call if that has missed its deadline. The queue gets a new thread, or is
    /// dropped if too many are stuck.
    fn abandon_overdue(self: &Arc<Self>) {
        let mut state = self.state.lock();
        if state.running_until.is_none_or(|deadline| Instant::now() < deadline) {
            return;
        }
        state.running_until = None;
        state.generation += 1;
        state.has_thread = false;
        state.abandoned += 1;
        let is_served = state.queue.is_empty()
            || (state.abandoned < self.limit && self.ensure_thread(&mut state).is_ok());
        let dropped = if is_served { VecDeque::new() } else { std::mem::take(&mut state.queue) };
        // Dropped outside the lock, because the calls may own anything.
        drop(state);
        drop(dropped);
    }

    /// Starts a thread for the queue unless there is one.
    fn ensure_thread(self: &Arc<Self>, state: &mut QueueState) -> io::Result<()> {
        if !state.has_thread {
            let (shared, generation) = (Arc::clone(self), state.generation);
            thread::Builder::new().name(self.name.clone()).spawn(move || shared.run_queue(generation))?;
            state.has_thread = true;
        }
        Ok(())
    }

    /// The body of a worker thread: runs the queue in order until it is abandoned or the worker is dropped.
    fn run_queue(&self, generation: u64) {
        while let Some(run) = self.next_call() {
            // Only the drop of an unwanted result can still panic here.
            let _ = catch_panic(run);
            let mut state = self.state.lock();
            if state.generation != generation {
                state.abandoned -= 1;
                return;
            }
            state.running_until = None;
        }
    }

    /// Waits for the next call and marks it as running; `None` once the worker is dropped and the queue is empty.
    fn next_call(&self) -> Option<Box<dyn FnOnce() + Send>> {
        let mut state = self.state.lock();
        loop {
            if let Some(call) = state.queue.pop_front() {
                state.running_until = Some(call.deadline);
                return Some(call.run);
            }
            if state.is_closed {
                state.has_thread = false;
                return None;
            }
            self.changed.wait(&mut state);
        }
    }
}
