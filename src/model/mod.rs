//! Plain data types: units, readings, facts, statistics, events. No I/O, no actors, no clock, and no dependency on
//! other modules of the crate.

pub(crate) mod charge_rate;
pub mod derived;
pub mod device_log;
pub mod event;
pub mod event_word;
pub mod facts;
pub mod health;
pub mod identity;
pub mod lifetime;
pub(crate) mod observed_interval;
pub mod place;
pub mod reading;
pub mod report;
pub mod statistics;
pub mod trend;
pub mod units;
pub mod withheld;
pub mod word;
