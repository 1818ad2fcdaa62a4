//! The session with the broker, one for the life of the service: connect, publish, subscribe, receive, close.
//!
//! ```text
//!               connect                      connection lost, or an acknowledgement is overdue
//!  disconnected ───────► connected ──────────────────────────────────────────────────────────► ended
//!     ▲  ▲                   │ close                                                             │ recv: Disconnected
//!     │  └───────────────────┘                                                                   │
//!     └──────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//! It never reconnects by itself: the caller decides when to connect (see
//! [`Backoff`](crate::mqtt::client::backoff::Backoff)) and what to publish then. Nothing blocks, and everything except
//! [`MqttSession::recv`] has a deadline.
//!
//! Length: Paho's calls, each with its deadline and its errors, belong together.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paho_mqtt::{
    AsyncClient, ConnectOptions, ConnectOptionsBuilder, CreateOptionsBuilder, Error, MessageBuilder,
    MqttVersion as Version, PersistenceType, Properties, PropertyCode, QoS, ReasonCode,
};
use parking_lot::{Mutex, MutexGuard};
use secrecy::ExposeSecret;

use crate::settings::{MqttSettings, MqttVersion};
use crate::supervise::{Worker, WorkerError};

use crate::mqtt::client::client_id::client_id;
use crate::mqtt::client::connection::{DisconnectReason, MqttConnection};
use crate::mqtt::client::diagnosis;
use crate::mqtt::client::error::{MqttError, MqttErrorKind};
use crate::mqtt::client::reason_code::{self, Operation};
use crate::mqtt::client::round_trips::{RoundTrip, RoundTripPlanner};
use crate::mqtt::client::tls;
use crate::mqtt::message::Message;

/// A filter without a subscription. The broker answers the UNSUBSCRIBE at no cost, and only after it has received
/// everything sent before. Acknowledging each message would have the same effect, but Paho frees a message twice that
/// is to be acknowledged and can't be written (paho.mqtt.c 1.3.16), which ends the process. So only a few messages are
/// acknowledged, each with nothing else in flight, right after the broker has answered.
const BARRIER: &str = "-";

/// Largest packet accepted from the broker, in bytes: retained discovery messages are smaller than 64 kB.
const MAX_PACKET_SIZE: u32 = 256 * 1024;

/// Threads that may be stuck in calls of Paho.
const MAX_STUCK_THREADS: usize = 3;

/// A broker's reason for closing a connection may arrive this much later than the loss is noticed.
const REASON_DELAY: Duration = Duration::from_millis(200);

/// So many short connections in a row are not a coincidence.
const CONTENDED_AFTER: u32 = 2;

/// A shorter connection counts as one that ended right after it was made.
const SHORT_CONNECTION: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MqttTimeouts {
    pub connect: Duration,
    /// One acknowledgement, and each step of the diagnosis of a failed attempt.
    pub ack: Duration,
    pub disconnect: Duration,
    /// Interval of the keep-alive pings, in whole seconds. An unresponsive broker is noticed after about two and a half
    /// times this.
    pub keep_alive: Duration,
}

impl Default for MqttTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            ack: Duration::from_secs(5),
            disconnect: Duration::from_secs(2),
            keep_alive: Duration::from_secs(15),
        }
    }
}

/// Received from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    Message {
        topic: String,
        payload: Vec<u8>,
        retained: bool,
    },
    /// The connection has ended; `connect` may be called again.
    Disconnected(MqttError),
}

pub struct MqttSession {
    settings: Arc<MqttSettings>,
    will: Option<Message>,
    timeouts: MqttTimeouts,
    worker: Worker,
    connection: Option<MqttConnection>,
    planner: Mutex<RoundTripPlanner>,
    connected_at: Instant,
    /// Connections in a row that ended right after they were made.
    short_connections: u32,
}

impl MqttSession {
    /// Creates a disconnected session. The broker publishes `will` if the connection is lost without a DISCONNECT.
    ///
    /// # Errors
    /// If the settings are not supported.
    pub fn new(
        settings: &MqttSettings,
        will: impl Into<Option<Message>>,
        timeouts: MqttTimeouts,
    ) -> Result<Self, MqttError> {
        tls::check_supported(settings)?;
        Ok(Self {
            settings: Arc::new(settings.clone()),
            will: will.into(),
            timeouts,
            worker: Worker::new("mqtt", MAX_STUCK_THREADS),
            connection: None,
            planner: Mutex::new(RoundTripPlanner::new(settings.version == MqttVersion::V5)),
            connected_at: Instant::now(),
            short_connections: 0,
        })
    }

