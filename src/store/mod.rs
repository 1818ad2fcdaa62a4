//! The history: what is kept of every reading, and where until it is there.

pub mod clock_gate;
pub mod journal;
