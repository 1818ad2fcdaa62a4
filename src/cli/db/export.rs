//! `bankwatch db export`: rows of the history for other programs, in volts, amperes and degrees.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use clap::error::ErrorKind;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::cli::progress::ProgressLine;
use crate::cli::service::ServiceArguments;
use crate::store::{ExportQuery, ExportTable, Store, open_existing};

/// Which rows go where.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bankwatch db export > batteries.csv\n  \
        bankwatch db export cells --battery 2 --from 2d -o cells.csv\n  \
        bankwatch db export days --from 2026-01-01 --to 2027-01-01")]
pub(crate) struct ExportArguments {
    /// banks, batteries or cells: one row per full sweep; minutes, hours or days: mean, minimum and maximum of each
    /// bank (no place) and battery
    #[arg(value_name = "ROWS", default_value = "batteries", value_parser = parse_table)]
    table: ExportTable,
    /// Only this bank
    #[arg(long, value_name = "NAME")]
    bank: Option<String>,
    /// Only the battery at this place, counted from 1
    #[arg(long, value_name = "PLACE", value_parser = clap::value_parser!(u8).range(1..))]
    battery: Option<u8>,
    /// Start: 2026-11-22, "2026-11-22 06:00" (local time), 2026-11-22T05:00:00Z, or 7d for seven days ago
    #[arg(long, value_name = "WHEN", value_parser = parse_time)]
    from: Option<Timestamp>,
    /// End (exclusive), in the same formats
    #[arg(long, value_name = "WHEN", value_parser = parse_time)]
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

/// Writes the rows; if to a file, prints their number.
pub(super) fn export(arguments: &ExportArguments) -> anyhow::Result<()> {
    let query = ExportQuery {
        table: arguments.table,
        bank: arguments.bank.as_deref(),
        place: arguments.battery,
        from_ms: arguments.from.map_or(0, Timestamp::as_millisecond),
        to_ms: arguments.to.map_or(i64::MAX, Timestamp::as_millisecond),
    };
    reject_impossible(&query)?;
    let mut store = open_existing(&arguments.service.load()?.settings.database)?;
    let Some(path) = &arguments.output else {
        // On a terminal the progress line would mix with the rows.
        let progress = if io::stdout().is_terminal() { ProgressLine::hidden() } else { ProgressLine::new() };
        write(&mut *store, &query, io::stdout().lock(), progress)?;
        return Ok(());
    };
    let file = File::create(path).with_context(|| format!("{} can't be written", path.display()))?;
    let rows = write(&mut *store, &query, file, ProgressLine::new())
        .with_context(|| format!("{} is incomplete; the rows in it are correct", path.display()))?;
    writeln!(io::stdout(), "{rows} rows written to {}", path.display())?;
    Ok(())
}

fn reject_impossible(query: &ExportQuery<'_>) -> Result<(), clap::Error> {
    let reject = |message: &str| Err(clap::Error::raw(ErrorKind::ArgumentConflict, message));
    if query.table == ExportTable::Banks && query.place.is_some() {
        return reject("rows of banks have no place: omit --battery, or export batteries");
    }
    if query.from_ms >= query.to_ms {
        return reject("--from must be before --to");
    }
    Ok(())
}

/// Writes the header and the rows; returns the number of rows.
fn write(
    store: &mut dyn Store,
    query: &ExportQuery<'_>,
    to: impl Write,
    mut progress: ProgressLine,
) -> anyhow::Result<u64> {
    let (mut out, mut records, mut outcome) = (csv::Writer::from_writer(to), 0_u64, Ok(()));
    store.export(query, &mut |record| {
        outcome = out.write_record(record).map_err(io_error);
        records += 1;
        progress.show(|| format!("{} rows written", records - 1));
        outcome.is_ok()
    })?;
    outcome?;
    out.flush()?;
    Ok(records.saturating_sub(1))
}

/// The I/O error inside, by whose kind a closed pipe is recognised.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn parse_table(name: &str) -> Result<ExportTable, String> {
    let known = ExportTable::ALL.iter().find(|(known, _)| *known == name);
    known
        .map(|(_, rows)| *rows)
        .ok_or_else(|| format!("expected one of {}", ExportTable::ALL.map(|(name, _)| name).join(", ")))
}

/// Parses a date, a local time, a timestamp, or an age.
fn parse_time(text: &str) -> Result<Timestamp, String> {
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
