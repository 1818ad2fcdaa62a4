//! One connection to the broker: a Paho client that is created for it and freed with it.
//!
//! What Paho does (read from its source), and what follows from it:
//! - One lock serves all clients. Every call takes it, and Paho's own threads hold it while they resolve the broker's
//!   host name. So every call runs on a [`Worker`](crate::supervise::Worker), with a deadline.
//! - Messages that a client had queued when its connection was lost are sent after it reconnects, however old they are.
//!   So a client never connects twice.
//! - A client must not be freed by one of its own callbacks, nor while it is connecting: [`disconnect_and_free`].
//! - All clients share one list of commands. A client that starts to connect is put at its head under one lock, and the
//!   commands of a freed client are removed under another. So the two are serialized: [`client_lifecycle_lock`].
//! - Freeing the last client ends Paho's threads, which takes a second or more. So one unused client is kept:
//!   [`keep_library_threads`].

use std::mem::{self, ManuallyDrop};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use paho_mqtt::{
    AsyncClient, ConnectOptions, ConnectToken, CreateOptions, CreateOptionsBuilder, Error, Message,
    PropertyCode, ReasonCode,
};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// Received messages that may wait to be processed. Further ones are dropped: a broker may retain any number of them.
const INBOX_MESSAGES: usize = 16_384;
const INBOX_BYTES: usize = 32 * 1024 * 1024;

/// Longer than Paho ever takes to give up an attempt to connect: the resolver's timeout and its own, doubled.
const CONNECT_GIVEN_UP: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DisconnectReason {
    /// Closed by either side or by the network, without a reason.
    Closed,
    /// The broker sent a reason code.
    ByBroker(ReasonCode),
    /// An acknowledgement did not arrive in time.
    AckTimeout,
}

/// Received messages that wait to be processed.
#[derive(Debug, Default)]
struct InboxUsage {
    bytes: AtomicUsize,
    dropped: AtomicUsize,
}

