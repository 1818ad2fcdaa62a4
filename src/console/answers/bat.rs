//! `bat`: one row a cell (protocol, section 9, layouts b8 to b12, and the stack's).
//!
//! ```text
//! Battery  Volt     Curr     Tempr    Base State   Volt. State  Curr. State  Temp. State  SOC   Coulomb      BAL
//! 0        3311     -1780    24100    Dischg       Normal       Normal       Normal       81%   40511 mAH    N
//! ```

use serde::Serialize;

use crate::console::error::ParseError;
use crate::console::framing::answer::Answer;
use crate::console::parsing::number::{percent, small};
use crate::console::parsing::numbered_rows::{Numbered, Rows};
use crate::console::parsing::row_numbers::Numbering;
use crate::console::parsing::setters::{set, state_word};
use crate::console::parsing::table::{Column, Cut, Layout, Set, Shape, Split, has_header, split_at_header};
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
    pub(crate) current_state: Option<Word>,
    /// State of the temperature; while discharging where the console has one for each direction.
    pub temp_state: Option<Word>,
    /// State of the temperature for charging.
    pub(crate) charge_temp_state: Option<Word>,
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
    /// In order of their numbers, without a gap: a cell whose row is missing has its number alone.
    pub cells: Vec<CellRow>,
    /// Whether these are all cells of a high-voltage stack.
    pub stack: bool,
    /// Rows that could not be read, or only in part; the others are valid.
    #[serde(skip)]
    pub(crate) problems: Vec<ParseError>,
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

/// No battery has more cells, and no stack.
const MOST: (usize, usize) = (64, 1024);

