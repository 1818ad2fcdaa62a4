//! An actor that fails on request, and a supervisor for it.

use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{
    Actor, ActorContext, AsyncContext, Context, Handler, Message, ResponseFuture, Supervised, System,
};
use bankwatch::internals::supervise::{
    ChildState, Flush, Ping, ServiceHealth, StopHandle, SupervisionPolicy, Supervisor,
};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::lines::Lines;

/// Long enough for a loaded machine; a test that waits so long fails.
pub const LONG: Duration = Duration::from_secs(20);

pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Scripted failures of a [`FaultyActor`], and what it did across all restarts.
#[derive(Default)]
pub struct Probe {
    pub starts: AtomicU32,
    pub stops: AtomicU32,
    pub pings: AtomicU32,
    /// The number of upcoming starts that fail.
    pub failing_starts: AtomicU32,
    /// The number of upcoming restarts that panic.
    pub panicking_restarts: AtomicU32,
    /// The numbers of all [`Do::Note`] messages handled, in order.
    pub notes: Mutex<Vec<u32>>,
}

impl Probe {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn starts(&self) -> u32 {
        self.starts.load(Ordering::SeqCst)
    }

    pub fn notes(&self) -> Vec<u32> {
        self.notes.lock().unwrap().clone()
    }
}

/// Fails as its [`Probe`] or a [`Do`] message requests. `notes_since_start` is reset by each restart.
pub struct FaultyActor {
    probe: Arc<Probe>,
    stop_handle: StopHandle,
    notes_since_start: u32,
}

impl FaultyActor {
    pub fn new(probe: &Arc<Probe>) -> impl FnOnce(StopHandle) -> Self + Send + use<> {
        let probe = Arc::clone(probe);
        move |stop_handle| Self { probe, stop_handle, notes_since_start: 0 }
    }
}

impl Actor for FaultyActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.probe.starts.fetch_add(1, Ordering::SeqCst);
        if takes_one(&self.probe.failing_starts) {
            self.stop_handle.because("no such\ndirectory");
            ctx.stop();
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.probe.stops.fetch_add(1, Ordering::SeqCst);
    }
}

impl Supervised for FaultyActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        assert!(!takes_one(&self.probe.panicking_restarts), "while restarting");
        self.notes_since_start = 0;
    }
}

/// Decrements the counter unless it is zero.
fn takes_one(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl Handler<Ping> for FaultyActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {
        self.probe.pings.fetch_add(1, Ordering::SeqCst);
    }
}

/// The action to perform; the response is the number of notes since the last start.
#[derive(Message)]
#[rtype(result = "u32")]
pub enum Do {
    Note(u32),
    Panic,
    Stop,
    GiveUp,
    /// Wait forever without blocking the thread.
    Hang,
    /// Block the thread until the other end is dropped.
    Block(mpsc::Receiver<()>),
}

impl Handler<Do> for FaultyActor {
    type Result = u32;

    fn handle(&mut self, action: Do, ctx: &mut Self::Context) -> u32 {
        match action {
            Do::Note(number) => {
                self.notes_since_start += 1;
                self.probe.notes.lock().unwrap().push(number);
            }
            Do::Panic => panic!("as requested"),
            Do::Stop => ctx.stop(),
            Do::GiveUp => {
                self.stop_handle.give_up("no thread left");
                ctx.stop();
            }
            Do::Hang => ctx.wait(wrap_future(pending())),
            Do::Block(released) => {
                let _ = released.recv();
            }
        }
        self.notes_since_start
    }
}

/// Responds immediately.
impl Handler<Flush> for FaultyActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Flush, _: &mut Self::Context) -> Self::Result {
        self.probe.notes.lock().unwrap().push(FLUSHED);
        Box::pin(async {})
    }
}

/// The note that a flush leaves.
pub const FLUSHED: u32 = 999;

/// Responds with the id of the thread it is handled on, to distinguish arbiters.
#[derive(Message)]
#[rtype(result = "String")]
pub struct WhichThread;

impl Handler<WhichThread> for FaultyActor {
    type Result = String;

    fn handle(&mut self, _: WhichThread, _: &mut Self::Context) -> String {
        format!("{:?}", thread::current().id())
    }
}

/// Short backoffs and no pings, for tests that are not about hangs.
pub fn brisk() -> SupervisionPolicy {
    SupervisionPolicy {
        initial_backoff: ms(10),
        max_backoff: ms(40),
        healthy_after: LONG * 10,
        panic_budget: (1000, LONG),
        failed_retry_interval: ms(30),
        ping_interval: LONG * 10,
        ping_timeout: ms(500),
        command_timeout: ms(300),
    }
}

/// [`brisk`] with pings.
pub fn pinged() -> SupervisionPolicy {
    SupervisionPolicy { ping_interval: ms(20), ..brisk() }
}

/// Runs a test in an actix system, with a supervisor and its log lines.
pub fn supervised<F: Future<Output = ()>>(
    policy: SupervisionPolicy,
    test: impl FnOnce(Supervisor, Lines) -> F,
) {
    supervised_for(LONG * 3, policy, test);
}

/// [`supervised`] with another time limit.
pub fn supervised_for<F: Future<Output = ()>>(
    within: Duration,
    policy: SupervisionPolicy,
    test: impl FnOnce(Supervisor, Lines) -> F,
) {
    let lines = Lines::default();
    System::new().block_on(async {
        let supervisor = Supervisor::new(lines.logger(), policy);
        timeout(within, test(supervisor, lines.clone())).await.expect("the test ends in time");
    });
}

pub fn state(health: &watch::Receiver<ServiceHealth>, name: &str) -> ChildState {
    health.borrow().child(name).expect("a child of that name").state
}

pub fn restarts(health: &watch::Receiver<ServiceHealth>, name: &str) -> u64 {
    health.borrow().child(name).expect("a child of that name").restarts
}
