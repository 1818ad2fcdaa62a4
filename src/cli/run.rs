//! `bankwatch run`: the service.

use std::io::{self, Write};
use std::panic;
use std::thread;

use clap::Args;
use slog::{Logger, error, warn};

use crate::app::{self, AppError};
use crate::cli::exit::Exit;
use crate::cli::instance_lock::{InstanceLock, InstanceLockError};
use crate::cli::reload::Reload;
use crate::cli::service::ServiceArguments;
use crate::logging::{self, Control};
use crate::settings::{LogFormat, LogLevel, LogSettings};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bankwatch run --config /etc/bankwatch/bankwatch.toml\n  \
        bankwatch run --config pytes_serial.cfg\n  \
        bankwatch run --set bank.link=/dev/ttyUSB0 --set bank.name=pytes")]
pub struct RunArguments {
    #[command(flatten)]
    service: ServiceArguments,
}

/// Runs the service until it receives a signal to stop.
///
/// # Errors
/// Returns an error if the configuration is invalid, or the log or the actors can't be started.
pub fn run(arguments: &RunArguments) -> anyhow::Result<Exit> {
    let loaded = arguments.service.load()?;
    let config = loaded.file.as_ref().map_or_else(|| "none".to_owned(), |file| file.display().to_string());
    let (settings, warnings) = (loaded.settings.clone(), loaded.warnings.clone());
    let plan = app::Plan { settings, config, terminal: false, workings: app::Workings::default() };
    let reload = Reload::new(arguments.service.sources(), loaded);
    serve(plan, &warnings, |log, control| reload.now(log, control))
}

/// Starts the log and runs the actors; `hangup` is called on SIGHUP.
///
/// # Errors
/// Returns an error if another service uses the same `data_dir`, or the log or the actors can't be started.
pub fn serve(
    plan: app::Plan,
    warnings: &[String],
    hangup: impl Fn(&Logger, &Control),
) -> anyhow::Result<Exit> {
    let take = || match InstanceLock::take(&plan.settings.data_dir) {
        Err(error @ InstanceLockError::Held { .. }) => Err(error),
        lock => Ok(lock),
    };
    // The lock is taken before the log is opened, because the log file may have only one writer, too.
    let mut lock = take()?;
    let (log, guard) = logging::start(&target(&plan.settings.log))?;
    if lock.is_err() {
        // Opening a log in `data_dir` may have created the directory.
        lock = take()?;
    }
    for warning in warnings {
        warn!(log, "settings warning"; "warning" => warning);
    }
    // If the directory is read-only or missing, the outputs that do not need it still work.
    if let Err(error) = &lock {
        warn!(log, "data_dir not locked"; "reason" => error.to_string());
    }
    log_panics(&log);
    let control = guard.control();
    let outcome = app::run(plan, &log, &|log| hangup(log, &control));
    // From here on, panics are printed to standard error again, because the log is closed.
    drop(panic::take_hook());
    drop(log);
    drop(guard);
    match outcome {
        Ok(()) => Ok(Exit::Success),
        Err(AppError::Fatal(_)) => Ok(Exit::Unrecoverable),
        Err(error @ AppError::Link { .. }) => {
            writeln!(io::stderr(), "{error}")?;
            Ok(Exit::InvalidConfig)
        }
        Err(error) => Err(error.into()),
    }
}

/// Logs each panic with its location, in place of the text that Rust prints. Its consequence is logged where it is
/// caught.
fn log_panics(log: &Logger) {
    let log = log.clone();
    panic::set_hook(Box::new(move |panic| {
        let (fixed, made) =
            (panic.payload().downcast_ref::<&str>(), panic.payload().downcast_ref::<String>());
        let text = fixed.copied().or(made.map(String::as_str)).unwrap_or("no message");
        let place = panic.location().map_or_else(|| "?".to_owned(), ToString::to_string);
        let thread = thread::current();
        error!(log, "panic"; "thread" => thread.name().unwrap_or("?"), "location" => place, "reason" => text);
    }));
}

/// Converts the setting.
pub(super) fn level(level: LogLevel) -> slog::Level {
    match level {
        LogLevel::Trace => slog::Level::Trace,
        LogLevel::Debug => slog::Level::Debug,
        LogLevel::Info => slog::Level::Info,
        LogLevel::Warning => slog::Level::Warning,
        LogLevel::Error => slog::Level::Error,
    }
}

fn target(settings: &LogSettings) -> logging::Target {
    let level = level(settings.level);
    let format = match settings.format {
        LogFormat::Text => logging::Format::Text,
        LogFormat::Json => logging::Format::Json,
    };
    let max_size = settings.max_size_kb.saturating_mul(1000);
    logging::Target { level, format, file: settings.file.clone(), max_size, max_files: settings.max_files }
}
