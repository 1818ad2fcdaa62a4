//! Decodes the event words and state words of a battery into conditions.
//!
//! Words are independent of one another: a damaged word is absent and affects no other word.

use std::borrow::Cow;

use crate::events::catalogue::Catalogue;
use crate::events::state_words::{BASE_STATE, STATUS_WORDS, StateWord, is_state_word};
use crate::model::event::{
    ActiveEvent, BATTERY, Condition, ERROR_CODE, EventLevel, IMPLAUSIBLE, POWER, SENSOR_FAULT, SYSTEM,
    WordName,
};
use crate::model::event_word::EventWord;
use crate::model::place::Place;
use crate::model::reading::{CellReading, Measured};
use crate::model::report::BankReport;
use crate::model::withheld::{
    ImplausibleReason, ImplausibleValue, ValueScope, is_value_name, shown, value_name,
};
use crate::model::word::Word;

/// The conditions that a word reports; all others of this word are inactive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordConditions<'a> {
    pub word: WordName,
    pub conditions: Vec<ActiveCondition<'a>>,
}

/// An active condition with its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveCondition<'a> {
    pub condition: Condition,
    /// The name that the console printed, if any.
    pub name: Option<&'a str>,
    pub level: EventLevel,
    pub text: Cow<'a, str>,
}

/// The origin of the words. A stack has an error code in place of the system fault of a battery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventSource {
    Battery,
    Stack,
}

/// Decodes the words of a battery or a stack; words that were not reported are absent.
#[must_use]
pub fn decode<'a>(
    measured: &'a Measured,
    source: EventSource,
    catalogue: &'a Catalogue,
) -> Vec<WordConditions<'a>> {
    let fault = if source == EventSource::Stack { ERROR_CODE } else { SYSTEM };
    let own = [
        (BATTERY, &measured.battery_events),
        (POWER, &measured.power_events),
        (fault, &measured.system_fault),
    ];
    let own =
        own.into_iter().filter_map(|(name, word)| Some(bits(Cow::Borrowed(name), word.as_ref()?, catalogue)));
    let states = STATUS_WORDS.iter().filter_map(|state| not_normal(state, measured, catalogue));
    let mut reported: Vec<WordConditions<'a>> =
        own.chain(base_state(measured, catalogue)).chain(states).collect();
    for (label, word) in &measured.other_events {
        // A label that equals a built-in name, or occurred before, is ignored.
        let is_taken = is_state_word(label)
            || is_value_name(label)
            || [BATTERY, POWER, SYSTEM, ERROR_CODE].contains(&label.as_str());
        if !is_taken && !reported.iter().any(|other| other.word == *label) {
            reported.push(bits(Cow::Owned(label.clone()), word, catalogue));
        }
    }
    reported
}

/// Returns the persistent implausible values of a battery or a stack, each as a word of its own.
fn persistent_values<'a>(
    values: &'a [ImplausibleValue],
    battery: Option<Place>,
    catalogue: &'a Catalogue,
) -> impl Iterator<Item = WordConditions<'a>> {
    values.iter().filter(move |value| value.battery == battery).map(|value| {
        let (state, default_text) = match value.why {
            ImplausibleReason::SensorFault => (SENSOR_FAULT, "Faulty sensor"),
            ImplausibleReason::Limit | ImplausibleReason::Step => (IMPLAUSIBLE, "Implausible value"),
        };
        let state = Word::new(state);
        let prefix = match value.scope {
            ValueScope::Whole => String::new(),
            ValueScope::Cell(number) => format!("Cell {number}: "),
            ValueScope::LowestCell => "Lowest cell: ".to_owned(),
            ValueScope::HighestCell => "Highest cell: ".to_owned(),
        };
        let meaning = catalogue.state(value.quantity.name(), &state);
        let (level, text) = meaning.map_or((EventLevel::Warning, Cow::Borrowed(default_text)), |meaning| {
            (meaning.level, meaning.text)
        });
        let text = Cow::Owned(format!("{prefix}{text}"));
        let condition = ActiveCondition { condition: Condition::State(state), name: None, level, text };
        WordConditions { word: Cow::Owned(value.name()), conditions: vec![condition] }
    })
}

