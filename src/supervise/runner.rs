//! The loop that runs one actor on its arbiter and restarts it in place.
//!
//! A panic is caught inside the loop, around a single poll, so the context and its mailbox survive and can be
//! restarted. Every iteration waits for the backoff and yields: an actor that stops in `started` can't starve its
//! thread.

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::{self, Poll};
use std::time::Instant;

use actix::dev::channel::channel;
use actix::dev::{AsyncContextParts, ContextFut};
use actix::{Actor, ActorContext, Addr, Context, Supervised};
use actix_rt::ArbiterHandle;
use tokio::select;
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::supervise::child::{StopHandle, StopReason};
use crate::supervise::panic::catch_panic;
use crate::supervise::policy::{
    ChildFailure, LogThrottle, RestartDecision, RestartTracker, SupervisionPolicy,
};
use crate::supervise::registry::ChildStatus;

/// A command of the supervisor to the loop.
#[derive(Debug)]
pub(crate) enum RunnerCommand {
    /// Restart the actor, because it hangs. A command received after `deadline` is ignored: then the thread was
    /// blocked, and nothing is wrong with this actor.
    Restart { deadline: Instant, received: oneshot::Sender<()> },
    /// End the current backoff pause, if any.
    SkipBackoff,
    /// Stop for good.
    Stop,
}

/// The state of the loop, next to the actor itself.
#[derive(Debug)]
pub(crate) struct ActorRunner {
    policy: SupervisionPolicy,
    status: ChildStatus,
    commands: mpsc::UnboundedReceiver<RunnerCommand>,
    stop_handle: StopHandle,
    restarts: RestartTracker,
    log_throttle: LogThrottle,
    /// The first failure since the actor was last healthy.
    down_since: Option<Instant>,
}

enum RunOutcome {
    Failed(ChildFailure),
    Ended,
}

/// Starts an actor on an arbiter. The address is valid at once and stays valid until the actor is stopped, the
/// supervisor is dropped, or no address is left.
pub(crate) fn spawn_actor<A, F>(
    arbiter: &ArbiterHandle,
    capacity: usize,
    runner: ActorRunner,
    make: F,
) -> Addr<A>
where
    A: Actor<Context = Context<A>> + Supervised,
    F: FnOnce(StopHandle) -> A + Send + 'static,
{
    let (sender, receiver) = channel(capacity);
    let status = runner.status.clone();
    let spawned = arbiter.spawn_fn(move || match catch_panic(|| make(runner.stop_handle.clone())) {
        Ok(actor) => {
            actix_rt::spawn(runner.run(Context::with_receiver(receiver).into_future(actor)));
        }
        Err(message) => {
            runner.status.constructor_panicked(&message);
            actix_rt::spawn(runner.wait_for_shutdown());
        }
    });
    if !spawned {
        status.ended();
    }
    Addr::new(sender)
}

impl ActorRunner {
    pub(crate) fn new(
        policy: SupervisionPolicy,
        status: ChildStatus,
        commands: mpsc::UnboundedReceiver<RunnerCommand>,
    ) -> Self {
        Self {
            restarts: RestartTracker::new(policy.clone(), status.role()),
            policy,
            status,
            commands,
            stop_handle: StopHandle::default(),
            log_throttle: LogThrottle::default(),
            down_since: None,
        }
    }

    async fn run<A>(mut self, mut actor: ContextFut<A, Context<A>>)
    where
        A: Actor<Context = Context<A>> + Supervised,
    {
        let mut outcome = self.run_until_failure(&mut actor).await;
        while let RunOutcome::Failed(failure) = outcome {
            if !actor.ctx().connected() {
                self.status.address_dropped(&failure);
                break;
            }
            let now = Instant::now();
            self.down_since.get_or_insert(now);
            let decision = self.restarts.decide(&failure, now, fastrand::f64());
            self.status.failed(&failure, decision, |reason| self.log_throttle.should_log(reason));
            if !self.back_off(decision).await {
                break;
            }
            yield_now().await;
            self.status.starting();
            outcome = match self.status.run_active(|| catch_panic(|| actor.restart())) {
                Ok(true) => self.run_until_failure(&mut actor).await,
                Ok(false) => RunOutcome::Ended,
                Err(message) => RunOutcome::Failed(ChildFailure::Panicked(message)),
            };
        }
        if !actor.ctx().parts().started() {
            // If it were dropped as it is, the context would start the actor in order to stop it.
            actor.ctx().terminate();
        }
        if let Err(message) = self.status.run_active(|| catch_panic(|| drop(actor))) {
            self.status.panicked_while_stopping(&message);
        }
        self.status.ended();
    }

