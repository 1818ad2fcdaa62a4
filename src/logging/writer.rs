//! Formats and writes the records, on the log's own thread.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use serde_json::Value;
use slog::{Drain, Key, Level, Never, OwnedKVList, Record};

use crate::logging::entry::LogEvent;
use crate::logging::file::RotatedFile;
use crate::logging::{LineFormat, LogControl, line};

/// The shortest time between two reports of dropped lines.
const DROP_REPORT_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) enum LogSink {
    /// Standard error, in colour on a terminal.
    Stderr { colour: bool },
    /// A file; while `failing`, lines go to standard error.
    File { file: RotatedFile, failing: bool },
}

impl LogSink {
    pub(crate) fn stderr() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self::Stderr { colour: !unwanted && io::stderr().is_terminal() }
    }

    pub(crate) fn file(file: RotatedFile) -> Self {
        Self::File { file, failing: false }
    }
}

/// Writes records. Only the log's thread calls it.
pub(crate) struct LogWriter {
    state: RefCell<WriterState>,
    format: LineFormat,
    control: LogControl,
}

struct WriterState {
    sink: LogSink,
    /// The number of dropped lines that were reported, and when.
    reported: u64,
    reported_at: Option<Instant>,
}

impl LogWriter {
    pub(crate) fn new(sink: LogSink, format: LineFormat, control: LogControl) -> Self {
        Self { state: RefCell::new(WriterState { sink, reported: 0, reported_at: None }), format, control }
    }

    /// Reports the lines dropped since the last report.
    fn report_dropped(&self, state: &mut WriterState) {
        let dropped = self.control.dropped();
        if dropped > state.reported {
            let lines = dropped - state.reported;
            (state.reported, state.reported_at) = (dropped, Some(Instant::now()));
            let entry =
                LogEvent::own(Level::Warning, "log lines dropped", vec![("lines", Value::from(lines))]);
            self.write(&mut state.sink, &entry);
        }
    }

    fn write(&self, sink: &mut LogSink, entry: &LogEvent) {
        match sink {
            LogSink::Stderr { colour } => to_stderr(&self.line(entry, *colour)),
            LogSink::File { file, failing } => {
                let line = self.line(entry, false);
                let reopened = match self.control.take_reopen() {
                    true => file.reopen().inspect_err(|_| self.control.reopen()),
                    false => Ok(()),
                };
                match reopened.and_then(|()| file.write_line(&line)) {
                    Ok(()) if std::mem::take(failing) => {
                        to_stderr(&self.line(
                            &LogEvent::own(Level::Info, "log file recovered", vec![file_pair(file)]),
                            false,
                        ));
                    }
                    Ok(()) => {}
                    Err(error) => {
                        if !std::mem::replace(failing, true) {
                            let pairs = vec![file_pair(file), ("reason", Value::from(error.to_string()))];
                            to_stderr(
                                &self
                                    .line(&LogEvent::own(Level::Error, "log file unavailable", pairs), false),
                            );
                        }
                        to_stderr(&line);
                    }
                }
            }
        }
    }

    fn line(&self, entry: &LogEvent, colour: bool) -> String {
        match self.format {
            LineFormat::Text => line::text(entry, colour),
            LineFormat::Json => line::json(entry),
        }
    }
}

impl Drain for LogWriter {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        let state = &mut *self.state.borrow_mut();
        // While the log is overloaded, the reports must not add to the load with every line.
        if state.reported_at.is_none_or(|at| at.elapsed() >= DROP_REPORT_INTERVAL) {
            self.report_dropped(state);
        }
        self.write(&mut state.sink, &LogEvent::from_record(record, values));
        Ok(())
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        // Fails only if a write panicked; then a second panic must be avoided.
        if let Ok(mut state) = self.state.try_borrow_mut() {
            self.report_dropped(&mut state);
        }
    }
}

fn file_pair(file: &RotatedFile) -> (Key, Value) {
    ("file", Value::from(file.path().display().to_string()))
}

fn to_stderr(line: &str) {
    // If standard error is closed, there is nowhere to report it.
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
