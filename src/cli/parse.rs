//! `bankwatch parse`: prints the answers in a captured transcript as JSON, for bug reports and tests.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use crate::cli::exit::Exit;
use crate::console::answers;
use crate::console::answers::parsed::{Parsed, Rejected};
use crate::console::command::{Command, UnknownCommand};
use crate::console::framing::answer::Verdict;
use crate::console::framing::prompt::Prompt;
use crate::console::framing::recorded::{self, Recorded};

/// More than anybody copies by hand; a recording of hundreds of rounds is larger.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// One byte in so many may be noise; more of it, and it is a photo or the like.
const MOST_STRANGE: usize = 4;

/// What to parse.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bankwatch parse answer.txt\n  bankwatch parse --command \"pwr 1\" < answer.txt"
)]
pub(crate) struct ParseArguments {
    /// Command of answers that do not begin with its echo, for example "pwr 1"
    #[arg(long, value_name = "COMMAND")]
    command: Option<Command>,
    /// Transcript of one answer or several; standard input if omitted
    file: Option<PathBuf>,
}

/// What is printed of an answer.
#[derive(Serialize)]
struct Output<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    /// The line of the file on which it begins.
    line: usize,
    prompt: Option<Prompt>,
    /// Whether the transcript has its end mark.
    ended: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<&'a Parsed>,
    /// Why there are no values.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

/// Why an answer of a file has no values.
#[derive(Debug, thiserror::Error)]
enum NoValues {
    #[error(
        "expected a transcript that begins with the echo of its command, like \"pylon>pwr 1\", found none; \
         name the command with --command \"pwr 1\""
    )]
    NoQuestion,
    #[error(
        "the command is not one that bankwatch sends: {0}; if its echo is damaged, name the command with --command"
    )]
    UnknownQuestion(#[from] UnknownCommand),
    #[error("this is no answer to {command:?}: {why}")]
    Rejected { command: String, why: Rejected },
}

impl NoValues {
    /// Whether the console itself had no values to give.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Rejected { why: Rejected::Refused(_), .. })
    }
}

/// Prints the values of the answers in a transcript: of one as an object, of several as a list. Exit code 1 where an
/// answer or lines of it could not be read; a refusal among several answers counts as an answer.
///
/// # Errors
/// It can't be read, it is no transcript, or its only answer has no values.
pub(crate) fn parse(arguments: &ParseArguments) -> anyhow::Result<Exit> {
    let bytes = match &arguments.file {
        None => bounded(io::stdin().lock()).context("standard input can't be read")?,
        Some(path) => {
            let named = || format!("{} can't be read", path.display());
            bounded(File::open(path).with_context(named)?).with_context(named)?
        }
    };
    let text = recorded::text_of(&bytes);
    let strange = text.iter().filter(|byte| !byte.is_ascii_graphic() && !byte.is_ascii_whitespace()).count();
    if strange > text.len() / MOST_STRANGE {
        bail!("expected a console's text, found {} bytes of which {strange} are not text", text.len());
    }
    let answers = recorded::answers(&text);
    let asked = arguments.command;
    let read: Vec<_> = answers.iter().map(|recorded| read(recorded, asked)).collect();
    let read = match read.len() {
        0 => return Err(NoValues::NoQuestion.into()),
        1 => read.into_iter().map(|only| only.map(Ok)).collect::<Result<Vec<_>, NoValues>>()?,
        _ => read,
    };
    let outputs: Vec<_> =
        answers.iter().zip(&read).map(|(recorded, read)| output(recorded, asked, read)).collect();
    let mut out = io::stdout().lock();
    match outputs.as_slice() {
        [one] => serde_json::to_writer_pretty(&mut out, one)?,
        all => serde_json::to_writer_pretty(&mut out, all)?,
    }
    writeln!(out)?;
    let well = read.iter().all(|read| match read {
        Ok(parsed) => parsed.problems().is_empty(),
        Err(why) => why.is_refusal(),
    });
    Ok(if well { Exit::Well } else { Exit::Failed })
}

/// The question of an answer: its echo, else what was asked for on the command line.
fn question(recorded: &Recorded, asked: Option<Command>) -> Result<Command, NoValues> {
    match (recorded.answer.echo.as_deref().map(str::parse::<Command>), asked) {
        (Some(Ok(command)), _) | (_, Some(command)) => Ok(command),
        (Some(Err(unknown)), None) => Err(unknown.into()),
        (None, None) => Err(NoValues::NoQuestion),
    }
}

fn read(recorded: &Recorded, asked: Option<Command>) -> Result<Parsed, NoValues> {
    let answer = &recorded.answer;
    let command = question(recorded, asked)?;
    let parsed = match answer.verdict {
        Verdict::Unclear => answers::parse_text(command, answer).map_err(Rejected::from),
        _ => answers::parse(command, answer),
    };
    parsed.map_err(|why| NoValues::Rejected { command: command.to_string(), why })
}

fn output<'a>(recorded: &Recorded, asked: Option<Command>, read: &'a Result<Parsed, NoValues>) -> Output<'a> {
    let problems = read.as_ref().map_or(&[][..], Parsed::problems);
    let question = question(recorded, asked).map(|command| command.to_string());
    Output {
        command: question.ok().or_else(|| recorded.answer.echo.clone()),
        line: recorded.line,
        prompt: recorded.answer.prompt,
        ended: recorded.answer.ended,
        values: read.as_ref().ok(),
        error: read.as_ref().err().map(ToString::to_string),
        problems: problems.iter().map(ToString::to_string).collect(),
    }
}

fn bounded(from: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        bail!("expected a console's text, found more than {} MiB", MOST_BYTES / 1024 / 1024);
    }
    Ok(bytes)
}
