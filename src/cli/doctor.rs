//! `bankwatch doctor`: what is wrong with a link, in words, and how to mend it.

use std::fmt::Display;
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
use crate::settings::{LineEnd, Loaded, MqttVersion, Settings, Sources, load};
use crate::sweep::conversation::{Conversation, Patience};
use crate::sweep::wake::{Found, greet};

/// Which link.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bankwatch doctor /dev/ttyUSB0\n  bankwatch doctor tcp://192.0.2.7:4196")]
pub(crate) struct DoctorArguments {
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

/// Who says so much without a prompt is no console.
const ENOUGH: usize = 64 * 1024;

/// Looks at the link. Exit code 0 where the console answers.
///
/// # Errors
/// The text is no link, or the output is closed.
pub(crate) fn doctor(arguments: &DoctorArguments) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut out = io::stdout().lock();
    let exit = runtime.block_on(examine(arguments, &mut out))?;
    if uses_mqtt_311() {
        row(
            &mut out,
            "mqtt",
            "3.1.1: the broker does not report topics that its access list forbids; with version = \"5\" it does",
        )?;
    }
    Ok(exit)
}

/// Whether the settings in this folder, or those of this machine, publish with MQTT 3.1.1, which reports no refusals.
fn uses_mqtt_311() -> bool {
    let loaded = load(&Sources::from_process(None, Vec::new()));
    loaded.is_ok_and(|Loaded { settings: Settings { mqtt, .. }, .. }| {
        mqtt.enabled && mqtt.version == MqttVersion::V311
    })
}

async fn examine(arguments: &DoctorArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    let first = Link::parse(&arguments.link, Line::default())?;
    row(out, "link", &first)?;
    let mut heard = Vec::new();
    for attempt in ATTEMPTS.iter().filter(|attempt| applies(&first.target, **attempt)) {
        let line = Line { baud: attempt.baud, dtr: attempt.modem, rts: attempt.modem };
        let link = Link { line, ..first.clone() };
        let mut open = match link.open().await {
            Ok(open) => open,
            Err(error) => {
                row(out, "opening", error)?;
                return Ok(Exit::Failed);
            }
        };
        let found = poke(&mut open, attempt.line_end, arguments.listen).await?;
        row(out, &label(&first.target, *attempt), &found)?;
        let conversation = |patience| Conversation::new(open, attempt.line_end.as_bytes(), patience);
        if let Heard::Prompt(_) = found {
            return report(&link, conversation(Patience::default()), *attempt, out).await;
        }
        if attempt == &ATTEMPTS[0] && matches!(found, Heard::Nothing | Heard::Text(_)) {
            let patience = Patience { first: arguments.listen, ..Patience::default() };
            let rousable = found == Heard::Nothing;
            if let Some(conversation) = rouse(&link, conversation(patience), rousable, out).await? {
                return report(&link, conversation, *attempt, out).await;
            }
        }
        heard.push(found);
    }
    writeln!(out, "\nNo console answers.")?;
    advice(&first.target, &heard).iter().try_for_each(|line| writeln!(out, "- {line}"))?;
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
async fn poke(link: &mut Box<dyn Io>, line_end: LineEnd, listen: Duration) -> anyhow::Result<Heard> {
    let mut heard = Vec::new();
    let deadline = tokio::time::Instant::now() + listen;
    if timeout(listen, link.write_all(line_end.as_bytes())).await.is_err() {
        bail!(
            "the link takes no bytes: is flow control on, or the adapter hung? Pull it and plug it in again"
        );
    }
    let mut chunk = [0; 1024];
    while heard.len() < ENOUGH {
        match tokio::time::timeout_at(deadline, link.read(&mut chunk)).await {
            Err(_) => break,
            // The link itself tells a bridge in telnet mode by its first bytes.
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => return Ok(Heard::Telnet),
            Ok(Ok(0) | Err(_)) if heard.is_empty() => return Ok(Heard::Closed),
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(taken)) => heard.extend_from_slice(&chunk[..taken]),
        }
        if matches!(Heard::of(&heard), Heard::Prompt(_)) {
            break;
        }
    }
    Ok(Heard::of(&heard))
}

/// A console that is silent may be asleep, and one that says something else may wait at its pager.
async fn rouse(
    link: &Link,
    mut conversation: Conversation,
    rousable: bool,
    out: &mut impl Write,
) -> anyhow::Result<Option<Conversation>> {
    let settable = matches!(link.target, Target::Serial(_) | Target::Rfc2217(_));
    let wake = (rousable && settable).then_some(link.line.baud);
    match greet(&mut conversation, wake).await {
        Ok(Found::Woken(prompt)) => {
            row(out, "asleep", format!("woken at 1200 baud, then the prompt {prompt}"))?
        }
        Ok(Found::Awake(prompt)) => row(out, "once more", format!("the prompt {prompt}"))?,
        Ok(Found::Unclear) => return Ok(None),
        Err(_) if wake.is_some() => {
            row(out, "waking at 1200 baud", "silence")?;
            return Ok(None);
        }
        Err(_) => return Ok(None),
    }
    Ok(Some(conversation))
}

/// One line of what was found.
fn row(out: &mut impl Write, label: &str, value: impl Display) -> io::Result<()> {
    writeln!(out, "{label:<23}{value}")
}

