//! The log's own thread: makes each record a line and writes it where it belongs.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use serde_json::Value;
use slog::{Drain, Key, Level, Never, OwnedKVList, Record};

use crate::logging::entry::Entry;
use crate::logging::file::RotatedFile;
use crate::logging::{Control, Format, line};

/// At least this lies between two lines that tell of dropped ones.
const BETWEEN_REPORTS: Duration = Duration::from_secs(1);

/// Where lines go.
pub(crate) enum Sink {
    /// Standard error, in colour when somebody looks at it.
    Stderr { colour: bool },
    /// A file; `away` while it takes no lines and standard error gets them.
    File { file: RotatedFile, away: bool },
}

impl Sink {
    pub(crate) fn stderr() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self::Stderr { colour: !unwanted && io::stderr().is_terminal() }
    }

    pub(crate) fn file(file: RotatedFile) -> Self {
        Self::File { file, away: false }
    }
}

/// Writes records; it lives on the log's thread, and nobody else calls it.
pub(crate) struct Writer {
    state: RefCell<State>,
    format: Format,
    control: Control,
}

struct State {
    sink: Sink,
    /// How many dropped lines have been told of, and when.
    told: u64,
    told_at: Option<Instant>,
}

impl Writer {
    pub(crate) fn new(sink: Sink, format: Format, control: Control) -> Self {
        Self { state: RefCell::new(State { sink, told: 0, told_at: None }), format, control }
    }

    /// Says how many lines were dropped since this was said last.
    fn tell_dropped(&self, state: &mut State) {
        let dropped = self.control.dropped();
        if dropped > state.told {
            let lines = dropped - state.told;
            (state.told, state.told_at) = (dropped, Some(Instant::now()));
            let entry = Entry::own(Level::Warning, "log lines dropped", vec![("lines", Value::from(lines))]);
            self.write(&mut state.sink, &entry);
        }
    }

    fn write(&self, sink: &mut Sink, entry: &Entry) {
        match sink {
            Sink::Stderr { colour } => to_stderr(&self.line(entry, *colour)),
            Sink::File { file, away } => {
                let line = self.line(entry, false);
                let reopened = match self.control.take_reopen() {
                    true => file.reopen().inspect_err(|_| self.control.reopen()),
                    false => Ok(()),
                };
                match reopened.and_then(|()| file.write_line(&line)) {
                    Ok(()) if std::mem::take(away) => {
                        to_stderr(
                            &self.line(
                                &Entry::own(Level::Info, "log file recovered", vec![named(file)]),
                                false,
                            ),
                        );
                    }
                    Ok(()) => {}
                    Err(error) => {
                        if !std::mem::replace(away, true) {
                            let pairs = vec![named(file), ("reason", Value::from(error.to_string()))];
                            to_stderr(
                                &self.line(&Entry::own(Level::Error, "log file unavailable", pairs), false),
                            );
                        }
                        to_stderr(&line);
                    }
                }
            }
        }
    }

    fn line(&self, entry: &Entry, colour: bool) -> String {
        match self.format {
            Format::Text => line::text(entry, colour),
            Format::Json => line::json(entry),
        }
    }
}

impl Drain for Writer {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        let state = &mut *self.state.borrow_mut();
        // While more comes than can be written, telling so must not add to it with every line.
        if state.told_at.is_none_or(|at| at.elapsed() >= BETWEEN_REPORTS) {
            self.tell_dropped(state);
        }
        self.write(&mut state.sink, &Entry::from_record(record, values));
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Nothing else borrows what is being dropped; a panic while writing is no reason for a second one.
        if let Ok(mut state) = self.state.try_borrow_mut() {
            self.tell_dropped(&mut state);
        }
    }
}

fn named(file: &RotatedFile) -> (Key, Value) {
    ("file", Value::from(file.path().display().to_string()))
}

fn to_stderr(line: &str) {
    // Nowhere is left to tell that standard error is closed, and it is no reason to stop.
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
