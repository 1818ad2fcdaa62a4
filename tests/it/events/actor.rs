//! The events as the service tells them: a real chain on a simulated bank, the actor behind it, its files and its
//! listeners, through panics, restarts and a disk that is away.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Supervised};
use bankwatch::internals::actors::event::{EventActor, Listeners};
use bankwatch::internals::app::BankChain;
use bankwatch::internals::events::catalogue::Catalogue;
use bankwatch::internals::events::config::EventConfig;
use bankwatch::internals::events::log_file::LogFile;
use bankwatch::internals::messages::{DeviceLogRead, EventOccurred, Queue, ReportReady, ReportSink};
use bankwatch::internals::model::event::{EventKind, EventLevel};
use bankwatch::internals::simulator::{EventWordKind, PrintedValues};
use bankwatch::internals::supervise::{ChildSpec, Ping, ShutdownPhase, Supervisor};
use jiff::tz::TimeZone;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use slog::Logger;
use support::actors::{Port, harmful};
use support::faulty_actor::{LONG, brisk, ms, restarts, supervised};
use support::lines::Lines;
use support::until::until;
use tempfile::tempdir;

/// Keeps what it is told.
#[derive(Clone, Default)]
struct Heard {
    events: Arc<Mutex<Vec<String>>>,
    records: Arc<Mutex<Vec<String>>>,
}

impl Heard {
    /// Those that begin or end with these words.
    fn with(&self, words: &str) -> Vec<String> {
        let is_it =
            |event: &&String| format!("{event} ").starts_with(&format!("{words} ")) || event.ends_with(words);
        self.events.lock().unwrap().iter().filter(is_it).cloned().collect()
    }
}

impl Actor for Heard {
    type Context = Context<Self>;
}

impl Supervised for Heard {}

impl Handler<EventOccurred> for Heard {
    type Result = ();

    fn handle(&mut self, EventOccurred(event): EventOccurred, _: &mut Self::Context) {
        let battery = event.battery.map(|place| place.number());
        let after = if event.kind == EventKind::Cleared { event.duration } else { Some(Duration::ZERO) };
        assert!(after.is_some(), "a duration is known: {event:?}");
        let line = format!("{} {battery:?} {} {}", event.kind.word(), event.word, event.condition);
        self.events.lock().unwrap().push(line);
    }
}

impl Handler<DeviceLogRead> for Heard {
    type Result = ();

    fn handle(&mut self, DeviceLogRead(told): DeviceLogRead, _: &mut Self::Context) {
        let records = told.records.iter().map(|record| format!("{:?} {record:?}", told.battery));
        self.records.lock().unwrap().extend(records);
    }
}

impl Handler<Ping> for Heard {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

/// The actor, its listener, and how it is fed.
struct Stand {
    heard: Heard,
    outlet: ReportSink,
    _actors: (Addr<EventActor>, Addr<Heard>),
}

impl Stand {
    fn keep(supervisor: &mut Supervisor, folder: &Path, log: Logger) -> Self {
        let heard = Heard::default();
        let kept = heard.clone();
        let listener = supervisor.start_child(ChildSpec::new("heard").capacity(64), move |_| kept).unwrap();
        let listeners = Listeners {
            events: vec![Queue::to(listener.clone())],
            device_logs: vec![Queue::to(listener.clone())],
        };
        let plan = plan(folder);
        let make = move |_| EventActor::new(plan, listeners, log);
        let actor =
            supervisor.start_child(ChildSpec::new("events").own_arbiter().capacity(64), make).unwrap();
        let outlet = ReportSink::every(Queue::<ReportReady>::to(actor.clone()));
        Self { heard, outlet, _actors: (actor, listener) }
    }
}

fn plan(folder: &Path) -> EventConfig {
    EventConfig {
        banks: vec![("house".into(), ms(1_500))],
        catalogue: Arc::new(Catalogue::load(None).0),
        level: EventLevel::Warning,
        cells: true,
        log_file: LogFile { path: folder.join("battery_events.log"), max_size: 0, max_files: 1 },
        folder: folder.to_owned(),
        deadline: ms(400),
        zone: TimeZone::UTC,
    }
}

fn standing(folder: &Path) -> PathBuf {
    folder.join("house_standing_events.json")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn an_event_reaches_both_logs_and_every_listener_when_it_clears_too() {
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let (port, folder) = (Port::start(), tempdir().unwrap());
        let stand = Stand::keep(&mut supervisor, folder.path(), lines.logger());
        let outlets = [stand.outlet.clone()];
        let _chain = BankChain::start(&mut supervisor, port.house(), &outlets, &lines.logger()).unwrap();
        until(LONG, || standing(folder.path()).exists()).await;
        port.bank.with_bank(|bank| bank.raise_event(2, EventWordKind::Power, 0x2));
        until(LONG, || !lines.containing("WARN event raised").is_empty()).await;
        let raised = "WARN event raised bank=house battery=2 bit=0x2 text=High voltage alarm word=power";
        assert_eq!(lines.containing("WARN event"), [raised]);
        let log = folder.path().join("battery_events.log");
        until(LONG, || text(&log).contains("| house|2|raised|power|0x2|PHV|High voltage alarm||\n")).await;
        assert_eq!(text(&log).lines().count(), 1 + 2 + 16, "with its cells: {}", text(&log));
        until(LONG, || stand.heard.with("power 0x2") == ["raised Some(2) power 0x2"]).await;
        until(LONG, || text(&standing(folder.path())).contains("High voltage alarm")).await;

        port.bank.with_bank(|bank| bank.clear_event(2, EventWordKind::Power, 0x2));
        until(LONG, || stand.heard.with("power 0x2").len() == 2).await;
        let cleared = lines.containing("INFO event cleared");
        assert!(
            cleared.len() == 1
                && cleared[0].starts_with("INFO event cleared bank=house battery=2 bit=0x2 duration=")
        );
        until(LONG, || !text(&standing(folder.path())).contains("High voltage alarm")).await;
        until(LONG, || text(&log).contains("|cleared|power|0x2|PHV|High voltage alarm|")).await;
        assert_eq!(text(&log).lines().count(), 1 + 2 + 16 + 1);
    });
}

