//! Random failures in random order: actors panic, stop, hang and block; the line is cut, stalls, loses bytes and
//! carries noise. Sweeps continue, the port has one owner, healthy outputs get every reading, and nothing leaks.
//!
//! `CHAOS_SEED` repeats a run, `CHAOS_SECONDS` makes it longer (`make soak`).

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bankwatch::internals::app::{BankChain, ChainConfig};
use bankwatch::internals::console::assemble::assemble;
use bankwatch::internals::console::validation::AnswerValidator;
use bankwatch::internals::supervise::{ServiceHealth, ShutdownPhase, SupervisionPolicy};
use bankwatch::internals::sweep::client::ConsoleTimeouts;
use fastrand::Rng;
use support::actors::{Fault, Output, OutputProbe, Port, faulty_logger};
use support::faulty_actor::{LONG, ms, pinged, supervised_for};
use support::lines::Lines;
use support::own_process;
use support::tcp_gate::TcpGate;
use support::until::until;
use tokio::sync::watch;

/// Default duration.
const SECONDS: u64 = 20;
/// Readings required after each failure.
const REQUIRED_READINGS: usize = 3;
/// Allowed growth of memory in bytes, for buffers and the allocator's threads.
const MEMORY: u64 = 4_000_000;
/// Bytes per second that the test itself records.
const RECORDS: u64 = 2_000;
/// Additional descriptors and threads while a link is reopened.
const SLACK: usize = 6;

#[derive(Clone, Copy, Debug)]
enum Failure {
    Output(Fault),
    /// At the next transcript.
    ParserPanics,
    /// At the next reading.
    StatisticsPanic,
    /// In the review of the next answer.
    ReviewPanics,
    /// The serial actor, when its link is back.
    SerialActorPanics,
    Cut,
    /// Cut, and connections are refused for this long, in milliseconds.
    Down(u64),
    Stalls(u64),
    Loses(usize),
    Noise,
}

const FAILURES: &[Failure] = &[
    Failure::Output(Fault::Panic),
    Failure::Output(Fault::Stop),
    Failure::Output(Fault::Hang),
    Failure::Output(Fault::FailToStart),
    Failure::Output(Fault::Block),
    Failure::ParserPanics,
    Failure::StatisticsPanic,
    Failure::ReviewPanics,
    Failure::SerialActorPanics,
    Failure::Cut,
    Failure::Down(50),
    Failure::Down(400),
    Failure::Stalls(200),
    Failure::Stalls(1500),
    Failure::Loses(1),
    Failure::Loses(700),
    Failure::Noise,
];

static PARSER_PANICS: AtomicBool = AtomicBool::new(false);
static REVIEW_PANICS: AtomicBool = AtomicBool::new(false);

/// Whether the bug is enabled; it happens only once.
fn take(bug: &AtomicBool) -> bool {
    bug.swap(false, Ordering::SeqCst)
}

/// Panics of the statistics and the serial actor when they next write to the log.
#[derive(Clone, Default)]
struct Bugs {
    statistics: Arc<AtomicBool>,
    serial_actor: Arc<AtomicBool>,
}

/// A simulated bank in its own process, so that its memory is not measured.
struct SimulatorProcess(Child, String);

impl SimulatorProcess {
    fn start(seed: u64) -> Self {
        let mut simulate = Command::new(env!("CARGO_BIN_EXE_bankwatch"));
        simulate.args(["simulate", "--tcp", "127.0.0.1:0", "--dialect", "pytes-v5", "--batteries", "2"]);
        simulate.args(["--speed", "0", "--baud", "0", "--seed", &seed.to_string()]);
        for fault in ["mute=0.001", "garble=0.003", "truncate=0.003", "noise=0.003", "slow=0.002"] {
            simulate.args(["--fault", fault]);
        }
        let mut process = simulate.stdout(Stdio::piped()).spawn().unwrap();
        let mut link = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut link).unwrap();
        Self(process, link.trim().trim_start_matches("tcp://").to_owned())
    }
}

impl Drop for SimulatorProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An output without failures, which must get every reading.
struct HealthyOutput {
    probe: Arc<OutputProbe>,
    checked: usize,
    restarted: usize,
}

