//! `pwr N`: the details of one battery as labeled lines (protocol, section 8).
//!
//! ```text
//!  ----------------------------
//!  Power  1
//!
//!  Voltage         : 52963       mV
//!  Basic Status    : Dischg
//!  Bat Events      : 0x0
//!  ----------------------------
//! ```
//! Every line may be missing, repeated or new; unknown lines are kept with their labels.

use serde::Serialize;

use crate::console::error::{ParseError, excerpt};
use crate::console::framing::answer::Answer;
use crate::console::parsing::labeled_line::{Label, LabeledLine, parse_labeled_line};
use crate::console::parsing::number::{event_word, integer};
use crate::console::parsing::setters::{plain_text, state_word};
use crate::model::event::{BATTERY, POWER, SYSTEM};
use crate::model::event_word::EventWord;
use crate::model::units::{MilliampHours, Milliamps, Millicelsius, Millivolts, Percent};
use crate::model::word::Word;

/// Lines that the console did not print are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PwrDetail {
    /// As stated in the answer.
    pub number: Option<u16>,
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
    #[serde(rename = "nominal_capacity_mah")]
    pub nominal_capacity: Option<MilliampHours>,
    /// As the battery has learned it.
    #[serde(rename = "usable_capacity_mah")]
    pub usable_capacity: Option<MilliampHours>,
    /// Over the battery's life.
    #[serde(rename = "charged_ampere_seconds")]
    pub charged: Option<i64>,
    /// Over the battery's life.
    #[serde(rename = "discharged_ampere_seconds")]
    pub discharged: Option<i64>,
    /// The highest charging voltage.
    #[serde(rename = "max_voltage_mv")]
    pub max_voltage: Option<Millivolts>,
    /// Transitions to charging; not cycles (protocol, section 8).
    pub charge_times: Option<i64>,
    /// For example `Charge`, `Dischg`, `Idle`.
    pub base_state: Option<Word>,
    pub volt_state: Option<Word>,
    pub current_state: Option<Word>,
    pub temp_state: Option<Word>,
    pub coulomb_state: Option<Word>,
    /// A word, not a percentage.
    pub soh_state: Option<Word>,
    /// Whether the heater is on.
    pub(crate) heater: Option<Word>,
    /// State of the charging transistor.
    pub(crate) charge_switch: Option<Word>,
    /// State of the discharging transistor.
    pub(crate) discharge_switch: Option<Word>,
    /// Events of the cells.
    pub battery_events: Option<EventWord>,
    /// Events of the battery.
    pub power_events: Option<EventWord>,
    /// Faults of the system.
    pub system_fault: Option<EventWord>,
    /// Event words with other labels, by label.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_events: Vec<(String, EventWord)>,
    pub barcode: Option<String>,
    pub model: Option<String>,
    pub firmware: Option<String>,
    /// Lines with unknown labels, by label.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<(String, String)>,
    /// Lines that could not be parsed; the others are valid.
    #[serde(skip)]
    pub(crate) problems: Vec<ParseError>,
}

/// The type of a label's value, and the field that stores it.
enum LabelTarget {
    Millivolts(fn(&mut PwrDetail) -> &mut Option<Millivolts>),
    Milliamps(fn(&mut PwrDetail) -> &mut Option<Milliamps>),
    Millicelsius(fn(&mut PwrDetail) -> &mut Option<Millicelsius>),
    Percent(fn(&mut PwrDetail) -> &mut Option<Percent>),
    Charge(fn(&mut PwrDetail) -> &mut Option<MilliampHours>),
    AmpereSeconds(fn(&mut PwrDetail) -> &mut Option<i64>),
    Count(fn(&mut PwrDetail) -> &mut Option<i64>),
    Word(fn(&mut PwrDetail) -> &mut Option<Word>),
    Events(fn(&mut PwrDetail) -> &mut Option<EventWord>),
    Text(fn(&mut PwrDetail) -> &mut Option<String>),
}