#[test]
fn with_cells_off_only_a_warning_polls_cells() {
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let (port, folder) = (Port::start(), tempdir().unwrap());
        let stand = Stand::keep(&mut supervisor, folder.path(), lines.logger());
        let mut house = port.house();
        house.serial.rhythm.cells = false;
        port.bank.with_bank(|bank| bank.raise_event(1, EventWordKind::Power, 0x40_2004));
        let outlets = [stand.outlet.clone()];
        let _chain = BankChain::start(&mut supervisor, house, &outlets, &lines.logger()).unwrap();
        until(LONG, || stand.heard.with("Some(1) power 0x2000").len() == 1).await;
        let answers = port.bank.answer_count();
        until(LONG, || port.bank.answer_count() > answers + 20).await;
        let asked = |cells: &str| port.bank.answer_history().answers.iter().any(|said| said.command == cells);
        assert!(
            !asked("bat 1") && !asked("bat 2"),
            "a battery that is full and charges is asked nothing more"
        );
        port.bank.with_bank(|bank| bank.raise_event(2, EventWordKind::Battery, 0x2));
        let log = folder.path().join("battery_events.log");
        until(LONG, || text(&log).lines().count() == 1 + 2 + 16).await;
        assert!(asked("bat 2") && !asked("bat 1"));
    });
}

#[test]
fn a_panic_raises_no_event_again_and_loses_no_clearing() {
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let (port, folder, health) = (Port::start(), tempdir().unwrap(), supervisor.health());
        let log = harmful(&lines, |message| assert_ne!(message, "event cleared", "a bug in the events"));
        let stand = Stand::keep(&mut supervisor, folder.path(), log);
        let outlets = [stand.outlet.clone()];
        let _chain = BankChain::start(&mut supervisor, port.house(), &outlets, &lines.logger()).unwrap();
        port.bank.with_bank(|bank| {
            bank.raise_event(1, EventWordKind::Power, 0x2);
            bank.raise_event(2, EventWordKind::Fault, 0x40)
        });
        until(LONG, || stand.heard.with("system 0x40").len() == 1).await;
        // It panics each time it would tell the end; while it does, that end is not lost.
        port.bank.with_bank(|bank| bank.clear_event(1, EventWordKind::Power, 0x2));
        until(LONG, || restarts(&health, "events") >= 2).await;
        assert_eq!(
            stand.heard.with("raised Some(2) system 0x40").len(),
            1,
            "what stands is not raised again"
        );
        assert_eq!(stand.heard.with("cleared"), [""; 0]);
        port.bank.with_bank(|bank| bank.raise_event(1, EventWordKind::Power, 0x2));
        port.bank.with_bank(|bank| bank.raise_event(2, EventWordKind::Power, 0x10));
        until(LONG, || stand.heard.with("raised Some(2) power 0x10").len() == 1).await;
        assert_eq!(stand.heard.with("raised Some(1) power 0x2").len(), 1);
    });
}

