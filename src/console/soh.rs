//! `soh`: which cells were once flagged abnormal (protocol, section 9).
//!
//! ```text
//! Power   1
//! Battery    Voltage    SOHCount   SOHStatus
//! 0          3311       0          Normal
//! ```

use serde::Serialize;

use crate::console::answer::Answer;
use crate::console::error::ParseError;
use crate::console::number::{integer, small};
use crate::console::pwr_detail::heading_number;
use crate::console::setters::{plain_text, set};
use crate::console::table::{Column, Layout, Shape, Split, split_at_header};
use crate::model::units::Millivolts;
use crate::model::word::Word;

/// One cell's state of health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SohRow {
    /// The number as printed.
    pub number: Option<u16>,
    /// Voltage of the cell.
    #[serde(rename = "voltage_mv")]
    pub voltage: Option<Millivolts>,
    /// How often the cell was flagged abnormal.
    pub count: Option<i64>,
    /// `Normal`, `Abnormal`; a number on some firmware.
    pub state: Option<Word>,
}

/// The cells' states of health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Soh {
    /// The battery's number in the answer.
    pub number: Option<i64>,
    /// A row a cell.
    pub cells: Vec<SohRow>,
}

const COLUMNS: &[Column<SohRow>] = &[
    Column { head: "Battery", shape: Shape::Token, set: set!(id number) },
    Column { head: "Voltage", shape: Shape::Token, set: set!(mv voltage) },
    Column {
        head: "SOHCount",
        shape: Shape::Token,
        set: |row, cut| {
            row.count = Some(integer(cut.first).ok_or("a whole number")?);
            Ok(())
        },
    },
    Column {
        head: "SOHStatus",
        shape: Shape::Token,
        set: |row, cut| {
            row.state = Some(Word::new(&plain_text(cut.first)?));
            Ok(())
        },
    },
];

/// Reads the table. Some firmware prints a header cell of uninitialised bytes that no row has a value for, so
/// only the columns up to the last known one count.
///
/// # Errors
/// There is no header, or a row is damaged.
pub fn parse(answer: &Answer) -> Result<Soh, ParseError> {
    let Split { before, header, rows } = split_at_header(answer, "Battery Voltage")?;
    let known = header.find("SOHStatus").map_or(header, |at| &header[..at + "SOHStatus".len()]);
    let layout = Layout::of(known, COLUMNS);
    let number = before.iter().find_map(|(_, line)| heading_number(line, "Power"));
    let cells =
        rows.into_iter().map(|(number, line)| layout.read(number, line)).collect::<Result<Vec<_>, _>>()?;
    if cells.is_empty() {
        return Err(ParseError::Nothing { expected: "a row a cell", lines: answer.len() });
    }
    Ok(Soh { number, cells })
}
