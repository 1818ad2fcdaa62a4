//! The figures of `docs/performance.md` that need a broker: traffic, cost, and recovery time.
//!
//! ```text
//! cargo bench --bench mqtt            all three
//! cargo bench --bench mqtt -- sent    one of: sent, cost, back
//! ```
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that can't be set up has nothing to print"
)]

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bankwatch::internals::simulator::{Dialect, Simulation, SimulatorHandle};
use process::{memory, processor_time};
use support::broker::Broker;
use support::listener::Listener;
use support::proxy::Proxy;
use tempfile::TempDir;

#[path = "support/process.rs"]
mod process;

/// After this time a service has announced and repeated everything.
const STRIDE: Duration = Duration::from_secs(25);
/// Duration of a measurement.
const FOR: Duration = Duration::from_secs(60);

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    if is_wanted("sent") {
        runtime.block_on(sent());
    }
    if is_wanted("cost") {
        cost();
    }
    if is_wanted("back") {
        runtime.block_on(back());
    }
}

/// The service on one bank, killed when dropped.
struct Service {
    process: Child,
    _folder: TempDir,
}

impl Service {
    fn start(bank: &SimulatorHandle, interval: &str, level: &str, mqtt: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = folder.path().join("bankwatch.toml");
        let text = format!(
            "[[bank]]\nname = \"bank\"\nlink = {:?}\ninterval = \"{interval}\"\ncells = \"{level}\"\n[mqtt]\n{mqtt}",
            bank.link()
        );
        std::fs::write(&settings, text).expect("settings");
        let process = Command::new(env!("CARGO_BIN_EXE_bankwatch"))
            .args(["run", "--config"])
            .arg(&settings)
            .current_dir(folder.path())
            .env("STATE_DIRECTORY", folder.path())
            .stderr(Stdio::null())
            .spawn();
        Self { process: process.expect("the service"), _folder: folder }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.process.kill().expect("the service can be ended");
        self.process.wait().expect("the service ends");
    }
}

/// Counts the messages of one service.
struct Counted {
    batteries: usize,
    level: &'static str,
    publish: &'static str,
    proxy: Proxy,
    listener: Listener,
    _running: (Service, Broker, SimulatorHandle),
}

