//! The outcome of one step of the writer of `pwr_data`.

use std::collections::BTreeSet;

use crate::store::mariadb::legacy::refusal::LegacyRefusal;

#[derive(Debug, Default)]
pub struct LegacyStep {
    /// Sweeps that the table has accepted.
    pub written: usize,
    /// Whether there is more to write.
    pub is_more: bool,
    /// Sweeps that it refuses although it accepts others.
    pub left_out: Vec<SkippedSweep>,
    /// Columns that require a value which a battery did not report, with their types: its rows were left out.
    pub unreported: BTreeSet<(&'static str, &'static str)>,
    /// Sweeps dropped because their own readings were past their retention.
    pub expired: usize,
    /// Why the table accepts nothing.
    pub refusal: Option<LegacyRefusal>,
}

/// A sweep that will not be in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedSweep {
    pub bank: String,
    /// Milliseconds since 1970, UTC.
    pub taken_at_ms: i64,
    pub refusal: LegacyRefusal,
}
