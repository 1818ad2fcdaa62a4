//! `pwr`: one row a battery (protocol, section 7, layouts A to E).
//!
//! ```text
//! Power Volt   Curr   Tempr  Tlow   Thigh  Vlow   Vhigh  Base.St  …  Coulomb  Time                 B.V.St   …
//! 1     52960  -7120  25400  23000  24100  3308   3312   Dischg   …  81%      2026-11-22 06:05:09  Normal   …
//! 2     -      -      -      -      -      -      -      Absent   …
//! ```

use jiff::civil::DateTime;
use serde::Serialize;

use crate::console::answer::Answer;
use crate::console::error::{ParseError, excerpt};
use crate::console::number::{date_time, percent, small};
use crate::console::setters::{plain_text, set, state_word};
use crate::console::table::{Column, Layout, Shape, Split, split_at_header};
use crate::model::place::Place;
use crate::model::units::{Milliamps, Millicelsius, Millivolts, Percent};
use crate::model::word::Word;

/// What the group table says of one battery. Absent columns and dashes are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct PwrRow {
    /// The number of the place, from 1.
    pub place: Option<Place>,
    /// Whether a battery answers at this place.
    pub absent: bool,
    /// Voltage of the battery.
    #[serde(rename = "voltage_mv")]
    pub voltage: Option<Millivolts>,
    /// Current, positive while charging.
    #[serde(rename = "current_ma")]
    pub current: Option<Milliamps>,
    /// Temperature of the board.
    #[serde(rename = "temperature_mc")]
    pub temperature: Option<Millicelsius>,
    /// Coldest cell.
    #[serde(rename = "cell_temperature_low_mc")]
    pub cell_temperature_low: Option<Millicelsius>,
    /// Warmest cell.
    #[serde(rename = "cell_temperature_high_mc")]
    pub cell_temperature_high: Option<Millicelsius>,
    /// Lowest cell voltage.
    #[serde(rename = "cell_voltage_low_mv")]
    pub cell_voltage_low: Option<Millivolts>,
    /// Highest cell voltage.
    #[serde(rename = "cell_voltage_high_mv")]
    pub cell_voltage_high: Option<Millivolts>,
    /// Which cell is coldest, from 0 as printed.
    pub coldest_cell: Option<u16>,
    /// Which cell is warmest, from 0 as printed.
    pub warmest_cell: Option<u16>,
    /// Which cell is lowest, from 0 as printed.
    pub lowest_cell: Option<u16>,
    /// Which cell is highest, from 0 as printed.
    pub highest_cell: Option<u16>,
    /// Charge, discharge, idle …
    pub base_state: Option<Word>,
    /// State of the battery's voltage.
    pub volt_state: Option<Word>,
    /// State of the current.
    pub current_state: Option<Word>,
    /// State of the temperature.
    pub temp_state: Option<Word>,
    /// State of charge.
    #[serde(rename = "soc_percent")]
    pub soc: Option<Percent>,
    /// The battery's own clock.
    pub clock: Option<DateTime>,
    /// State of the cells' voltage.
    pub cell_volt_state: Option<Word>,
    /// State of the cells' temperature.
    pub cell_temp_state: Option<Word>,
    /// Temperature of the switching transistors.
    #[serde(rename = "mos_temperature_mc")]
    pub mos_temperature: Option<Millicelsius>,
    /// State of that temperature.
    pub mos_temp_state: Option<Word>,
    /// The system's alarm state.
    pub system_alarm: Option<Word>,
    /// Serial number.
    pub barcode: Option<String>,
    /// Type.
    pub model: Option<String>,
}

/// The group table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PwrTable {
    /// Its rows in order, absent places included where the console prints them.
    pub rows: Vec<PwrRow>,
    /// Rows that could not be read; the others stand.
    #[serde(skip)]
    pub problems: Vec<ParseError>,
}

impl PwrTable {
    /// The row of the battery at `place`.
    #[must_use]
    pub fn row(&self, place: Place) -> Option<&PwrRow> {
        self.rows.iter().find(|row| row.place == Some(place))
    }

    /// The places at which a battery answers.
    pub fn present(&self) -> impl Iterator<Item = Place> {
        self.rows.iter().filter(|row| !row.absent).filter_map(|row| row.place)
    }
}

/// How the header of the group table begins.
pub const HEAD: &str = "Power Volt";

