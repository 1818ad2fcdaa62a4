//! Formats a log event as one line of text or one JSON object. No value can break the line.

use std::fmt::Write;

use jiff::Timestamp;
use serde_json::Value;
use slog::Level;

use crate::logging::entry::LogEvent;

/// The line of text with its newline. `colour` only applies to the level.
pub(crate) fn text(entry: &LogEvent, colour: bool) -> String {
    let word = level_word(entry.level);
    let paint = if colour { paint(entry.level) } else { "" };
    let unpaint = if paint.is_empty() { "" } else { "\x1b[0m" };
    let mut line = format!("{} {paint}{word:<5}{unpaint} ", time(entry.at));
    escape(&mut line, &entry.message);
    for (key, value) in &entry.pairs {
        line.push(' ');
        line.push_str(key);
        line.push('=');
        match value {
            Value::String(text) => quote(&mut line, text),
            plain => {
                // Writing to a String can't fail.
                let _ = write!(line, "{plain}");
            }
        }
    }
    line.push('\n');
    line
}

/// The JSON object with its newline. A key that clashes with one of the log's own gets a trailing underscore.
pub(crate) fn json(entry: &LogEvent) -> String {
    let own = [
        ("ts", Value::String(time(entry.at))),
        ("level", Value::from(level_word(entry.level))),
        ("msg", Value::from(entry.message.as_str())),
    ];
    let mut line = String::from("{");
    for (place, (key, value)) in own.iter().chain(&entry.pairs).enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let clash = place >= own.len() && own.iter().any(|(name, _)| name == key);
        let tail = if clash { "_" } else { "" };
        // Writing to a String can't fail.
        let _ = write!(line, "{comma}{}:{value}", Value::String(format!("{key}{tail}")));
    }
    line.push('}');
    let mut line = escape_controls(line);
    line.push('\n');
    line
}

/// Escapes the control characters that JSON allows, because terminals interpret them as well.
fn escape_controls(json: String) -> String {
    if !json.contains(char::is_control) {
        return json;
    }
    let mut plain = String::new();
    for c in json.chars() {
        if c.is_control() {
            // Writing to a String can't fail.
            let _ = write!(plain, "\\u{:04x}", u32::from(c));
        } else {
            plain.push(c);
        }
    }
    plain
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn level_word(level: Level) -> &'static str {
    match level {
        Level::Critical => "CRIT",
        Level::Error => "ERROR",
        Level::Warning => "WARN",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
        Level::Trace => "TRACE",
    }
}

fn paint(level: Level) -> &'static str {
    match level {
        Level::Critical | Level::Error => "\x1b[31m",
        Level::Warning => "\x1b[33m",
        Level::Info => "",
        Level::Debug | Level::Trace => "\x1b[2m",
    }
}

/// Writes a value without quotes if it is unambiguous, else with quotes.
fn quote(line: &mut String, text: &str) {
    let bare = |c: char| c.is_ascii_alphanumeric() || "_-+./:;,@%#*?&~".contains(c);
    if is_quoted(text) || (!text.is_empty() && text.chars().all(bare)) {
        line.push_str(text);
    } else {
        line.push('"');
        escape(line, text);
        line.push('"');
    }
}

