//! Tables: a header that names the columns, rows of values in the same order.
//!
//! Rows are split at blanks, never at offsets: headers are a character off their rows on some firmware, a full
//! field leaves a single blank, and values with blanks inside (`44628 mAH`) are known by their column
//! (protocol, sections 7 and 9). Columns that nobody knows take one value and are passed over.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::str::SplitAsciiWhitespace;

use crate::console::error::{ParseError, excerpt};
use crate::console::framing::answer::Answer;
use crate::console::parsing::number;

/// What a value of a column looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
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
pub(crate) struct Cut<'a> {
    /// The token; the date of a time; the percentage of a charge.
    pub(crate) first: &'a str,
    /// The time of a time; the amount of a charge.
    pub(crate) second: &'a str,
    /// The unit of a charge's amount.
    pub(crate) unit: &'a str,
}

/// A column: how the header spells it and what to do with a value. The setter answers what it expected where
/// the value is not that.
pub(crate) struct Column<Row> {
    /// The words of the header, one blank between them.
    pub(crate) head: &'static str,
    /// What its values look like.
    pub(crate) shape: Shape,
    /// Puts a value into the row.
    pub(crate) set: fn(&mut Row, Cut<'_>) -> Result<(), &'static str>,
}

/// What a setter returns.
pub(crate) type Set = Result<(), &'static str>;

/// One column as a header names it.
struct Heading<Row: 'static> {
    name: String,
    /// Where its name begins in the header line.
    at: usize,
    known: Option<&'static Column<Row>>,
}

impl<Row> Heading<Row> {
    fn shape(&self) -> Shape {
        self.known.map_or(Shape::Token, |column| column.shape)
    }

    /// Puts a value into the row, unless the column is unknown or holds a dash.
    fn set(&self, row: &mut Row, cut: Cut<'_>) -> Set {
        match self.known {
            Some(column) if cut.first != "-" || !cut.second.is_empty() => (column.set)(row, cut),
            _ => Ok(()),
        }
    }
}

/// The columns of one header, in its order.
pub(crate) struct Layout<Row: 'static> {
    columns: Vec<Heading<Row>>,
}

