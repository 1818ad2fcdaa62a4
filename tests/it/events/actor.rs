//! Events as the service publishes them: a real chain on a simulated bank, the event actor, its files and its
//! listeners, through panics, restarts and a missing disk.

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
use support::actors::{Port, faulty_logger};
use support::faulty_actor::{LONG, brisk, ms, restarts, supervised};
use support::lines::Lines;
use support::until::until;
use tempfile::tempdir;

/// Records the events and device log entries that it receives.
#[derive(Clone, Default)]
struct EventRecorder {
    events: Arc<Mutex<Vec<String>>>,
    records: Arc<Mutex<Vec<String>>>,
}

impl EventRecorder {
    /// Events that start or end with these words.
    fn with(&self, words: &str) -> Vec<String> {
        let is_it =
            |event: &&String| format!("{event} ").starts_with(&format!("{words} ")) || event.ends_with(words);
        self.events.lock().unwrap().iter().filter(is_it).cloned().collect()
    }
}

impl Actor for EventRecorder {
    type Context = Context<Self>;
}

impl Supervised for EventRecorder {}

impl Handler<EventOccurred> for EventRecorder {
    type Result = ();

    fn handle(&mut self, EventOccurred(event): EventOccurred, _: &mut Self::Context) {
        let battery = event.battery.map(|place| place.number());
        let after = if event.kind == EventKind::Cleared { event.duration } else { Some(Duration::ZERO) };
        assert!(after.is_some(), "a duration is known: {event:?}");
        let line = format!("{} {battery:?} {} {}", event.kind.word(), event.word, event.condition);
        self.events.lock().unwrap().push(line);
    }
}

impl Handler<DeviceLogRead> for EventRecorder {
    type Result = ();

    fn handle(&mut self, DeviceLogRead(batch): DeviceLogRead, _: &mut Self::Context) {
        let records = batch.records.iter().map(|record| format!("{:?} {record:?}", batch.battery));
        self.records.lock().unwrap().extend(records);
    }
}

