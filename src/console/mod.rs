//! The console's language: bytes to values, without I/O and without actix.
//!
//! [`framing`] finds an answer in the bytes, [`answers`] reads it with the [parsers](parsing) for tables and labels,
//! [`validation`] decides whether to accept it or to ask again, and [`assemble`] joins the answers of a sweep to a
//! reading. Everything is driven by headers and labels; no firmware version is ever switched on.

pub mod answers;
pub mod assemble;
pub mod command;
pub mod diagnosis;
pub mod error;
pub mod framing;
pub mod parsing;
pub mod redact;
pub mod transcript;
pub mod validation;
pub mod word_slot;
