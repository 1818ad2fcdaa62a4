//! The catalogue: what a condition is called and how much it weighs, a row a bit of an event word or a state.
//!
//! The shipped `config/events.toml` is built in; the user's file is laid over it row by row, and within a row part
//! by part.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use crate::events::{catalogue_file, predecessor};
use crate::model::event::EventLevel;
use crate::model::word::Word;
use crate::settings::read_text;

/// The catalogue as it comes with bankwatch.
pub const SHIPPED: &str = include_str!("../../config/events.toml");

/// What a condition is called and how much it weighs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The name that consoles print for the bit.
    pub name: Option<String>,
    /// Its weight.
    pub level: EventLevel,
    /// What people read.
    pub text: String,
}

/// A row as a file gives it: what it leaves out stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The name that consoles print.
    pub name: Option<String>,
    /// Its weight.
    pub level: Option<EventLevel>,
    /// What people read.
    pub text: Option<String>,
}

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A bit of an event word.
    Bit(u32),
    /// What a state word says.
    State(String),
}

/// One row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The word it belongs to.
    pub word: String,
    /// What of it.
    pub subject: Subject,
    /// What is said of it.
    pub part: Part,
    /// Where, from 1.
    pub line: usize,
}

/// What was read from a file: its rows, its mistakes, and what should be looked at, each with its line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    /// The words it has a section for, also empty ones, and their lines.
    pub words: Vec<(String, usize)>,
    /// Its rows.
    pub entries: Vec<Entry>,
    /// What must be mended.
    pub mistakes: Vec<Remark>,
    /// What is passed over.
    pub warnings: Vec<Remark>,
}

/// A sentence about a line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// From 1.
    pub line: usize,
    /// What was expected and what was found.
    pub sentence: String,
}

/// Why there is no catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the catalogue of events can't be used:{}", .0.iter().map(|mistake| format!("\n- {mistake}")).collect::<String>())]
pub struct CatalogueError(
    /// Every mistake with its file and line.
    pub Vec<String>,
);

/// All rows in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    words: BTreeMap<String, Section>,
    /// Names that consoles print, wherever they print them.
    names: BTreeMap<String, Row>,
}

/// The rows of one word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Section {
    bits: BTreeMap<u32, Row>,
    states: BTreeMap<String, Row>,
}

/// What is known of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning<'a> {
    /// Its weight.
    pub level: EventLevel,
    /// What people read.
    pub text: Cow<'a, str>,
}

impl<'a> Meaning<'a> {
    fn of(row: &'a Row) -> Self {
        Self { level: row.level, text: Cow::Borrowed(&row.text) }
    }
}

impl Catalogue {
    /// The shipped catalogue with the user's file over it, and what in that file is passed over.
    ///
    /// # Errors
    /// The file can't be read, or holds mistakes: all of them at once, each with its line.
    pub fn load(file: Option<&Path>) -> Result<(Self, Vec<String>), CatalogueError> {
        let mut catalogue = Self::default();
        catalogue.lay("config/events.toml", SHIPPED)?;
        let Some(file) = file else { return Ok((catalogue, Vec::new())) };
        let name = file.display().to_string();
        let text =
            read_text(file).map_err(|error| CatalogueError(vec![format!("can't read {name}: {error}")]))?;
        let warnings = catalogue.lay(&name, &text)?;
        Ok((catalogue, warnings))
    }

