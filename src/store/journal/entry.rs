//! A row of the journal, before and after it is stored there.

/// A row to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// The type of the record in `payload`.
    pub kind: String,
    pub bank: String,
    /// Milliseconds since 1970, UTC.
    pub taken_at_ms: i64,
    pub payload: Vec<u8>,
}

/// A row in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// Increases in the order of appending, and is used once in the life of the process.
    pub seq: i64,
    pub entry: JournalEntry,
    /// The checksum does not match: the disk returned something other than what was written.
    pub is_damaged: bool,
}
