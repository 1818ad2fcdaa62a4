//! `bankwatch db`: brings the history's schema up to date, copies the predecessor's rows, deletes old ones, and hands all
//! of it to other programs.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use humantime::format_duration;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::cli::exit::Exit;
use crate::cli::progress::Progress;
use crate::cli::service::ServiceArguments;
use crate::settings::{BankSettings, DatabaseSettings, DatabaseUrl};
use crate::store::{Imported, MariaDb, Retention, Rows, open, server};

/// In seconds.
const DAY: u64 = 86_400;

/// What to do with the history.
#[derive(Debug, Subcommand)]
pub enum DbVerb {
    /// Make the tables, or bring them up to date; the service does so by itself
    #[command(
        after_help = "Example: before the service is given rights to rows alone\n  bankwatch db migrate --config /etc/bankwatch/bankwatch.toml"
    )]
    Migrate {
        /// Which
        #[command(flatten)]
        service: ServiceArguments,
    },
    /// Copy the rows of the predecessor's table pwr_data, once; what was copied before is left as it is
    #[command(
        after_help = "Example: coming from pytes_serial with its own file\n  bankwatch db import-legacy --config pytes_serial.cfg"
    )]
    ImportLegacy {
        /// The bank they are of, where there are several
        #[arg(long, value_name = "NAME")]
        bank: Option<String>,
        /// Where they are
        #[command(flatten)]
        service: ServiceArguments,
    },
    /// Delete rows past their retention now; the service does so by itself
    #[command(
        after_help = "Example: make the file smaller after retention was shortened\n  bankwatch db prune --shrink"
    )]
    Prune {
        /// Also give the room back to the file system, which takes a while and as much room as the file has
        #[arg(long)]
        shrink: bool,
        /// Of which
        #[command(flatten)]
        service: ServiceArguments,
    },
    /// Write rows as comma-separated values, the column names first, times in UTC
    #[command(
        after_help = "Examples:\n  bankwatch db export > batteries.csv\n  bankwatch db export cells --from 2d -o cells.csv\n  bankwatch db export banks --from 2026-11-01 --to 2026-12-01"
    )]
    Export(ExportArguments),
}

/// Which rows go where.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// banks, batteries or cells
    #[arg(default_value = "batteries", value_parser = rows)]
    rows: Rows,
    /// From when: 2026-11-22, "2026-11-22 06:00" (this machine's zone), 2026-11-22T05:00:00Z, or so long ago: 7d
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    from: Option<Timestamp>,
    /// Until when, itself left out
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    to: Option<Timestamp>,
    /// Into a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// As comma-separated values, which is all there is so far
    #[arg(long)]
    csv: bool,
    /// Of which
    #[command(flatten)]
    service: ServiceArguments,
}

/// Does it, and says what was done, with a count.
///
/// # Errors
/// The settings are wrong, or the database does not do what it is asked, in its words.
pub fn db(verb: &DbVerb) -> anyhow::Result<Exit> {
    match verb {
        DbVerb::Migrate { service } => migrate(&service.load()?.settings.database)?,
        DbVerb::ImportLegacy { bank, service } => {
            let settings = service.load()?.settings;
            import_legacy(&settings.database, chosen(&settings.banks, bank.as_deref())?)?;
        }
        DbVerb::Prune { shrink, service } => prune(&service.load()?.settings.database, *shrink)?,
        DbVerb::Export(arguments) => {
            export(&arguments.service.load()?.settings.database, arguments)?;
        }
    }
    Ok(Exit::Well)
}

fn migrate(settings: &DatabaseSettings) -> anyhow::Result<()> {
    let schema = open(settings)?.schema();
    let (url, now) = (&settings.url, &schema.now);
    let mut out = io::stdout().lock();
    match schema.found {
        Some(found) if found == *now => writeln!(out, "{url} has the schema {now} already")?,
        Some(found) => writeln!(out, "{url} brought from the schema {found} to {now}")?,
        None => writeln!(out, "{url} made with the schema {now}")?,
    }
    Ok(())
}

/// The bank of that name, or the only one.
fn chosen<'a>(banks: &'a [BankSettings], name: Option<&str>) -> anyhow::Result<&'a str> {
    let names = || banks.iter().map(|bank| bank.name.as_str()).collect::<Vec<_>>().join(", ");
    match (name, banks) {
        (None, [bank]) => Ok(&bank.name),
        (None, _) => {
            bail!("there are several banks: say of which the rows are, --bank with one of {}", names())
        }
        (Some(name), _) => {
            let found = banks.iter().find(|bank| bank.name == name);
            found
                .map(|bank| &*bank.name)
                .ok_or_else(|| anyhow!("there is no bank {name:?}; there is {}", names()))
        }
    }
}

