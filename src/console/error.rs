//! Errors in the text of an answer: what was expected, what was found, and where.

/// A line or value that could not be parsed. The rest of the sweep stays valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("expected a header line beginning with {expected}, found none among {lines} lines")]
    NoHeader { expected: &'static str, lines: usize },
    /// A value is not what its column or label holds.
    #[error("line {line}, {what}: expected {expected}, found {found:?}")]
    Value {
        /// Counted from 1 after the echo; in a file, the file's own number.
        line: usize,
        /// The column or label.
        what: String,
        expected: &'static str,
        /// Shortened.
        found: String,
    },
    /// A row ends before its last column.
    #[error("line {line}: the row ends before a value for {column}")]
    ShortRow {
        /// Counted from 1 after the echo; in a file, the file's own number.
        line: usize,
        /// The first column without a value.
        column: String,
    },
    /// A row continues after its last column.
    #[error("line {line}: expected the end of the row after {column}, found {found:?}")]
    LongRow {
        /// Counted from 1 after the echo; in a file, the file's own number.
        line: usize,
        /// The last column.
        column: String,
        /// Shortened.
        found: String,
    },
    /// Rows are missing, repeated or out of order.
    #[error("line {line}: expected {expected}, found number {found}")]
    Order {
        /// Counted from 1 after the echo; in a file, the file's own number.
        line: usize,
        expected: String,
        found: i64,
    },
    #[error("expected at most {most} rows (one per {of}), found {found}")]
    TooMany {
        /// What one row describes: `battery`, `cell`, `module`.
        of: &'static str,
        most: usize,
        found: usize,
    },
    #[error("requested battery {requested}, but the answer is about battery {found}")]
    WrongBattery { requested: u16, found: i64 },
    /// The answer contains none of the expected lines.
    #[error("expected {expected}, found none among {lines} lines")]
    Nothing { expected: &'static str, lines: usize },
}

/// Shortens external text for a message. The caller escapes it (`{:?}`).
pub(crate) fn excerpt(text: &str) -> String {
    const MOST: usize = 40;
    let mut short: String = text.chars().take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}