#[test]
fn a_restart_raises_nothing_again_and_clears_what_ended_meanwhile() {
    let (port, folder) = (Port::start(), tempdir().unwrap());
    let first = |bank: &bankwatch::internals::simulator::SimulatorHandle| {
        bank.with_bank(|bank| {
            bank.raise_event(1, EventWordKind::Power, 0x2);
            bank.raise_event(2, EventWordKind::Fault, 0x40)
        });
    };
    first(&port.bank);
    // What is on disk then is all that the next one has, as after a kill.
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let stand = Stand::keep(&mut supervisor, folder.path(), lines.logger());
        let outlets = [stand.outlet.clone()];
        let _chain = BankChain::start(&mut supervisor, port.house(), &outlets, &lines.logger()).unwrap();
        let saved = || text(&standing(folder.path()));
        until(LONG, || saved().contains("High voltage alarm") && saved().contains("Voltage detection error"))
            .await;
    });
    port.bank.with_bank(|bank| bank.clear_event(1, EventWordKind::Power, 0x2));
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let stand = Stand::keep(&mut supervisor, folder.path(), lines.logger());
        let outlets = [stand.outlet.clone()];
        let _chain = BankChain::start(&mut supervisor, port.house(), &outlets, &lines.logger()).unwrap();
        until(LONG, || stand.heard.with("power 0x2") == ["cleared Some(1) power 0x2"]).await;
        port.bank.with_bank(|bank| bank.raise_event(2, EventWordKind::Power, 0x10));
        until(LONG, || !stand.heard.with("power 0x10").is_empty()).await;
        assert_eq!(stand.heard.with("raised"), ["raised Some(2) power 0x10"]);
        let log = text(&folder.path().join("battery_events.log"));
        assert_eq!(log.matches("|raised|system|0x40|").count(), 1, "{log}");
    });
}

#[test]
fn unreadable_saved_events_are_logged_and_raised_again() {
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let (port, folder) = (Port::start(), tempdir().unwrap());
        fs::write(standing(folder.path()), "{\"version\": 1, \"known\": [1, 2], \"standing").unwrap();
        port.bank.with_bank(|bank| bank.raise_event(1, EventWordKind::Power, 0x2));
        let stand = Stand::keep(&mut supervisor, folder.path(), lines.logger());
        let outlets = [stand.outlet.clone()];
        let _chain = BankChain::start(&mut supervisor, port.house(), &outlets, &lines.logger()).unwrap();
        until(LONG, || stand.heard.with("raised Some(1) power 0x2").len() == 1).await;
        let told = lines.containing("saved events unreadable");
        assert!(told.len() == 1 && told[0].contains("EOF"), "{told:?}");
        until(LONG, || text(&standing(folder.path())).contains("High voltage alarm")).await;
    });
}

#[test]
fn lines_wait_for_a_missing_disk_which_is_logged_once() {
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let (port, folder) = (Port::start(), tempdir().unwrap());
        // A file where the folder should be.
        let data = folder.path().join("data");
        fs::write(&data, "").unwrap();
        let stand = Stand::keep(&mut supervisor, &data, lines.logger());
        let outlets = [stand.outlet.clone()];
        let _chain = BankChain::start(&mut supervisor, port.house(), &outlets, &lines.logger()).unwrap();
        until(LONG, || !lines.containing("output down").is_empty()).await;
        for bit in [0x2, 0x8, 0x10] {
            port.bank.with_bank(|bank| bank.raise_event(2, EventWordKind::Power, bit));
            let told = format!("raised Some(2) power {bit:#x}");
            until(LONG, || stand.heard.with(&told).len() == 1).await;
        }
        fs::remove_file(&data).unwrap();
        fs::create_dir(&data).unwrap();
        until(LONG, || !lines.containing("output recovered").is_empty()).await;
        let log = text(&data.join("battery_events.log"));
        let order = ["|0x2|", "|0x8|", "|0x10|"].map(|bit| log.find(bit).expect("it was kept"));
        assert!(order.is_sorted(), "{log}");
        assert!(text(&standing(&data)).contains("Under-voltage alarm"));
        assert_eq!(lines.containing("output down").len(), 1, "{:?}", lines.containing("output"));
    });
}