const COLUMNS: &[Column<PwrRow>] = &[
    Column {
        head: "Power",
        shape: Shape::Token,
        set: |row, cut| {
            row.place = Some(cut.first.parse().map_err(|_| "a battery's number from 1")?);
            Ok(())
        },
    },
    Column { head: "Volt", shape: Shape::Token, set: set!(mv voltage) },
    Column { head: "Curr", shape: Shape::Token, set: set!(ma current) },
    Column { head: "Tempr", shape: Shape::Token, set: set!(mc temperature) },
    Column { head: "Tlow", shape: Shape::Token, set: set!(mc cell_temperature_low) },
    Column { head: "Thigh", shape: Shape::Token, set: set!(mc cell_temperature_high) },
    Column { head: "Vlow", shape: Shape::Token, set: set!(mv cell_voltage_low) },
    Column { head: "Vhigh", shape: Shape::Token, set: set!(mv cell_voltage_high) },
    Column { head: "Tlow.Id", shape: Shape::Token, set: set!(id coldest_cell) },
    Column { head: "Thigh.Id", shape: Shape::Token, set: set!(id warmest_cell) },
    Column { head: "Vlow.Id", shape: Shape::Token, set: set!(id lowest_cell) },
    Column { head: "Vhigh.Id", shape: Shape::Token, set: set!(id highest_cell) },
    Column { head: "Base.St", shape: Shape::Token, set: set!(word base_state) },
    Column { head: "Volt.St", shape: Shape::Token, set: set!(word volt_state) },
    Column { head: "Curr.St", shape: Shape::Token, set: set!(word current_state) },
    Column { head: "Temp.St", shape: Shape::Token, set: set!(word temp_state) },
    Column { head: "Coulomb", shape: Shape::Token, set: set!(percent soc) },
    Column { head: "Time", shape: Shape::Stamp, set: set!(stamp clock) },
    Column { head: "B.V.St", shape: Shape::Token, set: set!(word cell_volt_state) },
    Column { head: "B.T.St", shape: Shape::Token, set: set!(word cell_temp_state) },
    Column { head: "MosTempr", shape: Shape::Token, set: set!(mc mos_temperature) },
    Column { head: "M.T.St", shape: Shape::Token, set: set!(word mos_temp_state) },
    Column { head: "SysAlarm.St", shape: Shape::Token, set: set!(word system_alarm) },
    Column { head: "Barcode", shape: Shape::Perhaps, set: set!(text barcode) },
    Column { head: "DevType", shape: Shape::Token, set: set!(text model) },
];

/// Reads the group table. Rows that can't be read are named in `problems`; the others stand.
///
/// # Errors
/// There is no header, or no row at all could be read.
pub fn parse(answer: &Answer) -> Result<PwrTable, ParseError> {
    let Split { header, rows, .. } = split_at_header(answer, HEAD)?;
    let layout = Layout::of(header, COLUMNS);
    let mut table = PwrTable::default();
    // A console that prints absent places prints every place, so a number it skips is a row that was lost.
    let shows_all = rows.iter().any(|(_, line)| absent(line).is_some());
    let (mut last, mut unread) = (0_u8, 0_u8);
    for (line, text) in rows {
        let row = match read_row(&layout, line, text) {
            Ok(row) => row,
            Err(problem) => {
                table.problems.push(problem);
                unread = unread.saturating_add(1);
                continue;
            }
        };
        let number = row.place.map_or(0, Place::number);
        let order = |expected| ParseError::Order { line, expected, found: i64::from(number) };
        if number <= last {
            table.problems.push(order(format!("a battery behind number {last}")));
            continue;
        }
        if shows_all && number - last > unread.saturating_add(1) {
            table.problems.push(order(format!("battery {}", last + 1)));
        }
        (last, unread) = (number, 0);
        table.rows.push(row);
    }
    if table.rows.is_empty() {
        let nothing = ParseError::Nothing { expected: "a row a battery", lines: answer.len() };
        return Err(table.problems.into_iter().next().unwrap_or(nothing));
    }
    Ok(table)
}

fn read_row(layout: &Layout<PwrRow>, number: usize, line: &str) -> Result<PwrRow, ParseError> {
    if let Some(place) = absent(line) {
        let base_state = Some(Word::new("Absent"));
        return Ok(PwrRow { place: Some(place), absent: true, base_state, ..PwrRow::default() });
    }
    let row = layout.read(number, line)?;
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

/// The place of a row without a battery. It prints dashes in the oldest layout whatever the header says, so it
/// is known by its word, with nothing but dashes around: two rows run together are none.
fn absent(line: &str) -> Option<Place> {
    let mut tokens = line.split_ascii_whitespace();
    let place = tokens.next()?.parse().ok()?;
    let mut rest = tokens.filter(|token| *token != "-");
    (rest.next() == Some("Absent") && rest.next().is_none()).then_some(place)
}
