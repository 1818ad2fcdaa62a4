//! The thread that serves a console on a line, at the line's pace, until it is stopped.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::bank::Bank;
use super::faults::{Fault, Faults, Piece};
use super::line::Line;
use super::said::Truth;
use super::session::Session;
use super::speed::{self, Sleep, a_byte_at};

/// How long the thread listens before it looks whether it is wanted elsewhere.
const LISTEN: Duration = Duration::from_millis(20);
/// The longest pause between two pieces of a paced answer.
const TICK: Duration = Duration::from_millis(4);

/// What the handle and the thread share.
struct Shared {
    session: Mutex<Session>,
    wish: Mutex<Wish>,
    changed: Condvar,
}

/// What the handle wants and what the thread has made of it.
struct Wish {
    stop: bool,
    plugged: bool,
    is_plugged: bool,
    /// What somebody else types on the same line.
    typed: Vec<u8>,
    /// The plug is pulled behind the next such text.
    cut_behind: Option<Vec<u8>>,
}

/// A running simulation. Dropping it stops it.
pub struct SimulatorHandle {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    link: String,
}

impl std::fmt::Debug for SimulatorHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimulatorHandle").field("link", &self.link).finish_non_exhaustive()
    }
}

/// A thread that panicked while it held a lock left plain data behind it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves `session` on `line` at `bytes_per_second` (0: as fast as the line takes them).
pub(super) fn serve(
    line: Box<dyn Line>,
    session: Session,
    bytes_per_second: u32,
) -> io::Result<SimulatorHandle> {
    let link = line.link();
    let shared = Arc::new(Shared {
        session: Mutex::new(session),
        wish: Mutex::new(Wish {
            stop: false,
            plugged: true,
            is_plugged: true,
            typed: Vec::new(),
            cut_behind: None,
        }),
        changed: Condvar::new(),
    });
    let server = Server { line, shared: Arc::clone(&shared), bytes_per_second, said: Vec::new() };
    let thread = thread::Builder::new().name("simulator".to_owned()).spawn(move || server.run())?;
    Ok(SimulatorHandle { shared, thread: Some(thread), link })
}

impl SimulatorHandle {
    /// What to connect to: a path, `tcp://host:port` or `rfc2217://host:port`.
    #[must_use]
    pub fn link(&self) -> String {
        self.link.clone()
    }

    /// What it said so far.
    #[must_use]
    pub fn truth(&self) -> Truth {
        lock(&self.shared.session).truth()
    }

    /// How many answers it has given, without copying them.
    #[must_use]
    pub fn answers(&self) -> u64 {
        lock(&self.shared.session).answers()
    }

    /// The bank as it is now.
    #[must_use]
    pub fn bank(&self) -> Bank {
        let mut session = lock(&self.shared.session);
        session.catch_up();
        session.console.bank().clone()
    }

    /// Changes the bank: takes batteries out, raises events, lets time pass.
    pub fn with_bank<R>(&self, change: impl FnOnce(&mut Bank) -> R) -> R {
        let mut session = lock(&self.shared.session);
        session.catch_up();
        change(session.console.bank_mut())
    }

    /// Sets how often which fault happens from the next command on.
    pub fn set_faults(&self, faults: Faults) {
        lock(&self.shared.session).faults = faults;
    }

    /// Lets `fault` hit the next command, whatever the rates.
    pub fn fault_next(&self, fault: Fault) {
        lock(&self.shared.session).next_fault = Some(fault);
    }

    /// Lets the console run at another speed than 115200 baud: who does not follow hears garbage.
    pub fn set_line_speed(&self, baud: u32) {
        lock(&self.shared.session).line_speed = baud;
    }

    /// Falls asleep until it is woken at 1200 baud, or wakes by itself.
    pub fn set_asleep(&self, asleep: bool) {
        lock(&self.shared.session).sleep = asleep.then(Sleep::default);
    }

    /// Types as somebody else who shares the line: what comes back reaches everybody.
    pub fn type_as_another(&self, typed: &[u8]) {
        lock(&self.shared.wish).typed.extend_from_slice(typed);
    }

    /// Pulls the plug behind the next `text` that goes out, and leaves it out until [`Self::replug`].
    pub fn unplug_behind(&self, text: &[u8]) {
        lock(&self.shared.wish).cut_behind = Some(text.to_vec());
    }

    /// Whether the plug is in.
    #[must_use]
    pub fn is_plugged(&self) -> bool {
        lock(&self.shared.wish).is_plugged
    }

    /// Pulls the plug and returns once it is out.
    pub fn unplug(&self) {
        self.wish_plugged(false);
    }

    /// Plugs it in again and returns once it is in (or, if the line can't come back, after a few seconds).
    pub fn replug(&self) {
        self.wish_plugged(true);
    }

    /// Stops it and waits until its thread has ended and its link is gone.
    pub fn stop(mut self) {
        self.end();
    }

    fn wish_plugged(&self, plugged: bool) {
        let mut wish = lock(&self.shared.wish);
        wish.plugged = plugged;
        self.shared.changed.notify_all();
        let pending = |wish: &mut Wish| wish.is_plugged != plugged && !wish.stop;
        let deadline = Duration::from_secs(10);
        drop(self.shared.changed.wait_timeout_while(wish, deadline, pending));
    }

    fn end(&mut self) {
        lock(&self.shared.wish).stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed already.
            let _ended = thread.join();
        }
    }
}

impl Drop for SimulatorHandle {
    fn drop(&mut self) {
        self.end();
    }
}

struct Server {
    line: Box<dyn Line>,
    shared: Arc<Shared>,
    bytes_per_second: u32,
    /// The end of what was said, while a text in it is waited for.
    said: Vec<u8>,
}

