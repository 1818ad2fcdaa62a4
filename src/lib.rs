//! bankwatch reads the console of PYTES and PYLONTECH battery banks and tells the rest of the house.
//!
//! Data flows one way, and whatever breaks is restarted without the others noticing:
//!
//! ```text
//! console ─► SerialActor ─Transcript─► ParserActor ─BankReading─► StatsActor ─BankReport─► JsonFileActor
//!            owns the port             typed values               totals, counters    │   <bank>_status.json
//!                                                                                     └─► mqtt, history, events
//! ```
//! The rooms, from plain values inside to the process outside; `tests/it/project/imports.rs` holds who may know whom.

// Remarks, not documentation: a module's own begins its file, and its links lead from there.

// Plain values: units, readings, facts, statistics.
pub mod model;

// The console's language: bytes to values.
pub mod console;

// The way to a console: bytes in, bytes out.
pub mod link;

// What many sweeps tell: counters, plausibility, health, time to go.
pub mod stats;

// What is asked when, and the conversation that asks it.
pub mod sweep;

// The settings: sections, layers, the predecessor's file.
pub mod settings;

// What readings mean as events: what begins, what ends, and what is written of it.
pub mod events;

// The status document of a bank, as JSON and as a table.
pub mod status;

// A bank that lives, for demonstrations and tests.
pub mod simulator;

// One log line an event.
pub mod logging;

// Trouble that lasts, told on change and at a decreasing pace.
pub mod trouble;

// The permissions of the files that are made.
pub mod file_mode;

// Files that are replaced as a whole.
pub mod atomic_file;

// Actors that are restarted in place; knows actix and nothing of batteries.
pub mod supervise;

// What systemd is told.
pub mod systemd;

// What is said to a broker and to Home Assistant.
pub mod mqtt;

// The history in SQLite or MariaDB, and the journal in front of the latter.
pub mod store;

// What crosses actors.
pub mod messages;

// The actors: one file each, thin.
pub mod actors;

// The tree: the list of children and who feeds whom.
pub mod app;

// The verbs of the command line.
pub mod cli;