/// Returns the implausible values of a battery or a stack: the persistent ones, and those with an active event that are
/// plausible again. A withheld or absent value changes nothing.
pub(crate) fn values<'a>(
    report: &'a BankReport,
    battery: Option<Place>,
    (measured, cells): (&Measured, &[CellReading]),
    is_active: impl Fn(&WordName) -> bool,
    catalogue: &'a Catalogue,
) -> Vec<WordConditions<'a>> {
    let mut reported: Vec<WordConditions<'a>> =
        persistent_values(&report.lasting, battery, catalogue).collect();
    for word in shown(measured, cells).map(|key| Cow::Owned(value_name(key))) {
        if is_active(&word) && !reported.iter().any(|reported| reported.word == word) {
            reported.push(WordConditions { word, conditions: Vec::new() });
        }
    }
    reported
}

/// Sets the active events of a report from its own words.
pub fn set_active_events(report: &mut BankReport, catalogue: &Catalogue) {
    let BankReport { reading, derived: insight, lasting: values, .. } = report;
    let standing = |measured: &Measured, source: EventSource, battery: Option<Place>| -> Vec<ActiveEvent> {
        let reported = decode(measured, source, catalogue).into_iter();
        reported
            .chain(persistent_values(values, battery, catalogue))
            .flat_map(|WordConditions { word, conditions }| {
                conditions.into_iter().map(move |ActiveCondition { condition: sign, level, text, .. }| {
                    ActiveEvent { word: word.clone(), condition: sign, level, text: text.into_owned() }
                })
            })
            .collect()
    };
    insight.active_events =
        reading.stack.iter().flat_map(|stack| standing(stack, EventSource::Stack, None)).collect();
    for (own, battery) in insight.batteries.iter_mut().zip(&reading.batteries) {
        own.active_events = standing(&battery.measured, EventSource::Battery, Some(battery.place));
    }
}

fn bits<'a>(word: WordName, reported: &'a EventWord, catalogue: &'a Catalogue) -> WordConditions<'a> {
    // Names are in bit order, lowest first; if their number differs, they can't be assigned.
    let is_named = reported.names.len() == reported.bits.count_ones() as usize;
    let conditions = reported.each_bit().enumerate().map(|(position, bit)| {
        let name = reported.names.get(position).filter(|_| is_named).map(String::as_str);
        let meaning = catalogue.bit(&word, bit, name);
        ActiveCondition { condition: Condition::Bit(bit), name, level: meaning.level, text: meaning.text }
    });
    let conditions = conditions.collect();
    WordConditions { word, conditions }
}

fn base_state<'a>(measured: &'a Measured, catalogue: &'a Catalogue) -> Option<WordConditions<'a>> {
    let (word, _, get) = BASE_STATE;
    let state = get(measured).as_ref()?;
    let condition = own(word, state, catalogue);
    Some(WordConditions { word: Cow::Borrowed(word), conditions: condition.into_iter().collect() })
}

fn not_normal<'a>(
    state: &StateWord,
    measured: &'a Measured,
    catalogue: &'a Catalogue,
) -> Option<WordConditions<'a>> {
    let (word, about, get) = *state;
    let state = get(measured).as_ref()?;
    let conditions = match state.as_str() {
        "Normal" => Vec::new(),
        other => vec![own(word, state, catalogue).unwrap_or_else(|| ActiveCondition {
            condition: Condition::State(state.clone()),
            name: None,
            level: EventLevel::Warning,
            text: Cow::Owned(format!("{about}: {other}")),
        })],
    };
    Some(WordConditions { word: Cow::Borrowed(word), conditions })
}

/// Returns the condition of a state, or `None` if it has no row in the catalogue.
#[must_use]
pub(crate) fn own<'a>(word: &str, state: &Word, catalogue: &'a Catalogue) -> Option<ActiveCondition<'a>> {
    let meaning = catalogue.state(word, state)?;
    Some(ActiveCondition {
        condition: Condition::State(state.clone()),
        name: None,
        level: meaning.level,
        text: meaning.text,
    })
}
