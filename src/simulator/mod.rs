//! A simulated battery bank with the console dialects of real models, and with faults. For tests, for the demo, and for
//! trying bankwatch without a battery.
//!
//! ```text
//! physics: household ─► bank ─► battery ─► cell      the values
//!                        │
//!                     dialect ─► console             printed byte for byte, and recorded for tests
//!                                   │
//!                     faults ─► session ─► handle ─► transport: pseudo-terminal, TCP or RFC 2217
//! ```
//! [`Simulation`] configures and starts a simulation, [`SimulatorHandle`] controls it, [`Console`] is the console
//! without I/O.
#![cfg_attr(not(feature = "internals"), allow(dead_code, reason = "tests use more of it than the program"))]

mod console;
mod dialect;
mod faults;
mod physics;
mod printed;
mod server;
mod simulation;

pub use dialect::{Dialect, EventStyle, UnknownDialect};
pub use faults::{FaultRate, Faults};
pub use physics::battery::EventWordKind;
pub use simulation::Simulation;
#[cfg(feature = "internals")]
pub use {
    console::Console,
    faults::{Damage, FaultKind, FaultRateError},
    physics::bank::{BankPlan, SimulatedBank},
    physics::battery::{BaseState, BatteryLogRecord, SimulatedBattery, SimulatedCounters},
    printed::{
        AnswerHistory, PrintedAnswer, PrintedCellRow, PrintedDetail, PrintedLogRecord, PrintedSnapshot,
        PrintedStackRow, PrintedTableRow, PrintedUnitRow, PrintedValues,
    },
    server::handle::SimulatorHandle,
    simulation::StartError,
};
