//! The log: slog in front, one line per event behind it.
//!
//! ```text
//! info!(…) ──► QueueDrain: level? ─ time ─► queue of 4096 ──► own thread: LogEvent ─► line ─► standard error or rotated file
//!              (caller's thread)            full: counted
//! ```
//!
//! Logging never waits for a disk: if the queue is full, the line is dropped, and a later line reports how many were.
//! Messages are constant; variable data goes into keys. Data from outside (console text, file names, broker replies) is
//! escaped, so that a value can neither break its line nor forge another. Keys appear in the order of the call, those
//! of child loggers first.

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
use self::front::QueueDrain;
use self::writer::{LogSink, LogWriter};

/// The size of the queue, in lines; further lines are dropped and counted.
const QUEUE: usize = 4096;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Less urgent lines are not logged.
    pub level: Level,
    pub format: LineFormat,
    /// `None` for standard error.
    pub file: Option<PathBuf>,
    /// The size in bytes at which the file is rotated; 0 for no limit.
    pub max_size: u64,
    /// The number of rotated files, `<file>.1` (the newest), `<file>.2`, …
    pub max_files: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineFormat {
    /// `2026-11-22T06:05:09.377Z INFO  link up bank=pytes took=0.21s`
    #[default]
    Text,
    /// `{"ts":"2026-11-22T06:05:09.377Z","level":"INFO","msg":"link up","bank":"pytes","took":"0.21s"}`
    Json,
}

#[derive(Debug, Error)]
pub enum LogError {
    #[error("cannot write the log file {}: {reason}; name another in [log] file, or \"\" for standard error", .path.display())]
    File { path: PathBuf, reason: std::io::Error },
}

/// Starts the log. The guard writes the queued lines when it is dropped.
///
/// # Errors
/// Fails if the log file can't be opened. If a write fails later, the lines go to standard error.
pub fn start(target: &LogConfig) -> Result<(Logger, LogGuard), LogError> {
    let control = LogControl::new(target.level);
    let sink = match &target.file {
        None => LogSink::stderr(),
        Some(path) => RotatedFile::open(path, target.max_size, target.max_files)
            .map(LogSink::file)
            .map_err(|reason| LogError::File { path: path.clone(), reason })?,
    };
    let writer = LogWriter::new(sink, target.format, control.clone());
    let (core, flush) =
        AsyncCore::custom(writer).chan_size(QUEUE).thread_name("log".to_owned()).build_with_guard();
    let log = Logger::root(QueueDrain::new(core, control.clone()), o!());
    Ok((log, LogGuard { control, flush: Some(flush) }))
}

/// How long the shutdown waits for the queued lines.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Keeps the log's thread alive. Dropping it waits until all lines are written, but not for a disk or pipe that blocks.
#[must_use = "the log ends when its guard is dropped"]
pub struct LogGuard {
    control: LogControl,
    flush: Option<AsyncGuard>,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let flush = self.flush.take();
        let (flushed, on_flushed) = mpsc::channel();
        // If no thread can be started, the closure and with it the guard are dropped here.
        let helper = thread::Builder::new().name("log end".to_owned()).spawn(move || {
            drop(flush);
            // The receiver may be gone.
            let _ = flushed.send(());
        });
        if helper.is_ok() {
            let _ = on_flushed.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

impl LogGuard {
    pub fn control(&self) -> LogControl {
        self.control.clone()
    }
}

/// Changes the level of the running log and reopens its file; clones control the same log.
#[derive(Clone, Debug)]
pub struct LogControl(Arc<ControlState>);

#[derive(Debug)]
struct ControlState {
    level: AtomicUsize,
    reopen: AtomicBool,
    dropped: AtomicU64,
}

impl LogControl {
    fn new(level: Level) -> Self {
        Self(Arc::new(ControlState {
            level: AtomicUsize::new(level.as_usize()),
            reopen: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        }))
    }

    pub fn level(&self) -> Level {
        Level::from_usize(self.0.level.load(Ordering::Relaxed)).unwrap_or(Level::Info)
    }

    pub fn set_level(&self, level: Level) {
        self.0.level.store(level.as_usize(), Ordering::Relaxed);
    }

    /// Reopens the log file by its name before the next line, after logrotate has moved it.
    pub fn reopen(&self) {
        self.0.reopen.store(true, Ordering::Release);
    }

    /// The number of lines dropped since the start because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    fn is_enabled(&self, level: Level) -> bool {
        level.as_usize() <= self.0.level.load(Ordering::Relaxed)
    }

    fn count_dropped(&self) {
        self.0.dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn take_reopen(&self) -> bool {
        self.0.reopen.swap(false, Ordering::AcqRel)
    }
}
