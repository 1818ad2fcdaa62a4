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
        wish: Mutex::new(Wish { stop: false, plugged: true, is_plugged: true }),
        changed: Condvar::new(),
    });
    let server = Server { line, shared: Arc::clone(&shared), bytes_per_second };
    let thread = thread::Builder::new().name("simulator".to_owned()).spawn(move || server.run())?;
    Ok(SimulatorHandle { shared, thread: Some(thread), link })
}

impl SimulatorHandle {
    /// What to connect to: a path, or `tcp://host:port`.
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
}

impl Server {
    fn run(mut self) {
        while self.follow_wishes() {
            let heard = match self.line.hear(LISTEN) {
                Ok(heard) => heard,
                Err(_) => {
                    // A line in trouble is like a loose plug: wait a moment, listen again.
                    self.wait(LISTEN);
                    continue;
                }
            };
            let pieces = lock(&self.shared.session).hear(&heard);
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

    /// Says bytes as fast as the line would; false if something else is wanted meanwhile.
    fn say(&mut self, bytes: &[u8]) -> bool {
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
