//! Parses tables: a header that names the columns, then rows of values in the same order.
//!
//! Rows are split at blanks, never at offsets: some firmware prints headers one character off their rows, a full field
//! leaves a single blank, and values that contain blanks (`44628 mAH`) are recognized by their column (protocol,
//! sections 7 and 9). An unknown column takes one value, which is skipped.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::str::SplitAsciiWhitespace;

use crate::console::error::{ParseError, excerpt};
use crate::console::framing::answer::Answer;
use crate::console::parsing::number;

/// The format of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnFormat {
    Token,
    /// One token that may be missing, for example a barcode that was never written.
    OptionalToken,
    /// A date and a time: two tokens.
    DateTime,
    /// A percentage, an amount and its unit, each optional; the header does not show which are present
    /// (`89%  42586 mAH`, `44628 mAH`, `64%  23583`, `89%`).
    Charge,
}

/// The tokens of one value, as its [`ColumnFormat`] divides them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RawValue<'a> {
    /// The token; of a date and time, the date; of a charge, the percentage.
    pub(crate) first: &'a str,
    /// Of a date and time, the time; of a charge, the amount.
    pub(crate) second: &'a str,
    /// Of a charge, the unit of the amount.
    pub(crate) unit: &'a str,
}

/// A column that the parser knows.
pub(crate) struct TableColumn<Row> {
    /// Its words in the header, separated by one blank.
    pub(crate) header: &'static str,
    pub(crate) format: ColumnFormat,
    /// Stores a value in the row.
    pub(crate) set: fn(&mut Row, RawValue<'_>) -> SetResult,
}

/// The error is what the setter expected instead of the value.
pub(crate) type SetResult = Result<(), &'static str>;

/// One column in a header.
struct HeaderColumn<Row: 'static> {
    name: String,
    /// Offset of its name in the header line.
    offset: usize,
    known: Option<&'static TableColumn<Row>>,
}

impl<Row> HeaderColumn<Row> {
    fn format(&self) -> ColumnFormat {
        self.known.map_or(ColumnFormat::Token, |column| column.format)
    }

    /// Stores a value in the row, unless the column is unknown or the value is a dash.
    fn set(&self, row: &mut Row, value: RawValue<'_>) -> SetResult {
        match self.known {
            Some(column) if value.first != "-" || !value.second.is_empty() => (column.set)(row, value),
            _ => Ok(()),
        }
    }
}

/// The columns of one header, in its order.
pub(crate) struct Layout<Row: 'static> {
    columns: Vec<HeaderColumn<Row>>,
}

impl<Row> Layout<Row> {
    /// Parses a header line. An unknown word and a following `State` or `Code` count as one unknown column.
    #[must_use]
    pub(crate) fn of(header: &str, known: &'static [TableColumn<Row>]) -> Self {
        let (offsets, words): (Vec<usize>, Vec<&str>) = tokens_with_offsets(header).unzip();
        let mut columns = Vec::with_capacity(words.len());
        let mut at = 0;
        while at < words.len() {
            let found = known
                .iter()
                .filter(|column| {
                    column
                        .header
                        .split(' ')
                        .eq(words[at..].iter().copied().take(column.header.split(' ').count()))
                })
                .max_by_key(|column| column.header.len());
            let second = words.get(at + 1).is_some_and(|word| matches!(*word, "State" | "Code"));
            let length = found.map_or(1 + usize::from(second), |column| column.header.split(' ').count());
            columns.push(HeaderColumn {
                name: words[at..at + length].join(" "),
                offset: offsets[at],
                known: found,
            });
            at += length;
        }
        Self { columns }
    }

    /// Parses the row on line number `line`.
    ///
    /// # Errors
    /// Returns an error if a value does not fit its column, or if there are too few or too many values.
    pub(crate) fn parse_row(&self, line: usize, text: &str) -> Result<Row, ParseError>
    where
        Row: Default,
    {
        self.parse_row_counting(line, text).map(|(row, _)| row)
    }

