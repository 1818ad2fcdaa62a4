//! `bankwatch read`: polls a bank once, or reads the status file of the service, and prints a table or JSON.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::exit::Exit;
use crate::cli::service::ServiceArguments;
use crate::cli::sweep::{self, SweepError};
use crate::events::catalogue::Catalogue;
use crate::events::decode::set_active_events;
use crate::link::{Link, SerialParams};
use crate::model::report::BankReport;
use crate::outage::HumanDuration;
use crate::settings::{BankSettings, LineEnd, Settings};
use crate::status::{StatusDocument, table};
use crate::sweep::client::{ConsoleClient, ConsoleTimeouts};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bankwatch read /dev/ttyUSB0\n  bankwatch read tcp://192.0.2.7:4196 --cells\n  bankwatch read --json"
)]
pub(crate) struct ReadArguments {
    /// Link to the console: /dev/ttyUSB0, tcp://host:port, rfc2217://host:port or replay:FILE. Without it, print the
    /// latest reading of the running service
    link: Option<String>,
    /// Print JSON in the format of the status file
    #[arg(long)]
    json: bool,
    /// Also print every cell
    #[arg(long)]
    cells: bool,
    /// Baud rate of a serial port
    #[arg(long, default_value_t = 115_200)]
    baud: u32,
    #[command(flatten)]
    service: ServiceArguments,
}

/// Prints one reading per bank. Returns [`Exit::Failure`] if an answer is missing or a reading is out of date.
///
/// # Errors
/// Returns an error if the link cannot be opened, the console does not answer, there is no status file, or the
/// configuration is invalid.
pub(crate) fn read(arguments: &ReadArguments) -> anyhow::Result<Exit> {
    let (statuses, exit) = match &arguments.link {
        Some(link) => {
            let line = SerialParams { baud: arguments.baud, ..SerialParams::default() };
            let mut report = sweep_link(Link::parse(link, line)?)?;
            set_active_events(&mut report, &Catalogue::load(None).0);
            let reading = &report.reading;
            for missing in reading.missing.iter().chain(&reading.unreadable_facts) {
                writeln!(io::stderr(), "{:?}: {}", missing.command, missing.reason)?;
            }
            let exit = if report.reading.missing.is_empty() { Exit::Success } else { Exit::Failure };
            (vec![StatusDocument::of(&report, &TimeZone::system())], exit)
        }
        None => {
            let latest = latest(&arguments.service.load()?.settings)?;
            let exit = if report_stale(&latest)? { Exit::Failure } else { Exit::Success };
            (latest.into_iter().map(|(status, _)| status).collect(), exit)
        }
    };
    let mut out = io::stdout().lock();
    for status in statuses {
        if arguments.json {
            serde_json::to_writer_pretty(&mut out, &status)?;
            writeln!(out)?;
        } else {
            write!(out, "{}", table::render(&status, arguments.cells))?;
        }
    }
    Ok(exit)
}

/// One full sweep over `link`.
fn sweep_link(link: Link) -> anyhow::Result<BankReport> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let open = link.open().await?;
        let mut conversation = ConsoleClient::new(open, LineEnd::Lf.as_bytes(), ConsoleTimeouts::default());
        let result = sweep::run_once(&link, &mut conversation, None).await;
        result.map_err(|error| match error {
            SweepError::LinkLost { .. } => error.into(),
            SweepError::NoAnswer { .. } => anyhow!(
                "{error}. Check that the cable is in the socket named Console or RS232 of the first battery, that \
                 the battery is switched on, and the baud rate (115200). For a diagnosis, run `bankwatch doctor {link}`"
            ),
        })
    })
}

/// The status file of each bank, and the age from which it counts as out of date.
fn latest(settings: &Settings) -> anyhow::Result<Vec<(StatusDocument, Duration)>> {
    if !settings.json_file.enabled {
        bail!(
            "the status file of the service is disabled ([json_file] enabled = false); pass a LINK to poll the console"
        );
    }
    let status = |bank: &BankSettings| {
        let path = settings.json_file.path_for(&bank.name);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "{} can't be read: is the service running? Pass a LINK to poll the console directly",
                path.display()
            )
        })?;
        let status = serde_json::from_str(&text);
        let status =
            status.with_context(|| format!("{} is not a status file of this version", path.display()))?;
        Ok((status, STALE_INTERVALS * bank.interval))
    };
    settings.banks.iter().map(status).collect()
}

/// A reading that is older than this many intervals is out of date.
const STALE_INTERVALS: u32 = 3;

/// Reports banks with an out-of-date reading on standard error. Returns whether there are any.
fn report_stale(latest: &[(StatusDocument, Duration)]) -> anyhow::Result<bool> {
    let mut stale = false;
    for (status, max_age) in latest {
        let taken: Timestamp =
            status.taken_at.parse().context("taken_at in the status file can't be parsed")?;
        let age = Duration::try_from(Timestamp::now().duration_since(taken)).unwrap_or_default();
        if age > *max_age {
            stale = true;
            writeln!(
                io::stderr(),
                "{}: this reading is {} old; the service is not running, or its link is down",
                status.bank,
                HumanDuration(age)
            )?;
        }
    }
    Ok(stale)
}