impl Handler<Ping> for EventRecorder {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

/// The event actor, its listener and its sink.
struct EventsFixture {
    recorder: EventRecorder,
    sink: ReportSink,
    _actors: (Addr<EventActor>, Addr<EventRecorder>),
}

impl EventsFixture {
    fn start(supervisor: &mut Supervisor, folder: &Path, log: Logger) -> Self {
        let recorder = EventRecorder::default();
        let child = recorder.clone();
        let listener =
            supervisor.start_child(ChildSpec::new("recorder").capacity(64), move |_| child).unwrap();
        let listeners = Listeners {
            events: vec![Queue::to(listener.clone())],
            device_logs: vec![Queue::to(listener.clone())],
        };
        let config = event_config(folder);
        let new_actor = move |_| EventActor::new(config, listeners, log);
        let actor =
            supervisor.start_child(ChildSpec::new("events").own_arbiter().capacity(64), new_actor).unwrap();
        let sink = ReportSink::every(Queue::<ReportReady>::to(actor.clone()));
        Self { recorder, sink, _actors: (actor, listener) }
    }
}

fn event_config(folder: &Path) -> EventConfig {
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

fn saved_events_path(folder: &Path) -> PathBuf {
    folder.join("house_standing_events.json")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn an_event_reaches_both_logs_and_every_listener_when_it_clears_too() {
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let (port, folder) = (Port::start(), tempdir().unwrap());
        let fixture = EventsFixture::start(&mut supervisor, folder.path(), lines.logger());
        let sinks = [fixture.sink.clone()];
        let _chain = BankChain::start(&mut supervisor, port.house(), &sinks, &lines.logger()).unwrap();
        until(LONG, || saved_events_path(folder.path()).exists()).await;
        port.bank.with_bank(|bank| bank.raise_event(2, EventWordKind::Power, 0x2));
        until(LONG, || !lines.containing("WARN event raised").is_empty()).await;
        let raised = "WARN event raised bank=house battery=2 bit=0x2 text=High voltage alarm word=power";
        assert_eq!(lines.containing("WARN event"), [raised]);
        let log = folder.path().join("battery_events.log");
        until(LONG, || text(&log).contains("| house|2|raised|power|0x2|PHV|High voltage alarm||\n")).await;
        assert_eq!(text(&log).lines().count(), 1 + 2 + 16, "with its cells: {}", text(&log));
        until(LONG, || fixture.recorder.with("power 0x2") == ["raised Some(2) power 0x2"]).await;
        until(LONG, || text(&saved_events_path(folder.path())).contains("High voltage alarm")).await;

        port.bank.with_bank(|bank| bank.clear_event(2, EventWordKind::Power, 0x2));
        until(LONG, || fixture.recorder.with("power 0x2").len() == 2).await;
        let cleared = lines.containing("INFO event cleared");
        assert!(
            cleared.len() == 1
                && cleared[0].starts_with("INFO event cleared bank=house battery=2 bit=0x2 duration=")
        );
        until(LONG, || !text(&saved_events_path(folder.path())).contains("High voltage alarm")).await;
        until(LONG, || text(&log).contains("|cleared|power|0x2|PHV|High voltage alarm|")).await;
        assert_eq!(text(&log).lines().count(), 1 + 2 + 16 + 1);
    });
}

#[test]
fn with_cells_off_only_a_warning_polls_cells() {
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let (port, folder) = (Port::start(), tempdir().unwrap());
        let fixture = EventsFixture::start(&mut supervisor, folder.path(), lines.logger());
        let mut house = port.house();
        house.serial.rhythm.cells = false;
        port.bank.with_bank(|bank| bank.raise_event(1, EventWordKind::Power, 0x40_2004));
        let sinks = [fixture.sink.clone()];
        let _chain = BankChain::start(&mut supervisor, house, &sinks, &lines.logger()).unwrap();
        until(LONG, || fixture.recorder.with("Some(1) power 0x2000").len() == 1).await;
        let answers = port.bank.answer_count();
        until(LONG, || port.bank.answer_count() > answers + 20).await;
        let polled =
            |cells: &str| port.bank.answer_history().answers.iter().any(|answer| answer.command == cells);
        assert!(
            !polled("bat 1") && !polled("bat 2"),
            "full and charging are not warnings: no cells are polled"
        );
        port.bank.with_bank(|bank| bank.raise_event(2, EventWordKind::Battery, 0x2));
        let log = folder.path().join("battery_events.log");
        until(LONG, || text(&log).lines().count() == 1 + 2 + 16).await;
        assert!(polled("bat 2") && !polled("bat 1"));
    });
}

#[test]
fn a_panic_raises_no_event_again_and_loses_no_clearing() {
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let (port, folder, health) = (Port::start(), tempdir().unwrap(), supervisor.health());
        let log =
            faulty_logger(&lines, |message| assert_ne!(message, "event cleared", "a bug in the events"));
        let fixture = EventsFixture::start(&mut supervisor, folder.path(), log);
        let sinks = [fixture.sink.clone()];
        let _chain = BankChain::start(&mut supervisor, port.house(), &sinks, &lines.logger()).unwrap();
        port.bank.with_bank(|bank| {
            bank.raise_event(1, EventWordKind::Power, 0x2);
            bank.raise_event(2, EventWordKind::Fault, 0x40)
        });
        until(LONG, || fixture.recorder.with("system 0x40").len() == 1).await;
        // It panics whenever it reports the clearing, which must not get lost.
        port.bank.with_bank(|bank| bank.clear_event(1, EventWordKind::Power, 0x2));
        until(LONG, || restarts(&health, "events") >= 2).await;
        assert_eq!(
            fixture.recorder.with("raised Some(2) system 0x40").len(),
            1,
            "an active event is not raised again"
        );
        assert_eq!(fixture.recorder.with("cleared"), [""; 0]);
        port.bank.with_bank(|bank| bank.raise_event(1, EventWordKind::Power, 0x2));
        port.bank.with_bank(|bank| bank.raise_event(2, EventWordKind::Power, 0x10));
        until(LONG, || fixture.recorder.with("raised Some(2) power 0x10").len() == 1).await;
        assert_eq!(fixture.recorder.with("raised Some(1) power 0x2").len(), 1);
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
    // The next process has only what is on disk by then, as after a kill.
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let fixture = EventsFixture::start(&mut supervisor, folder.path(), lines.logger());
        let sinks = [fixture.sink.clone()];
        let _chain = BankChain::start(&mut supervisor, port.house(), &sinks, &lines.logger()).unwrap();
        let saved = || text(&saved_events_path(folder.path()));
        until(LONG, || saved().contains("High voltage alarm") && saved().contains("Voltage detection error"))
            .await;
    });
    port.bank.with_bank(|bank| bank.clear_event(1, EventWordKind::Power, 0x2));
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let fixture = EventsFixture::start(&mut supervisor, folder.path(), lines.logger());
        let sinks = [fixture.sink.clone()];
        let _chain = BankChain::start(&mut supervisor, port.house(), &sinks, &lines.logger()).unwrap();
        until(LONG, || fixture.recorder.with("power 0x2") == ["cleared Some(1) power 0x2"]).await;
        port.bank.with_bank(|bank| bank.raise_event(2, EventWordKind::Power, 0x10));
        until(LONG, || !fixture.recorder.with("power 0x10").is_empty()).await;
        assert_eq!(fixture.recorder.with("raised"), ["raised Some(2) power 0x10"]);
        let log = text(&folder.path().join("battery_events.log"));
        assert_eq!(log.matches("|raised|system|0x40|").count(), 1, "{log}");
    });
}

