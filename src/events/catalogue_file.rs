//! `events.toml`: a section a word, a row a bit or a state.
//!
//! ```toml
//! [power]
//! 0x2000   = { name = "COULFULL", level = "info", text = "Full charge" }
//!
//! [base_state]
//! SysError = { level = "warning", text = "System error" }
//! ```

use toml_edit::{Document, Item, Table, TableLike, Value};

use crate::events::catalogue::{BUILT_IN, Entry, Part, Remark, Sheet, Subject};
use crate::events::decode::is_state_word;
use crate::model::event::EventLevel;

/// Reads the rows of a file, and every mistake in it.
#[must_use]
pub(crate) fn sheet(text: &str) -> Sheet {
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let line = error.span().map_or(1, |span| Lines::of(text).at(span.start));
            let sentence = format!("{}; {BUILT_IN}", error.message().trim().replace('\n', ", "));
            return Sheet { mistakes: vec![Remark { line, sentence }], ..Sheet::default() };
        }
    };
    let mut reader = Reader { lines: Lines::of(text), sheet: Sheet::default() };
    reader.root(document.as_table());
    reader.sheet
}

/// Where the lines of a text end. Counted once: a file may have more rows than there is time to count for each.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(end, _)| end).collect())
    }

    /// The line of an offset, from 1.
    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

struct Reader {
    lines: Lines,
    sheet: Sheet,
}

impl Reader {
    fn root(&mut self, root: &Table) {
        for (word, item) in root {
            let line = self.line(root, word);
            match item.as_table() {
                Some(section) => {
                    self.sheet.words.push((word.to_owned(), line));
                    section.iter().for_each(|(key, item)| self.row(word, section, key, item));
                }
                None => self
                    .mistake(line, format!("expected a section such as [power], found the value {word:?}")),
            }
        }
    }

    fn row(&mut self, word: &str, section: &Table, key: &str, item: &Item) {
        let line = self.line(section, key);
        let subject = match (is_state_word(word), bit(key)) {
            (true, _) => Subject::State(key.to_owned()),
            (false, Some(bit)) => Subject::Bit(bit),
            (false, None) => {
                return self.mistake(line, format!("expected one bit such as 0x2 or 0x2000, found {key:?}"));
            }
        };
        let Some(row) = item.as_table_like() else {
            let example = "{ level = \"info\", text = \"…\" }";
            return self.mistake(line, format!("expected {key} = {example}, found something else"));
        };
        let mut part = Part::default();
        for (name, item) in row.iter() {
            let line =
                row.key(name).and_then(|key| key.span()).map_or(line, |span| self.lines.at(span.start));
            if let Err(sentence) = take(&mut part, name, item.as_value()) {
                self.mistake(line, sentence);
            }
        }
        self.sheet.entries.push(Entry { word: word.to_owned(), subject, part, line });
    }

    fn line(&self, table: &dyn TableLike, name: &str) -> usize {
        table.key(name).and_then(|key| key.span()).map_or(1, |span| self.lines.at(span.start))
    }

    fn mistake(&mut self, line: usize, sentence: String) {
        self.sheet.mistakes.push(Remark { line, sentence });
    }
}

fn take(part: &mut Part, name: &str, value: Option<&Value>) -> Result<(), String> {
    let text = value.and_then(Value::as_str).ok_or_else(|| format!("{name}: expected a text in quotes"));
    match name {
        "name" => part.name = Some(text?.to_owned()),
        "text" => part.text = Some(text?.to_owned()),
        "level" => {
            let word = text?;
            let level = level(word);
            part.level = Some(
                level.ok_or_else(|| format!("level: expected \"info\" or \"warning\", found {word:?}"))?,
            );
        }
        _ => return Err(format!("expected name, level or text, found {name:?}")),
    }
    Ok(())
}

/// A level by its word, however it is written.
#[must_use]
pub(crate) fn level(word: &str) -> Option<EventLevel> {
    [EventLevel::Info, EventLevel::Warning]
        .into_iter()
        .find(|level| level.word().eq_ignore_ascii_case(word.trim()))
}

/// One bit in hexadecimal.
fn bit(key: &str) -> Option<u32> {
    let bit = u32::from_str_radix(key.strip_prefix("0x")?, 16).ok()?;
    bit.is_power_of_two().then_some(bit)
}