const LABELS: &[(&str, LabelTarget)] = &[
    ("Voltage", LabelTarget::Millivolts(|d| &mut d.voltage)),
    ("Current", LabelTarget::Milliamps(|d| &mut d.current)),
    ("Temperature", LabelTarget::Millicelsius(|d| &mut d.temperature)),
    ("Coulomb", LabelTarget::Percent(|d| &mut d.soc)),
    ("Total Coulomb", LabelTarget::Charge(|d| &mut d.nominal_capacity)),
    ("Real Coulomb", LabelTarget::Charge(|d| &mut d.usable_capacity)),
    ("Total Power In", LabelTarget::AmpereSeconds(|d| &mut d.charged)),
    ("Total Power Out", LabelTarget::AmpereSeconds(|d| &mut d.discharged)),
    ("Max Voltage", LabelTarget::Millivolts(|d| &mut d.max_voltage)),
    ("Charge Times", LabelTarget::Count(|d| &mut d.charge_times)),
    ("Basic Status", LabelTarget::Word(|d| &mut d.base_state)),
    ("Volt Status", LabelTarget::Word(|d| &mut d.volt_state)),
    ("Current Status", LabelTarget::Word(|d| &mut d.current_state)),
    ("Tmpr. Status", LabelTarget::Word(|d| &mut d.temp_state)),
    ("Coul. Status", LabelTarget::Word(|d| &mut d.coulomb_state)),
    ("Soh. Status", LabelTarget::Word(|d| &mut d.soh_state)),
    ("Heater Status", LabelTarget::Word(|d| &mut d.heater)),
    ("CMOS Status", LabelTarget::Word(|d| &mut d.charge_switch)),
    ("DMOS Status", LabelTarget::Word(|d| &mut d.discharge_switch)),
    ("CFetState", LabelTarget::Word(|d| &mut d.charge_switch)),
    ("DFetState", LabelTarget::Word(|d| &mut d.discharge_switch)),
    ("Bat Events", LabelTarget::Events(|d| &mut d.battery_events)),
    ("Power Events", LabelTarget::Events(|d| &mut d.power_events)),
    ("System Fault", LabelTarget::Events(|d| &mut d.system_fault)),
    ("Barcode", LabelTarget::Text(|d| &mut d.barcode)),
    ("DevType", LabelTarget::Text(|d| &mut d.model)),
    ("Firm Version", LabelTarget::Text(|d| &mut d.firmware)),
];

/// Known labels whose values are ignored; listed so that a damaged label can be detected. Also in `docs/console.md`.
pub const IGNORED_LABELS: &[&str] = &[
    "SOC Voltage",
    "B+B-.Volt",
    "Charge Count",
    "Discharge Count",
    "Work Status",
    "Bat Num",
    "Next Device",
    "Input Status",
    "Terminal Res.",
    "Charge Sec.",
    "Discharge Sec.",
    "Bat Status",
    "Protect ENA",
    "Bat Protect ENA",
    "Pwr Protect ENA",
];

/// Event words in addition to the three common ones: an alarm word, and the groups into which some firmware splits the
/// others. Recognized by their labels, since not every firmware prints `0x`.
pub(crate) const EVENT_WORDS: &[&str] = &[
    "System Alarm",
    "Bat Volt Status",
    "Bat Tmpr Status",
    "Pwr Volt Status",
    "Pwr Tmpr Status",
    "Pwr Curr Status",
    "Pwr Base Status",
    "Pwr Coul Status",
    "Mos Tmpr Status",
    "Env Tmpr Status",
    "Cascade Status",
    "Unit Events",
];

/// Whether `label` is one of [`EVENT_WORDS`].
pub(crate) fn is_event_label(label: &str) -> bool {
    usize::from(event_position(label)) < EVENT_WORDS.len()
}

/// The position of `label` in [`EVENT_WORDS`]; its length if the label is unknown.
pub(crate) fn event_position(label: &str) -> u16 {
    let position = EVENT_WORDS.iter().position(|known| Label(known) == Label(label));
    position.unwrap_or(EVENT_WORDS.len()) as u16
}

/// The indexes of event words other than the three common ones, by their labels, so that a damaged line shifts no
/// other. Those with an unknown label follow in their order; the label itself has to be confirmed.
pub(crate) fn event_indexes(words: &[(String, EventWord)]) -> Vec<u16> {
    let mut unknown = EVENT_WORDS.len() as u16..;
    let index = |(label, _): &(String, EventWord)| match event_position(label) {
        known if usize::from(known) < EVENT_WORDS.len() => Some(3 + known),
        _ => unknown.next().map(|position| 3 + position),
    };
    words.iter().filter_map(index).collect()
}

