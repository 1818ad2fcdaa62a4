//! Parses the rows of a numbered table (cells, modules) so that a damaged row loses only its own doubtful values.
//!
//! ```text
//! 7  3311  -1780  24100  Dischg  Normal  80%  Normal  40511 mAH  N
//!    certain: fit their columns ────────┘  └ doubtful ┘  └──────── certain
//! ```
//! The rows without errors show how many tokens each column takes. In a faulty row with the same number of tokens, the
//! values before the first and after the last misfit are certain. With one token more or fewer, the values before the
//! misfit are matched from the left and those after it from the right. With a larger difference, nothing is certain.

use std::borrow::Cow;

use crate::console::error::{ParseError, excerpt};
use crate::console::parsing::row_numbers::{Numbering, assign_numbers};
use crate::console::parsing::table::Layout;

pub(crate) struct RowParser<Row> {
    /// `cell`, `module`.
    pub(crate) of: &'static str,
    pub(crate) numbering: Numbering,
    /// No console prints more rows.
    pub(crate) max_rows: usize,
    /// Gets the number printed in a row.
    pub(crate) stated: fn(&Row) -> Option<u16>,
}

/// Rows in the order of their numbers, and the errors in them.
pub(crate) struct NumberedRows<Row> {
    pub(crate) rows: Vec<(u16, Row)>,
    pub(crate) problems: Vec<ParseError>,
}

/// A row whose number is not yet certain.
struct PendingRow<Row> {
    line: usize,
    stated: Option<u16>,
    row: Row,
    problem: Option<ParseError>,
}

impl<Row: Clone + Default> RowParser<Row> {
    /// Parses all rows of a table.
    ///
    /// # Errors
    /// Returns an error if no row could be parsed, or if there are more than any console has.
    pub(crate) fn parse(
        &self,
        layout: &Layout<Row>,
        lines: &[(usize, &str)],
    ) -> Result<NumberedRows<Row>, ParseError> {
        if lines.len() > self.max_rows {
            return Err(ParseError::TooMany { of: self.of, most: self.max_rows, found: lines.len() });
        }
        let lines = with_percentages_joined(lines);
        let strict: Vec<_> =
            lines.iter().map(|(line, text)| layout.parse_row_counting(*line, text)).collect();
        let pattern = pattern(&strict);
        let mut pending: Vec<PendingRow<Row>> = Vec::with_capacity(lines.len());
        for ((line, text), strict) in lines.iter().zip(strict) {
            let (row, problem) = match (strict, &pattern) {
                (Ok((row, counts)), Some(pattern)) if counts == *pattern || has_dash(text) => (row, None),
                (Ok(_), _) => (Row::default(), Some(wrong_token_count(*line, text))),
                (Err(problem), _) => (Row::default(), Some(problem)),
            };
            let stated = match &problem {
                None => (self.stated)(&row),
                Some(_) => (self.stated)(&first_value(layout, text)),
            };
            let row = match (&problem, &pattern) {
                (Some(_), Some(pattern)) => certain_values(layout, pattern, text),
                _ => row,
            };
            pending.push(PendingRow { line: *line, stated, row, problem });
        }
        if pattern.is_none()
            && let Some(problem) = pending.iter_mut().find_map(|row| row.problem.take())
        {
            return Err(problem);
        }
        Ok(self.number_rows(pending))
    }

    fn number_rows(&self, pending: Vec<PendingRow<Row>>) -> NumberedRows<Row> {
        let stated: Vec<_> = pending.iter().map(|row| row.stated).collect();
        let numbers = assign_numbers(&stated, &self.numbering);
        let mut all = NumberedRows { rows: Vec::with_capacity(pending.len()), problems: Vec::new() };
        for (pending, number) in pending.into_iter().zip(numbers) {
            let last = all.rows.last().map(|(last, _): &(u16, Row)| *last);
            let expected = last.map_or(*self.numbering.first.end(), |last| last.saturating_add(1));
            let misplaced = number != pending.stated || number.is_some_and(|number| number > expected);
            let order = || ParseError::Order {
                line: pending.line,
                expected: format!("{} {expected}", self.of),
                found: pending.stated.map_or(-1, i64::from),
            };
            all.problems.extend(pending.problem.or_else(|| misplaced.then(order)));
            all.rows.extend(number.map(|number| (number, pending.row)));
        }
        all
    }
}

