//! `bankwatch simulate`: simulates a battery bank on a pseudo-terminal or TCP port until stopped.

use std::io::Write;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{ArgGroup, Args, ValueEnum};
use jiff::Zoned;

use crate::simulator::{Dialect, EventStyle, EventWordKind, FaultRate, Faults, Simulation, UnknownDialect};

/// How often the stop condition is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Args, Clone, Debug)]
#[command(
    about = "Simulate a battery bank on a pseudo-terminal or TCP port",
    group = ArgGroup::new("place").args(["pty", "tcp", "rfc2217"]).required(true),
    after_help = "Example: four PYTES V5 batteries, one day in 24 minutes, with a bad cable\n  \
                  bankwatch simulate --pty /tmp/bank --dialect pytes-v5 --batteries 4 --speed 60 \
                  --fault garble=0.02"
)]
pub(crate) struct SimulateArgs {
    /// Serve on a pseudo-terminal with this symbolic link
    #[arg(long, value_name = "PATH")]
    pub(crate) pty: Option<PathBuf>,
    /// Serve on this TCP address (port 0: any free port)
    #[arg(long, value_name = "ADDR")]
    pub(crate) tcp: Option<String>,
    /// Serve on this TCP address as a bridge with RFC 2217 (COM port control)
    #[arg(long, value_name = "ADDR")]
    pub(crate) rfc2217: Option<String>,
    /// Number of batteries, or of units in a high-voltage stack
    #[arg(long, value_name = "N")]
    pub(crate) batteries: Option<usize>,
    /// Cells per battery
    #[arg(long, value_name = "N")]
    pub(crate) cells: Option<usize>,
    /// Simulated model: us2000, us2000c, us3000c, us3000d, us5000, pytes, pytes-r, pytes-c, pytes-v5,
    /// force-h2, sc500 or sc0500
    #[arg(long, value_name = "NAME", default_value = "pytes", value_parser = parse_dialect)]
    pub(crate) dialect: Dialect,
    /// Simulated seconds per real second; 0 stops the simulated clock
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = speed)]
    pub(crate) speed: f64,
    /// Fault and its probability per answer (repeatable): mute, garble, truncate, noise, slow, late, unplug
    #[arg(long, value_name = "KIND=RATE")]
    pub(crate) fault: Vec<FaultRate>,
    /// Event bits to raise (repeatable): place of the battery, event word (battery, power, system or alarm), bits
    #[arg(long, value_name = "PLACE:WORD=BITS", value_parser = parse_raised_event)]
    pub(crate) raise: Vec<RaisedEvent>,
    /// Seed for the weather, cell variation and faults
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Baud rate at which answers are sent; 0 is as fast as possible
    #[arg(long, value_name = "N", default_value_t = 115_200)]
    pub(crate) baud: u32,
    /// Format of event words
    #[arg(long, value_name = "STYLE", default_value = "prefixed")]
    pub(crate) events: EventWords,
    /// Start in debug mode, which has another prompt
    #[arg(long)]
    pub(crate) debug: bool,
    /// Start asleep: silent until woken at 1200 baud, which requires --pty or --rfc2217
    #[arg(long)]
    pub(crate) asleep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventWords {
    /// 0x2000, followed by the names of the bits
    Prefixed,
    /// 2000 (hexadecimal without prefix)
    Hex,
    /// 8192
    Decimal,
}

impl From<EventWords> for EventStyle {
    fn from(words: EventWords) -> Self {
        match words {
            EventWords::Prefixed => Self::Prefixed,
            EventWords::Hex => Self::BareHex,
            EventWords::Decimal => Self::Decimal,
        }
    }
}

/// Bits of an event word raised from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RaisedEvent {
    /// From 1.
    place: usize,
    word: EventWordKind,
    bits: u32,
}

fn parse_raised_event(text: &str) -> Result<RaisedEvent, String> {
    let parse = || {
        let (place, (word, bits)) =
            text.split_once(':').and_then(|(place, event)| Some((place, event.split_once('=')?)))?;
        let word = match word {
            "battery" => EventWordKind::Battery,
            "power" => EventWordKind::Power,
            "system" => EventWordKind::Fault,
            "alarm" => EventWordKind::Alarm,
            _ => return None,
        };
        let bits = u32::from_str_radix(bits.strip_prefix("0x")?, 16).ok()?;
        Some(RaisedEvent { place: place.parse().ok()?, word, bits })
    };
    parse().ok_or_else(|| {
        "expected PLACE:WORD=BITS (word: battery, power, system or alarm; bits: hexadecimal), such as 2:power=0x2".to_owned()
    })
}

fn parse_dialect(name: &str) -> Result<Dialect, UnknownDialect> {
    name.parse()
}

/// Parses simulated seconds per real second, in the range that the clock supports.
pub(super) fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.0..=1e6).contains(&speed) => Ok(speed),
        _ => Err("expected a number from 0 to 1000000".to_owned()),
    }
}

