//! Keeps the session up as long as the output runs, and publishes what the publisher decides.
//!
//! ```text
//!         ┌─────── failed: wait (logged on change) ───────┐
//!         ▼                                               │
//!   ► connecting ──► reading retained messages ──► publishing ──► disconnected (logged on change)
//!         ▲                                               │              │
//!         └───────────────────────────────────────────────┼──────────────┘
//!                                                         └─ stop requested: publish "offline", disconnect
//! ```

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slog::{Logger, info, warn};
use tokio::sync::oneshot::error::RecvError;
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, sleep_until};

use crate::model::report::BankReport;
use crate::mqtt::client::backoff::Backoff;
use crate::mqtt::client::error::{MqttError, MqttErrorKind};
use crate::mqtt::client::retained::fetch_retained;
use crate::mqtt::client::session::{Incoming, MqttSession};
use crate::mqtt::event_backlog::EventBacklog;
use crate::mqtt::homeassistant::announcement_queue::AnnouncementQueue;
use crate::mqtt::message::Message;
use crate::mqtt::payload;
use crate::mqtt::publisher::Publisher;
use crate::mqtt::topics::{OFFLINE, ONLINE, Topics};
use crate::outage::OutageTracker;

/// Longest delay between Home Assistant's birth message and the republication, so that not all clients publish at once.
const BIRTH_JITTER: Duration = Duration::from_secs(2);

/// Name of the output in the log.
const OUTPUT: &str = "mqtt";

/// After this long with announcements, state is published in between.
const ANNOUNCEMENT_SLICE: Duration = Duration::from_secs(1);

/// Dropped messages may have included Home Assistant's birth message: everything is announced again after this time,
/// and not more often.
const REANNOUNCE_DELAY: Duration = Duration::from_secs(60);

/// Two services with one client id disconnect each other over and over. The output has recovered once a connection has
/// lasted this long.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// Why entities that were announced before are removed.
const REMOVED: &str = "no longer part of the bank, of the cell level or of this version";

/// Why entities of pytes_serial are not taken over, and what to do with them.
const LEFT_BEHIND: &str = "beyond the cell level, or of absent batteries; their values are frozen";
const REMEDY: &str = "bankwatch ha remove --legacy";

/// Rejected messages that are logged.
const MAX_LOGGED: usize = 20;

/// Input from the service.
pub(crate) struct Inbox {
    /// Takes the reports that are newer than at the last call.
    pub(crate) take: Box<dyn Fn() -> Vec<Arc<BankReport>>>,
    pub(crate) events: EventBacklog,
    /// How often a part of the service was restarted.
    pub(crate) restarts: Box<dyn Fn() -> u64>,
    /// Notified when there are reports or events.
    pub(crate) notify: Arc<Notify>,
}

/// The task that owns the session.
pub(crate) struct MqttTask {
    session: MqttSession,
    publisher: Publisher,
    topics: Topics,
    inbox: Inbox,
    target: String,
    log: Logger,
    outage: OutageTracker,
    backoff: Backoff,
    announcements: AnnouncementQueue,
    /// Logged rejections.
    rejected: BTreeSet<String>,
}

/// A request to stop, with a sender for the confirmation.
pub(crate) type StopRequest = oneshot::Receiver<oneshot::Sender<()>>;

enum SessionEnd {
    Failed(MqttError),
    StopRequested(Result<oneshot::Sender<()>, RecvError>),
}

impl MqttTask {
    /// `target` names the broker in the log.
    #[must_use]
    pub(crate) fn new(
        session: MqttSession,
        publisher: Publisher,
        topics: Topics,
        inbox: Inbox,
        target: String,
        log: Logger,
    ) -> Self {
        Self {
            session,
            publisher,
            topics,
            inbox,
            target,
            log,
            outage: OutageTracker::new(),
            backoff: Backoff::default(),
            announcements: AnnouncementQueue::default(),
            rejected: BTreeSet::new(),
        }
    }

    /// Runs until a stop is requested, then publishes `offline`, disconnects and confirms.
    pub(crate) async fn keep(mut self, mut stop: StopRequest) {
        loop {
            let connected = tokio::select! {
                request = &mut stop => return confirm(request),
                connected = receive_during(&mut self.publisher, &self.inbox, self.session.connect()) => connected,
            };
            let end = match connected {
                Ok(()) => self.run_session(&mut stop).await,
                Err(error) => SessionEnd::Failed(error),
            };
            let error = match end {
                SessionEnd::StopRequested(request) => {
                    self.shut_down().await;
                    return confirm(request);
                }
                SessionEnd::Failed(error) => error,
            };
            self.log_down(&error);
            let delay = sleep(self.backoff.next_delay(fastrand::f64()));
            tokio::select! {
                request = &mut stop => return confirm(request),
                () = receive_during(&mut self.publisher, &self.inbox, delay) => {}
            }
        }
    }

