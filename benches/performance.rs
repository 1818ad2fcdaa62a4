//! The figures of `docs/performance.md`: sweep time against the wire's own time, throughput of framing and
//! parsers, what the statistics cost, a sweep's way through reading and events, processor time and memory of the
//! service. And those of `docs/database.md`.
//!
//! ```text
//! cargo bench --bench performance            all of them
//! cargo bench --bench performance -- parser  one of: sweep, parser, stats, events, service, store
//! ```
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that can't be set up has nothing to print"
)]

#[path = "performance/backlog.rs"]
mod backlog;
#[path = "performance/store.rs"]
mod store;

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bankwatch::internals::console::answers;
use bankwatch::internals::console::assemble::assemble;
use bankwatch::internals::console::command::Command;
use bankwatch::internals::console::framing::{FrameStatus, Framer};
use bankwatch::internals::console::transcript::{Exchange, Transcript};
use bankwatch::internals::console::validation::AnswerValidator;
use bankwatch::internals::events::catalogue::Catalogue;
use bankwatch::internals::events::tracker::Tracker;
use bankwatch::internals::link::{Link, SerialParams, Transport};
use bankwatch::internals::model::facts::Facts;
use bankwatch::internals::model::reading::SweepKind;
use bankwatch::internals::model::report::{BankReport, ServiceCounters};
use bankwatch::internals::simulator::{Dialect, Simulation};
use bankwatch::internals::stats::Stats;
use bankwatch::internals::sweep::client::{ConsoleClient, ConsoleTimeouts};
use bankwatch::internals::sweep::poll_plan::PollSchedule;
use bankwatch::internals::sweep::sweeper::{SweepProgress, Sweeper};
use process::{memory, processor_time};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[path = "support/process.rs"]
mod process;

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let parts: [(&str, fn()); 6] = [
        ("sweep", sweep),
        ("parser", parser),
        ("stats", stats),
        ("events", events),
        ("service", service),
        ("store", store::measure),
    ];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            part();
        }
    }
}

/// One full sweep of 16 batteries with 16 cells, from its answers to its events.
fn events() {
    let simulation = Simulation::new(Dialect::PytesV5).batteries(16).cells(16);
    let mut bank = support::bank::Bank::of(&simulation);
    let transcript = bank.transcript(SweepKind::Full, &[], |_, heard| Some(heard));
    let catalogue = Catalogue::load(None).0;
    let mut tracker = Tracker::new(Arc::from("pytes"), Duration::MAX, Duration::ZERO);
    let report = BankReport::of_one(assemble(&transcript));
    println!("\n| 16 × 16, one sweep | time |\n|---|---|");
    println!("| answers to a reading | {:.0} µs |", micros(|| drop(assemble(&transcript))));
    println!(
        "| statistics and facts | {:.0} µs |",
        micros(|| drop(BankReport::of_one(report.reading.clone())))
    );
    println!(
        "| events | {:.0} µs |",
        micros(|| drop(tracker.take(&report, &catalogue, (Duration::ZERO, Duration::ZERO))))
    );
}

