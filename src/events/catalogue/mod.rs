//! The event catalogue: the level and the text of each condition, that is of each bit of an event word and of each
//! state.
//!
//! `config/events.toml` is built in. The user's file is merged into it row by row and, within a row, key by key.
//!
//! ```text
//! events.toml ────────► toml_file ────┐
//!                                     ├─► rows, mistakes, warnings ─► Catalogue
//! events_config.json ─► pytes_serial ─┘
//! ```

mod pytes_serial;
mod row;
mod toml_file;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use crate::events::catalogue::row::{BUILT_IN_USED, FileRow, LineMessage, RowKey, RowOverride};
use crate::model::event::EventLevel;
use crate::model::word::Word;
use crate::settings::read_text;

/// The source of the built-in catalogue.
pub const BUILT_IN: &str = include_str!("../../../config/events.toml");

/// The definition of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueRow {
    /// The name that consoles print for the bit.
    pub name: Option<String>,
    pub level: EventLevel,
    pub text: String,
}

/// The problems of the user's file, each with file and line. They never prevent the service from starting: a row with
/// a mistake is ignored, and for an unreadable file the built-in catalogue is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogueFindings {
    /// Errors that `config check` reports.
    pub mistakes: Vec<String>,
    /// Rows and sections that are ignored.
    pub warnings: Vec<String>,
}

impl CatalogueFindings {
    /// Returns the findings for the log: the first few, and the number of the others.
    #[must_use]
    pub fn brief(&self) -> Vec<String> {
        const MOST: usize = 8;
        let all = self.mistakes.iter().chain(&self.warnings);
        let rest = all.clone().count().saturating_sub(MOST);
        let rest = (rest > 0).then(|| format!("{rest} more; `bankwatch config check` lists all"));
        all.take(MOST).cloned().chain(rest).collect()
    }
}

/// The level and the text of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning<'a> {
    pub level: EventLevel,
    pub text: Cow<'a, str>,
}

impl<'a> From<&'a CatalogueRow> for Meaning<'a> {
    fn from(row: &'a CatalogueRow) -> Self {
        Self { level: row.level, text: Cow::Borrowed(&row.text) }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    words: BTreeMap<String, WordRows>,
    /// The rows of all words by the name that consoles print for them.
    names: BTreeMap<String, CatalogueRow>,
}

/// The rows of one word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct WordRows {
    bits: BTreeMap<u32, CatalogueRow>,
    states: BTreeMap<String, CatalogueRow>,
}

impl Catalogue {
    /// Loads the built-in catalogue, merges the user's file into it and returns the problems of that file.
    #[must_use]
    pub fn load(file: Option<&Path>) -> (Self, CatalogueFindings) {
        let mut catalogue = Self::default();
        // A test checks that it has no findings.
        let _ = catalogue.merge("config/events.toml", BUILT_IN);
        let Some(file) = file else { return (catalogue, CatalogueFindings::default()) };
        let name = file.display().to_string();
        let findings = match read_file(file) {
            Ok(text) => catalogue.merge(&name, &text),
            Err(error) => {
                let message = format!("can't read {name}: {error}; {BUILT_IN_USED}");
                CatalogueFindings { mistakes: vec![message], ..CatalogueFindings::default() }
            }
        };
        (catalogue, findings)
    }

    /// Merges the rows of a file. An `events_config.json` of pytes_serial is recognized by its name or its content.
    pub fn merge(&mut self, file: &str, text: &str) -> CatalogueFindings {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut parsed = match file.ends_with(".json") || text.trim_start().starts_with('{') {
            true => pytes_serial::parse(text),
            false => toml_file::parse(text),
        };
        let known: Vec<String> = self.words.keys().cloned().collect();
        for (word, line) in std::mem::take(&mut parsed.words) {
            if !known.is_empty() && !known.contains(&word) {
                let message =
                    format!("no known console prints the word {word:?}{}", suggestion(&known, &word));
                parsed.warnings.push(LineMessage { line, message });
            }
            self.words.entry(word).or_default();
        }
        for row in std::mem::take(&mut parsed.rows) {
            parsed.mistakes.extend(self.insert(row));
        }
        self.names = self.rows_by_name();
        let format = |mut messages: Vec<LineMessage>| {
            messages.sort_by_key(|message| message.line);
            let format = |LineMessage { line, message }| format!("{file}:{line}: {message}");
            messages.into_iter().map(format).collect()
        };
        CatalogueFindings { mistakes: format(parsed.mistakes), warnings: format(parsed.warnings) }
    }

