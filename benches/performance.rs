//! The figures of `docs/performance.md`: sweep time compared with the serial line, throughput of framing and parsers,
//! cost of the statistics, of reading and events, processor time and memory of the service. And those of
//! `docs/database.md`.
//!
//! ```text
//! cargo bench --bench performance            all
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
    let selected: Vec<String> =
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
        if selected.is_empty() || selected.iter().any(|selected| selected == name) {
            part();
        }
    }
}

/// One full sweep of 16 batteries with 16 cells, from its answers to its events.
fn events() {
    let simulation = Simulation::new(Dialect::PytesV5).batteries(16).cells(16);
    let mut bank = support::bank::Bank::of(&simulation);
    let transcript = bank.transcript(SweepKind::Full, &[], |_, answer| Some(answer));
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

/// The median of 301 calls, in microseconds.
fn micros(mut call: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..301)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Full sweeps over a pseudo-terminal at 115200 baud.
fn sweep() {
    const SWEEPS: usize = 10;
    println!("\n| batteries | bytes per sweep | line time | sweep (median) | ratio |");
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
        let counted = CountingLink { inner: link, bytes: bytes.clone() };
        let mut conversation = ConsoleClient::new(Box::new(counted), b"\n", ConsoleTimeouts::default());
        let rhythm = PollSchedule::new(Duration::from_millis(1), Duration::ZERO, true);
        let mut sweeper = Sweeper::new(Arc::from("bench"), rhythm, AnswerValidator::validate);
        sweeper.on_link_open();
        let mut times = Vec::new();
        let mut each = Vec::new();
        // The first sweep also reads facts and is not typical.
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
            // Facts read between two sweeps don't belong to either.
            let own: u64 = transcript.exchanges.iter().map(|exchange| u64::from(exchange.attempts)).sum();
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

/// A link that counts the received bytes.
struct CountingLink {
    inner: Box<dyn Transport>,
    bytes: Arc<AtomicU64>,
}

impl Transport for CountingLink {}

impl AsyncRead for CountingLink {
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

impl AsyncWrite for CountingLink {
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

/// Framing and parsing of answers in chunks as read from the line.
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
    let start = Instant::now();
    let mut rounds = 0u32;
    while start.elapsed() < Duration::from_millis(700) {
        (0..50).for_each(|_| work());
        rounds += 50;
    }
    bytes as f64 * f64::from(rounds) / start.elapsed().as_secs_f64() / 1e6
}

/// The statistics of one sweep of 16 batteries with 16 cells.
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
        let mut stats = Stats::without_persistence(Duration::from_secs(10));
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

/// The service: with the load of the pytes_serial measurement (4 batteries of 16 cells at 115200 baud, every 5 s), with
/// sweeps a minute apart, and with its port unplugged.
fn service() {
    const FOR: Duration = Duration::from_secs(60);
    let folder = tempfile::tempdir().expect("a folder");
    let bank = Simulation::new(Dialect::Pytes).batteries(4).cells(16).pty(folder.path().join("console"));
    let bank = bank.start().expect("a simulated bank");
    println!("\n| service, 4 × 16, for {} s | processor | resident | peak |", FOR.as_secs());
    println!("|---|---|---|---|");
    for (what, interval, unplugged) in
        [("every 5 s", "5s", false), ("every 60 s", "60s", false), ("every 5 s, unplugged", "5s", true)]
    {
        let mut process = start(folder.path(), &bank.link(), interval);
        // Measure after the first sweep, which reads more, and after the first attempts to reopen a lost port.
        std::thread::sleep(Duration::from_secs(10));
        if unplugged {
            bank.unplug();
            std::thread::sleep(Duration::from_secs(10));
        }
        let (before, start_time) = (processor_time(process.id()), Instant::now());
        std::thread::sleep(FOR);
        let used = (processor_time(process.id()) - before) / start_time.elapsed().as_secs_f64() * 100.0;
        let (resident, peak) = (memory(process.id(), "VmRSS:"), memory(process.id(), "VmHWM:"));
        process.kill().expect("the service can be ended");
        process.wait().expect("the service ends");
        println!("| bankwatch, {what} | {used:.2} % of a core | {resident:.1} MB | {peak:.1} MB |");
    }
    println!("| pytes_serial, every 5 s (measured separately, same load) | 3.4 % of a core | 30.7 MB | |");
}

/// Starts the service on one bank.
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
