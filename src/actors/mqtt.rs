//! Publishes the newest reports to an MQTT broker and to Home Assistant.
//!
//! The actor itself never waits: the session runs in a future on the actor's thread, which ends with the actor and is
//! started again with it. Reports that are not published yet stay in the slot.

use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, ResponseFuture, Supervised, WrapFuture};
use slog::Logger;
use tokio::sync::{Notify, oneshot, watch};

use crate::messages::{EventOccurred, LatestReports, SlotUpdated};
use crate::mqtt::client::session::{MqttSession, MqttTimeouts};
use crate::mqtt::event_backlog::EventBacklog;
use crate::mqtt::publisher::{BankView, Publisher};
use crate::mqtt::task::{Inbox, MqttTask};
use crate::mqtt::topics::Topics;
use crate::settings::MqttSettings;
use crate::supervise::{Flush, Ping, ServiceHealth, StopHandle};

#[derive(Clone, Debug)]
pub(crate) struct MqttActorConfig {
    pub(crate) settings: MqttSettings,
    pub(crate) banks: Vec<BankView>,
    pub(crate) timeouts: MqttTimeouts,
}

pub(crate) struct MqttActor {
    broker: MqttActorConfig,
    slot: LatestReports,
    health: watch::Receiver<ServiceHealth>,
    log: Logger,
    lifeline: StopHandle,
    notify: Arc<Notify>,
    /// Survives restarts of the actor.
    events: EventBacklog,
    stop: Option<oneshot::Sender<oneshot::Sender<()>>>,
}

impl MqttActor {
    /// Publishes the reports in `slot`.
    #[must_use]
    pub(crate) fn new(
        broker: MqttActorConfig,
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
            notify: Arc::default(),
            events: EventBacklog::default(),
            stop: None,
        }
    }

    fn inbox(&self) -> Inbox {
        let (slot, health) = (self.slot.clone(), self.health.clone());
        Inbox {
            take: Box::new(move || slot.take()),
            events: self.events.clone(),
            restarts: Box::new(move || health.borrow().children.iter().map(|child| child.restarts).sum()),
            notify: self.notify.clone(),
        }
    }
}

impl Actor for MqttActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let MqttActorConfig { settings, banks, timeouts } = &self.broker;
        let topics = Topics::new(settings);
        let session = match MqttSession::new(settings, Some(topics.last_will()), *timeouts) {
            Ok(session) => session,
            Err(error) => {
                self.lifeline.give_up(error.to_string());
                ctx.stop();
                return;
            }
        };
        let (stop, stop_requested) = oneshot::channel();
        self.stop = Some(stop);
        let publisher = Publisher::new(settings, banks, Instant::now());
        let target = settings.url.to_string();
        let task = MqttTask::new(session, publisher, topics, self.inbox(), target, self.log.clone());
        // Reports that arrived during a restart are still in the slot.
        self.notify.notify_one();
        ctx.spawn(task.keep(stop_requested).into_actor(self));
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
        self.notify.notify_one();
    }
}

impl Handler<EventOccurred> for MqttActor {
    type Result = ();

    /// Published at once, or after the broker is back.
    fn handle(&mut self, EventOccurred(event): EventOccurred, _: &mut Self::Context) {
        self.events.push(event);
        self.notify.notify_one();
    }
}

impl Handler<Ping> for MqttActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Flush> for MqttActor {
    type Result = ResponseFuture<()>;

    /// The service stops: publishes `offline` and waits until it is sent.
    fn handle(&mut self, _: Flush, _: &mut Self::Context) -> Self::Result {
        let (reply, done) = oneshot::channel();
        let is_running = self.stop.take().is_some_and(|stop| stop.send(reply).is_ok());
        Box::pin(async move {
            if is_running {
                // An error means that the task has ended: there is nothing to wait for.
                let _ = done.await;
            }
        })
    }
}
