//! Parses the `events_config.json` of pytes_serial: levels and texts of its power events and system faults.
//!
//! ```json
//! {"power_events": {"8192": {"level": "info", "hex_code": "0x2000", "text": "Full charge"}}, "sys_events": {}}
//! ```
//! Users migrate with the file they have, so unsupported content is only a warning. The only mistake is a file that is
//! not valid JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::events::catalogue::row::{
    BUILT_IN_USED, FileRow, LineMessage, ParsedFile, RowKey, RowOverride, parse_level,
};
use crate::model::event::{POWER, SYSTEM};

/// The supported sections and the event word of each.
const SECTIONS: &[(&str, &str)] = &[("power_events", POWER), ("sys_events", SYSTEM)];

/// Returns the rows of the file together with warnings about everything that is ignored.
pub(super) fn parse(text: &str) -> ParsedFile {
    let mut file = ParsedFile::default();
    let root: Map<String, Value> = match serde_json::from_str(text) {
        Ok(root) => root,
        Err(error) => {
            let message = format!("expected the JSON of an events_config.json: {error}; {BUILT_IN_USED}");
            file.mistakes.push(LineMessage { line: error.line().max(1), message });
            return file;
        }
    };
    let sections = lines_of_strings(text, 1);
    for (name, section) in &root {
        match (SECTIONS.iter().find(|(known, _)| known == name), section) {
            (Some((_, word)), Value::Object(rows)) => {
                let start = text.find(&format!("{name:?}")).unwrap_or_default();
                let keys = lines_of_strings(text.get(start..).unwrap_or_default(), line_of(&sections, name));
                for (code, row) in rows {
                    let line = line_of(&keys, code);
                    match parse_row(code, row) {
                        Ok(Some((bit, values))) => {
                            let (word, key) = ((*word).to_owned(), RowKey::Bit(bit));
                            file.rows.push(FileRow { word, key, values, line });
                        }
                        Ok(None) => {}
                        Err(message) => {
                            file.warnings.push(LineMessage { line, message: format!("{name}: {message}") });
                        }
                    }
                }
            }
            _ => {
                let message = format!("expected power_events or sys_events with their rows, found {name:?}");
                file.warnings.push(LineMessage { line: line_of(&sections, name), message });
            }
        }
    }
    file
}

/// Returns the line of the first occurrence of each quoted string, counted from `first`. An escaped quote shifts what
/// follows it, which at worst gives a wrong line number in a warning.
fn lines_of_strings(text: &str, first: usize) -> BTreeMap<&str, usize> {
    let (mut lines, mut line) = (BTreeMap::new(), first);
    for (index, part) in text.split('"').enumerate() {
        if index % 2 == 1 {
            lines.entry(part).or_insert(line);
        }
        line += part.bytes().filter(|byte| *byte == b'\n').count();
    }
    lines
}

fn line_of(lines: &BTreeMap<&str, usize>, key: &str) -> usize {
    lines.get(key).copied().unwrap_or(1)
}

/// Parses one row; `None` for code 0, which stands for "no event".
fn parse_row(code: &str, row: &Value) -> Result<Option<(u32, RowOverride)>, String> {
    let number: u32 =
        code.trim().parse().map_err(|_| format!("expected a number such as 8192, found {code:?}"))?;
    if number == 0 {
        return Ok(None);
    }
    if !number.is_power_of_two() {
        return Err(format!("{code} ({number:#x}) has more than one bit; each bit needs its own row"));
    }
    let text = |key: &str| row.get(key).and_then(Value::as_str);
    let found = text("level").unwrap_or_default();
    let level = parse_level(found)
        .ok_or_else(|| format!("{code}: expected the level info or warning, found {found:?}"))?;
    let text =
        text("text").filter(|text| !text.is_empty()).ok_or_else(|| format!("{code}: expected a text"))?;
    Ok(Some((number, RowOverride { name: None, level: Some(level), text: Some(text.to_owned()) })))
}
