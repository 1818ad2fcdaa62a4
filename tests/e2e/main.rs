//! Tests with the real program, brokers, database servers and network bridges.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod cli;
mod link;
mod mqtt;
mod previous_version;
mod service;
mod stats;
mod status;
mod store;
