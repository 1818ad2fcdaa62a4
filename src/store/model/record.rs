//! The records that a store accepts, in plain numbers, and their encoding in the journal: JSON, so that a record in a
//! dead-letter table is readable.

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::model;
use crate::model::device_log::DeviceLogBatch;
use crate::model::event::EventKind;
use crate::model::place::Place;
use crate::store::model::sums::RollupSums;
use crate::store::model::sweep_record::SweepRecord;

/// Storing a record is idempotent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    Sweep(Box<SweepRecord>),
    Minute(Box<MinuteRecord>),
    Event(Box<EventRecord>),
    Log(Box<StoredLogRecord>),
    Counter(Box<CounterRecord>),
    Lifetime(Box<LifetimeRecord>),
}

/// The encoding on disk, by version.
#[derive(Serialize, Deserialize)]
enum OnDisk<R> {
    #[serde(rename = "1")]
    V1(R),
}

/// The bytes are not a record of this version or an earlier one.
#[derive(Debug, thiserror::Error)]
#[error("expected a record of this version or an earlier one: {0}")]
pub struct InvalidRecord(#[source] serde_json::Error);

impl Record {
    /// The encoding on disk: JSON with a version.
    ///
    /// # Errors
    /// Never in practice: every record can be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, InvalidRecord> {
        serde_json::to_vec(&OnDisk::V1(self)).map_err(InvalidRecord)
    }

    /// Decodes a record of this version or an earlier one.
    ///
    /// # Errors
    /// The bytes are something else, or of a later version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidRecord> {
        let OnDisk::V1(record) = serde_json::from_slice(bytes).map_err(InvalidRecord)?;
        Ok(record)
    }

    /// The time of the record in milliseconds since 1970, UTC; of a minute its start.
    #[must_use]
    pub fn at_ms(&self) -> i64 {
        match self {
            Self::Sweep(sweep) => sweep.taken_at_ms,
            Self::Minute(minute) => minute.started_at_ms,
            Self::Event(event) => event.raised_at_ms,
            Self::Log(entry) => entry.clock_local_s.saturating_mul(1000),
            Self::Counter(counter) => counter.taken_at_ms,
            Self::Lifetime(lifetime) => lifetime.taken_at_ms,
        }
    }

    /// Shifts its times by `ms` milliseconds, for a clock that was set late. The battery's own clock is not affected.
    pub fn shift(&mut self, ms: i64) {
        let shift = |at: &mut i64| *at = at.saturating_add(ms);
        match self {
            Self::Sweep(sweep) => shift(&mut sweep.taken_at_ms),
            Self::Event(event) => {
                // An event raised after it cleared was raised before a restart, when the clock was right.
                if event.cleared_at_ms.is_none_or(|cleared| event.raised_at_ms <= cleared) {
                    shift(&mut event.raised_at_ms);
                }
                event.cleared_at_ms.iter_mut().for_each(shift);
            }
            Self::Counter(counter) => shift(&mut counter.taken_at_ms),
            Self::Lifetime(lifetime) => shift(&mut lifetime.taken_at_ms),
            // A minute of the wrong clock is not a minute of the right one: minutes are aggregated after the
            // correction.
            Self::Minute(_) | Self::Log(_) => {}
        }
    }
}

/// A bit of an event word that was raised, or that cleared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    pub bank: String,
    /// `None` for the bank itself.
    pub place: Option<u8>,
    pub barcode: Option<String>,
    /// `battery`, `power`, `system` or the console's own label.
    pub word: String,
    pub bit: u32,
    /// Milliseconds since 1970, UTC.
    pub raised_at_ms: i64,
    /// `None` while it is active.
    pub cleared_at_ms: Option<i64>,
    /// `info` or `warning`.
    pub level: String,
    pub text: String,
}

impl From<&model::event::Event> for EventRecord {
    fn from(event: &model::event::Event) -> Self {
        // An event without duration clears when it is raised.
        let over = event.kind != EventKind::Raised;
        Self {
            bank: event.bank.to_string(),
            place: event.battery.map(Place::number),
            barcode: event.barcode.clone(),
            word: event.word.to_string(),
            bit: event.condition.bit(),
            raised_at_ms: event.raised_at.as_millisecond(),
            cleared_at_ms: over.then(|| event.at.as_millisecond()),
            level: event.level.word().to_owned(),
            text: event.text.clone(),
        }
    }
}

/// An entry of a battery's own log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLogRecord {
    pub bank: String,
    pub place: u8,
    pub barcode: Option<String>,
    /// The entry's number; higher is newer.
    pub record: i64,
    /// The battery's own clock in seconds since 1970, as if it were UTC.
    pub clock_local_s: i64,
    /// The module that wrote it.
    pub module: Option<String>,
    pub code: Option<i64>,
    pub info: Option<String>,
}

impl StoredLogRecord {
    /// The entries of a battery's log, except those without a date.
    pub fn from_batch(memory: &DeviceLogBatch) -> impl Iterator<Item = Self> + '_ {
        let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
        memory.records.iter().filter_map(move |record| {
            Some(Self {
                bank: memory.bank.to_string(),
                place: memory.battery.map_or(0, Place::number),
                barcode: memory.barcode.clone(),
                record: record.index,
                clock_local_s: record.clock?.duration_since(epoch).as_secs(),
                module: record.module.clone(),
                code: record.code.map(i64::from),
                info: record.text.clone(),
            })
        })
    }
}

/// What a counter counts for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CounterScope {
    Bank,
    /// A place, whichever battery is there.
    Place(u8),
    /// A battery, at whichever place.
    Battery {
        place: u8,
        barcode: Option<String>,
    },
}

/// The value of a counter; it never decreases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterRecord {
    pub bank: String,
    #[serde(rename = "whose")]
    pub scope: CounterScope,
    /// With its unit: `charged_mwh`.
    pub name: String,
    pub value: i64,
    /// Milliseconds since 1970, UTC.
    pub taken_at_ms: i64,
}

/// The aggregated sweeps of one minute of a bank or a battery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinuteRecord {
    pub bank: String,
    /// `None` for the bank itself.
    pub place: Option<u8>,
    pub barcode: Option<String>,
    /// The start of the minute in milliseconds since 1970, UTC.
    pub started_at_ms: i64,
    /// Time of the first sweep.
    pub first_ms: i64,
    /// Time of the last sweep.
    pub last_ms: i64,
    pub sums: RollupSums,
    /// Records of earlier versions have none: such a record counts as stored already if it does not start after the
    /// stored one ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<MinutePart>,
}

/// The number of a part among all parts of one run of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinutePart {
    /// A unique number of the run.
    pub run: i64,
    /// Counts from 1.
    pub number: i64,
}

/// Lifetime statistics of a battery that have changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifetimeRecord {
    pub bank: String,
    pub place: u8,
    pub barcode: Option<String>,
    /// Each value with its name, which includes the unit.
    pub values: Vec<(String, i64)>,
    /// Milliseconds since 1970, UTC.
    pub taken_at_ms: i64,
}