#[test]
fn unreadable_saved_events_are_logged_and_raised_again() {
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let (port, folder) = (Port::start(), tempdir().unwrap());
        fs::write(saved_events_path(folder.path()), "{\"version\": 1, \"known\": [1, 2], \"standing")
            .unwrap();
        port.bank.with_bank(|bank| bank.raise_event(1, EventWordKind::Power, 0x2));
        let fixture = EventsFixture::start(&mut supervisor, folder.path(), lines.logger());
        let sinks = [fixture.sink.clone()];
        let _chain = BankChain::start(&mut supervisor, port.house(), &sinks, &lines.logger()).unwrap();
        until(LONG, || fixture.recorder.with("raised Some(1) power 0x2").len() == 1).await;
        let logged = lines.containing("saved events unreadable");
        assert!(logged.len() == 1 && logged[0].contains("EOF"), "{logged:?}");
        until(LONG, || text(&saved_events_path(folder.path())).contains("High voltage alarm")).await;
    });
}

#[test]
fn lines_wait_for_a_missing_disk_which_is_logged_once() {
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let (port, folder) = (Port::start(), tempdir().unwrap());
        // A file where the folder should be.
        let data = folder.path().join("data");
        fs::write(&data, "").unwrap();
        let fixture = EventsFixture::start(&mut supervisor, &data, lines.logger());
        let sinks = [fixture.sink.clone()];
        let _chain = BankChain::start(&mut supervisor, port.house(), &sinks, &lines.logger()).unwrap();
        until(LONG, || !lines.containing("output down").is_empty()).await;
        for bit in [0x2, 0x8, 0x10] {
            port.bank.with_bank(|bank| bank.raise_event(2, EventWordKind::Power, bit));
            let raised = format!("raised Some(2) power {bit:#x}");
            until(LONG, || fixture.recorder.with(&raised).len() == 1).await;
        }
        fs::remove_file(&data).unwrap();
        fs::create_dir(&data).unwrap();
        until(LONG, || !lines.containing("output recovered").is_empty()).await;
        let log = text(&data.join("battery_events.log"));
        let order = ["|0x2|", "|0x8|", "|0x10|"].map(|bit| log.find(bit).expect("the line was listening"));
        assert!(order.is_sorted(), "{log}");
        assert!(text(&saved_events_path(&data)).contains("Under-voltage alarm"));
        assert_eq!(lines.containing("output down").len(), 1, "{:?}", lines.containing("output"));
    });
}

