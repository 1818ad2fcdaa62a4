//! The battery's own log: the records of `log` and the snapshots of `data event`.

use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use crate::model::place::Place;

/// The command that a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceLogKind {
    /// `log`.
    Log,
    /// `data event`.
    Snapshot,
}

/// One record, ordered by the battery's clock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceLogEntry {
    /// The time by the battery's clock; `None` if that was never set.
    pub clock: Option<DateTime>,
    pub kind: DeviceLogKind,
    /// The record number; higher is newer.
    pub(crate) index: i64,
    /// The module that wrote it.
    pub(crate) module: Option<String>,
    pub(crate) code: Option<u32>,
    /// A single line.
    pub text: Option<String>,
}

/// Records that have not been published before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceLogBatch {
    pub(crate) bank: Arc<str>,
    /// `None` for a high-voltage stack.
    pub battery: Option<Place>,
    pub barcode: Option<String>,
    /// Oldest first.
    pub records: Vec<DeviceLogEntry>,
    /// Start of the sweep in which they were read, by our clock.
    pub(crate) taken_at: Timestamp,
    /// The battery's clock in that sweep.
    pub clock: Option<DateTime>,
    /// How far the battery's clock is ahead of our local time; negative if it is behind.
    pub clock_ahead: Option<SignedDuration>,
}
