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

mod console;
mod dialect;
mod faults;
mod physics;
mod printed;
mod server;
mod simulation;

pub use console::Console;
pub use dialect::{Dialect, EventStyle, UnknownDialect};
pub use faults::{Damage, FaultKind, FaultRate, FaultRateError, Faults};
pub use physics::bank::{BankPlan, SimulatedBank};
pub use physics::battery::{BaseState, BatteryLogRecord, EventWordKind, SimulatedBattery, SimulatedCounters};
pub use printed::{
    AnswerHistory, PrintedAnswer, PrintedCellRow, PrintedDetail, PrintedLogRecord, PrintedSnapshot,
    PrintedStackRow, PrintedTableRow, PrintedUnitRow, PrintedValues,
};
pub use server::handle::SimulatorHandle;
pub use simulation::{Simulation, StartError};
