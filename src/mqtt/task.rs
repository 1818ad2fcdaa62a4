//! Keeps the session up for the life of the output, and says what the herald decides.
//!
//! ```text
//!         ┌──── refused: pause, told on change ────┐
//!         ▼                                        │
//!   ► connecting ──► looking: what did others leave? ──► talking ──► lost: told on change
//!         ▲                                                 │              │
//!         └─────────────────────────────────────────────────┼──────────────┘
//!                                                           └─ asked to stop: "offline", goodbye
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
use crate::mqtt::client::error::{Refusal, RefusalKind};
use crate::mqtt::client::retained::kept;
use crate::mqtt::client::session::{Incoming, Session};
use crate::mqtt::event_backlog::Unsaid;
use crate::mqtt::homeassistant::announcement_queue::Backlog;
use crate::mqtt::message::Message;
use crate::mqtt::payload;
use crate::mqtt::publisher::Herald;
use crate::mqtt::topics::{OFFLINE, ONLINE, Topics};
use crate::outage::OutageTracker;

/// Home Assistant is given at most so long between its birth and our words, so that not all speak at once.
const BIRTH_JITTER: Duration = Duration::from_secs(2);

/// Its name among the outputs.
const OUTPUT: &str = "mqtt";

/// Announcements go for so long before state has its turn.
const ANNOUNCING: Duration = Duration::from_secs(1);

/// After messages were lost in a flood, Home Assistant's birth may have been among them: all is announced again, this
/// much later and no more often.
const FLOOD_PAUSE: Duration = Duration::from_secs(60);

/// Two services with one client id take the connection from one another, over and over. It is back once it has lasted
/// for so long.
const UNDISPUTED: Duration = Duration::from_secs(10);

/// Why entities that were announced before are removed.
const REMOVED: &str = "not part of the bank, of the level of cells or of this version any more";

/// Why entities of pytes_serial are not taken over, and what to do with them.
const LEFT: &str = "beyond the level of cells, or of batteries that are absent; their values are frozen";
const REMOVE_LEFT: &str = "bankwatch ha remove --legacy";

/// Refused messages that are told one by one.
const MOST_REFUSED: usize = 20;

/// What comes from the service: the newest reports, how often something was restarted, and that there are any.
pub(crate) struct Inbox {
    /// Takes what is newer than at the last call.
    pub(crate) take: Box<dyn Fn() -> Vec<Arc<BankReport>>>,
    /// What is to be said of events.
    pub(crate) events: Unsaid,
    /// How often a part of the service had to be restarted.
    pub(crate) restarts: Box<dyn Fn() -> u64>,
    /// Somebody should look.
    pub(crate) news: Arc<Notify>,
}

/// The session's keeper.
pub(crate) struct Keeper {
    session: Session,
    herald: Herald,
    topics: Topics,
    inbox: Inbox,
    target: String,
    log: Logger,
    trouble: OutageTracker,
    backoff: Backoff,
    backlog: Backlog,
    /// Messages that the broker does not take, as told.
    refused: BTreeSet<String>,
}

/// Asks the keeper to stop, with a way to say that it has.
pub(crate) type Stop = oneshot::Receiver<oneshot::Sender<()>>;

/// Why talking ended.
enum End {
    Lost(Refusal),
    Asked(Result<oneshot::Sender<()>, RecvError>),
}

impl Keeper {
    /// Keeps `session` with the broker that the log calls `target`.
    #[must_use]
    pub(crate) fn new(
        session: Session,
        herald: Herald,
        topics: Topics,
        inbox: Inbox,
        target: String,
        log: Logger,
    ) -> Self {
        Self {
            session,
            herald,
            topics,
            inbox,
            target,
            log,
            trouble: OutageTracker::new(),
            backoff: Backoff::default(),
            backlog: Backlog::default(),
            refused: BTreeSet::new(),
        }
    }

    /// Runs until asked to stop, then says goodbye and answers.
    pub(crate) async fn keep(mut self, mut stop: Stop) {
        loop {
            let connected = tokio::select! {
                asked = &mut stop => return answer(asked),
                connected = listening(&mut self.herald, &self.inbox, self.session.connect()) => connected,
            };
            let end = match connected {
                Ok(()) => self.talk(&mut stop).await,
                Err(refusal) => End::Lost(refusal),
            };
            let refusal = match end {
                End::Asked(asked) => {
                    self.leave().await;
                    return answer(asked);
                }
                End::Lost(refusal) => refusal,
            };
            self.log_down(&refusal);
            let pause = sleep(self.backoff.pause(fastrand::f64()));
            tokio::select! {
                asked = &mut stop => return answer(asked),
                () = listening(&mut self.herald, &self.inbox, pause) => {}
            }
        }
    }

