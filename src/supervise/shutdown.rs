//! The ordered end: sources first, then what is held is let out down the flow, then the outputs, then the
//! threads. Whoever is late or stuck is named and left behind; the total time is a promise.
//!
//! ```text
//! end the sources ─► flush, stage by stage ─► end the outputs ─► end all others ─► join the threads ─► Report
//! ```
//!
//! Every step may take an equal share of the time that is left, so that one late child can't take it all.

use std::time::{Duration, Instant};

use actix::Recipient;
use actix_rt::Arbiter;
use futures_util::future::join_all;
use humantime::format_duration;
use slog::warn;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::supervise::health::{Health, State};
use crate::supervise::keep::Order;
use crate::supervise::messages::Flush;
use crate::supervise::supervisor::Supervisor;

/// A step of the shutdown, for children side by side.
#[derive(Debug)]
pub enum Phase {
    /// They stop for good; what is still in their mailboxes is dropped.
    End(Vec<String>),
    /// They let go of what they hold; a child in a pause is woken to do it.
    Flush(Vec<(String, Recipient<Flush>)>),
}

impl Phase {
    /// Ends the children of these names.
    pub fn end<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::End(names.into_iter().map(Into::into).collect())
    }

    /// Flushes the children of these names, at these addresses.
    pub fn flush<N: Into<String>>(children: impl IntoIterator<Item = (N, Recipient<Flush>)>) -> Self {
        Self::Flush(children.into_iter().map(|(name, flush)| (name.into(), flush)).collect())
    }
}

/// How the shutdown went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Who did not do its part in time.
    pub late: Vec<Late>,
    /// Whose threads are stuck and were left behind: the child at work, else the arbiter.
    pub blocked: Vec<String>,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Report {
    /// Whether all did their part in time.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.late.is_empty() && self.blocked.is_empty()
    }
}

/// A child that did not do its part in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    /// The child.
    pub actor: String,
    /// What it was asked: `flush` or `end`.
    pub part: &'static str,
}

impl Supervisor {
    /// Ends all children, phase by phase, and joins their threads, in no more time than `within`. Children
    /// that no phase ends are ended last.
    pub async fn shutdown(mut self, phases: Vec<Phase>, within: Duration) -> Report {
        let start = Instant::now();
        // From here on nobody is restarted for being busy.
        self.children.iter().for_each(|kept| kept.pulse.abort());
        let all = self.children.iter().map(|kept| kept.reporter.name().to_owned());
        let rest = Phase::End(all.collect());
        // The phases, the rest, and the threads.
        let mut steps_left = u32::try_from(phases.len()).unwrap_or(u32::MAX - 2) + 2;
        let mut share = || {
            let share = within.saturating_sub(start.elapsed()) / steps_left;
            steps_left -= 1;
            share
        };

        let mut late: Vec<Late> = Vec::new();
        for phase in phases.into_iter().chain([rest]) {
            let (part, names) = match phase {
                Phase::End(names) => ("end", self.end(names, share()).await),
                Phase::Flush(children) => ("flush", self.flush(children, share()).await),
            };
            for actor in names {
                let new = Late { actor, part };
                if !late.contains(&new) {
                    warn!(self.log, "actor late"; "actor" => &new.actor, "part" => part);
                    late.push(new);
                }
            }
        }
        let blocked = self.join(share()).await;
        Report { late, blocked, took: start.elapsed() }
    }

    /// Tells children to end; returns those that have not by then.
    async fn end(&self, names: Vec<String>, within: Duration) -> Vec<String> {
        self.order(&names, || Order::End);
        let mut health = self.health();
        let has_ended = |name: &String, health: &Health| {
            health.child(name).is_none_or(|child| child.state == State::Ended)
        };
        // Whether it was in time is read off the snapshot.
        let _ =
            timeout(within, health.wait_for(|health| names.iter().all(|name| has_ended(name, health)))).await;
        let now = health.borrow();
        names.into_iter().filter(|name| !has_ended(name, &now)).collect()
    }

    /// Asks children to let go of what they hold; returns those that have not by then.
    async fn flush(&self, children: Vec<(String, Recipient<Flush>)>, within: Duration) -> Vec<String> {
        let names: Vec<_> = children.iter().map(|(name, _)| name.clone()).collect();
        self.order(&names, || Order::Hurry);
        let flushes =
            children.into_iter().filter(|(_, flush)| flush.connected()).map(|(name, flush)| async move {
                let flushed = timeout(within, flush.send(Flush)).await;
                (!matches!(flushed, Ok(Ok(())))).then_some(name)
            });
        join_all(flushes).await.into_iter().flatten().collect()
    }

    fn order(&self, names: &[String], order: impl Fn() -> Order) {
        for kept in self.children.iter().filter(|kept| names.iter().any(|name| name == kept.reporter.name()))
        {
            // An error means that it has ended.
            let _ = kept.orders.send(order());
        }
    }

    /// Stops the arbiters and waits for their threads; returns whose are stuck.
    async fn join(&mut self, within: Duration) -> Vec<String> {
        let joins = std::mem::take(&mut self.arbiters).into_iter().map(|(name, place)| {
            place.arbiter.stop();
            let joined = join_elsewhere(place.arbiter);
            async move { timeout(within, joined).await.is_err().then_some(name) }
        });
        let stuck: Vec<_> = join_all(joins).await.into_iter().flatten().collect();
        let at_work = stuck.into_iter().map(|arbiter| {
            let child = self.children.iter().find(|kept| kept.arbiter == arbiter);
            child.and_then(|kept| kept.reporter.who_is_at_work()).unwrap_or(arbiter)
        });
        let blocked: Vec<_> = at_work.collect();
        for actor in &blocked {
            warn!(self.log, "thread left behind"; "actor" => actor, "waited" => %format_duration(within));
        }
        blocked
    }
}

/// Joins an arbiter on a thread that may be left behind with it.
async fn join_elsewhere(arbiter: Arbiter) {
    let (joined, join) = oneshot::channel();
    let helper = std::thread::Builder::new().name("join".into()).spawn(move || {
        // A thread that ended by a panic has ended, too; and nobody may be waiting any more.
        let _ = arbiter.join();
        let _ = joined.send(());
    });
    match helper {
        // Resolves when the helper is done.
        Ok(_) => drop(join.await),
        // Without a helper nobody can tell; the waiting runs into its deadline.
        Err(_) => std::future::pending().await,
    }
}
