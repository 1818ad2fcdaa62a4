//! `bankwatch db`: brings the history's schema up to date, copies the rows of pytes_serial, deletes old ones, and hands all
//! of it to other programs. All of it beside the running service: in small transactions, between which that goes on.

mod export;

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use clap::Subcommand;
use humantime::format_duration;
use jiff::Timestamp;

use crate::cli::exit::Exit;
use crate::cli::progress::Progress;
use crate::cli::service::ServiceArguments;
use crate::settings::{BankSettings, DatabaseSettings};
use crate::store::clock_gate::MADE_AT_MS;
use crate::store::{
    Class, Imported, MariaDb, Retention, StoreError, open, open_existing, prepare_legacy_table, server,
};

/// In seconds.
const DAY: u64 = 86_400;
/// The rest after a step of pruning is as long as the step, within these bounds: whoever else writes has every second
/// moment for it, and a large history is through in minutes.
const REST: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));

/// What to do with the history.
#[derive(Debug, Subcommand)]
pub(crate) enum DbVerb {
    /// Create the tables, or bring them up to date; the service does this automatically
    #[command(
        after_help = "Example: for a service whose account may not create tables\n  bankwatch db migrate --config /etc/bankwatch/bankwatch.toml"
    )]
    Migrate {
        /// Which
        #[command(flatten)]
        service: ServiceArguments,
    },
    /// Copy the rows of pwr_data, the table of pytes_serial, once; what was copied before is left as it is
    #[command(
        after_help = "Example: with the settings file of pytes_serial\n  bankwatch db import-legacy --config pytes_serial.cfg"
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
    Export(export::ExportArguments),
}

/// Does it, and says what was done, with a count.
///
/// # Errors
/// The settings are wrong, or the database does not do what it is asked, in its words.
pub(crate) fn db(verb: &DbVerb) -> anyhow::Result<Exit> {
    match verb {
        DbVerb::Migrate { service } => migrate(&service.load()?.settings.database)?,
        DbVerb::ImportLegacy { bank, service } => {
            let settings = service.load()?.settings;
            import_legacy(&settings.database, chosen(&settings.banks, bank.as_deref())?)?;
        }
        DbVerb::Prune { shrink, service } => prune(&service.load()?.settings.database, *shrink)?,
        DbVerb::Export(arguments) => export::export(arguments)?,
    }
    Ok(Exit::Well)
}

fn migrate(settings: &DatabaseSettings) -> anyhow::Result<()> {
    let schema = open(settings)?.schema();
    let refusal = match settings.legacy_table {
        true => prepare_legacy_table(&server(settings)?).err(),
        false => None,
    };
    let (url, now) = (&settings.url, &schema.now);
    let mut out = io::stdout().lock();
    match schema.found {
        Some(found) if found == *now => writeln!(out, "{url} has the schema {now} already")?,
        Some(found) => writeln!(out, "{url} brought from the schema {found} to {now}")?,
        None => writeln!(out, "{url} made with the schema {now}")?,
    }
    if let Some(refusal) = refusal {
        writeln!(io::stderr(), "warning: pwr_data takes no rows: {refusal}")?;
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
    let mut store = MariaDb::open_existing(&server(settings)?)?;
    let mut progress = Progress::new();
    let mut show = |so_far: &Imported| {
        progress.show(|| format!("{} of {} rows of pwr_data read", so_far.read, so_far.rows));
    };
    let imported = store.import_legacy(bank, &mut show);
    drop(progress);
    let done = imported.map_err(|error| {
        let may_be_repeated = error.class() == Class::Outside;
        let error = anyhow::Error::new(error);
        if may_be_repeated {
            error.context("what was copied so far stays; done again, it goes on")
        } else {
            error
        }
    })?;
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
    let mut store = open_existing(settings)?;
    let keep = Retention { batteries: settings.retention, cells: settings.cell_retention };
    let (now, mut rows, mut rescued, mut progress) = (Timestamp::now(), 0, false, Progress::new());
    if now.as_millisecond() < MADE_AT_MS {
        bail!("this machine's clock says {now:.0}, which is before bankwatch was made: set it first");
    }
    loop {
        let began = Instant::now();
        let pruned = match store.prune(now, &keep) {
            // Deleting needs room itself: some is set aside for it.
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

fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|at| at.to_string()).unwrap_or_default()
}
