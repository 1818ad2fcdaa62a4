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
use crate::console::command::{Command, Verb};
use crate::console::error::ParseError;
use crate::console::framing::answer::{Answer, Verdict};
use crate::console::framing::echo;
use crate::console::parsing::table;
use crate::console::word_slot::place_index;

/// Parses the answer to `command`.
///
/// # Errors
/// Returns an error if the console refused the command, or if the answer is truncated or has no usable values. Errors
/// in single rows or lines are in [`Parsed::problems`].
pub fn parse(command: Command, answer: &Answer) -> Result<Parsed, Rejected> {
    match answer.verdict {
        Verdict::Success => {
            let mut parsed = parse_text(command, answer)?;
            let echo = answer.echo.as_deref().filter(|_| answer.echo_damaged);
            if echo.is_some_and(|echo| !echo::identifies(command, echo, parsed.speaks_of())) {
                return Err(Rejected::Nameless);
            }
            words::remove_words(&mut parsed, place_index(command.place()), &answer.unconfirmed);
            Ok(parsed)
        }
        // The console may have received another command, and refused that one.
        Verdict::Refused(_) if answer.echo_damaged => Err(Rejected::Nameless),
        Verdict::Refused(refusal) => Err(Rejected::Refused(refusal)),
        Verdict::Unclear => Err(Rejected::Torn),
    }
}

/// Parses the text of an answer regardless of its status: for transcripts that were copied by hand.
///
/// # Errors
/// Returns an error if the text has no usable values.
pub fn parse_text(command: Command, answer: &Answer) -> Result<Parsed, ParseError> {
    let parsed = match (command.verb, command.index) {
        (Verb::Pwr, None) if table::has_header(answer, stack::HEADER) => {
            Parsed::Stack(Box::new(stack::parse_stack(answer)?))
        }
        (Verb::Pwr, None) => Parsed::Table(pwr_table::parse(answer)?),
        (Verb::Pwr, Some(_)) => Parsed::Detail(Box::new(pwr_detail::parse(answer)?)),
        (Verb::Bat, _) => Parsed::Cells(bat::parse(answer)?),
        (Verb::Info, _) => Parsed::Info(Box::new(info::parse(answer)?)),
        (Verb::Stat, _) => Parsed::Stat(stat::parse(answer)?),
        (Verb::Soh, _) => Parsed::Soh(soh::parse(answer)?),
        (Verb::Time, _) => Parsed::Clock(time::parse(answer)?),
        (Verb::Log, _) => Parsed::Log(log::parse(answer)?),
        (Verb::DataEvent | Verb::DataHistory, _) => Parsed::Event(Box::new(data_event::parse(answer)?)),
        (Verb::Unit, _) => Parsed::Units(stack::parse_units(answer)?),
        (Verb::Help, _) => Parsed::Help(help::parse(answer)?),
        (Verb::Euro, _) => Parsed::Euro(euro::parse(answer)?),
    };
    match (command.index, parsed.speaks_of()) {
        (Some(requested), Some(found)) if i64::from(requested) != found => {
            Err(ParseError::OtherBattery { requested, found })
        }
        _ => Ok(parsed),
    }
}
