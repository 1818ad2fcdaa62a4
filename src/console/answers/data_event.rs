//! `data event` and `data history`: one snapshot from the battery's own memory (protocol, section 9): labeled lines
//! between two rules, then a table of the cells and, on a high-voltage stack, a table of the modules.
//!
//! ```text
//! Item Index      : 17
//! Bat Events      : 0x2        BHV
//! -----------------------------------------------
//! Battery  Volt     Curr     Tempr    Base State   Volt. State  Curr. State  Temp. State  Coulomb
//! 0        3456     -2980    21800    Dischg       Normal       Normal       Normal        72%
//! -----------------------------------------------
//! Unit     Volt     Tempr    BTLow    BTHigh   BVLow    BVHigh
//! 1        51880    23500    21800    22400    3456     3467
//! ```

use jiff::civil::DateTime;
use serde::Serialize;

use crate::console::answers::pwr_detail::is_event_label;
use crate::console::error::{ParseError, excerpt};
use crate::console::framing::answer::Answer;
use crate::console::parsing::labeled_line::{Label, LabeledLine, parse_labeled_line};
use crate::console::parsing::number::{date_time, event_word, integer, percent, small};
use crate::console::parsing::setters::{set, state_word};
use crate::console::parsing::table::{
    ColumnFormat, Layout, RawValue, SetResult, TableColumn, starts_with_words,
};
use crate::model::event_word::EventWord;
use crate::model::units::{Milliamps, Millicelsius, Millivolts, Percent};
use crate::model::word::Word;