    /// As far as is known: a loss is noticed with a delay.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connection.as_ref().is_some_and(MqttConnection::is_up)
    }

    /// Makes one attempt to connect, closing an existing connection first. If the previous attempt is still running,
    /// its outcome counts.
    ///
    /// # Errors
    /// Why there is no connection. If Paho does not report the reason, a diagnosis of the broker finds it.
    pub async fn connect(&mut self) -> Result<(), MqttError> {
        if let Some(connection) = self.connection.as_ref().filter(|connection| !connection.is_connecting()) {
            if !connection.is_up() {
                self.record_end(connection.disconnect_reason());
            }
            self.close().await;
        }
        let must_start = match &mut self.connection {
            Some(connection) => {
                connection.wait_connected(Duration::ZERO).await.is_some_and(|outcome| outcome.is_err())
            }
            None => true,
        };
        if must_start {
            self.connection = None;
            self.connection = Some(self.start_connection().await?);
        }
        let Some(connection) = &mut self.connection else { return Err(MqttError::not_connected()) };
        match connection.wait_connected(self.timeouts.connect).await {
            Some(Ok(())) => {
                self.planner().on_connected();
                self.connected_at = Instant::now();
                Ok(())
            }
            Some(Err(error)) => {
                self.connection = None;
                match reason_code::from_paho(&error, &self.settings, Operation::Connect) {
                    Some(error) => Err(error),
                    None => Err(self.diagnose().await),
                }
            }
            None => Err(self.diagnose().await),
        }
    }

    /// Publishes in order. Returns an error for each message that the broker does not accept; the others are published.
    /// When this returns, the broker has received them.
    ///
    /// # Errors
    /// If there is no connection, or the broker does not answer in time.
    pub async fn publish(&self, messages: Vec<Message>) -> Result<Vec<MqttError>, MqttError> {
        let max_packet_size = self.connection()?.max_packet_size();
        let (trips, mut rejected) = self.planner().plan(messages, max_packet_size);
        for trip in trips {
            let start = Instant::now();
            match self.send(&trip).await {
                Ok(error) => {
                    self.planner().on_received(&trip, start.elapsed());
                    rejected.extend(error);
                }
                Err(error) => {
                    let is_closed = self.connection.as_ref().is_some_and(|connection| {
                        matches!(
                            connection.disconnect_reason(),
                            DisconnectReason::Closed | DisconnectReason::ByBroker(ReasonCode::PacketTooLarge)
                        )
                    });
                    let is_lost = matches!(
                        error.kind,
                        MqttErrorKind::ConnectionLost | MqttErrorKind::TooLarge | MqttErrorKind::TakenOver
                    );
                    let cause =
                        if is_closed && is_lost { self.planner().on_connection_lost(&trip) } else { None };
                    return Err(cause.unwrap_or(error));
                }
            }
        }
        Ok(rejected)
    }

    /// Sends one round trip and waits until the broker has received it. Returns the broker's rejection, if any.
    async fn send(&self, trip: &RoundTrip) -> Result<Option<MqttError>, MqttError> {
        let connection = self.connection()?;
        let within = self.planner().deadline(trip, self.timeouts.ack);
        let (client, messages) = (connection.client(), trip.messages.clone());
        if trip.acknowledged {
            let message = messages.into_iter().next().ok_or_else(MqttError::not_connected)?;
            let topic = message.topic.clone();
            let publish = move || client?.call(|client| client.publish(to_paho(message, QoS::AtLeastOnce)));
            let token = self.call(self.timeouts.ack, publish).await?.ok_or_else(MqttError::not_connected)?;
            return match connection.wait_for_ack(token, within).await {
                Ok(()) => Ok(None),
                Err(Some(error @ Error::ReasonCode(..))) => {
                    Ok(reason_code::from_paho(&error, &self.settings, Operation::Publish(&topic)))
                }
                Err(error) => Err(self.ack_error(connection, error, Operation::None, within).await),
            };
        }
        let publish_all = |client: &AsyncClient| {
            // Paho reports only that a message was written; the answer to the barrier shows more.
            for message in messages {
                drop(client.publish(to_paho(message, QoS::AtMostOnce)));
            }
            client.unsubscribe(BARRIER)
        };
        let publish_all = move || client?.call(publish_all);
        let token = self.call(self.timeouts.ack, publish_all).await?.ok_or_else(MqttError::not_connected)?;
        match connection.wait_for_ack(token, within).await {
            // A reason code is an answer as well.
            Ok(_) | Err(Some(Error::ReasonCode(..))) => Ok(None),
            Err(error) => Err(self.ack_error(connection, error, Operation::None, within).await),
        }
    }

    /// Subscribes in order, with QoS 1.
    ///
    /// # Errors
    /// If there is no connection, the broker rejects a filter, or an acknowledgement is overdue.
    pub async fn subscribe(&self, filters: &[String]) -> Result<(), MqttError> {
        let connection = self.connection()?;
        for filter in filters {
            let (client, subscribed) = (connection.client(), filter.clone());
            let request = move || client?.call(|client| client.subscribe(subscribed, QoS::AtLeastOnce));
            let token = self.call(self.timeouts.ack, request).await?.ok_or_else(MqttError::not_connected)?;
            let ack = connection.wait_for_ack(token, self.timeouts.ack).await;
            if let Err(error) = ack {
                return Err(self
                    .ack_error(connection, error, Operation::Subscribe(filter), self.timeouts.ack)
                    .await);
            }
        }
        Ok(())
    }

    /// # Errors
    /// If there is no connection, or the acknowledgement is overdue.
    pub(crate) async fn unsubscribe(&self, filters: &[String]) -> Result<(), MqttError> {
        let connection = self.connection()?;
        let (client, filters) = (connection.client(), filters.to_vec());
        let request = move || client?.call(|client| client.unsubscribe_many(&filters));
        let token = self.call(self.timeouts.ack, request).await?.ok_or_else(MqttError::not_connected)?;
        match connection.wait_for_ack(token, self.timeouts.ack).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.ack_error(connection, error, Operation::None, self.timeouts.ack).await),
        }
    }

    /// How many received messages were dropped since the last call because the inbox was full.
    pub(crate) fn take_dropped(&self) -> usize {
        self.connection.as_ref().map_or(0, MqttConnection::take_dropped)
    }

    /// Whether the last connections ended right after they were made, as when another client uses the same client id.
    #[must_use]
    pub(crate) fn is_contended(&self) -> bool {
        self.short_connections >= CONTENDED_AFTER
    }

    #[must_use]
    pub(crate) fn client_id(&self) -> String {
        client_id(&self.settings)
    }

    /// Returns the next message, or once the end of the connection. Without a connection it waits forever. Cancel safe.
    pub async fn recv(&mut self) -> Incoming {
        let connection = self.connection.as_mut().filter(|connection| !connection.is_connecting());
        let Some(connection) = connection else {
            return std::future::pending().await;
        };
        match connection.recv().await {
            Ok(message) => Incoming::Message {
                topic: message.topic().to_owned(),
                payload: message.payload().to_vec(),
                retained: message.retained(),
            },
            Err(reason) => {
                self.connection = None;
                self.record_end(reason);
                Incoming::Disconnected(self.disconnect_error(reason, self.timeouts.ack))
            }
        }
    }

    /// Sends a DISCONNECT, so that the broker does not publish the will.
    pub async fn close(&mut self) {
        let Some(connection) = self.connection.take().filter(MqttConnection::is_up) else { return };
        let client = connection.client();
        let disconnect = move || client?.call(|client| client.disconnect(None));
        if let Ok(Some(token)) = self.call(self.timeouts.disconnect, disconnect).await {
            // The connection is dropped in either case.
            let _ = connection.wait_for_ack(token, self.timeouts.disconnect).await;
        }
    }

    fn record_end(&mut self, reason: DisconnectReason) {
        let may_be_takeover = matches!(
            reason,
            DisconnectReason::Closed | DisconnectReason::ByBroker(ReasonCode::SessionTakenOver)
        );
        let is_short = may_be_takeover && self.connected_at.elapsed() < SHORT_CONNECTION;
        self.short_connections = if is_short { self.short_connections.saturating_add(1) } else { 0 };
    }

    fn connection(&self) -> Result<&MqttConnection, MqttError> {
        let connection = self.connection.as_ref().filter(|connection| !connection.is_connecting());
        let connection = connection.ok_or_else(MqttError::not_connected)?;
        if connection.is_up() {
            Ok(connection)
        } else {
            Err(self.disconnect_error(connection.disconnect_reason(), self.timeouts.ack))
        }
    }

    /// Runs a call that may block on the worker.
    async fn call<T: Send + 'static>(
        &self,
        within: Duration,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, MqttError> {
        self.worker.call(within, call).await.map_err(|error| library_stuck(&self.settings, &error))
    }

    async fn start_connection(&self) -> Result<MqttConnection, MqttError> {
        let (settings, will, timeouts) = (Arc::clone(&self.settings), self.will.clone(), self.timeouts);
        let start = move || {
            MqttConnection::start(create_options(&settings), connect_options(&settings, will, timeouts)?)
        };
        let started = self.call(self.timeouts.connect, start).await?;
        started.map_err(|error| {
            let message = format!("the MQTT library rejects the settings in [mqtt]: {error}");
            MqttError::new(MqttErrorKind::InvalidSettings, message)
        })
    }

    /// Finds out why an attempt to connect failed.
    async fn diagnose(&self) -> MqttError {
        let (settings, within) = (Arc::clone(&self.settings), self.timeouts.ack);
        // Each step has this deadline, and a few may use all of it.
        let cause = self.call(within * 4, move || diagnosis::diagnose(&settings, within)).await;
        cause.unwrap_or_else(|error| error)
    }

    /// Why there was no acknowledgement `within` that time.
    async fn ack_error(
        &self,
        connection: &MqttConnection,
        error: Option<Error>,
        operation: Operation<'_>,
        within: Duration,
    ) -> MqttError {
        let reported = error.and_then(|error| reason_code::from_paho(&error, &self.settings, operation));
        if let Some(error) = reported {
            return error;
        }
        // Otherwise the connection is gone; the broker's reason may arrive a moment later.
        connection.wait_disconnected(REASON_DELAY).await;
        connection.mark_disconnected(DisconnectReason::Closed);
        self.disconnect_error(connection.disconnect_reason(), within)
    }

    fn disconnect_error(&self, reason: DisconnectReason, within: Duration) -> MqttError {
        match reason {
            DisconnectReason::Closed => MqttError::connection_lost(&self.settings, self.short_connections),
            DisconnectReason::ByBroker(code) => {
                reason_code::from_reason_code(code, &self.settings, Operation::None)
            }
            DisconnectReason::AckTimeout => MqttError::timeout(&self.settings, within),
        }
    }

    fn planner(&self) -> MutexGuard<'_, RoundTripPlanner> {
        self.planner.lock()
    }
}

