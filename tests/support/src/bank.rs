//! A simulated bank at model level: its console's answers, framed and assembled into reports, without any I/O.

use std::sync::Arc;
use std::time::Duration;

use bankwatch::internals::console::answers::parsed::Rejected;
use bankwatch::internals::console::assemble::assemble;
use bankwatch::internals::console::command::{Command, CommandName};
use bankwatch::internals::console::error::ParseError;
use bankwatch::internals::console::framing::{FrameStatus, Framer};
use bankwatch::internals::console::transcript::{CommandError, Exchange, Transcript};
use bankwatch::internals::model::place::Place;
use bankwatch::internals::model::reading::SweepKind;
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::simulator::{Console, Dialect, PrintedValues, Simulation};
use jiff::Timestamp;

/// A bank named `pytes`, and the current local time.
#[derive(Clone)]
pub struct Bank {
    pub console: Console,
    pub at: Timestamp,
    known: Vec<Place>,
}

/// The time between two sweeps.
pub const INTERVAL: Duration = Duration::from_secs(10);

pub fn place(number: u8) -> Place {
    Place::new(number).unwrap()
}

impl Bank {
    pub fn new(dialect: Dialect, batteries: usize) -> Self {
        Self::of(&Simulation::new(dialect).batteries(batteries).seed(4))
    }

    pub fn of(simulation: &Simulation) -> Self {
        let console = simulation.console().unwrap();
        Self { console, at: "2026-11-22T06:00:46Z".parse().unwrap(), known: Vec::new() }
    }

    /// A full sweep, ten seconds after the last one.
    pub fn full(&mut self) -> BankReport {
        self.full_but(|_, answer| Some(answer))
    }

    /// A full sweep in which `edit` modifies each answer; `None` loses the answer.
    pub fn full_but(&mut self, edit: impl FnMut(&str, String) -> Option<String>) -> BankReport {
        self.sweep(SweepKind::Full, &[], edit)
    }

    /// A summary sweep, ten seconds after the last sweep.
    pub fn summary(&mut self) -> BankReport {
        self.sweep(SweepKind::Summary, &[], |_, answer| Some(answer))
    }

    /// A summary sweep with additional commands.
    pub fn summary_and(&mut self, between: &[Command]) -> BankReport {
        self.sweep(SweepKind::Summary, between, |_, answer| Some(answer))
    }

    pub fn sweep(
        &mut self,
        kind: SweepKind,
        between: &[Command],
        edit: impl FnMut(&str, String) -> Option<String>,
    ) -> BankReport {
        BankReport::of_one(assemble(&self.transcript(kind, between, edit)))
    }

    /// The raw answers of one sweep, before parsing.
    pub fn transcript(
        &mut self,
        kind: SweepKind,
        between: &[Command],
        mut edit: impl FnMut(&str, String) -> Option<String>,
    ) -> Transcript {
        self.at += INTERVAL;
        let present: Vec<Place> =
            self.console.bank().batteries().filter_map(|(number, _)| Place::new(number as u8)).collect();
        self.known.extend(&present);
        self.known.sort_unstable();
        self.known.dedup();
        let details = present
            .iter()
            .flat_map(|place| [CommandName::Pwr.for_place(*place), CommandName::Bat.for_place(*place)]);
        let details = details.filter(|_| kind == SweepKind::Full && !self.console.bank().is_series());
        let stack = [CommandName::Unit.bare(), CommandName::Bat.bare()].into_iter();
        let stack = stack.filter(|_| kind == SweepKind::Full && self.console.bank().is_series());
        let asked: Vec<Command> = [CommandName::Pwr.bare()]
            .into_iter()
            .chain(details)
            .chain(stack)
            .chain(between.iter().copied())
            .collect();
        let exchanges = asked.into_iter().map(|command| self.ask(command, &mut edit)).collect();
        Transcript {
            started: std::time::Instant::now(),
            bank: Arc::from("pytes"),
            kind,
            started_at: self.at,
            took: Duration::from_secs(1),
            known_places: self.known.clone(),
            exchanges,
        }
    }

    fn ask(&mut self, command: Command, edit: &mut impl FnMut(&str, String) -> Option<String>) -> Exchange {
        let question = command.to_string();
        let (mut received, _): (Vec<u8>, Vec<(String, PrintedValues)>) =
            self.console.type_with_values(format!("{question}\r").as_bytes());
        while Framer::new(&question).push(&received) == FrameStatus::Pager {
            received.extend(self.console.type_bytes(b"\r"));
        }
        let text: String = received.iter().map(|byte| char::from(*byte)).collect();
        let outcome = match edit(&question, text) {
            None => Err(CommandError::Truncated),
            Some(text) => {
                let bytes: Vec<u8> = text.chars().map(|letter| letter as u8).collect();
                match Framer::new(&question).push(&bytes) {
                    FrameStatus::Complete(answer) => Ok(answer),
                    _ => Err(CommandError::Rejected(Rejected::Unreadable(ParseError::Nothing {
                        expected: "an answer",
                        lines: 0,
                    }))),
                }
            }
        };
        Exchange { command, outcome, attempts: 1 }
    }
}
