//! An actor that does whatever harm it is told to, and a supervisor for it.

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

/// What the patient did over all its lives.
#[derive(Default)]
pub struct Chart {
    /// How often `started` was called.
    pub starts: AtomicU32,
    /// How often `stopped` was called.
    pub stops: AtomicU32,
    /// How many pings it answered.
    pub pings: AtomicU32,
    /// So many of the next starts fail.
    pub failing_starts: AtomicU32,
    /// So many of the next restarts panic.
    pub panicking_restarts: AtomicU32,
    /// The notes taken, in order.
    pub notes: Mutex<Vec<u32>>,
}

impl Chart {
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

/// Its settings, and the state that each life begins anew.
pub struct Patient {
    chart: Arc<Chart>,
    lifeline: StopHandle,
    notes_in_this_life: u32,
}

impl Patient {
    pub fn new(chart: &Arc<Chart>) -> impl FnOnce(StopHandle) -> Self + Send + use<> {
        let chart = Arc::clone(chart);
        move |lifeline| Self { chart, lifeline, notes_in_this_life: 0 }
    }
}

impl Actor for Patient {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.chart.starts.fetch_add(1, Ordering::SeqCst);
        if takes_one(&self.chart.failing_starts) {
            self.lifeline.because("no such\ndirectory");
            ctx.stop();
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.chart.stops.fetch_add(1, Ordering::SeqCst);
    }
}

impl Supervised for Patient {
    fn restarting(&mut self, _: &mut Self::Context) {
        assert!(!takes_one(&self.chart.panicking_restarts), "while restarting");
        self.notes_in_this_life = 0;
    }
}

/// Takes one away, if there is one.
fn takes_one(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl Handler<Ping> for Patient {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {
        self.chart.pings.fetch_add(1, Ordering::SeqCst);
    }
}

/// What to do; answered with the number of notes taken in this life.
#[derive(Message)]
#[rtype(result = "u32")]
pub enum Do {
    Note(u32),
    Panic,
    Stop,
    GiveUp,
    /// Wait for ever without blocking the thread.
    Hang,
    /// Block the thread until the other end is dropped.
    Block(mpsc::Receiver<()>),
}

impl Handler<Do> for Patient {
    type Result = u32;

    fn handle(&mut self, deed: Do, ctx: &mut Self::Context) -> u32 {
        match deed {
            Do::Note(number) => {
                self.notes_in_this_life += 1;
                self.chart.notes.lock().unwrap().push(number);
            }
            Do::Panic => panic!("as told"),
            Do::Stop => ctx.stop(),
            Do::GiveUp => {
                self.lifeline.give_up("no thread left");
                ctx.stop();
            }
            Do::Hang => ctx.wait(wrap_future(pending())),
            Do::Block(released) => {
                let _ = released.recv();
            }
        }
        self.notes_in_this_life
    }
}

/// Answered at once.
impl Handler<Flush> for Patient {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Flush, _: &mut Self::Context) -> Self::Result {
        self.chart.notes.lock().unwrap().push(FLUSHED);
        Box::pin(async {})
    }
}

/// The note of a flush.
pub const FLUSHED: u32 = 999;

/// The name of the thread a message runs on, to tell arbiters apart.
#[derive(Message)]
#[rtype(result = "String")]
pub struct WhichThread;

impl Handler<WhichThread> for Patient {
    type Result = String;

    fn handle(&mut self, _: WhichThread, _: &mut Self::Context) -> String {
        format!("{:?}", thread::current().id())
    }
}

/// Short pauses and no pings, for what is not about hangs.
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

/// The same with pings.
pub fn pinged() -> SupervisionPolicy {
    SupervisionPolicy { ping_interval: ms(20), ..brisk() }
}

/// Runs a test in an actix system, with a supervisor whose log can be read.
pub fn supervised<F: Future<Output = ()>>(
    policy: SupervisionPolicy,
    test: impl FnOnce(Supervisor, Lines) -> F,
) {
    supervised_for(LONG * 3, policy, test);
}

/// The same for a test that may take so long.
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

/// What a child does now.
pub fn state(health: &watch::Receiver<ServiceHealth>, name: &str) -> ChildState {
    health.borrow().child(name).expect("a child of that name").state
}

/// How often a child was restarted.
pub fn restarts(health: &watch::Receiver<ServiceHealth>, name: &str) -> u64 {
    health.borrow().child(name).expect("a child of that name").restarts
}
