//! `bat`: one row per cell (protocol, section 9, layouts b8 to b12, and the stack's).
//!
//! ```text
//! Battery  Volt     Curr     Tempr    Base State   Volt. State  Curr. State  Temp. State  SOC   Coulomb      BAL
//! 0        3311     -1780    24100    Dischg       Normal       Normal       Normal       81%   40511 mAH    N
//! ```

use serde::Serialize;

use crate::console::error::ParseError;
use crate::console::framing::answer::Answer;
use crate::console::parsing::number::{percent, small};
use crate::console::parsing::numbered_rows::{NumberedRows, RowParser};
use crate::console::parsing::row_numbers::Numbering;
use crate::console::parsing::setters::{set, state_word};
use crate::console::parsing::table::{
    ColumnFormat, Layout, RawValue, SetResult, SplitTable, TableColumn, has_header, split_at_header,
};
use crate::model::units::{MilliampHours, Milliamps, Millicelsius, Millivolts, MilliwattHours, Percent};
use crate::model::word::Word;

/// Columns that the firmware does not print are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BatRow {
    /// As printed: from 0, on some firmware from 1.
    pub number: Option<u16>,
    #[serde(rename = "voltage_mv")]
    pub voltage: Option<Millivolts>,
    /// Of the battery, repeated for each cell.
    #[serde(rename = "current_ma")]
    pub current: Option<Milliamps>,
    /// From the sensor nearest to the cell.
    #[serde(rename = "temperature_mc")]
    pub temperature: Option<Millicelsius>,
    /// For example `Charge`, `Dischg`, `Idle`.
    pub base_state: Option<Word>,
    pub volt_state: Option<Word>,
    pub(crate) current_state: Option<Word>,
    /// For discharging, if the console prints one for each direction.
    pub temp_state: Option<Word>,
    /// For charging.
    pub(crate) charge_temp_state: Option<Word>,
    #[serde(rename = "soc_percent")]
    pub soc: Option<Percent>,
    #[serde(rename = "coulomb_mah")]
    pub coulomb: Option<MilliampHours>,
    #[serde(rename = "energy_mwh")]
    pub energy: Option<MilliwattHours>,
    pub balancing: Option<bool>,
}

/// The cells of a battery, or of a whole stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CellTable {
    /// In the order of their numbers, without gaps: a cell whose row is missing has only its number.
    pub cells: Vec<BatRow>,
    /// Whether these are all cells of a high-voltage stack.
    pub stack: bool,
    /// Rows that could not be parsed, or only in part; the others are valid.
    #[serde(skip)]
    pub(crate) problems: Vec<ParseError>,
}

const COLUMNS: &[TableColumn<BatRow>] = &[
    TableColumn { header: "Battery", format: ColumnFormat::Token, set: set!(id number) },
    TableColumn { header: "Bat", format: ColumnFormat::Token, set: set!(id number) },
    TableColumn { header: "Volt", format: ColumnFormat::Token, set: set!(mv voltage) },
    TableColumn { header: "Curr", format: ColumnFormat::Token, set: set!(ma current) },
    TableColumn { header: "Tempr", format: ColumnFormat::Token, set: set!(mc temperature) },
    TableColumn { header: "Base State", format: ColumnFormat::Token, set: set!(word base_state) },
    TableColumn { header: "Volt. State", format: ColumnFormat::Token, set: set!(word volt_state) },
    TableColumn { header: "V.State", format: ColumnFormat::Token, set: set!(word volt_state) },
    TableColumn { header: "Curr. State", format: ColumnFormat::Token, set: set!(word current_state) },
    TableColumn { header: "Temp. State", format: ColumnFormat::Token, set: set!(word temp_state) },
    TableColumn { header: "T.State", format: ColumnFormat::Token, set: set!(word temp_state) },
    TableColumn { header: "DTemp. State", format: ColumnFormat::Token, set: set!(word temp_state) },
    TableColumn { header: "CTemp. State", format: ColumnFormat::Token, set: set!(word charge_temp_state) },
    TableColumn { header: "SOC", format: ColumnFormat::Token, set: set!(percent soc) },
    TableColumn { header: "Coulomb", format: ColumnFormat::Charge, set: set!(charge soc coulomb) },
    TableColumn { header: "AH(mAH)", format: ColumnFormat::Charge, set: set!(charge soc coulomb) },
    TableColumn { header: "WH(mWH)", format: ColumnFormat::Charge, set: set!(energy energy) },
    TableColumn { header: "BAL", format: ColumnFormat::Token, set: balancing },
    TableColumn { header: "Bal", format: ColumnFormat::Token, set: balancing },
];

fn balancing(row: &mut BatRow, value: RawValue<'_>) -> SetResult {
    row.balancing = Some(match value.first {
        "Y" => true,
        "N" => false,
        _ => return Err("Y or N"),
    });
    Ok(())
}

/// The most cells of a battery, and of a stack.
const MAX_CELLS: (usize, usize) = (64, 1024);

