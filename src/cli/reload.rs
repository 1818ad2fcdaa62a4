//! Handles SIGHUP: reloads the settings and reopens the log file. The log level takes effect at once; every other
//! change is logged and takes effect at the next start.

use std::cell::RefCell;

use slog::{Logger, info, warn};

use crate::logging::LogControl;
use crate::settings::change::changed;
use crate::settings::{LoadedSettings, LogLevel, Sources, load};

/// The only setting that takes effect at once.
const LEVEL: &str = "log.level";

/// The settings as last loaded, and their sources.
pub(crate) struct Reload {
    sources: Sources,
    last: RefCell<LoadedSettings>,
}

impl Reload {
    #[must_use]
    pub(crate) fn new(sources: Sources, loaded: LoadedSettings) -> Self {
        Self { sources, last: RefCell::new(loaded) }
    }

    /// Reloads on SIGHUP. If the settings have errors, they are logged and nothing changes.
    pub(crate) fn now(&self, log: &Logger, control: &LogControl) {
        control.reopen();
        let read = load(&self.sources).and_then(|loaded| loaded.require_bank().map(|()| loaded));
        let loaded = match read {
            Ok(loaded) => loaded,
            Err(error) => {
                for problem in &error.problems {
                    warn!(log, "settings not reloaded"; "problem" => problem.to_string());
                }
                return;
            }
        };
        for key in changed(&self.last.borrow(), &loaded) {
            let effect = if key == LEVEL { "now" } else { "at the next start" };
            info!(log, "setting changed"; "key" => key, "takes_effect" => effect);
        }
        control.set_level(slog_level(loaded.settings.log.level));
        info!(log, "settings reloaded"; "signal" => "SIGHUP");
        self.last.replace(loaded);
    }
}

pub(crate) fn slog_level(level: LogLevel) -> slog::Level {
    match level {
        LogLevel::Trace => slog::Level::Trace,
        LogLevel::Debug => slog::Level::Debug,
        LogLevel::Info => slog::Level::Info,
        LogLevel::Warning => slog::Level::Warning,
        LogLevel::Error => slog::Level::Error,
    }
}
