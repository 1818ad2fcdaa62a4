//! The session with the broker, one for the life of the service: connect, publish, subscribe, listen, close.
//!
//! ```text
//!            connect                     lost, or an acknowledgement is overdue
//!  nothing ─────────► connected ───────────────────────────────────────────────► ended
//!     ▲  ▲               │ close                                                    │ next: Lost
//!     │  └───────────────┘                                                          │
//!     └─────────────────────────────────────────────────────────────────────────────┘
//! ```
//! It tries nothing by itself: who holds it decides when to connect (with a [`Backoff`](crate::mqtt::client::backoff::Backoff))
//! and what to say then. Nothing blocks, and nothing waits without a deadline but [`Session::next`].
//!
//! Length: the library's calls stand together, each with its deadline and its refusal.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use paho_mqtt::{
    AsyncClient, ConnectOptions, ConnectOptionsBuilder, CreateOptionsBuilder, Error, MessageBuilder,
    MqttVersion as Version, PersistenceType, Properties, PropertyCode, QoS, ReasonCode,
};
use secrecy::ExposeSecret;

use crate::settings::{MqttSettings, MqttVersion};
use crate::supervise::{Worker, WorkerError};

use crate::mqtt::client::client_id::client_id;
use crate::mqtt::client::connection::{Ending, Line};
use crate::mqtt::client::diagnosis;
use crate::mqtt::client::error::{Refusal, RefusalKind};
use crate::mqtt::client::reason_code::{self, Doing};
use crate::mqtt::client::round_trips::{Outgoing, Trip};
use crate::mqtt::client::tls;
use crate::mqtt::message::Message;

/// A filter that nobody subscribes with: taking it back is a question that costs the broker nothing and that it answers
/// once it has what was sent before. Acknowledging each message would do that too, but what is to be acknowledged and
/// can't be written, the library frees twice (paho.mqtt.c 1.3.16), which ends the process. So only a few are, each with
/// nothing else under way, right after the broker has answered.
const BARRIER: &str = "-";

/// What we take from the broker, in bytes: retained discovery is below 64 kB a message.
const LARGEST_TAKEN: u32 = 256 * 1024;

/// Threads that may be stuck in calls of the library.
const STUCK: usize = 3;

/// A broker's reason for the end of a connection may come this much later than the end itself.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// This many short connections in a row are not a coincidence.
const DISPUTED: u32 = 2;

/// A connection shorter than this is one that ended right after it was made.
const SHORT: Duration = Duration::from_secs(10);

/// How long is waited for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// An attempt to connect.
    pub connect: Duration,
    /// One acknowledgement, and the search for why an attempt failed.
    pub token: Duration,
    /// An orderly end.
    pub close: Duration,
    /// After so much silence the broker is asked whether it is there; without an answer the connection is lost
    /// after some two and a half times this. In whole seconds.
    pub keep_alive: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            token: Duration::from_secs(5),
            close: Duration::from_secs(2),
            keep_alive: Duration::from_secs(15),
        }
    }
}

/// What comes from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A message to a filter we subscribed with.
    Message {
        /// Where.
        topic: String,
        /// What.
        payload: Vec<u8>,
        /// Whether the broker had kept it.
        retained: bool,
    },
    /// The connection ended; the session can be connected again.
    Lost(Refusal),
}

/// The way to one broker.
pub struct Session {
    settings: Arc<MqttSettings>,
    will: Option<Message>,
    patience: Patience,
    worker: Worker,
    line: Option<Line>,
    outgoing: Mutex<Outgoing>,
    since: Instant,
    /// Connections in a row that ended right after they were made.
    short_lives: u32,
}

impl Session {
    /// Not connected yet. The broker publishes `will`, if there is one, should we vanish without a word.
    ///
    /// # Errors
    /// When the settings can't be carried out.
    pub fn new(
        settings: &MqttSettings,
        will: impl Into<Option<Message>>,
        patience: Patience,
    ) -> Result<Self, Refusal> {
        tls::possible(settings)?;
        Ok(Self {
            settings: Arc::new(settings.clone()),
            will: will.into(),
            patience,
            worker: Worker::new("mqtt", STUCK),
            line: None,
            outgoing: Mutex::new(Outgoing::new(settings.version == MqttVersion::V5)),
            since: Instant::now(),
            short_lives: 0,
        })
    }