    async fn run_session(&mut self, stop: &mut StopRequest) -> SessionEnd {
        let start = Instant::now();
        let end = tokio::select! {
            request = stop => SessionEnd::StopRequested(request),
            Err(error) = self.publish_until_disconnected() => SessionEnd::Failed(error),
        };
        self.backoff.on_disconnected(start.elapsed());
        end
    }

    async fn publish_until_disconnected(&mut self) -> Result<Infallible, MqttError> {
        self.start_session().await?;
        let connected = Instant::now();
        let mut recovered =
            Some(if self.session.is_contended() { connected + STABLE_AFTER } else { connected });
        let mut birth = None;
        loop {
            let now = Instant::now();
            if recovered.take_if(|at| *at <= now).is_some() {
                self.log_recovered();
            }
            if birth.take_if(|at| *at <= now).is_some() {
                self.publisher.on_ha_birth(now);
            }
            let dropped = self.session.take_dropped();
            if dropped > 0 {
                self.log_rejected(&MqttError::inbox_overflow());
                birth = birth.or(Some(now + REANNOUNCE_DELAY));
            }
            self.publish_due(now).await?;
            let announcement = (!self.announcements.is_empty()).then_some(now);
            let next = self
                .publisher
                .next_wakeup(now)
                .into_iter()
                .chain(birth)
                .chain(recovered)
                .chain(announcement)
                .min();
            tokio::select! {
                incoming = self.session.recv() => match incoming {
                    Incoming::Message { topic, payload, .. } => {
                        if topic == self.topics.ha_status() && payload == ONLINE.as_bytes() {
                            birth = Some(now + BIRTH_JITTER.mul_f64(fastrand::f64()));
                        } else if payload.is_empty() || payload == OFFLINE.as_bytes() {
                            self.correct_status(&topic, payload.is_empty()).await?;
                        }
                    }
                    Incoming::Disconnected(error) => return Err(error),
                },
                () = self.inbox.notify.notified() => receive_reports(&mut self.publisher, &self.inbox),
                () = sleep_until_some(next) => {}
            }
        }
    }

    /// Reads the retained messages, then publishes everything that is known. The status of the service comes last, so
    /// that nobody takes old values for fresh ones.
    async fn start_session(&mut self) -> Result<(), MqttError> {
        let now = Instant::now();
        self.announcements.reset();
        let statuses = self.publisher.on_connected(now);
        self.publish(statuses).await?;
        // Publishing works even if the access list forbids the subscription.
        let subscribed = self.session.subscribe(&[self.topics.ha_status()]).await;
        self.tolerate(subscribed)?;
        let echo = self.topics.echo(&self.session.client_id());
        for filters in self.publisher.retained_filters() {
            let retained = fetch_retained(&mut self.session, &filters, &echo).await;
            for message in self.tolerate(retained)?.unwrap_or_default() {
                self.publisher.on_retained_message(&message);
            }
        }
        let subscribed = self.session.subscribe(&self.publisher.status_filters()).await;
        self.tolerate(subscribed)?;
        receive_reports(&mut self.publisher, &self.inbox);
        self.publish_due(Instant::now()).await?;
        self.publish(vec![Message::retained(self.topics.service_status(), ONLINE)]).await?;
        // Only now: until here the retained status is that of an earlier connection.
        let subscribed = self.session.subscribe(&[self.topics.service_status()]).await;
        self.tolerate(subscribed).map(drop)
    }

    /// A status was cleared, or set to `offline` from elsewhere: by the will of an earlier connection that the broker
    /// timed out late, or by another service in the place of this one.
    async fn correct_status(&mut self, topic: &str, is_cleared: bool) -> Result<(), MqttError> {
        if topic == self.topics.service_status() {
            return self.publish(vec![Message::retained(topic, ONLINE)]).await;
        }
        if is_cleared {
            self.publisher.on_status_cleared(topic);
        } else {
            self.publisher.on_offline_received(topic);
        }
        Ok(())
    }

