//! The thread that serves a console on a transport at the line's baud rate, and the handle that controls it.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::simulator::faults::{FaultKind, Faults, OutputChunk};
use crate::simulator::physics::bank::SimulatedBank;
use crate::simulator::printed::AnswerHistory;
use crate::simulator::server::line_speed::{self, SleepState, byte_time};
use crate::simulator::server::session::SimulatorSession;
use crate::simulator::server::transport::ServerTransport;

/// How long the thread waits for input before it checks for requests.
const READ_TIMEOUT: Duration = Duration::from_millis(20);
/// Between two writes of a paced answer.
const TICK: Duration = Duration::from_millis(4);

/// Shared by the handle and the thread.
struct SharedState {
    session: Mutex<SimulatorSession>,
    control: Mutex<SimulatorControl>,
    changed: Condvar,
}

/// The requests of the handle, and their state.
struct SimulatorControl {
    stop: bool,
    /// Requested.
    plugged: bool,
    /// Actual.
    is_plugged: bool,
    /// Typed by another client of the same line.
    injected: Vec<u8>,
    /// Unplug after the next occurrence of this text in the output.
    unplug_after: Option<Vec<u8>>,
}

/// A running simulation. Dropping it stops it.
pub struct SimulatorHandle {
    shared: Arc<SharedState>,
    thread: Option<JoinHandle<()>>,
    link: String,
}

impl std::fmt::Debug for SimulatorHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimulatorHandle").field("link", &self.link).finish_non_exhaustive()
    }
}

/// Serves `session` on `transport` at `bytes_per_second` (0: as fast as possible).
pub(crate) fn serve(
    transport: Box<dyn ServerTransport>,
    session: SimulatorSession,
    bytes_per_second: u32,
) -> io::Result<SimulatorHandle> {
    let link = transport.link();
    let shared = Arc::new(SharedState {
        session: Mutex::new(session),
        control: Mutex::new(SimulatorControl {
            stop: false,
            plugged: true,
            is_plugged: true,
            injected: Vec::new(),
            unplug_after: None,
        }),
        changed: Condvar::new(),
    });
    let server =
        SimulatorServer { transport, shared: Arc::clone(&shared), bytes_per_second, sent: Vec::new() };
    let thread = thread::Builder::new().name("simulator".to_owned()).spawn(move || server.run())?;
    Ok(SimulatorHandle { shared, thread: Some(thread), link })
}

impl SimulatorHandle {
    /// The link to connect to: a path, `tcp://host:port` or `rfc2217://host:port`.
    pub fn link(&self) -> String {
        self.link.clone()
    }

    /// The most recent answers.
    pub fn answer_history(&self) -> AnswerHistory {
        self.shared.session.lock().answer_history()
    }

    /// The number of answers, without copying them.
    pub fn answer_count(&self) -> u64 {
        self.shared.session.lock().answer_count()
    }

    /// A copy of the bank in its current state.
    pub fn bank(&self) -> SimulatedBank {
        let mut session = self.shared.session.lock();
        session.advance();
        session.console.bank().clone()
    }

    /// Changes the bank, for example removes batteries, raises events or advances its time.
    pub fn with_bank<R>(&self, change: impl FnOnce(&mut SimulatedBank) -> R) -> R {
        let mut session = self.shared.session.lock();
        session.advance();
        change(session.console.bank_mut())
    }

    /// Sets the faults from the next command on.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.session.lock().faults = faults;
    }

    /// Applies `fault` to the next command, regardless of the rates.
    pub fn inject_fault(&self, fault: FaultKind) {
        self.shared.session.lock().next_fault = Some(fault);
    }

    /// Changes the console's baud rate; a client with another baud rate receives garbage.
    pub fn set_line_speed(&self, baud: u32) {
        self.shared.session.lock().console_baud = baud;
    }

    /// Puts the console to sleep until it is woken at 1200 baud, or wakes it.
    pub fn set_asleep(&self, asleep: bool) {
        self.shared.session.lock().sleep = asleep.then(SleepState::default);
    }

    /// Types as another client of the same line; all clients receive the output.
    pub fn type_as_other_client(&self, typed: &[u8]) {
        self.shared.control.lock().injected.extend_from_slice(typed);
    }

    /// Unplugs after the next `text` in the output, until [`Self::replug`].
    pub fn unplug_after(&self, text: &[u8]) {
        self.shared.control.lock().unplug_after = Some(text.to_vec());
    }

    pub fn is_plugged(&self) -> bool {
        self.shared.control.lock().is_plugged
    }

    /// Unplugs the link and waits until it is unplugged.
    pub fn unplug(&self) {
        self.set_plugged(false);
    }

    /// Plugs the link in again and waits until it is back, at most 10 s.
    pub fn replug(&self) {
        self.set_plugged(true);
    }

    /// Stops the simulation and waits until its thread has ended and its link is removed.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn set_plugged(&self, plugged: bool) {
        let mut control = self.shared.control.lock();
        control.plugged = plugged;
        self.shared.changed.notify_all();
        let pending = |control: &mut SimulatorControl| control.is_plugged != plugged && !control.stop;
        let timeout = Duration::from_secs(10);
        self.shared.changed.wait_while_for(&mut control, pending, timeout);
    }

    fn shut_down(&mut self) {
        self.shared.control.lock().stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already been printed.
            let _panicked = thread.join();
        }
    }
}

impl Drop for SimulatorHandle {
    fn drop(&mut self) {
        self.shut_down();
    }
}

struct SimulatorServer {
    transport: Box<dyn ServerTransport>,
    shared: Arc<SharedState>,
    bytes_per_second: u32,
    /// The end of the output, while waiting for a text to unplug after.
    sent: Vec<u8>,
}

