//! `pwr`: one row per battery (protocol, section 7, layouts A to E).
//!
//! ```text
//! Power Volt   Curr   Tempr  Tlow   Thigh  Vlow   Vhigh  Base.St  …  Coulomb  Time                 B.V.St   …
//! 1     52960  -7120  25400  23000  24100  3308   3312   Dischg   …  81%      2026-11-22 06:05:09  Normal   …
//! 2     -      -      -      -      -      -      -      Absent   …
//! ```

use jiff::civil::DateTime;
use serde::Serialize;

use crate::console::error::{ParseError, excerpt};
use crate::console::framing::answer::Answer;
use crate::console::parsing::number::{date_time, percent, small};
use crate::console::parsing::row_numbers::{self, Numbering};
use crate::console::parsing::setters::{plain_text, set, state_word};
use crate::console::parsing::table::{ColumnFormat, Layout, SplitTable, TableColumn, split_at_header};
use crate::model::place::Place;
use crate::model::units::{Milliamps, Millicelsius, Millivolts, Percent};
use crate::model::word::Word;

/// A battery in the group table. Absent columns and dashes are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct PwrRow {
    /// From 1.
    pub place: Option<Place>,
    /// Whether the console reports that there is no battery.
    pub absent: bool,
    #[serde(rename = "voltage_mv")]
    pub voltage: Option<Millivolts>,
    /// Positive while charging.
    #[serde(rename = "current_ma")]
    pub current: Option<Milliamps>,
    /// Of the board.
    #[serde(rename = "temperature_mc")]
    pub temperature: Option<Millicelsius>,
    #[serde(rename = "cell_temperature_low_mc")]
    pub cell_temperature_low: Option<Millicelsius>,
    #[serde(rename = "cell_temperature_high_mc")]
    pub cell_temperature_high: Option<Millicelsius>,
    #[serde(rename = "cell_voltage_low_mv")]
    pub cell_voltage_low: Option<Millivolts>,
    #[serde(rename = "cell_voltage_high_mv")]
    pub cell_voltage_high: Option<Millivolts>,
    /// From 0, as printed.
    pub coldest_cell: Option<u16>,
    /// From 0, as printed.
    pub warmest_cell: Option<u16>,
    /// From 0, as printed.
    pub lowest_cell: Option<u16>,
    /// From 0, as printed.
    pub highest_cell: Option<u16>,
    /// For example `Charge`, `Dischg`, `Idle`.
    pub base_state: Option<Word>,
    pub volt_state: Option<Word>,
    pub current_state: Option<Word>,
    pub temp_state: Option<Word>,
    #[serde(rename = "soc_percent")]
    pub soc: Option<Percent>,
    pub clock: Option<DateTime>,
    pub cell_volt_state: Option<Word>,
    pub cell_temp_state: Option<Word>,
    /// Temperature of the switching transistors.
    #[serde(rename = "mos_temperature_mc")]
    pub mos_temperature: Option<Millicelsius>,
    pub mos_temp_state: Option<Word>,
    pub system_alarm: Option<Word>,
    pub barcode: Option<String>,
    pub model: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PwrTable {
    /// In order, including absent places if the console prints them.
    pub rows: Vec<PwrRow>,
    /// Rows that could not be parsed; the others are valid.
    #[serde(skip)]
    pub(crate) problems: Vec<ParseError>,
    /// Rows in which no blank separates a value from the next, split by the column widths of the header. Such a row is
    /// accepted only if the battery's details confirm it; otherwise its error is reported.
    #[serde(skip)]
    pub(crate) fused: Vec<(PwrRow, ParseError)>,
    /// Places whose row could not be parsed or is missing: a battery may be there.
    #[serde(skip)]
    pub(crate) unread: Vec<Place>,
    /// Whether a row with an unknown number could not be parsed: it may belong to any place.
    #[serde(skip)]
    pub(crate) unplaced: bool,
}

impl PwrTable {
    #[must_use]
    pub(crate) fn row(&self, place: Place) -> Option<&PwrRow> {
        self.rows.iter().find(|row| row.place == Some(place))
    }

