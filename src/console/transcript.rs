//! The answers of one sweep, sent from `SerialActor` to `ParserActor`.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::console::answers::parsed::Rejected;
use crate::console::command::Command;
use crate::console::error::ParseError;
use crate::console::framing::answer::Answer;
use crate::model::place::Place;
use crate::model::reading::SweepKind;

/// All commands of one sweep and their answers.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// The bank's name in the settings.
    pub bank: Arc<str>,
    pub kind: SweepKind,
    pub started_at: Timestamp,
    /// The same moment on the monotonic clock, for durations.
    pub started: Instant,
    pub took: Duration,
    /// The places at which batteries have been seen since the service started.
    pub known_places: Vec<Place>,
    /// In the order sent; slow commands since the last sweep are at the end.
    pub exchanges: Vec<Exchange>,
}

impl Transcript {
    /// How often a command was sent again.
    #[must_use]
    pub(crate) fn retries(&self) -> u32 {
        self.exchanges.iter().map(|exchange| exchange.attempts.saturating_sub(1)).sum()
    }
}

/// One command and its outcome.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub command: Command,
    /// The accepted answer, or why there is none.
    pub outcome: Result<Answer, CommandError>,
    /// How often the command was sent.
    pub attempts: u32,
}

/// Why a command has no accepted answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    NoResponse,
    /// Something was received, but not our echo: line noise, or a reply meant for another client.
    NoEcho,
    /// The end mark is missing.
    Truncated,
    TooLong,
    /// The answer is complete but unusable.
    Rejected(Rejected),
    /// A line was damaged at every attempt.
    Damaged(ParseError),
    /// The answer contradicts other answers, and no further attempt confirmed it.
    Unconfirmed(String),
    /// This many batteries appeared at once, so the next sweep has to show the same ones.
    SuddenGrowth(usize),
    /// The link has to be reopened; the reason.
    LinkGone(String),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoResponse => f.write_str("no answer"),
            Self::NoEcho => {
                f.write_str("command echo not received (line noise, or a reply meant for another client)")
            }
            Self::Truncated => f.write_str("answer cut off before its end marker"),
            Self::TooLong => f.write_str("answer too long"),
            Self::Rejected(rejected) => rejected.fmt(f),
            Self::Damaged(problem) => problem.fmt(f),
            Self::Unconfirmed(why) => write!(f, "{why}, and no further answer confirmed it"),
            Self::SuddenGrowth(new) => {
                write!(
                    f,
                    "{new} batteries appeared at once; accepted once the next sweep shows the same ones"
                )
            }
            Self::LinkGone(why) => f.write_str(why),
        }
    }
}