impl HealthyOutput {
    fn count(&self) -> usize {
        self.probe.numbers.lock().unwrap().len()
    }

    /// Asserts that the numbers are consecutive; they restart only with the statistics that count them.
    fn check(&mut self) {
        let numbers = self.probe.numbers.lock().unwrap();
        for at in self.checked.max(1)..numbers.len() {
            match (numbers[at - 1], numbers[at]) {
                (before, now) if now == before + 1 => {}
                (_, 1) => self.restarted += 1,
                (before, now) => panic!("reading {now} came after {before}"),
            }
        }
        self.checked = numbers.len();
    }
}

struct Fixture {
    lines: Lines,
    rng: Rng,
    gate: TcpGate,
    bugs: Bugs,
    failing: Arc<OutputProbe>,
    healthy: [HealthyOutput; 2],
    health: watch::Receiver<ServiceHealth>,
    statistics_panicked: usize,
}

impl Fixture {
    async fn inject(&mut self, failure: Failure) {
        match failure {
            Failure::Output(fault) => {
                // It can't fail again before the previous failure has ended.
                let failing = self.failing.clone();
                let done = move || {
                    let done = failing.fault_triggered();
                    if !done {
                        failing.release();
                    }
                    done
                };
                until(LONG, done.clone()).await;
                self.failing.inject(fault);
                until(LONG, done).await;
            }
            Failure::ParserPanics => PARSER_PANICS.store(true, Ordering::SeqCst),
            Failure::ReviewPanics => REVIEW_PANICS.store(true, Ordering::SeqCst),
            Failure::StatisticsPanic => {
                self.statistics_panicked += 1;
                self.bugs.statistics.store(true, Ordering::SeqCst);
            }
            Failure::SerialActorPanics => {
                self.bugs.serial_actor.store(true, Ordering::SeqCst);
                self.gate.cut();
            }
            Failure::Cut => self.gate.cut(),
            Failure::Down(milliseconds) => {
                self.gate.refuse(true);
                self.gate.cut();
                tokio::time::sleep(ms(milliseconds)).await;
                self.gate.refuse(false);
            }
            Failure::Stalls(milliseconds) => self.gate.stall(ms(milliseconds)),
            Failure::Loses(bytes) => self.gate.drop_bytes(bytes),
            Failure::Noise => {
                let noise: Vec<u8> = (0..self.rng.usize(1..40)).map(|_| self.rng.u8(..)).collect();
                self.gate.inject(&noise);
            }
        }
    }

    /// Asserts that the healthy outputs get further readings, whatever the failing one does.
    async fn assert_sweeps_continue(&mut self) {
        for output in &mut self.healthy {
            let (before, start) = (output.count(), Instant::now());
            until(LONG * 2, || {
                let is_late = start.elapsed() > LONG;
                assert!(!is_late, "no further readings; the log's end: {:#?}", self.lines.containing(""));
                output.count() >= before + REQUIRED_READINGS
            })
            .await;
            output.check();
        }
        self.failing.release();
        assert_eq!(self.gate.overlap_count(), 0, "the port had two owners at once");
        let health = self.health.borrow();
        let restarted =
            health.children.iter().find(|child| child.name.starts_with("healthy") && child.restarts > 0);
        assert!(restarted.is_none(), "{restarted:?}");
    }
}

/// Bytes of memory, descriptors and threads of this process.
fn size() -> (u64, usize, usize) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    let count = |folder: &str| fs::read_dir(folder).unwrap().count();
    (kilobytes * 1024, count("/proc/self/fd"), count("/proc/self/task"))
}

