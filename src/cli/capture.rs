//! `bankwatch capture`: records raw answers with timestamps and redacted barcodes, for replay and bug reports.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;

use crate::cli::exit::Exit;
use crate::console::answers;
use crate::console::answers::parsed::Parsed;
use crate::console::command::{Command, CommandName};
use crate::console::framing::answer::Answer;
use crate::console::redact::Redactor;
use crate::console::transcript::CommandError;
use crate::link::tee::{Recording, Tee};
use crate::link::{Link, SerialParams};
use crate::model::place::Place;
use crate::settings::LineEnd;
use crate::sweep::client::{ConsoleClient, ConsoleTimeouts};
use crate::sweep::wake::probe_console;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bankwatch capture /dev/ttyUSB0 -o bank.txt\n  bankwatch read replay:bank.txt"
)]
pub(crate) struct CaptureArguments {
    /// The link: /dev/ttyUSB0, tcp://host:port, rfc2217://host:port or replay:FILE
    link: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// How many rounds to record
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
}

/// Sent once per round; refused commands are recorded as well.
const BANK_COMMANDS: &[CommandName] = &[
    CommandName::Help,
    CommandName::Pwr,
    CommandName::Unit,
    CommandName::Bat,
    CommandName::Info,
    CommandName::Stat,
    CommandName::Time,
    CommandName::Log,
    CommandName::DataEvent,
    CommandName::DataHistory,
];
/// Sent for each battery.
const BATTERY_COMMANDS: &[CommandName] =
    &[CommandName::Pwr, CommandName::Bat, CommandName::Info, CommandName::Stat, CommandName::Soh];

/// No sweep is waiting, so answers with many pages are recorded to the end.
fn timeouts() -> ConsoleTimeouts {
    let pages = Duration::from_secs(120);
    ConsoleTimeouts { whole_answer: pages, paging: pages, ..ConsoleTimeouts::default() }
}

/// Records the answers. Exit status 1 if a command got no answer.
///
/// # Errors
/// Fails if the link can't be opened or is lost, or the file can't be written.
pub(crate) fn capture(arguments: &CaptureArguments) -> anyhow::Result<Exit> {
    let link = Link::parse(&arguments.link, SerialParams::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut client, recording) = runtime.block_on(open(&link))?;
    let write_failed = || format!("cannot write {}", arguments.output.display());
    let mut file = File::create(&arguments.output).with_context(write_failed)?;
    let mut answers = Vec::new();
    let result = runtime.block_on(record(&mut client, &recording, arguments.rounds, &mut answers));
    write(&mut file, &link, &answers).with_context(write_failed)?;
    let unanswered = answers.iter().filter(|answer| answer.bytes.is_empty()).count();
    writeln!(
        io::stdout(),
        "{} answers recorded in {}, barcodes redacted",
        answers.len() - unanswered,
        arguments.output.display()
    )?;
    if let Err(reason) = result {
        bail!(
            "lost the connection to {link} while recording: {reason}; the file contains the answers until then"
        );
    }
    Ok(if unanswered == 0 { Exit::Success } else { Exit::Failure })
}

/// A command and the bytes received in response.
struct CapturedAnswer {
    command: Command,
    at: Timestamp,
    seconds: f64,
    bytes: Vec<u8>,
}

/// Opens the link, records everything received, and checks that a console answers.
async fn open(link: &Link) -> anyhow::Result<(ConsoleClient, Recording)> {
    let (tee, recording) = Tee::new(link.open().await?);
    let mut client = ConsoleClient::new(Box::new(tee), LineEnd::Lf.as_bytes(), timeouts());
    match probe_console(&mut client, Some(link.line.baud)).await {
        Err(CommandError::NoResponse) => {
            bail!("the console on {link} does not answer; run `bankwatch doctor {link}` to find out why")
        }
        Err(CommandError::LinkGone(reason)) => bail!("lost the connection to {link}: {reason}"),
        // Anything else is worth recording.
        Ok(_) | Err(_) => Ok((client, recording)),
    }
}

/// Sends the commands of all rounds.
///
/// # Errors
/// Returns the reason if the connection is lost.
async fn record(
    client: &mut ConsoleClient,
    recording: &Recording,
    rounds: u32,
    answers: &mut Vec<CapturedAnswer>,
) -> Result<(), String> {
    for _ in 0..rounds {
        let mut commands: Vec<Command> = BANK_COMMANDS.iter().rev().map(|name| name.bare()).collect();
        while let Some(command) = commands.pop() {
            let _ = recording.take();
            let (at, start) = (Timestamp::now(), Instant::now());
            let outcome = client.execute(command).await;
            let (seconds, bytes) = (start.elapsed().as_secs_f64(), recording.take());
            answers.push(CapturedAnswer { command, at, seconds, bytes });
            match outcome {
                Err(CommandError::LinkGone(reason)) => return Err(reason),
                Ok(answer) if command == CommandName::Pwr.bare() => {
                    commands.splice(0..0, battery_commands(&answer));
                }
                Ok(answer) if command == CommandName::Help.bare() && lists_euro(&answer) => {
                    commands.push(CommandName::Euro.bare());
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The commands for each battery present in the table, last one first.
fn battery_commands(answer: &Answer) -> Vec<Command> {
    let present: BTreeSet<Place> = match answers::parse(CommandName::Pwr.bare(), answer) {
        Ok(Parsed::Table(table)) => table.present_places().collect(),
        _ => BTreeSet::new(),
    };
    present
        .iter()
        .rev()
        .flat_map(|place| BATTERY_COMMANDS.iter().rev().map(|name| name.for_place(*place)))
        .collect()
}

fn lists_euro(answer: &Answer) -> bool {
    matches!(answers::parse(CommandName::Help.bare(), answer), Ok(Parsed::Help(help)) if help.lists(CommandName::Euro.text()))
}

fn write(out: &mut impl Write, link: &Link, answers: &[CapturedAnswer]) -> io::Result<()> {
    let mut redactor = Redactor::default();
    answers.iter().for_each(|answer| redactor.collect(&answer.bytes));
    let (version, now) = (env!("CARGO_PKG_VERSION"), Timestamp::now());
    writeln!(out, "# bankwatch {version}, recorded from {link} at {now:.0}; barcodes are redacted")?;
    for CapturedAnswer { command, at, seconds, bytes } in answers {
        writeln!(out, "# {at:.3} {command}, {seconds:.3} s, {} bytes", bytes.len())?;
        out.write_all(&redactor.redact(bytes))?;
        writeln!(out)?;
    }
    Ok(())
}
