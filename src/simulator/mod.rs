//! A bank that lives: physics, dialects, faults. For tests, for the demo, and for trying things without a
//! battery in the cellar.
//!
//! ```text
//! house ─► bank ─► battery ─► cell      what happens
//!           │
//!        dialect ─► console             how it is said, to the byte; what was said stays known
//!                      │
//!        faults ─► session ─► server ─► line: pseudo-terminal, TCP or RFC 2217, each at its speed
//! ```
//! [`Simulation`] plans and starts one, [`SimulatorHandle`] watches and disturbs it, [`Console`] is the same
//! without any I/O.

mod bank;
mod battery;
mod cell;
mod console;
mod dialect;
mod faults;
mod house;
mod line;
mod rfc2217;
mod said;
mod server;
mod session;
mod simulation;
mod speed;

pub use bank::{Bank, BankPlan};
pub use battery::{BaseState, Battery, Counters, LogRecord, Word};
pub use console::Console;
pub use dialect::{Dialect, EventStyle, UnknownDialect};
pub use faults::{BadFaultRate, Damage, Fault, FaultRate, Faults};
pub use said::{CellRow, Detail, LogEntry, Said, Snapshot, StackRow, TableRow, Truth, UnitRow, Values};
pub use server::SimulatorHandle;
pub use simulation::{Simulation, StartError};
