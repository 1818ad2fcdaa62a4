//! Whatever breaks, in any order: actors panic, stop, hang and block, the line is cut, stalls, loses bytes and
//! babbles. Sweeps go on, the port has one owner, the outputs that are well have every reading, and nothing leaks.
//!
//! `CHAOS_SEED` repeats a run, `CHAOS_SECONDS` makes it longer (`make soak`).

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bankwatch::internals::app::{Bank, Chain};
use bankwatch::internals::console::assemble::assemble;
use bankwatch::internals::console::validation::AnswerValidator;
use bankwatch::internals::supervise::{ServiceHealth, ShutdownPhase, SupervisionPolicy};
use bankwatch::internals::sweep::client::ConsoleTimeouts;
use fastrand::Rng;
use support::actors::{Diary, Harm, Output, Port, harmful};
use support::faulty_actor::{LONG, ms, pinged, supervised_for};
use support::lines::Lines;
use support::own_process;
use support::tcp_gate::TcpGate;
use support::until::until;
use tokio::sync::watch;

/// How long by itself.
const SECONDS: u64 = 20;
/// After each mishap so many further readings must come.
const FURTHER: usize = 3;
/// What buffers, and the threads of the allocator, may come to.
const MEMORY: u64 = 4_000_000;
/// What the test itself notes down, a second.
const NOTES: u64 = 2_000;
/// Of descriptors and threads: those of a link that is just being changed.
const SLACK: usize = 6;

/// What goes wrong next.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    Output(Harm),
    /// Of the next transcript.
    ParserPanics,
    /// At the next reading.
    StatisticsPanic,
    /// In the review of the next answer.
    ReviewPanics,
    /// The port's owner, when it has its link again.
    OwnerPanics,
    Cut,
    /// Cut, and nobody is let in for so long.
    Away(u64),
    Stalls(u64),
    Loses(usize),
    Babbles,
}

const MISHAPS: &[Mishap] = &[
    Mishap::Output(Harm::Panic),
    Mishap::Output(Harm::Stop),
    Mishap::Output(Harm::Hang),
    Mishap::Output(Harm::FailToStart),
    Mishap::Output(Harm::Block),
    Mishap::ParserPanics,
    Mishap::StatisticsPanic,
    Mishap::ReviewPanics,
    Mishap::OwnerPanics,
    Mishap::Cut,
    Mishap::Away(50),
    Mishap::Away(400),
    Mishap::Stalls(200),
    Mishap::Stalls(1500),
    Mishap::Loses(1),
    Mishap::Loses(700),
    Mishap::Babbles,
];

static PARSER_PANICS: AtomicBool = AtomicBool::new(false);
static REVIEW_PANICS: AtomicBool = AtomicBool::new(false);

/// Whether it is to happen now; it happens once.
fn now(bug: &AtomicBool) -> bool {
    bug.swap(false, Ordering::SeqCst)
}

/// What the statistics and the owner do when they next write to the log.
#[derive(Clone, Default)]
struct Bugs {
    statistics: Arc<AtomicBool>,
    owner: Arc<AtomicBool>,
}

/// A simulated bank as a process of its own, since what is measured here is ours alone.
struct Console(Child, String);

impl Console {
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

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An output that nothing befalls: it must have every reading.
struct Well {
    diary: Arc<Diary>,
    looked_at: usize,
    begun_anew: usize,
}

impl Well {
    fn count(&self) -> usize {
        self.diary.numbers.lock().unwrap().len()
    }

    /// Numbers follow one another, and begin anew only with the statistics that count them.
    fn look(&mut self) {
        let numbers = self.diary.numbers.lock().unwrap();
        for at in self.looked_at.max(1)..numbers.len() {
            match (numbers[at - 1], numbers[at]) {
                (before, now) if now == before + 1 => {}
                (_, 1) => self.begun_anew += 1,
                (before, now) => panic!("reading {now} came after {before}"),
            }
        }
        self.looked_at = numbers.len();
    }
}

struct Stand {
    lines: Lines,
    rng: Rng,
    door: TcpGate,
    bugs: Bugs,
    sick: Arc<Diary>,
    wells: [Well; 2],
    health: watch::Receiver<ServiceHealth>,
    statistics_panicked: usize,
}

impl Stand {
    async fn suffers(&mut self, mishap: Mishap) {
        match mishap {
            Mishap::Output(harm) => {
                // It can't do this while it still does what it was told before.
                let sick = self.sick.clone();
                let done = move || {
                    let done = sick.has_done_it();
                    if !done {
                        sick.let_go();
                    }
                    done
                };
                until(LONG, done.clone()).await;
                self.sick.will(harm);
                until(LONG, done).await;
            }
            Mishap::ParserPanics => PARSER_PANICS.store(true, Ordering::SeqCst),
            Mishap::ReviewPanics => REVIEW_PANICS.store(true, Ordering::SeqCst),
            Mishap::StatisticsPanic => {
                self.statistics_panicked += 1;
                self.bugs.statistics.store(true, Ordering::SeqCst);
            }
            Mishap::OwnerPanics => {
                self.bugs.owner.store(true, Ordering::SeqCst);
                self.door.cut();
            }
            Mishap::Cut => self.door.cut(),
            Mishap::Away(milliseconds) => {
                self.door.refuse(true);
                self.door.cut();
                tokio::time::sleep(ms(milliseconds)).await;
                self.door.refuse(false);
            }
            Mishap::Stalls(milliseconds) => self.door.stall(ms(milliseconds)),
            Mishap::Loses(bytes) => self.door.drop_bytes(bytes),
            Mishap::Babbles => {
                let noise: Vec<u8> = (0..self.rng.usize(1..40)).map(|_| self.rng.u8(..)).collect();
                self.door.inject(&noise);
            }
        }
    }

