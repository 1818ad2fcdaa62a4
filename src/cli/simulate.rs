//! `bankwatch simulate`: a bank that lives, on a pseudo-terminal or a network port, until stopped.

use std::io::Write;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{ArgGroup, Args, ValueEnum};
use jiff::Zoned;

use crate::simulator::{Dialect, EventStyle, FaultRate, Faults, Simulation, UnknownDialect, Word};

/// How long it sleeps between two looks whether it shall stop.
const LOOK: Duration = Duration::from_millis(100);

/// Arguments of `bankwatch simulate`.
#[derive(Args, Clone, Debug)]
#[command(
    about = "A bank that lives, on a pseudo-terminal or a network port, until stopped",
    group = ArgGroup::new("place").args(["pty", "tcp", "rfc2217"]).required(true),
    after_help = "Example: four PYTES V5 batteries that live a day in 24 minutes, with a bad cable\n  \
                  bankwatch simulate --pty /tmp/bank --dialect pytes-v5 --batteries 4 --speed 60 \
                  --fault garble=0.02"
)]
pub(crate) struct SimulateArgs {
    /// Serve on a pseudo-terminal behind this name
    #[arg(long, value_name = "PATH")]
    pub(crate) pty: Option<PathBuf>,
    /// Serve on this address (port 0: any free one)
    #[arg(long, value_name = "ADDR")]
    pub(crate) tcp: Option<String>,
    /// Serve on this address as a bridge whose serial port the client sets (RFC 2217)
    #[arg(long, value_name = "ADDR")]
    pub(crate) rfc2217: Option<String>,
    /// Number of batteries, or of units in a high-voltage stack
    #[arg(long, value_name = "N")]
    pub(crate) batteries: Option<usize>,
    /// Cells of each
    #[arg(long, value_name = "N")]
    pub(crate) cells: Option<usize>,
    /// The console's language: us2000, us2000c, us3000c, us3000d, us5000, pytes, pytes-r, pytes-c, pytes-v5,
    /// force-h2, sc500 or sc0500
    #[arg(long, value_name = "NAME", default_value = "pytes", value_parser = dialect)]
    pub(crate) dialect: Dialect,
    /// Simulated seconds for each real one; 0 stands still
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = speed)]
    pub(crate) speed: f64,
    /// Faults, each with its probability for an answer: mute, garble, truncate, noise, slow, late, unplug
    #[arg(long, value_name = "KIND=RATE")]
    pub(crate) fault: Vec<FaultRate>,
    /// A condition that stands on a battery: its place, battery, power, system or alarm, and the bits of that word
    #[arg(long, value_name = "PLACE:WORD=BITS", value_parser = raised)]
    pub(crate) raise: Vec<Raised>,
    /// What weather, scatter and faults follow from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Pace of the answers; 0 is as fast as possible
    #[arg(long, value_name = "N", default_value_t = 115_200)]
    pub(crate) baud: u32,
    /// How event words are printed
    #[arg(long, value_name = "STYLE", default_value = "prefixed")]
    pub(crate) events: EventWords,
    /// Begin in debug mode, whose prompt is another
    #[arg(long)]
    pub(crate) debug: bool,
    /// Begin asleep: silent until woken at 1200 baud, which takes --pty or --rfc2217
    #[arg(long)]
    pub(crate) asleep: bool,
}

/// How event words are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventWords {
    /// 0x2000 and the names of the bits
    Prefixed,
    /// 2000, hexadecimal all the same
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

/// Bits of an event word that stand from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raised {
    /// From 1.
    place: usize,
    word: Word,
    bits: u32,
}

fn raised(written: &str) -> Result<Raised, String> {
    let read = || {
        let (place, (word, bits)) =
            written.split_once(':').and_then(|(place, event)| Some((place, event.split_once('=')?)))?;
        let word = match word {
            "battery" => Word::Battery,
            "power" => Word::Power,
            "system" => Word::Fault,
            "alarm" => Word::Alarm,
            _ => return None,
        };
        let bits = u32::from_str_radix(bits.strip_prefix("0x")?, 16).ok()?;
        Some(Raised { place: place.parse().ok()?, word, bits })
    };
    read().ok_or_else(|| {
        "expected a place, one of battery, power, system and alarm, and bits in hexadecimal, such as 2:power=0x2".to_owned()
    })
}

fn dialect(name: &str) -> Result<Dialect, UnknownDialect> {
    name.parse()
}

/// Simulated seconds for each real one, in the range that the clock can bear.
pub(super) fn speed(written: &str) -> Result<f64, String> {
    match written.parse() {
        Ok(speed) if (0.0..=1e6).contains(&speed) => Ok(speed),
        _ => Err("expected a number from 0 to 1000000".to_owned()),
    }
}

