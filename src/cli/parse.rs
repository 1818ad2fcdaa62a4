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
use crate::console::framing::answer::AnswerStatus;
use crate::console::framing::prompt::Prompt;
use crate::console::framing::recorded::{self, RecordedAnswer};

/// The largest input that is read.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Input is rejected as binary if more than one byte in this many is not text; a few are line noise.
const NON_TEXT_SHARE: usize = 4;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bankwatch parse answer.txt\n  bankwatch parse --command \"pwr 1\" < answer.txt"
)]
pub(crate) struct ParseArguments {
    /// Command of answers that do not start with its echo, such as "pwr 1"
    #[arg(long, value_name = "COMMAND")]
    command: Option<Command>,
    /// Transcript with one or more answers [default: standard input]
    file: Option<PathBuf>,
}

#[derive(Serialize)]
struct ParsedAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    /// Line number of its first line in the input.
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
enum AnswerError {
    #[error(
        "expected a transcript that begins with the echo of its command, like \"pylon>pwr 1\", found none; \
         pass the command with --command \"pwr 1\""
    )]
    NoCommand,
    #[error(
        "the command is not one that bankwatch sends: {0}; if its echo is damaged, pass the command with --command"
    )]
    UnknownCommand(#[from] UnknownCommand),
    #[error("not an answer to {command:?}: {reason}")]
    Rejected { command: String, reason: Rejected },
}

impl AnswerError {
    /// Whether the console refused the command.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Rejected { reason: Rejected::Refused(_), .. })
    }
}

/// Prints the parsed answers of a transcript: a single answer as an object, several as an array. Returns
/// [`Exit::Failure`] if an answer or a line of it could not be parsed; a refusal among several answers counts as
/// parsed.
///
/// # Errors
/// Returns an error if the input cannot be read, is not a transcript, or has a single answer without values.
pub(crate) fn parse(arguments: &ParseArguments) -> anyhow::Result<Exit> {
    let bytes = match &arguments.file {
        None => read_bounded(io::stdin().lock()).context("standard input can't be read")?,
        Some(path) => {
            let context = || format!("{} can't be read", path.display());
            read_bounded(File::open(path).with_context(context)?).with_context(context)?
        }
    };
    let text = recorded::decode_text(&bytes);
    let non_text = text.iter().filter(|byte| !byte.is_ascii_graphic() && !byte.is_ascii_whitespace()).count();
    if non_text > text.len() / NON_TEXT_SHARE {
        bail!("expected a console transcript, found {} bytes of which {non_text} are not text", text.len());
    }
    let answers = recorded::find_answers(&text);
    let given = arguments.command;
    let read: Vec<_> = answers.iter().map(|recorded| read(recorded, given)).collect();
    let read = match read.len() {
        0 => return Err(AnswerError::NoCommand.into()),
        1 => read.into_iter().map(|only| only.map(Ok)).collect::<Result<Vec<_>, AnswerError>>()?,
        _ => read,
    };
    let outputs: Vec<_> =
        answers.iter().zip(&read).map(|(recorded, read)| output(recorded, given, read)).collect();
    let mut out = io::stdout().lock();
    match outputs.as_slice() {
        [one] => serde_json::to_writer_pretty(&mut out, one)?,
        all => serde_json::to_writer_pretty(&mut out, all)?,
    }
    writeln!(out)?;
    let all_parsed = read.iter().all(|read| match read {
        Ok(parsed) => parsed.problems().is_empty(),
        Err(reason) => reason.is_refusal(),
    });
    Ok(if all_parsed { Exit::Success } else { Exit::Failure })
}

/// The command of an answer: its echo, or the one passed on the command line.
fn command_of(recorded: &RecordedAnswer, given: Option<Command>) -> Result<Command, AnswerError> {
    match (recorded.answer.echo.as_deref().map(str::parse::<Command>), given) {
        (Some(Ok(command)), _) | (_, Some(command)) => Ok(command),
        (Some(Err(unknown)), None) => Err(unknown.into()),
        (None, None) => Err(AnswerError::NoCommand),
    }
}

fn read(recorded: &RecordedAnswer, given: Option<Command>) -> Result<Parsed, AnswerError> {
    let answer = &recorded.answer;
    let command = command_of(recorded, given)?;
    let parsed = match answer.status {
        AnswerStatus::Unclear => answers::parse_text(command, answer).map_err(Rejected::from),
        _ => answers::parse(command, answer),
    };
    parsed.map_err(|reason| AnswerError::Rejected { command: command.to_string(), reason })
}

fn output<'a>(
    recorded: &RecordedAnswer,
    given: Option<Command>,
    read: &'a Result<Parsed, AnswerError>,
) -> ParsedAnswer<'a> {
    let problems = read.as_ref().map_or(&[][..], Parsed::problems);
    let question = command_of(recorded, given).map(|command| command.to_string());
    ParsedAnswer {
        command: question.ok().or_else(|| recorded.answer.echo.clone()),
        line: recorded.line,
        prompt: recorded.answer.prompt,
        ended: recorded.answer.has_end_mark,
        values: read.as_ref().ok(),
        error: read.as_ref().err().map(ToString::to_string),
        problems: problems.iter().map(ToString::to_string).collect(),
    }
}

fn read_bounded(from: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        bail!("expected a console transcript, found more than {} MiB", MAX_BYTES / 1024 / 1024);
    }
    Ok(bytes)
}
