//! Tells a broker, and through it Home Assistant, what the newest reports say.
//!
//! The actor itself never waits: the session lives in a future of its own on the actor's thread, which goes with
//! the actor's life and comes back with the next. What is not said yet is in the slot.

use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, ResponseFuture, Supervised, WrapFuture};
use slog::Logger;
use tokio::sync::{Notify, oneshot, watch};

use crate::messages::{EventOccurred, LatestReports, SlotUpdated};
use crate::mqtt::client::session::{Patience, Session};
use crate::mqtt::event_backlog::Unsaid;
use crate::mqtt::publisher::{BankView, Herald};
use crate::mqtt::task::{Inbox, Keeper};
use crate::mqtt::topics::Topics;
use crate::settings::MqttSettings;
use crate::supervise::{Flush, Ping, ServiceHealth, StopHandle};

/// What the output needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    /// The way there and what is said.
    pub(crate) settings: MqttSettings,
    /// Of whom.
    pub(crate) banks: Vec<BankView>,
    /// How long the broker may take.
    pub(crate) patience: Patience,
}

/// The broker's correspondent.
pub(crate) struct MqttActor {
    broker: Broker,
    slot: LatestReports,
    health: watch::Receiver<ServiceHealth>,
    log: Logger,
    lifeline: StopHandle,
    news: Arc<Notify>,
    /// Outlives restarts.
    events: Unsaid,
    stop: Option<oneshot::Sender<oneshot::Sender<()>>>,
}

impl MqttActor {
    /// Says what `slot` holds.
    #[must_use]
    pub(crate) fn new(
        broker: Broker,
        slot: LatestReports,
        health: watch::Receiver<ServiceHealth>,
        log: Logger,
        lifeline: StopHandle,
    ) -> Self {
        Self {
            broker,
            slot,
            health,
            log,
            lifeline,
            news: Arc::default(),
            events: Unsaid::default(),
            stop: None,
        }
    }

    fn inbox(&self) -> Inbox {
        let (slot, health) = (self.slot.clone(), self.health.clone());
        Inbox {
            take: Box::new(move || slot.take()),
            events: self.events.clone(),
            restarts: Box::new(move || health.borrow().children.iter().map(|child| child.restarts).sum()),
            news: self.news.clone(),
        }
    }
}

impl Actor for MqttActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Broker { settings, banks, patience } = &self.broker;
        let topics = Topics::new(settings);
        let session = match Session::new(settings, Some(topics.will()), *patience) {
            Ok(session) => session,
            Err(refusal) => {
                self.lifeline.give_up(refusal.to_string());
                ctx.stop();
                return;
            }
        };
        let (stop, asked) = oneshot::channel();
        self.stop = Some(stop);
        let herald = Herald::new(settings, banks, Instant::now());
        let target = settings.url.to_string();
        let keeper = Keeper::new(session, herald, topics, self.inbox(), target, self.log.clone());
        // What came in while it was away is still in the slot.
        self.news.notify_one();
        ctx.spawn(keeper.keep(asked).into_actor(self));
    }
}

impl Supervised for MqttActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.stop = None;
    }
}

impl Handler<SlotUpdated> for MqttActor {
    type Result = ();

    fn handle(&mut self, _: SlotUpdated, _: &mut Self::Context) {
        self.news.notify_one();
    }
}

impl Handler<EventOccurred> for MqttActor {
    type Result = ();

    /// Said at once, or when the broker is back; then the newest.
    fn handle(&mut self, EventOccurred(event): EventOccurred, _: &mut Self::Context) {
        self.events.push(event);
        self.news.notify_one();
    }
}

impl Handler<Ping> for MqttActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Flush> for MqttActor {
    type Result = ResponseFuture<()>;

    /// The service ends: whoever listens is told that nobody is there any more.
    fn handle(&mut self, _: Flush, _: &mut Self::Context) -> Self::Result {
        let (reply, left) = oneshot::channel();
        let asked = self.stop.take().is_some_and(|stop| stop.send(reply).is_ok());
        Box::pin(async move {
            if asked {
                // An error means that it has gone without a word: nothing is left to wait for.
                let _left = left.await;
            }
        })
    }
}