    /// Like [`Self::parse_row`]; also returns how many tokens each column took.
    pub(crate) fn parse_row_counting(&self, line: usize, text: &str) -> Result<(Row, Vec<usize>), ParseError>
    where
        Row: Default,
    {
        let mut tokens = Tokens::new(text);
        let skip_optional = self.lacks_optional_value(text);
        let mut row = Row::default();
        let mut counts = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let before = tokens.taken;
            if column.format() != ColumnFormat::OptionalToken || !skip_optional {
                let Some(value) = tokens.next_value(column.format()) else {
                    return Err(ParseError::ShortRow { line, column: column.name.clone() });
                };
                column.set(&mut row, value).map_err(|expected| {
                    let found = excerpt([value.first, value.second, value.unit].join(" ").trim());
                    ParseError::Value { line, what: format!("column {:?}", column.name), expected, found }
                })?;
            }
            counts.push(tokens.taken - before);
        }
        match tokens.next() {
            None => Ok((row, counts)),
            Some(found) => {
                let column = self.columns.last().map(|column| column.name.clone()).unwrap_or_default();
                Err(ParseError::LongRow { line, column, found: excerpt(found) })
            }
        }
    }

    /// Number of columns.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Stores exactly these tokens in a column of `row`; returns whether they fit.
    pub(crate) fn set_column(&self, column: usize, tokens: &[&str], row: &mut Row) -> bool {
        let Some(column) = self.columns.get(column) else { return false };
        let text = tokens.join(" ");
        let mut tokens = Tokens::new(&text);
        let value = tokens.next_value(column.format());
        value.is_some_and(|value| tokens.next().is_none() && column.set(row, value).is_ok())
    }

    /// Splits values that fill their column to the last character, so that no blank separates them from the next
    /// (`-10000024000` is `-100000` and `24000` if the first column is seven characters wide). Returns `None` if there
    /// is nothing to split, or if the following values do not line up with their headers.
    pub(crate) fn split_fused(&self, text: &str) -> Option<String>
    where
        Row: Default,
    {
        let mut rest: VecDeque<(usize, &str)> = tokens_with_offsets(text).collect();
        let (mut split, mut scratch) = (Vec::new(), Row::default());
        let single = |column: &&[HeaderColumn<Row>]| column[0].format() == ColumnFormat::Token;
        for (column, pair) in self.columns.windows(2).take_while(single).enumerate() {
            let (offset, token) = rest.pop_front()?;
            let width = pair[1].offset - pair[0].offset;
            let value = if token.len() > width { token.get(..width)? } else { token };
            if !self.set_column(column, &[value], &mut scratch) {
                return None;
            }
            if value.len() < token.len() {
                rest.push_front((offset + width, &token[width..]));
                let (next_value, next_header) = (rest.get(1)?.0, self.columns.get(column + 2)?.offset);
                if offset + next_header != pair[0].offset + next_value {
                    return None;
                }
            }
            split.push(value);
        }
        split.extend(rest.into_iter().map(|(_, token)| token));
        (split.len() > text.split_ascii_whitespace().count()).then(|| split.join(" "))
    }

    /// Whether the row is exactly one token short and has nothing below the optional column's header.
    fn lacks_optional_value(&self, text: &str) -> bool {
        let optional = |column: &HeaderColumn<Row>| column.format() == ColumnFormat::OptionalToken;
        let Some(optional) = self.columns.iter().position(optional) else { return false };
        let min_tokens =
            |column: &HeaderColumn<Row>| if column.format() == ColumnFormat::DateTime { 2 } else { 1 };
        let full: usize = self.columns.iter().map(min_tokens).sum();
        let from = self.columns[optional].offset;
        let to = self.columns.get(optional + 1).map_or(usize::MAX, |column| column.offset);
        let below = |(offset, _): (usize, &str)| {
            (from.saturating_sub(MAX_SHIFT)..to.saturating_sub(MAX_SHIFT)).contains(&offset)
        };
        text.split_ascii_whitespace().count() + 1 == full && !tokens_with_offsets(text).any(below)
    }
}

/// Values may start this many characters to the left of their header.
const MAX_SHIFT: usize = 2;

fn tokens_with_offsets(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let start = line.as_ptr() as usize;
    line.split_ascii_whitespace().map(move |token| (token.as_ptr() as usize - start, token))
}

struct Tokens<'a> {
    rest: Peekable<SplitAsciiWhitespace<'a>>,
    taken: usize,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.split_ascii_whitespace().peekable(), taken: 0 }
    }

    fn next(&mut self) -> Option<&'a str> {
        let token = self.rest.next()?;
        self.taken += 1;
        Some(token)
    }

    fn next_if(&mut self, matches: impl Fn(&str) -> bool) -> &'a str {
        let matches = self.rest.peek().is_some_and(|token| matches(token));
        if matches { self.next().unwrap_or("") } else { "" }
    }

    fn next_value(&mut self, format: ColumnFormat) -> Option<RawValue<'a>> {
        match format {
            ColumnFormat::Token | ColumnFormat::OptionalToken => {
                Some(RawValue { first: self.next()?, ..RawValue::default() })
            }
            ColumnFormat::DateTime => {
                let first = self.next()?;
                let second = if first == "-" { "" } else { self.next()? };
                Some(RawValue { first, second, unit: "" })
            }
            ColumnFormat::Charge => {
                if *self.rest.peek()? == "-" {
                    return Some(RawValue { first: self.next()?, ..RawValue::default() });
                }
                let first = self.next_if(|token| token.ends_with('%'));
                let second = self.next_if(|token| number::integer(token).is_some());
                let unit = if second.is_empty() { "" } else { self.next_if(is_charge_unit) };
                (!first.is_empty() || !second.is_empty()).then_some(RawValue { first, second, unit })
            }
        }
    }
}

fn is_charge_unit(token: &str) -> bool {
    matches!(token, "mAH" | "AH" | "mWH" | "WH")
}

/// An answer split at its header; the lines have their numbers.
pub(crate) struct SplitTable<'a> {
    pub(crate) before: Vec<(usize, &'a str)>,
    pub(crate) header: &'a str,
    pub(crate) rows: Vec<(usize, &'a str)>,
}

/// Splits an answer at the line that starts with the words of `header`.
///
/// # Errors
/// Returns [`ParseError::NoHeader`] if there is no such line.
pub(crate) fn split_at_header<'a>(
    answer: &'a Answer,
    header: &'static str,
) -> Result<SplitTable<'a>, ParseError> {
    let mut before = Vec::new();
    let mut lines = answer.lines();
    while let Some((number, line)) = lines.next() {
        if starts_with_words(header, line) {
            return Ok(SplitTable { before, header: line, rows: lines.collect() });
        }
        before.push((number, line));
    }
    Err(ParseError::NoHeader { expected: header, lines: answer.len() })
}

/// Whether a line of `answer` starts with the words of `header`.
pub(crate) fn has_header(answer: &Answer, header: &str) -> bool {
    answer.lines().any(|(_, line)| starts_with_words(header, line))
}

pub(crate) fn starts_with_words(header: &str, line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    header.split(' ').all(|word| words.next() == Some(word))
}
