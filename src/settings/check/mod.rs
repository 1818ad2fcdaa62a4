//! Checks each value by itself and all of them together, and describes what is wrong.

pub(crate) mod conflicts;
pub(crate) mod kind;
pub(crate) mod problem;
