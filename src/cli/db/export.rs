//! `bankwatch db export`: rows of the history for other programs, in volts, amperes and degrees.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use clap::error::ErrorKind;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::cli::progress::ProgressLine;
use crate::cli::service::ServiceArguments;
use crate::store::{Export, Rows, Store, open_existing};

/// Which rows go where.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bankwatch db export > batteries.csv\n  \
        bankwatch db export cells --battery 2 --from 2d -o cells.csv\n  \
        bankwatch db export days --from 2026-01-01 --to 2027-01-01")]
pub(crate) struct ExportArguments {
    /// banks, batteries or cells: one row per full sweep; minutes, hours or days: mean, minimum and maximum of each
    /// bank (no place) and battery
    #[arg(default_value = "batteries", value_parser = rows)]
    rows: Rows,
    /// Only this bank
    #[arg(long, value_name = "NAME")]
    bank: Option<String>,
    /// Only the battery at this place, counted from 1
    #[arg(long, value_name = "PLACE", value_parser = clap::value_parser!(u8).range(1..))]
    battery: Option<u8>,
    /// Start: 2026-11-22, "2026-11-22 06:00" (local time), 2026-11-22T05:00:00Z, or 7d for seven days ago
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    from: Option<Timestamp>,
    /// End (exclusive), in the same formats
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    to: Option<Timestamp>,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write CSV, which is the only format at present
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    service: ServiceArguments,
}

/// Writes them; how many went into a file is told.
///
/// # Errors
/// The settings are wrong, there is no such history, bank or battery, or the file can't be written.
pub(super) fn export(arguments: &ExportArguments) -> anyhow::Result<()> {
    let asked = Export {
        rows: arguments.rows,
        bank: arguments.bank.as_deref(),
        place: arguments.battery,
        from_ms: arguments.from.map_or(0, Timestamp::as_millisecond),
        to_ms: arguments.to.map_or(i64::MAX, Timestamp::as_millisecond),
    };
    refuse_senseless(&asked)?;
    let mut store = open_existing(&arguments.service.load()?.settings.database)?;
    let Some(path) = &arguments.output else {
        // Beside rows on a terminal the line would be in their way.
        let progress = if io::stdout().is_terminal() { ProgressLine::hidden() } else { ProgressLine::new() };
        write(&mut *store, &asked, io::stdout().lock(), progress)?;
        return Ok(());
    };
    let written = || format!("{} can't be written", path.display());
    let file = File::create(path).with_context(written)?;
    let rows = write(&mut *store, &asked, file, ProgressLine::new())
        .with_context(|| format!("{} ends before its time; what is in it is right", path.display()))?;
    writeln!(io::stdout(), "{rows} rows written to {}", path.display())?;
    Ok(())
}

/// What can have no answer is wrong usage.
fn refuse_senseless(asked: &Export<'_>) -> Result<(), clap::Error> {
    let refuse = |sentence: &str| Err(clap::Error::raw(ErrorKind::ArgumentConflict, sentence));
    if asked.rows == Rows::Banks && asked.place.is_some() {
        return refuse("rows of banks have no place: leave --battery out, or export batteries");
    }
    if asked.from_ms >= asked.to_ms {
        return refuse("--from is not before --to, so there is nothing between them");
    }
    Ok(())
}

/// Writes the header and the rows; answers how many rows.
fn write(
    store: &mut dyn Store,
    asked: &Export<'_>,
    to: impl Write,
    mut progress: ProgressLine,
) -> anyhow::Result<u64> {
    let (mut out, mut lines, mut outcome) = (BufWriter::new(to), 0_u64, Ok(()));
    store.export(asked, &mut |line| {
        outcome = writeln!(out, "{line}");
        lines += 1;
        progress.show(|| format!("{} rows written", lines - 1));
        outcome.is_ok()
    })?;
    outcome.and_then(|()| out.flush())?;
    Ok(lines.saturating_sub(1))
}

fn rows(word: &str) -> Result<Rows, String> {
    let known = Rows::ALL.iter().find(|(name, _)| *name == word);
    known
        .map(|(_, rows)| *rows)
        .ok_or_else(|| format!("one of {}", Rows::ALL.map(|(name, _)| name).join(", ")))
}

/// A time as people write it.
fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Ok(local) = text.parse::<DateTime>() {
        return local
            .to_zoned(TimeZone::system())
            .map(|at| at.timestamp())
            .map_err(|error| error.to_string());
    }
    let ago = humantime::parse_duration(text).map_err(|_| {
        "2026-11-22, \"2026-11-22 06:00\", 2026-11-22T05:00:00Z, or so long ago: 7d".to_owned()
    })?;
    Timestamp::now().checked_sub(ago).map_err(|error| error.to_string())
}
