//! SIGTERM at a bad moment: the real program is gone within 5 s with exit code 0, and its status file is whole.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bankwatch::internals::simulator::{Dialect, Simulation};
use bankwatch::internals::status::Status;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use support::program::{Service, program, wait_until};
use tempfile::{TempDir, tempdir};

/// The promise.
const PROMISE: Duration = Duration::from_secs(5);

/// A service on a bank called `house`.
struct Stand {
    folder: TempDir,
    service: Service,
}

impl Stand {
    fn on(link: &str) -> Self {
        Self::set_up(link, |_| {})
    }

    fn set_up(link: &str, prepare: impl FnOnce(&Path)) -> Self {
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

    /// Ends it now, and holds it to the promise.
    #[track_caller]
    fn ends_in_time(mut self) {
        let begun = Instant::now();
        let status = self.service.stop();
        let (took, heard) = (begun.elapsed(), &self.service.log);
        assert_eq!(status.code(), Some(0), "{heard:#?}");
        assert!(took < PROMISE, "{took:?} {heard:#?}");
        let file = self.folder.path().join("house_status.json");
        if let Ok(text) = fs::read(file) {
            serde_json::from_slice::<Status>(&text).expect("a whole file");
        }
        assert!(heard.iter().any(|line| line.contains("service stopping signal=SIGTERM")), "{heard:#?}");
    }
}

fn bank() -> Simulation {
    Simulation::new(Dialect::PytesV5).batteries(2).speed(0.0)
}

#[test]
fn sigterm_during_an_answer() {
    // At this pace the table alone takes seconds, and its bytes are never further apart than a quiet line's.
    for baud in [1200, 9600] {
        let bank = bank().baud(baud).start().unwrap();
        let mut stand = Stand::on(&bank.link());
        stand.service.wait_for_line("service started");
        wait_until(|| bank.answers() >= 1);
        stand.ends_in_time();
    }
}

#[test]
fn sigterm_during_consecutive_sweeps() {
    let bank = bank().unpaced().start().unwrap();
    let mut stand = Stand::on(&bank.link());
    stand.service.wait_for_line("sweep complete");
    let file = stand.folder.path().join("house_status.json");
    wait_until(|| file.exists());
    stand.ends_in_time();
}

#[test]
fn sigterm_while_unplugged() {
    let bank = bank().unpaced().start().unwrap();
    let mut stand = Stand::on(&bank.link());
    stand.service.wait_for_line("sweep complete");
    bank.unplug();
    stand.service.wait_for_line("link lost");
    stand.ends_in_time();
}

#[test]
fn sigterm_while_the_port_never_existed() {
    let mut stand = Stand::on("/dev/there-is-no-such-port");
    stand.service.wait_for_line("does not exist");
    stand.ends_in_time();
}

#[test]
fn sigterm_while_the_console_is_silent() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let stand = Stand::on(&format!("tcp://{}", silent.local_addr().unwrap()));
    let _client = silent.accept().unwrap();
    stand.ends_in_time();
}

#[test]
fn sigterm_while_connecting() {
    let full = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&full, 0).unwrap();
    let address = full.local_addr().unwrap();
    // The waiting room is filled: from here on the system leaves whoever knocks without an answer.
    let knock = || {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
        let _in_progress = connect(&socket, &address);
        socket
    };
    let _room: Vec<_> = (0..8).map(|_| knock()).collect();
    let mut stand = Stand::on(&format!("tcp://{address}"));
    stand.service.wait_for_line("service started");
    let process = stand.service.id();
    wait_until(|| is_knocking(process, address.port()));
    stand.ends_in_time();
}

/// Whether a socket of this process has asked for a connection to the port and waits for the answer.
fn is_knocking(process: u32, port: u16) -> bool {
    let sockets = fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap();
    let asked = sockets.lines().filter(|line| line.contains(&format!(":{port:04X} 02 ")));
    let asked: Vec<_> =
        asked.filter_map(|line| Some(format!("socket:[{}]", line.split_whitespace().nth(9)?))).collect();
    let files = fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
    let mut files = files.filter_map(|file| fs::read_link(file.path()).ok());
    files.any(|file| asked.iter().any(|asked| file.as_os_str() == asked.as_str()))
}

#[test]
fn sigterm_while_an_output_hangs() {
    let bank = bank().unpaced().start().unwrap();
    // Whoever opens it to write waits until somebody reads.
    let mut stand = Stand::set_up(&bank.link(), |folder| {
        for number in ["", "1", "2"] {
            let pipe = folder.join(format!(".house_status.json.new{number}"));
            mknodat(CWD, pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }
    });
    stand.service.wait_for_line("sweep complete");
    let answers = bank.answers();
    wait_until(|| bank.answers() > answers + 20);
    assert!(!stand.folder.path().join("house_status.json").exists(), "it hangs");
    stand.ends_in_time();
}

#[test]
fn sigterm_right_after_the_start() {
    let bank = bank().unpaced().start().unwrap();
    let mut stand = Stand::on(&bank.link());
    stand.service.wait_for_line("service started");
    stand.ends_in_time();
}

#[test]
fn sigterm_before_the_start() {
    let bank = bank().unpaced().start().unwrap();
    // From the first instant on: until it listens, the system's own way of ending it is as good.
    for wait in 0..10 {
        let stand = Stand::on(&bank.link());
        // No condition to wait for: the moment itself is what is tried.
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(wait) {
            std::thread::yield_now();
        }
        let mut service = stand.service;
        let begun = Instant::now();
        let status = service.stop();
        let (code, signal) = (status.code(), status.signal());
        assert!(code == Some(0) || signal == Some(15), "{status:?} {:#?}", service.log);
        assert!(begun.elapsed() < PROMISE, "{:#?}", service.log);
    }
}

#[test]
fn sigint_followed_by_sigterm() {
    let bank = bank().baud(1200).start().unwrap();
    let mut stand = Stand::on(&bank.link());
    stand.service.wait_for_line("service started");
    wait_until(|| bank.answers() >= 1);
    Command::new("kill").args(["-INT", &stand.service.id().to_string()]).status().unwrap();
    let status = stand.service.stop();
    assert_eq!(status.code(), Some(0), "{:#?}", stand.service.log);
}
