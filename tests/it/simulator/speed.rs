//! Baud rates of the simulator: on a pseudo-terminal, and on a bridge with RFC 2217.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use bankwatch::internals::simulator::{Dialect, Simulation};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// Much longer than expected.
const DEADLINE: Duration = Duration::from_secs(20);
const FRAME: &[u8] = b"~20014682C0048520FCC3\r";

/// A client of either kind of line. A thread reads the received bytes.
struct Client {
    output: ClientOutput,
    received: Receiver<Vec<u8>>,
}

enum ClientOutput {
    Pty(File),
    Bridge(TcpStream),
}

impl Client {
    fn pty(path: &Path) -> Self {
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let received = read_on(file.try_clone().unwrap());
        Self { output: ClientOutput::Pty(file), received }
    }

    fn bridge(link: &str) -> Self {
        let stream = TcpStream::connect(link.strip_prefix("rfc2217://").unwrap()).unwrap();
        let received = read_on(stream.try_clone().unwrap());
        Self { output: ClientOutput::Bridge(stream), received }
    }

    fn send(&mut self, bytes: &[u8]) {
        match &mut self.output {
            ClientOutput::Pty(file) => file.write_all(bytes).unwrap(),
            ClientOutput::Bridge(stream) => stream.write_all(bytes).unwrap(),
        }
    }

    /// Sets the baud rate; a bridge confirms it.
    fn set_speed(&mut self, baud: u32) {
        match &mut self.output {
            ClientOutput::Pty(file) => {
                let mut settings = tcgetattr(&*file).unwrap();
                settings.set_speed(baud).unwrap();
                tcsetattr(&*file, OptionalActions::Now, &settings).unwrap();
            }
            ClientOutput::Bridge(stream) => {
                let [a, b, c, d] = baud.to_be_bytes();
                stream.write_all(&[255, 250, 44, 1, a, b, c, d, 255, 240]).unwrap();
                self.until(&[255, 250, 44, 101, a, b, c, d, 255, 240]);
            }
        }
    }

    /// Reads up to and including `end`.
    #[track_caller]
    fn until(&self, end: &[u8]) -> Vec<u8> {
        let (start, mut received) = (Instant::now(), Vec::new());
        while !received.ends_with(end) {
            match self.received.recv_timeout(DEADLINE.saturating_sub(start.elapsed())) {
                Ok(more) => received.extend(more),
                Err(_) => panic!("no {end:?} in {:?}", String::from_utf8_lossy(&received)),
            }
        }
        received
    }

    /// Reads until the line is silent for a while.
    fn until_silent(&self) -> Vec<u8> {
        let mut received = Vec::new();
        loop {
            match self.received.recv_timeout(Duration::from_millis(150)) {
                Ok(more) => received.extend(more),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return received,
            }
        }
    }
}

fn read_on(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, received) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok(count) = from.read(&mut buffer) {
            if count == 0 || send.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    received
}

fn frozen() -> Simulation {
    Simulation::new(Dialect::Us2000).speed(0.0).seed(5).unpaced()
}

/// Runs `test` on both kinds of line that have a baud rate.
fn on_both(simulation: &Simulation, test: impl Fn(Client)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank");
    let bank = simulation.clone().pty(&path).start().unwrap();
    test(Client::pty(&path));
    bank.stop();
    let bank = simulation.clone().rfc2217("127.0.0.1:0").start().unwrap();
    test(Client::bridge(&bank.link()));
}

#[test]
fn wrong_baud_rate_yields_garbage_until_corrected() {
    let clean = frozen().console().unwrap().type_bytes(b"pwr\r");
    on_both(&frozen(), |mut client| {
        client.send(b"pwr\r");
        assert_eq!(client.until(b"pylon>"), clean);
        client.set_speed(9_600);
        client.send(b"pwr\r");
        let received = client.until_silent();
        assert!(!received.is_empty() && received.iter().all(|byte| !byte.is_ascii()), "{received:?}");
        client.set_speed(115_200);
        client.send(b"\r");
        client.until(b"pylon>");
        client.send(b"pwr\r");
        assert_eq!(client.until(b"pylon>"), clean);
    });
}

#[test]
fn sleeping_console_wakes_only_on_a_complete_frame() {
    on_both(&frozen().asleep(true), |mut client| {
        for speed in [115_200, 9_600] {
            client.set_speed(speed);
            client.send(FRAME);
            client.send(b"\r");
            assert_eq!(client.until_silent(), b"", "at {speed}");
        }
        // Interrupted: twenty-two bytes take 183 ms.
        client.set_speed(1_200);
        client.send(FRAME);
        client.set_speed(115_200);
        client.send(b"\r");
        assert_eq!(client.until_silent(), b"", "an interrupted frame");
        client.set_speed(1_200);
        client.send(FRAME);
        // Longer than the frame takes, so that it is complete.
        assert_eq!([client.until_silent(), client.until_silent()].concat(), b"");
        client.set_speed(115_200);
        client.send(b"\r");
        client.until(b"pylon>");
    });
}

#[test]
fn bridge_escapes_data_and_refuses_unknown_options() {
    let bank = frozen().rfc2217("127.0.0.1:0").start().unwrap();
    let mut client = Client::bridge(&bank.link());
    client.send(&[255, 251, 44, 255, 253, 0, 255, 253, 24, 255, 251, 31]);
    client.until(&[255, 253, 44, 255, 251, 0, 255, 252, 24, 255, 254, 31]);
    client.send(&[255, 255, b'x']);
    assert_eq!(client.until(b"x"), [255, 255, b'x']);
}

#[test]
fn unplug_after_disconnects_exactly_after_the_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank");
    for text in ["pw", "Normal", "\r$"] {
        let bank = frozen().pty(&path).start().unwrap();
        let mut client = Client::pty(&path);
        bank.unplug_after(text.as_bytes());
        client.send(b"pwr\r");
        let received = client.until(text.as_bytes());
        let start = Instant::now();
        while bank.is_plugged() {
            assert!(start.elapsed() < DEADLINE);
            thread::yield_now();
        }
        let times = received.windows(text.len()).filter(|window| *window == text.as_bytes()).count();
        assert_eq!((times, client.until_silent()), (1, Vec::new()), "{text:?}");
        bank.replug();
        let mut client = Client::pty(&path);
        client.send(b"\r");
        client.until(b"pylon>");
    }
}

#[test]
fn output_for_another_client_reaches_all_clients() {
    let bank = frozen().start().unwrap();
    let stream = TcpStream::connect(bank.link().strip_prefix("tcp://").unwrap()).unwrap();
    let mut client =
        Client { received: read_on(stream.try_clone().unwrap()), output: ClientOutput::Bridge(stream) };
    client.send(b"\r");
    client.until(b"pylon>");
    bank.type_as_other_client(b"login debug\r");
    client.until(b"pylon_debug>");
}
