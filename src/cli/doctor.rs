//! `bankwatch doctor`: diagnoses a serial port or network bridge and suggests a remedy.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::cli::exit::Exit;
use crate::cli::sweep::{self, RoundTrips};
use crate::console::diagnosis::LinkResponse;
use crate::link::{Link, LinkTarget, SerialParams, Transport};
use crate::settings::{LineEnd, LoadedSettings, MqttVersion, Settings, Sources, load};
use crate::sweep::client::{ConsoleClient, ConsoleTimeouts};
use crate::sweep::wake::{ConsoleState, probe_console};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bankwatch doctor /dev/ttyUSB0\n  bankwatch doctor tcp://192.0.2.7:4196")]
pub(crate) struct DoctorArguments {
    /// The link: /dev/ttyUSB0, tcp://host:port, rfc2217://host:port or replay:FILE
    link: String,
    /// How long to wait for an answer to each attempt
    #[arg(long, value_name = "TIME", default_value = "1500ms", value_parser = humantime::parse_duration)]
    listen: Duration,
}

/// Line parameters to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attempt {
    baud: u32,
    line_end: LineEnd,
    /// Whether DTR and RTS are raised.
    modem: bool,
}

const fn attempt(baud: u32, line_end: LineEnd, modem: bool) -> Attempt {
    Attempt { baud, line_end, modem }
}

/// The most likely first. Every known console runs at 115200 baud; other baud rates come from bridges and adapters that
/// were configured for something else.
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

/// A console sends a prompt before this many bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Diagnoses the link. Exit status 0 if the console answers.
///
/// # Errors
/// Fails if the link is invalid or accepts no bytes, or the output is closed.
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

/// Whether the settings of this folder or machine publish with MQTT 3.1.1, which does not report refusals.
fn uses_mqtt_311() -> bool {
    let loaded = load(&Sources::from_process(None, Vec::new()));
    loaded.is_ok_and(|LoadedSettings { settings: Settings { mqtt, .. }, .. }| {
        mqtt.enabled && mqtt.version == MqttVersion::V311
    })
}

async fn examine(arguments: &DoctorArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    let first = Link::parse(&arguments.link, SerialParams::default())?;
    row(out, "link", &first)?;
    let mut responses = Vec::new();
    for attempt in ATTEMPTS.iter().filter(|attempt| applies(&first.target, **attempt)) {
        let line = SerialParams { baud: attempt.baud, dtr: attempt.modem, rts: attempt.modem };
        let link = Link { line, ..first.clone() };
        let mut open = match link.open().await {
            Ok(open) => open,
            Err(error) => {
                row(out, "open", error)?;
                return Ok(Exit::Failure);
            }
        };
        let response = probe(&mut open, attempt.line_end, arguments.listen).await?;
        row(out, &label(&first.target, *attempt), &response)?;
        let client = |timeouts| ConsoleClient::new(open, attempt.line_end.as_bytes(), timeouts);
        if let LinkResponse::Prompt(_) = response {
            return report(&link, client(ConsoleTimeouts::default()), *attempt, out).await;
        }
        if attempt == &ATTEMPTS[0] && matches!(response, LinkResponse::Silence | LinkResponse::Text(_)) {
            let timeouts = ConsoleTimeouts { first_byte: arguments.listen, ..ConsoleTimeouts::default() };
            let is_silent = response == LinkResponse::Silence;
            if let Some(client) = recover(&link, client(timeouts), is_silent, out).await? {
                return report(&link, client, *attempt, out).await;
            }
        }
        responses.push(response);
    }
    writeln!(out, "\nNo console found.")?;
    advice(&first.target, &responses).iter().try_for_each(|line| writeln!(out, "- {line}"))?;
    Ok(Exit::Failure)
}

/// Baud rate and modem lines exist only on ports that can be configured.
fn applies(target: &LinkTarget, attempt: Attempt) -> bool {
    match target {
        LinkTarget::Serial(_) | LinkTarget::Rfc2217(_) => true,
        LinkTarget::Tcp(_) | LinkTarget::Replay(_) => attempt.baud == ATTEMPTS[0].baud && attempt.modem,
    }
}

fn label(target: &LinkTarget, attempt: Attempt) -> String {
    let end = match attempt.line_end {
        LineEnd::Lf => "lf",
        LineEnd::Cr => "cr",
        LineEnd::Crlf => "crlf",
    };
    match target {
        LinkTarget::Serial(_) | LinkTarget::Rfc2217(_) => {
            format!("{} {end}{}", attempt.baud, if attempt.modem { "" } else { " dtr/rts off" })
        }
        LinkTarget::Tcp(_) | LinkTarget::Replay(_) => format!("line end {end}"),
    }
}

