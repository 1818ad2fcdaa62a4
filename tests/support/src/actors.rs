//! A chain on a simulated bank, outputs that do harm, and a log that does: a bug wherever a test wants one.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Supervised};
use bankwatch::internals::actors::serial::SerialSettings;
use bankwatch::internals::actors::stats::StatsSettings;
use bankwatch::internals::app::ChainConfig;
use bankwatch::internals::console::assemble::assemble;
use bankwatch::internals::console::validation::AnswerValidator;
use bankwatch::internals::events::catalogue::Catalogue;
use bankwatch::internals::link::{Link, SerialParams};
use bankwatch::internals::messages::{LatestReports, ReportSink, SlotUpdated};
use bankwatch::internals::model::units::Percent;
use bankwatch::internals::simulator::{Dialect, Simulation, SimulatorHandle};
use bankwatch::internals::supervise::{ChildSpec, Ping, Role, StopHandle, Supervisor};
use bankwatch::internals::sweep::client::ConsoleTimeouts;
use bankwatch::internals::sweep::poll_plan::PollSchedule;
use slog::{Drain, Logger, Never, OwnedKVList, Record, o};

use crate::lines::Lines;

/// Long enough for a loaded machine; a test that waits so long fails.
const LONG: Duration = Duration::from_secs(20);

/// A console on the network, and how often somebody came to it.
pub struct Port {
    pub bank: SimulatorHandle,
    link: String,
    opened: Arc<AtomicUsize>,
}

impl Port {
    /// Two batteries that stand still and answer at once.
    pub fn start() -> Self {
        let bank = Simulation::new(Dialect::PytesV5).speed(0.0).unpaced().start().unwrap();
        let console = bank.link().trim_start_matches("tcp://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = format!("tcp://{}", listener.local_addr().unwrap());
        let opened = Arc::new(AtomicUsize::new(0));
        let count = opened.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                // The bank's end is the test's end.
                let Ok(console) = TcpStream::connect(&console) else { return };
                [&client, &console].into_iter().for_each(|end| end.set_nodelay(true).unwrap());
                pipe(client.try_clone().unwrap(), console.try_clone().unwrap());
                pipe(console, client);
            }
        });
        Self { bank, link, opened }
    }

    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// A bank called `house`, swept every 20 ms.
    pub fn house(&self) -> ChainConfig {
        Self::of(&self.link)
    }

    /// The same behind any link.
    pub fn of(link: &str) -> ChainConfig {
        let interval = Duration::from_millis(20);
        let rhythm = PollSchedule::new(interval, Duration::ZERO, true);
        let facts_every = rhythm.facts_interval;
        let serial = SerialSettings {
            bank: "house".into(),
            link: Link::parse(link, SerialParams::default()).unwrap(),
            line_end: b"\n",
            rhythm,
            patience: ConsoleTimeouts { quiet: Duration::from_millis(20), ..ConsoleTimeouts::default() },
            backoff: (Duration::from_millis(10), Duration::from_millis(50)),
            wake: false,
            beat: None,
            judge: AnswerValidator::validate,
        };
        let started = std::time::Instant::now();
        let stats = StatsSettings {
            started,
            interval,
            facts_every,
            batteries: None,
            cells: None,
            target_soc: Percent(20),
            catalogue: Arc::new(Catalogue::load(None).0),
            machine: None,
            ledger: None,
        };
        ChainConfig { serial, assemble, stats }
    }
}

fn pipe(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// It is called again after a panic, and holds nothing that a panic could break.
type Harming = AssertUnwindSafe<Box<dyn Fn(&str) + Send + Sync>>;

/// A log that keeps its lines and then shows the message to whoever would do harm: what that does befalls the
/// writer of the line.
struct Harmful(Lines, Harming);

impl Drain for Harmful {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        self.0.log(record, values)?;
        (self.1)(&record.msg().to_string());
        Ok(())
    }
}

pub fn harmful(lines: &Lines, harm: impl Fn(&str) + Send + Sync + 'static) -> Logger {
    Logger::root(Harmful(lines.clone(), AssertUnwindSafe(Box::new(harm))).fuse(), o!())
}

/// What an output shall do in place of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    Panic,
    Stop,
    /// Wait for ever without blocking the thread.
    Hang,
    /// Stop, and fail to start a few times.
    FailToStart,
    /// Block the thread until the test lets it go.
    Block,
}

/// What an output did over all its lives.
#[derive(Default)]
pub struct Diary {
    /// The number of each report it took, in order.
    pub numbers: Mutex<Vec<u64>>,
    harm: Mutex<Option<Harm>>,
    failing_starts: AtomicU32,
    blocked: Mutex<bool>,
    let_go: Condvar,
}

impl Diary {
    pub fn newest(&self) -> u64 {
        self.numbers.lock().unwrap().last().copied().unwrap_or(0)
    }

    pub fn will(&self, harm: Harm) {
        *self.harm.lock().unwrap() = Some(harm);
    }

    pub fn has_done_it(&self) -> bool {
        self.harm.lock().unwrap().is_none()
    }

    pub fn let_go(&self) {
        *self.blocked.lock().unwrap() = false;
        self.let_go.notify_all();
    }

    /// Waits, without a system to run, until the report of that number is here.
    pub fn wait_for(&self, number: u64) {
        let begun = std::time::Instant::now();
        while self.newest() < number {
            assert!(begun.elapsed() < LONG, "report {number} never came");
            thread::yield_now();
        }
    }
}

/// An output that takes the newest report, or does harm.
pub struct Output {
    slot: LatestReports,
    diary: Arc<Diary>,
    lifeline: StopHandle,
}

impl Output {
    /// Keeps one under that name and answers how it is fed.
    pub fn keep(supervisor: &mut Supervisor, name: &str) -> (Arc<Diary>, ReportSink, Addr<Self>) {
        let (slot, diary) = (LatestReports::default(), Arc::<Diary>::default());
        let (taken, notes) = (slot.clone(), diary.clone());
        let child = ChildSpec::new(name).role(Role::Isolated).capacity(1);
        let make = move |lifeline| Self { slot: taken, diary: notes, lifeline };
        let output = supervisor.start_child(child, make).unwrap();
        (diary, ReportSink::newest_full(slot, output.clone().recipient()), output)
    }

    fn harm(&self, harm: Harm, ctx: &mut Context<Self>) {
        match harm {
            Harm::Panic => panic!("as told"),
            Harm::Stop => ctx.stop(),
            Harm::Hang => ctx.wait(wrap_future(std::future::pending())),
            Harm::FailToStart => {
                self.diary.failing_starts.store(3, Ordering::SeqCst);
                ctx.stop();
            }
            Harm::Block => {
                let mut blocked = self.diary.blocked.lock().unwrap();
                *blocked = true;
                drop(self.diary.let_go.wait_while(blocked, |blocked| *blocked).unwrap());
            }
        }
    }
}

impl Actor for Output {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let failing = &self.diary.failing_starts;
        if failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            self.lifeline.because("nobody there");
            ctx.stop();
        } else {
            ctx.notify(SlotUpdated);
        }
    }
}

impl Supervised for Output {}

impl Handler<SlotUpdated> for Output {
    type Result = ();

    fn handle(&mut self, _: SlotUpdated, ctx: &mut Self::Context) {
        let harm = self.diary.harm.lock().unwrap().take();
        match harm {
            Some(harm) => self.harm(harm, ctx),
            None => {
                let reports = self.slot.take();
                let numbers = reports.iter().map(|report| report.service.sweeps);
                self.diary.numbers.lock().unwrap().extend(numbers);
            }
        }
    }
}

impl Handler<Ping> for Output {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}
