//! `bankwatch doctor`: what is wrong with a link, in words, and how to mend it.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::cli::exit::Exit;
use crate::cli::sweep::{self, Timing};
use crate::console::diagnosis::Heard;
use crate::link::{Io, Line, Link, Target};
use crate::settings::LineEnd;
use crate::sweep::conversation::{Conversation, Patience};
use crate::sweep::wake::{Found, greet};

/// Which link.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bankwatch doctor /dev/ttyUSB0\n  bankwatch doctor tcp://192.0.2.7:4196")]
pub struct DoctorArguments {
    /// The link: /dev/ttyUSB0, tcp://host:port, rfc2217://host:port or replay:FILE
    link: String,
    /// How long to listen to each attempt
    #[arg(long, value_name = "TIME", default_value = "1500ms", value_parser = humantime::parse_duration)]
    listen: Duration,
}

/// One way of speaking to a console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attempt {
    baud: u32,
    line_end: LineEnd,
    /// Both modem lines.
    modem: bool,
}

const fn attempt(baud: u32, line_end: LineEnd, modem: bool) -> Attempt {
    Attempt { baud, line_end, modem }
}

/// In the order of how often each is the right one. The console's own speed is 115200 on every known battery;
/// other speeds come from bridges and adapters that were set up for something else.
const ATTEMPTS: &[Attempt] = &[
    attempt(115_200, LineEnd::Lf, true),
    attempt(115_200, LineEnd::Cr, true),
    attempt(115_200, LineEnd::Crlf, true),
    attempt(115_200, LineEnd::Lf, false),
    attempt(9_600, LineEnd::Lf, true),
    attempt(57_600, LineEnd::Lf, true),
    attempt(38_400, LineEnd::Lf, true),
    attempt(19_200, LineEnd::Lf, true),
    attempt(230_400, LineEnd::Lf, true),
];

/// Looks at the link. Exit code 0 where the console answers.
///
/// # Errors
/// The text is no link, or the output is closed.
pub fn doctor(arguments: &DoctorArguments) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(examine(arguments, &mut io::stdout().lock()))
}

async fn examine(arguments: &DoctorArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    let first = Link::parse(&arguments.link, Line::default())?;
    writeln!(out, "link       {first}")?;
    let mut heard = Vec::new();
    for attempt in ATTEMPTS.iter().filter(|attempt| applies(&first.target, **attempt)) {
        let line = Line { baud: attempt.baud, dtr: attempt.modem, rts: attempt.modem };
        let link = Link { line, ..first.clone() };
        let mut open = match link.open().await {
            Ok(open) => open,
            Err(error) => {
                writeln!(out, "opening    {error}")?;
                return Ok(Exit::Failed);
            }
        };
        let bytes = poke(&mut open, attempt.line_end, arguments.listen).await?;
        let found = Heard::of(&bytes);
        writeln!(out, "{:<10} {found}", label(&first.target, *attempt))?;
        if let Heard::Prompt(_) = found {
            return answering(&link, open, *attempt, out).await;
        }
        if matches!(found, Heard::Nothing)
            && attempt == &ATTEMPTS[0]
            && let Some(exit) = wake(&link, open, *attempt, out).await?
        {
            return Ok(exit);
        }
        heard.push(found);
    }
    advise(&first.target, &heard, out)?;
    Ok(Exit::Failed)
}

/// Speeds and modem lines exist on ports that can be set.
fn applies(target: &Target, attempt: Attempt) -> bool {
    match target {
        Target::Serial(_) | Target::Rfc2217(_) => true,
        Target::Tcp(_) | Target::Replay(_) => attempt.baud == ATTEMPTS[0].baud && attempt.modem,
    }
}

fn label(target: &Target, attempt: Attempt) -> String {
    let end = match attempt.line_end {
        LineEnd::Lf => "lf",
        LineEnd::Cr => "cr",
        LineEnd::Crlf => "crlf",
    };
    match target {
        Target::Serial(_) | Target::Rfc2217(_) => {
            format!("{} {end}{}", attempt.baud, if attempt.modem { "" } else { " dtr/rts off" })
        }
        Target::Tcp(_) | Target::Replay(_) => format!("line end {end}"),
    }
}

/// Sends an empty line and listens.
async fn poke(link: &mut Box<dyn Io>, line_end: LineEnd, listen: Duration) -> anyhow::Result<Vec<u8>> {
    let mut heard = Vec::new();
    let deadline = tokio::time::Instant::now() + listen;
    if timeout(listen, link.write_all(line_end.as_bytes())).await.is_err() {
        bail!(
            "the link takes no bytes: is flow control on, or the adapter hung? Pull it and plug it in again"
        );
    }
    let mut chunk = [0; 1024];
    const ENOUGH: usize = 64 * 1024;
    while heard.len() < ENOUGH {
        match tokio::time::timeout_at(deadline, link.read(&mut chunk)).await {
            Err(_) | Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(taken)) => heard.extend_from_slice(&chunk[..taken]),
        }
        if matches!(Heard::of(&heard), Heard::Prompt(_)) {
            break;
        }
    }
    Ok(heard)
}

