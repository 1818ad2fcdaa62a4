//! One file per command: parses the lines of its answer into values. Parsing depends only on headers and labels, never
//! on a firmware version.

pub mod bat;
pub mod data_event;
pub mod euro;
pub mod help;
pub mod info;
pub mod log;
pub mod parsed;
pub mod pwr_detail;
pub mod pwr_table;
pub mod soh;
pub mod stack;
pub mod stat;
mod stat_labels;
pub mod time;
pub mod words;

use crate::console::answers::parsed::{Parsed, Rejected};
use crate::console::command::{Command, CommandName};
use crate::console::error::ParseError;
use crate::console::framing::answer::{Answer, AnswerStatus};
use crate::console::framing::echo;
use crate::console::parsing::table;
use crate::console::word_slot::place_index;

/// Parses the answer to `command`.
///
/// # Errors
/// Returns an error if the console refused the command, or if the answer is truncated or has no usable values. Errors
/// in single rows or lines are in [`Parsed::problems`].
pub fn parse(command: Command, answer: &Answer) -> Result<Parsed, Rejected> {
    match answer.status {
        AnswerStatus::Success => {
            let mut parsed = parse_text(command, answer)?;
            let echo = answer.echo.as_deref().filter(|_| answer.echo_damaged);
            if echo.is_some_and(|echo| !echo::identifies(command, echo, parsed.stated_battery())) {
                return Err(Rejected::Unidentified);
            }
            words::remove_words(&mut parsed, place_index(command.place()), &answer.unconfirmed);
            Ok(parsed)
        }
        // The console may have received another command, and refused that one.
        AnswerStatus::Refused(_) if answer.echo_damaged => Err(Rejected::Unidentified),
        AnswerStatus::Refused(refusal) => Err(Rejected::Refused(refusal)),
        AnswerStatus::Unclear => Err(Rejected::Truncated),
    }
}

/// Parses the text of an answer regardless of its status: for transcripts that were copied by hand.
///
/// # Errors
/// Returns an error if the text has no usable values.
pub fn parse_text(command: Command, answer: &Answer) -> Result<Parsed, ParseError> {
    let parsed = match (command.name, command.index) {
        (CommandName::Pwr, None) if table::has_header(answer, stack::HEADER) => {
            Parsed::Stack(Box::new(stack::parse_stack(answer)?))
        }
        (CommandName::Pwr, None) => Parsed::Table(pwr_table::parse(answer)?),
        (CommandName::Pwr, Some(_)) => Parsed::Detail(Box::new(pwr_detail::parse(answer)?)),
        (CommandName::Bat, _) => Parsed::Cells(bat::parse(answer)?),
        (CommandName::Info, _) => Parsed::Info(Box::new(info::parse(answer)?)),
        (CommandName::Stat, _) => Parsed::Stat(stat::parse(answer)?),
        (CommandName::Soh, _) => Parsed::Soh(soh::parse(answer)?),
        (CommandName::Time, _) => Parsed::Clock(time::parse(answer)?),
        (CommandName::Log, _) => Parsed::Log(log::parse(answer)?),
        (CommandName::DataEvent | CommandName::DataHistory, _) => {
            Parsed::Event(Box::new(data_event::parse(answer)?))
        }
        (CommandName::Unit, _) => Parsed::Units(stack::parse_units(answer)?),
        (CommandName::Help, _) => Parsed::Help(help::parse(answer)?),
        (CommandName::Euro, _) => Parsed::Euro(euro::parse(answer)?),
    };
    match (command.index, parsed.stated_battery()) {
        (Some(requested), Some(found)) if i64::from(requested) != found => {
            Err(ParseError::WrongBattery { requested, found })
        }
        _ => Ok(parsed),
    }
}
