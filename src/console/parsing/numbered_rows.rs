//! Rows of a numbered table (cells, modules), read so that a damaged or odd row costs its own doubtful values alone.
//!
//! ```text
//! 7  3311  -1780  24100  Dischg  Normal  80%  Normal  40511 mAH  N
//!    certain: fit their columns ────────┘  └ doubtful ┘  └──────── certain
//! ```
//! The rows that read without fault show how many tokens each column takes. A faulty row with as many is certain
//! before the first and behind the last value that does not fit. With one token more or fewer, what lies before fits
//! counted from the left and what lies behind fits counted from the right. With more than one, nothing is certain.

use std::borrow::Cow;

use crate::console::error::{ParseError, excerpt};
use crate::console::parsing::row_numbers::{Numbering, place};
use crate::console::parsing::table::Layout;

/// What the rows of a table are.
pub(crate) struct Rows<Row> {
    /// `cell`, `module`.
    pub(crate) of: &'static str,
    /// How they are numbered.
    pub(crate) numbering: Numbering,
    /// No console has more of them.
    pub(crate) most: usize,
    /// The number that a row states.
    pub(crate) stated: fn(&Row) -> Option<u16>,
}

/// Rows by their number, in order, and what was wrong with them.
pub(crate) struct Numbered<Row> {
    pub(crate) rows: Vec<(u16, Row)>,
    pub(crate) problems: Vec<ParseError>,
}

/// One row, before its number is certain.
struct Read<Row> {
    line: usize,
    stated: Option<u16>,
    row: Row,
    problem: Option<ParseError>,
}

impl<Row: Clone + Default> Rows<Row> {
    /// Reads all rows of a table.
    ///
    /// # Errors
    /// No row could be read, or there are more than any console has.
    pub(crate) fn read(
        &self,
        layout: &Layout<Row>,
        lines: &[(usize, &str)],
    ) -> Result<Numbered<Row>, ParseError> {
        if lines.len() > self.most {
            return Err(ParseError::TooMany { of: self.of, most: self.most, found: lines.len() });
        }
        let lines = with_percentages_joined(lines);
        let strict: Vec<_> = lines.iter().map(|(line, text)| layout.read_counting(*line, text)).collect();
        let pattern = pattern(&strict);
        let mut read: Vec<Read<Row>> = Vec::with_capacity(lines.len());
        for ((line, text), strict) in lines.iter().zip(strict) {
            let (row, problem) = match (strict, &pattern) {
                (Ok((row, counts)), Some(pattern)) if counts == *pattern || has_dash(text) => (row, None),
                (Ok(_), _) => (Row::default(), Some(odd(*line, text))),
                (Err(problem), _) => (Row::default(), Some(problem)),
            };
            let stated = match &problem {
                None => (self.stated)(&row),
                Some(_) => (self.stated)(&first_value(layout, text)),
            };
            let row = match (&problem, &pattern) {
                (Some(_), Some(pattern)) => certain(layout, pattern, text),
                _ => row,
            };
            read.push(Read { line: *line, stated, row, problem });
        }
        if pattern.is_none()
            && let Some(problem) = read.iter_mut().find_map(|read| read.problem.take())
        {
            return Err(problem);
        }
        Ok(self.in_order(read))
    }

    fn in_order(&self, read: Vec<Read<Row>>) -> Numbered<Row> {
        let stated: Vec<_> = read.iter().map(|read| read.stated).collect();
        let numbers = place(&stated, &self.numbering);
        let mut all = Numbered { rows: Vec::with_capacity(read.len()), problems: Vec::new() };
        for (read, number) in read.into_iter().zip(numbers) {
            let last = all.rows.last().map(|(last, _): &(u16, Row)| *last);
            let expected = last.map_or(*self.numbering.first.end(), |last| last.saturating_add(1));
            let misplaced = number != read.stated || number.is_some_and(|number| number > expected);
            let order = || ParseError::Order {
                line: read.line,
                expected: format!("{} {expected}", self.of),
                found: read.stated.map_or(-1, i64::from),
            };
            all.problems.extend(read.problem.or_else(|| misplaced.then(order)));
            all.rows.extend(number.map(|number| (number, read.row)));
        }
        all
    }
}

/// How many tokens each column takes in most rows; of two patterns as frequent, in the longer rows.
fn pattern<Row>(strict: &[Result<(Row, Vec<usize>), ParseError>]) -> Option<Vec<usize>> {
    let all = || strict.iter().flatten().map(|(_, counts)| counts);
    let frequency = |counts: &&Vec<usize>| {
        let same = all().filter(|other| other == counts).count();
        (same, counts.iter().sum::<usize>())
    };
    // Nearly always all are the same.
    let first = all().next()?;
    if all().all(|counts| counts == first) {
        Some(first.clone())
    } else {
        all().max_by_key(frequency).cloned()
    }
}

/// The first column's value alone.
fn first_value<Row: Default>(layout: &Layout<Row>, text: &str) -> Row {
    let mut row = Row::default();
    if let Some(first) = text.split_ascii_whitespace().next() {
        layout.put(0, &[first], &mut row);
    }
    row
}

/// The values of a faulty row that are certain.
fn certain<Row: Clone + Default>(layout: &Layout<Row>, pattern: &[usize], text: &str) -> Row {
    let tokens: Vec<&str> = text.split_ascii_whitespace().collect();
    let expected: usize = pattern.iter().sum();
    let mut row = Row::default();
    if tokens.len().abs_diff(expected) > 1 {
        return row;
    }
    // Counted from the left, or from the right.
    let put = |column: usize, from_right: bool, row: &mut Row| {
        let start: usize = pattern[..column].iter().sum();
        let start = if from_right { (start + tokens.len()).checked_sub(expected) } else { Some(start) };
        let own = start.and_then(|start| tokens.get(start..start + pattern[column]));
        own.is_some_and(|own| layout.put(column, own, row))
    };
    let mut scratch = row.clone();
    let left =
        (0..layout.width()).find(|column| !put(*column, false, &mut scratch)).unwrap_or(layout.width());
    let right = (0..layout.width()).rev().find(|column| !put(*column, true, &mut scratch));
    let (mut from, mut behind) =
        (left.min(right.unwrap_or(0)), right.map_or(0, |right| right + 1).max(left + 1));
    if tokens.len() < expected {
        // What is missing may have taken a part of its neighbour with it.
        (from, behind) = (from.saturating_sub(1), behind + 1);
    }
    (0..from).for_each(|column| _ = put(column, false, &mut row));
    (behind..layout.width()).for_each(|column| _ = put(column, true, &mut row));
    row
}

/// A row whose values are dashes may be shorter than the others.
fn has_dash(text: &str) -> bool {
    text.split_ascii_whitespace().any(|token| token == "-")
}

fn odd(line: usize, text: &str) -> ParseError {
    let expected = "as many values as in the other rows";
    ParseError::Value { line, what: "the row".into(), expected, found: excerpt(text.trim()) }
}

/// Where every row has a blank before its `%`, that is how this console prints them.
fn with_percentages_joined<'a>(lines: &[(usize, &'a str)]) -> Vec<(usize, Cow<'a, str>)> {
    let apart = |text: &str| text.split_ascii_whitespace().any(|token| token == "%");
    let all = lines.len() > 1 && lines.iter().all(|(_, text)| apart(text));
    let joined = |text: &'a str| if all { text.replace(" %", "%").into() } else { text.into() };
    lines.iter().map(|(line, text)| (*line, joined(text))).collect()
}