/// Reads the rows of cells. A damaged row costs its own doubtful values, a missing one leaves a cell without any.
///
/// # Errors
/// There is no header, no row could be read, or there are more than any battery has.
pub(crate) fn parse(answer: &Answer) -> Result<CellTable, ParseError> {
    let heads = ["Battery Volt", "Bat Volt"];
    let head = heads.into_iter().find(|head| has_header(answer, head)).unwrap_or(heads[0]);
    let Split { header, rows, .. } = split_at_header(answer, head)?;
    let stack = head == "Bat Volt";
    let kind = Rows {
        of: "cell",
        numbering: Numbering { first: 0..=1, late: 0, gap: 8, tail: true },
        most: if stack { MOST.1 } else { MOST.0 },
        stated: |row: &CellRow| row.number,
    };
    let Numbered { rows, problems } = kind.read(&Layout::of(header, COLUMNS), &rows)?;
    let mut cells: Vec<CellRow> = Vec::with_capacity(rows.len());
    for (number, row) in rows {
        let next = cells.last().and_then(|last| last.number).map_or(number, |last| last + 1);
        cells.extend((next..number).map(|number| CellRow { number: Some(number), ..CellRow::default() }));
        cells.push(CellRow { number: Some(number), ..row });
    }
    if cells.len() > kind.most {
        return Err(ParseError::TooMany { of: kind.of, most: kind.most, found: cells.len() });
    }
    if cells.is_empty() {
        let nothing = ParseError::Nothing { expected: "one row per cell", lines: answer.len() };
        return Err(problems.into_iter().next().unwrap_or(nothing));
    }
    Ok(CellTable { cells, stack, problems })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Battery  Volt     Curr     Tempr    Base State   Volt. State  Curr. State  Temp. State  SOC   Coulomb      BAL";
    const SOUND: [&str; 3] = [
        "0        3301     -1500    21000    Dischg       Normal       Normal       Normal       100%  41000 mAH    N",
        "1        3302     -1500    22000    Dischg       Normal       Normal       Normal       100%  41100 mAH    N",
        "2        3303     -1500    23000    Dischg       Normal       Normal       Normal       100%  41200 mAH    Y",
    ];

    fn read(head: &str, rows: &[&str]) -> Result<CellTable, ParseError> {
        let text = format!("bat 1\n{head}\n{}\nCommand completed successfully\n$$\n", rows.join("\n"));
        parse(&Answer::from_transcript(text.as_bytes()))
    }

    /// Cell 1 with this row; the other two rows are sound.
    fn damaged(row: &str) -> CellRow {
        let sound = read(HEAD, &SOUND).expect("a table").cells;
        let table = read(HEAD, &[SOUND[0], row, SOUND[2]]).expect("a table");
        assert_eq!((&table.cells[0], &table.cells[2]), (&sound[0], &sound[2]));
        assert_eq!(table.problems.len(), 1, "{:?}", table.problems);
        table.cells[1].clone()
    }

    fn sound() -> CellRow {
        read(HEAD, &SOUND).expect("a table").cells.swap_remove(1)
    }

    #[test]
    fn a_number_in_a_word_column_costs_what_is_doubtful() {
        let cell = damaged("1 3302 -1500 22000 Dischg Normal Normal 100% Normal 41100 mAH N");
        assert_eq!(cell, CellRow { temp_state: None, soc: None, ..sound() });
    }

    #[test]
    fn a_letter_in_a_voltage_costs_that_voltage() {
        let cell = damaged("1 33x2 -1500 22000 Dischg Normal Normal Normal 100% 41100 mAH N");
        assert_eq!(cell, CellRow { voltage: None, ..sound() });
    }

    #[test]
    fn a_blank_in_a_percentage_costs_that_percentage() {
        let cell = damaged("1 3302 -1500 22000 Dischg Normal Normal Normal 100 % 41100 mAH N");
        assert_eq!(cell, CellRow { soc: None, ..sound() });
    }

    #[test]
    fn a_cell_left_out_costs_what_it_may_have_shifted() {
        let cell = damaged("1 -1500 22000 Dischg Normal Normal Normal 100% 41100 mAH N");
        let (number, words) = (Some(1), sound());
        assert_eq!((cell.voltage, cell.current, cell.temperature), (None, None, None));
        assert_eq!(
            (cell.number, &cell.volt_state, cell.soc, cell.coulomb),
            (number, &words.volt_state, words.soc, words.coulomb)
        );
    }

    #[test]
    fn a_row_cut_short_and_a_row_that_is_missing_leave_a_cell_without_values() {
        let nothing = CellRow { number: Some(1), ..CellRow::default() };
        assert_eq!(damaged("1 3302 -1500 22"), nothing);
        let table = read(HEAD, &[SOUND[0], SOUND[2]]).expect("a table");
        assert_eq!((table.cells.len(), &table.cells[1], table.problems.len()), (3, &nothing, 1));
    }

    #[test]
    fn a_console_that_always_prints_a_blank_before_the_percent_sign_is_read() {
        let apart = SOUND.map(|row| row.replace('%', " %"));
        let table = read(HEAD, &apart.each_ref().map(String::as_str)).expect("a table");
        assert_eq!((table.cells, table.problems), (read(HEAD, &SOUND).expect("a table").cells, vec![]));
    }

    #[test]
    fn an_amount_without_the_unit_of_the_others_is_doubtful() {
        let head = "Bat  Volt Curr    Tempr   V.State T.State AH(mAH)             WH(mWH)            Bal";
        let rows = [
            "0 3300 0 21000 Normal Normal 80% 40 mAH 80% 130 WH N",
            "1 3301 0 21000 Normal Normal 80% 40 mAH 80% 131 N",
        ];
        let table = read(head, &[rows[0], rows[1], &rows[0].replacen('0', "2", 1)]).expect("a table");
        let energies: Vec<_> = table.cells.iter().map(|cell| cell.energy.map(|energy| energy.0)).collect();
        assert_eq!(energies, [Some(130_000), None, Some(130_000)]);
    }

    #[test]
    fn more_cells_than_any_battery_has_are_no_table() {
        let rows: Vec<String> = (0..65).map(|cell| SOUND[0].replacen('0', &cell.to_string(), 1)).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        assert_eq!(read(HEAD, &rows[..64]).map(|table| table.cells.len()), Ok(64));
        assert_eq!(read(HEAD, &rows), Err(ParseError::TooMany { of: "cell", most: 64, found: 65 }));
    }
}
