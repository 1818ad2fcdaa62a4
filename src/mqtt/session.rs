//! The session with the broker, one for the life of the service: connect, publish, subscribe, listen, close.
//!
//! ```text
//!            connect                     lost, or an acknowledgement is overdue
//!  nothing ─────────► connected ───────────────────────────────────────────────► ended
//!     ▲  ▲               │ close                                                    │ next: Lost
//!     │  └───────────────┘                                                          │
//!     └─────────────────────────────────────────────────────────────────────────────┘
//! ```
//! It tries nothing by itself: who holds it decides when to connect (with a [`Backoff`](super::backoff::Backoff))
//! and what to say then. Nothing blocks, and nothing waits without a deadline but [`Session::next`].
//!
//! Length: the library's calls stand together, each with its deadline and its refusal.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paho_mqtt::{
    AsyncClient, ConnectOptions, ConnectOptionsBuilder, CreateOptionsBuilder, Error, MessageBuilder,
    MqttVersion as Version, PersistenceType, Properties, PropertyCode, QoS,
};
use secrecy::ExposeSecret;

use crate::settings::{MqttSettings, MqttVersion};
use crate::supervise::{Worker, WorkerError};

use super::client_id::client_id;
use super::diagnosis;
use super::line::{Ending, Line};
use super::message::Message;
use super::reason::{self, Doing};
use super::refusal::{Refusal, RefusalKind};
use super::tls;

/// Messages sent before the broker is asked whether it has them.
const IN_FLIGHT: usize = 32;

/// Bytes sent before the broker is asked that, but for a message that alone is larger. What the system's buffer of a
/// connection takes at once is more (72 kB were seen to go, with the packets of an Ethernet), and it must: of a message that it takes in two
/// parts, the second of which can't be written, the library tells by a structure that it has not filled
/// (paho.mqtt.c 1.3.16, `MQTTAsync_writeComplete`), which ends the process.
const BYTES_IN_FLIGHT: usize = 64_000;

/// A filter that nobody subscribes with: taking it back is a question that costs the broker nothing and that it answers
/// once it has what was sent before. Acknowledging each message would do that too, but what is to be acknowledged and
/// can't be written, the library frees twice (paho.mqtt.c 1.3.16), which ends the process.
const BARRIER: &str = "-";

/// What we take from the broker, in bytes: retained discovery is below 64 kB a message.
const LARGEST_TAKEN: u32 = 256 * 1024;

/// Around topic and payload in a packet: header, lengths, packet identifier, no properties.
const AROUND: usize = 10;

/// Threads that may be stuck in calls of the library.
const STUCK: usize = 3;

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
                self.since = Instant::now();
                Ok(())
            }
            Some(Err(error)) => {
                self.line = None;
                match reason::said(&error, &self.settings, Doing::Connecting) {
                    Some(refusal) => Err(refusal),
                    None => Err(self.diagnosed().await),
                }
            }
            None => Err(self.diagnosed().await),
        }
    }

    /// Publishes in order. Gives the messages that are too large for the broker, which costs the others nothing. The
    /// broker has the rest when this returns: after each batch it is asked something, and answers in order.
    ///
    /// # Errors
    /// When there is no connection, or the broker does not answer in time.
    pub async fn publish(&self, messages: Vec<Message>) -> Result<Vec<Refusal>, Refusal> {
        let line = self.line()?;
        let (mut fitting, mut refused) = (Vec::new(), Vec::new());
        for message in messages {
            match line.largest().and_then(|largest| too_large(&message, largest)) {
                Some(refusal) => refused.push(refusal),
                None => fitting.push(message),
            }
        }
        for batch in batches(fitting) {
            let client = line.client();
            let say = |client: &AsyncClient| {
                // The library says of a message only that it was written, and of a failure the question says more.
                for message in batch {
                    drop(client.publish(for_library(message, QoS::AtMostOnce)));
                }
                client.unsubscribe(BARRIER)
            };
            let begin = move || client?.call(say);
            let token = self.call(self.patience.token, begin).await?.ok_or_else(Refusal::not_connected)?;
            match line.acknowledged(token, self.patience.token).await {
                // Whatever the broker thinks of the question, it is an answer.
                Ok(_) | Err(Some(Error::ReasonCode(..))) => {}
                Err(error) => return Err(self.denied(line, error, Doing::Nothing)),
            }
        }
        Ok(refused)
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
            answer.map_err(|error| self.denied(line, error, Doing::Subscribing(filter)))?;
        }
        Ok(())
    }

    /// Takes back what was subscribed with these filters.
    ///
    /// # Errors
    /// When there is no connection, or an acknowledgement does not come in time.
    pub async fn unsubscribe(&self, filters: &[String]) -> Result<(), Refusal> {
        let line = self.line()?;
        let (client, filters) = (line.client(), filters.to_vec());
        let begin = move || client?.call(|client| client.unsubscribe_many(&filters));
        let token = self.call(self.patience.token, begin).await?.ok_or_else(Refusal::not_connected)?;
        let answer = line.acknowledged(token, self.patience.token).await;
        answer.map(drop).map_err(|error| self.denied(line, error, Doing::Nothing))
    }

    /// The name under which the broker knows us.
    #[must_use]
    pub fn client_id(&self) -> String {
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
                Incoming::Lost(self.ended(ending))
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
        let is_short = ending == Ending::Closed && self.since.elapsed() < SHORT;
        self.short_lives = if is_short { self.short_lives.saturating_add(1) } else { 0 };
    }

    fn line(&self) -> Result<&Line, Refusal> {
        let line = self.line.as_ref().filter(|line| !line.is_opening()).ok_or_else(Refusal::not_connected)?;
        if line.is_up() { Ok(line) } else { Err(self.ended(line.ending())) }
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

    /// Why there was no acknowledgement.
    fn denied(&self, line: &Line, error: Option<Error>, doing: Doing<'_>) -> Refusal {
        if let Some(refusal) = error.and_then(|error| reason::said(&error, &self.settings, doing)) {
            return refusal;
        }
        // Else the library means that the connection is gone.
        line.end(Ending::Closed);
        self.ended(line.ending())
    }

    fn ended(&self, ending: Ending) -> Refusal {
        match ending {
            Ending::Closed => Refusal::lost(&self.settings, self.short_lives),
            Ending::Told(code) => reason::meant(code, &self.settings, Doing::Nothing),
            Ending::Silent => Refusal::silent(&self.settings, self.patience.token),
            Ending::Flooded => Refusal::new(
                RefusalKind::Lost,
                "the broker sent messages faster than they could be taken; the connection begins anew",
            ),
        }
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

fn size(message: &Message) -> usize {
    message.topic.len() + message.payload.len() + AROUND
}

/// In order, what may be under way at once.
fn batches(messages: Vec<Message>) -> Vec<Vec<Message>> {
    let (mut batches, mut bytes) = (Vec::<Vec<Message>>::new(), 0);
    for message in messages {
        bytes += size(&message);
        match batches.last_mut() {
            Some(batch) if batch.len() < IN_FLIGHT && bytes <= BYTES_IN_FLIGHT => batch.push(message),
            _ => {
                bytes = size(&message);
                batches.push(vec![message]);
            }
        }
    }
    batches
}

fn too_large(message: &Message, largest: usize) -> Option<Refusal> {
    let bytes = size(message);
    if bytes <= largest {
        return None;
    }
    let sentence = format!(
        "the message to {:?} is larger than the broker takes ({bytes} of {largest} bytes): raise its limit \
         of the packet size",
        message.topic
    );
    Some(Refusal::new(RefusalKind::TooLarge, sentence))
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
