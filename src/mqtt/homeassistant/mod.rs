//! Home Assistant's MQTT discovery: which entities exist, and how they are announced, taken over from pytes_serial and
//! removed.
//!
//! ```text
//! entities (the table) ─► discovery (messages) ─► announcement_queue ─► broker
//! announced_devices (what a bank has) ─┘  ▲
//!                     leftovers: migration (pytes_serial's), cleanup (those of earlier runs)
//! ```

pub mod announced_devices;
pub(crate) mod announcement_queue;
pub mod availability;
mod cleanup;
pub mod discovery;
pub mod entities;
pub mod enum_values;
pub mod expiry;
pub(crate) mod leftovers;
pub mod legacy_discovery;
pub mod migration;
pub mod naming;