/// The median of some hundred calls, in microseconds.
fn micros(mut call: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..301)
        .map(|_| {
            let began = Instant::now();
            call();
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Full sweeps over a pseudo-terminal at the real pace of 115200 baud.
fn sweep() {
    const SWEEPS: usize = 10;
    println!("\n| batteries | bytes a sweep | wire alone | sweep (median) | ratio |");
    println!("|---|---|---|---|---|");
    for batteries in [4, 16] {
        let (bytes, took) = measure_sweeps(batteries, SWEEPS);
        let wire = bytes * 10.0 / 115_200.0;
        println!("| {batteries} | {bytes:.0} | {wire:.3} s | {took:.3} s | {:.3} |", took / wire);
    }
}

fn measure_sweeps(batteries: usize, sweeps: usize) -> (f64, f64) {
    let folder = tempfile::tempdir().expect("a folder");
    let bank =
        Simulation::new(Dialect::Pytes).batteries(batteries).cells(16).pty(folder.path().join("console"));
    let bank = bank.start().expect("a simulated bank");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let link = Link::parse(&bank.link(), SerialParams::default())
            .expect("a link")
            .open()
            .await
            .expect("an open link");
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Counted { inner: link, bytes: bytes.clone() };
        let mut conversation = ConsoleClient::new(Box::new(counted), b"\n", ConsoleTimeouts::default());
        let rhythm = PollSchedule::new(Duration::from_millis(1), Duration::ZERO, true);
        let mut sweeper = Sweeper::new(Arc::from("bench"), rhythm, AnswerValidator::validate);
        sweeper.on_link_open();
        let mut times = Vec::new();
        let mut each = Vec::new();
        // The first sweep asks for facts as well; it is not what a day is made of.
        while times.len() < sweeps + 1 {
            let before = bytes.load(Ordering::Relaxed);
            let transcript = loop {
                match sweeper.step(&mut conversation).await {
                    SweepProgress::Complete(transcript) => break transcript,
                    SweepProgress::Idle(until) => tokio::time::sleep_until(until).await,
                    SweepProgress::InProgress => {}
                    other => panic!("the simulated bank was lost: {other:?}"),
                }
            };
            // A slow question between two sweeps belongs to none of them.
            let own: u64 = transcript.exchanges.iter().map(|exchange| u64::from(exchange.asked)).sum();
            if own == 1 + 2 * batteries as u64 || times.is_empty() {
                times.push(transcript.took.as_secs_f64());
                each.push((bytes.load(Ordering::Relaxed) - before) as f64);
            }
        }
        times.remove(0);
        each.remove(0);
        times.sort_by(f64::total_cmp);
        each.sort_by(f64::total_cmp);
        (each[each.len() / 2], times[times.len() / 2])
    })
}

/// A link that counts what comes in.
struct Counted {
    inner: Box<dyn Transport>,
    bytes: Arc<AtomicU64>,
}