/// Whether a value is a quoted literal already, as `"key" => ?text` produces: printable, quotes at both ends, and every
/// quote in between escaped.
fn is_quoted(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return false;
    };
    let mut escaped = false;
    for c in inner.chars() {
        match c {
            _ if !(c.is_ascii_graphic() || c == ' ') => return false,
            '"' if !escaped => return false,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    !escaped
}

/// Writes printable ASCII as it is and everything else as a Rust escape: `\n`, `\u{1b}`, `\u{fc}`.
fn escape(line: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\'' => line.push(c),
            _ => line.extend(c.escape_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(message: &str, pairs: Vec<(&'static str, Value)>) -> LogEvent {
        LogEvent {
            at: "2026-11-22T06:05:09.377Z".parse().unwrap(),
            level: Level::Info,
            message: message.to_owned(),
            pairs,
        }
    }

    fn value_of(value: &str) -> String {
        let line = text(&entry("answer", vec![("text", Value::from(value))]), false);
        line.strip_prefix("2026-11-22T06:05:09.377Z INFO  answer text=").unwrap().trim_end().to_owned()
    }

    #[test]
    fn a_line_reads_time_level_message_and_keys() {
        let pairs = vec![
            ("bank", Value::from("pytes")),
            ("prompt", Value::from("PYTES>")),
            ("batteries", Value::from(4)),
            ("asleep", Value::from(false)),
            ("model", Value::Null),
        ];
        assert_eq!(
            text(&entry("link up", pairs), false),
            "2026-11-22T06:05:09.377Z INFO  link up bank=pytes prompt=\"PYTES>\" batteries=4 asleep=false model=null\n"
        );
    }

    #[test]
    fn whole_seconds_have_their_milliseconds_too() {
        let mut whole = entry("tick", vec![]);
        whole.at = Timestamp::from_second(0).unwrap();
        assert_eq!(text(&whole, false), "1970-01-01T00:00:00.000Z INFO  tick\n");
    }

    #[test]
    fn paths_and_addresses_stand_bare_and_sentences_between_quotes() {
        assert_eq!(value_of("/dev/ttyUSB0"), "/dev/ttyUSB0");
        assert_eq!(value_of("mqtt://localhost:1883"), "mqtt://localhost:1883");
        assert_eq!(value_of("6m2.6s"), "6m2.6s");
        assert_eq!(value_of("connection refused"), "\"connection refused\"");
        assert_eq!(value_of("can't open"), "\"can't open\"");
        assert_eq!(value_of(""), "\"\"");
        assert_eq!(value_of("a=b"), "\"a=b\"");
    }

    #[test]
    fn what_is_not_printable_is_escaped() {
        assert_eq!(value_of("pwr\r\nDone\x1b[2J"), r#""pwr\r\nDone\u{1b}[2J""#);
        assert_eq!(value_of("Überspannung"), r#""\u{dc}berspannung""#);
        assert_eq!(value_of("\u{202e}"), r#""\u{202e}""#);
        assert_eq!(value_of(r#"say "hi" \o/"#), r#""say \"hi\" \\o/""#);
    }

    #[test]
    fn a_value_that_comes_quoted_is_not_quoted_twice() {
        assert_eq!(value_of(&format!("{:?}", "say \"hi\"\n")), r#""say \"hi\"\n""#);
        assert_eq!(value_of(r#""one" level="two""#), r#""\"one\" level=\"two\"""#);
        assert_eq!(value_of(r#""open\""#), r#""\"open\\\"""#);
    }

    #[test]
    fn a_message_cannot_break_the_line() {
        assert!(text(&entry("answer\nforged", vec![]), false).ends_with(" INFO  answer\\nforged\n"));
    }

    #[test]
    fn only_the_level_is_painted() {
        let mut alarm = entry("event raised", vec![]);
        alarm.level = Level::Warning;
        assert_eq!(text(&alarm, true), "2026-11-22T06:05:09.377Z \x1b[33mWARN \x1b[0m event raised\n");
    }

    #[test]
    fn json_keeps_types_and_order_and_renames_what_clashes() {
        let pairs = vec![
            ("zone", Value::from(1.5)),
            ("bank", Value::from("py\"tes\n")),
            ("level", Value::from("debug")),
        ];
        assert_eq!(
            json(&entry("level changed", pairs)),
            "{\"ts\":\"2026-11-22T06:05:09.377Z\",\"level\":\"INFO\",\"msg\":\"level changed\",\
             \"zone\":1.5,\"bank\":\"py\\\"tes\\n\",\"level_\":\"debug\"}\n"
        );
    }

    /// Splits a line's particulars as a reader of the log would: at spaces that are not between quotes.
    fn fields(rest: &str) -> Vec<String> {
        let (mut fields, mut field, mut quoted, mut escaped) = (vec![], String::new(), false, false);
        for c in rest.chars() {
            if c == ' ' && !quoted {
                fields.push(std::mem::take(&mut field));
                continue;
            }
            quoted ^= c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            field.push(c);
        }
        fields.push(field);
        fields
    }

    proptest! {
        #[test]
        fn no_value_breaks_its_line_or_forges_a_key(hostile in any::<String>(), nasty in "[\"\\\\ =\n\ra]{0,12}") {
            for value in [&hostile, &nasty] {
                let pairs = vec![("text", Value::from(value.as_str())), ("last", Value::from(7))];
                let line = text(&entry("answer", pairs), false);
                prop_assert!(line.trim_end_matches('\n').bytes().all(|b| (0x20..0x7f).contains(&b)));
                prop_assert_eq!(line.matches('\n').count(), 1);
                let fields = fields(line["2026-11-22T06:05:09.377Z INFO  answer ".len()..].trim_end());
                prop_assert_eq!(fields.len(), 2);
                prop_assert!(fields[0].starts_with("text="));
                prop_assert_eq!(&fields[1], "last=7");
            }
        }

        #[test]
        fn every_json_line_is_one_object_that_gives_the_value_back(value in any::<String>()) {
            let value = format!("{value}\u{7f}\u{9b}");
            let line = json(&entry("answer", vec![("text", Value::from(value.as_str()))]));
            prop_assert_eq!(line.chars().filter(|c| c.is_control()).collect::<String>(), "\n");
            let object: Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(object["text"].as_str(), Some(value.as_str()));
        }
    }
}
