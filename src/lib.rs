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
mod model;

// The console's language: bytes to values.
mod console;

// The way to a console: bytes in, bytes out.
mod link;

// What many sweeps tell: counters, plausibility, health, time to go.
mod stats;

// What is asked when, and the conversation that asks it.
mod sweep;

// The settings: sections, layers, the predecessor's file.
mod settings;

// What readings mean as events: what begins, what ends, and what is written of it.
mod events;

// The status document of a bank, as JSON and as a table.
mod status;

// A bank that lives, for demonstrations and tests.
mod simulator;

// One log line an event.
mod logging;

// Trouble that lasts, told on change and at a decreasing pace.
mod outage;

// The permissions of the files that are made.
mod file_mode;

// Files that are replaced as a whole.
mod atomic_file;

// Actors that are restarted in place; knows actix and nothing of batteries.
mod supervise;

// What systemd is told.
mod systemd;

// What is said to a broker and to Home Assistant.
mod mqtt;

// The history in SQLite or MariaDB, and the journal in front of the latter.
mod store;

// What crosses actors.
mod messages;

// The actors: one file each, thin.
mod actors;

// The tree: the list of children and who feeds whom.
mod app;

// The verbs of the command line.
mod cli;

pub use self::cli::run;

/// The crate's inside, for its own tests and benchmarks: no promise to anybody else.
#[cfg(feature = "internals")]
pub mod internals {
    macro_rules! export {
        ($($room:ident)*) => {
            $(pub mod $room {
                pub use crate::$room::*;
            })*
        };
    }

    export! {
        model
        console
        link
        stats
        sweep
        settings
        events
        status
        simulator
        logging
        outage
        atomic_file
        supervise
        mqtt
        store
        messages
        actors
        app
        cli
    }
}
