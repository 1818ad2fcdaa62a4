//! The predecessor's `events_config.json`: levels and texts of its power events and system faults.
//!
//! ```json
//! {"power_events": {"8192": {"level": "info", "hex_code": "0x2000", "text": "Full charge"}}, "sys_events": {}}
//! ```
//! People come to us with the file they have. What in it means nothing here is told and passed over, so that it
//! keeps nobody from starting; only a file that is not JSON is a mistake.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::events::catalogue::{BUILT_IN, Entry, Part, Remark, Sheet, Subject};
use crate::events::catalogue_file::level;
use crate::model::event::{POWER, SYSTEM};

/// Its sections and the words they are about.
const SECTIONS: &[(&str, &str)] = &[("power_events", POWER), ("sys_events", SYSTEM)];

/// Reads the rows of a file.
#[must_use]
pub(crate) fn sheet(text: &str) -> Sheet {
    let mut sheet = Sheet::default();
    let root: Map<String, Value> = match serde_json::from_str(text) {
        Ok(root) => root,
        Err(error) => {
            let sentence = format!("expected the JSON of an events_config.json: {error}; {BUILT_IN}");
            sheet.mistakes.push(Remark { line: error.line().max(1), sentence });
            return sheet;
        }
    };
    let sections = lines(text, 1);
    for (name, section) in &root {
        match (SECTIONS.iter().find(|(known, _)| known == name), section) {
            (Some((_, word)), Value::Object(rows)) => {
                let begin = text.find(&format!("{name:?}")).unwrap_or_default();
                let inside = lines(text.get(begin..).unwrap_or_default(), line(&sections, name));
                for (code, row) in rows {
                    let line = line(&inside, code);
                    match read(code, row) {
                        Ok(Some((bit, part))) => {
                            let (word, subject) = ((*word).to_owned(), Subject::Bit(bit));
                            sheet.entries.push(Entry { word, subject, part, line });
                        }
                        Ok(None) => {}
                        Err(sentence) => {
                            sheet.warnings.push(Remark { line, sentence: format!("{name}: {sentence}") });
                        }
                    }
                }
            }
            _ => {
                let sentence = format!("expected power_events or sys_events with their rows, found {name:?}");
                sheet.warnings.push(Remark { line: line(&sections, name), sentence });
            }
        }
    }
    sheet
}

/// The line of each first text in quotes, counted from `first`. An escaped quote shifts what follows it, which costs no
/// more than a wrong line in a warning.
fn lines(text: &str, first: usize) -> BTreeMap<&str, usize> {
    let (mut lines, mut line) = (BTreeMap::new(), first);
    for (at, part) in text.split('"').enumerate() {
        if at % 2 == 1 {
            lines.entry(part).or_insert(line);
        }
        line += part.bytes().filter(|byte| *byte == b'\n').count();
    }
    lines
}

fn line(lines: &BTreeMap<&str, usize>, key: &str) -> usize {
    lines.get(key).copied().unwrap_or(1)
}

/// One row; nothing for the code of no event at all.
fn read(code: &str, row: &Value) -> Result<Option<(u32, Part)>, String> {
    let number: u32 =
        code.trim().parse().map_err(|_| format!("expected a number such as 8192, found {code:?}"))?;
    if number == 0 {
        return Ok(None);
    }
    if !number.is_power_of_two() {
        let sentence = "is more than one bit; each bit has a row of its own here";
        return Err(format!("{code} ({number:#x}) {sentence}"));
    }
    let text = |key: &str| row.get(key).and_then(Value::as_str);
    let found = text("level").unwrap_or_default();
    let level =
        level(found).ok_or_else(|| format!("{code}: expected the level info or warning, found {found:?}"))?;
    let text =
        text("text").filter(|text| !text.is_empty()).ok_or_else(|| format!("{code}: expected a text"))?;
    Ok(Some((number, Part { name: None, level: Some(level), text: Some(text.to_owned()) })))
}
