//! `bat`: one row a cell (protocol, section 9, layouts b8 to b12, and the stack's).
//!
//! ```text
//! Battery  Volt     Curr     Tempr    Base State   Volt. State  Curr. State  Temp. State  SOC   Coulomb      BAL
//! 0        3311     -1780    24100    Dischg       Normal       Normal       Normal       81%   40511 mAH    N
//! ```

use serde::Serialize;

use crate::console::answer::Answer;
use crate::console::error::ParseError;
use crate::console::number::{percent, small};
use crate::console::setters::{set, state_word};
use crate::console::table::{Column, Cut, Layout, Set, Shape, Split, has_header, split_at_header};
use crate::model::units::{MilliampHours, Milliamps, Millicelsius, Millivolts, MilliwattHours, Percent};
use crate::model::word::Word;

/// What the console says of one cell. Columns this firmware does not have are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CellRow {
    /// The number as printed: from 0, on some firmware from 1.
    pub number: Option<u16>,
    /// Voltage of the cell.
    #[serde(rename = "voltage_mv")]
    pub voltage: Option<Millivolts>,
    /// Current of the battery, repeated for each of its cells.
    #[serde(rename = "current_ma")]
    pub current: Option<Milliamps>,
    /// Temperature at the sensor nearest to the cell.
    #[serde(rename = "temperature_mc")]
    pub temperature: Option<Millicelsius>,
    /// Charge, discharge, idle …
    pub base_state: Option<Word>,
    /// State of the voltage.
    pub volt_state: Option<Word>,
    /// State of the current.
    pub current_state: Option<Word>,
    /// State of the temperature; while discharging where the console has one for each direction.
    pub temp_state: Option<Word>,
    /// State of the temperature for charging.
    pub charge_temp_state: Option<Word>,
    /// State of charge.
    #[serde(rename = "soc_percent")]
    pub soc: Option<Percent>,
    /// Charge left in the cell.
    #[serde(rename = "coulomb_mah")]
    pub coulomb: Option<MilliampHours>,
    /// Energy left in the cell.
    #[serde(rename = "energy_mwh")]
    pub energy: Option<MilliwattHours>,
    /// Whether it is being balanced.
    pub balancing: Option<bool>,
}

/// The cells of a battery, or of a whole stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CellTable {
    /// In the console's order.
    pub cells: Vec<CellRow>,
    /// Whether these are all cells of a high-voltage stack.
    pub stack: bool,
}

const COLUMNS: &[Column<CellRow>] = &[
    Column { head: "Battery", shape: Shape::Token, set: set!(id number) },
    Column { head: "Bat", shape: Shape::Token, set: set!(id number) },
    Column { head: "Volt", shape: Shape::Token, set: set!(mv voltage) },
    Column { head: "Curr", shape: Shape::Token, set: set!(ma current) },
    Column { head: "Tempr", shape: Shape::Token, set: set!(mc temperature) },
    Column { head: "Base State", shape: Shape::Token, set: set!(word base_state) },
    Column { head: "Volt. State", shape: Shape::Token, set: set!(word volt_state) },
    Column { head: "V.State", shape: Shape::Token, set: set!(word volt_state) },
    Column { head: "Curr. State", shape: Shape::Token, set: set!(word current_state) },
    Column { head: "Temp. State", shape: Shape::Token, set: set!(word temp_state) },
    Column { head: "T.State", shape: Shape::Token, set: set!(word temp_state) },
    Column { head: "DTemp. State", shape: Shape::Token, set: set!(word temp_state) },
    Column { head: "CTemp. State", shape: Shape::Token, set: set!(word charge_temp_state) },
    Column { head: "SOC", shape: Shape::Token, set: set!(percent soc) },
    Column { head: "Coulomb", shape: Shape::Charge, set: set!(charge soc coulomb) },
    Column { head: "AH(mAH)", shape: Shape::Charge, set: set!(charge soc coulomb) },
    Column { head: "WH(mWH)", shape: Shape::Charge, set: set!(energy energy) },
    Column { head: "BAL", shape: Shape::Token, set: balancing },
    Column { head: "Bal", shape: Shape::Token, set: balancing },
];

fn balancing(row: &mut CellRow, cut: Cut<'_>) -> Set {
    row.balancing = Some(match cut.first {
        "Y" => true,
        "N" => false,
        _ => return Err("Y or N"),
    });
    Ok(())
}

/// Reads the rows of cells. One row that can't be read spoils the table: a cell's number is its place in it.
///
/// # Errors
/// There is no header, a row is damaged, or rows are missing or out of order.
pub fn parse(answer: &Answer) -> Result<CellTable, ParseError> {
    let heads = ["Battery Volt", "Bat Volt"];
    let head = heads.into_iter().find(|head| has_header(answer, head)).unwrap_or(heads[0]);
    let Split { header, rows, .. } = split_at_header(answer, head)?;
    let layout = Layout::of(header, COLUMNS);
    let mut cells: Vec<CellRow> = Vec::with_capacity(16);
    for (number, line) in rows {
        let row = layout.read(number, line)?;
        let found = row.number.ok_or(ParseError::ShortRow { line: number, column: "Battery".into() })?;
        let right = match cells.last().and_then(|last| last.number) {
            None => found <= 1,
            Some(last) => last.checked_add(1) == Some(found),
        };
        if !right {
            let expected = cells
                .last()
                .and_then(|last| last.number)
                .map_or("cell 0 or 1".into(), |last| format!("cell {}", u32::from(last) + 1));
            return Err(ParseError::Order { line: number, expected, found: i64::from(found) });
        }
        cells.push(row);
    }
    if cells.is_empty() {
        return Err(ParseError::Nothing { expected: "a row a cell", lines: answer.len() });
    }
    Ok(CellTable { cells, stack: head == "Bat Volt" })
}