/// A snapshot of the event memory or of the history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DataEvent {
    /// Its number in the event memory.
    pub item: Option<i64>,
    pub clock: Option<DateTime>,
    #[serde(rename = "voltage_mv")]
    pub voltage: Option<Millivolts>,
    /// Positive while charging.
    #[serde(rename = "current_ma")]
    pub current: Option<Milliamps>,
    /// Of the board.
    #[serde(rename = "temperature_mc")]
    pub temperature: Option<Millicelsius>,
    #[serde(rename = "soc_percent")]
    pub soc: Option<Percent>,
    /// For example `Charge`, `Dischg`, `Idle`.
    pub base_state: Option<Word>,
    /// Events of the cells.
    pub battery_events: Option<EventWord>,
    /// Events of the battery.
    pub power_events: Option<EventWord>,
    /// Faults of the system.
    pub system_fault: Option<EventWord>,
    /// Events of a stack's modules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unit_events: Option<EventWord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_code: Option<EventWord>,
    /// Event words with other labels, by label.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) other_events: Vec<(String, EventWord)>,
    /// Other lines, by label.
    pub(crate) other: Vec<(String, String)>,
    pub cells: Vec<EventCell>,
    /// The modules of a stack.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<EventUnit>,
    /// Lines and rows that could not be parsed; the others are valid.
    #[serde(skip)]
    pub(crate) problems: Vec<ParseError>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventCell {
    /// As printed.
    pub number: Option<u16>,
    #[serde(rename = "voltage_mv")]
    pub voltage: Option<Millivolts>,
    /// From the sensor nearest to the cell.
    #[serde(rename = "temperature_mc")]
    pub temperature: Option<Millicelsius>,
    /// For example `Charge`, `Dischg`, `Idle`.
    pub base_state: Option<Word>,
    pub volt_state: Option<Word>,
    #[serde(rename = "soc_percent")]
    pub soc: Option<Percent>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventUnit {
    /// As printed.
    pub number: Option<u16>,
    #[serde(rename = "voltage_mv")]
    pub voltage: Option<Millivolts>,
    /// Positive while charging.
    #[serde(rename = "current_ma")]
    pub(crate) current: Option<Milliamps>,
    /// Of the module's board.
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
    pub(crate) base_state: Option<Word>,
    pub(crate) volt_state: Option<Word>,
    pub(crate) temp_state: Option<Word>,
    #[serde(rename = "soc_percent")]
    pub(crate) soc: Option<Percent>,
}

/// A column that is ignored.
const fn unused<Row>(header: &'static str) -> TableColumn<Row> {
    TableColumn { header, format: ColumnFormat::Token, set: |_, _| Ok(()) }
}

const CELL: &[TableColumn<EventCell>] = &[
    TableColumn { header: "Battery", format: ColumnFormat::Token, set: set!(id number) },
    TableColumn { header: "Bat", format: ColumnFormat::Token, set: set!(id number) },
    TableColumn { header: "Volt", format: ColumnFormat::Token, set: set!(mv voltage) },
    unused("Curr"),
    TableColumn { header: "Tempr", format: ColumnFormat::Token, set: set!(mc temperature) },
    TableColumn { header: "Base State", format: ColumnFormat::Token, set: set!(word base_state) },
    TableColumn { header: "Volt. State", format: ColumnFormat::Token, set: set!(word volt_state) },
    TableColumn { header: "V.State", format: ColumnFormat::Token, set: set!(word volt_state) },
    unused("Curr. State"),
    unused("Temp. State"),
    unused("T.State"),
    TableColumn { header: "SOC", format: ColumnFormat::Token, set: set!(percent soc) },
    TableColumn {
        header: "Coulomb",
        format: ColumnFormat::Charge,
        set: |row, value| soc_percent(&mut row.soc, value),
    },
    TableColumn {
        header: "AH(mAH)",
        format: ColumnFormat::Charge,
        set: |row, value| soc_percent(&mut row.soc, value),
    },
    unused("BAL"),
    unused("Bal"),
];

/// Some are spelled with a capital here (`BTLow`), but not in `unit` (`BTlow`).
const UNIT: &[TableColumn<EventUnit>] = &[
    TableColumn { header: "Unit", format: ColumnFormat::Token, set: set!(id number) },
    TableColumn { header: "Volt", format: ColumnFormat::Token, set: set!(mv voltage) },
    TableColumn { header: "Curr", format: ColumnFormat::Token, set: set!(ma current) },
    TableColumn { header: "Tempr", format: ColumnFormat::Token, set: set!(mc temperature) },
    TableColumn { header: "BTLow", format: ColumnFormat::Token, set: set!(mc cell_temperature_low) },
    TableColumn { header: "BTlow", format: ColumnFormat::Token, set: set!(mc cell_temperature_low) },
    TableColumn { header: "BTHigh", format: ColumnFormat::Token, set: set!(mc cell_temperature_high) },
    TableColumn { header: "BThigh", format: ColumnFormat::Token, set: set!(mc cell_temperature_high) },
    TableColumn { header: "BVLow", format: ColumnFormat::Token, set: set!(mv cell_voltage_low) },
    TableColumn { header: "BVlow", format: ColumnFormat::Token, set: set!(mv cell_voltage_low) },
    TableColumn { header: "BVHigh", format: ColumnFormat::Token, set: set!(mv cell_voltage_high) },
    TableColumn { header: "BVhigh", format: ColumnFormat::Token, set: set!(mv cell_voltage_high) },
    TableColumn { header: "Base State", format: ColumnFormat::Token, set: set!(word base_state) },
    TableColumn { header: "Base.St", format: ColumnFormat::Token, set: set!(word base_state) },
    TableColumn { header: "Volt. State", format: ColumnFormat::Token, set: set!(word volt_state) },
    TableColumn { header: "Volt.St", format: ColumnFormat::Token, set: set!(word volt_state) },
    unused("Curr. State"),
    TableColumn { header: "Temp. State", format: ColumnFormat::Token, set: set!(word temp_state) },
    TableColumn { header: "Temp.St", format: ColumnFormat::Token, set: set!(word temp_state) },
    TableColumn { header: "SOC", format: ColumnFormat::Token, set: set!(percent soc) },
    TableColumn {
        header: "Coulomb",
        format: ColumnFormat::Charge,
        set: |row, value| soc_percent(&mut row.soc, value),
    },
    TableColumn {
        header: "CoulombAH",
        format: ColumnFormat::Charge,
        set: |row, value| soc_percent(&mut row.soc, value),
    },
];

fn soc_percent(soc: &mut Option<Percent>, value: RawValue<'_>) -> SetResult {
    if !value.first.is_empty() {
        *soc = Some(Percent(percent(value.first).ok_or("a percentage")?));
    }
    Ok(())
}

enum SnapshotPart {
    Labels,
    Cells(Layout<EventCell>),
    Units(Layout<EventUnit>),
}

impl SnapshotPart {
    /// The part that starts with this line, if it is a header.
    fn starting_with(text: &str) -> Option<Self> {
        if starts_with_words("Battery Volt", text) || starts_with_words("Bat Volt", text) {
            Some(Self::Cells(Layout::of(text, CELL)))
        } else {
            starts_with_words("Unit Volt", text).then(|| Self::Units(Layout::of(text, UNIT)))
        }
    }
}

/// Parses a snapshot; lines and rows that cannot be parsed are listed in `problems`.
///
/// # Errors
/// Returns an error if nothing could be parsed.
pub(crate) fn parse(answer: &Answer) -> Result<DataEvent, ParseError> {
    let mut event = DataEvent::default();
    let (mut cells, mut units) = (Vec::new(), Vec::new());
    let mut read = 0;
    let mut part = SnapshotPart::Labels;
    for (at, (line, text)) in answer.lines().enumerate() {
        if text.trim().bytes().all(|byte| byte == b'-') {
            continue;
        }
        if let Some(next) = SnapshotPart::starting_with(text) {
            part = next;
            continue;
        }
        let outcome = match &part {
            SnapshotPart::Labels => match parse_labeled_line(line, text) {
                None => continue,
                Some(field) => set_field(&mut event, &field).map_err(|expected| field.invalid(expected)),
            },
            SnapshotPart::Cells(layout) => {
                layout.parse_row(line, text).map(|row| cells.push((at, line, row)))
            }
            SnapshotPart::Units(layout) => {
                layout.parse_row(line, text).map(|row| units.push((at, line, row)))
            }
        };
        match outcome {
            Ok(()) => read += 1,
            Err(problem) => event.problems.push(problem),
        }
    }
    if read == 0 {
        let nothing = ParseError::Nothing { expected: "lines of label and value", lines: answer.len() };
        return Err(event.problems.into_iter().next().unwrap_or(nothing));
    }
    event.cells = without_misnumbered(cells, |cell| cell.number, &mut event.problems);
    event.units = without_misnumbered(units, |unit| unit.number, &mut event.problems);
    Ok(event)
}

/// The rows of a table without those whose number is damaged, because it matches none of the nearby rows. If there are
/// only two rows, the one with the usual number is valid.
fn without_misnumbered<Row>(
    rows: Vec<(usize, usize, Row)>,
    number: fn(&Row) -> Option<u16>,
    problems: &mut Vec<ParseError>,
) -> Vec<Row> {
    const NEAR: usize = 2;
    let offset =
        |(line, _, row): &(usize, usize, Row)| number(row).map(|number| i64::from(number) - *line as i64);
    let offsets: Vec<Option<i64>> = rows.iter().map(offset).collect();
    let usual = |row: &Row, at: usize| number(row).is_some_and(|found| [at, at + 1].contains(&found.into()));
    let fits = |row: &Row, at: usize| {
        let near = at.saturating_sub(NEAR)..(at + NEAR + 1).min(offsets.len());
        near.into_iter().any(|other| other != at && offsets[other] == offsets[at])
            || (offsets.len() <= 2 && usual(row, at))
    };
    let mut valid = Vec::with_capacity(rows.len());
    for (at, (_, line, row)) in rows.into_iter().enumerate() {
        match number(&row) {
            Some(_) if fits(&row, at) => valid.push(row),
            found => problems.push(ParseError::Order {
                line,
                expected: "a row number that matches the rows around it".to_owned(),
                found: found.map_or(-1, i64::from),
            }),
        }
    }
    valid
}

type EventWordField = fn(&mut DataEvent) -> &mut Option<EventWord>;
const EVENT_WORDS: &[(&str, EventWordField)] = &[
    ("Bat Events", |event| &mut event.battery_events),
    ("Power Events", |event| &mut event.power_events),
    ("System Fault", |event| &mut event.system_fault),
    ("Unit Events", |event| &mut event.unit_events),
    ("Err Code", |event| &mut event.error_code),
    ("Err.Code", |event| &mut event.error_code),
    ("ErrCode", |event| &mut event.error_code),
];

fn set_field(event: &mut DataEvent, field: &LabeledLine<'_>) -> Result<(), &'static str> {
    const WORD: &str = "an event word like 0x2";
    if let Some((_, word)) = EVENT_WORDS.iter().find(|(label, _)| Label(label) == field.label) {
        *word(event) = Some(event_word(field.value).ok_or(WORD)?);
        return Ok(());
    }
    let number = || field.value.split_ascii_whitespace().next().and_then(small);
    match field.label.0 {
        "Item Index" | "Rec Item Index" => event.item = Some(integer(field.value).ok_or("a whole number")?),
        "Time" => {
            let mut parts = field.value.split_ascii_whitespace();
            let (date, time) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            event.clock = date_time(date, time).ok_or("a date and a time")?;
        }
        "Voltage" => event.voltage = Some(Millivolts(number().ok_or("a whole number of mV")?)),
        "Current" => event.current = Some(Milliamps(number().ok_or("a whole number of mA")?)),
        "Temperature" => event.temperature = Some(Millicelsius(number().ok_or("a whole number of mC")?)),
        "Percent" => {
            let digits = field.value.trim_end_matches(['%', ' ']);
            event.soc = Some(Percent(small(digits).ok_or("a percentage")?));
        }
        "Base State" => event.base_state = Some(state_word(field.value)?),
        other if is_event_label(other) || field.value.starts_with("0x") => {
            event.other_events.push((excerpt(other), event_word(field.value).ok_or(WORD)?));
        }
        other => event.other.push((excerpt(other), excerpt(field.value))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: &str = "data event\r\n@\r\n\
        -----------------------------------------------\r\n\
        Rec Item Index  : 41\r\n\
        Time            : 27-02-11 06:41:07\r\n\
        Voltage         : 153120      mV\r\n\
        Power Events    : 0x10000000 SYSERR\r\n\
        Unit Events     : 0x8        BLV\r\n\
        Err.Code        : 0x20\r\n\
        -----------------------------------------------\r\n\
        Battery  Volt     Curr     Tempr    Base State   Volt. State  Curr. State  Temp. State  Coulomb\r\n\
        0        3190     -1400    19000    Dischg       Normal       Normal       Normal        34%\r\n\
        1        2870     -1400    19000    Dischg       Low          Normal       Normal        31%\r\n\
        2        3188     -1400    19500    Dischg       Normal       Normal       Normal        34%\r\n\
        -----------------------------------------------\r\n\
        Unit     Volt     Tempr    BTLow    BTHigh   BVLow    BVHigh   Volt.St  Fan.Pwm\r\n\
        1        51880    21000    18500    20500    2870     3190     Low      0\r\n\
        2        51240    22000    19000    21000    3188     3201     Normal   0\r\n\
        Command completed successfully\r\n$$\r\npylon>";

    fn read(text: &str) -> DataEvent {
        parse(&Answer::from_transcript(text.as_bytes())).expect("a snapshot")
    }

    #[test]
    fn both_tables_of_a_stack_are_parsed() {
        let event = read(STACK);
        assert_eq!(event.problems, []);
        let millivolts = |cell: &EventCell| cell.voltage.map(|voltage| voltage.0);
        assert_eq!(event.cells.iter().filter_map(millivolts).collect::<Vec<_>>(), [3190, 2870, 3188]);
        let [first, second] = event.units.as_slice() else { panic!("{:?}", event.units) };
        assert_eq!((first.number, first.voltage), (Some(1), Some(Millivolts(51_880))));
        assert_eq!(first.cell_temperature_low, Some(Millicelsius(18_500)));
        assert_eq!(
            (first.cell_voltage_low, first.cell_voltage_high),
            (Some(Millivolts(2870)), Some(Millivolts(3190)))
        );
        assert_eq!(first.volt_state, Some(Word::new("Low")));
        assert_eq!((second.number, second.current), (Some(2), None));
        assert_eq!(event.item, Some(41));
        assert_eq!(event.power_events, Some(EventWord { bits: 0x1000_0000, names: vec!["SYSERR".into()] }));
        assert_eq!(event.unit_events, Some(EventWord { bits: 8, names: vec!["BLV".into()] }));
        assert_eq!(event.error_code, Some(EventWord { bits: 0x20, names: vec![] }));
    }

    #[test]
    fn a_damaged_line_costs_that_line_alone() {
        let whole = read(STACK);
        for (valid, damaged) in [
            ("1        2870 ", "1        28x0 "),
            ("1        2870 ", "7        2870 "),
            ("0        3190 ", "5        3190 "),
            ("2        51240", "2    51240 51240"),
            ("Voltage         : 153120", "Voltage         : 15z120"),
            ("Unit Events     : 0x8", "Unit Events     : 0#8"),
            ("Rec Item Index  : 41", "Rec Item Index  : 4!"),
        ] {
            let event = read(&STACK.replace(valid, damaged));
            assert_eq!(event.problems.len(), 1, "{damaged}: {:?}", event.problems);
            let lost = whole.cells.len() + whole.units.len() - event.cells.len() - event.units.len();
            let fields = |event: &DataEvent| {
                [event.item.is_some(), event.voltage.is_some(), event.unit_events.is_some()]
            };
            let missing = fields(&event).iter().filter(|present| !**present).count();
            assert_eq!(lost + missing, 1, "{damaged}");
        }
        let nothing = parse(&Answer::from_transcript(b"data event\r\n@\r\nnone\r\n$$\r\n"));
        assert!(matches!(nothing, Err(ParseError::Nothing { .. })), "{nothing:?}");
    }
}