/// The label of the word with an index from [`event_indexes`].
pub(crate) fn event_name(index: u16) -> &'static str {
    match index {
        0 => BATTERY,
        1 => POWER,
        2 => SYSTEM,
        other => EVENT_WORDS.get(usize::from(other - 3)).copied().unwrap_or_default(),
    }
}

impl PwrDetail {
    /// Whether an event bit is set that is not a normal condition, or the base state is an alarm. Then the cells are
    /// polled as well.
    #[must_use]
    pub(crate) fn has_notable_event(&self) -> bool {
        let own =
            [(BATTERY, &self.battery_events), (POWER, &self.power_events), (SYSTEM, &self.system_fault)];
        let own = own.into_iter().filter_map(|(name, word)| Some((name, word.as_ref()?)));
        let others = self.other_events.iter().map(|(label, word)| (label.as_str(), word));
        own.chain(others).any(|(name, word)| word.deserves_a_look(name))
            || self.base_state.as_ref().is_some_and(Word::is_alarm)
    }
}

/// Parses the details of one battery; lines that cannot be parsed are listed in `problems`.
///
/// # Errors
/// Returns an error if no line could be parsed.
pub(crate) fn parse(answer: &Answer) -> Result<PwrDetail, ParseError> {
    let mut detail = PwrDetail::default();
    let mut values = 0;
    for (line, text) in answer.lines() {
        if text.trim().bytes().all(|byte| byte == b'-') {
            continue;
        }
        match parse_line(&mut detail, line, text) {
            Ok(has_value) => values += usize::from(has_value),
            Err(problem) => detail.problems.push(problem),
        }
    }
    if values == 0 {
        let nothing = ParseError::Nothing { expected: "lines of label and value", lines: answer.len() };
        return Err(detail.problems.into_iter().next().unwrap_or(nothing));
    }
    Ok(detail)
}

/// Parses one line; returns whether it has a value. A known label without a value counts as absent.
fn parse_line(detail: &mut PwrDetail, line: usize, text: &str) -> Result<bool, ParseError> {
    let Some(field) = parse_labeled_line(line, text) else {
        return parse_heading(detail, line, text).map(|()| true);
    };
    match LABELS.iter().find(|(label, _)| Label(label) == field.label) {
        Some(_) if field.is_blank() => Ok(false),
        Some((_, target)) => target.set(detail, &field).map(|()| true),
        None => store_unknown(detail, &field).map(|()| true),
    }
}

fn parse_heading(detail: &mut PwrDetail, line: usize, text: &str) -> Result<(), ParseError> {
    let number = heading_number(text, "Power").and_then(|number| u16::try_from(number).ok());
    let invalid = || ParseError::Value {
        line,
        what: "a line".into(),
        expected: "a label, a colon and a value",
        found: excerpt(text.trim()),
    };
    detail.number = Some(number.ok_or_else(invalid)?);
    Ok(())
}

/// Stores an event word with another label, or an unknown line as it is.
fn store_unknown(detail: &mut PwrDetail, field: &LabeledLine<'_>) -> Result<(), ParseError> {
    let known = EVENT_WORDS.iter().find(|known| Label(known) == field.label);
    let label = known.map_or_else(|| excerpt(field.label.0), |known| (*known).to_owned());
    if IGNORED_LABELS.iter().any(|known| Label(known) == field.label) {
        return Ok(());
    }
    if known.is_some() && field.is_blank() {
        return Ok(());
    }
    if known.is_some() || field.value.starts_with("0x") {
        let word = event_word(field.value).ok_or_else(|| field.invalid("an event word"))?;
        detail.other_events.push((label, word));
    } else {
        detail.other.push((label, excerpt(field.value)));
    }
    Ok(())
}

impl LabelTarget {
    fn set(&self, detail: &mut PwrDetail, field: &LabeledLine<'_>) -> Result<(), ParseError> {
        match self {
            Self::Millivolts(slot) => {
                set_once(slot(detail), field, Millivolts(small(field, "mV", "a whole number of mV")?))
            }
            Self::Milliamps(slot) => {
                set_once(slot(detail), field, Milliamps(small(field, "mA", "a whole number of mA")?))
            }
            Self::Millicelsius(slot) => {
                set_once(slot(detail), field, Millicelsius(small(field, "mC", "a whole number of mC")?))
            }
            Self::Percent(slot) => {
                set_once(slot(detail), field, Percent(small(field, "%", "a whole number of %")?))
            }
            Self::Charge(slot) => set_once(slot(detail), field, charge(field)?),
            Self::AmpereSeconds(slot) => {
                set_once(slot(detail), field, field.number(&["AS"], "a whole number of AS")?)
            }
            Self::Count(slot) => set_once(slot(detail), field, field.number(&[""], "a whole number")?),
            Self::Word(slot) => keep_first(slot(detail), field, state_word(field.value)),
            Self::Events(slot) => {
                let word = event_word(field.value).ok_or_else(|| field.invalid("an event word like 0x2"))?;
                set_once(slot(detail), field, word)
            }
            Self::Text(slot) => keep_first(slot(detail), field, plain_text(field.value)),
        }
    }
}

