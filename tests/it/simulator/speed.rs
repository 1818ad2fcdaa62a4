//! The simulator's lines at their speeds: a pseudo-terminal, and a bridge whose port the client sets.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use bankwatch::internals::simulator::{Dialect, Simulation};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// Long past anything that is expected.
const DEADLINE: Duration = Duration::from_secs(20);
const FRAME: &[u8] = b"~20014682C0048520FCC3\r";

/// A client of either kind of line. What comes in is read on a thread of its own.
struct Client {
    out: Out,
    heard: Receiver<Vec<u8>>,
}

enum Out {
    Pty(File),
    Bridge(TcpStream),
}

impl Client {
    fn pty(path: &Path) -> Self {
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let heard = read_on(file.try_clone().unwrap());
        Self { out: Out::Pty(file), heard }
    }

    fn bridge(link: &str) -> Self {
        let stream = TcpStream::connect(link.strip_prefix("rfc2217://").unwrap()).unwrap();
        let heard = read_on(stream.try_clone().unwrap());
        Self { out: Out::Bridge(stream), heard }
    }

    fn send(&mut self, bytes: &[u8]) {
        match &mut self.out {
            Out::Pty(file) => file.write_all(bytes).unwrap(),
            Out::Bridge(stream) => stream.write_all(bytes).unwrap(),
        }
    }

    /// Sets the speed; a bridge says that it did.
    fn set_speed(&mut self, baud: u32) {
        match &mut self.out {
            Out::Pty(file) => {
                let mut settings = tcgetattr(&*file).unwrap();
                settings.set_speed(baud).unwrap();
                tcsetattr(&*file, OptionalActions::Now, &settings).unwrap();
            }
            Out::Bridge(stream) => {
                let [a, b, c, d] = baud.to_be_bytes();
                stream.write_all(&[255, 250, 44, 1, a, b, c, d, 255, 240]).unwrap();
                self.until(&[255, 250, 44, 101, a, b, c, d, 255, 240]);
            }
        }
    }

    /// What came up to and with `end`.
    #[track_caller]
    fn until(&self, end: &[u8]) -> Vec<u8> {
        let (begun, mut heard) = (Instant::now(), Vec::new());
        while !heard.ends_with(end) {
            match self.heard.recv_timeout(DEADLINE.saturating_sub(begun.elapsed())) {
                Ok(more) => heard.extend(more),
                Err(_) => panic!("no {end:?} in {:?}", String::from_utf8_lossy(&heard)),
            }
        }
        heard
    }

    /// What comes in until nothing has for a while.
    fn until_silent(&self) -> Vec<u8> {
        let mut heard = Vec::new();
        loop {
            match self.heard.recv_timeout(Duration::from_millis(150)) {
                Ok(more) => heard.extend(more),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return heard,
            }
        }
    }
}

fn read_on(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, heard) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok(count) = from.read(&mut buffer) {
            if count == 0 || send.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    heard
}

fn frozen() -> Simulation {
    Simulation::new(Dialect::Us2000).speed(0.0).seed(5).unpaced()
}

/// The same promise on both lines whose speed a client sets.
fn on_both(plan: &Simulation, test: impl Fn(Client)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank");
    let bank = plan.clone().pty(&path).start().unwrap();
    test(Client::pty(&path));
    bank.stop();
    let bank = plan.clone().rfc2217("127.0.0.1:0").start().unwrap();
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
        let heard = client.until_silent();
        assert!(!heard.is_empty() && heard.iter().all(|byte| !byte.is_ascii()), "{heard:?}");
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
        // Cut off: twenty-two bytes take 183 ms.
        client.set_speed(1_200);
        client.send(FRAME);
        client.set_speed(115_200);
        client.send(b"\r");
        assert_eq!(client.until_silent(), b"", "a frame that was cut off");
        client.set_speed(1_200);
        client.send(FRAME);
        // Longer than the frame takes, so that it is whole.
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
    for cut in ["pw", "Normal", "\r$"] {
        let bank = frozen().pty(&path).start().unwrap();
        let mut client = Client::pty(&path);
        bank.unplug_behind(cut.as_bytes());
        client.send(b"pwr\r");
        let heard = client.until(cut.as_bytes());
        let begun = Instant::now();
        while bank.is_plugged() {
            assert!(begun.elapsed() < DEADLINE);
            thread::yield_now();
        }
        let times = heard.windows(cut.len()).filter(|said| *said == cut.as_bytes()).count();
        assert_eq!((times, client.until_silent()), (1, Vec::new()), "{cut:?}");
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
    let mut client = Client { heard: read_on(stream.try_clone().unwrap()), out: Out::Bridge(stream) };
    client.send(b"\r");
    client.until(b"pylon>");
    bank.type_as_another(b"login debug\r");
    client.until(b"pylon_debug>");
}
