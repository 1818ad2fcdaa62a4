//! The connection to the broker. Only this folder knows the MQTT library, Paho.
//!
//! [`session`] stands on [`connection`] (one connection of the library), [`tls`] (the certificates), [`round_trips`]
//! (which messages go together), [`reason_code`] and [`error`] (what a broker's codes mean), and, when an attempt
//! failed, on [`diagnosis`] and [`tls_probe`] (why). [`retained`] reads what the broker retains.

pub mod backoff;
pub mod client_id;
mod connection;
mod diagnosis;
pub mod error;
mod reason_code;
pub mod retained;
mod round_trips;
pub mod session;
mod tls;
mod tls_probe;