    /// Lays the rows of a file over those in force; answers what in it is passed over. It may be the
    /// predecessor's `events_config.json`, which shows by its content.
    ///
    /// # Errors
    /// All mistakes in it.
    pub fn lay(&mut self, file: &str, text: &str) -> Result<Vec<String>, CatalogueError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut sheet = match text.trim_start().starts_with('{') {
            true => predecessor::sheet(text),
            false => catalogue_file::sheet(text),
        };
        let first = self.words.is_empty();
        for (word, line) in std::mem::take(&mut sheet.words) {
            if !first && !self.words.contains_key(&word) {
                let sentence = format!("no console is known to say {word:?}{}", self.nearest(&word));
                sheet.warnings.push(Remark { line, sentence });
            }
            self.words.entry(word).or_default();
        }
        for entry in std::mem::take(&mut sheet.entries) {
            sheet.mistakes.extend(self.put(entry));
        }
        let told = |remark: Remark| format!("{file}:{}: {}", remark.line, remark.sentence);
        for remarks in [&mut sheet.mistakes, &mut sheet.warnings] {
            remarks.sort_by_key(|remark| remark.line);
        }
        if sheet.mistakes.is_empty() {
            self.names = self.names();
            Ok(sheet.warnings.into_iter().map(told).collect())
        } else {
            Err(CatalogueError(sheet.mistakes.into_iter().map(told).collect()))
        }
    }

    fn put(&mut self, Entry { word, subject, part, line }: Entry) -> Option<Remark> {
        let section = self.words.entry(word).or_default();
        let known = match &subject {
            Subject::Bit(bit) => section.bits.get(bit).cloned(),
            Subject::State(state) => section.states.get(state).cloned(),
        };
        let row = match (known, part) {
            (Some(known), Part { name, level, text }) => Row {
                name: name.or(known.name),
                level: level.unwrap_or(known.level),
                text: text.unwrap_or(known.text),
            },
            (None, Part { name, level: Some(level), text: Some(text) }) => Row { name, level, text },
            (None, Part { .. }) => {
                let sentence = "expected a level and a text: nothing is known of this row yet".to_owned();
                return Some(Remark { line, sentence });
            }
        };
        match subject {
            Subject::Bit(bit) => section.bits.insert(bit, row),
            Subject::State(state) => section.states.insert(state, row),
        };
        None
    }

    fn names(&self) -> BTreeMap<String, Row> {
        let rows = self.words.values().flat_map(|section| section.bits.values());
        rows.filter_map(|row| Some((row.name.clone()?, row.clone()))).collect()
    }

    fn nearest(&self, word: &str) -> String {
        let distance =
            |known: &&String| strsim::damerau_levenshtein(&known.to_lowercase(), &word.to_lowercase());
        let near = self.words.keys().min_by_key(distance).filter(|known| distance(known) <= 3);
        near.map(|known| format!("; did you mean {known:?}?")).unwrap_or_default()
    }

    /// What a bit of the word means; `printed` is the name that the console put beside it. A bit that nobody
    /// knows is shown as such, and someone should look.
    #[must_use]
    pub fn bit<'a>(&'a self, word: &str, bit: u32, printed: Option<&'a str>) -> Meaning<'a> {
        let row = self.words.get(word).and_then(|section| section.bits.get(&bit));
        let by_name = printed.filter(|name| row.is_none_or(|row| row.name.as_deref() != Some(name)));
        match (by_name, row) {
            (Some(name), row) => match self.names.get(name) {
                Some(known) => Meaning::of(known),
                None => Meaning {
                    level: row.map_or(EventLevel::Warning, |row| row.level),
                    text: Cow::Borrowed(name),
                },
            },
            (None, Some(row)) => Meaning::of(row),
            (None, None) => Meaning {
                level: EventLevel::Warning,
                text: Cow::Owned(format!("Unknown condition {bit:#x}")),
            },
        }
    }

    /// What a state means, where it has a row.
    #[must_use]
    pub fn state(&self, word: &str, state: &Word) -> Option<Meaning<'_>> {
        self.words.get(word)?.states.get(state.as_str()).map(Meaning::of)
    }

    /// Every row that is about a bit: its word, the bit, and what is said of it.
    pub fn bits(&self) -> impl Iterator<Item = (&str, u32, &Row)> {
        self.words
            .iter()
            .flat_map(|(word, section)| section.bits.iter().map(move |(bit, row)| (word.as_str(), *bit, row)))
    }
}
