//! What readings mean as events: what begins, what ends, and what is written of it.
//!
//! ```text
//! reading ─► decode ─► tracker ─► Event ─► log_text ─► block of lines ─► log_file
//!               ▲        │  ▲
//!           catalogue    ▼  │ at a start
//!                      standing (on disk)
//! ```
//! Pure but for `standing` and `log_file`, which read and write where they are told to; clocks are handed in.

mod active;
pub(crate) mod barcodes;
pub mod catalogue;
mod clocks;
pub mod decode;
pub(crate) mod disk;
pub(crate) mod line;
pub mod log_file;
pub mod log_text;
pub mod plan;
pub mod recall;
pub mod standing;
mod state_words;
pub mod tracker;
