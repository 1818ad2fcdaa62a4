//! Lines of `label : value`.

use crate::console::error::{ParseError, excerpt};
use crate::console::framing::answer::Answer;
use crate::console::parsing::number;

/// One line of label and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// The line's number, counted from 1 behind the echo.
    pub(crate) line: usize,
    /// Without padding; runs of blanks inside count as one (`Soft  version`).
    pub(crate) label: Label<'a>,
    /// Without padding; may be empty.
    pub(crate) value: &'a str,
}

/// A label, compared without regard to how many blanks stand between its words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label<'a>(pub(crate) &'a str);

impl PartialEq for Label<'_> {
    fn eq(&self, other: &Self) -> bool {
        // Most labels differ in their first letter; of those that don't, only blanks can hide that they are one.
        let alike = self.0.as_bytes().first() == other.0.as_bytes().first() && self.0.len() != other.0.len();
        self.0 == other.0 || (alike && self.0.split_ascii_whitespace().eq(other.0.split_ascii_whitespace()))
    }
}

impl Eq for Label<'_> {}

/// The answer's lines that hold a label, a colon and perhaps a value.
pub(crate) fn fields(answer: &Answer) -> impl Iterator<Item = Field<'_>> {
    answer.lines().filter_map(|(line, text)| field(line, text))
}

/// One line as label and value, where it has a colon.
pub(crate) fn field(line: usize, text: &str) -> Option<Field<'_>> {
    let (label, value) = text.split_once(':')?;
    let label = label.trim();
    (!label.is_empty()).then_some(Field { line, label: Label(label), value: value.trim() })
}

impl Field<'_> {
    /// The complaint that this value is not what its label holds.
    pub(crate) fn expected(&self, expected: &'static str) -> ParseError {
        ParseError::Value {
            line: self.line,
            what: format!("{:?}", excerpt(self.label.0)),
            expected,
            found: excerpt(self.value),
        }
    }

    /// Whether the value holds nothing: empty, a placeholder (`N/A`, `NULL`), or dashes and question marks alone.
    /// Such a line is treated like one that is absent, so it never replaces a value.
    #[must_use]
    pub(crate) fn is_blank(&self) -> bool {
        const PLACEHOLDERS: &[&str] = &["N/A", "NA", "NULL", "NONE", "NIL"];
        let filler = |c: char| matches!(c, '-' | ':' | '?' | '.' | ' ');
        self.value.chars().all(filler)
            || PLACEHOLDERS.iter().any(|word| self.value.eq_ignore_ascii_case(word))
    }

    /// The value as a whole number followed by one of `units` (or by nothing where that is empty), with or without a
    /// blank between them.
    ///
    /// # Errors
    /// It is anything else.
    pub(crate) fn number(&self, units: &[&str], expected: &'static str) -> Result<i64, ParseError> {
        match number::amount(self.value) {
            Some((value, unit)) if is_one_of(units, unit) => Ok(value),
            _ => Err(self.expected(expected)),
        }
    }
}

/// Whether `unit` is one of `units`; firmware differs in upper and lower case (`AH`, `Ah`).
pub(crate) fn is_one_of(units: &[&str], unit: &str) -> bool {
    units.iter().any(|known| known.eq_ignore_ascii_case(unit))
}
