//! The settings of each section: a struct with its values, and a table that describes each of its keys.

pub(crate) mod bank;
pub(crate) mod database;
pub(crate) mod events;
mod general;
pub(crate) mod http;
pub(crate) mod json_file;
pub(crate) mod log;
pub(crate) mod mqtt;

use std::path::PathBuf;

use crate::settings::key::SettingDef;
use crate::settings::sections::bank::BankSettings;
use crate::settings::sections::database::DatabaseSettings;
use crate::settings::sections::events::EventSettings;
use crate::settings::sections::http::HttpSettings;
use crate::settings::sections::json_file::JsonFileSettings;
use crate::settings::sections::log::LogSettings;
use crate::settings::sections::mqtt::MqttSettings;

/// All settings, in the order in which people read them.
pub static SECTIONS: &[&[SettingDef]] = &[
    general::KEYS,
    bank::KEYS,
    json_file::KEYS,
    database::KEYS,
    mqtt::KEYS,
    events::KEYS,
    http::KEYS,
    log::KEYS,
];

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
