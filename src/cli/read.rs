//! `bankwatch read`: one sweep as a table or as JSON.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::exit::Exit;
use crate::cli::service::ServiceArguments;
use crate::cli::sweep::{self, Unswept};
use crate::events::catalogue::Catalogue;
use crate::events::decode::tell_standing;
use crate::link::{Link, SerialParams};
use crate::model::report::BankReport;
use crate::outage::HumanDuration;
use crate::settings::{BankSettings, LineEnd, Settings};
use crate::status::{Status, table};
use crate::sweep::client::{Conversation, Patience};

/// What to read, and how to show it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bankwatch read /dev/ttyUSB0\n  bankwatch read tcp://192.0.2.7:4196 --cells\n  bankwatch read --json"
)]
pub(crate) struct ReadArguments {
    /// The console: /dev/ttyUSB0, tcp://host:port or replay:FILE. Without it, the latest reading of the running
    /// service
    link: Option<String>,
    /// Print JSON, as in the status file
    #[arg(long)]
    json: bool,
    /// Show every cell
    #[arg(long)]
    cells: bool,
    /// Bits a second of a serial port
    #[arg(long, default_value_t = 115_200)]
    baud: u32,
    /// Where no link is given
    #[command(flatten)]
    service: ServiceArguments,
}

/// Shows one sweep. Exit code 1 where an answer is missing from it.
///
/// # Errors
/// The link can't be opened, nobody answers, or the settings are wrong.
pub(crate) fn read(arguments: &ReadArguments) -> anyhow::Result<Exit> {
    let (statuses, exit) = match &arguments.link {
        Some(link) => {
            let line = SerialParams { baud: arguments.baud, ..SerialParams::default() };
            let mut report = ask(Link::parse(link, line)?)?;
            tell_standing(&mut report, &Catalogue::load(None).0);
            let reading = &report.reading;
            for missing in reading.missing.iter().chain(&reading.unreadable_facts) {
                writeln!(io::stderr(), "{:?}: {}", missing.command, missing.reason)?;
            }
            let exit = if report.reading.missing.is_empty() { Exit::Well } else { Exit::Failed };
            (vec![Status::of(&report, &TimeZone::system())], exit)
        }
        None => {
            let latest = latest(&arguments.service.load()?.settings)?;
            let exit = if told_stale(&latest)? { Exit::Failed } else { Exit::Well };
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
fn ask(link: Link) -> anyhow::Result<BankReport> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let opened = link.open().await?;
        let mut conversation = Conversation::new(opened, LineEnd::Lf.as_bytes(), Patience::default());
        let swept = sweep::one(&link, &mut conversation, None).await;
        swept.map_err(|unswept| match unswept {
            Unswept::Gone { .. } => unswept.into(),
            Unswept::Unheard { .. } => anyhow!(
                "{unswept}. Check that the cable is in the socket named Console or RS232 of the first battery, \
                 that the battery is on, and the speed (115200); `bankwatch doctor {link}` looks closer"
            ),
        })
    })
}

/// What the running service wrote last of each of its banks, and how old that may be.
fn latest(settings: &Settings) -> anyhow::Result<Vec<(Status, Duration)>> {
    if !settings.json_file.enabled {
        bail!(
            "the service's status file is switched off ([json_file] enabled = false); name a link to ask the console"
        );
    }
    let status = |bank: &BankSettings| {
        let path = settings.json_file.of(&bank.name);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "{} can't be read: is the service running? Name a link to ask the console itself",
                path.display()
            )
        })?;
        let status = serde_json::from_str(&text);
        let status =
            status.with_context(|| format!("{} is no status file of this version", path.display()))?;
        Ok((status, MOST_INTERVALS * bank.interval))
    };
    settings.banks.iter().map(status).collect()
}

/// A bank is offline when nothing came for so many of its intervals.
const MOST_INTERVALS: u32 = 3;

/// Says of each bank whose reading is old how old it is; answers whether any is.
fn told_stale(latest: &[(Status, Duration)]) -> anyhow::Result<bool> {
    let mut stale = false;
    for (status, most) in latest {
        let taken: Timestamp = status.taken_at.parse().context("the status file's time can't be read")?;
        let age = Duration::try_from(Timestamp::now().duration_since(taken)).unwrap_or_default();
        if age > *most {
            stale = true;
            writeln!(
                io::stderr(),
                "{}: this reading is {} old; the service or its link is down",
                status.bank,
                HumanDuration(age)
            )?;
        }
    }
    Ok(stale)
}
