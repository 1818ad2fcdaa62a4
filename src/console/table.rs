//! Tables: a header that names the columns, rows of values in the same order.
//!
//! Rows are split at blanks, never at offsets: headers are a character off their rows on some firmware, a full
//! field leaves a single blank, and values with blanks inside (`44628 mAH`) are known by their column
//! (protocol, sections 7 and 9). Columns that nobody knows take one value and are passed over.

use crate::console::answer::Answer;
use crate::console::error::{ParseError, excerpt};
use crate::console::number;

/// What a value of a column looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One token.
    Token,
    /// One token that may be missing: a barcode that was never written.
    Perhaps,
    /// A date and a time: two tokens.
    Stamp,
    /// A charge: a percentage, an amount and its unit, of which the header does not say which are there
    /// (`89%  42586 mAH`, `44628 mAH`, `64%  23583`, `89%`).
    Charge,
}

/// One value of a row, cut out by its column's [`Shape`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut<'a> {
    /// The token; the date of a time; the percentage of a charge.
    pub first: &'a str,
    /// The time of a time; the amount of a charge.
    pub second: &'a str,
    /// The unit of a charge's amount.
    pub unit: &'a str,
}

/// A column: how the header spells it and what to do with a value. The setter answers what it expected where
/// the value is not that.
pub struct Column<Row> {
    /// The words of the header, one blank between them.
    pub head: &'static str,
    /// What its values look like.
    pub shape: Shape,
    /// Puts a value into the row.
    pub set: fn(&mut Row, Cut<'_>) -> Result<(), &'static str>,
}

/// What a setter returns.
pub type Set = Result<(), &'static str>;

/// The columns of one header, in its order.
pub struct Layout<Row: 'static> {
    columns: Vec<(String, Option<&'static Column<Row>>)>,
}

impl<Row> Layout<Row> {
    /// Reads a header line. Two words that no column is spelled with and that go together (`… State`,
    /// `… Code`) count as one unknown column.
    #[must_use]
    pub fn of(header: &str, known: &'static [Column<Row>]) -> Self {
        let words: Vec<&str> = header.split_ascii_whitespace().collect();
        let mut columns = Vec::with_capacity(words.len());
        let mut at = 0;
        while at < words.len() {
            let found = known
                .iter()
                .filter(|column| {
                    column
                        .head
                        .split(' ')
                        .eq(words[at..].iter().copied().take(column.head.split(' ').count()))
                })
                .max_by_key(|column| column.head.len());
            let second = words.get(at + 1).is_some_and(|word| matches!(*word, "State" | "Code"));
            let length = found.map_or(1 + usize::from(second), |column| column.head.split(' ').count());
            columns.push((words[at..at + length].join(" "), found));
            at += length;
        }
        Self { columns }
    }

    /// Reads the row on line number `line`.
    ///
    /// # Errors
    /// A value that is not what its column holds, too few values or too many.
    pub fn read(&self, line: usize, text: &str) -> Result<Row, ParseError>
    where
        Row: Default,
    {
        let mut tokens = Tokens::new(text);
        let skip_missing = self.must_skip(text);
        let mut row = Row::default();
        for (name, column) in &self.columns {
            let shape = column.map_or(Shape::Token, |column| column.shape);
            if shape == Shape::Perhaps && skip_missing {
                continue;
            }
            let Some(cut) = tokens.cut(shape) else {
                return Err(ParseError::ShortRow { line, column: name.clone() });
            };
            let Some(column) = column else { continue };
            if cut.first == "-" && cut.second.is_empty() {
                continue;
            }
            (column.set)(&mut row, cut).map_err(|expected| {
                let found = excerpt([cut.first, cut.second, cut.unit].join(" ").trim());
                ParseError::Value { line, what: format!("column {name:?}"), expected, found }
            })?;
        }
        match tokens.next() {
            None => Ok(row),
            Some(found) => {
                let column = self.columns.last().map(|(name, _)| name.clone()).unwrap_or_default();
                Err(ParseError::LongRow { line, column, found: excerpt(found) })
            }
        }
    }

    /// A row without its optional value is exactly one token short.
    fn must_skip(&self, text: &str) -> bool {
        let optional = |(_, column): &(String, Option<&'static Column<Row>>)| {
            column.is_some_and(|column| column.shape == Shape::Perhaps)
        };
        if !self.columns.iter().any(optional) {
            return false;
        }
        let least: usize = self
            .columns
            .iter()
            .map(|(_, column)| if column.is_some_and(|column| column.shape == Shape::Stamp) { 2 } else { 1 })
            .sum();
        text.split_ascii_whitespace().count() + 1 == least
    }
}

struct Tokens<'a> {
    ahead: std::iter::Peekable<std::str::SplitAsciiWhitespace<'a>>,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        Self { ahead: text.split_ascii_whitespace().peekable() }
    }

    fn next(&mut self) -> Option<&'a str> {
        self.ahead.next()
    }

    fn next_if(&mut self, wanted: impl Fn(&str) -> bool) -> &'a str {
        self.ahead.next_if(|token| wanted(token)).unwrap_or("")
    }

    fn cut(&mut self, shape: Shape) -> Option<Cut<'a>> {
        match shape {
            Shape::Token | Shape::Perhaps => Some(Cut { first: self.next()?, ..Cut::default() }),
            Shape::Stamp => {
                let first = self.next()?;
                let second = if first == "-" { "" } else { self.next()? };
                Some(Cut { first, second, unit: "" })
            }
            Shape::Charge => {
                if *self.ahead.peek()? == "-" {
                    return Some(Cut { first: self.next()?, ..Cut::default() });
                }
                let first = self.next_if(|token| token.ends_with('%'));
                let second = self.next_if(|token| number::integer(token).is_some());
                let unit = if second.is_empty() { "" } else { self.next_if(is_charge_unit) };
                (!first.is_empty() || !second.is_empty()).then_some(Cut { first, second, unit })
            }
        }
    }
}

fn is_charge_unit(token: &str) -> bool {
    matches!(token, "mAH" | "AH" | "mWH" | "WH")
}

/// An answer cut at the line that names the columns.
pub struct Split<'a> {
    /// The lines before the header, with their numbers.
    pub before: Vec<(usize, &'a str)>,
    /// The header.
    pub header: &'a str,
    /// The lines behind it, with their numbers.
    pub rows: Vec<(usize, &'a str)>,
}

/// Finds the line that begins with the words of `head`.
///
/// # Errors
/// There is none.
pub fn split_at_header<'a>(answer: &'a Answer, head: &'static str) -> Result<Split<'a>, ParseError> {
    let mut before = Vec::new();
    let mut lines = answer.lines();
    while let Some((number, line)) = lines.next() {
        if spelled(head, line) {
            return Ok(Split { before, header: line, rows: lines.collect() });
        }
        before.push((number, line));
    }
    Err(ParseError::NoHeader { expected: head, lines: answer.len() })
}

/// Whether a line of `answer` begins with the words of `head`.
pub fn has_header(answer: &Answer, head: &str) -> bool {
    answer.lines().any(|(_, line)| spelled(head, line))
}

/// Whether a line begins with the words of `head`.
pub(super) fn spelled(head: &str, line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    head.split(' ').all(|word| words.next() == Some(word))
}
