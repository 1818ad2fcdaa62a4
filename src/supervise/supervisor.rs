//! The supervisor: starts children on their arbiters and keeps them in start order.

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

use crate::supervise::child::{ChildSpec, StopHandle};
use crate::supervise::health::ServiceHealth;
use crate::supervise::messages::Ping;
use crate::supervise::ping_monitor::PingMonitor;
use crate::supervise::policy::SupervisionPolicy;
use crate::supervise::registry::{ArbiterThread, ChildStatus, FatalFailure, HealthRegistry};
use crate::supervise::runner::{ActorRunner, RunnerCommand, spawn_actor};

/// Owns the arbiters and the children; lives on the system's thread. If it is dropped without
/// [`shutdown`](Supervisor::shutdown), it stops every child and waits for none.
#[derive(Debug)]
pub struct Supervisor {
    pub(crate) log: Logger,
    policy: SupervisionPolicy,
    registry: Arc<HealthRegistry>,
    pub(crate) arbiters: BTreeMap<String, ArbiterSlot>,
    pub(crate) children: Vec<ChildHandle>,
}

/// An arbiter, and which child its thread is running.
#[derive(Debug)]
pub(crate) struct ArbiterSlot {
    pub(crate) arbiter: Arbiter,
    thread: Arc<ArbiterThread>,
}

/// The supervisor's side of a child.
#[derive(Debug)]
pub(crate) struct ChildHandle {
    pub(crate) status: ChildStatus,
    pub(crate) commands: mpsc::UnboundedSender<RunnerCommand>,
    pub(crate) arbiter: String,
    pub(crate) monitor: JoinHandle<()>,
}

impl Supervisor {
    /// Creates a supervisor without children; `policy` applies to all of them.
    pub fn new(log: Logger, policy: SupervisionPolicy) -> Self {
        let registry = HealthRegistry::new(log.clone());
        Self { log, policy, registry, arbiters: BTreeMap::new(), children: Vec::new() }
    }

    /// Starts a child and supervises it. The address is valid at once and outlives every failure.
    ///
    /// `make` runs once, on the child's thread; it receives the [`StopHandle`] with which the actor reports why it
    /// stops. Must be called on the system's thread, within its runtime.
    ///
    /// # Errors
    /// Fails if the name is in use or the system can't start a thread.
    pub fn start_child<A, F>(&mut self, child: ChildSpec, make: F) -> io::Result<Addr<A>>
    where
        A: Actor<Context = Context<A>> + Supervised + Handler<Ping>,
        F: FnOnce(StopHandle) -> A + Send + 'static,
    {
        if self.children.iter().any(|other| other.status.name() == child.name) {
            let message = format!("two children are named `{}`; child names must be unique", child.name);
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        let slot = self.arbiter_slot(&child.arbiter)?;
        let (handle, thread) = (slot.arbiter.handle(), Arc::clone(&slot.thread));
        let status = self.registry.register(&child.name, child.role, &thread);
        let (commands, receiver) = mpsc::unbounded_channel();
        let runner = ActorRunner::new(self.policy.clone(), status.clone(), receiver);
        let address = spawn_actor(&handle, child.capacity, runner, make);
        let ping = address.downgrade().recipient();
        let (policy, monitored) = (self.policy.clone(), status.clone());
        let monitor = PingMonitor { ping, commands: commands.clone(), status: monitored, policy };
        let monitor = actix_rt::spawn(monitor.run());
        self.children.push(ChildHandle { status, commands, arbiter: child.arbiter, monitor });
        Ok(address)
    }

    /// The health snapshot of all children, to watch.
    pub fn health(&self) -> watch::Receiver<ServiceHealth> {
        self.registry.health()
    }

    /// Resolves when a critical child has failed permanently: shut down and exit with [`FatalFailure::EXIT_CODE`].
    pub fn fatal(&self) -> impl Future<Output = FatalFailure> + use<> {
        let mut fatal = self.registry.fatal();
        async move {
            if let Ok(failure) = fatal.wait_for(Option::is_some).await
                && let Some(fatal) = failure.clone()
            {
                return fatal;
            }
            // The registry was dropped, and with it every child that could fail.
            pending().await
        }
    }

    fn arbiter_slot(&mut self, name: &str) -> io::Result<&ArbiterSlot> {
        match self.arbiters.entry(name.to_owned()) {
            Entry::Occupied(slot) => Ok(slot.into_mut()),
            Entry::Vacant(vacant) => {
                let arbiter = Arbiter::try_new().map_err(|error| {
                    let message = format!("cannot start the thread of arbiter `{name}`: {error}");
                    io::Error::new(error.kind(), message)
                })?;
                Ok(vacant.insert(ArbiterSlot { arbiter, thread: ArbiterThread::new() }))
            }
        }
    }
}

impl Drop for ChildHandle {
    fn drop(&mut self) {
        self.monitor.abort();
    }
}