    /// Further readings come to the outputs that are well, whatever the sick one does meanwhile.
    async fn goes_on(&mut self) {
        for well in &mut self.wells {
            let (before, begun) = (well.count(), Instant::now());
            until(LONG * 2, || {
                let is_late = begun.elapsed() > LONG;
                assert!(!is_late, "no further readings; the log's end: {:#?}", self.lines.containing(""));
                well.count() >= before + FURTHER
            })
            .await;
            well.look();
        }
        self.sick.let_go();
        assert_eq!(self.door.twice(), 0, "the port had two owners at once");
        let health = self.health.borrow();
        let fallen =
            health.children.iter().find(|child| child.name.starts_with("well") && child.restarts > 0);
        assert!(fallen.is_none(), "{fallen:?}");
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

fn bank(door: &TcpGate) -> Bank {
    let mut bank = Port::of(door.link());
    bank.serial.patience = ConsoleTimeouts {
        first_byte: ms(500),
        next_bytes: ms(300),
        whole_answer: ms(3000),
        quiet: ms(20),
        ..ConsoleTimeouts::default()
    };
    bank.serial.judge = |review, command, at, asked, heard| {
        assert!(!now(&REVIEW_PANICS), "a bug in the review");
        AnswerValidator::validate(review, command, at, asked, heard)
    };
    bank.assemble = |transcript| {
        assert!(!now(&PARSER_PANICS), "a bug in the parser");
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
    // To write each panic's way through the program, its debug information is read and kept: memory that is not ours.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let console = Console::start(seed);
    let door = TcpGate::start(&console.1);
    // A busy machine is no hang.
    let policy = SupervisionPolicy { ping_timeout: ms(1500), command_timeout: ms(1000), ..pinged() };
    let all = Duration::from_secs(seconds);
    supervised_for(all + LONG * 3, policy, async |mut supervisor, lines| {
        let (sick, to_sick, _sick) = Output::keep(&mut supervisor, "sick");
        let (one, to_one, _one) = Output::keep(&mut supervisor, "well one");
        let (two, to_two, _two) = Output::keep(&mut supervisor, "well two");
        let bugs = Bugs::default();
        let log = log(&lines, bugs.clone(), [one.clone(), two.clone()]);
        let outlets = [to_sick, to_one, to_two];
        let _chain = Chain::grow(&mut supervisor, bank(&door), &outlets, &log).unwrap();
        let mut stand = Stand {
            lines: lines.clone(),
            rng: Rng::with_seed(seed),
            door: door.clone(),
            bugs,
            sick,
            wells: [one, two].map(|diary| Well { diary, looked_at: 0, begun_anew: 0 }),
            health: supervisor.health(),
            statistics_panicked: 0,
        };
        let begun = Instant::now();
        let (mut mishaps, mut before) = (0, None);
        while begun.elapsed() < all {
            for _ in 0..stand.rng.usize(1..=3) {
                let mishap = MISHAPS[stand.rng.usize(..MISHAPS.len())];
                stand.suffers(mishap).await;
                mishaps += 1;
            }
            stand.goes_on().await;
            lines.keep_last(60);
            if before.is_none() && begun.elapsed() > all / 4 {
                before = Some(size());
            }
        }
        // In the end everybody is well again.
        until(LONG, || stand.health.borrow().all_running()).await;
        stand.goes_on().await;
        for well in &stand.wells {
            assert!(well.begun_anew <= stand.statistics_panicked, "statistics began anew by themselves");
        }
        let (before, mut after) = (before.unwrap(), size());
        until(LONG, || {
            after = size();
            after.1 <= before.1 + SLACK && after.2 <= before.2 + SLACK
        })
        .await;
        let allowed = before.0 + MEMORY + NOTES * seconds;
        assert!(after.0 <= allowed, "memory grew from {} to {} bytes", before.0, after.0);
        let readings = stand.wells[0].count();
        let opened = stand.door.connection_count();
        eprintln!("{mishaps} mishaps, {readings} readings, the port opened {opened} times");
        eprintln!("memory, descriptors, threads: {before:?}, then {after:?}");
        let report = supervisor.shutdown(Vec::<ShutdownPhase>::new(), ms(5000)).await;
        assert!(report.is_clean(), "{report:?}");
    });
}

/// Each reading waits until the outputs that are well have the one before: no slot ever has to drop one.
fn log(lines: &Lines, bugs: Bugs, wells: [Arc<Diary>; 2]) -> slog::Logger {
    let offered = AtomicUsize::new(0);
    harmful(lines, move |message| match message {
        "sweep complete" => {
            assert!(!now(&bugs.statistics), "a bug in the statistics");
            let so_far = offered.fetch_add(1, Ordering::SeqCst);
            let deadline = Instant::now() + LONG;
            while wells.iter().any(|well| well.numbers.lock().unwrap().len() < so_far) {
                assert!(Instant::now() < deadline, "reading {so_far} never came");
                thread::yield_now();
            }
        }
        "link up" | "link back" => assert!(!now(&bugs.owner), "a bug in the port's owner"),
        _ => {}
    })
}
