//! The console's language: bytes to values, without I/O and without actix.
//!
//! [`frame`] finds an [`answer`] in the bytes, [`parsed`] hands it to the file of its [`command`]. Everything is
//! driven by headers and labels; no firmware version is ever switched on.

pub mod answer;
pub mod assemble;
pub mod bat;
mod believed;
pub(crate) mod blank;
pub(crate) mod clock;
pub mod command;
pub mod data_event;
pub(crate) mod diagnosis;
mod echo;
pub mod error;
pub mod euro;
pub(crate) mod fields;
pub mod figures;
pub mod frame;
mod growth;
pub(crate) mod help;
pub mod info;
pub mod log;
mod memory;
pub(crate) mod number;
mod numbered;
mod outside;
pub mod parsed;
pub mod prompt;
pub mod pwr_detail;
pub mod pwr_table;
pub(crate) mod recorded;
pub mod refusal;
pub mod review;
mod row_order;
mod setters;
pub(crate) mod soh;
pub mod stack;
mod stack_cells;
pub(crate) mod stat;
mod stat_labels;
pub(crate) mod table;
pub mod tolerance;
pub mod transcript;
pub(crate) mod words;