/// Sends an empty line and classifies the response.
async fn probe(
    link: &mut Box<dyn Transport>,
    line_end: LineEnd,
    listen: Duration,
) -> anyhow::Result<LinkResponse> {
    let mut received = Vec::new();
    let deadline = tokio::time::Instant::now() + listen;
    if timeout(listen, link.write_all(line_end.as_bytes())).await.is_err() {
        bail!("the link accepts no bytes; turn flow control off, or unplug the adapter and plug it in again");
    }
    let mut chunk = [0; 1024];
    while received.len() < MAX_BYTES {
        match tokio::time::timeout_at(deadline, link.read(&mut chunk)).await {
            Err(_) => break,
            // The link itself recognizes a bridge in telnet mode by its first bytes.
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => return Ok(LinkResponse::Telnet),
            Ok(Ok(0) | Err(_)) if received.is_empty() => return Ok(LinkResponse::Closed),
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(count)) => received.extend_from_slice(&chunk[..count]),
        }
        if matches!(LinkResponse::classify(&received), LinkResponse::Prompt(_)) {
            break;
        }
    }
    Ok(LinkResponse::classify(&received))
}

/// Wakes a silent console, and returns one that waits at its pager to the prompt.
async fn recover(
    link: &Link,
    mut client: ConsoleClient,
    is_silent: bool,
    out: &mut impl Write,
) -> anyhow::Result<Option<ConsoleClient>> {
    let wake = (is_silent && link.target.can_set_speed()).then_some(link.line.baud);
    match probe_console(&mut client, wake).await {
        Ok(ConsoleState::Woken(prompt)) => {
            row(out, "asleep", format!("woken at 1200 baud, then the prompt {prompt}"))?
        }
        Ok(ConsoleState::Awake(prompt)) => row(out, "second attempt", format!("the prompt {prompt}"))?,
        Ok(ConsoleState::Unrecognized) => return Ok(None),
        Err(_) if wake.is_some() => {
            row(out, "waking at 1200 baud", "silence")?;
            return Ok(None);
        }
        Err(_) => return Ok(None),
    }
    Ok(Some(client))
}

/// Prints one line of the diagnosis.
fn row(out: &mut impl Write, label: &str, value: impl Display) -> io::Result<()> {
    writeln!(out, "{label:<23}{value}")
}

/// Prints the batteries, round-trip times and settings of a working console.
async fn report(
    link: &Link,
    mut client: ConsoleClient,
    attempt: Attempt,
    out: &mut impl Write,
) -> anyhow::Result<Exit> {
    let mut round_trips = RoundTrips::default();
    // Waiting for a quiet line must not count as a round trip; if this fails, so does the sweep.
    let _ = client.probe().await;
    let start = Instant::now();
    let report = match sweep::run_once(link, &mut client, Some(&mut round_trips)).await {
        Ok(report) => report,
        Err(error) => {
            row(out, "sweep", error)?;
            return no_answers(out);
        }
    };
    let reading = &report.reading;
    let series = if reading.is_series() { " modules in series" } else { "" };
    row(out, "batteries", format!("{}{series}", reading.batteries.len()))?;
    for (battery, facts) in reading.batteries.iter().zip(&report.facts) {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".into());
        let cells = battery.cells.as_ref().map_or_else(|| "no".to_owned(), |cells| cells.len().to_string());
        let (maker, model, firmware) = (text(&facts.manufacturer), text(&facts.model), text(&facts.firmware));
        let identity = format!("{maker} {model}, firmware {firmware}, {cells} cells");
        row(out, &format!("battery {}", battery.place), identity)?;
    }
    for (command, took) in round_trips.slowest() {
        row(out, &format!("round trip of {command}"), format!("{:.0} ms", took.as_secs_f64() * 1000.0))?;
    }
    let repeated = reading.asked_again;
    row(out, "sweep", format!("{:.2} s, {repeated} commands repeated", start.elapsed().as_secs_f64()))?;
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
    Ok(if reading.missing.is_empty() { Exit::Success } else { Exit::Failure })
}

/// The console has a prompt and nothing else.
fn no_answers(out: &mut impl Write) -> anyhow::Result<Exit> {
    writeln!(out, "\nThe console has a prompt but does not answer commands.")?;
    writeln!(out, "- Check that no other program uses it, for example over the same bridge.")?;
    writeln!(
        out,
        "- Check the line for interference: a long cable or a loose ground wire damages commands."
    )?;
    Ok(Exit::Failure)
}

/// Prints the settings that differ from the defaults.
fn settings(link: &Link, attempt: Attempt, out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "\nAdd this to bankwatch.toml:\n\n[[bank]]\nlink = {:?}", link.to_string())?;
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

