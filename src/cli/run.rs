//! `bankwatch run`: the service.

use std::io::{self, Write};
use std::panic;
use std::thread;

use clap::Args;
use slog::{Logger, error, warn};

use crate::app::{self, AppError};
use crate::cli::exit::Exit;
use crate::cli::instance_lock::{InstanceLock, InstanceLockError};
use crate::cli::reload::{Reload, slog_level};
use crate::cli::service::ServiceArguments;
use crate::logging::{self, LogControl};
use crate::settings::{LogFormat, LogSettings};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bankwatch run --config /etc/bankwatch/bankwatch.toml\n  \
        bankwatch run --config pytes_serial.cfg\n  \
        bankwatch run --set bank.link=/dev/ttyUSB0 --set bank.name=pytes")]
pub struct RunArguments {
    #[command(flatten)]
    service: ServiceArguments,
}

/// Runs the service until a signal stops it.
///
/// # Errors
/// Fails if the configuration is invalid, or if the log or the service can't start.
pub fn run(arguments: &RunArguments) -> anyhow::Result<Exit> {
    let loaded = arguments.service.load()?;
    let config_file =
        loaded.file.as_ref().map_or_else(|| "none".to_owned(), |file| file.display().to_string());
    let (settings, warnings) = (loaded.settings.clone(), loaded.warnings.clone());
    let config =
        app::AppConfig { settings, config_file, show_table: false, overrides: app::Overrides::default() };
    let reload = Reload::new(arguments.service.sources(), loaded);
    serve(config, &warnings, |log, control| reload.now(log, control))
}

/// Starts the log and runs the service; SIGHUP calls `hangup`.
///
/// # Errors
/// Fails if another service uses the same `data_dir`, or if the log or the service can't start.
pub fn serve(
    config: app::AppConfig,
    warnings: &[String],
    hangup: impl Fn(&Logger, &LogControl),
) -> anyhow::Result<Exit> {
    let take = || match InstanceLock::take(&config.settings.data_dir) {
        Err(error @ InstanceLockError::Held { .. }) => Err(error),
        lock => Ok(lock),
    };
    // Before the log, because a log file must have a single writer as well.
    let mut lock = take()?;
    let (log, guard) = logging::start(&log_config(&config.settings.log))?;
    if lock.is_err() {
        // A log file in `data_dir` has created the folder.
        lock = take()?;
    }
    for warning in warnings {
        warn!(log, "settings warning"; "warning" => warning);
    }
    // Outputs that do not need `data_dir` work even if it is read-only or missing.
    if let Err(error) = &lock {
        warn!(log, "data_dir not locked"; "reason" => error.to_string());
    }
    log_panics(&log);
    let control = guard.control();
    let outcome = app::run(config, &log, &|log| hangup(log, &control));
    // Later panics go to standard error, because the log ends here.
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

/// Logs a panic with its location as one line, instead of the text that Rust prints. Whoever catches the panic logs its
/// consequences.
fn log_panics(log: &Logger) {
    let log = log.clone();
    panic::set_hook(Box::new(move |panic| {
        let (literal, formatted) =
            (panic.payload().downcast_ref::<&str>(), panic.payload().downcast_ref::<String>());
        let text = literal.copied().or(formatted.map(String::as_str)).unwrap_or("panic without a message");
        let location = panic.location().map_or_else(|| "?".to_owned(), ToString::to_string);
        let thread = thread::current();
        error!(log, "panic"; "thread" => thread.name().unwrap_or("?"), "location" => location, "reason" => text);
    }));
}

fn log_config(settings: &LogSettings) -> logging::LogConfig {
    let level = slog_level(settings.level);
    let format = match settings.format {
        LogFormat::Text => logging::LineFormat::Text,
        LogFormat::Json => logging::LineFormat::Json,
    };
    let max_size = settings.max_size_kb.saturating_mul(1000);
    logging::LogConfig { level, format, file: settings.file.clone(), max_size, max_files: settings.max_files }
}