    /// Whether there is a battery at `place`; `None` if its row could not be parsed.
    #[must_use]
    pub fn presence_at(&self, place: Place) -> Option<bool> {
        match self.row(place) {
            Some(row) => Some(!row.absent),
            None if self.unplaced || self.unread.contains(&place) => None,
            // A console that omits a place from its table reports it as absent.
            None => Some(false),
        }
    }

    /// The places for which this table does not show whether a battery is present.
    pub(crate) fn unread_places(&self) -> impl Iterator<Item = Place> {
        Place::up_to(Place::MAX).filter(|place| self.presence_at(*place).is_none())
    }

    pub(crate) fn present_places(&self) -> impl Iterator<Item = Place> {
        self.rows.iter().filter(|row| !row.absent).filter_map(|row| row.place)
    }
}

/// The first words of the header of the group table.
pub(crate) const HEADER: &str = "Power Volt";

const COLUMNS: &[TableColumn<PwrRow>] = &[
    TableColumn {
        header: "Power",
        format: ColumnFormat::Token,
        set: |row, value| {
            row.place = Some(value.first.parse().map_err(|_| "a battery's number from 1 to 128")?);
            Ok(())
        },
    },
    TableColumn { header: "Volt", format: ColumnFormat::Token, set: set!(mv voltage) },
    TableColumn { header: "Curr", format: ColumnFormat::Token, set: set!(ma current) },
    TableColumn { header: "Tempr", format: ColumnFormat::Token, set: set!(mc temperature) },
    TableColumn { header: "Tlow", format: ColumnFormat::Token, set: set!(mc cell_temperature_low) },
    TableColumn { header: "Thigh", format: ColumnFormat::Token, set: set!(mc cell_temperature_high) },
    TableColumn { header: "Vlow", format: ColumnFormat::Token, set: set!(mv cell_voltage_low) },
    TableColumn { header: "Vhigh", format: ColumnFormat::Token, set: set!(mv cell_voltage_high) },
    TableColumn { header: "Tlow.Id", format: ColumnFormat::Token, set: set!(id coldest_cell) },
    TableColumn { header: "Thigh.Id", format: ColumnFormat::Token, set: set!(id warmest_cell) },
    TableColumn { header: "Vlow.Id", format: ColumnFormat::Token, set: set!(id lowest_cell) },
    TableColumn { header: "Vhigh.Id", format: ColumnFormat::Token, set: set!(id highest_cell) },
    TableColumn { header: "Base.St", format: ColumnFormat::Token, set: set!(word base_state) },
    TableColumn { header: "Volt.St", format: ColumnFormat::Token, set: set!(word volt_state) },
    TableColumn { header: "Curr.St", format: ColumnFormat::Token, set: set!(word current_state) },
    TableColumn { header: "Temp.St", format: ColumnFormat::Token, set: set!(word temp_state) },
    TableColumn { header: "Coulomb", format: ColumnFormat::Token, set: set!(percent soc) },
    TableColumn { header: "Time", format: ColumnFormat::DateTime, set: set!(date_time clock) },
    TableColumn { header: "B.V.St", format: ColumnFormat::Token, set: set!(word cell_volt_state) },
    TableColumn { header: "B.T.St", format: ColumnFormat::Token, set: set!(word cell_temp_state) },
    TableColumn { header: "MosTempr", format: ColumnFormat::Token, set: set!(mc mos_temperature) },
    TableColumn { header: "M.T.St", format: ColumnFormat::Token, set: set!(word mos_temp_state) },
    TableColumn { header: "SysAlarm.St", format: ColumnFormat::Token, set: set!(word system_alarm) },
    TableColumn { header: "Barcode", format: ColumnFormat::OptionalToken, set: set!(text barcode) },
    TableColumn { header: "DevType", format: ColumnFormat::Token, set: set!(text model) },
];

/// A table with more rows is rejected.
const MAX_ROWS: usize = 2 * Place::MAX as usize;