    /// From a connection's first word to its end.
    async fn talk(&mut self, stop: &mut Stop) -> End {
        let begun = Instant::now();
        let end = tokio::select! {
            asked = stop => End::Asked(asked),
            Err(refusal) = self.converse() => End::Lost(refusal),
        };
        self.backoff.lasted(begun.elapsed());
        end
    }

    async fn converse(&mut self) -> Result<Infallible, Refusal> {
        self.greet().await?;
        let back = Instant::now();
        let mut back = Some(if self.session.is_disputed() { back + UNDISPUTED } else { back });
        let mut birth = None;
        loop {
            let now = Instant::now();
            if back.take_if(|back| *back <= now).is_some() {
                self.log_recovered();
            }
            if birth.take_if(|birth| *birth <= now).is_some() {
                self.herald.born(now);
            }
            let dropped = self.session.take_dropped();
            if dropped > 0 {
                self.tell_refused(&Refusal::flooded());
                birth = birth.or(Some(now + FLOOD_PAUSE));
            }
            self.speak(now).await?;
            let announcing = (!self.backlog.is_empty()).then_some(now);
            let next = self.herald.wake_at(now).into_iter().chain(birth).chain(back).chain(announcing).min();
            tokio::select! {
                incoming = self.session.next() => match incoming {
                    Incoming::Message { topic, payload, .. } => {
                        if topic == self.topics.birth() && payload == ONLINE.as_bytes() {
                            birth = Some(now + BIRTH_JITTER.mul_f64(fastrand::f64()));
                        } else if payload.is_empty() || payload == OFFLINE.as_bytes() {
                            self.contradict(&topic, payload.is_empty()).await?;
                        }
                    }
                    Incoming::Lost(refusal) => return Err(refusal),
                },
                () = self.inbox.news.notified() => hear(&mut self.herald, &self.inbox),
                () = at(next) => {}
            }
        }
    }

    /// Finds what others have left, then says everything that is true; that the service is there comes last, so that
    /// nothing of before is taken for fresh.
    async fn greet(&mut self) -> Result<(), Refusal> {
        let now = Instant::now();
        self.backlog.restart();
        let certain = self.herald.connected(now);
        self.publish(certain).await?;
        // A broker that lets us not listen is spoken to all the same.
        let listening = self.session.subscribe(&[self.topics.birth()]).await;
        self.tolerated(listening)?;
        let echo = self.topics.echo(&self.session.client_id());
        for filters in self.herald.finds() {
            let found = kept(&mut self.session, &filters, &echo).await;
            for message in self.tolerated(found)?.unwrap_or_default() {
                self.herald.found(&message);
            }
        }
        let following = self.session.subscribe(&self.herald.statuses()).await;
        self.tolerated(following)?;
        hear(&mut self.herald, &self.inbox);
        self.speak(Instant::now()).await?;
        self.publish(vec![Message::retained(self.topics.service_status(), ONLINE)]).await?;
        // Only now: what is kept there until then is of before.
        let following = self.session.subscribe(&[self.topics.service_status()]).await;
        self.tolerated(following).map(drop)
    }

    /// Somebody cleared a status, or says that we are not there: the will of an earlier life that the broker was late to
    /// miss, or the last words of another service in our place.
    async fn contradict(&mut self, topic: &str, is_cleared: bool) -> Result<(), Refusal> {
        if topic == self.topics.service_status() {
            return self.publish(vec![Message::retained(topic, ONLINE)]).await;
        }
        if is_cleared {
            self.herald.cleared(topic);
        } else {
            self.herald.denied(topic);
        }
        Ok(())
    }

