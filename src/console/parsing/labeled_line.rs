//! Parses lines of `label : value`.

use crate::console::error::{ParseError, excerpt};
use crate::console::framing::answer::Answer;
use crate::console::parsing::number;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabeledLine<'a> {
    /// Counted from 1 after the echo.
    pub line: usize,
    pub label: Label<'a>,
    /// Trimmed; may be empty.
    pub value: &'a str,
}

/// A trimmed label. Comparison ignores the number of blanks between its words (`Soft  version`).
#[derive(Clone, Copy, Debug)]
pub struct Label<'a>(pub &'a str);

impl PartialEq for Label<'_> {
    fn eq(&self, other: &Self) -> bool {
        // A shortcut: most labels differ in their first letter, and equal ones of the same length are identical.
        let similar =
            self.0.as_bytes().first() == other.0.as_bytes().first() && self.0.len() != other.0.len();
        self.0 == other.0 || (similar && self.0.split_ascii_whitespace().eq(other.0.split_ascii_whitespace()))
    }
}

impl Eq for Label<'_> {}

/// The lines of an answer that have a label and a colon.
pub fn labeled_lines(answer: &Answer) -> impl Iterator<Item = LabeledLine<'_>> {
    answer.lines().filter_map(|(line, text)| parse_labeled_line(line, text))
}

/// Splits a line at its first colon; `None` without a colon or a label.
pub fn parse_labeled_line(line: usize, text: &str) -> Option<LabeledLine<'_>> {
    let (label, value) = text.split_once(':')?;
    let label = label.trim();
    (!label.is_empty()).then_some(LabeledLine { line, label: Label(label), value: value.trim() })
}

impl LabeledLine<'_> {
    /// The error that the value does not fit its label.
    pub fn invalid(&self, expected: &'static str) -> ParseError {
        ParseError::Value {
            line: self.line,
            what: format!("{:?}", excerpt(self.label.0)),
            expected,
            found: excerpt(self.value),
        }
    }

    /// Whether the value is empty, a placeholder (`N/A`, `NULL`), or only dashes and question marks. Such a line counts
    /// as absent, so it never replaces a value.
    pub fn is_blank(&self) -> bool {
        const PLACEHOLDERS: &[&str] = &["N/A", "NA", "NULL", "NONE", "NIL"];
        let filler = |c: char| matches!(c, '-' | ':' | '?' | '.' | ' ');
        self.value.chars().all(filler)
            || PLACEHOLDERS.iter().any(|word| self.value.eq_ignore_ascii_case(word))
    }

    /// The value as a whole number followed by one of `units` (an empty unit means none), with or without a blank
    /// between them.
    ///
    /// # Errors
    /// Returns an error if the value has another form.
    pub fn number(&self, units: &[&str], expected: &'static str) -> Result<i64, ParseError> {
        match number::amount(self.value) {
            Some((value, unit)) if is_one_of(units, unit) => Ok(value),
            _ => Err(self.invalid(expected)),
        }
    }
}

/// Whether `unit` is one of `units`, ignoring case, which differs between firmware versions (`AH`, `Ah`).
pub fn is_one_of(units: &[&str], unit: &str) -> bool {
    units.iter().any(|known| known.eq_ignore_ascii_case(unit))
}
