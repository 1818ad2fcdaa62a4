//! The console's language: bytes to values, without I/O and without actix.
//!
//! [`frame`] finds an [`answer`] in the bytes, [`parsed`] hands it to the file of its [`command`]. Everything is
//! driven by headers and labels; no firmware version is ever switched on.

pub mod answer;
pub mod assemble;
pub mod bat;
mod believed;
pub mod blank;
pub mod clock;
pub mod command;
pub mod data_event;
pub mod diagnosis;
mod echo;
pub mod error;
pub mod euro;
pub mod fields;
pub mod figures;
pub mod frame;
mod growth;
pub mod help;
pub mod info;
pub mod log;
mod memory;
pub mod number;
mod numbered;
mod outside;
pub mod parsed;
pub mod prompt;
pub mod pwr_detail;
pub mod pwr_table;
pub mod recorded;
pub mod refusal;
pub mod review;
mod row_order;
mod setters;
pub mod soh;
pub mod stack;
mod stack_cells;
pub mod stat;
mod stat_labels;
pub mod table;
pub mod tolerance;
pub mod transcript;
pub mod words;