/// What the console says, how fast, and the settings for it.
async fn report(
    link: &Link,
    mut conversation: Conversation,
    attempt: Attempt,
    out: &mut impl Write,
) -> anyhow::Result<Exit> {
    let mut timing = Timing::default();
    // What waits for the line to fall quiet is no round trip; if it fails, the sweep will say so.
    let _ = conversation.probe().await;
    let began = Instant::now();
    let report = match sweep::one(link, &mut conversation, Some(&mut timing)).await {
        Ok(report) => report,
        Err(unswept) => {
            row(out, "sweep", unswept)?;
            return no_answers(out);
        }
    };
    let reading = &report.reading;
    let series = if reading.series() { " modules in series" } else { "" };
    row(out, "batteries", format!("{}{series}", reading.batteries.len()))?;
    for (battery, facts) in reading.batteries.iter().zip(&report.facts) {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "?".into());
        let cells = battery.cells.as_ref().map_or_else(|| "no".to_owned(), |cells| cells.len().to_string());
        let (maker, model, firmware) = (text(&facts.manufacturer), text(&facts.model), text(&facts.firmware));
        let found = format!("{maker} {model}, firmware {firmware}, {cells} cells");
        row(out, &format!("battery {}", battery.place), found)?;
    }
    for (command, took) in timing.slowest() {
        row(out, &format!("round trip of {command}"), format!("{:.0} ms", took.as_secs_f64() * 1000.0))?;
    }
    let again = reading.asked_again;
    row(out, "sweep", format!("{:.2} s, {again} questions asked again", began.elapsed().as_secs_f64()))?;
    for missing in &reading.missing {
        row(out, "missing", format!("{}: {}", missing.command, missing.reason))?;
    }
    for fact in &reading.unreadable_facts {
        row(out, "unreadable", format!("{}: {}", fact.command, fact.reason))?;
    }
    if reading.batteries.is_empty() {
        return no_answers(out);
    }
    settings(link, attempt, out)?;
    Ok(if reading.missing.is_empty() { Exit::Well } else { Exit::Failed })
}

/// It has a prompt, and that is all.
fn no_answers(out: &mut impl Write) -> anyhow::Result<Exit> {
    writeln!(out, "\nThe console has a prompt and does not answer questions.")?;
    writeln!(out, "- Does another program use it as well, over the same bridge?")?;
    writeln!(out, "- Are the questions damaged on their way: a long cable, a loose ground wire?")?;
    Ok(Exit::Failed)
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
fn advice(target: &Target, heard: &[Heard]) -> &'static [&'static str] {
    let any = |wanted: fn(&Heard) -> bool| heard.iter().any(wanted);
    let bridge = matches!(target, Target::Tcp(_));
    if any(|heard| matches!(heard, Heard::Telnet)) {
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
            "Check the ground wire: pin 8 on Pylontech, pin 4 on PYTES.",
            "Check that the cable is in the socket named Console or RS232, not RS485, CAN or LINK.",
        ]
    } else if any(|heard| matches!(heard, Heard::Text(_))) {
        &[
            "Something answers that is no battery's console. Is this the right port?",
            "If it is a battery, this version does not know its prompt: please report the line above.",
        ]
    } else if any(|heard| matches!(heard, Heard::Closed)) && bridge {
        &["Many bridges serve one client at a time: stop the other one, a web page or a second program."]
    } else {
        &[
            "Is the battery on, and is it the first one of the group (the master)?",
            "Is the cable in the socket named Console or RS232, not RS485, CAN or LINK?",
            "Do transmit and receive cross? The battery sends on pin 3 and listens on pin 6 of its RJ45 socket.",
            "Is the ground wire connected: pin 8 on Pylontech, pin 4 on PYTES?",
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advised(link: &str, heard: &[Heard]) -> String {
        advice(&Link::parse(link, Line::default()).unwrap().target, heard).join(" ")
    }

    #[test]
    fn what_was_heard_at_any_attempt_decides_the_advice() {
        let noise = Heard::Noise { bytes: 9, readable: 1 };
        let (silence, serial, bridge) = (Heard::Nothing, "/dev/ttyUSB0", "tcp://192.0.2.7:4196");
        let cases = [
            (serial, vec![silence.clone()], "ground wire connected"),
            (bridge, vec![silence.clone()], "ground wire connected"),
            (serial, vec![silence.clone(), noise.clone()], "TTL levels (3.3 V, 5 V)"),
            (bridge, vec![noise.clone(), silence.clone()], "bridge's serial side to 115200"),
            (bridge, vec![Heard::Telnet, silence.clone()], "raw TCP"),
            (serial, vec![noise, Heard::InverterSocket], "socket named Console or RS232"),
            (serial, vec![Heard::Text("login:".into())], "right port"),
            (bridge, vec![Heard::Closed], "one client at a time"),
            (serial, vec![Heard::Closed], "Is the battery on"),
        ];
        for (link, heard, words) in cases {
            assert!(advised(link, &heard).contains(words), "{link} {heard:?}: {}", advised(link, &heard));
        }
    }

    #[test]
    fn speeds_and_modem_lines_are_tried_only_where_they_can_be_set() {
        let tried = |link: &str| {
            let target = Link::parse(link, Line::default()).unwrap().target;
            ATTEMPTS.iter().filter(|attempt| applies(&target, **attempt)).count()
        };
        assert_eq!(tried("/dev/ttyUSB0"), ATTEMPTS.len());
        assert_eq!(tried("rfc2217://192.0.2.7:4196"), ATTEMPTS.len());
        assert_eq!(tried("tcp://192.0.2.7:4196"), 3, "the line ends alone");
    }

    #[test]
    fn the_lines_for_the_settings_hold_what_differs_from_the_defaults() {
        let lines = |attempt| {
            let mut out = Vec::new();
            settings(&Link::parse("/dev/ttyUSB0", Line::default()).unwrap(), attempt, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(lines(ATTEMPTS[0]).ends_with("[[bank]]\nlink = \"/dev/ttyUSB0\"\n"));
        let odd = lines(attempt(9_600, LineEnd::Crlf, false));
        assert!(odd.ends_with("\nbaud = 9600\nline_end = \"crlf\"\ndtr = false\nrts = false\n"), "{odd}");
    }
}
