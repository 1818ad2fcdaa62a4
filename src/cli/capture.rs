//! `bankwatch capture`: raw answers with their times, barcodes blanked, for replay and bug reports.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;

use crate::cli::exit::Exit;
use crate::console::answer::Answer;
use crate::console::blank::Blank;
use crate::console::command::{Command, Verb};
use crate::console::parsed::{self, Parsed};
use crate::console::transcript::Lost;
use crate::link::tap::{self, Tap};
use crate::link::{Line, Link};
use crate::model::place::Place;
use crate::settings::LineEnd;
use crate::sweep::conversation::{Conversation, Patience};
use crate::sweep::wake::greet;

/// Which link, and where to.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bankwatch capture /dev/ttyUSB0 -o bank.txt\n  bankwatch read replay:bank.txt"
)]
pub(crate) struct CaptureArguments {
    /// The link: /dev/ttyUSB0, tcp://host:port, rfc2217://host:port or replay:FILE
    link: String,
    /// The recording
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// How many rounds to record
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
}

/// Asked of the group, then of each battery; what the console refuses is recorded as well.
const OF_GROUP: &[Verb] = &[
    Verb::Help,
    Verb::Pwr,
    Verb::Unit,
    Verb::Bat,
    Verb::Info,
    Verb::Stat,
    Verb::Time,
    Verb::Log,
    Verb::DataEvent,
    Verb::DataHistory,
];
const OF_BATTERY: &[Verb] = &[Verb::Pwr, Verb::Bat, Verb::Info, Verb::Stat, Verb::Soh];

/// Nobody waits for the next sweep here: an answer of many pages is recorded to its end.
fn patience() -> Patience {
    let pages = Duration::from_secs(120);
    Patience { whole: pages, pages, ..Patience::default() }
}

/// Records. Exit code 1 where a question went without any answer.
///
/// # Errors
/// The link can't be opened or goes away, or the file can't be written.
pub(crate) fn capture(arguments: &CaptureArguments) -> anyhow::Result<Exit> {
    let link = Link::parse(&arguments.link, Line::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut conversation, copy) = runtime.block_on(greeted(&link))?;
    let named = || format!("{} can't be written", arguments.output.display());
    let mut file = File::create(&arguments.output).with_context(named)?;
    let mut recorded = Vec::new();
    let ended = runtime.block_on(record(&mut conversation, &copy, arguments.rounds, &mut recorded));
    write(&mut file, &link, &recorded).with_context(named)?;
    let silent = recorded.iter().filter(|record| record.bytes.is_empty()).count();
    writeln!(
        io::stdout(),
        "{} answers recorded in {}, barcodes blanked",
        recorded.len() - silent,
        arguments.output.display()
    )?;
    if let Err(why) = ended {
        bail!("{link} went away while it was being recorded: {why}; what came until then is in the file");
    }
    Ok(if silent == 0 { Exit::Well } else { Exit::Failed })
}

/// One question and the bytes that came back.
struct Record {
    command: Command,
    at: Timestamp,
    seconds: f64,
    bytes: Vec<u8>,
}

/// Opens the link, with a copy of all that comes in, and sees whether anybody is there.
async fn greeted(link: &Link) -> anyhow::Result<(Conversation, tap::Copy)> {
    let (tap, copy) = Tap::new(link.open().await?);
    let mut conversation = Conversation::new(Box::new(tap), LineEnd::Lf.as_bytes(), patience());
    match greet(&mut conversation, Some(link.line.baud)).await {
        Err(Lost::Silent) => {
            bail!("the console on {link} does not answer; `bankwatch doctor {link}` looks closer")
        }
        Err(Lost::LinkGone(why)) => bail!("{link} went away: {why}"),
        // Whatever it is, it is worth recording.
        Ok(_) | Err(_) => Ok((conversation, copy)),
    }
}

/// Puts the questions. Answers how the link went away, if it did.
async fn record(
    conversation: &mut Conversation,
    copy: &tap::Copy,
    rounds: u32,
    records: &mut Vec<Record>,
) -> Result<(), String> {
    for _ in 0..rounds {
        let mut questions: Vec<Command> = OF_GROUP.iter().rev().map(|verb| verb.alone()).collect();
        while let Some(command) = questions.pop() {
            let _ = copy.take();
            let (at, began) = (Timestamp::now(), Instant::now());
            let answered = conversation.ask(command).await;
            records.push(Record { command, at, seconds: began.elapsed().as_secs_f64(), bytes: copy.take() });
            match answered {
                Err(Lost::LinkGone(why)) => return Err(why),
                Ok(answer) if command == Verb::Pwr.alone() => {
                    questions.splice(0..0, of_batteries(&answer));
                }
                Ok(answer) if command == Verb::Help.alone() && lists_euro(&answer) => {
                    questions.push(Verb::Euro.alone());
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The questions about each battery that the table shows, the last first.
fn of_batteries(answer: &Answer) -> Vec<Command> {
    let present: BTreeSet<Place> = match parsed::parse(Verb::Pwr.alone(), answer) {
        Ok(Parsed::Table(table)) => table.present().collect(),
        _ => BTreeSet::new(),
    };
    present.iter().rev().flat_map(|place| OF_BATTERY.iter().rev().map(|verb| verb.of(*place))).collect()
}

fn lists_euro(answer: &Answer) -> bool {
    matches!(parsed::parse(Verb::Help.alone(), answer), Ok(Parsed::Help(help)) if help.lists(Verb::Euro.text()))
}

fn write(out: &mut impl Write, link: &Link, records: &[Record]) -> io::Result<()> {
    let mut blank = Blank::default();
    records.iter().for_each(|record| blank.learn(&record.bytes));
    let (version, now) = (env!("CARGO_PKG_VERSION"), Timestamp::now());
    writeln!(out, "# bankwatch {version}, recorded from {link} at {now:.0}; barcodes are blanked")?;
    for Record { command, at, seconds, bytes } in records {
        writeln!(out, "# {at:.3} {command}, {seconds:.3} s, {} bytes", bytes.len())?;
        out.write_all(&blank.out(bytes))?;
        writeln!(out)?;
    }
    Ok(())
}
