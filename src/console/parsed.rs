//! From a question and its answer to values: one line a command.

use serde::Serialize;

use crate::console::answer::{Answer, Verdict};
use crate::console::command::{Command, Verb};
use crate::console::error::ParseError;
use crate::console::refusal::Refusal;
use crate::console::{
    bat, clock, data_event, echo, euro, help, info, log, pwr_detail, pwr_table, soh, stack, stat, table,
    words,
};

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Parsed {
    /// `pwr` of a group.
    Table(pwr_table::PwrTable),
    /// `pwr` of a high-voltage stack.
    Stack(Box<stack::StackRow>),
    /// `pwr N`.
    Detail(Box<pwr_detail::PwrDetail>),
    /// `bat`, `bat N`.
    Cells(bat::CellTable),
    /// `info`, `info N`.
    Info(Box<info::Info>),
    /// `stat`, `stat N`.
    Stat(stat::Stat),
    /// `soh`, `soh N`.
    Soh(soh::Soh),
    /// `time`.
    Clock(clock::Clock),
    /// `log`.
    Log(log::Log),
    /// `data event`, `data history`.
    Event(Box<data_event::DataEvent>),
    /// `unit`.
    Units(stack::Units),
    /// `help`.
    Help(help::Help),
    /// `euro`.
    Euro(euro::Euro),
}

/// Why an answer yields no values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The console will not.
    #[error("{0}")]
    Refused(Refusal),
    /// The echo is damaged, and the answer does not identify itself as ours.
    #[error("the command echo is damaged, and the answer does not show which command it belongs to")]
    Nameless,
    /// It neither succeeded nor refused: a line is missing or damaged.
    #[error("the line \"Command completed successfully\" is missing: the answer is torn")]
    Torn,
    /// The text is not what this command says.
    #[error(transparent)]
    Unreadable(#[from] ParseError),
}

/// Reads the answer to `command`.
///
/// # Errors
/// The console refused, or the answer is torn or damaged beyond use. Damage to single rows or lines is in
/// [`Parsed::problems`].
pub fn parse(command: Command, answer: &Answer) -> Result<Parsed, Rejected> {
    match answer.verdict {
        Verdict::Success => {
            let mut parsed = read(command, answer)?;
            let echo = answer.echo.as_deref().filter(|_| answer.echo_damaged);
            if echo.is_some_and(|echo| !echo::is_named(command, echo, &parsed)) {
                return Err(Rejected::Nameless);
            }
            words::forget(&mut parsed, words::number(command.place()), &answer.unconfirmed);
            Ok(parsed)
        }
        // A console that took the question for another refuses that one.
        Verdict::Refused(_) if answer.echo_damaged => Err(Rejected::Nameless),
        Verdict::Refused(refusal) => Err(Rejected::Refused(refusal)),
        Verdict::Unclear => Err(Rejected::Torn),
    }
}

/// Reads the text of an answer whatever its end says: for transcripts that were cut out by hand.
///
/// # Errors
/// The text is damaged beyond use.
pub fn read(command: Command, answer: &Answer) -> Result<Parsed, ParseError> {
    let parsed = match (command.verb, command.index) {
        (Verb::Pwr, None) if table::has_header(answer, stack::HEAD) => {
            Parsed::Stack(Box::new(stack::parse_stack(answer)?))
        }
        (Verb::Pwr, None) => Parsed::Table(pwr_table::parse(answer)?),
        (Verb::Pwr, Some(_)) => Parsed::Detail(Box::new(pwr_detail::parse(answer)?)),
        (Verb::Bat, _) => Parsed::Cells(bat::parse(answer)?),
        (Verb::Info, _) => Parsed::Info(Box::new(info::parse(answer)?)),
        (Verb::Stat, _) => Parsed::Stat(stat::parse(answer)?),
        (Verb::Soh, _) => Parsed::Soh(soh::parse(answer)?),
        (Verb::Time, _) => Parsed::Clock(clock::parse(answer)?),
        (Verb::Log, _) => Parsed::Log(log::parse(answer)?),
        (Verb::DataEvent | Verb::DataHistory, _) => Parsed::Event(Box::new(data_event::parse(answer)?)),
        (Verb::Unit, _) => Parsed::Units(stack::parse_units(answer)?),
        (Verb::Help, _) => Parsed::Help(help::parse(answer)?),
        (Verb::Euro, _) => Parsed::Euro(euro::parse(answer)?),
    };
    match (command.index, parsed.speaks_of()) {
        (Some(asked), Some(found)) if i64::from(asked) != found => {
            Err(ParseError::OtherBattery { asked, found })
        }
        _ => Ok(parsed),
    }
}

impl Parsed {
    /// The battery's number that the answer itself names.
    #[must_use]
    pub(crate) fn speaks_of(&self) -> Option<i64> {
        match self {
            Self::Detail(detail) => detail.number.map(i64::from),
            Self::Info(info) => info.address.map(i64::from),
            Self::Stat(stat) => stat.address,
            Self::Soh(soh) => soh.number,
            _ => None,
        }
    }

    /// Whether it holds facts, or a snapshot of the memory: lines that are independent of one another.
    #[must_use]
    pub(crate) fn is_facts(&self) -> bool {
        matches!(self, Self::Info(_) | Self::Stat(_) | Self::Soh(_) | Self::Euro(_) | Self::Event(_))
    }

    /// Nearly all consoles number cells from 0, so at first sight a table from 1 may have lost its first row.
    #[must_use]
    pub(crate) fn first_cell_late(&self) -> Option<&'static str> {
        let Self::Cells(table) = self else { return None };
        let late = table.cells.first().is_some_and(|cell| cell.number == Some(1));
        late.then_some("the first cell is number 1, and number 0 may be missing")
    }

    /// Rows and lines that could not be read; everything else in the answer stands.
    #[must_use]
    pub fn problems(&self) -> &[ParseError] {
        match self {
            Self::Table(table) => &table.problems,
            Self::Detail(detail) => &detail.problems,
            Self::Info(info) => &info.problems,
            Self::Stat(stat) => &stat.problems,
            Self::Soh(soh) => &soh.problems,
            Self::Euro(euro) => &euro.problems,
            Self::Log(log) => &log.problems,
            Self::Units(units) => &units.problems,
            Self::Event(event) => &event.problems,
            Self::Cells(cells) => &cells.problems,
            Self::Stack(_) | Self::Clock(_) | Self::Help(_) => &[],
        }
    }
}
