//! Derives events from readings, tracks which are active, and formats them for the event log.
//!
//! ```text
//! reading ─► decode ─► tracker ─► Event ─► log_text ─► block of lines ─► log_file
//!               ▲        │  ▲
//!           catalogue    ▼  │ at a start
//!                        saved (on disk)
//! ```
//! Only `saved` and `log_file` do I/O; times are parameters.

mod active;
pub(crate) mod barcodes;
pub mod catalogue;
mod clocks;
pub mod config;
pub mod decode;
pub mod device_log_filter;
pub(crate) mod disk;
pub(crate) mod line;
pub mod log_file;
pub mod log_text;
pub mod saved;
mod state_words;
pub mod tracker;
