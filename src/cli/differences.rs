//! The differences from pytes_serial that apply to a `pytes_serial.cfg`, printed by `bankwatch config check`. They fit
//! on one screen.

use std::io::{self, Write};

use crate::settings::{DatabaseUrl, LoadedSettings};

struct Difference {
    applies: fn(&LoadedSettings) -> bool,
    /// Lines of at most 80 columns; `{name}` and `{old}` are replaced.
    text: &'static str,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        applies: |_| true,
        text: "- The numbers of batteries and cells are read from the console; `powers` and\n  \
               `cells` only cause a warning if the bank differs.",
    },
    Difference {
        applies: |loaded| unusable_name(loaded).is_some(),
        text: "- The bank is named {name}, not {old}; Home Assistant\n  \
               had no entities of the old name, so it shows new ones.",
    },
    Difference {
        applies: |loaded| loaded.settings.events.enabled && !loaded.layers.is_given(&["events", "enabled"]),
        text: "- Events are on because the file does not mention them; pytes_serial 1.0 and\n  \
               later have none. To switch them off, add a section [events_monitoring]\n  \
               with events_monitoring = false.",
    },
    Difference {
        applies: |loaded| loaded.settings.events.enabled,
        text: "- battery_events.log: a line when an event starts and one when it ends,\n  \
               instead of a table in each cycle.",
    },
    Difference {
        applies: |loaded| !loaded.layers.is_given(&["bank", "1", "cells"]),
        text: "- Cells are published at level medium: the file does not mention them.",
    },
    Difference {
        applies: |loaded| loaded.settings.log.file.is_some(),
        text: "- pytes_serial.log: other lines, with times in UTC.",
    },
    Difference {
        applies: |loaded| loaded.settings.json_file.enabled,
        text: "- {name}_status.json: more keys, status words without padding.",
    },
    Difference {
        applies: |loaded| loaded.settings.mqtt.enabled && unusable_name(loaded).is_none(),
        text: "- MQTT: the same topics as before, and more below bankwatch/ (not retained).",
    },
    Difference {
        applies: |loaded| loaded.settings.mqtt.enabled && unusable_name(loaded).is_some(),
        text: "- MQTT: topics have the new name; more topics below bankwatch/ (not retained).",
    },
    Difference {
        applies: has_entities,
        text: "- Home Assistant: entities and their history are taken over, further ones are\n  \
               added; a value that is out of date is unavailable instead of frozen.",
    },
    Difference {
        applies: has_server,
        text: "- Database: pwr_data is continued, and tables with cells, events and hourly\n  \
               values are added to the same database.",
    },
    Difference {
        applies: |loaded| {
            loaded.settings.database.enabled && !loaded.layers.is_given(&["database", "enabled"])
        },
        text: "- Database: readings are stored in a file (SQLite), because the file does not\n  \
               mention SQL.",
    },
    Difference {
        applies: has_entities,
        text: "To go back: stop bankwatch, run `bankwatch ha migrate --back` with this file,\n\
               start pytes_serial (before 0.7.1: see that page).",
    },
    Difference {
        applies: |loaded| !has_entities(loaded),
        text: "To go back: stop bankwatch, start pytes_serial.",
    },
];

fn has_server(loaded: &LoadedSettings) -> bool {
    let database = &loaded.settings.database;
    database.enabled && matches!(database.url, DatabaseUrl::Mysql { .. })
}

/// Whether Home Assistant may have entities of pytes_serial. It accepts none from a bank with an unusable name.
fn has_entities(loaded: &LoadedSettings) -> bool {
    loaded.settings.mqtt.enabled && loaded.settings.mqtt.discovery && unusable_name(loaded).is_none()
}

fn unusable_name(loaded: &LoadedSettings) -> Option<&str> {
    loaded.pytes_serial.as_ref()?.unusable_name.as_deref()
}

/// Writes the differences, or nothing if the settings do not come from a `pytes_serial.cfg`.
///
/// # Errors
/// Returns the error of `out`.
pub(crate) fn write(loaded: &LoadedSettings, out: &mut impl Write) -> io::Result<()> {
    let Some(bank) = loaded.settings.banks.first().filter(|_| loaded.pytes_serial.is_some()) else {
        return Ok(());
    };
    let (name, old) = (short(&bank.name), format!("{:?}", short(unusable_name(loaded).unwrap_or_default())));
    writeln!(out, "Different from pytes_serial (more in docs/moving-from-pytes-serial.md):")?;
    for Difference { text, .. } in DIFFERENCES.iter().filter(|difference| (difference.applies)(loaded)) {
        writeln!(out, "{}", text.replace("{name}", &name).replace("{old}", &old))?;
    }
    Ok(())
}

/// Shortens a name so that its line fits on the screen.
fn short(name: &str) -> String {
    const MAX_CHARS: usize = 16;
    match name.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}