/// Parses the group table; rows that cannot be parsed are listed in `problems`.
///
/// # Errors
/// Returns an error if there is no header, if no row could be parsed, or if there are too many rows.
pub(crate) fn parse(answer: &Answer) -> Result<PwrTable, ParseError> {
    let SplitTable { header, rows, .. } = split_at_header(answer, HEADER)?;
    if rows.len() > MAX_ROWS {
        let most = usize::from(Place::MAX);
        return Err(ParseError::TooMany { of: "battery", most, found: rows.len() });
    }
    let layout = Layout::of(header, COLUMNS);
    let mut table = PwrTable::default();
    // A console that prints absent places prints every place, so a skipped number means a lost row.
    let shows_all = rows.iter().any(|(_, line)| absent_place(line).is_some());
    let stated: Vec<Option<u16>> = rows.iter().map(|(_, text)| Some(stated(text)?.number().into())).collect();
    let most = u16::from(Place::MAX);
    let numbering = Numbering { first: 1..=1, max_missing_start: most, max_gap: most, contiguous: shows_all };
    let numbers = row_numbers::assign_numbers(&stated, &numbering);
    let mut next = 1;
    for (((line, text), stated), number) in rows.into_iter().zip(stated).zip(numbers) {
        let place = number.and_then(|number| u8::try_from(number).ok()).and_then(Place::new);
        let read = read_row(&layout, line, text);
        let expected = || format!("battery {next}");
        let order = || ParseError::Order { line, expected: expected(), found: stated.map_or(-1, i64::from) };
        let Some(place) = place else {
            table.problems.push(read.err().unwrap_or_else(order));
            table.unplaced = true;
            continue;
        };
        // The number of an unreadable row is doubtful too, unless this console prints every place.
        table.unplaced |= read.is_err() && !shows_all && place.number() > next;
        let lost = (next..place.number()).filter_map(Place::new).filter(|_| shows_all);
        table.unread.extend(lost);
        if number != stated || (shows_all && place.number() > next) {
            table.problems.extend(read.is_ok().then(order));
        }
        next = place.number().saturating_add(1);
        match read {
            Ok(row) => table.rows.push(PwrRow { place: Some(place), ..row }),
            Err(problem) => {
                table.unread.push(place);
                match layout.split_fused(text).map(|text| read_row(&layout, line, &text)) {
                    Some(Ok(row)) => table.fused.push((row, problem)),
                    _ => table.problems.push(problem),
                }
            }
        }
    }
    if table.rows.is_empty() && table.fused.is_empty() {
        let nothing = ParseError::Nothing { expected: "one row per battery", lines: answer.len() };
        return Err(table.problems.into_iter().next().unwrap_or(nothing));
    }
    Ok(table)
}

