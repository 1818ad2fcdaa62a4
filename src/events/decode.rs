//! What the words of one battery say, bit by bit and state by state.
//!
//! Each word stands for itself: one that was damaged is not there, says nothing and costs no other word anything.

use std::borrow::Cow;

use crate::events::catalogue::Catalogue;
use crate::events::state_words::{BASE_STATE, STATUS_WORDS, StateWord, is_state_word};
use crate::model::event::{
    BATTERY, ERROR_CODE, EventLevel, IMPLAUSIBLE, POWER, SENSOR_FAULT, SYSTEM, Sign, Standing, WordName,
};
use crate::model::event_word::EventWord;
use crate::model::place::Place;
use crate::model::reading::{CellReading, Measured};
use crate::model::report::BankReport;
use crate::model::withheld::{Implausible, ValueScope, Withheld, is_value_name, shown, value_name};
use crate::model::word::Word;

/// What one word said: these conditions stand, and no other of this word does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    /// The word.
    pub word: WordName,
    /// What stands.
    pub conditions: Vec<Condition<'a>>,
}

/// A condition that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition<'a> {
    /// What of its word.
    pub sign: Sign,
    /// The console's own name, where it printed one.
    pub name: Option<&'a str>,
    /// Its weight.
    pub level: EventLevel,
    /// What it means.
    pub text: Cow<'a, str>,
}

/// Whose words they are. A stack has an error code where a battery has a system fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// A battery's.
    Battery,
    /// A high-voltage stack's.
    Stack,
}

/// What the words of a battery or a stack say. Words that were not said are not there.
#[must_use]
pub fn decode<'a>(measured: &'a Measured, whose: Whose, catalogue: &'a Catalogue) -> Vec<Said<'a>> {
    let fault = if whose == Whose::Stack { ERROR_CODE } else { SYSTEM };
    let own = [
        (BATTERY, &measured.battery_events),
        (POWER, &measured.power_events),
        (fault, &measured.system_fault),
    ];
    let own =
        own.into_iter().filter_map(|(name, word)| Some(bits(Cow::Borrowed(name), word.as_ref()?, catalogue)));
    let states = STATUS_WORDS.iter().filter_map(|state| not_normal(state, measured, catalogue));
    let mut said: Vec<Said<'a>> = own.chain(base(measured, catalogue)).chain(states).collect();
    for (label, word) in &measured.other_events {
        // A label that is one of our own names, or was there above, says nothing of that other word.
        let taken = is_state_word(label)
            || is_value_name(label)
            || [BATTERY, POWER, SYSTEM, ERROR_CODE].contains(&label.as_str());
        if !taken && !said.iter().any(|other| other.word == *label) {
            said.push(bits(Cow::Owned(label.clone()), word, catalogue));
        }
    }
    said
}

/// The lasting values of a battery, or of a stack, that no battery can have: a word each.
fn lasting<'a>(
    values: &'a [Withheld],
    battery: Option<Place>,
    catalogue: &'a Catalogue,
) -> impl Iterator<Item = Said<'a>> {
    values.iter().filter(move |value| value.battery == battery).map(|value| {
        let (state, otherwise) = match value.why {
            Implausible::SensorFault => (SENSOR_FAULT, "Faulty sensor"),
            Implausible::Limit | Implausible::Step => (IMPLAUSIBLE, "Implausible value"),
        };
        let state = Word::new(state);
        let of = match value.scope {
            ValueScope::Whole => String::new(),
            ValueScope::Cell(number) => format!("Cell {number}: "),
            ValueScope::LowestCell => "Lowest cell: ".to_owned(),
            ValueScope::HighestCell => "Highest cell: ".to_owned(),
        };
        let meaning = catalogue.state(value.quantity.name(), &state);
        let (level, text) = meaning
            .map_or((EventLevel::Warning, Cow::Borrowed(otherwise)), |meaning| (meaning.level, meaning.text));
        let text = Cow::Owned(format!("{of}{text}"));
        let condition = Condition { sign: Sign::State(state), name: None, level, text };
        Said { word: Cow::Owned(value.name()), conditions: vec![condition] }
    })
}