fn small(field: &LabeledLine<'_>, unit: &'static str, expected: &'static str) -> Result<i32, ParseError> {
    field.number(&[unit], expected)?.try_into().map_err(|_| field.invalid(expected))
}

/// `50000 mAH`, on some firmware in milliampere-seconds: `360000000 mAS`.
fn charge(field: &LabeledLine<'_>) -> Result<MilliampHours, ParseError> {
    const EXPECTED: &str = "a whole number of mAH or mAS";
    let amount = field.number(&["mAH", "mAS"], EXPECTED)?;
    let seconds = field.value.to_ascii_uppercase().ends_with("MAS");
    Ok(MilliampHours(if seconds { amount / 3600 } else { amount }))
}

/// A measurement that is printed twice must have the same value both times.
fn set_once<T: PartialEq>(slot: &mut Option<T>, field: &LabeledLine<'_>, value: T) -> Result<(), ParseError> {
    match slot {
        Some(before) if *before != value => {
            Err(field.invalid("the same value as in the earlier line with this label"))
        }
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}

/// Keeps the first value: some firmware prints `Heater Status` twice, the second time with the wrong label.
fn keep_first<T>(
    slot: &mut Option<T>,
    field: &LabeledLine<'_>,
    value: Result<T, &'static str>,
) -> Result<(), ParseError> {
    let value = value.map_err(|expected| field.invalid(expected))?;
    slot.get_or_insert(value);
    Ok(())
}

/// The number in a line that consists of `word` and a number.
pub(crate) fn heading_number(text: &str, word: &str) -> Option<i64> {
    let mut tokens = text.split_ascii_whitespace();
    match (tokens.next(), tokens.next(), tokens.next()) {
        (Some(first), Some(number), None) if first == word => integer(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(lines: &str) -> PwrDetail {
        let text = format!("pwr 1\n@\n{lines}\nCommand completed successfully\n$$\n");
        parse(&Answer::from_transcript(text.as_bytes())).expect("a detail")
    }

    #[test]
    fn detail_units_may_follow_without_a_blank() {
        let read = detail(
            "Voltage : 50691mV\nCurrent : -1200mA\nTemperature : 21500mC\nCoulomb : 87%\nTotal Coulomb : 50000mAh\n\
             Real Coulomb : 176400000mAS\nTotal Power In : 153311400AS\n",
        );
        assert_eq!(read.problems, []);
        let measured = (read.voltage, read.current, read.temperature, read.soc);
        let expected = (Millivolts(50_691), Milliamps(-1_200), Millicelsius(21_500), Percent(87));
        assert_eq!(measured, (Some(expected.0), Some(expected.1), Some(expected.2), Some(expected.3)));
        assert_eq!(read.nominal_capacity, Some(MilliampHours(50_000)));
        assert_eq!(read.usable_capacity, Some(MilliampHours(49_000)));
        assert_eq!(read.charged, Some(153_311_400));
    }

    #[test]
    fn a_blank_value_or_unreadable_line_changes_no_other_value() {
        let read = detail(
            "Barcode : E48100A\nBarcode :\nDevType : N/A\nVoltage :\nCurrent : 5 mAx\nBat Events :\nSystem Alarm :\n\
             Heater Status : OFF\n",
        );
        assert_eq!(read.barcode.as_deref(), Some("E48100A"));
        assert_eq!((&read.model, read.voltage, read.current), (&None, None, None));
        assert_eq!((&read.battery_events, read.other_events.len()), (&None, 0));
        assert_eq!(read.heater.as_ref().map(Word::as_str), Some("OFF"));
        assert_eq!(read.problems.len(), 1, "the current alone: {:?}", read.problems);
    }
}
