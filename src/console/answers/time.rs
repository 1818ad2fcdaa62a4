//! `time`: the clock of the battery plugged into (protocol, section 9): `Ds3231 2026-11-22 06:05:09`, or bare.

use jiff::civil::DateTime;
use serde::Serialize;

use crate::console::error::ParseError;
use crate::console::framing::answer::Answer;
use crate::console::parsing::number::date_time;

/// What the battery takes for the time; local, without a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Clock {
    /// Nothing where its clock was never set.
    pub clock: Option<DateTime>,
}

/// Reads the clock.
///
/// # Errors
/// No line ends in a date and a time.
pub(crate) fn parse(answer: &Answer) -> Result<Clock, ParseError> {
    answer
        .lines()
        .find_map(|(_, line)| {
            let mut words = line.split_ascii_whitespace().rev();
            let (time, date) = (words.next()?, words.next()?);
            date_time(date, time)
        })
        .map(|clock| Clock { clock })
        .ok_or(ParseError::Nothing { expected: "a date and a time", lines: answer.len() })
}