#[test]
fn a_hanging_disk_delays_no_listener_and_stops_no_actor() {
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let (port, folder, health) = (Port::start(), tempdir().unwrap(), supervisor.health());
        // Opening one of them to write waits for a reader; each attempt takes the next hidden name.
        let pipes = ["", "1", "2"]
            .map(|number| folder.path().join(format!(".house_standing_events.json.new{number}")));
        for pipe in &pipes {
            mknodat(CWD, pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }
        let stand = Stand::keep(&mut supervisor, folder.path(), lines.logger());
        let outlets = [stand.outlet.clone()];
        let _chain = BankChain::start(&mut supervisor, port.house(), &outlets, &lines.logger()).unwrap();
        for bit in (0..5).map(|shift| 1 << shift) {
            port.bank.with_bank(|bank| bank.raise_event(2, EventWordKind::Battery, bit));
            let told = format!("raised Some(2) battery {bit:#x}");
            until(LONG, || stand.heard.with(&told).len() == 1).await;
        }
        until(LONG, || !lines.containing("output down").is_empty()).await;
        assert!(
            lines.containing("output down")[0].contains("the call is still running"),
            "{:?}",
            lines.containing("output")
        );
        assert_eq!(restarts(&health, "events"), 0);
        // Three threads hang there until somebody reads.
        let mut reader = fs::File::options();
        reader.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let readers = pipes.map(|pipe| reader.open(pipe).unwrap());
        until(LONG, || !lines.containing("output recovered").is_empty()).await;
        drop(readers);
        let log = text(&folder.path().join("battery_events.log"));
        assert!(log.contains("|raised|battery|0x10|"), "{log}");
    });
}

#[test]
fn unplugging_raises_link_silent_and_keeps_other_events_active() {
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let (port, folder) = (Port::start(), tempdir().unwrap());
        port.bank.with_bank(|bank| bank.raise_event(2, EventWordKind::Power, 0x2));
        let stand = Stand::keep(&mut supervisor, folder.path(), lines.logger());
        let outlets = [stand.outlet.clone()];
        let _chain =
            BankChain::start(&mut supervisor, Port::of(&port.bank.link()), &outlets, &lines.logger())
                .unwrap();
        until(LONG, || stand.heard.with("power 0x2").len() == 1).await;
        port.bank.unplug();
        until(LONG, || stand.heard.with("raised None link Silent").len() == 1).await;
        assert_eq!(
            lines.containing("word=link"),
            ["WARN event raised bank=house state=Silent text=No readings received word=link"]
        );
        port.bank.replug();
        until(LONG, || stand.heard.with("cleared None link Silent").len() == 1).await;
        assert_eq!(stand.heard.with("power 0x2"), ["raised Some(2) power 0x2"]);
    });
}

#[test]
fn each_device_log_record_is_published_once() {
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let (port, folder) = (Port::start(), tempdir().unwrap());
        let stand = Stand::keep(&mut supervisor, folder.path(), lines.logger());
        let outlets = [stand.outlet.clone()];
        let mut house = port.house();
        house.serial.rhythm.interval = ms(200);
        let _chain = BankChain::start(&mut supervisor, house, &outlets, &lines.logger()).unwrap();
        let records = || stand.heard.records.lock().unwrap().clone();
        until(LONG, || records().iter().any(|record| record.contains("kind: Snapshot"))).await;
        let told = records();
        let truth = port.bank.answer_history();
        let PrintedValues::Log(log) = &truth.latest("log").unwrap().values else {
            panic!("no log was asked")
        };
        let all = log.len();
        assert_eq!(told.iter().filter(|record| record.contains("kind: Log")).count(), all);
        assert_eq!(told.iter().filter(|record| record.contains("kind: Snapshot")).count(), 1);
        assert!(told.iter().all(|record| record.starts_with("Some(Place(1))")), "{told:?}");
        // The link comes back, everything is asked anew, and nothing of it is new.
        let newest = || port.bank.answer_history().latest("data event").map(|said| said.number);
        let before = newest();
        port.bank.unplug();
        port.bank.replug();
        until(LONG, || newest() > before).await;
        let again = newest();
        until(LONG, || newest() > again).await;
        assert_eq!(records().len(), told.len());
        assert!(!lines.containing("device log read").is_empty());
    });
}

#[test]
fn shutdown_writes_all_pending_lines() {
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let (port, folder) = (Port::start(), tempdir().unwrap());
        let stand = Stand::keep(&mut supervisor, folder.path(), lines.logger());
        let outlets = [stand.outlet.clone()];
        let chain = BankChain::start(&mut supervisor, port.house(), &outlets, &lines.logger()).unwrap();
        port.bank.with_bank(|bank| bank.raise_event(2, EventWordKind::Power, 0x2));
        until(LONG, || stand.heard.with("power 0x2").len() == 1).await;
        let (name, stats) = chain.stats.clone();
        let phases = vec![
            ShutdownPhase::end([chain.serial.0.clone()]),
            ShutdownPhase::flush([(name, stats.recipient())]),
            ShutdownPhase::flush([("events", stand._actors.0.clone().recipient())]),
            ShutdownPhase::end(["events"]),
        ];
        let report = supervisor.shutdown(phases, LONG).await;
        assert!(report.late.is_empty(), "{report:?}");
        assert!(text(&folder.path().join("battery_events.log")).contains("|raised|power|0x2|"));
        assert!(text(&standing(folder.path())).contains("High voltage alarm"));
    });
}
