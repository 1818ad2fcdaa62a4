//! `time`: the clock of the connected battery (protocol, section 9): `Ds3231 2026-11-22 06:05:09`, or only the time.

use jiff::civil::DateTime;
use serde::Serialize;

use crate::console::error::ParseError;
use crate::console::framing::answer::Answer;
use crate::console::parsing::number::date_time;

/// The battery's clock; local time, without a time zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Clock {
    /// `None` if the clock was never set.
    pub clock: Option<DateTime>,
}

/// # Errors
/// Returns an error if no line ends with a date and a time.
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
