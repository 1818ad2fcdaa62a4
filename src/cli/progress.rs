//! A progress line for long work. It is overwritten in place, and shown only on a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

const REFRESH_INTERVAL: Duration = Duration::from_millis(200);

/// A line on standard error that is erased when this is dropped.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    is_shown: bool,
    next: Instant,
}

impl ProgressLine {
    /// A line that stays hidden if standard error is not a terminal.
    pub(crate) fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal(), next: Instant::now() }
    }

    pub(crate) fn hidden() -> Self {
        Self { is_shown: false, ..Self::new() }
    }

    /// Updates the line, at most once per [`REFRESH_INTERVAL`].
    pub(crate) fn show(&mut self, text: impl FnOnce() -> String) {
        let now = Instant::now();
        if self.is_shown && now >= self.next {
            self.next = now + REFRESH_INTERVAL;
            self.write(&text());
        }
    }

    /// Overwrites the line. Errors are ignored: if the terminal is gone, no one misses the progress.
    fn write(&self, text: &str) {
        let _ = write!(io::stderr(), "\r\x1b[K{text}");
    }
}

impl Default for ProgressLine {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if self.is_shown {
            self.write("");
        }
    }
}
