//! The answers of one sweep, as they were framed. What crosses from the port's owner to the parser.

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

/// All questions of one sweep and what came back.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// The bank's name in the settings.
    pub bank: Arc<str>,
    /// How much was asked.
    pub kind: SweepKind,
    /// When the sweep began.
    pub began_at: Timestamp,
    /// The same moment on the clock that nobody sets: what spans of time are reckoned by.
    pub began: Instant,
    /// How long it took.
    pub took: Duration,
    /// The places at which batteries have been seen since the service started.
    pub known: Vec<Place>,
    /// In the order asked; slow questions asked since the last sweep stand at the end.
    pub exchanges: Vec<Exchange>,
}

impl Transcript {
    /// How many questions were put again.
    #[must_use]
    pub(crate) fn asked_again(&self) -> u32 {
        self.exchanges.iter().map(|exchange| exchange.asked.saturating_sub(1)).sum()
    }
}

/// One question and what became of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The question.
    pub command: Command,
    /// The answer that was believed, or why there is none.
    pub outcome: Result<Answer, Lost>,
    /// How often it was asked.
    pub asked: u32,
}

/// Why a question went without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Nothing came at all.
    Silent,
    /// Something came, but not our echo: damaged, or another client's.
    NoEcho,
    /// It began and did not end.
    Torn,
    /// More came than any answer holds.
    TooLong,
    /// It was whole, but what it says can't be used.
    Rejected(Rejected),
    /// A line of it was damaged each time it was asked.
    Damaged(ParseError),
    /// It was at odds with other answers, and asking again confirmed nothing.
    Unconfirmed(String),
    /// This many batteries appeared at once, so the next sweep has to show the same ones.
    Grown(usize),
    /// The link went away: how that showed.
    LinkGone(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("no answer"),
            Self::NoEcho => {
                f.write_str("command echo not received (line noise, or a reply meant for another client)")
            }
            Self::Torn => f.write_str("answer cut off before its end marker"),
            Self::TooLong => f.write_str("more bytes than any answer has"),
            Self::Rejected(rejected) => rejected.fmt(f),
            Self::Damaged(problem) => problem.fmt(f),
            Self::Unconfirmed(why) => write!(f, "{why}, and asking again did not confirm it"),
            Self::Grown(new) => {
                write!(
                    f,
                    "{new} batteries appeared at once; accepted once the next sweep shows the same ones"
                )
            }
            Self::LinkGone(why) => f.write_str(why),
        }
    }
}