    /// Whether there is a connection, as far as is known.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.line.as_ref().is_some_and(Line::is_up)
    }

    /// One attempt to connect, ending a connection that there is. Where the last attempt is still under way,
    /// it is that one which is waited for.
    ///
    /// # Errors
    /// Why there is no connection; found out by a probe of the broker where the library doesn't know.
    pub async fn connect(&mut self) -> Result<(), Refusal> {
        if let Some(line) = self.line.as_ref().filter(|line| !line.is_opening()) {
            if !line.is_up() {
                self.note_end(line.ending());
            }
            self.close().await;
        }
        let failed_late = match &mut self.line {
            Some(line) => line.opened(Duration::ZERO).await.is_some_and(|outcome| outcome.is_err()),
            None => true,
        };
        if failed_late {
            self.line = None;
            self.line = Some(self.open().await?);
        }
        let Some(line) = &mut self.line else { return Err(Refusal::not_connected()) };
        match line.opened(self.patience.connect).await {
            Some(Ok(())) => {
                self.outgoing().connected();
                self.since = Instant::now();
                Ok(())
            }
            Some(Err(error)) => {
                self.line = None;
                match reason_code::said(&error, &self.settings, Doing::Connecting) {
                    Some(refusal) => Err(refusal),
                    None => Err(self.diagnosed().await),
                }
            }
            None => Err(self.diagnosed().await),
        }
    }

    /// Publishes in order. Gives the messages that the broker does not take, which costs the others nothing. The
    /// broker has the rest when this returns: after each batch it is asked something, and answers in order.
    ///
    /// # Errors
    /// When there is no connection, or the broker does not answer in time.
    pub async fn publish(&self, messages: Vec<Message>) -> Result<Vec<Refusal>, Refusal> {
        let largest = self.line()?.largest();
        let (trips, mut refused) = self.outgoing().trips(messages, largest);
        for trip in trips {
            let begun = Instant::now();
            match self.send(&trip).await {
                Ok(refusal) => {
                    self.outgoing().taken(&trip, begun.elapsed());
                    refused.extend(refusal);
                }
                Err(refusal) => {
                    let is_closed = self.line.as_ref().is_some_and(|line| {
                        matches!(line.ending(), Ending::Closed | Ending::Told(ReasonCode::PacketTooLarge))
                    });
                    let is_lost = matches!(
                        refusal.kind,
                        RefusalKind::Lost | RefusalKind::TooLarge | RefusalKind::TakenOver
                    );
                    let found = if is_closed && is_lost { self.outgoing().lost(&trip) } else { None };
                    return Err(found.unwrap_or(refusal));
                }
            }
        }
        Ok(refused)
    }

    /// Sends one round trip and waits until the broker has it. Returns the broker's refusal, if it has one.
    async fn send(&self, trip: &Trip) -> Result<Option<Refusal>, Refusal> {
        let line = self.line()?;
        let within = self.outgoing().deadline(trip, self.patience.token);
        let (client, messages) = (line.client(), trip.messages.clone());
        if trip.acknowledged {
            let message = messages.into_iter().next().ok_or_else(Refusal::not_connected)?;
            let topic = message.topic.clone();
            let say = move || client?.call(|client| client.publish(for_library(message, QoS::AtLeastOnce)));
            let token = self.call(self.patience.token, say).await?.ok_or_else(Refusal::not_connected)?;
            return match line.acknowledged(token, within).await {
                Ok(()) => Ok(None),
                Err(Some(error @ Error::ReasonCode(..))) => {
                    Ok(reason_code::said(&error, &self.settings, Doing::Publishing(&topic)))
                }
                Err(error) => Err(self.denied(line, error, Doing::Nothing, within).await),
            };
        }
        let say = |client: &AsyncClient| {
            // The library reports of a message only that it was written; the barrier's answer shows more of a failure.
            for message in messages {
                drop(client.publish(for_library(message, QoS::AtMostOnce)));
            }
            client.unsubscribe(BARRIER)
        };
        let begin = move || client?.call(say);
        let token = self.call(self.patience.token, begin).await?.ok_or_else(Refusal::not_connected)?;
        match line.acknowledged(token, within).await {
            // Whatever the broker thinks of the question, it is an answer.
            Ok(_) | Err(Some(Error::ReasonCode(..))) => Ok(None),
            Err(error) => Err(self.denied(line, error, Doing::Nothing, within).await),
        }
    }

    /// Subscribes in order, at least once.
    ///
    /// # Errors
    /// When there is no connection, the broker refuses a filter, or an acknowledgement does not come in time.
    pub async fn subscribe(&self, filters: &[String]) -> Result<(), Refusal> {
        let line = self.line()?;
        for filter in filters {
            let (client, asked) = (line.client(), filter.clone());
            let begin = move || client?.call(|client| client.subscribe(asked, QoS::AtLeastOnce));
            let token = self.call(self.patience.token, begin).await?.ok_or_else(Refusal::not_connected)?;
            let answer = line.acknowledged(token, self.patience.token).await;
            if let Err(error) = answer {
                return Err(self.denied(line, error, Doing::Subscribing(filter), self.patience.token).await);
            }
        }
        Ok(())
    }

    /// Takes back what was subscribed with these filters.
    ///
    /// # Errors
    /// When there is no connection, or an acknowledgement does not come in time.
    pub(crate) async fn unsubscribe(&self, filters: &[String]) -> Result<(), Refusal> {
        let line = self.line()?;
        let (client, filters) = (line.client(), filters.to_vec());
        let begin = move || client?.call(|client| client.unsubscribe_many(&filters));
        let token = self.call(self.patience.token, begin).await?.ok_or_else(Refusal::not_connected)?;
        match line.acknowledged(token, self.patience.token).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.denied(line, error, Doing::Nothing, self.patience.token).await),
        }
    }

    /// How many messages were dropped since the last call because they came too fast.
    pub(crate) fn take_dropped(&self) -> usize {
        self.line.as_ref().map_or(0, Line::take_dropped)
    }

    /// Whether the last connections ended right after they were made, as where another client takes them over.
    #[must_use]
    pub(crate) fn is_disputed(&self) -> bool {
        self.short_lives >= DISPUTED
    }

    /// The name under which the broker knows us.
    #[must_use]
    pub(crate) fn client_id(&self) -> String {
        client_id(&self.settings)
    }

    /// The next message, or the end of the connection, which is told once. Without a connection it waits for
    /// ever. Nothing is lost when it is dropped.
    pub async fn next(&mut self) -> Incoming {
        let Some(line) = self.line.as_mut().filter(|line| !line.is_opening()) else {
            return std::future::pending().await;
        };
        match line.next().await {
            Ok(message) => Incoming::Message {
                topic: message.topic().to_owned(),
                payload: message.payload().to_vec(),
                retained: message.retained(),
            },
            Err(ending) => {
                self.line = None;
                self.note_end(ending);
                Incoming::Lost(self.ended(ending, self.patience.token))
            }
        }
    }

    /// Takes leave of the broker, which then does not publish the will.
    pub async fn close(&mut self) {
        let Some(line) = self.line.take().filter(Line::is_up) else { return };
        let client = line.client();
        let leave = move || client?.call(|client| client.disconnect(None));
        if let Ok(Some(token)) = self.call(self.patience.close, leave).await {
            // It is over either way.
            let _ = line.acknowledged(token, self.patience.close).await;
        }
    }

    fn note_end(&mut self, ending: Ending) {
        let is_taken = matches!(ending, Ending::Closed | Ending::Told(ReasonCode::SessionTakenOver));
        let is_short = is_taken && self.since.elapsed() < SHORT;
        self.short_lives = if is_short { self.short_lives.saturating_add(1) } else { 0 };
    }

    fn line(&self) -> Result<&Line, Refusal> {
        let line = self.line.as_ref().filter(|line| !line.is_opening()).ok_or_else(Refusal::not_connected)?;
        if line.is_up() { Ok(line) } else { Err(self.ended(line.ending(), self.patience.token)) }
    }

    /// Has the worker make a call that may block.
    async fn call<T: Send + 'static>(
        &self,
        within: Duration,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        self.worker.call(within, call).await.map_err(|error| stuck(&self.settings, &error))
    }

    async fn open(&self) -> Result<Line, Refusal> {
        let (settings, will, patience) = (Arc::clone(&self.settings), self.will.clone(), self.patience);
        let open = move || Line::open(client(&settings), options(&settings, will, patience)?);
        let opened = self.call(self.patience.connect, open).await?;
        opened.map_err(|error| {
            let sentence = format!("the MQTT library can't carry out the settings of [mqtt]: {error}");
            Refusal::new(RefusalKind::Settings, sentence)
        })
    }

    /// Looks for why an attempt failed.
    async fn diagnosed(&self) -> Refusal {
        let (settings, within) = (Arc::clone(&self.settings), self.patience.token);
        // Each step of it has this deadline, and there are a few that may need it whole.
        let found = self.call(within * 4, move || diagnosis::of(&settings, within)).await;
        found.unwrap_or_else(|refusal| refusal)
    }

    /// Why there was no acknowledgement `within` that time.
    async fn denied(&self, line: &Line, error: Option<Error>, doing: Doing<'_>, within: Duration) -> Refusal {
        if let Some(refusal) = error.and_then(|error| reason_code::said(&error, &self.settings, doing)) {
            return refusal;
        }
        // Otherwise the connection is gone; the broker's reason may come a moment later.
        line.ends_within(LAST_WORDS).await;
        line.end(Ending::Closed);
        self.ended(line.ending(), within)
    }

    fn ended(&self, ending: Ending, within: Duration) -> Refusal {
        match ending {
            Ending::Closed => Refusal::lost(&self.settings, self.short_lives),
            Ending::Told(code) => reason_code::meant(code, &self.settings, Doing::Nothing),
            Ending::Silent => Refusal::silent(&self.settings, within),
        }
    }

    /// Nothing that can be left half done happens under this lock.
    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.settings.url.to_string();
        f.debug_struct("Session").field("url", &url).field("is_connected", &self.is_connected()).finish()
    }
}

