//! The simulated battery bank: cells, batteries, the bank itself, and the household that charges and discharges it.

pub(super) mod bank;
pub(super) mod battery;
mod cell;
mod household;
