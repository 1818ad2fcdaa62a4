//! The console's words as Home Assistant takes them: an `enum` has a closed list of options, the console an open set.

use serde_json::{Map, Value};

/// What a state may be called (protocol, section 11).
pub const STATES: &[&str] = &[
    "Charge", "Dischg", "Idle", "Absent", "SysError", "Balance", "Sleep", "Float", "Protect", "Alarm", OTHER,
];

/// What a status may be called (protocol, section 11).
pub const STATUSES: &[&str] = &["Normal", "Low", "High", "Full", "Abnormal", "Over", "Under", OTHER];

/// Stands for every word that is not among the options.
pub const OTHER: &str = "Other";

/// Characters of a console's text that are passed on. The longest known word has 8, the longest barcode 16.
const LONGEST: usize = 64;

/// The options of the words under `key`, where it holds one of a closed list.
fn options(key: &str) -> Option<&'static [&'static str]> {
    match key {
        "basic_st" => Some(STATES),
        "volt_st" | "current_st" | "curr_st" | "temp_st" | "soh_st" | "coul_st" => Some(STATUSES),
        _ => None,
    }
}

/// A text of the console or of somebody's settings, bounded and without control characters.
#[must_use]
pub(crate) fn bounded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

/// Puts every word in its place: one that is not among its options becomes [`OTHER`], with the word itself
/// under `<key>_said`; any other text is [`bounded`]. In a list each word is an item's, and `<key>_said` names
/// the items by their number from 1.
pub(crate) fn tame(said: &mut Map<String, Value>) {
    let mut beside = Map::new();
    for (key, value) in said.iter_mut() {
        let options = options(key);
        match value {
            Value::String(text) => {
                if let Some(word) = stranger(text, options) {
                    beside.insert(format!("{key}_said"), Value::String(word));
                }
            }
            Value::Array(items) => {
                let mut strangers = Map::new();
                for (number, item) in (1..).zip(items) {
                    let Value::String(text) = item else { continue };
                    if let Some(word) = stranger(text, options) {
                        strangers.insert(u32::to_string(&number), Value::String(word));
                    }
                }
                if !strangers.is_empty() {
                    beside.insert(format!("{key}_said"), Value::Object(strangers));
                }
            }
            _ => {}
        }
    }
    said.append(&mut beside);
}

/// Bounds `text`; where it is none of the options it becomes [`OTHER`], and the word itself is answered.
fn stranger(text: &mut String, options: Option<&[&str]>) -> Option<String> {
    let word = bounded(text);
    if options.is_none_or(|options| options.contains(&word.as_str())) {
        *text = word;
        return None;
    }
    *text = OTHER.to_owned();
    Some(word)
}
