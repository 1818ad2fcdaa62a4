//! Maps the console's words to Home Assistant's `enum` options, which are a closed list while the console's words are
//! an open set.

use serde_json::{Map, Value};

/// States (protocol, section 11).
pub const STATES: &[&str] = &[
    "Charge", "Dischg", "Idle", "Absent", "SysError", "Balance", "Sleep", "Float", "Protect", "Alarm", OTHER,
];

/// Statuses (protocol, section 11).
pub const STATUSES: &[&str] = &["Normal", "Low", "High", "Full", "Abnormal", "Over", "Under", OTHER];

/// Replaces every word that is not one of the options.
pub const OTHER: &str = "Other";

/// Longer texts are cut, in characters. The longest known word has 8, the longest barcode 16.
const MAX_LENGTH: usize = 64;

/// The options for `key`, if it is an `enum`.
fn options(key: &str) -> Option<&'static [&'static str]> {
    match key {
        "basic_st" => Some(STATES),
        "volt_st" | "current_st" | "curr_st" | "temp_st" | "soh_st" | "coul_st" => Some(STATUSES),
        _ => None,
    }
}

/// Limits the length of a text from the console or the settings and removes control characters.
#[must_use]
pub(crate) fn bounded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_LENGTH).collect()
}

/// Replaces each word that is not one of its options with [`OTHER`] and adds the word itself under `<key>_raw`; any
/// other text is [`bounded`]. For a list, `<key>_raw` is an object with the item numbers, from 1, as keys.
pub(crate) fn sanitize(values: &mut Map<String, Value>) {
    let mut raw = Map::new();
    for (key, value) in values.iter_mut() {
        let options = options(key);
        match value {
            Value::String(text) => {
                if let Some(word) = unknown_value(text, options) {
                    raw.insert(format!("{key}_raw"), Value::String(word));
                }
            }
            Value::Array(items) => {
                let mut unknown = Map::new();
                for (number, item) in (1..).zip(items) {
                    let Value::String(text) = item else { continue };
                    if let Some(word) = unknown_value(text, options) {
                        unknown.insert(u32::to_string(&number), Value::String(word));
                    }
                }
                if !unknown.is_empty() {
                    raw.insert(format!("{key}_raw"), Value::Object(unknown));
                }
            }
            _ => {}
        }
    }
    values.append(&mut raw);
}

/// Bounds `text`. If it is not one of the options, replaces it with [`OTHER`] and returns the word itself.
fn unknown_value(text: &mut String, options: Option<&[&str]>) -> Option<String> {
    let word = bounded(text);
    if options.is_none_or(|options| options.contains(&word.as_str())) {
        *text = word;
        return None;
    }
    *text = OTHER.to_owned();
    Some(word)
}
