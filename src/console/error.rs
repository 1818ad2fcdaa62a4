//! What can be wrong with an answer's text: what was expected, what was found, and where.

/// A place in an answer that could not be read. The rest of a sweep stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The line that names the columns is not there.
    #[error("expected a header line beginning with {expected}, found none among {lines} lines")]
    NoHeader {
        /// How the header should begin.
        expected: &'static str,
        /// How many lines there were.
        lines: usize,
    },
    /// A value is not what its column or label holds.
    #[error("line {line}, {what}: expected {expected}, found {found:?}")]
    Value {
        /// Counted from 1 behind the echo; of a file, the file's own.
        line: usize,
        /// The column or label.
        what: String,
        /// What belongs there.
        expected: &'static str,
        /// What stood there, shortened.
        found: String,
    },
    /// A row ends before its last column.
    #[error("line {line}: the row ends before a value for {column}")]
    ShortRow {
        /// Counted from 1 behind the echo; of a file, the file's own.
        line: usize,
        /// The first column without a value.
        column: String,
    },
    /// A row goes on behind its last column.
    #[error("line {line}: expected the end of the row behind {column}, found {found:?}")]
    LongRow {
        /// Counted from 1 behind the echo; of a file, the file's own.
        line: usize,
        /// The last column.
        column: String,
        /// What came behind it, shortened.
        found: String,
    },
    /// Rows are missing, doubled or out of order.
    #[error("line {line}: expected {expected}, found number {found}")]
    Order {
        /// Counted from 1 behind the echo; of a file, the file's own.
        line: usize,
        /// Which row should be here.
        expected: String,
        /// Which one is.
        found: i64,
    },
    /// There are more rows than any console has.
    #[error("expected at most {most} rows (one per {of}), found {found}")]
    TooMany {
        /// What a row is of.
        of: &'static str,
        /// The most there may be.
        most: usize,
        /// How many there are.
        found: usize,
    },
    /// The answer speaks of another battery than the question did.
    #[error("asked for battery {asked}, but the answer says battery {found}")]
    OtherBattery {
        /// The battery in the question.
        asked: u16,
        /// The battery in the answer.
        found: i64,
    },
    /// There is nothing of what the answer should hold.
    #[error("expected {expected}, found none among {lines} lines")]
    Nothing {
        /// What should be there.
        expected: &'static str,
        /// How many lines there were.
        lines: usize,
    },
}

/// Text from outside, short enough for a message. Escaping is up to whoever prints it (`{:?}`).
#[must_use]
pub(crate) fn excerpt(text: &str) -> String {
    const MOST: usize = 40;
    let mut short: String = text.chars().take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}
