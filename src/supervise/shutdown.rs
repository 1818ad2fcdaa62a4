//! The ordered shutdown: the sources stop first, buffered data is flushed down the flow, then the outputs stop, then
//! the threads are joined. Children and threads that miss their deadline are logged and left behind, so that the total
//! time is bounded.
//!
//! ```text
//! stop the sources ─► flush, stage by stage ─► stop the outputs ─► stop all others ─► join the threads ─► report
//! ```
//!
//! Each step gets an equal share of the remaining time, so that one late child can't use it all.

use std::time::{Duration, Instant};

use actix::Recipient;
use actix_rt::Arbiter;
use futures_util::future::join_all;
use humantime::format_duration;
use slog::warn;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::supervise::health::{ChildState, ServiceHealth};
use crate::supervise::messages::Flush;
use crate::supervise::runner::RunnerCommand;
use crate::supervise::supervisor::Supervisor;

/// A step of the shutdown; its children are handled concurrently.
#[derive(Debug)]
pub enum ShutdownPhase {
    /// Stops children for good; what is left in their mailboxes is dropped.
    End(Vec<String>),
    /// Flushes children; one that is backing off is restarted at once.
    Flush(Vec<(String, Recipient<Flush>)>),
}

impl ShutdownPhase {
    pub fn end<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::End(names.into_iter().map(Into::into).collect())
    }

    pub fn flush<N: Into<String>>(children: impl IntoIterator<Item = (N, Recipient<Flush>)>) -> Self {
        Self::Flush(children.into_iter().map(|(name, flush)| (name.into(), flush)).collect())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownReport {
    pub late: Vec<LateChild>,
    /// The threads that were left behind: the child that blocks each, else its arbiter.
    pub blocked: Vec<String>,
    pub(crate) took: Duration,
}

impl ShutdownReport {
    pub fn is_clean(&self) -> bool {
        self.late.is_empty() && self.blocked.is_empty()
    }
}

/// A child that missed the deadline of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateChild {
    /// The child.
    pub actor: String,
    /// `flush` or `end`.
    pub part: &'static str,
}

impl Supervisor {
    /// Stops all children, phase by phase, and joins their threads, within `time_limit`. Children that no phase stops
    /// are stopped last.
    pub async fn shutdown(mut self, phases: Vec<ShutdownPhase>, time_limit: Duration) -> ShutdownReport {
        let start = Instant::now();
        // From here on no child is restarted for being busy.
        self.children.iter().for_each(|child| child.monitor.abort());
        let all = self.children.iter().map(|child| child.status.name().to_owned());
        let remaining = ShutdownPhase::End(all.collect());
        // The phases, the remaining children, and the threads.
        let mut steps_left = u32::try_from(phases.len()).unwrap_or(u32::MAX - 2) + 2;
        let mut share = || {
            let share = time_limit.saturating_sub(start.elapsed()) / steps_left;
            steps_left -= 1;
            share
        };

        let mut late: Vec<LateChild> = Vec::new();
        for phase in phases.into_iter().chain([remaining]) {
            let (part, names) = match phase {
                ShutdownPhase::End(names) => ("end", self.stop(names, share()).await),
                ShutdownPhase::Flush(children) => ("flush", self.flush(children, share()).await),
            };
            for actor in names {
                let new = LateChild { actor, part };
                if !late.contains(&new) {
                    warn!(self.log, "actor late"; "actor" => &new.actor, "part" => part);
                    late.push(new);
                }
            }
        }
        let blocked = self.join(share()).await;
        ShutdownReport { late, blocked, took: start.elapsed() }
    }

    /// Stops children; returns those that have not ended in time.
    async fn stop(&self, names: Vec<String>, time_limit: Duration) -> Vec<String> {
        self.send(&names, || RunnerCommand::Stop);
        let mut health = self.health();
        let has_ended = |name: &String, health: &ServiceHealth| {
            health.child(name).is_none_or(|child| child.state == ChildState::Ended)
        };
        // The snapshot shows below which have ended in time.
        let _ =
            timeout(time_limit, health.wait_for(|health| names.iter().all(|name| has_ended(name, health))))
                .await;
        let now = health.borrow();
        names.into_iter().filter(|name| !has_ended(name, &now)).collect()
    }

    /// Flushes children; returns those that have not answered in time.
    async fn flush(&self, children: Vec<(String, Recipient<Flush>)>, time_limit: Duration) -> Vec<String> {
        let names: Vec<_> = children.iter().map(|(name, _)| name.clone()).collect();
        self.send(&names, || RunnerCommand::SkipBackoff);
        let flushes =
            children.into_iter().filter(|(_, flush)| flush.connected()).map(|(name, flush)| async move {
                let flushed = timeout(time_limit, flush.send(Flush)).await;
                (!matches!(flushed, Ok(Ok(())))).then_some(name)
            });
        join_all(flushes).await.into_iter().flatten().collect()
    }

    fn send(&self, names: &[String], command: impl Fn() -> RunnerCommand) {
        for child in self.children.iter().filter(|child| names.iter().any(|name| name == child.status.name()))
        {
            // An error means that the child has ended.
            let _ = child.commands.send(command());
        }
    }

    /// Stops the arbiters and joins their threads; returns who blocks the threads that are stuck.
    async fn join(&mut self, time_limit: Duration) -> Vec<String> {
        let joins = std::mem::take(&mut self.arbiters).into_iter().map(|(name, slot)| {
            slot.arbiter.stop();
            let joined = join_on_helper_thread(slot.arbiter);
            async move { timeout(time_limit, joined).await.is_err().then_some(name) }
        });
        let stuck: Vec<_> = join_all(joins).await.into_iter().flatten().collect();
        let culprits = stuck.into_iter().map(|arbiter| {
            let child = self.children.iter().find(|child| child.arbiter == arbiter);
            child.and_then(|child| child.status.active_child()).unwrap_or(arbiter)
        });
        let blocked: Vec<_> = culprits.collect();
        for actor in &blocked {
            warn!(self.log, "thread left behind"; "actor" => actor, "waited" => %format_duration(time_limit));
        }
        blocked
    }
}

/// Joins an arbiter on a helper thread that can be left behind if the join hangs.
async fn join_on_helper_thread(arbiter: Arbiter) {
    let (joined, on_joined) = oneshot::channel();
    let helper = std::thread::Builder::new().name("join".into()).spawn(move || {
        // A thread that panicked has ended as well; and the receiver may be gone.
        let _ = arbiter.join();
        let _ = joined.send(());
    });
    match helper {
        Ok(_) => drop(on_joined.await),
        // Without a helper thread the join can't be awaited; the caller runs into its timeout.
        Err(_) => std::future::pending().await,
    }
}
