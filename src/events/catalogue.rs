//! The catalogue: what a condition is called and how much it weighs, a row a bit of an event word or a state.
//!
//! The shipped `config/events.toml` is built in; the user's file is laid over it row by row, and within a row part
//! by part.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

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
pub(crate) struct Part {
    /// The name that consoles print.
    pub(crate) name: Option<String>,
    /// Its weight.
    pub(crate) level: Option<EventLevel>,
    /// What people read.
    pub(crate) text: Option<String>,
}

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A bit of an event word.
    Bit(u32),
    /// What a state word says.
    State(String),
}

/// One row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The word it belongs to.
    pub(crate) word: String,
    /// What of it.
    pub(crate) subject: Subject,
    /// What is said of it.
    pub(crate) part: Part,
    /// Where, from 1.
    pub(crate) line: usize,
}

/// What was read from a file: its rows, its mistakes, and what should be looked at, each with its line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sheet {
    /// The words it has a section for, also empty ones, and their lines.
    pub(crate) words: Vec<(String, usize)>,
    /// Its rows.
    pub(crate) entries: Vec<Entry>,
    /// What must be mended.
    pub(crate) mistakes: Vec<Remark>,
    /// What is passed over.
    pub(crate) warnings: Vec<Remark>,
}

/// A sentence about a line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    /// From 1.
    pub(crate) line: usize,
    /// What was expected and what was found.
    pub(crate) sentence: String,
}

/// What was found in the user's file, a sentence each with file and line. None of it keeps the service from starting:
/// a row with a mistake costs itself alone, and a file that can't be read leaves the built-in catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogueFindings {
    /// What has to be corrected.
    pub mistakes: Vec<String>,
    /// What has no effect.
    pub warnings: Vec<String>,
}

impl CatalogueFindings {
    /// The findings for a log: of many, the first few and their number.
    #[must_use]
    pub fn brief(&self) -> Vec<String> {
        const MOST: usize = 8;
        let all = self.mistakes.iter().chain(&self.warnings);
        let rest = all.clone().count().saturating_sub(MOST);
        let rest =
            (rest > 0).then(|| format!("{rest} more of this kind; `bankwatch config check` lists all"));
        all.take(MOST).cloned().chain(rest).collect()
    }
}

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

/// What is said of a file of which no row can be used.
pub(crate) const BUILT_IN: &str = "the built-in catalogue is used; correct the file, or remove it";

/// What somebody may have meant by a word, as a question.
fn nearest(known: &[String], word: &str) -> String {
    const MOST: usize = 3;
    // Words of other lengths are further away, and comparing takes long where they are long.
    let similar = known.iter().filter(|known| known.len().abs_diff(word.len()) <= MOST);
    let distance =
        |known: &str| strsim::damerau_levenshtein(&known.to_ascii_lowercase(), &word.to_ascii_lowercase());
    let distances = similar.map(|known| (distance(known), known));
    let near = distances.min().filter(|(distance, _)| *distance <= MOST);
    near.map(|(_, known)| format!("; did you mean {known:?}?")).unwrap_or_default()
}

/// The text of a regular file: opening a fifo of that name would wait for a writer for ever.
fn read_file(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.is_file() {
        read_text(path)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

impl Catalogue {
    /// The shipped catalogue with the user's file over it, and what was found in that file.
    #[must_use]
    pub fn load(file: Option<&Path>) -> (Self, CatalogueFindings) {
        let mut catalogue = Self::default();
        // A test says that nothing is found in it.
        let _ = catalogue.lay("config/events.toml", SHIPPED);
        let Some(file) = file else { return (catalogue, CatalogueFindings::default()) };
        let name = file.display().to_string();
        let findings = match read_file(file) {
            Ok(text) => catalogue.lay(&name, &text),
            Err(error) => {
                let sentence = format!("can't read {name}: {error}; {BUILT_IN}");
                CatalogueFindings { mistakes: vec![sentence], ..CatalogueFindings::default() }
            }
        };
        (catalogue, findings)
    }

    /// Lays the rows of a file over those in force. It may be the predecessor's `events_config.json`, which shows by
    /// its name or its content.
    pub fn lay(&mut self, file: &str, text: &str) -> CatalogueFindings {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut sheet = match file.ends_with(".json") || text.trim_start().starts_with('{') {
            true => predecessor::sheet(text),
            false => catalogue_file::sheet(text),
        };
        let known: Vec<String> = self.words.keys().cloned().collect();
        for (word, line) in std::mem::take(&mut sheet.words) {
            if !known.is_empty() && !known.contains(&word) {
                let sentence = format!("no console is known to say {word:?}{}", nearest(&known, &word));
                sheet.warnings.push(Remark { line, sentence });
            }
            self.words.entry(word).or_default();
        }
        for entry in std::mem::take(&mut sheet.entries) {
            sheet.mistakes.extend(self.put(entry));
        }
        self.names = self.names();
        let told = |mut remarks: Vec<Remark>| {
            remarks.sort_by_key(|remark| remark.line);
            let told = |remark: Remark| format!("{file}:{}: {}", remark.line, remark.sentence);
            remarks.into_iter().map(told).collect()
        };
        CatalogueFindings { mistakes: told(sheet.mistakes), warnings: told(sheet.warnings) }
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
