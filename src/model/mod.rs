//! Plain values: units, readings, facts, statistics, events. No I/O, no actix, no clock, and nothing of ours is imported.

pub(crate) mod beat;
pub mod event;
pub mod event_word;
pub mod facts;
pub mod health;
pub mod identity;
pub mod insight;
pub mod lifetime;
pub mod memory;
pub(crate) mod pace;
pub mod place;
pub mod reading;
pub mod report;
pub mod statistics;
pub mod trend;
pub mod units;
pub mod withheld;
pub mod word;
