//! Writes settings as TOML.

use std::io::{self, Write};

use figment::value::Value;

use crate::settings::key::{BANK, SettingPath};
use crate::settings::sources::layers::Layers;

/// Replaces secrets in the output.
pub(crate) const HIDDEN: &str = "(hidden)";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderStyle {
    /// All settings, with secrets hidden.
    Effective,
    /// All settings with their origins, with secrets hidden.
    WithOrigins,
    /// The settings that are set, with their descriptions and with secrets, since the output is a file to use.
    Explicit,
}

pub fn toml(layers: &Layers, style: RenderStyle, out: &mut impl Write) -> io::Result<()> {
    let mut open = None;
    for place in layers.paths() {
        let origin = layers.origin(place);
        let Some(value) = layers.value(place).filter(|_| style != RenderStyle::Explicit || origin.is_some())
        else {
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
            RenderStyle::Effective => None,
            RenderStyle::WithOrigins => Some(origin.unwrap_or_else(|| "default".into())),
            RenderStyle::Explicit => Some(place.key.description.to_owned()),
        };
        let setting = format!("{} = {}", place.key.name, shown(place, &value, style));
        match comment {
            Some(comment) => writeln!(out, "{setting:<38} # {comment}")?,
            None => writeln!(out, "{setting}")?,
        }
    }
    Ok(())
}

fn shown(place: SettingPath, value: &Value, style: RenderStyle) -> String {
    match value {
        Value::String(_, text)
            if place.key.kind.is_secret() && style != RenderStyle::Explicit && !text.is_empty() =>
        {
            quoted(HIDDEN)
        }
        Value::String(_, text) => quoted(text),
        Value::Bool(_, flag) => flag.to_string(),
        // All numeric settings are integers.
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