/// Runs the simulation until `stop` says so. What to connect to is written to `out` in one line.
///
/// # Errors
/// A size that no bank has, a path or address that can't be opened, or a closed output.
pub(crate) fn simulate(
    args: &SimulateArgs,
    out: &mut dyn Write,
    stop: impl Fn() -> bool,
) -> anyhow::Result<()> {
    let simulation = plan(args).start()?;
    for Raised { place, word, bits } in args.raise.iter().copied() {
        let raised = simulation.with_bank(|bank| bank.raise_event(place, word, bits));
        ensure!(raised, "expected a place with a battery for an event, but found {place}");
    }
    writeln!(out, "{}", simulation.link()).context("can't say what to connect to")?;
    out.flush().context("can't say what to connect to")?;
    while !stop() {
        thread::sleep(LOOK);
    }
    simulation.stop();
    Ok(())
}

fn plan(args: &SimulateArgs) -> Simulation {
    let faults = args.fault.iter().fold(Faults::none(), |faults, fault| faults.with(fault.fault, fault.rate));
    let mut plan = Simulation::new(args.dialect)
        .speed(args.speed)
        .seed(args.seed)
        .baud(args.baud)
        .start_time(Zoned::now().datetime())
        .event_style(args.events.into())
        .debug(args.debug)
        .asleep(args.asleep)
        .faults(faults);
    if let Some(batteries) = args.batteries {
        plan = plan.batteries(batteries);
    }
    if let Some(cells) = args.cells {
        plan = plan.cells(cells);
    }
    match (&args.pty, &args.tcp, &args.rfc2217) {
        (Some(path), ..) => plan.pty(path),
        (_, Some(address), _) => plan.tcp(address),
        (.., Some(address)) => plan.rfc2217(address),
        _ => plan,
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches, Parser};

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn parse(words: &[&str]) -> Result<SimulateArgs, clap::Error> {
        let matches = Program::command().try_get_matches_from([&["simulate"], words].concat())?;
        Ok(Program::from_arg_matches(&matches)?.args)
    }

    #[test]
    fn the_help_shows_an_example() {
        let help = Program::command().render_long_help().to_string();
        assert!(help.contains("bankwatch simulate --pty"), "{help}");
        for dialect in Dialect::ALL {
            assert!(help.contains(dialect.name()), "{dialect} is missing in the help");
        }
    }

    #[test]
    fn a_place_to_serve_on_must_be_given_and_only_one() {
        assert!(parse(&[]).is_err());
        assert!(parse(&["--pty", "a", "--tcp", "b"]).is_err());
        assert!(parse(&["--tcp", "a", "--rfc2217", "b"]).is_err());
        assert!(parse(&["--tcp", "127.0.0.1:0"]).is_ok());
        assert!(parse(&["--rfc2217", "127.0.0.1:0", "--asleep"]).is_ok_and(|args| args.asleep));
    }

    #[test]
    fn mistakes_are_answered_with_what_was_expected() {
        let told = |words: &[&str]| parse(words).unwrap_err().to_string();
        assert!(told(&["--tcp", "x", "--dialect", "us9000"]).contains("pytes-v5"));
        assert!(told(&["--tcp", "x", "--fault", "garble=2"]).contains("rate from 0 to 1"));
        assert!(told(&["--tcp", "x", "--fault", "smoke=0.1"]).contains("truncate"));
    }

    #[test]
    fn events_stand_from_the_start_and_where_nobody_is_there_are_none() {
        let args =
            parse(&["--tcp", "127.0.0.1:0", "--raise", "2:power=0x2", "--raise", "1:system=0x40"]).unwrap();
        let read = args.raise.iter().map(|raised| (raised.place, raised.word, raised.bits));
        assert_eq!(read.collect::<Vec<_>>(), [(2, Word::Power, 0x2), (1, Word::Fault, 0x40)]);
        for wrong in ["power=0x2", "2:power", "2:power=2", "2:heat=0x2", "x:power=0x2", "2:power=0x100000000"]
        {
            let told = parse(&["--tcp", "x", "--raise", wrong]).unwrap_err().to_string();
            assert!(told.contains("such as 2:power=0x2"), "{told}");
        }
        let args = parse(&["--tcp", "127.0.0.1:0", "--batteries", "2", "--raise", "9:power=0x2"]).unwrap();
        let error = simulate(&args, &mut Vec::new(), || true).unwrap_err().to_string();
        assert_eq!(error, "expected a place with a battery for an event, but found 9");
    }

    #[test]
    fn it_serves_until_told_to_stop_and_says_where() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank");
        let args = parse(&["--pty", path.to_str().unwrap(), "--batteries", "3"]).unwrap();
        let mut said = Vec::new();
        simulate(&args, &mut said, || path.is_symlink()).unwrap();
        assert_eq!(String::from_utf8(said).unwrap().trim(), path.to_str().unwrap());
        assert!(!path.is_symlink(), "the link is gone with the simulation");
    }

    #[test]
    fn a_bank_of_no_size_is_refused_in_words() {
        let args = parse(&["--tcp", "127.0.0.1:0", "--batteries", "17"]).unwrap();
        let error = simulate(&args, &mut Vec::new(), || true).unwrap_err().to_string();
        assert_eq!(error, "expected 1 to 16 batteries, but found 17");
    }
}