fn stuck(settings: &MqttSettings, error: &WorkerError) -> Refusal {
    let host = &settings.url.host;
    let sentence =
        format!("the MQTT library is stuck, most likely because no name server answers for {host}: {error}");
    Refusal::new(RefusalKind::Stuck, sentence)
}

fn for_library(message: Message, qos: QoS) -> paho_mqtt::Message {
    let Message { topic, payload, retained } = message;
    MessageBuilder::new().topic(topic).payload(payload).retained(retained).qos(qos).finalize()
}

fn spoken(settings: &MqttSettings) -> Version {
    match settings.version {
        MqttVersion::V5 => Version::V5,
        MqttVersion::V311 => Version::V3_1_1,
    }
}

fn client(settings: &MqttSettings) -> CreateOptionsBuilder {
    CreateOptionsBuilder::new()
        .server_uri(settings.url.to_string())
        .client_id(client_id(settings))
        .persistence(PersistenceType::None)
        .mqtt_version(spoken(settings))
}

fn options(
    settings: &MqttSettings,
    will: Option<Message>,
    patience: Patience,
) -> Result<ConnectOptions, Error> {
    let mut options = ConnectOptionsBuilder::with_mqtt_version(spoken(settings));
    options.connect_timeout(patience.connect).keep_alive_interval(patience.keep_alive);
    if let Some(will) = will {
        options.will_message(for_library(will, QoS::AtLeastOnce));
    }
    match settings.version {
        MqttVersion::V5 => {
            let mut properties = Properties::new();
            properties.push_u32(PropertyCode::MaximumPacketSize, LARGEST_TAKEN)?;
            options.clean_start(true).properties(properties);
        }
        MqttVersion::V311 => {
            options.clean_session(true);
        }
    }
    if !settings.username.is_empty() {
        options.user_name(&settings.username);
    }
    let password = settings.password.expose_secret();
    if !password.is_empty() {
        options.password(password);
    }
    if let Some(ssl) = tls::of_session(settings)? {
        options.ssl_options(ssl);
    }
    Ok(options.finalize())
}