fn bank(gate: &TcpGate) -> ChainConfig {
    let mut bank = Port::of(gate.link());
    bank.serial.patience = ConsoleTimeouts {
        first_byte: ms(500),
        next_bytes: ms(300),
        whole_answer: ms(3000),
        quiet: ms(20),
        ..ConsoleTimeouts::default()
    };
    bank.serial.judge = |review, command, at, attempt, answer| {
        assert!(!take(&REVIEW_PANICS), "a bug in the review");
        AnswerValidator::validate(review, command, at, attempt, answer)
    };
    bank.assemble = |transcript| {
        assert!(!take(&PARSER_PANICS), "a bug in the parser");
        assemble(transcript)
    };
    bank
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn random_failures_never_stop_sweeps_or_leak() {
    if !own_process::is_alone(concat!(module_path!(), "::random_failures_never_stop_sweeps_or_leak")) {
        return;
    }
    let seconds = from_environment("CHAOS_SECONDS").unwrap_or(SECONDS);
    let seed = from_environment("CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    eprintln!("CHAOS_SEED={seed} CHAOS_SECONDS={seconds}");
    // Printing a backtrace loads debug information into memory, which must not be counted.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let console = SimulatorProcess::start(seed);
    let gate = TcpGate::start(&console.1);
    // A busy machine must not count as a hang.
    let policy = SupervisionPolicy { ping_timeout: ms(1500), command_timeout: ms(1000), ..pinged() };
    let all = Duration::from_secs(seconds);
    supervised_for(all + LONG * 3, policy, async |mut supervisor, lines| {
        let (failing, to_failing, _failing) = Output::start(&mut supervisor, "failing");
        let (one, to_one, _one) = Output::start(&mut supervisor, "healthy one");
        let (two, to_two, _two) = Output::start(&mut supervisor, "healthy two");
        let bugs = Bugs::default();
        let log = log(&lines, bugs.clone(), [one.clone(), two.clone()]);
        let outlets = [to_failing, to_one, to_two];
        let _chain = BankChain::start(&mut supervisor, bank(&gate), &outlets, &log).unwrap();
        let mut fixture = Fixture {
            lines: lines.clone(),
            rng: Rng::with_seed(seed),
            gate: gate.clone(),
            bugs,
            failing,
            healthy: [one, two].map(|probe| HealthyOutput { probe, checked: 0, restarted: 0 }),
            health: supervisor.health(),
            statistics_panicked: 0,
        };
        let start = Instant::now();
        let (mut failures, mut before) = (0, None);
        while start.elapsed() < all {
            for _ in 0..fixture.rng.usize(1..=3) {
                let failure = FAILURES[fixture.rng.usize(..FAILURES.len())];
                fixture.inject(failure).await;
                failures += 1;
            }
            fixture.assert_sweeps_continue().await;
            lines.keep_last(60);
            if before.is_none() && start.elapsed() > all / 4 {
                before = Some(size());
            }
        }
        // At the end everything runs again.
        until(LONG, || fixture.health.borrow().all_running()).await;
        fixture.assert_sweeps_continue().await;
        for output in &fixture.healthy {
            assert!(output.restarted <= fixture.statistics_panicked, "statistics restarted without a panic");
        }
        let (before, mut after) = (before.unwrap(), size());
        until(LONG, || {
            after = size();
            after.1 <= before.1 + SLACK && after.2 <= before.2 + SLACK
        })
        .await;
        let allowed = before.0 + MEMORY + RECORDS * seconds;
        assert!(after.0 <= allowed, "memory grew from {} to {} bytes", before.0, after.0);
        let readings = fixture.healthy[0].count();
        let connections = fixture.gate.connection_count();
        eprintln!("{failures} failures, {readings} readings, {connections} connections");
        eprintln!("memory, descriptors, threads: {before:?}, then {after:?}");
        let report = supervisor.shutdown(Vec::<ShutdownPhase>::new(), ms(5000)).await;
        assert!(report.is_clean(), "{report:?}");
    });
}

/// Holds back each reading until the healthy outputs have the previous one, so that no slot drops one.
fn log(lines: &Lines, bugs: Bugs, healthy: [Arc<OutputProbe>; 2]) -> slog::Logger {
    let offered = AtomicUsize::new(0);
    faulty_logger(lines, move |message| match message {
        "sweep complete" => {
            assert!(!take(&bugs.statistics), "a bug in the statistics");
            let so_far = offered.fetch_add(1, Ordering::SeqCst);
            let deadline = Instant::now() + LONG;
            while healthy.iter().any(|output| output.numbers.lock().unwrap().len() < so_far) {
                assert!(Instant::now() < deadline, "reading {so_far} was never received");
                thread::yield_now();
            }
        }
        "link up" | "link back" => assert!(!take(&bugs.serial_actor), "a bug in the serial actor"),
        _ => {}
    })
}