impl InboxUsage {
    fn enqueue_or_drop(&self, inbox: &mpsc::Sender<Message>, message: Message) {
        let bytes = size(&message);
        let is_full = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > INBOX_BYTES;
        if is_full || inbox.try_send(message).is_err() {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn size(message: &Message) -> usize {
    message.topic().len() + message.payload().len()
}

/// A Paho client that takes the [`client_lifecycle_lock`] when it is freed.
pub(super) struct PahoClient(Option<AsyncClient>);

impl PahoClient {
    /// May block.
    pub(super) fn call<T>(&self, call: impl FnOnce(&AsyncClient) -> T) -> Option<T> {
        self.0.as_ref().map(call)
    }
}

impl Drop for PahoClient {
    fn drop(&mut self) {
        let _guard = client_lifecycle_lock();
        drop(self.0.take());
    }
}

/// Held while a client starts to connect and while one is freed.
fn client_lifecycle_lock() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock()
}

/// A connection that is being made, is up, or has ended.
pub(super) struct MqttConnection {
    /// `None` only in `drop`.
    client: Option<Arc<PahoClient>>,
    /// Set while the connection is being made.
    connecting: Option<ConnectToken>,
    inbox: mpsc::Receiver<Message>,
    inbox_usage: Arc<InboxUsage>,
    disconnected: Arc<watch::Sender<Option<DisconnectReason>>>,
    /// In bytes, if the broker announced a limit.
    max_packet_size: Option<usize>,
}

/// Keeps Paho's threads alive as long as the process.
fn keep_library_threads() {
    static UNUSED_CLIENT: OnceLock<Option<AsyncClient>> = OnceLock::new();
    UNUSED_CLIENT.get_or_init(|| AsyncClient::new(CreateOptions::new()).ok());
}

impl MqttConnection {
    /// Starts to connect. May block.
    pub(super) fn start(client: CreateOptionsBuilder, options: ConnectOptions) -> Result<Self, Error> {
        keep_library_threads();
        let client = client.create_client()?;
        let (sender, inbox) = mpsc::channel(INBOX_MESSAGES);
        let disconnected = Arc::new(watch::Sender::new(None));
        let inbox_usage = Arc::new(InboxUsage::default());
        let usage = Arc::clone(&inbox_usage);
        client.set_message_callback(move |_, message| {
            message.into_iter().for_each(|message| usage.enqueue_or_drop(&sender, message));
        });
        let reason = Arc::clone(&disconnected);
        client.set_disconnected_callback(move |_, _, code| {
            set_if_first(&reason, DisconnectReason::ByBroker(code));
        });
        let reason = Arc::clone(&disconnected);
        client.set_connection_lost_callback(move |_| set_if_first(&reason, DisconnectReason::Closed));
        let guard = client_lifecycle_lock();
        let connecting = Some(client.connect(options));
        drop(guard);
        Ok(Self {
            client: Some(Arc::new(PahoClient(Some(client)))),
            connecting,
            inbox,
            inbox_usage,
            disconnected,
            max_packet_size: None,
        })
    }

    pub(super) fn is_connecting(&self) -> bool {
        self.connecting.is_some()
    }

    pub(super) fn is_up(&self) -> bool {
        self.connecting.is_none() && self.disconnected.borrow().is_none()
    }

    /// Waits until the attempt to connect has succeeded or failed; `None` if neither happens `within` that time.
    pub(super) async fn wait_connected(&mut self, within: Duration) -> Option<Result<(), Error>> {
        let Some(connecting) = &mut self.connecting else { return Some(Ok(())) };
        let outcome = timeout(within, connecting).await.ok()?;
        self.connecting = None;
        Some(outcome.map(|response| {
            let limit = response.properties().get_int(PropertyCode::MaximumPacketSize);
            self.max_packet_size = limit.and_then(|bytes| usize::try_from(bytes).ok());
        }))
    }

    /// For a call on a worker.
    pub(super) fn client(&self) -> Option<Arc<PahoClient>> {
        self.client.clone()
    }

    /// The largest packet that the broker accepts, in bytes.
    pub(super) fn max_packet_size(&self) -> Option<usize> {
        self.max_packet_size
    }

    /// Waits for an acknowledgement while the connection is up.
    ///
    /// # Errors
    /// Paho's error; `None` if the connection has ended or the acknowledgement is overdue, which ends it.
    pub(super) async fn wait_for_ack<T>(
        &self,
        token: impl Future<Output = Result<T, Error>>,
        within: Duration,
    ) -> Result<T, Option<Error>> {
        let mut disconnected = self.disconnected.subscribe();
        tokio::select! {
            biased;
            ack = timeout(within, token) => {
                let ack = ack.inspect_err(|_| self.mark_disconnected(DisconnectReason::AckTimeout));
                ack.map_err(|_| None)?.map_err(Some)
            }
            _ = disconnected.wait_for(Option::is_some) => Err(None),
        }
    }

    /// How many messages were dropped since the last call because the inbox was full.
    pub(super) fn take_dropped(&self) -> usize {
        self.inbox_usage.dropped.swap(0, Ordering::Relaxed)
    }

    /// Waits until the connection has ended, at most `within` that time.
    pub(super) async fn wait_disconnected(&self, within: Duration) {
        let mut disconnected = self.disconnected.subscribe();
        // The caller checks the state again.
        drop(timeout(within, disconnected.wait_for(Option::is_some)).await);
    }

    /// Records that the connection has ended. A reason that is known already stays.
    pub(super) fn mark_disconnected(&self, reason: DisconnectReason) {
        set_if_first(&self.disconnected, reason);
    }

    pub(super) fn disconnect_reason(&self) -> DisconnectReason {
        self.disconnected.borrow().unwrap_or(DisconnectReason::Closed)
    }

    /// The next message, or why there will be none. Cancel safe.
    pub(super) async fn recv(&mut self) -> Result<Message, DisconnectReason> {
        let mut disconnected = self.disconnected.subscribe();
        tokio::select! {
            biased;
            Some(message) = self.inbox.recv() => {
                self.inbox_usage.bytes.fetch_sub(size(&message), Ordering::Relaxed);
                Ok(message)
            }
            _ = disconnected.wait_for(Option::is_some) => Err(self.disconnect_reason()),
        }
    }
}

/// The first reason counts: later ones are consequences of it.
fn set_if_first(disconnected: &watch::Sender<Option<DisconnectReason>>, reason: DisconnectReason) {
    disconnected.send_if_modified(|known| {
        let is_first = known.is_none();
        known.get_or_insert(reason);
        is_first
    });
}

impl Drop for MqttConnection {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        // If no thread can be started, the client is leaked: it must not be freed here.
        let client = ManuallyDrop::new(client);
        let connecting = self.connecting.take();
        let free = move || disconnect_and_free(ManuallyDrop::into_inner(client), connecting);
        drop(thread::Builder::new().name("mqtt-end".to_owned()).spawn(free));
    }
}

/// Disconnects a client and frees it. Blocks.
///
/// An attempt to connect holds the client until its callback returns. If the callback were the last holder, Paho would
/// free the client inside its own callback. So this waits for the attempt and then takes Paho's lock once, which Paho
/// holds during callbacks.
fn disconnect_and_free(client: Arc<PahoClient>, connecting: Option<ConnectToken>) {
    let is_over = connecting
        .is_none_or(|connecting| !matches!(connecting.wait_for(CONNECT_GIVEN_UP), Err(Error::Timeout)));
    if is_over {
        client.call(AsyncClient::is_connected);
    } else {
        mem::forget(client);
    }
}
