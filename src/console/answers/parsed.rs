//! The values of an answer to any command, or the reason why there are none.

use serde::Serialize;

use crate::console::answers::{
    bat, data_event, euro, help, info, log, pwr_detail, pwr_table, soh, stack, stat, time,
};
use crate::console::error::ParseError;
use crate::console::framing::refusal::CommandRefusal;

/// The values of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Parsed {
    /// `pwr` of a group.
    Table(pwr_table::PwrTable),
    /// `pwr` of a high-voltage stack.
    Stack(Box<stack::StackTableRow>),
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
    Clock(time::Clock),
    Log(log::Log),
    /// `data event`, `data history`.
    Event(Box<data_event::DataEvent>),
    /// `unit`.
    Units(stack::Units),
    Help(help::Help),
    Euro(euro::Euro),
}

/// Why an answer has no values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("{0}")]
    Refused(CommandRefusal),
    /// The echo is damaged, and the answer does not identify itself as ours.
    #[error("the command echo is damaged, and the answer does not show which command it belongs to")]
    Unidentified,
    /// Neither success nor a refusal: a line is missing or damaged.
    #[error("the line \"Command completed successfully\" is missing: the answer was cut off")]
    Truncated,
    /// The text does not have the form of this command's answer.
    #[error(transparent)]
    Unreadable(#[from] ParseError),
}

impl Parsed {
    /// The battery's number in the answer itself.
    #[must_use]
    pub(crate) fn stated_battery(&self) -> Option<i64> {
        match self {
            Self::Detail(detail) => detail.number.map(i64::from),
            Self::Info(info) => info.address.map(i64::from),
            Self::Stat(stat) => stat.address,
            Self::Soh(soh) => soh.number,
            _ => None,
        }
    }

    /// Whether it holds facts or a snapshot: lines that are independent of one another.
    #[must_use]
    pub(crate) fn holds_facts(&self) -> bool {
        matches!(self, Self::Info(_) | Self::Stat(_) | Self::Soh(_) | Self::Euro(_) | Self::Event(_))
    }

    /// The reason to doubt a table whose first cell is number 1: nearly all consoles number cells from 0.
    #[must_use]
    pub(crate) fn missing_first_cell(&self) -> Option<&'static str> {
        let Self::Cells(table) = self else { return None };
        let from_one = table.cells.first().is_some_and(|cell| cell.number == Some(1));
        from_one.then_some("the first cell is number 1, and number 0 may be missing")
    }

    /// Rows and lines that could not be parsed; the rest of the answer is valid.
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