impl Server {
    fn run(mut self) {
        while self.follow_wishes() {
            let Ok(pieces) = self.hear() else {
                // A line in trouble is like a loose plug: wait a moment, listen again.
                self.wait(LISTEN);
                continue;
            };
            for piece in pieces {
                let goes_on = match piece {
                    Piece::Bytes(bytes) => self.say(&bytes),
                    Piece::Pause(time) => self.wait(time),
                    Piece::Unplug(time) => self.away_for(time),
                };
                if !goes_on {
                    break;
                }
            }
        }
        self.line.unplug();
    }

    /// What goes out, for what was typed next.
    fn hear(&mut self) -> io::Result<Vec<Piece>> {
        let another = std::mem::take(&mut lock(&self.shared.wish).typed);
        if !another.is_empty() {
            let mut session = lock(&self.shared.session);
            let speed = session.line_speed;
            return Ok(session.hear(&another, speed));
        }
        let typed = self.line.hear(LISTEN)?;
        let speed = self.client_speed();
        if speed >= lock(&self.shared.session).line_speed {
            return Ok(lock(&self.shared.session).hear(&typed, speed));
        }
        // A slow byte is a while on its way, and what is still on its way when the speed changes is lost.
        let mut pieces = Vec::new();
        for byte in typed {
            if !self.wait(a_byte_at(speed)) || self.client_speed() != speed {
                break;
            }
            pieces.extend(lock(&self.shared.session).hear(&[byte], speed));
        }
        Ok(pieces)
    }

    /// A line that shows no speed is a bridge that was set to the usual one.
    fn client_speed(&mut self) -> u32 {
        self.line.speed().unwrap_or(speed::CONSOLE)
    }

    /// Plugs or unplugs as wanted; false once it shall stop.
    fn follow_wishes(&mut self) -> bool {
        loop {
            let mut wish = lock(&self.shared.wish);
            if wish.stop {
                return false;
            }
            if wish.plugged == wish.is_plugged {
                if wish.plugged {
                    return true;
                }
                drop(self.shared.changed.wait_timeout(wish, Duration::from_secs(1)));
                continue;
            }
            if wish.plugged {
                if self.line.plug().is_err() {
                    drop(self.shared.changed.wait_timeout(wish, Duration::from_millis(50)));
                    continue;
                }
            } else {
                self.line.unplug();
            }
            wish.is_plugged = wish.plugged;
            self.shared.changed.notify_all();
        }
    }

    /// Waits, unless something else is wanted meanwhile; then false.
    fn wait(&self, time: Duration) -> bool {
        let wish = lock(&self.shared.wish);
        let undisturbed = |wish: &mut Wish| !wish.stop && wish.plugged == wish.is_plugged;
        match self.shared.changed.wait_timeout_while(wish, time, undisturbed) {
            Ok((_, waited)) => waited.timed_out(),
            Err(_) => false,
        }
    }

    fn away_for(&mut self, time: Duration) -> bool {
        // In this order, so that whoever notices and asks for it back waits for it.
        lock(&self.shared.wish).is_plugged = false;
        self.line.unplug();
        let back = Instant::now() + time;
        let mut wish = lock(&self.shared.wish);
        while Instant::now() < back && !wish.stop {
            let left = back.saturating_duration_since(Instant::now());
            wish = match self.shared.changed.wait_timeout(wish, left) {
                Ok((wish, _)) => wish,
                Err(_) => return false,
            };
        }
        // `follow_wishes` plugs it in again, if that is still wanted.
        false
    }

    /// Says bytes; false if something else is wanted meanwhile.
    fn say(&mut self, bytes: &[u8]) -> bool {
        let (said, cut) = match self.length_until_cut(bytes) {
            Some(length) => (&bytes[..length], true),
            None => (bytes, false),
        };
        let client = self.client_speed();
        let console = lock(&self.shared.session).line_speed;
        let goes_on = self.say_paced(&speed::across(said, console, client));
        if !cut {
            return goes_on;
        }
        // What went out shall have arrived.
        self.wait(LISTEN);
        let mut wish = lock(&self.shared.wish);
        (wish.plugged, wish.is_plugged) = (false, false);
        drop(wish);
        self.line.unplug();
        self.shared.changed.notify_all();
        false
    }

    /// How many of these bytes end the text behind which the plug shall be pulled.
    fn length_until_cut(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut wish = lock(&self.shared.wish);
        let Some(text) = &wish.cut_behind else {
            self.said.clear();
            return None;
        };
        let before = self.said.len();
        self.said.extend_from_slice(bytes);
        let Some(at) = self.said.windows(text.len()).position(|said| said == text) else {
            let kept = self.said.len().min(text.len().saturating_sub(1));
            self.said.drain(..self.said.len() - kept);
            return None;
        };
        let end = at + text.len();
        wish.cut_behind = None;
        Some(end.saturating_sub(before))
    }

    /// Says bytes as fast as the line would; false if something else is wanted meanwhile.
    fn say_paced(&mut self, bytes: &[u8]) -> bool {
        if self.bytes_per_second == 0 {
            return self.line.say(bytes).is_ok();
        }
        let rate = f64::from(self.bytes_per_second);
        let a_tick = ((rate * TICK.as_secs_f64()) as usize).max(1);
        let begun = Instant::now();
        let mut sent = 0;
        for piece in bytes.chunks(a_tick) {
            if self.line.say(piece).is_err() {
                return false;
            }
            sent += piece.len();
            let due = begun + Duration::from_secs_f64(sent as f64 / rate);
            if !self.wait(due.saturating_duration_since(Instant::now())) {
                return false;
            }
        }
        true
    }
}