/// The values of a battery, or of a stack, that no battery can have: those that last, and those with an active event
/// that are plausible again. A value that was withheld or is absent changes nothing.
pub(crate) fn values<'a>(
    report: &'a BankReport,
    battery: Option<Place>,
    (measured, cells): (&Measured, &[CellReading]),
    stands: impl Fn(&WordName) -> bool,
    catalogue: &'a Catalogue,
) -> Vec<Said<'a>> {
    let mut said: Vec<Said<'a>> = lasting(&report.lasting, battery, catalogue).collect();
    for word in shown(measured, cells).map(|key| Cow::Owned(value_name(key))) {
        if stands(&word) && !said.iter().any(|said| said.word == word) {
            said.push(Said { word, conditions: Vec::new() });
        }
    }
    said
}

/// Tells in a report what stands by its own answers.
pub fn tell_standing(report: &mut BankReport, catalogue: &Catalogue) {
    let BankReport { reading, insight, lasting: values, .. } = report;
    let standing = |measured: &Measured, whose: Whose, battery: Option<Place>| -> Vec<Standing> {
        let said = decode(measured, whose, catalogue).into_iter();
        said.chain(lasting(values, battery, catalogue))
            .flat_map(|Said { word, conditions }| {
                conditions.into_iter().map(move |Condition { sign, level, text, .. }| Standing {
                    word: word.clone(),
                    sign,
                    level,
                    text: text.into_owned(),
                })
            })
            .collect()
    };
    insight.standing = reading.stack.iter().flat_map(|stack| standing(stack, Whose::Stack, None)).collect();
    for (own, battery) in insight.batteries.iter_mut().zip(&reading.batteries) {
        own.standing = standing(&battery.measured, Whose::Battery, Some(battery.place));
    }
}

fn bits<'a>(word: WordName, said: &'a EventWord, catalogue: &'a Catalogue) -> Said<'a> {
    // Consoles name the bits in order, lowest first; where they name fewer or more, nobody knows which is which.
    let named = said.names.len() == said.bits.count_ones() as usize;
    let conditions = said.each_bit().enumerate().map(|(position, bit)| {
        let name = said.names.get(position).filter(|_| named).map(String::as_str);
        let meaning = catalogue.bit(&word, bit, name);
        Condition { sign: Sign::Bit(bit), name, level: meaning.level, text: meaning.text }
    });
    let conditions = conditions.collect();
    Said { word, conditions }
}

fn base<'a>(measured: &'a Measured, catalogue: &'a Catalogue) -> Option<Said<'a>> {
    let (word, _, get) = BASE_STATE;
    let state = get(measured).as_ref()?;
    let condition = own(word, state, catalogue);
    Some(Said { word: Cow::Borrowed(word), conditions: condition.into_iter().collect() })
}

fn not_normal<'a>(state: &StateWord, measured: &'a Measured, catalogue: &'a Catalogue) -> Option<Said<'a>> {
    let (word, about, get) = *state;
    let state = get(measured).as_ref()?;
    let conditions = match state.as_str() {
        "Normal" => Vec::new(),
        other => vec![own(word, state, catalogue).unwrap_or_else(|| Condition {
            sign: Sign::State(state.clone()),
            name: None,
            level: EventLevel::Warning,
            text: Cow::Owned(format!("{about}: {other}")),
        })],
    };
    Some(Said { word: Cow::Borrowed(word), conditions })
}

/// A state by its row in the catalogue, where it has one.
#[must_use]
pub(crate) fn own<'a>(word: &str, state: &Word, catalogue: &'a Catalogue) -> Option<Condition<'a>> {
    let meaning = catalogue.state(word, state)?;
    Some(Condition { sign: Sign::State(state.clone()), name: None, level: meaning.level, text: meaning.text })
}
