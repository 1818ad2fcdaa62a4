//! `bankwatch db`: updates the schema of the history, imports the rows of pytes_serial, deletes old rows, exports.
//!
//! All of it works while the service is running: it uses small transactions, between which the service can write.

mod export;

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use clap::Subcommand;
use humantime::format_duration;
use jiff::Timestamp;

use crate::cli::exit::Exit;
use crate::cli::progress::ProgressLine;
use crate::cli::service::ServiceArguments;
use crate::settings::{BankSettings, DatabaseSettings};
use crate::store::clock_gate::RELEASED_AT_MS;
use crate::store::{
    ErrorClass, ImportProgress, MariaDb, Retention, StoreError, open, open_existing, prepare_legacy_table,
    server,
};

/// Seconds per day.
const DAY: u64 = 86_400;
/// Bounds of the pause after a step of pruning. It is as long as the step, so that other writers have half of the time,
/// and a large history is pruned within minutes.
const REST: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));

#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Create or update the database schema (the service does this automatically)
    #[command(
        after_help = "Example: if the database account of the service is not allowed to create tables\n  \
            bankwatch db migrate --config /etc/bankwatch/bankwatch.toml"
    )]
    Migrate {
        #[command(flatten)]
        service: ServiceArguments,
    },
    /// Copy the rows of pwr_data, the table of pytes_serial; rows copied before are not copied again
    #[command(after_help = "Example: with the configuration file of pytes_serial\n  \
            bankwatch db import-legacy --config pytes_serial.cfg")]
    ImportLegacy {
        /// Bank that the rows belong to; required if several banks are configured
        #[arg(long, value_name = "NAME")]
        bank: Option<String>,
        #[command(flatten)]
        service: ServiceArguments,
    },
    /// Delete rows older than their retention now (the service does this automatically)
    #[command(
        after_help = "Example: shrink the database file after reducing the retention\n  bankwatch db prune --shrink"
    )]
    Prune {
        /// Also shrink the file; this takes a while and needs as much free disk space as the file is large
        #[arg(long)]
        shrink: bool,
        #[command(flatten)]
        service: ServiceArguments,
    },
    /// Export rows as CSV, with a header line and times in UTC
    Export(export::ExportArguments),
}

/// Runs the command and prints what was done, with a count.
///
/// # Errors
/// Returns an error if the configuration is invalid or the database reports one.
pub(crate) fn db(verb: &DbCommand) -> anyhow::Result<Exit> {
    match verb {
        DbCommand::Migrate { service } => migrate(&service.load()?.settings.database)?,
        DbCommand::ImportLegacy { bank, service } => {
            let settings = service.load()?.settings;
            import_legacy(&settings.database, choose_bank(&settings.banks, bank.as_deref())?)?;
        }
        DbCommand::Prune { shrink, service } => prune(&service.load()?.settings.database, *shrink)?,
        DbCommand::Export(arguments) => export::export(arguments)?,
    }
    Ok(Exit::Success)
}

fn migrate(settings: &DatabaseSettings) -> anyhow::Result<()> {
    let schema = open(settings)?.schema();
    let refusal = match settings.legacy_table {
        true => prepare_legacy_table(&server(settings)?).err(),
        false => None,
    };
    let (url, now) = (&settings.url, &schema.current);
    let mut out = io::stdout().lock();
    match schema.found {
        Some(found) if found == *now => writeln!(out, "{url} already has schema {now}")?,
        Some(found) => writeln!(out, "{url} updated from schema {found} to {now}")?,
        None => writeln!(out, "{url} created with schema {now}")?,
    }
    if let Some(refusal) = refusal {
        writeln!(io::stderr(), "warning: pwr_data rejects rows: {refusal}")?;
    }
    Ok(())
}

/// The bank with this name, or the only one.
fn choose_bank<'a>(banks: &'a [BankSettings], name: Option<&str>) -> anyhow::Result<&'a str> {
    let names = || banks.iter().map(|bank| bank.name.as_str()).collect::<Vec<_>>().join(", ");
    match (name, banks) {
        (None, [bank]) => Ok(&bank.name),
        (None, _) => {
            bail!("several banks are configured; choose one with --bank ({})", names())
        }
        (Some(name), _) => {
            let found = banks.iter().find(|bank| bank.name == name);
            found
                .map(|bank| &*bank.name)
                .ok_or_else(|| anyhow!("no bank {name:?} is configured; configured: {}", names()))
        }
    }
}

fn import_legacy(settings: &DatabaseSettings, bank: &str) -> anyhow::Result<()> {
    let mut store = MariaDb::open_existing(&server(settings)?)?;
    let mut progress = ProgressLine::new();
    let mut show = |so_far: &ImportProgress| {
        progress.show(|| format!("{} of {} rows of pwr_data read", so_far.read, so_far.rows));
    };
    let imported = store.import_legacy(bank, &mut show);
    drop(progress);
    let done = imported.map_err(|error| {
        let may_be_repeated = error.class() == ErrorClass::Outside;
        let error = anyhow::Error::new(error);
        if may_be_repeated {
            error.context("rows copied so far are kept; run the command again to continue")
        } else {
            error
        }
    })?;
    let mut out = io::stdout().lock();
    writeln!(out, "{} rows of pwr_data read, {} imported into the bank {bank}", done.read, done.imported)?;
    if let Some((from, to)) = done.span_ms {
        writeln!(out, "from {} to {}", time(from), time(to))?;
    }
    for (count, why) in [
        (done.own, "skipped: from a time for which bankwatch has its own, more detailed history"),
        (done.unreadable, "skipped: without a time or a place"),
    ] {
        if count > 0 {
            writeln!(out, "{count} {why}")?;
        }
    }
    Ok(())
}

fn prune(settings: &DatabaseSettings, shrink: bool) -> anyhow::Result<()> {
    let mut store = open_existing(settings)?;
    let keep = Retention { batteries: settings.retention, cells: settings.cell_retention };
    let (now, mut rows, mut rescued, mut progress) = (Timestamp::now(), 0, false, ProgressLine::new());
    if now.as_millisecond() < RELEASED_AT_MS {
        bail!(
            "the clock of this machine is wrong ({now:.0}, before the first release of bankwatch); set it first"
        );
    }
    loop {
        let began = Instant::now();
        let pruned = match store.prune(now, &keep) {
            // Deleting needs disk space itself, which the reserve file provides.
            Err(StoreError::Full { .. }) if !rescued => {
                rescued = true;
                store.make_room(Some(now), &keep)?;
                store.prune(now, &keep)?
            }
            pruned => pruned?,
        };
        rows += pruned.rows;
        progress.show(|| format!("{rows} rows deleted"));
        if !pruned.more {
            break;
        }
        thread::sleep(began.elapsed().clamp(REST.0, REST.1));
    }
    if shrink {
        progress.show(|| format!("{rows} rows deleted; shrinking the file"));
        store.shrink()?;
    }
    drop(progress);
    let (batteries, cells) = (format_retention(keep.batteries), format_retention(keep.cells));
    writeln!(
        io::stdout(),
        "{rows} rows deleted from {} (retention: batteries {batteries}, cells {cells})",
        settings.url
    )?;
    Ok(())
}

/// Formats a retention in days if possible.
fn format_retention(span: Duration) -> String {
    match span.as_secs() {
        0 => "forever".to_owned(),
        seconds if seconds % DAY == 0 => format!("{} days", seconds / DAY),
        _ => format_duration(span).to_string(),
    }
}

fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|at| at.to_string()).unwrap_or_default()
}
