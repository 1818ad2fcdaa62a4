//! One connection: a client of the library, made for it and ended with it.
//!
//! The library's ways, as its source has them, and what follows:
//! - It has one lock for all its clients. Each call takes it, and its own threads hold it while they resolve
//!   the broker's name. So every call is made on a [`Worker`], with a deadline.
//! - What a client had queued when its connection was lost goes out after it reconnected, however old it is.
//!   So a client is never connected twice.
//! - A client must not be ended by one of its own call-backs, nor while it is connecting: [`end`].
//! - What is to be done for any client stands in one list. A client that begins to connect is put at its head under one
//!   lock, and what an ended client had there is taken out under another. So these two take turns: [`turn`].
//! - With its last client it ends its threads, which takes a second or more. So one is kept aside: [`ready`].

use std::mem::{self, ManuallyDrop};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use paho_mqtt::{
    AsyncClient, ConnectOptions, ConnectToken, CreateOptions, CreateOptionsBuilder, Error, Message,
    PropertyCode, ReasonCode,
};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// Messages that may wait to be processed, and their bytes. More are dropped: a broker may retain any number of them.
const INBOX: usize = 16_384;
const INBOX_BYTES: usize = 32 * 1024 * 1024;

/// Longer than the library ever needs to give up a connection that was not made: the resolver's patience and
/// its own, twice over.
const GIVES_UP: Duration = Duration::from_secs(120);

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Closed, by whomever.
    Closed,
    /// The broker said why.
    Told(ReasonCode),
    /// An acknowledgement did not come in time.
    Silent,
}

/// Counts the messages that wait to be processed.
#[derive(Debug, Default)]
struct Waiting {
    bytes: AtomicUsize,
    dropped: AtomicUsize,
}