#[test]
fn a_hanging_disk_delays_no_listener_and_stops_no_actor() {
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let (port, folder, health) = (Port::start(), tempdir().unwrap(), supervisor.health());
        // Opening a pipe for writing blocks until there is a reader; each attempt takes the next hidden name.
        let pipes = ["", "1", "2"]
            .map(|number| folder.path().join(format!(".house_standing_events.json.new{number}")));
        for pipe in &pipes {
            mknodat(CWD, pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }
        let fixture = EventsFixture::start(&mut supervisor, folder.path(), lines.logger());
        let sinks = [fixture.sink.clone()];
        let _chain = BankChain::start(&mut supervisor, port.house(), &sinks, &lines.logger()).unwrap();
        for bit in (0..5).map(|shift| 1 << shift) {
            port.bank.with_bank(|bank| bank.raise_event(2, EventWordKind::Battery, bit));
            let raised = format!("raised Some(2) battery {bit:#x}");
            until(LONG, || fixture.recorder.with(&raised).len() == 1).await;
        }
        until(LONG, || !lines.containing("output down").is_empty()).await;
        assert!(
            lines.containing("output down")[0].contains("the call is still running"),
            "{:?}",
            lines.containing("output")
        );
        assert_eq!(restarts(&health, "events"), 0);
        // Three threads hang there until the pipes are read.
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
        let fixture = EventsFixture::start(&mut supervisor, folder.path(), lines.logger());
        let sinks = [fixture.sink.clone()];
        let _chain =
            BankChain::start(&mut supervisor, Port::of(&port.bank.link()), &sinks, &lines.logger()).unwrap();
        until(LONG, || fixture.recorder.with("power 0x2").len() == 1).await;
        port.bank.unplug();
        until(LONG, || fixture.recorder.with("raised None link Silent").len() == 1).await;
        assert_eq!(
            lines.containing("word=link"),
            ["WARN event raised bank=house state=Silent text=No readings received word=link"]
        );
        port.bank.replug();
        until(LONG, || fixture.recorder.with("cleared None link Silent").len() == 1).await;
        assert_eq!(fixture.recorder.with("power 0x2"), ["raised Some(2) power 0x2"]);
    });
}

#[test]
fn each_device_log_record_is_published_once() {
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let (port, folder) = (Port::start(), tempdir().unwrap());
        let fixture = EventsFixture::start(&mut supervisor, folder.path(), lines.logger());
        let sinks = [fixture.sink.clone()];
        let mut house = port.house();
        house.serial.rhythm.interval = ms(200);
        let _chain = BankChain::start(&mut supervisor, house, &sinks, &lines.logger()).unwrap();
        let records = || fixture.recorder.records.lock().unwrap().clone();
        until(LONG, || records().iter().any(|record| record.contains("kind: Snapshot"))).await;
        let published = records();
        let truth = port.bank.answer_history();
        let PrintedValues::Log(log) = &truth.latest("log").unwrap().values else {
            panic!("the log was not requested")
        };
        let all = log.len();
        assert_eq!(published.iter().filter(|record| record.contains("kind: Log")).count(), all);
        assert_eq!(published.iter().filter(|record| record.contains("kind: Snapshot")).count(), 1);
        assert!(published.iter().all(|record| record.starts_with("Some(Place(1))")), "{published:?}");
        // After a reconnect the device log is read again and contains nothing new.
        let newest = || port.bank.answer_history().latest("data event").map(|answer| answer.number);
        let before = newest();
        port.bank.unplug();
        port.bank.replug();
        until(LONG, || newest() > before).await;
        let again = newest();
        until(LONG, || newest() > again).await;
        assert_eq!(records().len(), published.len());
        assert!(!lines.containing("device log read").is_empty());
    });
}

#[test]
fn shutdown_writes_all_pending_lines() {
    supervised(brisk(), async |mut supervisor, lines: Lines| {
        let (port, folder) = (Port::start(), tempdir().unwrap());
        let fixture = EventsFixture::start(&mut supervisor, folder.path(), lines.logger());
        let sinks = [fixture.sink.clone()];
        let chain = BankChain::start(&mut supervisor, port.house(), &sinks, &lines.logger()).unwrap();
        port.bank.with_bank(|bank| bank.raise_event(2, EventWordKind::Power, 0x2));
        until(LONG, || fixture.recorder.with("power 0x2").len() == 1).await;
        let (name, stats) = chain.stats.clone();
        let phases = vec![
            ShutdownPhase::end([chain.serial.0.clone()]),
            ShutdownPhase::flush([(name, stats.recipient())]),
            ShutdownPhase::flush([("events", fixture._actors.0.clone().recipient())]),
            ShutdownPhase::end(["events"]),
        ];
        let report = supervisor.shutdown(phases, LONG).await;
        assert!(report.late.is_empty(), "{report:?}");
        assert!(text(&folder.path().join("battery_events.log")).contains("|raised|power|0x2|"));
        assert!(text(&saved_events_path(folder.path())).contains("High voltage alarm"));
    });
}