/// A console that is silent may be asleep.
async fn wake(
    link: &Link,
    open: Box<dyn Io>,
    attempt: Attempt,
    out: &mut impl Write,
) -> anyhow::Result<Option<Exit>> {
    if !matches!(link.target, Target::Serial(_) | Target::Rfc2217(_)) {
        return Ok(None);
    }
    let mut conversation = Conversation::new(open, attempt.line_end.as_bytes(), patience());
    match greet(&mut conversation, Some(attempt.baud)).await {
        Ok(Found::Woken(prompt)) => {
            writeln!(out, "asleep     it answered {prompt} after it was woken at 1200 baud")?;
            Ok(Some(report(link, conversation, attempt, out).await?))
        }
        Ok(_) => Ok(Some(report(link, conversation, attempt, out).await?)),
        Err(_) => {
            writeln!(out, "waking     silence after the wake-up at 1200 baud")?;
            Ok(None)
        }
    }
}

fn patience() -> Patience {
    Patience { first: Duration::from_secs(2), ..Patience::default() }
}

async fn answering(
    link: &Link,
    open: Box<dyn Io>,
    attempt: Attempt,
    out: &mut impl Write,
) -> anyhow::Result<Exit> {
    let conversation = Conversation::new(open, attempt.line_end.as_bytes(), Patience::default());
    report(link, conversation, attempt, out).await
}

/// What the console says, how fast, and the settings for it.
async fn report(
    link: &Link,
    mut conversation: Conversation,
    attempt: Attempt,
    out: &mut impl Write,
) -> anyhow::Result<Exit> {
    let mut timing = Timing::default();
    let began = Instant::now();
    let report = sweep::one(link, &mut conversation, Some(&mut timing)).await?;
    let reading = &report.reading;
    let batteries = reading.batteries.len();
    writeln!(out, "batteries  {batteries}{}", if reading.series() { " modules in series" } else { "" })?;
    for (battery, facts) in reading.batteries.iter().zip(&report.facts) {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "?".into());
        let cells = battery.cells.as_ref().map_or_else(|| "no".to_owned(), |cells| cells.len().to_string());
        writeln!(
            out,
            "  {:<8} {} {}, firmware {}, {cells} cells",
            battery.place,
            text(&facts.manufacturer),
            text(&facts.model),
            text(&facts.firmware)
        )?;
    }
    for (command, took) in timing.slowest() {
        writeln!(out, "round trip {command:<8} {:.0} ms", took.as_secs_f64() * 1000.0)?;
    }
    writeln!(out, "sweep      {:.2} s, {} asked again", began.elapsed().as_secs_f64(), reading.asked_again)?;
    for missing in &reading.missing {
        writeln!(out, "missing    {}: {}", missing.command, missing.reason)?;
    }
    settings(link, attempt, out)?;
    Ok(if reading.missing.is_empty() { Exit::Well } else { Exit::Failed })
}

/// The lines to put into the settings: what differs from the defaults.
fn settings(link: &Link, attempt: Attempt, out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "\nPut this into bankwatch.toml:\n\n[[bank]]\nlink = {:?}", link.to_string())?;
    if attempt.baud != ATTEMPTS[0].baud {
        writeln!(out, "baud = {}", attempt.baud)?;
    }
    match attempt.line_end {
        LineEnd::Lf => {}
        LineEnd::Cr => writeln!(out, "line_end = \"cr\"")?,
        LineEnd::Crlf => writeln!(out, "line_end = \"crlf\"")?,
    }
    if !attempt.modem {
        writeln!(out, "dtr = false\nrts = false")?;
    }
    Ok(())
}

/// Nobody answered: what that usually means.
fn advise(target: &Target, heard: &[Heard], out: &mut impl Write) -> anyhow::Result<()> {
    let any = |wanted: fn(&Heard) -> bool| heard.iter().any(wanted);
    let bridge = matches!(target, Target::Tcp(_));
    let advice: &[&str] = if any(|heard| matches!(heard, Heard::Telnet)) {
        &["Set the bridge to raw TCP (no telnet), or use rfc2217:// where it offers that."]
    } else if any(|heard| matches!(heard, Heard::InverterSocket)) {
        &["Move the cable to the socket named Console or RS232."]
    } else if any(|heard| matches!(heard, Heard::Noise { .. })) && bridge {
        &[
            "Set the bridge's serial side to 115200 baud, 8 data bits, no parity, 1 stop bit.",
            "If that is so, look for TTL levels where RS232 is needed, and for a missing ground wire.",
        ]
    } else if any(|heard| matches!(heard, Heard::Noise { .. })) {
        &[
            "The battery speaks true RS232: an adapter with TTL levels (3.3 V, 5 V) hears garbage.",
            "Check the ground wire: pin 8 on Pylontech, pin 4 on Pytes.",
            "Check that the cable is in the socket named Console or RS232, not RS485, CAN or LINK.",
        ]
    } else if any(|heard| matches!(heard, Heard::Text(_))) {
        &["Something answers that is no battery's console. Is this the right port?"]
    } else {
        &[
            "Is the battery on, and is it the first one of the group (the master)?",
            "Is the cable in the socket named Console or RS232, not RS485, CAN or LINK?",
            "Do transmit and receive cross? The battery sends on pin 3 and listens on pin 6 of its RJ45 socket.",
            "Is the ground wire connected: pin 8 on Pylontech, pin 4 on Pytes?",
        ]
    };
    writeln!(out, "\nNo console answers.")?;
    advice.iter().try_for_each(|line| writeln!(out, "- {line}"))?;
    Ok(())
}