    /// Publishes what is due: announcements first, for at most [`ANNOUNCEMENT_SLICE`], then the rest.
    async fn publish_due(&mut self, now: Instant) -> Result<(), MqttError> {
        let round = self.publisher.due(now);
        let (announcements, urgent): (Vec<_>, Vec<_>) =
            round.messages.into_iter().partition(|message| self.topics.is_discovery(&message.topic));
        self.announcements.enqueue(announcements, round.moved, now);
        for (bank, entities) in round.removed {
            info!(self.log, "entities removed"; "bank" => &*bank, "entities" => entities, "reason" => REMOVED);
        }
        for (bank, entities) in round.left {
            warn!(self.log, "entities of pytes_serial left behind"; "bank" => &*bank, "entities" => entities, "reason" => LEFT_BEHIND, "remedy" => REMEDY);
        }
        self.publish_announcements(now).await?;
        let backlog = self.inbox.events.clone();
        let events = backlog.take();
        let event_messages = events.events().iter().map(|event| payload::event(&self.topics, event));
        self.publish(urgent.into_iter().chain(event_messages).collect()).await?;
        events.ack();
        Ok(())
    }

    async fn publish_announcements(&mut self, start: Instant) -> Result<(), MqttError> {
        while !self.announcements.is_empty() && start.elapsed() < ANNOUNCEMENT_SLICE {
            let batch = self.announcements.next_batch();
            self.publish(batch.clone()).await?;
            for (bank, entities) in self.announcements.mark_sent(&batch) {
                info!(self.log, "entities taken over"; "bank" => &*bank, "entities" => entities, "from" => "pytes_serial");
            }
            let now = Instant::now();
            if self.announcements.take_duration(now).is_some_and(|took| took >= ANNOUNCEMENT_SLICE) {
                self.publisher.on_announced(now);
            }
        }
        Ok(())
    }

    /// A rejected message is logged once; the others are published.
    async fn publish(&mut self, messages: Vec<Message>) -> Result<(), MqttError> {
        for error in self.session.publish(messages).await? {
            self.log_rejected(&error);
        }
        Ok(())
    }

    /// A forbidden operation is logged and is no reason to disconnect.
    fn tolerate<T>(&mut self, outcome: Result<T, MqttError>) -> Result<Option<T>, MqttError> {
        match outcome {
            Ok(done) => Ok(Some(done)),
            Err(error)
                if matches!(error.kind, MqttErrorKind::NotAuthorized | MqttErrorKind::InboxOverflow) =>
            {
                self.log_rejected(&error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn log_rejected(&mut self, error: &MqttError) {
        let reason = error.to_string();
        if self.rejected.len() < MAX_LOGGED && self.rejected.insert(reason.clone()) {
            warn!(self.log, "message refused"; "output" => OUTPUT, "reason" => reason);
        }
    }

    /// Publishes the last events and every `offline`, and disconnects. Without a connection the broker has published
    /// the will.
    async fn shut_down(&mut self) {
        let backlog = self.inbox.events.clone();
        let events = backlog.take();
        let event_messages = events.events().iter().map(|event| payload::event(&self.topics, event));
        let messages = event_messages.chain(self.publisher.offline_messages()).collect();
        // The session's deadlines limit this. If it fails, the broker publishes the will.
        if self.session.publish(messages).await.is_ok() {
            events.ack();
        }
        self.session.close().await;
    }

    fn log_down(&mut self, error: &MqttError) {
        let reason = error.to_string();
        if let Some(notice) = self.outage.on_failure(Instant::now(), &reason) {
            notice.log_down(&self.log, OUTPUT, &reason, &self.target);
        }
    }

    fn log_recovered(&mut self) {
        if let Some(recovered) = self.outage.on_success(Instant::now()) {
            recovered.log_recovered(&self.log, OUTPUT);
        } else {
            let id = self.session.client_id();
            info!(self.log, "output up"; "output" => OUTPUT, "target" => &self.target, "client_id" => id);
        }
    }
}

/// Runs `work` and receives reports meanwhile, so that the publisher knows how old they are.
async fn receive_during<T>(publisher: &mut Publisher, inbox: &Inbox, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = inbox.notify.notified() => receive_reports(publisher, inbox),
        }
    }
}

fn receive_reports(publisher: &mut Publisher, inbox: &Inbox) {
    let (now, restarts) = (Instant::now(), (inbox.restarts)());
    for report in (inbox.take)() {
        publisher.on_report(&report, now.saturating_duration_since(report.reading.began), restarts, now);
    }
}

async fn sleep_until_some(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => pending().await,
    }
}

fn confirm(request: Result<oneshot::Sender<()>, RecvError>) {
    if let Ok(reply) = request {
        // The receiver may have stopped waiting.
        let _ = reply.send(());
    }
}
