//! The rows of a catalogue file, as its parsers return them.

use crate::model::event::EventLevel;

/// Appended to the error message of a file that can't be used at all.
pub(super) const BUILT_IN_USED: &str = "the built-in catalogue is used; correct the file, or remove it";

/// The values of a row in a file; an absent one keeps its previous value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RowOverride {
    pub(super) name: Option<String>,
    pub(super) level: Option<EventLevel>,
    pub(super) text: Option<String>,
}

/// The bit of an event word or the value of a state word that a row describes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowKey {
    Bit(u32),
    State(String),
}

/// One row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileRow {
    pub(super) word: String,
    pub(super) key: RowKey,
    pub(super) values: RowOverride,
    /// Counted from 1.
    pub(super) line: usize,
}

/// The content of a catalogue file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ParsedFile {
    /// The words that have a section, even an empty one, and its line.
    pub(super) words: Vec<(String, usize)>,
    pub(super) rows: Vec<FileRow>,
    /// Errors that `config check` reports.
    pub(super) mistakes: Vec<LineMessage>,
    /// Rows and sections that are ignored.
    pub(super) warnings: Vec<LineMessage>,
}

/// A message about a line of a file, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LineMessage {
    pub(super) line: usize,
    pub(super) message: String,
}

/// Parses the name of a level, in any case.
pub(super) fn parse_level(word: &str) -> Option<EventLevel> {
    [EventLevel::Info, EventLevel::Warning]
        .into_iter()
        .find(|level| level.word().eq_ignore_ascii_case(word.trim()))
}
