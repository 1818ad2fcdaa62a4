//! systemd notifications of the program over a real socket: ready without a battery, watchdog keep-alives while the
//! batteries are polled, a status line, and reloading on SIGHUP.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Barrier};

use bankwatch::internals::app::BankChain;
use bankwatch::internals::simulator::{Dialect, Simulation, SimulatorHandle};
use bankwatch::internals::supervise::HeartbeatSet;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use support::actors::{Port, faulty_logger};
use support::faulty_actor::{LONG, brisk, ms, supervised};
use support::program;
use support::program::{Service, program};
use support::systemd::Systemd;
use tempfile::tempdir;
use tokio::time::timeout;

fn bank() -> SimulatorHandle {
    Simulation::new(Dialect::PytesV5).batteries(2).speed(0.0).unpaced().start().unwrap()
}

/// `bankwatch run` on a bank named `house`.
fn run(folder: &Path, link: &str) -> Command {
    let mut run = program(folder);
    run.arg("run");
    for set in ["bank.name=house", &format!("bank.link={link}"), "bank.interval=100ms"] {
        run.args(["--set", set]);
    }
    run
}

fn send_sighup(service: &Service) {
    let sent = Command::new("kill").args(["-HUP", &service.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn systemd_gets_ready_watchdog_and_stopping_without_a_battery() {
    let folder = tempdir().unwrap();
    let mut systemd = Systemd::at(&folder.path().join("notify"));
    let mut service =
        Service::start(&mut systemd.supervise(&run(folder.path(), "/dev/there-is-no-such-port")));
    service.wait_for_line("does not exist");
    // Only an attempt to open the port feeds the watchdog.
    (0..2).for_each(|_| drop(systemd.wait_for("WATCHDOG=1")));
    assert!(service.stop().success());
    systemd.wait_for("STOPPING=1");
    for message in ["READY=1", "STATUS=no reading yet", "STOPPING=1"] {
        assert_eq!(
            systemd.received.iter().filter(|line| *line == message).count(),
            1,
            "{message} {:?}",
            systemd.received
        );
    }
}

#[test]
fn status_line_is_sent_and_each_sweep_feeds_the_watchdog() {
    let folder = tempdir().unwrap();
    let (bank, mut systemd) = (bank(), Systemd::abstract_address("bankwatch-test-status"));
    let mut service = Service::start(&mut systemd.supervise(&run(folder.path(), &bank.link())));
    let line = systemd.wait_for("STATUS=house: 2 batteries, ");
    assert!(line.contains(" %, ") && line.contains(" W at "), "{line}");
    (0..3).for_each(|_| drop(systemd.wait_for("WATCHDOG=1")));
    assert!(service.stop().success());
}

#[test]
fn watchdog_is_fed_while_the_link_is_down() {
    let folder = tempdir().unwrap();
    let (bank, mut systemd) = (bank(), Systemd::at(&folder.path().join("notify")));
    let mut service = Service::start(&mut systemd.supervise(&run(folder.path(), &bank.link())));
    service.wait_for_line("sweep complete");
    bank.unplug();
    service.wait_for_line("link lost");
    systemd.clear();
    (0..2).for_each(|_| drop(systemd.wait_for("WATCHDOG=1")));
    bank.replug();
    service.wait_for_line("link back");
    assert!(service.stop().success());
}

#[test]
fn hanging_output_does_not_stop_the_watchdog() {
    let folder = tempdir().unwrap();
    // Opening a pipe for writing blocks until it is opened for reading. After one hangs, the next is tried.
    for number in ["", "1", "2"] {
        let pipe = folder.path().join(format!(".house_status.json.new{number}"));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }
    let (bank, mut systemd) = (bank(), Systemd::at(&folder.path().join("notify")));
    let mut service = Service::start(&mut systemd.supervise(&run(folder.path(), &bank.link())));
    service.wait_for_line("sweep complete");
    systemd.clear();
    (0..3).for_each(|_| drop(systemd.wait_for("WATCHDOG=1")));
    assert!(!folder.path().join("house_status.json").exists(), "the output hung all the time");
    assert!(service.stop().success());
}

#[test]
fn one_stuck_poller_stops_the_watchdog() {
    supervised(brisk(), async |mut supervisor, lines| {
        let (port, other) = (Port::start(), Port::start());
        let within = ms(500);
        let mut beats = HeartbeatSet::default();
        let (mut house, mut shed) = (port.house(), other.house());
        shed.serial.bank = "shed".into();
        house.serial.beat = Some(beats.register(within));
        shed.serial.beat = Some(beats.register(within));
        let released = Arc::new(Barrier::new(2));
        let wait = released.clone();
        // The serial actor writes this line and blocks in it.
        let log = faulty_logger(&lines, move |message| {
            if message == "link up" {
                wait.wait();
            }
        });
        let _stuck = BankChain::start(&mut supervisor, house, &[], &log).unwrap();
        let _going = BankChain::start(&mut supervisor, shed, &[], &lines.logger()).unwrap();
        let no_heartbeat = async { while beats.next().await {} };
        timeout(LONG, no_heartbeat).await.expect("no heartbeat while one of the banks is stuck");
        for _ in 0..20 {
            assert!(!timeout(LONG, beats.next()).await.expect("the other bank continues"));
        }
        released.wait();
        timeout(LONG, async { while !beats.next().await {} }).await.expect("a heartbeat after it continues");
    });
}

#[test]
fn no_heartbeat_while_the_only_poller_is_stuck() {
    supervised(brisk(), async |mut supervisor, lines| {
        let port = Port::start();
        let (mut beats, mut house) = (HeartbeatSet::default(), port.house());
        house.serial.beat = Some(beats.register(LONG));
        let released = Arc::new(Barrier::new(2));
        let (wait, done) = (released.clone(), released.clone());
        let log = faulty_logger(&lines, move |message| {
            if message == "link up" {
                // First to report that it is stuck, then to be released.
                wait.wait();
                wait.wait();
            }
        });
        let _chain = BankChain::start(&mut supervisor, house, &[], &log).unwrap();
        tokio::task::spawn_blocking(move || done.wait()).await.unwrap();
        // One earlier heartbeat may still be pending.
        let _ = timeout(ms(100), beats.next()).await;
        assert!(timeout(ms(700), beats.next()).await.is_err(), "no heartbeat without polling");
        released.wait();
        assert!(timeout(LONG, beats.next()).await.expect("a heartbeat again"));
    });
}

/// Settings of a bank connected to `LINK`.
const SETTINGS: &str =
    "[[bank]]\nname = \"house\"\nlink = \"LINK\"\ninterval = \"100ms\"\n[log]\nlevel = \"info\"\n";

#[test]
fn sighup_applies_the_log_level_and_lists_deferred_settings() {
    let (folder, bank) = (tempdir().unwrap(), bank());
    let file = folder.path().join("bankwatch.toml");
    let settings = SETTINGS.replace("LINK", &bank.link());
    fs::write(&file, &settings).unwrap();
    let mut service = Service::start(program(folder.path()).arg("run"));
    service.wait_for_line("sweep complete");
    fs::write(&file, settings.replace("info", "debug").replace("100ms", "150ms")).unwrap();
    send_sighup(&service);
    service.wait_for_line("settings reloaded signal=SIGHUP");
    let changed = service.lines_with("setting changed");
    assert_eq!(changed.len(), 2, "{changed:#?}");
    assert!(changed.iter().any(|line| line.ends_with("key=log.level takes_effect=now")), "{changed:#?}");
    let later = |line: &&String| line.contains(".interval takes_effect=\"at the next start\"");
    assert!(changed.iter().any(later), "{changed:#?}");
    // After the first, complete sweeps are logged only at this level.
    service.wait_for_line("DEBUG sweep complete");
    // The next SIGHUP compares with the settings read last.
    send_sighup(&service);
    service.wait_for_line("settings reloaded signal=SIGHUP");
    assert_eq!(service.lines_with("setting changed").len(), 2);
    assert!(service.stop().success());
}

#[test]
fn sighup_with_invalid_settings_reports_all_errors() {
    let (folder, bank) = (tempdir().unwrap(), bank());
    let file = folder.path().join("bankwatch.toml");
    let settings = SETTINGS.replace("LINK", &bank.link());
    fs::write(&file, &settings).unwrap();
    let mut service = Service::start(program(folder.path()).arg("run"));
    service.wait_for_line("sweep complete");
    fs::write(&file, settings.replace("info", "debug").replace("100ms", "often") + "levle = 1\n").unwrap();
    send_sighup(&service);
    service.wait_for_line("settings not reloaded");
    let second = service.wait_for_line("settings not reloaded");
    let not_reloaded = service.lines_with("settings not reloaded");
    assert!(not_reloaded.iter().any(|line| line.contains("often")), "{not_reloaded:#?}");
    assert!(not_reloaded.iter().any(|line| line.contains("levle")), "{second}");
    assert!(service.stop().success());
    assert!(
        service.lines_with("DEBUG").is_empty() && service.lines_with("setting changed").is_empty(),
        "no setting changed"
    );
}

#[test]
fn sighup_reopens_the_log_file() {
    let (folder, bank) = (tempdir().unwrap(), bank());
    let (log, moved) = (folder.path().join("bankwatch.log"), folder.path().join("moved.log"));
    let mut run = run(folder.path(), &bank.link());
    let mut service = Service::start(run.args(["--set", "log.file=bankwatch.log"]));
    let has = |file: &Path, words: &str| {
        program::wait_until(|| fs::read_to_string(file).is_ok_and(|text| text.contains(words)));
    };
    has(&log, "sweep complete");
    fs::rename(&log, &moved).unwrap();
    send_sighup(&service);
    has(&log, "settings reloaded");
    assert!(service.stop().success());
    has(&log, "service stopping");
    assert!(!fs::read_to_string(&moved).unwrap().contains("service stopping"));
}
