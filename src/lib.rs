//! bankwatch polls the RS232 console of PYTES and Pylontech battery banks and publishes the readings.
//!
//! Data flows in one direction, and an actor that fails is restarted without affecting the others:
//!
//! ```text
//! console ─► SerialActor ─Transcript─► ParserActor ─BankReading─► StatsActor ─BankReport─► JsonFileActor
//!            owns the port             typed values               totals, counters    │   <bank>_status.json
//!                                                                                     └─► mqtt, history, events
//! ```
//! The modules are listed from plain values to the process; `tests/it/project/imports.rs` checks which may import
//! which.

// These are comments because the documentation of each module is in its own file.

// Plain values: units, readings, facts, statistics.
mod model;

// The protocol of the console: bytes to values.
mod console;

// The connection to a console: serial, TCP, RFC 2217, replay.
mod link;

// Values derived from many sweeps: counters, plausibility, health, time to go.
mod stats;

// Which commands are sent when, and how.
mod sweep;

// The settings: sections, layers, `pytes_serial.cfg`.
mod settings;

// Turns readings into events, and writes the event log.
mod events;

// The status document of a bank, as JSON and as a table.
mod status;

// A simulated bank, for demonstrations and tests.
mod simulator;

// The log: one line per record.
mod logging;

// Reports an outage in a few log lines.
mod outage;

// Permissions of new files.
mod file_mode;

// Replaces a file atomically.
mod atomic_file;

// Restarts actors in place; independent of batteries.
mod supervise;

// Notifications to systemd.
mod systemd;

// Publishes to an MQTT broker and to Home Assistant.
mod mqtt;

// The history in SQLite or MariaDB, and the journal in front of MariaDB.
mod store;

// Messages between actors.
mod messages;

// The actors, one thin file each.
mod actors;

// The supervision tree: which actors exist and how they are connected.
mod app;

// The subcommands.
mod cli;

pub use self::cli::run;

/// The modules of this crate, for its own tests and benchmarks. There is no stability promise.
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