impl<Row> Layout<Row> {
    /// Reads a header line. Two words that no column is spelled with and that go together (`… State`,
    /// `… Code`) count as one unknown column.
    #[must_use]
    pub(crate) fn of(header: &str, known: &'static [Column<Row>]) -> Self {
        let (starts, words): (Vec<usize>, Vec<&str>) = tokens_at(header).unzip();
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
            columns.push(Heading { name: words[at..at + length].join(" "), at: starts[at], known: found });
            at += length;
        }
        Self { columns }
    }

    /// Reads the row on line number `line`.
    ///
    /// # Errors
    /// A value that is not what its column holds, too few values or too many.
    pub(crate) fn read(&self, line: usize, text: &str) -> Result<Row, ParseError>
    where
        Row: Default,
    {
        self.read_counting(line, text).map(|(row, _)| row)
    }

    /// The same, and how many tokens each column took.
    pub(crate) fn read_counting(&self, line: usize, text: &str) -> Result<(Row, Vec<usize>), ParseError>
    where
        Row: Default,
    {
        let mut tokens = Tokens::new(text);
        let skip_missing = self.must_skip(text);
        let mut row = Row::default();
        let mut counts = Vec::with_capacity(self.columns.len());
        for heading in &self.columns {
            let before = tokens.taken;
            if heading.shape() != Shape::Perhaps || !skip_missing {
                let Some(cut) = tokens.cut(heading.shape()) else {
                    return Err(ParseError::ShortRow { line, column: heading.name.clone() });
                };
                heading.set(&mut row, cut).map_err(|expected| {
                    let found = excerpt([cut.first, cut.second, cut.unit].join(" ").trim());
                    ParseError::Value { line, what: format!("column {:?}", heading.name), expected, found }
                })?;
            }
            counts.push(tokens.taken - before);
        }
        match tokens.next() {
            None => Ok((row, counts)),
            Some(found) => {
                let column = self.columns.last().map(|heading| heading.name.clone()).unwrap_or_default();
                Err(ParseError::LongRow { line, column, found: excerpt(found) })
            }
        }
    }

    /// How many columns there are.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Puts exactly these tokens into a column of `row`; answers whether they fit.
    pub(crate) fn put(&self, column: usize, tokens: &[&str], row: &mut Row) -> bool {
        let Some(heading) = self.columns.get(column) else { return false };
        let text = tokens.join(" ");
        let mut tokens = Tokens::new(&text);
        let cut = tokens.cut(heading.shape());
        cut.is_some_and(|cut| tokens.next().is_none() && heading.set(row, cut).is_ok())
    }

    /// Splits values that fill their column to the last character, so that no blank is left before the next
    /// (`-10000024000` is `-100000` and `24000` where seven characters belong to the first). `None` where nothing
    /// is to split, or where the values behind do not begin at their headings.
    pub(crate) fn split_fused(&self, text: &str) -> Option<String>
    where
        Row: Default,
    {
        let mut rest: VecDeque<(usize, &str)> = tokens_at(text).collect();
        let (mut split, mut scratch) = (Vec::new(), Row::default());
        let single = |column: &&[Heading<Row>]| column[0].shape() == Shape::Token;
        for (column, pair) in self.columns.windows(2).take_while(single).enumerate() {
            let (at, token) = rest.pop_front()?;
            let width = pair[1].at - pair[0].at;
            let value = if token.len() > width { token.get(..width)? } else { token };
            if !self.put(column, &[value], &mut scratch) {
                return None;
            }
            if value.len() < token.len() {
                rest.push_front((at + width, &token[width..]));
                let next = (rest.get(1)?.0, self.columns.get(column + 2)?.at);
                if at + next.1 != pair[0].at + next.0 {
                    return None;
                }
            }
            split.push(value);
        }
        split.extend(rest.into_iter().map(|(_, token)| token));
        (split.len() > text.split_ascii_whitespace().count()).then(|| split.join(" "))
    }

    /// A row without its optional value is exactly one token short, and nothing is below that heading.
    fn must_skip(&self, text: &str) -> bool {
        let Some(optional) = self.columns.iter().position(|heading| heading.shape() == Shape::Perhaps) else {
            return false;
        };
        let each = |heading: &Heading<Row>| if heading.shape() == Shape::Stamp { 2 } else { 1 };
        let least: usize = self.columns.iter().map(each).sum();
        let from = self.columns[optional].at;
        let to = self.columns.get(optional + 1).map_or(usize::MAX, |heading| heading.at);
        let below =
            |(at, _): (usize, &str)| (from.saturating_sub(ASKEW)..to.saturating_sub(ASKEW)).contains(&at);
        text.split_ascii_whitespace().count() + 1 == least && !tokens_at(text).any(below)
    }
}

/// Rows begin up to so many characters before their header's words.
const ASKEW: usize = 2;

/// The tokens of a line, each with where it begins.
fn tokens_at(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let start = line.as_ptr() as usize;
    line.split_ascii_whitespace().map(move |token| (token.as_ptr() as usize - start, token))
}

struct Tokens<'a> {
    ahead: Peekable<SplitAsciiWhitespace<'a>>,
    /// How many were taken.
    taken: usize,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        Self { ahead: text.split_ascii_whitespace().peekable(), taken: 0 }
    }

    fn next(&mut self) -> Option<&'a str> {
        let token = self.ahead.next()?;
        self.taken += 1;
        Some(token)
    }

    fn next_if(&mut self, wanted: impl Fn(&str) -> bool) -> &'a str {
        let ahead = self.ahead.peek().is_some_and(|token| wanted(token));
        if ahead { self.next().unwrap_or("") } else { "" }
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
pub(crate) struct Split<'a> {
    /// The lines before the header, with their numbers.
    pub(crate) before: Vec<(usize, &'a str)>,
    /// The header.
    pub(crate) header: &'a str,
    /// The lines behind it, with their numbers.
    pub(crate) rows: Vec<(usize, &'a str)>,
}

/// Finds the line that begins with the words of `head`.
///
/// # Errors
/// There is none.
pub(crate) fn split_at_header<'a>(answer: &'a Answer, head: &'static str) -> Result<Split<'a>, ParseError> {
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
pub(crate) fn has_header(answer: &Answer, head: &str) -> bool {
    answer.lines().any(|(_, line)| spelled(head, line))
}

/// Whether a line begins with the words of `head`.
pub(crate) fn spelled(head: &str, line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    head.split(' ').all(|word| words.next() == Some(word))
}