impl Transport for Counted {}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.bytes.fetch_add((buffer.filled().len() - before) as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Framing and parsing of answers as they come over the wire, in chunks of a read.
fn parser() {
    println!("\n| answer | bytes | framing | parsing | both |");
    println!("|---|---|---|---|---|");
    let mut console = Simulation::new(Dialect::Us5000).batteries(16).console().expect("a simulated bank");
    for question in ["pwr", "pwr 1", "bat 1", "info 1", "stat 1"] {
        let bytes = console.type_bytes(format!("{question}\n").as_bytes());
        let command: Command = question.parse().expect("a command");
        let framed = frame(question, &bytes);
        let framing = throughput(bytes.len(), || drop(std::hint::black_box(frame(question, &bytes))));
        let parsing =
            throughput(bytes.len(), || drop(std::hint::black_box(answers::parse(command, &framed))));
        let both = 1.0 / (1.0 / framing + 1.0 / parsing);
        println!(
            "| `{question}` | {} | {framing:.0} MB/s | {parsing:.0} MB/s | {both:.0} MB/s |",
            bytes.len()
        );
    }
}

fn frame(question: &str, bytes: &[u8]) -> bankwatch::internals::console::framing::answer::Answer {
    let mut framer = Framer::new(question);
    for chunk in bytes.chunks(4096) {
        if let FrameStatus::Complete(answer) = framer.push(chunk) {
            return answer;
        }
    }
    panic!("no answer to {question}");
}

fn throughput(bytes: usize, mut work: impl FnMut()) -> f64 {
    let began = Instant::now();
    let mut rounds = 0u32;
    while began.elapsed() < Duration::from_millis(700) {
        (0..50).for_each(|_| work());
        rounds += 50;
    }
    bytes as f64 * f64::from(rounds) / began.elapsed().as_secs_f64() / 1e6
}

/// One sweep of 16 batteries of 16 cells through everything between the parser and the outputs.
fn stats() {
    const SWEEPS: u32 = 20_000;
    println!("\n| sweep of 16 × 16 | took |");
    println!("|---|---|");
    let mut console = Simulation::new(Dialect::Pytes).batteries(16).console().expect("a simulated bank");
    for (kind, each) in [(SweepKind::Full, 10), (SweepKind::Summary, 2)] {
        let details = (1..=16).flat_map(|place| [format!("pwr {place}"), format!("bat {place}")]);
        let questions = std::iter::once("pwr".to_owned()).chain(details);
        let asked = if kind == SweepKind::Full { usize::MAX } else { 1 };
        let exchanges = questions.take(asked).map(|question| {
            let bytes = console.type_bytes(format!("{question}\n").as_bytes());
            let command = question.parse().expect("a command");
            Exchange { command, outcome: Ok(frame(&question, &bytes)), attempts: 1 }
        });
        let (began, began_at) =
            (Instant::now(), jiff::Timestamp::from_second(1_790_000_000).expect("a time"));
        let (bank, known, took) = (Arc::from("bench"), Vec::new(), Duration::from_secs(1));
        let exchanges = exchanges.collect();
        let mut reading = assemble(&Transcript {
            bank,
            kind,
            started_at: began_at,
            started: began,
            took,
            known_places: known,
            exchanges,
        });
        let mut stats = Stats::unkept(Duration::from_secs(10));
        let facts: Vec<Facts> = BankReport::of_one(reading.clone()).facts;
        let start = Instant::now();
        for _ in 0..SWEEPS {
            reading.began += Duration::from_secs(each);
            let (facts, bank_facts) = (facts.clone(), Facts::default());
            let report = stats.report(reading.clone(), facts, bank_facts, ServiceCounters::default());
            drop(std::hint::black_box(report));
        }
        println!("| {} | {:.0} µs |", kind.word(), start.elapsed().as_secs_f64() * 1e6 / f64::from(SWEEPS));
    }
}

/// The service itself: at the predecessor's measure (4 batteries of 16 cells at 115200 baud, every 5 s), idle
/// between sweeps a minute apart, and with its port pulled out.
fn service() {
    const FOR: Duration = Duration::from_secs(60);
    let folder = tempfile::tempdir().expect("a folder");
    let bank = Simulation::new(Dialect::Pytes).batteries(4).cells(16).pty(folder.path().join("console"));
    let bank = bank.start().expect("a simulated bank");
    println!("\n| service, 4 × 16, for {} s | processor | resident | most |", FOR.as_secs());
    println!("|---|---|---|---|");
    for (what, interval, unplugged) in
        [("every 5 s", "5s", false), ("every 60 s", "60s", false), ("every 5 s, unplugged", "5s", true)]
    {
        let mut process = start(folder.path(), &bank.link(), interval);
        // The first sweep asks more; the measure begins behind it, and behind the first tries to open a lost port.
        std::thread::sleep(Duration::from_secs(10));
        if unplugged {
            bank.unplug();
            std::thread::sleep(Duration::from_secs(10));
        }
        let (before, began) = (processor_time(process.id()), Instant::now());
        std::thread::sleep(FOR);
        let used = (processor_time(process.id()) - before) / began.elapsed().as_secs_f64() * 100.0;
        let (resident, most) = (memory(process.id(), "VmRSS:"), memory(process.id(), "VmHWM:"));
        process.kill().expect("the service can be ended");
        process.wait().expect("the service ends");
        println!("| bankwatch, {what} | {used:.2} % of a core | {resident:.1} MB | {most:.1} MB |");
    }
    println!("| predecessor, every 5 s (its own measurement, same load) | 3.4 % of a core | 30.7 MB | |");
}

/// The service on one bank, with nothing but its status file.
fn start(folder: &Path, link: &str, interval: &str) -> Child {
    let settings = folder.join("bankwatch.toml");
    let text = format!(
        "[[bank]]\nname = \"bench\"\nlink = \"{link}\"\ninterval = \"{interval}\"\nsummary_interval = \"0s\"\n"
    );
    std::fs::write(&settings, text).expect("settings");
    Process::new(env!("CARGO_BIN_EXE_bankwatch"))
        .args(["run", "--config"])
        .arg(&settings)
        .current_dir(folder)
        .env("STATE_DIRECTORY", folder)
        .stderr(Stdio::null())
        .spawn()
        .expect("the service")
}