fn import_legacy(settings: &DatabaseSettings, bank: &str) -> anyhow::Result<()> {
    if let DatabaseUrl::Sqlite(_) = settings.url {
        bail!(
            "the predecessor's table lies on a server, and database.url is {}: name the server that it wrote to, mysql://user@host:port/database",
            settings.url
        );
    }
    let mut store = MariaDb::open(&server(settings)?)?;
    let mut progress = Progress::new();
    let mut show = |so_far: &Imported| {
        progress.show(|| format!("{} of {} rows of pwr_data read", so_far.read, so_far.rows));
    };
    let done = store.import_legacy(bank, &mut show)?;
    drop(progress);
    let mut out = io::stdout().lock();
    writeln!(out, "{} rows of pwr_data read, {} are readings of the bank {bank} now", done.read, done.taken)?;
    if let Some((from, to)) = done.span_ms {
        writeln!(out, "from {} to {}", time(from), time(to))?;
    }
    for (count, why) in [
        (
            done.own,
            "from the time in which bankwatch keeps history itself: left out, they are there and finer",
        ),
        (done.unreadable, "without a time or a place: left out"),
    ] {
        if count > 0 {
            writeln!(out, "{count} {why}")?;
        }
    }
    Ok(())
}

fn prune(settings: &DatabaseSettings, shrink: bool) -> anyhow::Result<()> {
    is_there(settings)?;
    let mut store = open(settings)?;
    let keep = Retention { batteries: settings.retention, cells: settings.cell_retention };
    let (now, mut rows, mut progress) = (Timestamp::now(), 0, Progress::new());
    loop {
        let pruned = store.prune(now, &keep)?;
        rows += pruned.rows;
        progress.show(|| format!("{rows} rows deleted"));
        if !pruned.more {
            break;
        }
    }
    if shrink {
        progress.show(|| format!("{rows} rows deleted; giving the room back"));
        store.shrink()?;
    }
    drop(progress);
    let (batteries, cells) = (kept(keep.batteries), kept(keep.cells));
    writeln!(
        io::stdout(),
        "{rows} rows deleted from {} (batteries are kept {batteries}, cells {cells})",
        settings.url
    )?;
    Ok(())
}

/// How long rows are kept, as the settings say it.
fn kept(span: Duration) -> String {
    match span.as_secs() {
        0 => "for ever".to_owned(),
        seconds if seconds % DAY == 0 => format!("{} days", seconds / DAY),
        _ => format_duration(span).to_string(),
    }
}

fn export(settings: &DatabaseSettings, arguments: &ExportArguments) -> anyhow::Result<()> {
    is_there(settings)?;
    let mut store = open(settings)?;
    let ms = |when: Option<Timestamp>, open: i64| when.map_or(open, Timestamp::as_millisecond);
    let span = (ms(arguments.from, 0), ms(arguments.to, i64::MAX));
    let Some(file) = &arguments.output else {
        let mut out = BufWriter::new(io::stdout().lock());
        write_rows(|each| store.export(arguments.rows, span, each), &mut out, |_| ())?;
        return Ok(());
    };
    let written = || format!("{} can't be written", file.display());
    let mut out = BufWriter::new(File::create(file).with_context(written)?);
    let mut progress = Progress::new();
    let show = |lines: u64| progress.show(|| format!("{lines} rows written"));
    let rows =
        write_rows(|each| store.export(arguments.rows, span, each), &mut out, show).with_context(written)?;
    drop(progress);
    writeln!(io::stdout(), "{rows} rows written to {}", file.display())?;
    Ok(())
}

/// Writes what `all` hands over, a line each; gives the number of rows beside the header.
fn write_rows(
    all: impl FnOnce(&mut dyn FnMut(&str) -> bool) -> Result<(), crate::store::StoreError>,
    out: &mut impl Write,
    mut progress: impl FnMut(u64),
) -> anyhow::Result<u64> {
    let (mut lines, mut outcome) = (0_u64, Ok(()));
    all(&mut |line| {
        outcome = writeln!(out, "{line}");
        lines += 1;
        progress(lines);
        outcome.is_ok()
    })?;
    outcome.and_then(|()| out.flush())?;
    Ok(lines.saturating_sub(1))
}

/// Opening a file makes it, which whoever only wants to look does not mean.
fn is_there(settings: &DatabaseSettings) -> anyhow::Result<()> {
    match &settings.url {
        DatabaseUrl::Sqlite(file) if !file.exists() => bail!(
            "there is no history at {} yet: the service makes it; is its data_dir another one?",
            file.display()
        ),
        _ => Ok(()),
    }
}

fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|at| at.to_string()).unwrap_or_default()
}

fn rows(word: &str) -> Result<Rows, String> {
    let known = Rows::ALL.iter().find(|(name, _)| *name == word);
    known.map(|(_, rows)| *rows).ok_or_else(|| "one of banks, batteries, cells".to_owned())
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