impl SimulatorServer {
    fn run(mut self) {
        while self.process_requests() {
            let Ok(chunks) = self.receive() else {
                // An I/O error is like a loose plug: wait and try again.
                self.wait(READ_TIMEOUT);
                continue;
            };
            for chunk in chunks {
                let uninterrupted = match chunk {
                    OutputChunk::Bytes(bytes) => self.send(&bytes),
                    OutputChunk::Pause(time) => self.wait(time),
                    OutputChunk::Unplug(time) => self.unplug_for(time),
                };
                if !uninterrupted {
                    break;
                }
            }
        }
        self.transport.unplug();
    }

    /// Reads input and returns the output for it.
    fn receive(&mut self) -> io::Result<Vec<OutputChunk>> {
        let injected = std::mem::take(&mut self.shared.control.lock().injected);
        if !injected.is_empty() {
            let mut session = self.shared.session.lock();
            let baud = session.console_baud;
            return Ok(session.receive(&injected, baud));
        }
        let typed = self.transport.read(READ_TIMEOUT)?;
        let baud = self.client_baud();
        if baud >= self.shared.session.lock().console_baud {
            return Ok(self.shared.session.lock().receive(&typed, baud));
        }
        // At a low baud rate bytes take time; those not yet transmitted when the rate changes are lost.
        let mut chunks = Vec::new();
        for byte in typed {
            if !self.wait(byte_time(baud)) || self.client_baud() != baud {
                break;
            }
            chunks.extend(self.shared.session.lock().receive(&[byte], baud));
        }
        Ok(chunks)
    }

    /// A transport without baud rate is a bridge configured with the console's.
    fn client_baud(&mut self) -> u32 {
        self.transport.baud().unwrap_or(line_speed::CONSOLE_BAUD)
    }

    /// Plugs or unplugs as requested; false if it should stop.
    fn process_requests(&mut self) -> bool {
        loop {
            let mut control = self.shared.control.lock();
            if control.stop {
                return false;
            }
            if control.plugged == control.is_plugged {
                if control.plugged {
                    return true;
                }
                self.shared.changed.wait_for(&mut control, Duration::from_secs(1));
                continue;
            }
            if control.plugged {
                if self.transport.plug().is_err() {
                    self.shared.changed.wait_for(&mut control, Duration::from_millis(50));
                    continue;
                }
            } else {
                self.transport.unplug();
            }
            control.is_plugged = control.plugged;
            self.shared.changed.notify_all();
        }
    }

    /// Waits; false if interrupted by a request.
    fn wait(&self, time: Duration) -> bool {
        let mut control = self.shared.control.lock();
        let no_request =
            |control: &mut SimulatorControl| !control.stop && control.plugged == control.is_plugged;
        self.shared.changed.wait_while_for(&mut control, no_request, time);
        no_request(&mut control)
    }

    fn unplug_for(&mut self, time: Duration) -> bool {
        // In this order, so that a caller who notices and calls `replug` waits for it.
        self.shared.control.lock().is_plugged = false;
        self.transport.unplug();
        let deadline = Instant::now() + time;
        let mut control = self.shared.control.lock();
        while Instant::now() < deadline && !control.stop {
            let left = deadline.saturating_duration_since(Instant::now());
            self.shared.changed.wait_for(&mut control, left);
        }
        // `process_requests` plugs it in again, if still requested.
        false
    }

    /// Sends bytes; false if interrupted by a request.
    fn send(&mut self, bytes: &[u8]) -> bool {
        let (bytes, unplug) = match self.length_before_unplug(bytes) {
            Some(length) => (&bytes[..length], true),
            None => (bytes, false),
        };
        let client = self.client_baud();
        let console = self.shared.session.lock().console_baud;
        let uninterrupted = self.send_paced(&line_speed::transmit(bytes, console, client));
        if !unplug {
            return uninterrupted;
        }
        // Give the client time to receive the bytes.
        self.wait(READ_TIMEOUT);
        let mut control = self.shared.control.lock();
        (control.plugged, control.is_plugged) = (false, false);
        drop(control);
        self.transport.unplug();
        self.shared.changed.notify_all();
        false
    }

    /// How many of these bytes to send before unplugging, if they complete the text to unplug after.
    fn length_before_unplug(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut control = self.shared.control.lock();
        let Some(text) = &control.unplug_after else {
            self.sent.clear();
            return None;
        };
        let before = self.sent.len();
        self.sent.extend_from_slice(bytes);
        let Some(at) = self.sent.windows(text.len()).position(|window| window == text) else {
            let kept = self.sent.len().min(text.len().saturating_sub(1));
            self.sent.drain(..self.sent.len() - kept);
            return None;
        };
        let end = at + text.len();
        control.unplug_after = None;
        Some(end.saturating_sub(before))
    }

    /// Sends bytes at the line's baud rate; false if interrupted by a request.
    fn send_paced(&mut self, bytes: &[u8]) -> bool {
        if self.bytes_per_second == 0 {
            return self.transport.write(bytes).is_ok();
        }
        let rate = f64::from(self.bytes_per_second);
        let chunk_size = ((rate * TICK.as_secs_f64()) as usize).max(1);
        let start = Instant::now();
        let mut sent = 0;
        for chunk in bytes.chunks(chunk_size) {
            if self.transport.write(chunk).is_err() {
                return false;
            }
            sent += chunk.len();
            let due = start + Duration::from_secs_f64(sent as f64 / rate);
            if !self.wait(due.saturating_duration_since(Instant::now())) {
                return false;
            }
        }
        true
    }
}
