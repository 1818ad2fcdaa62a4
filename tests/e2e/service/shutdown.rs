//! SIGTERM at a bad moment: the program ends within 5 s with status 0, and its status file is complete.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bankwatch::internals::simulator::{Dialect, Simulation};
use bankwatch::internals::status::StatusDocument;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use support::program::{Service, program, wait_until};
use tempfile::{TempDir, tempdir};

const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// A service that reads a bank named `house`.
struct Fixture {
    folder: TempDir,
    service: Service,
}

impl Fixture {
    fn start(link: &str) -> Self {
        Self::start_prepared(link, |_| {})
    }

    fn start_prepared(link: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempdir().unwrap();
        prepare(folder.path());
        let mut run = program(folder.path());
        run.arg("run");
        for set in ["bank.name=house", &format!("bank.link={link}"), "bank.interval=100ms"] {
            run.args(["--set", set]);
        }
        let service = Service::start(&mut run);
        Self { folder, service }
    }

    /// Sends SIGTERM and asserts that the service ends in time.
    #[track_caller]
    fn assert_stops_in_time(mut self) {
        let start = Instant::now();
        let status = self.service.stop();
        let (took, log) = (start.elapsed(), &self.service.log);
        assert_eq!(status.code(), Some(0), "{log:#?}");
        assert!(took < SHUTDOWN_LIMIT, "{took:?} {log:#?}");
        let file = self.folder.path().join("house_status.json");
        if let Ok(text) = fs::read(file) {
            serde_json::from_slice::<StatusDocument>(&text).expect("a complete file");
        }
        assert!(log.iter().any(|line| line.contains("service stopping signal=SIGTERM")), "{log:#?}");
    }
}

fn bank() -> Simulation {
    Simulation::new(Dialect::PytesV5).batteries(2).speed(0.0)
}

#[test]
fn sigterm_during_an_answer() {
    // At these baud rates the table alone takes seconds, without a pause long enough to count as a quiet line.
    for baud in [1200, 9600] {
        let bank = bank().baud(baud).start().unwrap();
        let mut fixture = Fixture::start(&bank.link());
        fixture.service.wait_for_line("service started");
        wait_until(|| bank.answer_count() >= 1);
        fixture.assert_stops_in_time();
    }
}

#[test]
fn sigterm_during_consecutive_sweeps() {
    let bank = bank().unpaced().start().unwrap();
    let mut fixture = Fixture::start(&bank.link());
    fixture.service.wait_for_line("sweep complete");
    let file = fixture.folder.path().join("house_status.json");
    wait_until(|| file.exists());
    fixture.assert_stops_in_time();
}

#[test]
fn sigterm_while_unplugged() {
    let bank = bank().unpaced().start().unwrap();
    let mut fixture = Fixture::start(&bank.link());
    fixture.service.wait_for_line("sweep complete");
    bank.unplug();
    fixture.service.wait_for_line("link lost");
    fixture.assert_stops_in_time();
}

#[test]
fn sigterm_while_the_port_never_existed() {
    let mut fixture = Fixture::start("/dev/there-is-no-such-port");
    fixture.service.wait_for_line("does not exist");
    fixture.assert_stops_in_time();
}

#[test]
fn sigterm_while_the_console_is_silent() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let fixture = Fixture::start(&format!("tcp://{}", silent.local_addr().unwrap()));
    let _client = silent.accept().unwrap();
    fixture.assert_stops_in_time();
}

#[test]
fn sigterm_while_connecting() {
    let full = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&full, 0).unwrap();
    let address = full.local_addr().unwrap();
    // Fills the accept queue, so that further connection attempts get no answer.
    let connect_in_background = || {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
        let _in_progress = connect(&socket, &address);
        socket
    };
    let _queue: Vec<_> = (0..8).map(|_| connect_in_background()).collect();
    let mut fixture = Fixture::start(&format!("tcp://{address}"));
    fixture.service.wait_for_line("service started");
    let process = fixture.service.id();
    wait_until(|| is_connecting(process, address.port()));
    fixture.assert_stops_in_time();
}

/// Whether a socket of this process is connecting to the port (SYN sent).
fn is_connecting(process: u32, port: u16) -> bool {
    let sockets = fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap();
    let connecting = sockets.lines().filter(|line| line.contains(&format!(":{port:04X} 02 ")));
    let connecting: Vec<_> =
        connecting.filter_map(|line| Some(format!("socket:[{}]", line.split_whitespace().nth(9)?))).collect();
    let files = fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
    let mut files = files.filter_map(|file| fs::read_link(file.path()).ok());
    files.any(|file| connecting.iter().any(|socket| file.as_os_str() == socket.as_str()))
}

#[test]
fn sigterm_while_an_output_hangs() {
    let bank = bank().unpaced().start().unwrap();
    // Opening a pipe for writing blocks until it is opened for reading.
    let mut fixture = Fixture::start_prepared(&bank.link(), |folder| {
        for number in ["", "1", "2"] {
            let pipe = folder.join(format!(".house_status.json.new{number}"));
            mknodat(CWD, pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }
    });
    fixture.service.wait_for_line("sweep complete");
    let answers = bank.answer_count();
    wait_until(|| bank.answer_count() > answers + 20);
    assert!(!fixture.folder.path().join("house_status.json").exists(), "the output hangs");
    fixture.assert_stops_in_time();
}

#[test]
fn sigterm_right_after_the_start() {
    let bank = bank().unpaced().start().unwrap();
    let mut fixture = Fixture::start(&bank.link());
    fixture.service.wait_for_line("service started");
    fixture.assert_stops_in_time();
}

#[test]
fn sigterm_before_the_start() {
    let bank = bank().unpaced().start().unwrap();
    // From the start of the process on: before the signal handler is installed, the default action is also correct.
    for wait in 0..10 {
        let fixture = Fixture::start(&bank.link());
        // There is no condition to wait for: the time itself is tested.
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(wait) {
            std::thread::yield_now();
        }
        let mut service = fixture.service;
        let start = Instant::now();
        let status = service.stop();
        let (code, signal) = (status.code(), status.signal());
        assert!(code == Some(0) || signal == Some(15), "{status:?} {:#?}", service.log);
        assert!(start.elapsed() < SHUTDOWN_LIMIT, "{:#?}", service.log);
    }
}

#[test]
fn sigint_followed_by_sigterm() {
    let bank = bank().baud(1200).start().unwrap();
    let mut fixture = Fixture::start(&bank.link());
    fixture.service.wait_for_line("service started");
    wait_until(|| bank.answer_count() >= 1);
    Command::new("kill").args(["-INT", &fixture.service.id().to_string()]).status().unwrap();
    let status = fixture.service.stop();
    assert_eq!(status.code(), Some(0), "{:#?}", fixture.service.log);
}
