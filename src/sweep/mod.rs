//! One sweep after the other: the plan of what to ask, the conversation over a link, and the sweep that joins
//! them into a transcript.

pub mod client;
pub mod poll_plan;
pub mod sweeper;
pub mod wake;
