//! A simulated bank on real links: pseudo-terminals and TCP, their baud rate and their faults.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use bankwatch::internals::simulator::{Dialect, FaultKind, Faults, Simulation, SimulatorHandle};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Much longer than expected.
const DEADLINE: Duration = Duration::from_secs(20);

/// A client of either kind of link, with a deadline.
struct Client(File);

impl Client {
    fn connect(bank: &SimulatorHandle) -> Self {
        let link = bank.link();
        Self(match link.strip_prefix("tcp://") {
            Some(address) => File::from(OwnedFd::from(TcpStream::connect(address).unwrap())),
            None => OpenOptions::new().read(true).write(true).open(&link).unwrap(),
        })
    }

    fn send(&mut self, typed: &str) {
        self.0.write_all(typed.as_bytes()).unwrap();
    }

    /// Reads up to and including the first prompt.
    fn until_prompt(&mut self) -> Vec<u8> {
        self.until(|received| received.ends_with(b">"))
    }

    fn until(&mut self, is_complete: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut received = Vec::new();
        while !is_complete(&received) {
            match self.read() {
                Some(more) => received.extend(more),
                None => panic!("disconnected after {:?}", String::from_utf8_lossy(&received)),
            }
        }
        received
    }

    fn execute(&mut self, command: &str) -> Vec<u8> {
        self.send(&format!("{command}\n"));
        self.until_prompt()
    }

    /// Waits until the other end disconnects.
    fn is_disconnected(&mut self) -> bool {
        while self.read().is_some() {}
        true
    }

    /// Reads the next bytes; `None` if the other end has disconnected.
    fn read(&mut self) -> Option<Vec<u8>> {
        let mut ends = [PollFd::new(&self.0, PollFlags::IN)];
        let timeout = Timespec::try_from(DEADLINE).unwrap();
        assert_eq!(poll(&mut ends, Some(&timeout)), Ok(1), "nothing received");
        let mut buffer = [0; 512];
        let count = self.0.read(&mut buffer).unwrap_or(0);
        (count > 0).then(|| buffer[..count].to_vec())
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting for {what}");
        thread::yield_now();
    }
}

/// A bank with a stopped clock, and its answer to `pwr`.
fn frozen() -> (Simulation, Vec<u8>) {
    let simulation = Simulation::new(Dialect::Pytes).speed(0.0).seed(5).unpaced();
    let clean = simulation.console().unwrap().type_bytes(b"pwr\n");
    (simulation, clean)
}

#[test]
fn pseudo_terminal_transfers_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (simulation, clean) = frozen();
    let path = folder.path().join("bank");
    let bank = simulation.pty(&path).start().unwrap();
    assert_eq!(bank.link(), path.display().to_string());
    assert_eq!(Client::connect(&bank).execute("pwr"), clean);
    // The client has disconnected; the next one finds the line unchanged.
    assert_eq!(Client::connect(&bank).execute("pwr"), clean);
    bank.stop();
    assert!(!path.is_symlink(), "the symbolic link is removed");
}

#[test]
fn tcp_clients_can_reconnect() {
    let (simulation, clean) = frozen();
    let bank = simulation.start().unwrap();
    for _ in 0..3 {
        assert_eq!(Client::connect(&bank).execute("pwr"), clean);
    }
    assert_eq!(bank.answer_history().answers.len(), 3);
    assert!(bank.answer_history().latest("pwr").is_some_and(|answer| answer.damage.is_none()));
}

