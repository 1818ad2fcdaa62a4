//! The serial actor recovers from every fault of a link, over a pseudo-terminal and over TCP. After each fault
//! readings resume within one back-off step, no value is wrong or stale, the log has one `link lost` and one `link
//! back` with the duration of the outage, and nothing is left open.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bankwatch::internals::app::BankChain;
use bankwatch::internals::simulator::{Dialect, FaultKind as Damage, Faults, Simulation, SimulatorHandle};
use jiff::Timestamp;
use rustix::pty::{OpenptFlags, openpt, ptsname};
use support::chain::{LONGEST_PAUSE, PATIENCE, house};
use support::faulty_actor::{LONG, brisk, ms, supervised};
use support::figures;
use support::lines::Lines;
use support::own_process;
use support::reports::ReportRecorder;
use support::until::until;

/// In addition to the pause: attempts in progress that fail once more, and a busy machine.
const SLACK: Duration = Duration::from_secs(3);

/// A fault of the link.
struct LinkFault {
    name: &'static str,
    start: fn(&Bench),
    duration: FaultDuration,
    /// Called repeatedly during the fault.
    meanwhile: fn(&Bench),
    end: fn(&Bench),
    logged: Logged,
}

enum FaultDuration {
    /// Ends at once, whether detected or not.
    Instant,
    /// Until `link lost` is logged, and this long after.
    AfterLost(Duration),
    Unplugged,
    /// Until the console has sent this many more answers.
    Answers(u64),
    /// Until the log has this many more lines with this text.
    Lines(&'static str, usize),
}

#[derive(Clone, Copy, PartialEq)]
enum Logged {
    /// One `link lost` with this text, and one `link back`.
    Lost(&'static str),
    /// The link was not lost.
    Nothing,
    /// The link was not lost, and there are this many lines with this text.
    Only(&'static str, usize),
}

fn nothing(_: &Bench) {}

fn replug(bench: &Bench) {
    bench.bank.replug();
}

fn unplug(bench: &Bench) {
    bench.bank.unplug();
}

const fn fault(
    name: &'static str,
    start: fn(&Bench),
    duration: FaultDuration,
    end: fn(&Bench),
    logged: Logged,
) -> LinkFault {
    LinkFault { name, start, duration, meanwhile: nothing, end, logged }
}

const LOST: Logged = Logged::Lost("");

const FAULTS: &[LinkFault] = &[
    fault("unplugged between sweeps, less than a pause", unplug, FaultDuration::Instant, replug, LOST),
    fault("unplugged, longer", unplug, FaultDuration::AfterLost(ms(200)), replug, LOST),
    fault("unplugged, far past the longest pause", unplug, FaultDuration::AfterLost(ms(1500)), replug, LOST),
    fault("unplugged in an echo", |b| b.bank.unplug_after(b"pwr "), FaultDuration::Unplugged, replug, LOST),
    fault(
        "unplugged in a table row",
        |b| b.bank.unplug_after(b"Norm"),
        FaultDuration::Unplugged,
        replug,
        LOST,
    ),
    fault(
        "unplugged in an end mark",
        |b| b.bank.unplug_after(b"\r$"),
        FaultDuration::Unplugged,
        replug,
        LOST,
    ),
    fault(
        "unplugged in a prompt",
        |b| b.bank.unplug_after(b"$$\r\n\rPYT"),
        FaultDuration::Unplugged,
        replug,
        LOST,
    ),
    fault(
        "another device name",
        unplug,
        FaultDuration::AfterLost(ms(0)),
        Bench::replug_with_another_name,
        LOST,
    ),
    fault(
        "silence",
        |b| b.bank.set_asleep(true),
        FaultDuration::AfterLost(ms(0)),
        |b| b.bank.set_asleep(false),
        Logged::Lost("console silent"),
    ),
    fault(
        "wrong baud rate",
        |b| b.bank.set_line_speed(9_600),
        FaultDuration::AfterLost(ms(100)),
        |b| b.bank.set_line_speed(115_200),
        Logged::Lost("not understood"),
    ),
    fault("noise", |b| b.damage(Damage::Noise), FaultDuration::Answers(6), Bench::no_damage, Logged::Nothing),
    fault(
        "truncated",
        |b| b.damage(Damage::Truncate),
        FaultDuration::Answers(4),
        Bench::no_damage,
        Logged::Nothing,
    ),
    fault(
        "a pager left open",
        |b| b.type_as_other_client(b"log\n"),
        FaultDuration::Answers(20),
        nothing,
        Logged::Nothing,
    ),
    fault(
        "half a command typed",
        |b| b.type_as_other_client(b"ba"),
        FaultDuration::Answers(20),
        nothing,
        Logged::Nothing,
    ),
    fault(
        "debug prompt",
        |b| b.type_as_other_client(b"login debug\n"),
        FaultDuration::Lines(MODE, 1),
        nothing,
        Logged::Only(MODE, 1),
    ),
    fault(
        "user prompt again",
        |b| b.type_as_other_client(b"logout\n"),
        FaultDuration::Lines(MODE, 1),
        nothing,
        Logged::Only(MODE, 1),
    ),
    fault(
        "late",
        |b| b.bank.inject_fault(Damage::Late),
        FaultDuration::Answers(10),
        nothing,
        Logged::Nothing,
    ),
    LinkFault {
        meanwhile: Bench::send_as_other_client,
        ..fault("a second client", nothing, FaultDuration::Answers(120), nothing, Logged::Nothing)
    },
];

const MODE: &str = "console mode changed";

/// No faults; a late answer arrives after its command has timed out.
fn no_faults() -> Faults {
    Faults::none().late_by(PATIENCE.first_byte + ms(200))
}

/// A bank, the actors that read it, and what they reported.
struct Bench {
    bank: SimulatorHandle,
    path: Option<PathBuf>,
    seen: ReportRecorder,
    lines: Lines,
    /// The target of the symbolic link before the fault.
    last_device: Mutex<Option<PathBuf>>,
    reports_at_last_command: Mutex<usize>,
}

impl Bench {
    fn damage(&self, kind: Damage) {
        self.bank.set_faults(no_faults().with(kind, 1.0));
    }

    fn type_as_other_client(&self, typed: &[u8]) {
        self.bank.type_as_other_client(typed);
    }

    fn no_damage(&self) {
        self.bank.set_faults(no_faults());
    }

    /// The current target of the symbolic link.
    fn device(&self) -> Option<PathBuf> {
        std::fs::read_link(self.path.as_ref()?).ok()
    }

    /// Occupies the old device name first, because the kernel assigns the lowest free number.
    fn replug_with_another_name(&self) {
        let old = self.last_device.lock().unwrap();
        let mut placeholders = Vec::new();
        let is_old = |near: &OwnedFd| {
            let name = ptsname(near, Vec::new()).unwrap().into_string().unwrap();
            old.as_ref().is_some_and(|old| *old == Path::new(&name))
        };
        while old.is_some() && placeholders.len() < 64 && !placeholders.last().is_some_and(is_old) {
            placeholders.push(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap());
        }
        self.bank.replug();
        assert!(old.is_none() || self.device() != *old, "the same device");
    }

    /// Sends various commands, some of which the service sends too.
    fn send_as_other_client(&self) {
        const COMMANDS: [&[u8]; 5] = [b"time\n", b"bat 2\n", b"pwr 1\n", b"info 2\n", b"pwr\n"];
        let mut asked = self.reports_at_last_command.lock().unwrap();
        if self.seen.count() > *asked {
            *asked = self.seen.count();
            self.type_as_other_client(COMMANDS[*asked % COMMANDS.len()]);
        }
    }

    /// Asserts that every value in every report so far was printed at some time.
    fn assert_no_invented_values(&self, fault: &str) {
        let history = self.bank.answer_history();
        let printed = figures::printed(&history.answers);
        for report in self.seen.take() {
            for (name, value) in figures::read(&report.reading) {
                assert!(
                    printed[&name].contains(&value),
                    "{fault}: {name} is {value}, printed were {:?}",
                    printed[&name]
                );
            }
        }
    }

    async fn recovers_from(&self, fault: &LinkFault, open: &[String]) {
        let LinkFault { name, .. } = fault;
        let count = |words: &str| self.lines.containing(words).len();
        let (lost, back) = (count("link lost"), count("link back"));
        let logged_before = match fault.logged {
            Logged::Only(words, _) => count(words),
            _ => 0,
        };
        *self.last_device.lock().unwrap() = self.device();
        let (answers, start) = (self.bank.answer_count(), Instant::now());
        (fault.start)(self);
        let mut lost_at = None;
        let lines_before = match fault.duration {
            FaultDuration::Lines(words, _) => count(words),
            _ => 0,
        };
        until(LONG, || {
            (fault.meanwhile)(self);
            match fault.duration {
                FaultDuration::Instant => true,
                FaultDuration::AfterLost(time) if count("link lost") > lost => {
                    lost_at.get_or_insert_with(Instant::now).elapsed() >= time
                }
                FaultDuration::AfterLost(_) => false,
                FaultDuration::Unplugged => !self.bank.is_plugged(),
                FaultDuration::Answers(more) => self.bank.answer_count() >= answers + more,
                FaultDuration::Lines(words, more) => count(words) >= lines_before + more,
            }
        })
        .await;
        let out =
            self.last_device.lock().unwrap().clone().filter(|_| lost_at.is_some() && !self.bank.is_plugged());
        if let Some(device) = out {
            assert!(!open_files().any(|file| file == device), "{name}: still open while unplugged");
        }
        // Advance the bank, so that earlier values are stale.
        self.bank.with_bank(|bank| bank.advance(Duration::from_secs(1200)));
        let answers_before = self.bank.answer_count();
        let (end, end_time) = (Instant::now(), Timestamp::now());
        (fault.end)(self);
        let mut resumed = None;
        let mut complete = None;
        until(LONG, || {
            let reports = self.seen.reports();
            let mut since = reports.iter().filter(|report| report.reading.taken_at > end_time);
            resumed = resumed.or_else(|| since.clone().next().map(|_| end.elapsed()));
            complete =
                complete.take().or_else(|| since.find(|report| report.reading.missing.is_empty()).cloned());
            let is_back = count("link back") > back || !matches!(fault.logged, Logged::Lost(_));
            is_back && complete.is_some()
        })
        .await;
        let resumed = resumed.unwrap();
        assert!(resumed < LONGEST_PAUSE + SLACK, "{name}: it took {resumed:?} to resume");
        let history = self.bank.answer_history();
        let now = figures::printed(history.answers.iter().filter(|answer| answer.number > answers_before));
        for (figure, value) in figures::read(&complete.unwrap().reading) {
            assert_eq!(now[&figure].iter().collect::<Vec<_>>(), [&value], "{name}: {figure}");
        }
        self.assert_no_invented_values(name);

        let log = || self.lines.containing("").join("\n");
        let (lost, back) = (count("link lost") - lost, count("link back") - back);
        match fault.logged {
            Logged::Lost(words) => {
                assert_eq!((lost, back), (1, 1), "{name}:\n{}", log());
                assert!(
                    self.lines.containing("link lost").last().unwrap().contains(words),
                    "{name}:\n{}",
                    log()
                );
                let outage = outage(self.lines.containing("link back").last().unwrap());
                assert!(outage <= start.elapsed() + ms(10), "{name}: {outage:?}");
                assert!(
                    outage + ms(10) >= lost_at.map_or(Duration::ZERO, |at| end - at),
                    "{name}: {outage:?}"
                );
            }
            Logged::Nothing | Logged::Only(..) => assert_eq!((lost, back), (0, 0), "{name}:\n{}", log()),
        }
        if let Logged::Only(words, more) = fault.logged {
            assert_eq!(count(words) - logged_before, more, "{name}:\n{}", log());
        }
        assert_eq!(descriptors(), open, "{name}: left open");
    }
}

/// The duration of the outage in a log line.
fn outage(line: &str) -> Duration {
    let text = line.split("outage=").nth(1).unwrap().split_whitespace().next().unwrap();
    match text.strip_suffix("ms") {
        Some(millis) => Duration::from_secs_f64(millis.parse::<f64>().unwrap() / 1e3),
        None => Duration::from_secs_f64(text.strip_suffix('s').unwrap().parse().unwrap()),
    }
}

/// The open files of this process.
fn open_files() -> impl Iterator<Item = PathBuf> {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let name = |path: PathBuf| PathBuf::from(path.to_string_lossy().trim_end_matches(" (deleted)"));
    open.filter_map(|file| std::fs::read_link(file.path()).ok()).map(name)
}

/// The kinds of the open files: the numbers of sockets and devices change each time they are opened.
fn descriptors() -> Vec<String> {
    let name =
        |path: PathBuf| path.to_string_lossy().trim_end_matches(|c: char| !c.is_alphabetic()).to_owned();
    let mut kinds: Vec<String> = open_files().map(name).collect();
    kinds.sort();
    kinds
}

/// Resident memory in bytes.
fn memory() -> u64 {
    let pages: u64 =
        std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn recovers_from_every_fault(path: Option<&Path>) {
    let simulation = Simulation::new(Dialect::PytesV5).speed(0.0).unpaced().faults(no_faults());
    let simulation = match path {
        Some(path) => simulation.pty(path),
        None => simulation.tcp("127.0.0.1:0"),
    };
    let bank = simulation.start().unwrap();
    supervised(brisk(), async |mut supervisor, lines| {
        let (seen, outlet) = ReportRecorder::start(&mut supervisor);
        let house = house(&bank.link());
        let _chain = BankChain::start(&mut supervisor, house, &[outlet], &lines.logger()).unwrap();
        let path = path.map(Path::to_owned);
        let (last_device, reports_at_last_command) = (Mutex::new(None), Mutex::new(0));
        let bench = Bench { bank, path, seen, lines, last_device, reports_at_last_command };
        until(LONG, || bench.seen.count() >= 5).await;
        let (open, in_use) = (descriptors(), memory());
        for fault in FAULTS {
            bench.recovers_from(fault, &open).await;
        }
        let growth = memory().saturating_sub(in_use);
        assert!(growth < 16 << 20, "memory grew by {growth} bytes");
        let shared = bench.lines.containing("console shared");
        assert_eq!(shared.len(), 1, "{shared:?}");
        assert_eq!(bench.lines.containing("CRIT"), [] as [String; 0]);
        assert_eq!(bench.lines.containing("actor"), [] as [String; 0]);
    });
}

#[test]
fn serial_port_recovers_from_every_fault() {
    if !own_process::is_alone(concat!(module_path!(), "::serial_port_recovers_from_every_fault")) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    recovers_from_every_fault(Some(&folder.path().join("usb-adapter")));
}

#[test]
fn network_bridge_recovers_from_every_fault() {
    if !own_process::is_alone(concat!(module_path!(), "::network_bridge_recovers_from_every_fault")) {
        return;
    }
    recovers_from_every_fault(None);
}