/// Parses the rows of cells. A damaged row loses its doubtful values; a missing row leaves a cell without values.
///
/// # Errors
/// Returns an error if there is no header, if no row could be parsed, or if there are too many rows.
pub(crate) fn parse(answer: &Answer) -> Result<CellTable, ParseError> {
    let headers = ["Battery Volt", "Bat Volt"];
    let wanted = headers.into_iter().find(|header| has_header(answer, header)).unwrap_or(headers[0]);
    let SplitTable { header, rows, .. } = split_at_header(answer, wanted)?;
    let stack = wanted == "Bat Volt";
    let parser = RowParser {
        of: "cell",
        numbering: Numbering { first: 0..=1, max_missing_start: 0, max_gap: 8, contiguous: true },
        max_rows: if stack { MAX_CELLS.1 } else { MAX_CELLS.0 },
        stated: |row: &BatRow| row.number,
    };
    let NumberedRows { rows, problems } = parser.parse(&Layout::of(header, COLUMNS), &rows)?;
    let mut cells: Vec<BatRow> = Vec::with_capacity(rows.len());
    for (number, row) in rows {
        let next = cells.last().and_then(|last| last.number).map_or(number, |last| last + 1);
        cells.extend((next..number).map(|number| BatRow { number: Some(number), ..BatRow::default() }));
        cells.push(BatRow { number: Some(number), ..row });
    }
    if cells.len() > parser.max_rows {
        return Err(ParseError::TooMany { of: parser.of, most: parser.max_rows, found: cells.len() });
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

    const HEADER: &str = "Battery  Volt     Curr     Tempr    Base State   Volt. State  Curr. State  Temp. State  SOC   Coulomb      BAL";
    const SOUND: [&str; 3] = [
        "0        3301     -1500    21000    Dischg       Normal       Normal       Normal       100%  41000 mAH    N",
        "1        3302     -1500    22000    Dischg       Normal       Normal       Normal       100%  41100 mAH    N",
        "2        3303     -1500    23000    Dischg       Normal       Normal       Normal       100%  41200 mAH    Y",
    ];

    fn read(header: &str, rows: &[&str]) -> Result<CellTable, ParseError> {
        let text = format!("bat 1\n{header}\n{}\nCommand completed successfully\n$$\n", rows.join("\n"));
        parse(&Answer::from_transcript(text.as_bytes()))
    }

    /// Parses cell 1 from this row, between two valid rows.
    fn damaged(row: &str) -> BatRow {
        let sound = read(HEADER, &SOUND).expect("a table").cells;
        let table = read(HEADER, &[SOUND[0], row, SOUND[2]]).expect("a table");
        assert_eq!((&table.cells[0], &table.cells[2]), (&sound[0], &sound[2]));
        assert_eq!(table.problems.len(), 1, "{:?}", table.problems);
        table.cells[1].clone()
    }

    fn sound() -> BatRow {
        read(HEADER, &SOUND).expect("a table").cells.swap_remove(1)
    }

    #[test]
    fn a_number_in_a_word_column_loses_the_doubtful_values() {
        let cell = damaged("1 3302 -1500 22000 Dischg Normal Normal 100% Normal 41100 mAH N");
        assert_eq!(cell, BatRow { temp_state: None, soc: None, ..sound() });
    }

    #[test]
    fn a_letter_in_a_voltage_loses_that_voltage() {
        let cell = damaged("1 33x2 -1500 22000 Dischg Normal Normal Normal 100% 41100 mAH N");
        assert_eq!(cell, BatRow { voltage: None, ..sound() });
    }

    #[test]
    fn a_blank_in_a_percentage_loses_that_percentage() {
        let cell = damaged("1 3302 -1500 22000 Dischg Normal Normal Normal 100 % 41100 mAH N");
        assert_eq!(cell, BatRow { soc: None, ..sound() });
    }

    #[test]
    fn a_lost_value_loses_the_values_it_may_have_shifted() {
        let cell = damaged("1 -1500 22000 Dischg Normal Normal Normal 100% 41100 mAH N");
        let (number, words) = (Some(1), sound());
        assert_eq!((cell.voltage, cell.current, cell.temperature), (None, None, None));
        assert_eq!(
            (cell.number, &cell.volt_state, cell.soc, cell.coulomb),
            (number, &words.volt_state, words.soc, words.coulomb)
        );
    }

    #[test]
    fn a_truncated_or_missing_row_leaves_a_cell_without_values() {
        let empty = BatRow { number: Some(1), ..BatRow::default() };
        assert_eq!(damaged("1 3302 -1500 22"), empty);
        let table = read(HEADER, &[SOUND[0], SOUND[2]]).expect("a table");
        assert_eq!((table.cells.len(), &table.cells[1], table.problems.len()), (3, &empty, 1));
    }

    #[test]
    fn a_blank_before_every_percent_sign_is_accepted() {
        let separated = SOUND.map(|row| row.replace('%', " %"));
        let table = read(HEADER, &separated.each_ref().map(String::as_str)).expect("a table");
        assert_eq!((table.cells, table.problems), (read(HEADER, &SOUND).expect("a table").cells, vec![]));
    }

    #[test]
    fn an_amount_that_lacks_its_unit_is_doubtful() {
        let header = "Bat  Volt Curr    Tempr   V.State T.State AH(mAH)             WH(mWH)            Bal";
        let rows = [
            "0 3300 0 21000 Normal Normal 80% 40 mAH 80% 130 WH N",
            "1 3301 0 21000 Normal Normal 80% 40 mAH 80% 131 N",
        ];
        let table = read(header, &[rows[0], rows[1], &rows[0].replacen('0', "2", 1)]).expect("a table");
        let energies: Vec<_> = table.cells.iter().map(|cell| cell.energy.map(|energy| energy.0)).collect();
        assert_eq!(energies, [Some(130_000), None, Some(130_000)]);
    }

    #[test]
    fn more_than_64_cells_are_rejected() {
        let rows: Vec<String> = (0..65).map(|cell| SOUND[0].replacen('0', &cell.to_string(), 1)).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        assert_eq!(read(HEADER, &rows[..64]).map(|table| table.cells.len()), Ok(64));
        assert_eq!(read(HEADER, &rows), Err(ParseError::TooMany { of: "cell", most: 64, found: 65 }));
    }
}
