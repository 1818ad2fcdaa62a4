//! Parses `events.toml`: one section per word, one row per bit or state.
//!
//! ```toml
//! [power]
//! 0x2000   = { name = "COULFULL", level = "info", text = "Full charge" }
//!
//! [base_state]
//! SysError = { level = "warning", text = "System error" }
//! ```

use toml_edit::{Document, Item, Table, TableLike, Value};

use crate::events::catalogue::row::{
    BUILT_IN_USED, FileRow, LineMessage, ParsedFile, RowKey, RowOverride, parse_level,
};
use crate::events::state_words::is_state_word;

/// Returns the rows of the file together with every mistake in it.
pub(super) fn parse(text: &str) -> ParsedFile {
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let line = error.span().map_or(1, |span| LineIndex::new(text).line_at(span.start));
            let message = format!("{}; {BUILT_IN_USED}", error.message().trim().replace('\n', ", "));
            return ParsedFile { mistakes: vec![LineMessage { line, message }], ..ParsedFile::default() };
        }
    };
    let mut parser = CatalogueParser { lines: LineIndex::new(text), file: ParsedFile::default() };
    parser.parse_sections(document.as_table());
    parser.file
}

/// The offsets of all line ends, collected once so that each lookup is a binary search.
struct LineIndex(Vec<usize>);

impl LineIndex {
    fn new(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(end, _)| end).collect())
    }

    /// Returns the line of a byte offset, counted from 1.
    fn line_at(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

struct CatalogueParser {
    lines: LineIndex,
    file: ParsedFile,
}

impl CatalogueParser {
    fn parse_sections(&mut self, root: &Table) {
        for (word, item) in root {
            let line = self.line_of(root, word);
            match item.as_table() {
                Some(section) => {
                    self.file.words.push((word.to_owned(), line));
                    section.iter().for_each(|(key, item)| self.parse_row(word, section, key, item));
                }
                None => self
                    .mistake(line, format!("expected a section such as [power], found the value {word:?}")),
            }
        }
    }

    fn parse_row(&mut self, word: &str, section: &Table, key: &str, item: &Item) {
        let line = self.line_of(section, key);
        let row_key = match (is_state_word(word), parse_bit(key)) {
            (true, _) => RowKey::State(key.to_owned()),
            (false, Some(bit)) => RowKey::Bit(bit),
            (false, None) => {
                return self.mistake(line, format!("expected one bit such as 0x2 or 0x2000, found {key:?}"));
            }
        };
        let Some(row) = item.as_table_like() else {
            let example = "{ level = \"info\", text = \"…\" }";
            return self.mistake(line, format!("expected {key} = {example}, found something else"));
        };
        let mut values = RowOverride::default();
        for (name, item) in row.iter() {
            let line =
                row.key(name).and_then(|key| key.span()).map_or(line, |span| self.lines.line_at(span.start));
            if let Err(message) = set_value(&mut values, name, item.as_value()) {
                self.mistake(line, message);
            }
        }
        self.file.rows.push(FileRow { word: word.to_owned(), key: row_key, values, line });
    }

    fn line_of(&self, table: &dyn TableLike, name: &str) -> usize {
        table.key(name).and_then(|key| key.span()).map_or(1, |span| self.lines.line_at(span.start))
    }

    fn mistake(&mut self, line: usize, message: String) {
        self.file.mistakes.push(LineMessage { line, message });
    }
}

fn set_value(values: &mut RowOverride, name: &str, value: Option<&Value>) -> Result<(), String> {
    let text = value.and_then(Value::as_str).ok_or_else(|| format!("{name}: expected a text in quotes"));
    match name {
        "name" => values.name = Some(text?.to_owned()),
        "text" => values.text = Some(text?.to_owned()),
        "level" => {
            let word = text?;
            let level = parse_level(word);
            values.level = Some(
                level.ok_or_else(|| format!("level: expected \"info\" or \"warning\", found {word:?}"))?,
            );
        }
        _ => return Err(format!("expected name, level or text, found {name:?}")),
    }
    Ok(())
}

/// Parses a hexadecimal number with a single bit set.
fn parse_bit(key: &str) -> Option<u32> {
    let bit = u32::from_str_radix(key.strip_prefix("0x")?, 16).ok()?;
    bit.is_power_of_two().then_some(bit)
}
