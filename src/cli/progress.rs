//! How far long work has come: one line that is written over, on a terminal alone.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// From one look to the next; faster than anybody reads.
const PACE: Duration = Duration::from_millis(200);

/// A line on standard error that is taken away when the work is done.
#[derive(Debug)]
pub(crate) struct Progress {
    is_shown: bool,
    next: Instant,
}

impl Progress {
    /// Nothing is shown yet, and never anything where standard error is no terminal.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal(), next: Instant::now() }
    }

    /// Never shows anything.
    #[must_use]
    pub(crate) fn silent() -> Self {
        Self { is_shown: false, ..Self::new() }
    }

    /// Shows how far it has come, now and then.
    pub(crate) fn show(&mut self, how_far: impl FnOnce() -> String) {
        let now = Instant::now();
        if self.is_shown && now >= self.next {
            self.next = now + PACE;
            self.write(&how_far());
        }
    }

    /// Back to the line's begin, over what stood there. A terminal that is gone misses nothing.
    fn write(&self, text: &str) {
        let _ = write!(io::stderr(), "\r\x1b[K{text}");
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            self.write("");
        }
    }
}
