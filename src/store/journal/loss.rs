//! Rows that were dropped without being stored, and why.

/// Rows dropped for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    pub reason: LossReason,
    pub rows: u64,
    /// When the oldest of them was taken: milliseconds since 1970, UTC.
    pub from_ms: i64,
    /// When the newest of them was taken: milliseconds since 1970, UTC.
    pub to_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// The journal has reached its size limit; the oldest rows were dropped.
    Full,
    Expired,
    /// The disk accepts nothing and memory has reached its limit; the oldest rows were dropped.
    MemoryFull,
    /// The journal's file was removed, replaced or unmounted while in use. If it reappears with its disk, so do the
    /// rows.
    Removed,
    /// The database rejected the row and its dead letter, and the disk did not accept it either.
    Refused,
}

impl LossReason {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "the journal has reached journal_max_mb",
            Self::Expired => "older than journal_max_age",
            Self::MemoryFull => "the disk accepts nothing and memory is full",
            Self::Removed => "the journal file was removed, replaced or unmounted",
            Self::Refused => "neither the database nor the disk accepted the row",
        }
    }
}

impl Loss {
    /// The loss of rows taken at these times; `None` if there are none.
    pub(crate) fn of(reason: LossReason, times: impl IntoIterator<Item = i64>) -> Option<Self> {
        let one = |at| Self { reason, rows: 1, from_ms: at, to_ms: at };
        times.into_iter().map(one).reduce(Self::merge)
    }

    /// Both together, with the reason of the first.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            reason: self.reason,
            rows: self.rows + other.rows,
            from_ms: self.from_ms.min(other.from_ms),
            to_ms: self.to_ms.max(other.to_ms),
        }
    }
}
