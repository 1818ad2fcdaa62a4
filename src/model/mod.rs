//! Plain values: units, readings, statistics. No I/O, no actix, no clock, and nothing of ours is imported.

pub mod event_word;
pub mod place;
pub mod units;
pub mod word;
