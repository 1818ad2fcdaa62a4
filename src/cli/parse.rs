//! `bankwatch parse`: a transcript to JSON, for bug reports and tests.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use crate::cli::exit::Exit;
use crate::console::answer::{Answer, Verdict};
use crate::console::command::Command;
use crate::console::parsed::{self, Parsed};
use crate::console::prompt::Prompt;

/// More than any transcript of one answer.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// One byte in so many may be noise; more of it, and it is a photo or the like.
const MOST_STRANGE: usize = 4;

/// What to parse.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bankwatch parse answer.txt\n  bankwatch parse --command \"pwr 1\" < answer.txt"
)]
pub struct ParseArguments {
    /// The question, where the transcript does not begin with its echo
    #[arg(long, value_name = "COMMAND")]
    command: Option<Command>,
    /// The transcript; else standard input
    file: Option<PathBuf>,
}

/// What is printed.
#[derive(Serialize)]
struct Output<'a> {
    command: String,
    prompt: Option<Prompt>,
    /// Whether the transcript has its end mark.
    ended: bool,
    values: &'a Parsed,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

/// Prints the values of one transcript. Exit code 1 where lines of it could not be read.
///
/// # Errors
/// It can't be read, it is no transcript, or the console refused in it.
pub fn parse(arguments: &ParseArguments) -> anyhow::Result<Exit> {
    let bytes = match &arguments.file {
        None => bounded(io::stdin().lock()).context("standard input can't be read")?,
        Some(path) => {
            let named = || format!("{} can't be read", path.display());
            bounded(File::open(path).with_context(named)?).with_context(named)?
        }
    };
    let strange = bytes.iter().filter(|byte| !byte.is_ascii_graphic() && !byte.is_ascii_whitespace()).count();
    if strange > bytes.len() / MOST_STRANGE {
        bail!("expected a console's text, found {} bytes of which {strange} are no text", bytes.len());
    }
    let answer = Answer::from_transcript(&bytes);
    let Some(command) = arguments.command.or(answer.command()) else {
        bail!(
            "expected a transcript that begins with the echo of its question, like \"pylon>pwr 1\", \
             found none in {} bytes; name the question with --command \"pwr 1\"",
            bytes.len()
        );
    };
    let parsed = match answer.verdict {
        Verdict::Unclear => parsed::read(command, &answer).map_err(anyhow::Error::from),
        _ => parsed::parse(command, &answer).map_err(anyhow::Error::from),
    };
    let values = &parsed.with_context(|| format!("this is no answer to {:?}", command.to_string()))?;
    let problems: Vec<String> = values.problems().iter().map(ToString::to_string).collect();
    let exit = if problems.is_empty() { Exit::Well } else { Exit::Failed };
    let output =
        Output { command: command.to_string(), prompt: answer.prompt, ended: answer.ended, values, problems };
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &output)?;
    writeln!(out)?;
    Ok(exit)
}

fn bounded(from: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        bail!("expected a transcript of one answer, found more than {} MiB", MOST_BYTES / 1024 / 1024);
    }
    Ok(bytes)
}