    /// Sends what is due: announcements first, as far as they go in a moment, then what is urgent.
    async fn speak(&mut self, now: Instant) -> Result<(), Refusal> {
        let round = self.herald.due(now);
        let (announced, urgent): (Vec<_>, Vec<_>) =
            round.messages.into_iter().partition(|message| self.topics.is_discovery(&message.topic));
        self.backlog.add(announced, round.moved, now);
        for (bank, entities) in round.removed {
            info!(self.log, "entities removed"; "bank" => &*bank, "entities" => entities, "reason" => REMOVED);
        }
        for (bank, entities) in round.left {
            warn!(self.log, "entities of pytes_serial left behind"; "bank" => &*bank, "entities" => entities, "reason" => LEFT, "remedy" => REMOVE_LEFT);
        }
        self.announce(now).await?;
        let unsaid = self.inbox.events.clone();
        let events = unsaid.take();
        let of_events = events.events().iter().map(|event| payload::event(&self.topics, event));
        self.publish(urgent.into_iter().chain(of_events).collect()).await?;
        events.said();
        Ok(())
    }

    async fn announce(&mut self, begun: Instant) -> Result<(), Refusal> {
        while !self.backlog.is_empty() && begun.elapsed() < ANNOUNCING {
            let slice = self.backlog.slice();
            self.publish(slice.clone()).await?;
            for (bank, entities) in self.backlog.sent(&slice) {
                info!(self.log, "entities taken over"; "bank" => &*bank, "entities" => entities, "from" => "pytes_serial");
            }
            let now = Instant::now();
            if self.backlog.take_duration(now).is_some_and(|took| took >= ANNOUNCING) {
                self.herald.announced(now);
            }
        }
        Ok(())
    }

    /// A message that the broker does not take is told once and costs the others nothing.
    async fn publish(&mut self, messages: Vec<Message>) -> Result<(), Refusal> {
        for refusal in self.session.publish(messages).await? {
            self.tell_refused(&refusal);
        }
        Ok(())
    }

    /// What the broker does not allow is told, and is no reason to leave.
    fn tolerated<T>(&mut self, outcome: Result<T, Refusal>) -> Result<Option<T>, Refusal> {
        match outcome {
            Ok(done) => Ok(Some(done)),
            Err(refusal) if matches!(refusal.kind, RefusalKind::NotAllowed | RefusalKind::Flooded) => {
                self.tell_refused(&refusal);
                Ok(None)
            }
            Err(refusal) => Err(refusal),
        }
    }

    fn tell_refused(&mut self, refusal: &Refusal) {
        let reason = refusal.to_string();
        if self.refused.len() < MOST_REFUSED && self.refused.insert(reason.clone()) {
            warn!(self.log, "message refused"; "output" => OUTPUT, "reason" => reason);
        }
    }

    /// Says what has happened last and that nobody is there any more, and closes. Without a connection the broker has
    /// said it for us.
    async fn leave(&mut self) {
        let unsaid = self.inbox.events.clone();
        let events = unsaid.take();
        let of_events = events.events().iter().map(|event| payload::event(&self.topics, event));
        let last_words = of_events.chain(self.herald.farewell()).collect();
        // Whoever is late here is cut off by the session's own deadlines; the will says the same.
        if self.session.publish(last_words).await.is_ok() {
            events.said();
        }
        self.session.close().await;
    }

    fn log_down(&mut self, refusal: &Refusal) {
        let reason = refusal.to_string();
        if let Some(say) = self.trouble.on_failure(Instant::now(), &reason) {
            say.log_down(&self.log, OUTPUT, &reason, &self.target);
        }
    }

    fn log_recovered(&mut self) {
        if let Some(back) = self.trouble.on_success(Instant::now()) {
            back.log_recovered(&self.log, OUTPUT);
        } else {
            let id = self.session.client_id();
            info!(self.log, "output up"; "output" => OUTPUT, "target" => &self.target, "client_id" => id);
        }
    }
}

/// Lets `work` go on while what comes in is heard, so that the herald knows how old it is.
async fn listening<T>(herald: &mut Herald, inbox: &Inbox, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = inbox.news.notified() => hear(herald, inbox),
        }
    }
}

fn hear(herald: &mut Herald, inbox: &Inbox) {
    let (now, restarts) = (Instant::now(), (inbox.restarts)());
    for report in (inbox.take)() {
        herald.hear(&report, now.saturating_duration_since(report.reading.began), restarts, now);
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => pending().await,
    }
}

/// Whoever asked may have stopped waiting.
fn answer(asked: Result<oneshot::Sender<()>, RecvError>) {
    if let Ok(reply) = asked {
        let _heard = reply.send(());
    }
}