/// The likely causes when no console answered.
fn advice(target: &LinkTarget, responses: &[LinkResponse]) -> &'static [&'static str] {
    let any = |wanted: fn(&LinkResponse) -> bool| responses.iter().any(wanted);
    let bridge = matches!(target, LinkTarget::Tcp(_));
    if any(|response| matches!(response, LinkResponse::Telnet)) {
        &["Set the bridge to raw TCP (no telnet), or use rfc2217:// if it supports that."]
    } else if any(|response| matches!(response, LinkResponse::InverterSocket)) {
        &["Move the cable to the socket named Console or RS232."]
    } else if any(|response| matches!(response, LinkResponse::Noise { .. })) && bridge {
        &[
            "Set the bridge's serial side to 115200 baud, 8 data bits, no parity, 1 stop bit.",
            "If it already is, check for TTL levels instead of RS232, and for a missing ground wire.",
        ]
    } else if any(|response| matches!(response, LinkResponse::Noise { .. })) {
        &[
            "The battery uses RS232 levels: an adapter with TTL levels (3.3 V, 5 V) receives garbage.",
            "Check the ground wire: pin 8 on Pylontech, pin 4 on PYTES.",
            "Check that the cable is in the socket named Console or RS232, not RS485, CAN or LINK.",
        ]
    } else if any(|response| matches!(response, LinkResponse::Text(_))) {
        &[
            "The device that answers is not a battery console; check that this is the right port.",
            "If it is a battery, this version does not know its prompt; please report the line above.",
        ]
    } else if any(|response| matches!(response, LinkResponse::Closed)) && bridge {
        &["Many bridges serve one client at a time: close the other one (a web page or a second program)."]
    } else {
        &[
            "Check that the battery is on and that it is the first one of the bank (the master).",
            "Check that the cable is in the socket named Console or RS232, not RS485, CAN or LINK.",
            "Check that transmit and receive are crossed: the RJ45 socket of the battery sends on pin 3, receives on pin 6.",
            "Check that the ground wire is connected: pin 8 on Pylontech, pin 4 on PYTES.",
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice_for(link: &str, responses: &[LinkResponse]) -> String {
        advice(&Link::parse(link, SerialParams::default()).unwrap().target, responses).join(" ")
    }

    #[test]
    fn any_response_determines_the_advice() {
        let noise = LinkResponse::Noise { bytes: 9, readable: 1 };
        let (silence, serial, bridge) = (LinkResponse::Silence, "/dev/ttyUSB0", "tcp://192.0.2.7:4196");
        let cases = [
            (serial, vec![silence.clone()], "ground wire is connected"),
            (bridge, vec![silence.clone()], "ground wire is connected"),
            (serial, vec![silence.clone(), noise.clone()], "TTL levels (3.3 V, 5 V)"),
            (bridge, vec![noise.clone(), silence.clone()], "bridge's serial side to 115200"),
            (bridge, vec![LinkResponse::Telnet, silence.clone()], "raw TCP"),
            (serial, vec![noise, LinkResponse::InverterSocket], "socket named Console or RS232"),
            (serial, vec![LinkResponse::Text("login:".into())], "right port"),
            (bridge, vec![LinkResponse::Closed], "one client at a time"),
            (serial, vec![LinkResponse::Closed], "battery is on"),
        ];
        for (link, responses, words) in cases {
            assert!(
                advice_for(link, &responses).contains(words),
                "{link} {responses:?}: {}",
                advice_for(link, &responses)
            );
        }
    }

    #[test]
    fn baud_rates_and_modem_lines_are_tried_only_if_configurable() {
        let attempts = |link: &str| {
            let target = Link::parse(link, SerialParams::default()).unwrap().target;
            ATTEMPTS.iter().filter(|attempt| applies(&target, **attempt)).count()
        };
        assert_eq!(attempts("/dev/ttyUSB0"), ATTEMPTS.len());
        assert_eq!(attempts("rfc2217://192.0.2.7:4196"), ATTEMPTS.len());
        assert_eq!(attempts("tcp://192.0.2.7:4196"), 3, "only the line endings");
    }

    #[test]
    fn printed_settings_differ_from_the_defaults() {
        let lines = |attempt| {
            let mut out = Vec::new();
            settings(&Link::parse("/dev/ttyUSB0", SerialParams::default()).unwrap(), attempt, &mut out)
                .unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(lines(ATTEMPTS[0]).ends_with("[[bank]]\nlink = \"/dev/ttyUSB0\"\n"));
        let custom = lines(attempt(9_600, LineEnd::Crlf, false));
        assert!(
            custom.ends_with("\nbaud = 9600\nline_end = \"crlf\"\ndtr = false\nrts = false\n"),
            "{custom}"
        );
    }
}