/// The number printed in a row.
fn stated(line: &str) -> Option<Place> {
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn read_row(layout: &Layout<PwrRow>, number: usize, line: &str) -> Result<PwrRow, ParseError> {
    if let Some(place) = absent_place(line) {
        let base_state = Some(Word::new("Absent"));
        return Ok(PwrRow { place: Some(place), absent: true, base_state, ..PwrRow::default() });
    }
    let row = layout.parse_row(number, line)?;
    if row.voltage.is_none() {
        return Err(ParseError::Value {
            line: number,
            what: "column \"Volt\"".into(),
            expected: "a whole number of mV, or dashes around the word Absent",
            found: excerpt(line.trim()),
        });
    }
    Ok(row)
}

/// The place of a row without a battery. It has dashes in the oldest layout regardless of the header, so it is
/// recognized by the word `Absent` and only dashes around it; two joined rows do not match.
fn absent_place(line: &str) -> Option<Place> {
    let mut tokens = line.split_ascii_whitespace();
    let place = tokens.next()?.parse().ok()?;
    let mut rest = tokens.filter(|token| *token != "-");
    (rest.next() == Some("Absent") && rest.next().is_none()).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL_HEADER: &str = "Power Volt   Curr   Tempr  Tlow   Thigh  Vlow   Vhigh  Base.St  Volt.St  Curr.St  Temp.St  Coulomb  Time                 B.V.St   B.T.St";

    fn read(rows: &[String]) -> Result<PwrTable, ParseError> {
        let text = format!("pwr\n{FULL_HEADER}\n{}\nCommand completed successfully\n$$\n", rows.join("\n"));
        parse(&Answer::from_transcript(text.as_bytes()))
    }

    fn row(place: u16) -> String {
        format!(
            "{place:<6}49900  -2500  24000  22000  23000  3321   3330   Dischg   Normal   Normal   Normal   71%      2026-11-20 08:00:00  Normal   Normal"
        )
    }

    fn place(number: u8) -> Place {
        Place::new(number).expect("a place")
    }

    #[test]
    fn an_unreadable_row_is_not_an_absent_battery() {
        let table = read(&[row(1), row(2).replace("3321", "33x1"), row(3)]).expect("a table");
        assert_eq!(table.present_places().collect::<Vec<_>>(), [place(1), place(3)]);
        assert_eq!((table.unread.as_slice(), table.problems.len()), (&[place(2)][..], 1));
        assert_eq!(
            [1, 2, 3, 4].map(|at| table.presence_at(place(at))),
            [Some(true), None, Some(true), Some(false)]
        );
    }

    #[test]
    fn a_row_with_an_unreadable_number_is_placed_by_its_neighbours() {
        let table = read(&[row(1), row(2).replacen('2', "?", 1), row(3)]).expect("a table");
        assert_eq!((table.unread, table.unplaced), (vec![place(2)], false));
        let table = read(&[row(1), row(2), row(3).replacen('3', "?", 1)]).expect("a table");
        assert_eq!(
            (table.presence_at(place(2)), table.presence_at(place(3))),
            (Some(true), None),
            "the last row may be any place"
        );
    }

    #[test]
    fn a_value_that_fills_its_column_is_split_from_the_next() {
        let fused = row(2).replace("-2500  ", "-100000");
        let table = read(&[row(1), fused.clone(), row(3)]).expect("a table");
        let [(split, _)] = table.fused.as_slice() else { panic!("{:?}", table.fused) };
        assert_eq!(
            (split.current, split.temperature),
            (Some(Milliamps(-100_000)), Some(Millicelsius(24_000)))
        );
        assert_eq!((table.problems, table.unread), (vec![], vec![place(2)]));
        // Lost blanks are not a full column: everything after them is shifted to the left.
        let lost = read(&[row(1), row(2).replace("24000  22000", "2400022000"), row(3)]).expect("a table");
        assert_eq!((lost.fused.len(), lost.problems.len(), lost.unread), (0, 1, vec![place(2)]));
        let shifted = read(&[row(1), fused.replace("  22000", " 22000"), row(3)]).expect("a table");
        assert_eq!(shifted.fused.len(), 0);
    }

    #[test]
    fn at_most_128_batteries_are_parsed() {
        let rows: Vec<String> = (1..=255).map(row).collect();
        let present = |rows: &[String]| read(rows).map(|table| table.present_places().count());
        assert_eq!(present(&rows[..96]), Ok(96));
        assert_eq!(present(&rows), Ok(128));
        let ten_thousand: Vec<String> = (1..=10_000).map(row).collect();
        assert_eq!(
            present(&ten_thousand),
            Err(ParseError::TooMany { of: "battery", most: 128, found: 10_000 })
        );
    }

    #[test]
    fn a_missing_barcode_is_distinguished_from_a_lost_value() {
        let with = |rest: &str| {
            let header = format!("{FULL_HEADER}   Barcode              DevType");
            let text = format!("pwr\n{header}\n{}{rest}\nCommand completed successfully\n$$\n", row(1));
            parse(&Answer::from_transcript(text.as_bytes())).map(|table| table.rows[0].clone())
        };
        let at = "   HQ00000000000001     MODEL-A";
        assert_eq!(with(at).expect("a row").barcode.as_deref(), Some("HQ00000000000001"));
        let none = with(&format!("   {:21}MODEL-A", "")).expect("a row");
        assert_eq!((none.barcode, none.model.as_deref()), (None, Some("MODEL-A")));
        assert!(with(&at.replace("     MODEL-A", "")).is_err(), "a barcode is not a model");
    }
}
