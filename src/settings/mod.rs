//! What the operator wants: sections of plain values, and the layers they come from.
//!
//! ```text
//! defaults < FILE < options.json < credentials < variables < command line
//!    key      toml_file │ pytes_serial    environment          │
//!             options_file │   …                               │
//!                     └────────────── layers (figment) ────────┴──► extract ──► Settings
//! ```
//! A section is one file: its struct and its rows of the table in [`key`].

use std::path::PathBuf;

pub(crate) mod bank;
pub(crate) mod change;
mod conflict;
mod data_volume;
pub(crate) mod database;
pub(crate) mod endpoint;
mod environment;
pub(crate) mod events;
mod general;
pub(crate) mod http;
mod ini;
pub(crate) mod json_file;
pub mod key;
pub(crate) mod kind;
mod layer;
mod layers;
mod load;
pub(crate) mod log;
pub(crate) mod mqtt;
mod options_file;
mod problem;
mod pytes_serial;
pub mod render;
mod sources;
mod toml_file;
mod tree;
mod value;

pub use bank::{BankSettings, Batteries, CellLevel, Expected, LineEnd, Wake};
pub use database::{DatabaseSettings, Tls};
pub use endpoint::{DatabaseUrl, MqttUrl};
pub use events::{EventLevel, EventSettings};
pub(crate) use http::HttpSettings;
pub use json_file::JsonFileSettings;
pub(crate) use layer::read_text;
pub use layers::Layers;
pub use load::{Loaded, load};
pub use log::{LogFormat, LogLevel, LogSettings};
pub use mqtt::{MqttSettings, MqttVersion};
pub use problem::{Problem, SettingsError, Trouble};
pub use pytes_serial::{PytesSerialFile, is_its_file};
pub use sources::Sources;
pub use value::AutoOr;

/// All settings, checked; every path in them is ready to be opened.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where counters, database and journal lie.
    pub data_dir: PathBuf,
    /// The banks, in the order of the settings.
    pub banks: Vec<BankSettings>,
    /// The file with the latest reading.
    pub json_file: JsonFileSettings,
    /// The history.
    pub database: DatabaseSettings,
    /// The broker.
    pub mqtt: MqttSettings,
    /// Events.
    pub events: EventSettings,
    /// Page, API and metrics.
    pub http: HttpSettings,
    /// The service's own log.
    pub log: LogSettings,
}