impl Waiting {
    /// Puts a message into the inbox, if there is room.
    fn add(&self, inbox: &mpsc::Sender<Message>, message: Message) {
        let bytes = weight(&message);
        let is_full = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > INBOX_BYTES;
        if is_full || inbox.try_send(message).is_err() {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn weight(message: &Message) -> usize {
    message.topic().len() + message.payload().len()
}

/// A client of the library, freed in its turn by whoever lets go of it last.
pub(super) struct Client(Option<AsyncClient>);

impl Client {
    /// A call on it, which may block.
    pub(super) fn call<T>(&self, call: impl FnOnce(&AsyncClient) -> T) -> Option<T> {
        self.0.as_ref().map(call)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _turn = turn();
        drop(self.0.take());
    }
}

/// One client begins to connect, or one is freed.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that is being made, that is, or that was.
pub(super) struct Line {
    /// Until it is dropped.
    client: Option<Arc<Client>>,
    /// While it is being made.
    opening: Option<ConnectToken>,
    inbox: mpsc::Receiver<Message>,
    waiting: Arc<Waiting>,
    ended: Arc<watch::Sender<Option<Ending>>>,
    /// The largest packet that the broker takes, in bytes, where it said so.
    largest: Option<usize>,
}

/// What has the library's threads live for as long as the process.
fn ready() {
    static KEPT: OnceLock<Option<AsyncClient>> = OnceLock::new();
    KEPT.get_or_init(|| AsyncClient::new(CreateOptions::new()).ok());
}

impl Line {
    /// Begins to connect. May block.
    pub(super) fn open(client: CreateOptionsBuilder, options: ConnectOptions) -> Result<Self, Error> {
        ready();
        let client = client.create_client()?;
        let (letters, inbox) = mpsc::channel(INBOX);
        let ended = Arc::new(watch::Sender::new(None));
        let waiting = Arc::new(Waiting::default());
        let room = Arc::clone(&waiting);
        client.set_message_callback(move |_, message| {
            message.into_iter().for_each(|message| room.add(&letters, message));
        });
        let over = Arc::clone(&ended);
        client.set_disconnected_callback(move |_, _, code| end_with(&over, Ending::Told(code)));
        let over = Arc::clone(&ended);
        client.set_connection_lost_callback(move |_| end_with(&over, Ending::Closed));
        let turn = turn();
        let opening = Some(client.connect(options));
        drop(turn);
        Ok(Self {
            client: Some(Arc::new(Client(Some(client)))),
            opening,
            inbox,
            waiting,
            ended,
            largest: None,
        })
    }

    /// Whether it is still being made.
    pub(super) fn is_opening(&self) -> bool {
        self.opening.is_some()
    }

    /// Whether it has been made and has not ended.
    pub(super) fn is_up(&self) -> bool {
        self.opening.is_none() && self.ended.borrow().is_none()
    }

    /// Waits until it has been made, or could not be; nothing when neither is so in time.
    pub(super) async fn opened(&mut self, within: Duration) -> Option<Result<(), Error>> {
        let Some(opening) = &mut self.opening else { return Some(Ok(())) };
        let outcome = timeout(within, opening).await.ok()?;
        self.opening = None;
        Some(outcome.map(|answer| {
            let largest = answer.properties().get_int(PropertyCode::MaximumPacketSize);
            self.largest = largest.and_then(|bytes| usize::try_from(bytes).ok());
        }))
    }

    /// For a call on a worker.
    pub(super) fn client(&self) -> Option<Arc<Client>> {
        self.client.clone()
    }

    /// The largest packet that the broker takes, in bytes.
    pub(super) fn largest(&self) -> Option<usize> {
        self.largest
    }

    /// Waits for an acknowledgement, as long as the line holds.
    ///
    /// # Errors
    /// What the library says instead of it; nothing where the line has ended.
    pub(super) async fn acknowledged<T>(
        &self,
        token: impl Future<Output = Result<T, Error>>,
        within: Duration,
    ) -> Result<T, Option<Error>> {
        let mut over = self.ended.subscribe();
        tokio::select! {
            biased;
            answer = timeout(within, token) => {
                let answer = answer.inspect_err(|_| self.end(Ending::Silent));
                answer.map_err(|_| None)?.map_err(Some)
            }
            _ = over.wait_for(Option::is_some) => Err(None),
        }
    }

    /// How many messages found no room since the last call.
    pub(super) fn take_dropped(&self) -> usize {
        self.waiting.dropped.swap(0, Ordering::Relaxed)
    }

    /// Waits until it has ended, at most `within`.
    pub(super) async fn ends_within(&self, within: Duration) {
        let mut over = self.ended.subscribe();
        // The caller checks the state again.
        drop(timeout(within, over.wait_for(Option::is_some)).await);
    }

    /// Takes note that it has ended, if that is not known yet.
    pub(super) fn end(&self, why: Ending) {
        end_with(&self.ended, why);
    }

    /// Why it has ended.
    pub(super) fn ending(&self) -> Ending {
        self.ended.borrow().unwrap_or(Ending::Closed)
    }

    /// The next message, or why there will be none. Nothing is lost when it is dropped.
    pub(super) async fn next(&mut self) -> Result<Message, Ending> {
        let mut over = self.ended.subscribe();
        tokio::select! {
            biased;
            Some(message) = self.inbox.recv() => {
                self.waiting.bytes.fetch_sub(weight(&message), Ordering::Relaxed);
                Ok(message)
            }
            _ = over.wait_for(Option::is_some) => Err(self.ending()),
        }
    }
}

/// The first reason is the reason.
fn end_with(ended: &watch::Sender<Option<Ending>>, ending: Ending) {
    ended.send_if_modified(|known| {
        let is_first = known.is_none();
        known.get_or_insert(ending);
        is_first
    });
}

impl Drop for Line {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        // Where there is no thread to end it on, it is left as it is and never ended.
        let client = ManuallyDrop::new(client);
        let opening = self.opening.take();
        let ending = move || end(ManuallyDrop::into_inner(client), opening);
        drop(thread::Builder::new().name("mqtt-end".to_owned()).spawn(ending));
    }
}

/// Disconnects a client and frees it. Blocks.
///
/// The attempt to connect holds the client until its call-back returns. Were that the last to let go, the
/// library would free the client under its own feet: so the attempt is waited for, and then the library's
/// lock is taken once, which it holds during call-backs.
fn end(client: Arc<Client>, opening: Option<ConnectToken>) {
    let is_over = opening.is_none_or(|opening| !matches!(opening.wait_for(GIVES_UP), Err(Error::Timeout)));
    if is_over {
        client.call(AsyncClient::is_connected);
    } else {
        mem::forget(client);
    }
}
