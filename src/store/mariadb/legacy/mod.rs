//! The table `pwr_data` of pytes_serial: a row per battery and sweep in volts, amperes and degrees, by the server's
//! local time, written for those whose dashboards read it.
//!
//! ```text
//! sweep ─► one transaction: our rows + legacy_pending ─► committed, whatever becomes of pwr_data
//!                                        │
//!            LegacyWriter ◄──────────────┘  another connection, another thread
//!                 └─► one transaction: rows into pwr_data, sweep out of legacy_pending
//! ```
//! The owner of the table may have changed it, locked it or denied access. So our own tables never wait for it:
//! `legacy_pending` lists the sweeps that it has not accepted yet, and its rows are computed from our own tables.

mod check;
mod columns;
mod import;
mod insert;
mod layout;
mod pending;
mod refusal;
mod step;
mod writer;

pub use check::{LegacyReport, check_legacy_table, prepare_legacy_table};
pub use import::ImportProgress;
pub use refusal::LegacyRefusal;
pub use step::{LegacyStep, SkippedSweep};
pub use writer::LegacyWriter;