/// Messages and bytes per sweep with full sweeps every 10 s and summaries every 2 s, in a bank where every value
/// changes each time: the worst case.
async fn sent() {
    const SWEEPS: f64 = 6.0;
    let mut all = Vec::new();
    for batteries in [4, 16] {
        for level in ["medium", "high"] {
            for publish in ["10s", "0s"] {
                all.push(counted(batteries, level, publish).await);
            }
        }
    }
    sleep(STRIDE);
    println!(
        "\n| bank | level | `publish_interval` | messages a sweep | payload | on the wire | connections |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut before = Vec::new();
    for each in &mut all {
        before.push((each.received().await, each.proxy.sent()));
    }
    sleep(FOR);
    for (each, ((messages, bytes), wire)) in all.iter_mut().zip(before) {
        let (now_messages, now_bytes) = each.received().await;
        let kilobytes = |bytes: usize| bytes as f64 / SWEEPS / 1000.0;
        println!(
            "| {} × 16 | {} | {} | {:.1} | {:.1} kB | {:.1} kB | {} |",
            each.batteries,
            each.level,
            each.publish,
            (now_messages - messages) as f64 / SWEEPS,
            kilobytes(now_bytes - bytes),
            kilobytes(each.proxy.sent() - wire),
            each.proxy.opened(),
        );
    }
    println!("| pytes_serial, 4 × 16, every 5 s (documented) | | | | | | 2165 a minute |");
}

async fn counted(batteries: usize, level: &'static str, publish: &'static str) -> Counted {
    let broker = Broker::start().expect("a broker is needed: scripts/setup --tests installs it");
    let proxy = Proxy::in_front_of(broker.port());
    let listener = Listener::at(&broker.settings(""), "#").await;
    // A day in minutes.
    let bank = Simulation::new(Dialect::PytesV5).batteries(batteries).cells(16).speed(300.0).unpaced();
    let bank = bank.start().expect("a bank");
    let mqtt = format!("enabled = true\nurl = {:?}\npublish_interval = \"{publish}\"\n", proxy.url());
    let service = Service::start(&bank, "10s", level, &mqtt);
    Counted { batteries, level, publish, proxy, listener, _running: (service, broker, bank) }
}

impl Counted {
    /// Messages so far, and the bytes of their payloads.
    async fn received(&mut self) -> (usize, usize) {
        let received = self.listener.so_far().await;
        (received.len(), received.iter().map(|received| received.payload.len()).sum())
    }
}

/// The cost of the service with MQTT off and on, side by side: 4 × 16 every 5 s at 115200 baud.
fn cost() {
    let broker = Broker::start().expect("a broker is needed: scripts/setup --tests installs it");
    let folder = tempfile::tempdir().expect("a folder");
    let off = String::new();
    let on = |publish| {
        format!(
            "enabled = true\nurl = {:?}\npublish_interval = \"{publish}\"\nclient_id = \"{publish}\"\n",
            broker.url()
        )
    };
    let rows = [("off", off), ("on, 10 s", on("10s")), ("on, each reading", on("0s"))];
    let running: Vec<_> = rows
        .into_iter()
        .map(|(what, mqtt)| {
            let line = folder.path().join(format!("console {}", what.len()));
            let bank =
                Simulation::new(Dialect::Pytes).batteries(4).cells(16).pty(line).start().expect("a bank");
            let service = Service::start(&bank, "5s", "medium", &mqtt);
            (what, service, bank)
        })
        .collect();
    sleep(STRIDE);
    let used = |service: &Service| processor_time(service.process.id());
    let before: Vec<f64> = running.iter().map(|(_, service, _)| used(service)).collect();
    sleep(FOR);
    println!("\n| MQTT, 4 × 16 every 5 s, for {} s | processor | resident | most |", FOR.as_secs());
    println!("|---|---|---|---|");
    for ((what, service, _), before) in running.iter().zip(before) {
        let share = (used(service) - before) / FOR.as_secs_f64() * 100.0;
        let (resident, most) =
            (memory(service.process.id(), "VmRSS:"), memory(service.process.id(), "VmHWM:"));
        println!("| {what} | {share:.2} % of a core | {resident:.1} MB | {most:.1} MB |");
    }
}

/// The time from the return of a broker without data, after an outage long enough for the maximum backoff, to the
/// first state.
async fn back() {
    const TIMES: usize = 7;
    const OUTAGE: Duration = Duration::from_secs(9);
    let mut broker = Broker::start().expect("a broker is needed: scripts/setup --tests installs it");
    let bank = Simulation::new(Dialect::PytesV5).batteries(4).cells(16).unpaced().start().expect("a bank");
    let mqtt = format!("enabled = true\nurl = {:?}\n", broker.url());
    let _service = Service::start(&bank, "5s", "medium", &mqtt);
    let mut times = Vec::new();
    for _ in 0..=TIMES {
        let since = Instant::now();
        let mut listener = Listener::at(&broker.settings(""), "bankwatch/bank/state").await;
        let at = listener.receive(1).await[0].at;
        times.push(at.duration_since(since).as_secs_f64());
        broker.kill();
        sleep(OUTAGE);
        broker.start_again();
    }
    // The first one is the start.
    let mut times = times.split_off(1);
    times.sort_by(f64::total_cmp);
    println!("\n| from the broker's return to the first state, {TIMES} times | |");
    println!("|---|---|");
    println!("| median | {:.1} s |", times[TIMES / 2]);
    println!("| longest | {:.1} s |", times[TIMES - 1]);
}
