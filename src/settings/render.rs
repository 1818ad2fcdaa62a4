//! Settings as text again, in the language of `bankwatch.toml`.

use std::io::{self, Write};

use figment::value::Value;

use crate::settings::key::{BANK, Place};
use crate::settings::sources::layers::Layers;

/// What stands where a secret would.
pub(crate) const HIDDEN: &str = "(hidden)";

/// Which settings are written, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// All of them; secrets hidden.
    InForce,
    /// All of them, each with where it came from; secrets hidden.
    Origins,
    /// Those that were given, each with what it is for; secrets as they are, since this is a file to use.
    Given,
}

/// Writes settings as TOML.
///
/// # Errors
/// Those of `out`.
pub fn toml(layers: &Layers, style: Style, out: &mut impl Write) -> io::Result<()> {
    let mut open = None;
    for place in layers.places() {
        let origin = layers.origin(place);
        let Some(value) = layers.value(place).filter(|_| style != Style::Given || origin.is_some()) else {
            continue;
        };
        let section = (place.key.section, place.bank);
        if open.replace(section) != Some(section) {
            match section {
                ("", _) => {}
                (BANK, _) => writeln!(out, "\n[[{BANK}]]")?,
                (name, _) => writeln!(out, "\n[{name}]")?,
            }
        }
        let comment = match style {
            Style::InForce => None,
            Style::Origins => Some(origin.unwrap_or_else(|| "default".into())),
            Style::Given => Some(place.key.why.to_owned()),
        };
        let setting = format!("{} = {}", place.key.name, shown(place, &value, style));
        match comment {
            Some(comment) => writeln!(out, "{setting:<38} # {comment}")?,
            None => writeln!(out, "{setting}")?,
        }
    }
    Ok(())
}

fn shown(place: Place, value: &Value, style: Style) -> String {
    match value {
        Value::String(_, text) if place.key.kind.is_secret() && style != Style::Given && !text.is_empty() => {
            quoted(HIDDEN)
        }
        Value::String(_, text) => quoted(text),
        Value::Bool(_, flag) => flag.to_string(),
        // Every number among the settings is a whole one.
        other => other.to_i128().unwrap_or_default().to_string(),
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
