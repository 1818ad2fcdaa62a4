//! One port's owner lives through everything that can happen to a link, over a pseudo-terminal and over TCP. After each
//! fault: readings resume within one step of the back-off, no figure is wrong or old, the log has one line lost
//! and one line back with the outage's length, and nothing is left open.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bankwatch::internals::app::Chain;
use bankwatch::internals::simulator::{Dialect, FaultKind as Damage, Faults, Simulation, SimulatorHandle};
use jiff::Timestamp;
use rustix::pty::{OpenptFlags, openpt, ptsname};
use support::chain::{LONGEST_PAUSE, PATIENCE, house};
use support::faulty_actor::{LONG, brisk, ms, supervised};
use support::figures;
use support::lines::Lines;
use support::own_process;
use support::reports::Seen;
use support::until::until;

/// On top of the pause: attempts under way that fail once more, and a machine with much else to do.
const SLACK: Duration = Duration::from_secs(3);

/// What befalls the link.
struct Fault {
    name: &'static str,
    /// It begins.
    strike: fn(&Bench),
    /// It goes on for so long.
    lasts: Lasts,
    /// Again and again while it does.
    meanwhile: fn(&Bench),
    /// It is over.
    heal: fn(&Bench),
    /// What the log has of it.
    told: Told,
}