/// Runs the simulation until `stop` returns true. Writes the link to connect to as one line to `out`.
///
/// # Errors
/// Fails if the number of batteries or cells is out of range, the path or address can't be opened, or `out` is closed.
pub(crate) fn simulate(
    args: &SimulateArgs,
    out: &mut dyn Write,
    stop: impl Fn() -> bool,
) -> anyhow::Result<()> {
    let simulation = configure(args).start()?;
    for RaisedEvent { place, word, bits } in args.raise.iter().copied() {
        let raised = simulation.with_bank(|bank| bank.raise_event(place, word, bits));
        ensure!(raised, "there is no battery at place {place} to raise an event on");
    }
    writeln!(out, "{}", simulation.link()).context("cannot print the link")?;
    out.flush().context("cannot print the link")?;
    while !stop() {
        thread::sleep(POLL_INTERVAL);
    }
    simulation.stop();
    Ok(())
}

fn configure(args: &SimulateArgs) -> Simulation {
    let faults = args.fault.iter().fold(Faults::none(), |faults, fault| faults.with(fault.fault, fault.rate));
    let mut simulation = Simulation::new(args.dialect)
        .speed(args.speed)
        .seed(args.seed)
        .baud(args.baud)
        .start_time(Zoned::now().datetime())
        .event_style(args.events.into())
        .debug(args.debug)
        .asleep(args.asleep)
        .faults(faults);
    if let Some(batteries) = args.batteries {
        simulation = simulation.batteries(batteries);
    }
    if let Some(cells) = args.cells {
        simulation = simulation.cells(cells);
    }
    match (&args.pty, &args.tcp, &args.rfc2217) {
        (Some(path), ..) => simulation.pty(path),
        (_, Some(address), _) => simulation.tcp(address),
        (.., Some(address)) => simulation.rfc2217(address),
        _ => simulation,
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches, Parser};

    use super::*;

    #[derive(Parser)]
    struct TestCli {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn parse(words: &[&str]) -> Result<SimulateArgs, clap::Error> {
        let matches = TestCli::command().try_get_matches_from([&["simulate"], words].concat())?;
        Ok(TestCli::from_arg_matches(&matches)?.args)
    }

    #[test]
    fn help_contains_example_and_dialects() {
        let help = TestCli::command().render_long_help().to_string();
        assert!(help.contains("bankwatch simulate --pty"), "{help}");
        for dialect in Dialect::ALL {
            assert!(help.contains(dialect.name()), "{dialect} is missing from the help");
        }
    }

    #[test]
    fn exactly_one_transport_is_required() {
        assert!(parse(&[]).is_err());
        assert!(parse(&["--pty", "a", "--tcp", "b"]).is_err());
        assert!(parse(&["--tcp", "a", "--rfc2217", "b"]).is_err());
        assert!(parse(&["--tcp", "127.0.0.1:0"]).is_ok());
        assert!(parse(&["--rfc2217", "127.0.0.1:0", "--asleep"]).is_ok_and(|args| args.asleep));
    }

    #[test]
    fn errors_name_the_expected_values() {
        let error = |words: &[&str]| parse(words).unwrap_err().to_string();
        assert!(error(&["--tcp", "x", "--dialect", "us9000"]).contains("pytes-v5"));
        assert!(error(&["--tcp", "x", "--fault", "garble=2"]).contains("rate from 0 to 1"));
        assert!(error(&["--tcp", "x", "--fault", "smoke=0.1"]).contains("truncate"));
    }

    #[test]
    fn events_are_raised_only_on_existing_batteries() {
        let args =
            parse(&["--tcp", "127.0.0.1:0", "--raise", "2:power=0x2", "--raise", "1:system=0x40"]).unwrap();
        let events = args.raise.iter().map(|raised| (raised.place, raised.word, raised.bits));
        assert_eq!(
            events.collect::<Vec<_>>(),
            [(2, EventWordKind::Power, 0x2), (1, EventWordKind::Fault, 0x40)]
        );
        for wrong in ["power=0x2", "2:power", "2:power=2", "2:heat=0x2", "x:power=0x2", "2:power=0x100000000"]
        {
            let message = parse(&["--tcp", "x", "--raise", wrong]).unwrap_err().to_string();
            assert!(message.contains("such as 2:power=0x2"), "{message}");
        }
        let args = parse(&["--tcp", "127.0.0.1:0", "--batteries", "2", "--raise", "9:power=0x2"]).unwrap();
        let error = simulate(&args, &mut Vec::new(), || true).unwrap_err().to_string();
        assert_eq!(error, "there is no battery at place 9 to raise an event on");
    }

    #[test]
    fn link_is_printed_and_served_until_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank");
        let args = parse(&["--pty", path.to_str().unwrap(), "--batteries", "3"]).unwrap();
        let mut output = Vec::new();
        simulate(&args, &mut output, || path.is_symlink()).unwrap();
        assert_eq!(String::from_utf8(output).unwrap().trim(), path.to_str().unwrap());
        assert!(!path.is_symlink(), "the symbolic link is removed");
    }

    #[test]
    fn too_many_batteries_are_rejected() {
        let args = parse(&["--tcp", "127.0.0.1:0", "--batteries", "17"]).unwrap();
        let error = simulate(&args, &mut Vec::new(), || true).unwrap_err().to_string();
        assert_eq!(error, "expected 1 to 16 batteries, found 17");
    }
}
