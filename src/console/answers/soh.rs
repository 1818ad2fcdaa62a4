//! `soh`: cells that were flagged as abnormal (protocol, section 9).
//!
//! ```text
//! Power   1
//! Battery    Voltage    SOHCount   SOHStatus
//! 0          3311       0          Normal
//! ```
//! Some firmware prints the two columns `Battery SOH` instead.

use serde::Serialize;

use crate::console::answers::pwr_detail::heading_number;
use crate::console::error::ParseError;
use crate::console::framing::answer::Answer;
use crate::console::parsing::number::{amount, integer, small};
use crate::console::parsing::setters::{plain_text, set};
use crate::console::parsing::table::{ColumnFormat, Layout, SplitTable, TableColumn, split_at_header};
use crate::model::units::{Millivolts, Percent};
use crate::model::word::Word;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SohRow {
    /// As printed.
    pub number: Option<u16>,
    #[serde(rename = "voltage_mv")]
    pub voltage: Option<Millivolts>,
    /// How often the cell was flagged as abnormal.
    pub(crate) count: Option<i64>,
    /// `Normal`, `Abnormal`; on some firmware a number.
    pub(crate) state: Option<Word>,
    /// Only if it is printed with `%`, since a bare number could be a count.
    #[serde(rename = "soh_percent", skip_serializing_if = "Option::is_none")]
    pub(crate) soh: Option<Percent>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Soh {
    /// As stated in the answer.
    pub(crate) number: Option<i64>,
    /// One row per cell.
    pub cells: Vec<SohRow>,
    /// Rows that could not be parsed; the others are valid.
    #[serde(skip)]
    pub(crate) problems: Vec<ParseError>,
}

const COLUMNS: &[TableColumn<SohRow>] = &[
    TableColumn { header: "Battery", format: ColumnFormat::Token, set: set!(id number) },
    TableColumn { header: "Voltage", format: ColumnFormat::Token, set: set!(mv voltage) },
    TableColumn {
        header: "SOHCount",
        format: ColumnFormat::Token,
        set: |row, value| {
            row.count = Some(integer(value.first).ok_or("a whole number")?);
            Ok(())
        },
    },
    TableColumn {
        header: "SOHStatus",
        format: ColumnFormat::Token,
        set: |row, value| {
            row.state = Some(Word::new(&plain_text(value.first)?));
            Ok(())
        },
    },
    TableColumn {
        header: "SOH",
        format: ColumnFormat::Token,
        set: |row, value| {
            let (value, unit) = amount(value.first).ok_or("a state of health like 92%")?;
            row.soh = i32::try_from(value).ok().filter(|_| unit == "%").map(Percent);
            Ok(())
        },
    },
];

/// Parses the table; rows that cannot be parsed are listed in `problems`. Some firmware prints a header cell of
/// uninitialised bytes without values in the rows, so only the columns up to the last known one count.
///
/// # Errors
/// Returns an error if there is no header, or if no row could be parsed.
pub(crate) fn parse(answer: &Answer) -> Result<Soh, ParseError> {
    let split =
        split_at_header(answer, "Battery Voltage").or_else(|_| split_at_header(answer, "Battery SOH"));
    let SplitTable { before, header, rows } = split?;
    let known = header.find("SOHStatus").map_or(header, |at| &header[..at + "SOHStatus".len()]);
    let layout = Layout::of(known, COLUMNS);
    let number = before.iter().find_map(|(_, line)| heading_number(line, "Power"));
    let mut soh = Soh { number, ..Soh::default() };
    for (number, line) in rows {
        match layout.parse_row(number, line) {
            Ok(row) => soh.cells.push(row),
            Err(problem) => soh.problems.push(problem),
        }
    }
    if soh.cells.is_empty() {
        let nothing = ParseError::Nothing { expected: "one row per cell", lines: answer.len() };
        return Err(soh.problems.into_iter().next().unwrap_or(nothing));
    }
    Ok(soh)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soh(lines: &str) -> Soh {
        let text = format!("soh 1\n@\n Power   1\n{lines}\nCommand completed successfully\n$$\n");
        parse(&Answer::from_transcript(text.as_bytes())).expect("states of health")
    }

    #[test]
    fn a_number_without_a_percent_sign_is_not_a_state_of_health() {
        let read = soh("Battery    SOH\n0          98%\n1          97\n");
        assert_eq!(read.number, Some(1));
        let percent: Vec<_> = read.cells.iter().map(|cell| cell.soh).collect();
        assert_eq!((percent, read.problems.len()), (vec![Some(Percent(98)), None], 0));
    }

    #[test]
    fn a_damaged_row_of_soh_loses_only_itself() {
        let read =
            soh("Battery Voltage SOHCount SOHStatus\n0 3311 0 Normal\n1 33x1 0 Normal\n2 3310 0 Normal\n");
        let numbers: Vec<_> = read.cells.iter().map(|cell| cell.number).collect();
        assert_eq!((numbers, read.problems.len()), (vec![Some(0), Some(2)], 1));
    }
}
