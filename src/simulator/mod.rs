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
pub use faults::{BadFaultRate, Damage, Fault, FaultRate, Faults};
pub use physics::bank::{Bank, BankPlan};
pub use physics::battery::{BaseState, Battery, Counters, LogRecord, Word};
pub use printed::{CellRow, Detail, LogEntry, Said, Snapshot, StackRow, TableRow, Truth, UnitRow, Values};
pub use server::handle::SimulatorHandle;
pub use simulation::{Simulation, StartError};
