//! The settings: typed sections, and the layers that their values come from.
//!
//! ```text
//! defaults < FILE < options.json < credentials < variables < command line
//!  sections   toml_file │ pytes_serial    environment          │
//!             options_file │   …                               │
//!                     └────────────── layers (figment) ────────┴──► extract ──► Settings
//! ```
//! A section is one file in [`sections`]: its struct, and a table with its keys.

pub(crate) mod change;
mod check;
pub(crate) mod endpoint;
pub mod key;
mod load;
pub(crate) mod lookup;
pub mod render;
pub mod sections;
mod sources;
mod value;

pub use self::check::problem::SettingsError;
#[cfg(feature = "internals")]
pub use self::check::problem::{ProblemKind, SettingsProblem};
pub use self::endpoint::DatabaseUrl;
#[cfg(feature = "internals")]
pub use self::endpoint::MqttUrl;
pub use self::load::{LoadedSettings, load};
pub use self::sections::Settings;
pub use self::sections::bank::{BankSettings, BatteryCount, CellLevel, ExpectedCounts, LineEnd, WakeMode};
pub use self::sections::database::DatabaseSettings;
#[cfg(feature = "internals")]
pub use self::sections::database::DatabaseTls;
#[cfg(feature = "internals")]
pub use self::sections::events::{EventLevel, EventSettings};
pub use self::sections::json_file::JsonFileSettings;
pub use self::sections::log::{LogFormat, LogLevel, LogSettings};
pub use self::sections::mqtt::{MqttSettings, MqttVersion};
pub use self::sources::Sources;
#[cfg(feature = "internals")]
pub use self::sources::layer::PytesSerialFile;
#[cfg(feature = "internals")]
pub use self::sources::layers::Layers;
pub use self::sources::pytes_serial::is_pytes_serial_file;
pub(crate) use self::sources::text_file::read_text;
pub use self::value::AutoOr;
