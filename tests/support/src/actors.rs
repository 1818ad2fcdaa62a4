//! A chain on a simulated bank, and outputs and a logger that fail on request.

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

/// A console on a TCP port, and the number of connections to it.
pub struct Port {
    pub bank: SimulatorHandle,
    link: String,
    opened: Arc<AtomicUsize>,
}

impl Port {
    /// Two batteries with constant values and immediate answers.
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
                // The bank is gone: the test is over.
                let Ok(console) = TcpStream::connect(&console) else { return };
                [&client, &console].into_iter().for_each(|end| end.set_nodelay(true).unwrap());
                forward(client.try_clone().unwrap(), console.try_clone().unwrap());
                forward(console, client);
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

    /// The same bank on any link.
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

fn forward(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// Called again after a panic; it must hold no state that a panic could corrupt.
type LogHook = AssertUnwindSafe<Box<dyn Fn(&str) + Send + Sync>>;

/// Records each line, then calls the hook with its message: if the hook panics, so does the code that logged the line.
struct FaultyDrain(Lines, LogHook);

impl Drain for FaultyDrain {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        self.0.log(record, values)?;
        (self.1)(&record.msg().to_string());
        Ok(())
    }
}

pub fn faulty_logger(lines: &Lines, hook: impl Fn(&str) + Send + Sync + 'static) -> Logger {
    Logger::root(FaultyDrain(lines.clone(), AssertUnwindSafe(Box::new(hook))).fuse(), o!())
}

/// How an output fails instead of taking a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Panic,
    Stop,
    /// Wait forever without blocking the thread.
    Hang,
    /// Stop, then fail to start three times.
    FailToStart,
    /// Block the thread until [`OutputProbe::release`].
    Block,
}

/// Scripted failures of an [`Output`], and the reports it took across all restarts.
#[derive(Default)]
pub struct OutputProbe {
    /// The number of each report taken, in order.
    pub numbers: Mutex<Vec<u64>>,
    fault: Mutex<Option<Fault>>,
    failing_starts: AtomicU32,
    blocked: Mutex<bool>,
    released: Condvar,
}

impl OutputProbe {
    pub fn newest(&self) -> u64 {
        self.numbers.lock().unwrap().last().copied().unwrap_or(0)
    }

    pub fn inject(&self, fault: Fault) {
        *self.fault.lock().unwrap() = Some(fault);
    }

    pub fn fault_triggered(&self) -> bool {
        self.fault.lock().unwrap().is_none()
    }

    pub fn release(&self) {
        *self.blocked.lock().unwrap() = false;
        self.released.notify_all();
    }

    /// Blocks the calling thread until the report of that number has arrived.
    pub fn wait_for(&self, number: u64) {
        let waiting_since = std::time::Instant::now();
        while self.newest() < number {
            assert!(waiting_since.elapsed() < LONG, "report {number} did not arrive");
            thread::yield_now();
        }
    }
}

/// An output that takes the newest report, or fails on request.
pub struct Output {
    slot: LatestReports,
    probe: Arc<OutputProbe>,
    stop_handle: StopHandle,
}

impl Output {
    /// Starts an output of that name; returns its probe, its sink and its address.
    pub fn start(supervisor: &mut Supervisor, name: &str) -> (Arc<OutputProbe>, ReportSink, Addr<Self>) {
        let (slot, probe) = (LatestReports::default(), Arc::<OutputProbe>::default());
        let (taken, notes) = (slot.clone(), probe.clone());
        let child = ChildSpec::new(name).role(Role::Isolated).capacity(1);
        let make = move |stop_handle| Self { slot: taken, probe: notes, stop_handle };
        let output = supervisor.start_child(child, make).unwrap();
        (probe, ReportSink::newest_full(slot, output.clone().recipient()), output)
    }

    fn fail(&self, fault: Fault, ctx: &mut Context<Self>) {
        match fault {
            Fault::Panic => panic!("as requested"),
            Fault::Stop => ctx.stop(),
            Fault::Hang => ctx.wait(wrap_future(std::future::pending())),
            Fault::FailToStart => {
                self.probe.failing_starts.store(3, Ordering::SeqCst);
                ctx.stop();
            }
            Fault::Block => {
                let mut blocked = self.probe.blocked.lock().unwrap();
                *blocked = true;
                drop(self.probe.released.wait_while(blocked, |blocked| *blocked).unwrap());
            }
        }
    }
}

impl Actor for Output {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let failing = &self.probe.failing_starts;
        if failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            self.stop_handle.because("connection refused");
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
        let fault = self.probe.fault.lock().unwrap().take();
        match fault {
            Some(fault) => self.fail(fault, ctx),
            None => {
                let reports = self.slot.take();
                let numbers = reports.iter().map(|report| report.service.sweeps);
                self.probe.numbers.lock().unwrap().extend(numbers);
            }
        }
    }
}

impl Handler<Ping> for Output {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}