/// How many tokens each column takes in most rows; of two equally frequent patterns, the longer one.
fn pattern<Row>(strict: &[Result<(Row, Vec<usize>), ParseError>]) -> Option<Vec<usize>> {
    let all = || strict.iter().flatten().map(|(_, counts)| counts);
    let frequency = |counts: &&Vec<usize>| {
        let same = all().filter(|other| other == counts).count();
        (same, counts.iter().sum::<usize>())
    };
    // The common case: all are the same.
    let first = all().next()?;
    if all().all(|counts| counts == first) {
        Some(first.clone())
    } else {
        all().max_by_key(frequency).cloned()
    }
}

/// A row with only the value of the first column.
fn first_value<Row: Default>(layout: &Layout<Row>, text: &str) -> Row {
    let mut row = Row::default();
    if let Some(first) = text.split_ascii_whitespace().next() {
        layout.set_column(0, &[first], &mut row);
    }
    row
}

/// A faulty row with only those values that are certain.
fn certain_values<Row: Clone + Default>(layout: &Layout<Row>, pattern: &[usize], text: &str) -> Row {
    let tokens: Vec<&str> = text.split_ascii_whitespace().collect();
    let expected: usize = pattern.iter().sum();
    let mut row = Row::default();
    if tokens.len().abs_diff(expected) > 1 {
        return row;
    }
    // Counted from the left, or from the right.
    let set = |column: usize, from_right: bool, row: &mut Row| {
        let start: usize = pattern[..column].iter().sum();
        let start = if from_right { (start + tokens.len()).checked_sub(expected) } else { Some(start) };
        let own = start.and_then(|start| tokens.get(start..start + pattern[column]));
        own.is_some_and(|own| layout.set_column(column, own, row))
    };
    let mut scratch = row.clone();
    let left =
        (0..layout.width()).find(|column| !set(*column, false, &mut scratch)).unwrap_or(layout.width());
    let right = (0..layout.width()).rev().find(|column| !set(*column, true, &mut scratch));
    let (mut left_end, mut right_start) =
        (left.min(right.unwrap_or(0)), right.map_or(0, |right| right + 1).max(left + 1));
    if tokens.len() < expected {
        // The lost token may have taken a part of its neighbour with it.
        (left_end, right_start) = (left_end.saturating_sub(1), right_start + 1);
    }
    (0..left_end).for_each(|column| _ = set(column, false, &mut row));
    (right_start..layout.width()).for_each(|column| _ = set(column, true, &mut row));
    row
}

/// A row with dashes in place of values may be shorter than the others.
fn has_dash(text: &str) -> bool {
    text.split_ascii_whitespace().any(|token| token == "-")
}

fn wrong_token_count(line: usize, text: &str) -> ParseError {
    let expected = "as many values as in the other rows";
    ParseError::Value { line, what: "the row".into(), expected, found: excerpt(text.trim()) }
}

/// Removes the blank before each `%` if every row has one: some consoles print percentages that way.
fn with_percentages_joined<'a>(lines: &[(usize, &'a str)]) -> Vec<(usize, Cow<'a, str>)> {
    let apart = |text: &str| text.split_ascii_whitespace().any(|token| token == "%");
    let all = lines.len() > 1 && lines.iter().all(|(_, text)| apart(text));
    let joined = |text: &'a str| if all { text.replace(" %", "%").into() } else { text.into() };
    lines.iter().map(|(line, text)| (*line, joined(text))).collect()
}