#[test]
fn existing_file_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("precious");
    std::fs::write(&path, "data").unwrap();
    let error = frozen().0.pty(&path).start().unwrap_err().to_string();
    assert!(error.contains("precious"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
}

#[test]
fn answers_are_sent_at_the_baud_rate() {
    let (simulation, clean) = frozen();
    let bank = simulation.baud(57_600).start().unwrap();
    let mut client = Client::connect(&bank);
    let start = Instant::now();
    assert_eq!(client.execute("pwr"), clean);
    let (took, nominal) = (start.elapsed().as_secs_f64(), clean.len() as f64 / 5760.0);
    assert!((0.8..4.0).contains(&(took / nominal)), "{took} s instead of {nominal} s");
}

#[test]
fn muted_command_has_no_echo() {
    let (simulation, _) = frozen();
    let bank = simulation.start().unwrap();
    let mut client = Client::connect(&bank);
    bank.inject_fault(FaultKind::Mute);
    client.send("pwr\n");
    until("the muted answer", || bank.answer_count() == 1);
    assert!(client.execute("time").starts_with(b"time\n"), "nothing was received before the next echo");
    assert_eq!(damage(&bank).0, FaultKind::Mute);
}

/// The fault of the first answer, and its positions.
fn damage(bank: &SimulatorHandle) -> (FaultKind, Vec<usize>) {
    let damage = bank.answer_history().answers[0].damage.clone().unwrap();
    (damage.fault, damage.at)
}

#[test]
fn garbled_answer_differs_exactly_at_the_recorded_bytes() {
    let (simulation, clean) = frozen();
    let bank = simulation.start().unwrap();
    let mut client = Client::connect(&bank);
    bank.inject_fault(FaultKind::Garble);
    client.send("pwr\n");
    let received = client.until(|received| received.len() == clean.len());
    let differences: Vec<_> = (0..clean.len()).filter(|&at| received[at] != clean[at]).collect();
    // The echo of the typed letters is not part of the answer.
    let echo = "pwr".len();
    let (fault, at) = damage(&bank);
    assert_eq!(fault, FaultKind::Garble);
    assert_eq!(differences, at.iter().map(|at| at + echo).collect::<Vec<_>>());
}

#[test]
fn truncated_answer_stops_at_the_recorded_byte() {
    let (simulation, clean) = frozen();
    let bank = simulation.start().unwrap();
    let mut client = Client::connect(&bank);
    bank.inject_fault(FaultKind::Truncate);
    client.send("pwr\n");
    until("the truncated answer", || bank.answer_count() == 1);
    client.send("\n");
    let rest = b"\n\rPYTES>";
    let received = client.until(|received| received.ends_with(rest));
    let (fault, at) = damage(&bank);
    assert_eq!(fault, FaultKind::Truncate);
    assert_eq!(received, [&clean[.."pwr".len() + at[0]], rest].concat());
}

#[test]
fn noise_surrounds_a_complete_answer() {
    let (simulation, clean) = frozen();
    let bank = simulation.start().unwrap();
    let mut client = Client::connect(&bank);
    bank.inject_fault(FaultKind::Noise);
    client.send("pwr\n");
    let answer = &clean["pwr".len()..];
    let contains = |received: &[u8]| received.windows(answer.len()).any(|window| window == answer);
    let received = client.until(contains);
    assert!(!received.starts_with(&clean), "there is noise between echo and answer");
    assert_eq!(damage(&bank).0, FaultKind::Noise);
}

#[test]
fn slow_and_late_answers_are_complete() {
    let (simulation, clean) = frozen();
    let bank = simulation.start().unwrap();
    let pause = Duration::from_millis(150);
    bank.set_faults(Faults::none().late_by(pause).slow_by(pause));
    let mut client = Client::connect(&bank);
    for fault in [FaultKind::Slow, FaultKind::Late] {
        bank.inject_fault(fault);
        let start = Instant::now();
        assert_eq!(client.execute("pwr"), clean, "{fault}");
        assert!(start.elapsed() >= pause, "{fault}");
    }
}

#[test]
fn unplug_fault_disconnects_the_client_temporarily() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank");
    let (simulation, clean) = frozen();
    for simulation in [simulation.clone().tcp("127.0.0.1:0"), simulation.pty(&path)] {
        let bank = simulation.start().unwrap();
        bank.set_faults(Faults::none().unplugged_for(Duration::from_millis(50)));
        let mut client = Client::connect(&bank);
        bank.inject_fault(FaultKind::Unplug);
        client.send("pwr\n");
        assert!(client.is_disconnected(), "{}", bank.link());
        bank.replug();
        assert_eq!(Client::connect(&bank).execute("pwr"), clean);
    }
}

#[test]
fn unplugged_link_is_gone_until_replugged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank");
    let (simulation, clean) = frozen();
    let bank = simulation.clone().pty(&path).start().unwrap();
    let mut client = Client::connect(&bank);
    assert_eq!(client.execute("pwr"), clean);
    bank.unplug();
    assert!(!path.exists() && client.is_disconnected());
    bank.replug();
    assert_eq!(Client::connect(&bank).execute("pwr"), clean);

    let bank = simulation.start().unwrap();
    let mut client = Client::connect(&bank);
    bank.unplug();
    assert!(client.is_disconnected());
    assert!(TcpStream::connect(bank.link().trim_start_matches("tcp://")).is_err());
    bank.replug();
    assert_eq!(Client::connect(&bank).execute("pwr"), clean);
}

#[test]
fn fault_rate_is_met_and_determined_by_the_seed() {
    let damages = || {
        let faults = Faults::none().with(FaultKind::Garble, 0.3).with(FaultKind::Noise, 0.2);
        let bank = frozen().0.faults(faults).start().unwrap();
        let mut client = Client::connect(&bank);
        for count in 1..=60 {
            client.send("time\n");
            until("the answer", || bank.answer_count() == count);
        }
        bank.answer_history().answers.iter().map(|answer| answer.damage.clone()).collect::<Vec<_>>()
    };
    let first = damages();
    let hits = first.iter().flatten().count();
    assert!((15..45).contains(&hits), "{hits} of 60");
    assert_eq!(first, damages());
}

#[test]
fn clock_stops_at_speed_zero_and_runs_at_other_speeds() {
    let (simulation, _) = frozen();
    let stopped = simulation.clone().start().unwrap();
    let fast = simulation.speed(10_000.0).start().unwrap();
    let start = fast.bank().now();
    until("an hour to pass", || fast.bank().now().duration_since(start).as_secs() > 3600);
    assert_eq!(stopped.bank().now(), jiff::civil::date(2026, 6, 1).at(12, 0, 0, 0));
}
