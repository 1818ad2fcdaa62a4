//! High-voltage stacks (protocol, section 9): `pwr` is one row for the whole stack, `unit` is one row per module. All
//! modules are in series: their voltages add up, and they share one current.

use jiff::civil::DateTime;
use serde::Serialize;

use crate::console::error::ParseError;
use crate::console::framing::answer::Answer;
use crate::console::parsing::number::{date_time, event_word, percent, small};
use crate::console::parsing::numbered_rows::{NumberedRows, RowParser};
use crate::console::parsing::row_numbers::Numbering;
use crate::console::parsing::setters::{set, state_word};
use crate::console::parsing::table::{ColumnFormat, Layout, SplitTable, TableColumn, split_at_header};
use crate::model::event_word::EventWord;
use crate::model::place::Place;
use crate::model::units::{MilliampHours, Milliamps, Millicelsius, Millivolts, MilliwattHours, Percent};
use crate::model::word::Word;

/// The values of a stack, or of one of its modules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StackTableRow {
    /// The module's number, from 1; `None` for the stack.
    pub place: Option<Place>,
    #[serde(rename = "voltage_mv")]
    pub voltage: Option<Millivolts>,
    /// Positive while charging.
    #[serde(rename = "current_ma")]
    pub current: Option<Milliamps>,
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
    /// For example `Charge`, `Dischg`, `Idle`.
    pub base_state: Option<Word>,
    pub volt_state: Option<Word>,
    pub current_state: Option<Word>,
    pub temp_state: Option<Word>,
    /// By ampere-hours.
    #[serde(rename = "soc_percent")]
    pub soc: Option<Percent>,
    #[serde(rename = "coulomb_mah")]
    pub coulomb: Option<MilliampHours>,
    #[serde(rename = "energy_mwh")]
    pub energy: Option<MilliwattHours>,
    pub clock: Option<DateTime>,
    pub error_code: Option<EventWord>,
}

/// The modules of a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Units {
    pub units: Vec<StackTableRow>,
    /// Rows that could not be parsed, or only in part; the others are valid.
    #[serde(skip)]
    pub(crate) problems: Vec<ParseError>,
}

const COLUMNS: &[TableColumn<StackTableRow>] = &[
    TableColumn {
        header: "Index",
        format: ColumnFormat::Token,
        set: |row, value| {
            row.place = Some(value.first.parse().map_err(|_| "a module's number from 1 to 128")?);
            Ok(())
        },
    },
    TableColumn { header: "Volt", format: ColumnFormat::Token, set: set!(mv voltage) },
    TableColumn { header: "Curr", format: ColumnFormat::Token, set: set!(ma current) },
    TableColumn { header: "Tempr", format: ColumnFormat::Token, set: set!(mc temperature) },
    TableColumn { header: "BTlow", format: ColumnFormat::Token, set: set!(mc cell_temperature_low) },
    TableColumn { header: "BThigh", format: ColumnFormat::Token, set: set!(mc cell_temperature_high) },
    TableColumn { header: "BVlow", format: ColumnFormat::Token, set: set!(mv cell_voltage_low) },
    TableColumn { header: "BVhigh", format: ColumnFormat::Token, set: set!(mv cell_voltage_high) },
    TableColumn { header: "Base.St", format: ColumnFormat::Token, set: set!(word base_state) },
    TableColumn { header: "Volt.St", format: ColumnFormat::Token, set: set!(word volt_state) },
    TableColumn { header: "Curr.St", format: ColumnFormat::Token, set: set!(word current_state) },
    TableColumn { header: "Temp.St", format: ColumnFormat::Token, set: set!(word temp_state) },
    TableColumn { header: "CoulombAH", format: ColumnFormat::Charge, set: set!(charge soc coulomb) },
    TableColumn { header: "Coulomb", format: ColumnFormat::Charge, set: set!(charge soc coulomb) },
    TableColumn { header: "CoulombWH", format: ColumnFormat::Charge, set: set!(energy energy) },
    TableColumn { header: "Time", format: ColumnFormat::DateTime, set: set!(date_time clock) },
    TableColumn {
        header: "Err Code",
        format: ColumnFormat::Token,
        set: |row, value| {
            row.error_code = Some(event_word(value.first).ok_or("a code like 0x0")?);
            Ok(())
        },
    },
];

/// The first words of the header of a stack's row.
pub(crate) const HEADER: &str = "Volt Curr";

/// Parses `pwr` of a stack. The lines before the header are averages of the same values and are ignored.
///
/// # Errors
/// Returns an error if there is no header, or not exactly one valid row.
pub(crate) fn parse_stack(answer: &Answer) -> Result<StackTableRow, ParseError> {
    let SplitTable { header, rows, .. } = split_at_header(answer, HEADER)?;
    let mut lines = rows.into_iter();
    let layout = Layout::of(header, COLUMNS);
    let (number, line) =
        lines.next().ok_or(ParseError::Nothing { expected: "the stack's row", lines: answer.len() })?;
    let row = layout.parse_row(number, line)?;
    match lines.next() {
        None => Ok(row),
        Some((line, _)) => {
            Err(ParseError::Order { line, expected: "no row after the stack's own".into(), found: 2 })
        }
    }
}

/// Parses `unit`. A damaged row loses its doubtful values.
///
/// # Errors
/// Returns an error if there is no header, if no row could be parsed, or if there are too many rows.
pub(crate) fn parse_units(answer: &Answer) -> Result<Units, ParseError> {
    const MODULES: RowParser<StackTableRow> = RowParser {
        of: "module",
        numbering: Numbering { first: 1..=1, max_missing_start: 8, max_gap: 8, contiguous: true },
        max_rows: Place::MAX as usize,
        stated: |row| row.place.map(|place| u16::from(place.number())),
    };
    let SplitTable { header, rows, .. } = split_at_header(answer, "Index Volt")?;
    let NumberedRows { rows, problems } = MODULES.parse(&Layout::of(header, COLUMNS), &rows)?;
    let place = |number| u8::try_from(number).ok().and_then(Place::new);
    let units: Vec<StackTableRow> =
        rows.into_iter().map(|(number, row)| StackTableRow { place: place(number), ..row }).collect();
    if units.is_empty() {
        let nothing = ParseError::Nothing { expected: "one row per module", lines: answer.len() };
        return Err(problems.into_iter().next().unwrap_or(nothing));
    }
    Ok(Units { units, problems })
}
