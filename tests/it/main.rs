//! Tests within one process: every room of the crate, without a server or a broker.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod console;
mod events;
mod link;
mod logging;
mod mqtt;
mod project;
mod settings;
mod simulator;
mod stats;
mod status;
mod store;
mod supervise;