    /// Runs the actor until it stops, panics, hangs or receives [`RunnerCommand::Stop`].
    async fn run_until_failure<A>(&mut self, actor: &mut ContextFut<A, Context<A>>) -> RunOutcome
    where
        A: Actor<Context = Context<A>> + Supervised,
    {
        let Self { policy, status, commands, stop_handle, restarts, log_throttle, down_since } = self;
        let started_at = Instant::now();
        let mut is_starting = true;
        let mut is_healthy = false;
        let mut healthy = pin!(sleep(policy.healthy_after));
        loop {
            select! {
                biased;
                command = commands.recv() => match command {
                    Some(RunnerCommand::Restart { deadline, received }) => {
                        let in_time = Instant::now() <= deadline;
                        // An error means that the supervisor has stopped waiting.
                        let _ = received.send(());
                        if in_time {
                            return RunOutcome::Failed(ChildFailure::Hung(policy.ping_timeout));
                        }
                    }
                    Some(RunnerCommand::SkipBackoff) => {}
                    Some(RunnerCommand::Stop) | None => return RunOutcome::Ended,
                },
                end = poll_fn(|cx| {
                    let polled = poll_catching_panics(actor, status, cx);
                    if polled.is_pending() && is_starting {
                        is_starting = false;
                        status.running();
                    }
                    polled
                }) => return RunOutcome::Failed(classify_failure(end, stop_handle.take(), is_starting)),
                () = &mut healthy, if !is_healthy => {
                    is_healthy = true;
                    restarts.reset();
                    *log_throttle = LogThrottle::default();
                    if let Some(since) = down_since.take() {
                        status.recovered(started_at.saturating_duration_since(since));
                    }
                }
            }
        }
    }

    /// Without an instance there is nothing to restart: waits for the supervisor to stop the child.
    async fn wait_for_shutdown(mut self) {
        self.back_off(RestartDecision::Fatal).await;
        self.status.ended();
    }

    /// Pauses as long as `decision` demands; returns false if the child was stopped meanwhile.
    async fn back_off(&mut self, decision: RestartDecision) -> bool {
        let mut pause = pin!(async {
            match decision {
                RestartDecision::Restart(pause) | RestartDecision::Fail(pause) => sleep(pause).await,
                RestartDecision::Fatal => pending().await,
            }
        });
        loop {
            select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(RunnerCommand::Restart { received, .. }) => {
                        // A restart is under way already.
                        let _ = received.send(());
                    }
                    Some(RunnerCommand::SkipBackoff) if decision != RestartDecision::Fatal => return true,
                    Some(RunnerCommand::SkipBackoff) => {}
                    Some(RunnerCommand::Stop) | None => return false,
                },
                () = &mut pause => return true,
            }
        }
    }
}

/// Classifies an end that the supervisor did not ask for.
fn classify_failure(end: Result<(), String>, reason: Option<StopReason>, is_starting: bool) -> ChildFailure {
    match (end, reason) {
        (Err(message), _) => ChildFailure::Panicked(message),
        (Ok(()), Some(StopReason { reason, gave_up: true })) => ChildFailure::GaveUp(reason),
        (Ok(()), reason) => {
            let reason = reason.map(|reason| reason.reason);
            if is_starting { ChildFailure::StartFailed(reason) } else { ChildFailure::Stopped(reason) }
        }
    }
}

/// Polls the actor once; a panic becomes its message.
fn poll_catching_panics<A>(
    actor: &mut ContextFut<A, Context<A>>,
    status: &ChildStatus,
    cx: &mut task::Context<'_>,
) -> Poll<Result<(), String>>
where
    A: Actor<Context = Context<A>>,
{
    match status.run_active(|| catch_panic(|| Pin::new(actor).poll(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(message) => Poll::Ready(Err(message)),
    }
}
