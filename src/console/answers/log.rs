//! `log`: the battery's own log, newest first, three records per page (protocol, section 9).
//!
//! ```text
//!  Index   : 19
//!  Time    : 26-11-22 06:05:09
//!  ModID   : BMM
//!  Code    : 12c
//!  Info    : The device start charging.
//! ```

use jiff::civil::DateTime;
use serde::Serialize;

use crate::console::error::{ParseError, excerpt};
use crate::console::framing::answer::Answer;
use crate::console::parsing::labeled_line::{LabeledLine, labeled_lines};
use crate::console::parsing::number::{date_time, integer};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogRecord {
    /// Higher is newer.
    pub index: i64,
    pub clock: Option<DateTime>,
    pub(crate) module: Option<String>,
    /// Printed in hexadecimal without `0x`.
    pub code: Option<u32>,
    pub info: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Log {
    /// Newest first.
    pub records: Vec<LogRecord>,
    /// Lines that could not be parsed; the records are valid without them.
    #[serde(skip)]
    pub(crate) problems: Vec<ParseError>,
}

/// Parses the records; an answer that ended at the pager has only those of its first pages.
///
/// # Errors
/// Returns an error if there is no record.
pub fn parse(answer: &Answer) -> Result<Log, ParseError> {
    let mut log = Log::default();
    for field in labeled_lines(answer) {
        if field.label.0 == "Index" {
            match integer(field.value) {
                Some(index) => log.records.push(LogRecord { index, ..LogRecord::default() }),
                None => log.problems.push(field.invalid("a whole number")),
            }
        } else if let Some(record) = log.records.last_mut()
            && let Err(expected) = set_field(record, &field)
        {
            log.problems.push(field.invalid(expected));
        }
    }
    if log.records.is_empty() {
        return Err(ParseError::Nothing {
            expected: "records that start with \"Index\"",
            lines: answer.len(),
        });
    }
    Ok(log)
}

fn set_field(record: &mut LogRecord, field: &LabeledLine<'_>) -> Result<(), &'static str> {
    match field.label.0 {
        "Time" => {
            let mut words = field.value.split_ascii_whitespace();
            let (date, time) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            record.clock = date_time(date, time).ok_or("a date and a time")?;
        }
        "ModID" => record.module = Some(excerpt(field.value)),
        "Code" => {
            record.code = Some(u32::from_str_radix(field.value, 16).map_err(|_| "a hexadecimal number")?)
        }
        "Info" => record.info = Some(excerpt(field.value)),
        _ => {}
    }
    Ok(())
}
