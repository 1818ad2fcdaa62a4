//! The history: every full reading in a database, old rows rolled up, one small trait in front of two backends.
//!
//! ```text
//! report ─► RecordBuilder ─► Record ─► Store::insert ─┬─► sqlite    a file of our own
//!           what is stored             one transaction └─► mariadb   a server, MySQL 8 too
//! ```
//! Backends share the tables, the rows and the statements (`sql`); each has its own way of connecting, its own
//! transactions and its own errors. `docs/database.md` explains how to query.

mod backend;
pub mod clock_gate;
mod error;
mod files;
pub mod journal;
pub(crate) mod log;
mod mariadb;
pub mod model;
mod open;
pub mod sink;
mod sql;
mod sqlite;
mod text;

pub use backend::Store;
pub use error::{ErrorClass, StoreError};
#[cfg(feature = "internals")]
pub use mariadb::SkippedSweep;
pub use mariadb::{
    AbortHandle, DatabaseServer, ImportProgress, LegacyRefusal, LegacyReport, LegacyStep, LegacyWriter,
    MariaDb, check_legacy_table, prepare_legacy_table,
};
#[cfg(feature = "internals")]
pub use model::minute_aggregator::MinuteAggregator;
#[cfg(feature = "internals")]
pub use model::record::{
    CounterRecord, CounterScope, EventRecord, InvalidRecord, LifetimeRecord, MinutePart, MinuteRecord,
};
pub use model::record::{Record, StoredLogRecord};
#[cfg(feature = "internals")]
pub use model::sums::RollupSums;
#[cfg(feature = "internals")]
pub use model::sweep_record::{BatteryIdentity, BatteryRecord, CellRecord, SweepRecord};
pub use open::{open, open_existing, server};
pub use sql::export::{ExportQuery, ExportTable};
pub use sql::history::Retention;
#[cfg(feature = "internals")]
pub use sql::history::{HistoryPoint, HistoryQuery, PruneProgress, Resolution};
#[cfg(feature = "internals")]
pub use sql::migrations::SchemaVersion;
#[cfg(feature = "internals")]
pub use sql::values::{BankValues, BatteryValues, CellValues, StateWords};
#[cfg(feature = "internals")]
pub use sqlite::SqliteFile;