    fn insert(&mut self, FileRow { word, key, values, line }: FileRow) -> Option<LineMessage> {
        let rows = self.words.entry(word).or_default();
        let previous = match &key {
            RowKey::Bit(bit) => rows.bits.get(bit).cloned(),
            RowKey::State(state) => rows.states.get(state).cloned(),
        };
        let row = match (previous, values) {
            (Some(previous), RowOverride { name, level, text }) => CatalogueRow {
                name: name.or(previous.name),
                level: level.unwrap_or(previous.level),
                text: text.unwrap_or(previous.text),
            },
            (None, RowOverride { name, level: Some(level), text: Some(text) }) => {
                CatalogueRow { name, level, text }
            }
            (None, RowOverride { .. }) => {
                let message = "expected a level and a text, which every new row needs".to_owned();
                return Some(LineMessage { line, message });
            }
        };
        match key {
            RowKey::Bit(bit) => rows.bits.insert(bit, row),
            RowKey::State(state) => rows.states.insert(state, row),
        };
        None
    }

    fn rows_by_name(&self) -> BTreeMap<String, CatalogueRow> {
        let rows = self.words.values().flat_map(|rows| rows.bits.values());
        rows.filter_map(|row| Some((row.name.clone()?, row.clone()))).collect()
    }

    /// Returns the meaning of a bit of `word`. `printed` is the name that the console printed for it, which takes
    /// precedence over the bit. A bit without a row is an unknown condition at level warning.
    #[must_use]
    pub fn bit<'a>(&'a self, word: &str, bit: u32, printed: Option<&'a str>) -> Meaning<'a> {
        let row = self.words.get(word).and_then(|rows| rows.bits.get(&bit));
        let by_name = printed.filter(|name| row.is_none_or(|row| row.name.as_deref() != Some(name)));
        match (by_name, row) {
            (Some(name), row) => match self.names.get(name) {
                Some(named) => named.into(),
                None => Meaning {
                    level: row.map_or(EventLevel::Warning, |row| row.level),
                    text: Cow::Borrowed(name),
                },
            },
            (None, Some(row)) => row.into(),
            (None, None) => Meaning {
                level: EventLevel::Warning,
                text: Cow::Owned(format!("Unknown condition {bit:#x}")),
            },
        }
    }

    /// Returns the meaning of a state, or `None` if it has no row.
    #[must_use]
    pub fn state(&self, word: &str, state: &Word) -> Option<Meaning<'_>> {
        self.words.get(word)?.states.get(state.as_str()).map(Meaning::from)
    }

    /// Returns all rows of bits with their word and bit.
    #[cfg(feature = "internals")]
    pub fn bits(&self) -> impl Iterator<Item = (&str, u32, &CatalogueRow)> {
        self.words
            .iter()
            .flat_map(|(word, rows)| rows.bits.iter().map(move |(bit, row)| (word.as_str(), *bit, row)))
    }
}

/// Returns a question that names the most similar known word, or an empty string if none is similar.
fn suggestion(known: &[String], word: &str) -> String {
    const MOST: usize = 3;
    // Comparing is slow for long words, so words whose length differs too much are skipped.
    let similar = known.iter().filter(|known| known.len().abs_diff(word.len()) <= MOST);
    let distance =
        |known: &str| strsim::damerau_levenshtein(&known.to_ascii_lowercase(), &word.to_ascii_lowercase());
    let distances = similar.map(|known| (distance(known), known));
    let nearest = distances.min().filter(|(distance, _)| *distance <= MOST);
    nearest.map(|(_, known)| format!("; did you mean {known:?}?")).unwrap_or_default()
}

/// Reads a regular file; opening a FIFO would block until somebody writes to it.
fn read_file(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.is_file() { read_text(path) } else { Err(io::Error::other("not a regular file")) }
}