impl fmt::Debug for MqttSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.settings.url.to_string();
        f.debug_struct("Session").field("url", &url).field("is_connected", &self.is_connected()).finish()
    }
}

fn library_stuck(settings: &MqttSettings, error: &WorkerError) -> MqttError {
    let host = &settings.url.host;
    let message =
        format!("the MQTT library is stuck, most likely because no name server answers for {host}: {error}");
    MqttError::new(MqttErrorKind::LibraryStuck, message)
}

fn to_paho(message: Message, qos: QoS) -> paho_mqtt::Message {
    let Message { topic, payload, retained } = message;
    MessageBuilder::new().topic(topic).payload(payload).retained(retained).qos(qos).finalize()
}

fn protocol_version(settings: &MqttSettings) -> Version {
    match settings.version {
        MqttVersion::V5 => Version::V5,
        MqttVersion::V311 => Version::V3_1_1,
    }
}

fn create_options(settings: &MqttSettings) -> CreateOptionsBuilder {
    CreateOptionsBuilder::new()
        .server_uri(settings.url.to_string())
        .client_id(client_id(settings))
        .persistence(PersistenceType::None)
        .mqtt_version(protocol_version(settings))
}

fn connect_options(
    settings: &MqttSettings,
    will: Option<Message>,
    timeouts: MqttTimeouts,
) -> Result<ConnectOptions, Error> {
    let mut options = ConnectOptionsBuilder::with_mqtt_version(protocol_version(settings));
    options.connect_timeout(timeouts.connect).keep_alive_interval(timeouts.keep_alive);
    if let Some(will) = will {
        options.will_message(to_paho(will, QoS::AtLeastOnce));
    }
    match settings.version {
        MqttVersion::V5 => {
            let mut properties = Properties::new();
            properties.push_u32(PropertyCode::MaximumPacketSize, MAX_PACKET_SIZE)?;
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
    if let Some(ssl) = tls::session_options(settings)? {
        options.ssl_options(ssl);
    }
    Ok(options.finalize())
}