enum Lasts {
    /// Over at once, noticed or not.
    Not,
    /// Until the log tells of it, and so long after.
    Told(Duration),
    /// Until the plug is out.
    Unplugged,
    /// Until so many more answers were given.
    Answers(u64),
    /// Until so many lines more with these words are in the log.
    Lines(&'static str, usize),
}

#[derive(Clone, Copy, PartialEq)]
enum Told {
    /// One line lost, with these words; one line back.
    Lost(&'static str),
    /// The link held.
    Nothing,
    /// The link held, and there are so many lines with these words.
    Only(&'static str, usize),
}

fn nothing(_: &Bench) {}

fn replug(bench: &Bench) {
    bench.bank.replug();
}

fn unplug(bench: &Bench) {
    bench.bank.unplug();
}

const fn fault(name: &'static str, strike: fn(&Bench), lasts: Lasts, heal: fn(&Bench), told: Told) -> Fault {
    Fault { name, strike, lasts, meanwhile: nothing, heal, told }
}

const GONE: Told = Told::Lost("");

const FAULTS: &[Fault] = &[
    fault("unplugged between sweeps, less than a pause", unplug, Lasts::Not, replug, GONE),
    fault("unplugged, longer", unplug, Lasts::Told(ms(200)), replug, GONE),
    fault("unplugged, far past the longest pause", unplug, Lasts::Told(ms(1500)), replug, GONE),
    fault("unplugged in an echo", |b| b.bank.unplug_after(b"pwr "), Lasts::Unplugged, replug, GONE),
    fault("unplugged in a row", |b| b.bank.unplug_after(b"Norm"), Lasts::Unplugged, replug, GONE),
    fault("unplugged in an end mark", |b| b.bank.unplug_after(b"\r$"), Lasts::Unplugged, replug, GONE),
    fault("unplugged in a prompt", |b| b.bank.unplug_after(b"$$\r\n\rPYT"), Lasts::Unplugged, replug, GONE),
    fault("another name", unplug, Lasts::Told(ms(0)), Bench::replug_under_another_name, GONE),
    fault(
        "silence",
        |b| b.bank.set_asleep(true),
        Lasts::Told(ms(0)),
        |b| b.bank.set_asleep(false),
        Told::Lost("console silent"),
    ),
    fault(
        "wrong speed",
        |b| b.bank.set_line_speed(9_600),
        Lasts::Told(ms(100)),
        |b| b.bank.set_line_speed(115_200),
        Told::Lost("not understood"),
    ),
    fault("noise", |b| b.damage(Damage::Noise), Lasts::Answers(6), Bench::no_damage, Told::Nothing),
    fault("torn", |b| b.damage(Damage::Truncate), Lasts::Answers(4), Bench::no_damage, Told::Nothing),
    fault("a pager left open", |b| b.another(b"log\n"), Lasts::Answers(20), nothing, Told::Nothing),
    fault("half a question typed", |b| b.another(b"ba"), Lasts::Answers(20), nothing, Told::Nothing),
    fault(
        "debug prompt",
        |b| b.another(b"login debug\n"),
        Lasts::Lines(MODE, 1),
        nothing,
        Told::Only(MODE, 1),
    ),
    fault(
        "user prompt again",
        |b| b.another(b"logout\n"),
        Lasts::Lines(MODE, 1),
        nothing,
        Told::Only(MODE, 1),
    ),
    fault("late", |b| b.bank.inject_fault(Damage::Late), Lasts::Answers(10), nothing, Told::Nothing),
    Fault {
        meanwhile: Bench::ask_as_another,
        ..fault("a second client", nothing, Lasts::Answers(120), nothing, Told::Nothing)
    },
];

const MODE: &str = "console mode changed";

/// No faults; a late answer comes when its question was given up.
fn calm() -> Faults {
    Faults::none().late_by(PATIENCE.first_byte + ms(200))
}

/// A bank, its chain, and what came of it.
struct Bench {
    bank: SimulatorHandle,
    path: Option<PathBuf>,
    seen: Seen,
    lines: Lines,
    /// What the name behind the link stood for before the fault.
    last_device: Mutex<Option<PathBuf>>,
    asked: Mutex<usize>,
}

impl Bench {
    fn damage(&self, kind: Damage) {
        self.bank.set_faults(calm().with(kind, 1.0));
    }

    fn another(&self, types: &[u8]) {
        self.bank.type_as_other_client(types);
    }

    fn no_damage(&self) {
        self.bank.set_faults(calm());
    }

    /// What the name behind the link stands for now.
    fn device(&self) -> Option<PathBuf> {
        std::fs::read_link(self.path.as_ref()?).ok()
    }

    /// First others get the device's name: the kernel gives away the lowest that is free.
    fn replug_under_another_name(&self) {
        let old = self.last_device.lock().unwrap();
        let mut squatters = Vec::new();
        let is_old = |near: &OwnedFd| {
            let name = ptsname(near, Vec::new()).unwrap().into_string().unwrap();
            old.as_ref().is_some_and(|old| *old == Path::new(&name))
        };
        while old.is_some() && squatters.len() < 64 && !squatters.last().is_some_and(is_old) {
            squatters.push(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap());
        }
        self.bank.replug();
        assert!(old.is_none() || self.device() != *old, "the same device");
    }

    /// Now this, now that, some of it what we ask as well.
    fn ask_as_another(&self) {
        const QUESTIONS: [&[u8]; 5] = [b"time\n", b"bat 2\n", b"pwr 1\n", b"info 2\n", b"pwr\n"];
        let mut asked = self.asked.lock().unwrap();
        if self.seen.count() > *asked {
            *asked = self.seen.count();
            self.another(QUESTIONS[*asked % QUESTIONS.len()]);
        }
    }

    /// Every figure of every report so far was said at some time.
    fn no_figure_is_made_up(&self, fault: &str) {
        let truth = self.bank.answer_history();
        let said = figures::said(&truth.answers);
        for report in self.seen.take() {
            for (name, value) in figures::read(&report.reading) {
                assert!(
                    said[&name].contains(&value),
                    "{fault}: {name} is {value}, said was {:?}",
                    said[&name]
                );
            }
        }
    }

    async fn survives(&self, fault: &Fault, open: &[String]) {
        let Fault { name, .. } = fault;
        let count = |words: &str| self.lines.containing(words).len();
        let (lost, back) = (count("link lost"), count("link back"));
        let told_before = match fault.told {
            Told::Only(words, _) => count(words),
            _ => 0,
        };
        *self.last_device.lock().unwrap() = self.device();
        let (answers, struck) = (self.bank.answer_count(), Instant::now());
        (fault.strike)(self);
        let mut told_at = None;
        let lines_before = match fault.lasts {
            Lasts::Lines(words, _) => count(words),
            _ => 0,
        };
        until(LONG, || {
            (fault.meanwhile)(self);
            match fault.lasts {
                Lasts::Not => true,
                Lasts::Told(time) if count("link lost") > lost => {
                    told_at.get_or_insert_with(Instant::now).elapsed() >= time
                }
                Lasts::Told(_) => false,
                Lasts::Unplugged => !self.bank.is_plugged(),
                Lasts::Answers(more) => self.bank.answer_count() >= answers + more,
                Lasts::Lines(words, more) => count(words) >= lines_before + more,
            }
        })
        .await;
        let out =
            self.last_device.lock().unwrap().clone().filter(|_| told_at.is_some() && !self.bank.is_plugged());
        if let Some(device) = out {
            assert!(!open_files().any(|file| file == device), "{name}: held while it is out");
        }
        // The bank has lived on: what was read before is old now.
        self.bank.with_bank(|bank| bank.advance(Duration::from_secs(1200)));
        let said_before = self.bank.answer_count();
        let (healed, healed_at) = (Instant::now(), Timestamp::now());
        (fault.heal)(self);
        let mut resumed = None;
        let mut whole = None;
        until(LONG, || {
            let reports = self.seen.reports();
            let mut since = reports.iter().filter(|report| report.reading.taken_at > healed_at);
            resumed = resumed.or_else(|| since.clone().next().map(|_| healed.elapsed()));
            whole = whole.take().or_else(|| since.find(|report| report.reading.missing.is_empty()).cloned());
            let is_back = count("link back") > back || !matches!(fault.told, Told::Lost(_));
            is_back && whole.is_some()
        })
        .await;
        let resumed = resumed.unwrap();
        assert!(resumed < LONGEST_PAUSE + SLACK, "{name}: it took {resumed:?} to resume");
        let truth = self.bank.answer_history();
        let now = figures::said(truth.answers.iter().filter(|said| said.number > said_before));
        for (figure, value) in figures::read(&whole.unwrap().reading) {
            assert_eq!(now[&figure].iter().collect::<Vec<_>>(), [&value], "{name}: {figure}");
        }
        self.no_figure_is_made_up(name);

        let log = || self.lines.containing("").join("\n");
        let (lost, back) = (count("link lost") - lost, count("link back") - back);
        match fault.told {
            Told::Lost(words) => {
                assert_eq!((lost, back), (1, 1), "{name}:\n{}", log());
                assert!(
                    self.lines.containing("link lost").last().unwrap().contains(words),
                    "{name}:\n{}",
                    log()
                );
                let outage = outage(self.lines.containing("link back").last().unwrap());
                assert!(outage <= struck.elapsed() + ms(10), "{name}: {outage:?}");
                assert!(
                    outage + ms(10) >= told_at.map_or(Duration::ZERO, |at| healed - at),
                    "{name}: {outage:?}"
                );
            }
            Told::Nothing | Told::Only(..) => assert_eq!((lost, back), (0, 0), "{name}:\n{}", log()),
        }
        if let Told::Only(words, more) = fault.told {
            assert_eq!(count(words) - told_before, more, "{name}:\n{}", log());
        }
        assert_eq!(descriptors(), open, "{name}: left open");
    }
}

/// The length of the outage in a line of the log.
fn outage(line: &str) -> Duration {
    let text = line.split("outage=").nth(1).unwrap().split_whitespace().next().unwrap();
    match text.strip_suffix("ms") {
        Some(millis) => Duration::from_secs_f64(millis.parse::<f64>().unwrap() / 1e3),
        None => Duration::from_secs_f64(text.strip_suffix('s').unwrap().parse().unwrap()),
    }
}

/// What this process has open.
fn open_files() -> impl Iterator<Item = PathBuf> {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let name = |path: PathBuf| PathBuf::from(path.to_string_lossy().trim_end_matches(" (deleted)"));
    open.filter_map(|file| std::fs::read_link(file.path()).ok()).map(name)
}

/// The same by kind: the numbers of sockets and devices change from one opening to the next.
fn descriptors() -> Vec<String> {
    let name =
        |path: PathBuf| path.to_string_lossy().trim_end_matches(|c: char| !c.is_alphabetic()).to_owned();
    let mut kinds: Vec<String> = open_files().map(name).collect();
    kinds.sort();
    kinds
}

/// Bytes of memory in use.
fn memory() -> u64 {
    let pages: u64 =
        std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn lives_through_it_all(path: Option<&Path>) {
    let plan = Simulation::new(Dialect::PytesV5).speed(0.0).unpaced().faults(calm());
    let plan = match path {
        Some(path) => plan.pty(path),
        None => plan.tcp("127.0.0.1:0"),
    };
    let bank = plan.start().unwrap();
    supervised(brisk(), async |mut supervisor, lines| {
        let (seen, outlet) = Seen::keep(&mut supervisor);
        let house = house(&bank.link());
        let _chain = Chain::grow(&mut supervisor, house, &[outlet], &lines.logger()).unwrap();
        let path = path.map(Path::to_owned);
        let (last_device, asked) = (Mutex::new(None), Mutex::new(0));
        let bench = Bench { bank, path, seen, lines, last_device, asked };
        until(LONG, || bench.seen.count() >= 5).await;
        let (open, in_use) = (descriptors(), memory());
        for fault in FAULTS {
            bench.survives(fault, &open).await;
        }
        let grown = memory().saturating_sub(in_use);
        assert!(grown < 16 << 20, "{grown} bytes more than before");
        let told = bench.lines.containing("console shared");
        assert_eq!(told.len(), 1, "{told:?}");
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
    lives_through_it_all(Some(&folder.path().join("usb-adapter")));
}

#[test]
fn network_bridge_recovers_from_every_fault() {
    if !own_process::is_alone(concat!(module_path!(), "::network_bridge_recovers_from_every_fault")) {
        return;
    }
    lives_through_it_all(None);
}
