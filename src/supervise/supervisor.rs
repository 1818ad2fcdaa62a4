//! The children in start order, and the arbiters they live on.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::{Future, pending};
use std::io;
use std::sync::Arc;

use actix::{Actor, Addr, Context, Handler, Supervised};
use actix_rt::Arbiter;
use slog::Logger;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::supervise::board::{Board, Fatal, Reporter, Thread};
use crate::supervise::child::{Child, Lifeline};
use crate::supervise::health::Health;
use crate::supervise::keep::{Keeper, Order, keep};
use crate::supervise::messages::Ping;
use crate::supervise::policy::Policy;
use crate::supervise::pulse::Pulse;

/// Owns the arbiters and keeps the children. Lives on the system's thread. Dropped without
/// [`shutdown`](Supervisor::shutdown) it tells every child to end and waits for none.
#[derive(Debug)]
pub struct Supervisor {
    pub(crate) log: Logger,
    policy: Policy,
    board: Arc<Board>,
    pub(crate) arbiters: BTreeMap<String, Place>,
    pub(crate) children: Vec<Kept>,
}

/// An arbiter and whom its thread works for.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) arbiter: Arbiter,
    thread: Arc<Thread>,
}

/// A child as its supervisor holds it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) reporter: Reporter,
    pub(crate) orders: mpsc::UnboundedSender<Order>,
    pub(crate) arbiter: String,
    pub(crate) pulse: JoinHandle<()>,
}

impl Supervisor {
    /// A supervisor without children; `policy` is theirs unless they bring their own.
    #[must_use]
    pub fn new(log: Logger, policy: Policy) -> Self {
        let board = Board::new(log.clone());
        Self { log, policy, board, arbiters: BTreeMap::new(), children: Vec::new() }
    }

    /// Starts a child and keeps it. The address is valid at once and outlives every failure.
    ///
    /// `make` runs once, on the child's thread; the [`Lifeline`] it is handed is for the actor to say why
    /// it stops. Call it on the system's thread, within its runtime.
    ///
    /// # Errors
    /// When the name is taken, or the system gives no thread.
    pub fn keep<A, F>(&mut self, child: Child, make: F) -> io::Result<Addr<A>>
    where
        A: Actor<Context = Context<A>> + Supervised + Handler<Ping>,
        F: FnOnce(Lifeline) -> A + Send + 'static,
    {
        if self.children.iter().any(|kept| kept.reporter.name() == child.name) {
            let taken = format!("two children are named `{}`, each needs a name of its own", child.name);
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, taken));
        }
        let place = self.place(&child.arbiter)?;
        let (handle, thread) = (place.arbiter.handle(), Arc::clone(&place.thread));
        let policy = child.policy.unwrap_or_else(|| self.policy.clone());
        let reporter = self.board.enlist(&child.name, child.role, &thread);
        let (orders, inbox) = mpsc::unbounded_channel();
        let keeper = Keeper::new(policy.clone(), reporter.clone(), inbox);
        let address = keep(&handle, child.capacity, keeper, make);
        let ping = address.downgrade().recipient();
        let pulse = Pulse { ping, orders: orders.clone(), reporter: reporter.clone(), policy };
        let pulse = actix_rt::spawn(pulse.watch());
        self.children.push(Kept { reporter, orders, arbiter: child.arbiter, pulse });
        Ok(address)
    }

    /// The snapshot of all children, to watch.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.board.health()
    }

    /// Resolves when the process can't go on: shut down and return [`Fatal::EXIT_CODE`].
    pub fn fatal(&self) -> impl Future<Output = Fatal> + use<> {
        let mut fatal = self.board.fatal();
        async move {
            if let Ok(seen) = fatal.wait_for(Option::is_some).await
                && let Some(fatal) = seen.clone()
            {
                return fatal;
            }
            // The board is gone, and with it every child that could fail.
            pending().await
        }
    }

    fn place(&mut self, name: &str) -> io::Result<&Place> {
        match self.arbiters.entry(name.to_owned()) {
            Entry::Occupied(place) => Ok(place.into_mut()),
            Entry::Vacant(free) => {
                let arbiter = Arbiter::try_new().map_err(|error| {
                    let said = format!("no thread for arbiter `{name}`: {error}");
                    io::Error::new(error.kind(), said)
                })?;
                Ok(free.insert(Place { arbiter, thread: Thread::new() }))
            }
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.pulse.abort();
    }
}
