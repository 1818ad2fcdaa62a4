//! The loop that runs one actor for ever, on its arbiter.
//!
//! The unwinding of a panic is caught inside the loop, around a single poll, so the context with its mailbox
//! is still there to be restarted. Every round passes a pause and a yield: an actor that stops in `started`
//! can't starve its thread.

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

use crate::supervise::board::Reporter;
use crate::supervise::child::{Lifeline, Note};
use crate::supervise::panic::guarded;
use crate::supervise::policy::{Fold, Judge, Policy, Trouble, Verdict};

/// What the supervisor tells the loop.
#[derive(Debug)]
pub(crate) enum Order {
    /// The actor hangs: restart it. Taken too late, it was the thread that was blocked, and nothing is
    /// wrong with the actor.
    Restart { by: Instant, taken: oneshot::Sender<()> },
    /// If it is in a pause, cut it short.
    Hurry,
    /// Stop for good.
    End,
}

/// Everything the loop has beside the actor.
#[derive(Debug)]
pub(crate) struct Keeper {
    policy: Policy,
    reporter: Reporter,
    orders: mpsc::UnboundedReceiver<Order>,
    lifeline: Lifeline,
    judge: Judge,
    fold: Fold,
    /// Since the first trouble that no healthy while has followed yet.
    down_since: Option<Instant>,
}

/// How a life ended.
enum Outcome {
    Trouble(Trouble),
    Ended,
}

/// Starts an actor on an arbiter and keeps it. The address is valid at once and for ever: until the end is
/// ordered, the supervisor is dropped, or no address is left.
pub(crate) fn keep<A, F>(arbiter: &ArbiterHandle, capacity: usize, keeper: Keeper, make: F) -> Addr<A>
where
    A: Actor<Context = Context<A>> + Supervised,
    F: FnOnce(Lifeline) -> A + Send + 'static,
{
    let (sender, receiver) = channel(capacity);
    let reporter = keeper.reporter.clone();
    let spawned = arbiter.spawn_fn(move || match guarded(|| make(keeper.lifeline.clone())) {
        Ok(actor) => {
            actix_rt::spawn(keeper.live(Context::with_receiver(receiver).into_future(actor)));
        }
        Err(text) => {
            keeper.reporter.stillborn(&text);
            actix_rt::spawn(keeper.lie_in_state());
        }
    });
    if !spawned {
        reporter.ended();
    }
    Addr::new(sender)
}

impl Keeper {
    pub(crate) fn new(policy: Policy, reporter: Reporter, orders: mpsc::UnboundedReceiver<Order>) -> Self {
        Self {
            judge: Judge::new(policy.clone(), reporter.role()),
            policy,
            reporter,
            orders,
            lifeline: Lifeline::default(),
            fold: Fold::default(),
            down_since: None,
        }
    }

    async fn live<A>(mut self, mut run: ContextFut<A, Context<A>>)
    where
        A: Actor<Context = Context<A>> + Supervised,
    {
        let mut outcome = self.life(&mut run).await;
        while let Outcome::Trouble(trouble) = outcome {
            if !run.ctx().connected() {
                self.reporter.orphaned(&trouble);
                break;
            }
            let now = Instant::now();
            self.down_since.get_or_insert(now);
            let verdict = self.judge.judge(&trouble, now, fastrand::f64());
            self.reporter.troubled(&trouble, verdict, |reason| self.fold.is_worth_a_line(reason));
            if !self.pause(verdict).await {
                break;
            }
            yield_now().await;
            self.reporter.starting();
            outcome = match self.reporter.at_work(|| guarded(|| run.restart())) {
                Ok(true) => self.life(&mut run).await,
                Ok(false) => Outcome::Ended,
                Err(text) => Outcome::Trouble(Trouble::Panicked(text)),
            };
        }
        if !run.ctx().parts().started() {
            // Dropped as it is, the context would start the actor in order to stop it.
            run.ctx().terminate();
        }
        if let Err(text) = self.reporter.at_work(|| guarded(|| drop(run))) {
            self.reporter.panicked_at_its_end(&text);
        }
        self.reporter.ended();
    }

    /// Runs the actor until it stops, panics, hangs or is told to end.
    async fn life<A>(&mut self, run: &mut ContextFut<A, Context<A>>) -> Outcome
    where
        A: Actor<Context = Context<A>> + Supervised,
    {
        let Self { policy, reporter, orders, lifeline, judge, fold, down_since } = self;
        let born = Instant::now();
        let mut is_starting = true;
        let mut is_settled = false;
        let mut settled = pin!(sleep(policy.healthy_after));
        loop {
            select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::Restart { by, taken }) => {
                        let in_time = Instant::now() <= by;
                        // The supervisor may have stopped waiting; then nobody needs the answer.
                        let _ = taken.send(());
                        if in_time {
                            return Outcome::Trouble(Trouble::Hung(policy.ping_timeout));
                        }
                    }
                    Some(Order::Hurry) => {}
                    Some(Order::End) | None => return Outcome::Ended,
                },
                end = poll_fn(|cx| {
                    let polled = poll_guarded(run, reporter, cx);
                    if polled.is_pending() && is_starting {
                        is_starting = false;
                        reporter.running();
                    }
                    polled
                }) => return Outcome::Trouble(trouble(end, lifeline.take(), is_starting)),
                () = &mut settled, if !is_settled => {
                    is_settled = true;
                    judge.healthy();
                    *fold = Fold::default();
                    if let Some(since) = down_since.take() {
                        reporter.recovered(born.saturating_duration_since(since));
                    }
                }
            }
        }
    }

    /// Without an instance there is nothing to restart: waits for the end.
    async fn lie_in_state(mut self) {
        self.pause(Verdict::Fatal).await;
        self.reporter.ended();
    }

    /// Waits as long as the verdict says; false if the end came first.
    async fn pause(&mut self, verdict: Verdict) -> bool {
        let mut over = pin!(async {
            match verdict {
                Verdict::Restart(pause) | Verdict::Fail(pause) => sleep(pause).await,
                Verdict::Fatal => pending().await,
            }
        });
        loop {
            select! {
                biased;
                order = self.orders.recv() => match order {
                    Some(Order::Restart { taken, .. }) => {
                        // It is being restarted already.
                        let _ = taken.send(());
                    }
                    Some(Order::Hurry) if verdict != Verdict::Fatal => return true,
                    Some(Order::Hurry) => {}
                    Some(Order::End) | None => return false,
                },
                () = &mut over => return true,
            }
        }
    }
}

/// What to call the end of a life nobody had asked for.
fn trouble(end: Result<(), String>, note: Option<Note>, is_starting: bool) -> Trouble {
    match (end, note) {
        (Err(text), _) => Trouble::Panicked(text),
        (Ok(()), Some(Note { reason, gave_up: true })) => Trouble::GaveUp(reason),
        (Ok(()), note) => {
            let reason = note.map(|note| note.reason);
            if is_starting { Trouble::StartFailed(reason) } else { Trouble::Stopped(reason) }
        }
    }
}

/// One poll of the actor; a panic becomes its text.
fn poll_guarded<A>(
    run: &mut ContextFut<A, Context<A>>,
    reporter: &Reporter,
    cx: &mut task::Context<'_>,
) -> Poll<Result<(), String>>
where
    A: Actor<Context = Context<A>>,
{
    match reporter.at_work(|| guarded(|| Pin::new(run).poll(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(text) => Poll::Ready(Err(text)),
    }
}
