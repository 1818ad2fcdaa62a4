//! The log: slog in front, one line an event behind it.
//!
//! ```text
//! info!(…) ──► Front: level? ─ time ─► queue of 4096 ──► own thread: Entry ─► line ─► standard error or rotated file
//!              (caller's thread)       full: counted
//! ```
//!
//! Nobody who logs ever waits for a disk: a full queue drops the line, and how many were dropped is the next
//! line's story. Messages are constant sentences; whatever varies goes into keys, and whatever comes from
//! outside (console text, file names, broker replies) is escaped there, so that a value can neither break its
//! line nor forge another. Keys appear in the order of the call, those of the child loggers first.

mod entry;
mod file;
mod front;
mod line;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use slog::{Level, Logger, o};
use slog_async::{AsyncCore, AsyncGuard};
use thiserror::Error;

pub(crate) use self::file::RotatedFile;
use self::front::Front;
use self::writer::{Sink, Writer};

/// Lines that may wait for the log's thread before further ones are dropped and counted.
const QUEUE: usize = 4096;

/// Where the log goes and how it looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What is less urgent than this is left out.
    pub level: Level,
    /// One line of text or one JSON object an event.
    pub format: Format,
    /// The file; `None` is standard error.
    pub file: Option<PathBuf>,
    /// Size in bytes past which the file is set aside and begun anew; 0 lets it grow without bound.
    pub max_size: u64,
    /// How many files set aside are kept, as `<file>.1` (the newest), `<file>.2`, …
    pub max_files: usize,
}

/// How an event is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `2026-11-22T06:05:09.377Z INFO  link up bank=pytes took=0.21s`
    #[default]
    Text,
    /// `{"ts":"2026-11-22T06:05:09.377Z","level":"INFO","msg":"link up","bank":"pytes","took":"0.21s"}`
    Json,
}

/// Why the log can't be set up.
#[derive(Debug, Error)]
pub enum LogError {
    /// The file can be neither opened nor made.
    #[error("cannot write the log file {}: {reason}; name another in [log] file, or \"\" for standard error", .path.display())]
    File {
        /// The file as it was named.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
}

/// Starts the log: the root logger, and the guard that writes out what waits when it is dropped.
///
/// # Errors
/// When the log file can't be opened. Once it is open, trouble with it sends the lines to standard error.
pub fn start(target: &Target) -> Result<(Logger, Guard), LogError> {
    let control = Control::new(target.level);
    let sink = match &target.file {
        None => Sink::stderr(),
        Some(path) => RotatedFile::open(path, target.max_size, target.max_files)
            .map(Sink::file)
            .map_err(|reason| LogError::File { path: path.clone(), reason })?,
    };
    let writer = Writer::new(sink, target.format, control.clone());
    let (core, flush) =
        AsyncCore::custom(writer).chan_size(QUEUE).thread_name("log".to_owned()).build_with_guard();
    let log = Logger::root(Front::new(core, control.clone()), o!());
    Ok((log, Guard { control, flush: Some(flush) }))
}

/// How long the end waits for the lines that are still to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Keeps the log's thread alive; dropping it waits until every line is written, but not for a disk or a pipe
/// that takes none.
#[must_use = "the log ends when its guard is dropped"]
pub struct Guard {
    control: Control,
    flush: Option<AsyncGuard>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let flush = self.flush.take();
        let (written, all) = mpsc::channel();
        // Without a thread to wait elsewhere, the closure and with it the guard are dropped here.
        let elsewhere = thread::Builder::new().name("log end".to_owned()).spawn(move || {
            drop(flush);
            // Nobody may be waiting any more.
            let _ = written.send(());
        });
        if elsewhere.is_ok() {
            let _ = all.recv_timeout(LAST_LINES);
        }
    }
}

impl Guard {
    /// A handle for changing the log while it runs.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }
}

/// Changes the log while it runs; clones steer the same log.
#[derive(Clone, Debug)]
pub struct Control(Arc<State>);

#[derive(Debug)]
struct State {
    level: AtomicUsize,
    reopen: AtomicBool,
    dropped: AtomicU64,
}

impl Control {
    fn new(level: Level) -> Self {
        Self(Arc::new(State {
            level: AtomicUsize::new(level.as_usize()),
            reopen: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        }))
    }

    /// The level in force.
    #[must_use]
    pub fn level(&self) -> Level {
        Level::from_usize(self.0.level.load(Ordering::Relaxed)).unwrap_or(Level::Info)
    }

    /// Changes the level from the next line on.
    pub fn set_level(&self, level: Level) {
        self.0.level.store(level.as_usize(), Ordering::Relaxed);
    }

    /// Opens the log file by its name again before the next line, for those who move it away (logrotate).
    /// Standard error is left as it is.
    pub fn reopen(&self) {
        self.0.reopen.store(true, Ordering::Release);
    }

    /// Lines dropped since the start because the queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    fn admits(&self, level: Level) -> bool {
        level.as_usize() <= self.0.level.load(Ordering::Relaxed)
    }

    fn count_dropped(&self) {
        self.0.dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn take_reopen(&self) -> bool {
        self.0.reopen.swap(false, Ordering::AcqRel)
    }
}
