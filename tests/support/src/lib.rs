//! Shared by the tests and the benchmarks.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

pub mod actors;
pub mod bank;
pub mod broker;
pub mod captures;
pub mod certificates;
pub mod chain;
pub mod damage_stats;
pub mod expected;
pub mod faulty_actor;
pub mod figures;
pub mod framed_answers;
pub mod history;
pub mod journal;
pub mod lines;
pub mod listener;
pub mod mariadb;
pub mod model;
pub mod module_graph;
pub mod mqtt;
pub mod mqtt_scripted;
pub mod mqtt_service;
pub mod observed_values;
pub mod own_process;
pub mod paths;
pub mod payload_fixture;
pub mod program;
pub mod proxy;
pub mod pytes_serial;
pub mod reports;
pub mod scripted;
pub mod service;
pub mod settings;
pub mod simulated_years;
pub mod small_disk;
pub mod source;
pub mod sweep_runner;
pub mod sweeps;
pub mod systemd;
pub mod tcp_gate;
pub mod terminal;
pub mod until;
