//! The broker and what is said to it.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;
use serde::Deserialize;

use crate::settings::check::kind::{ANY_TEXT, NON_EMPTY_TEXT, PathBase, SettingKind, TextFormat};
use crate::settings::endpoint::MqttUrl;
use crate::settings::key::SettingDef;
use crate::settings::value::{AutoOr, auto_or_duration, auto_or_text, duration, non_empty};

/// The broker and what is said to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttSettings {
    /// Whether there is one.
    pub enabled: bool,
    /// Where it is.
    pub url: MqttUrl,
    /// What is spoken with it.
    pub version: MqttVersion,
    /// Empty for none.
    pub username: String,
    /// Empty for none.
    pub password: SecretString,
    /// The name under which the broker knows us; made of the host's name and the banks' unless given.
    #[serde(deserialize_with = "auto_or_text")]
    pub client_id: AutoOr<String>,
    /// The names of the banks, of which the automatic client id is made.
    #[serde(skip)]
    pub banks: Vec<String>,
    /// Certificates that are trusted; the system's where none.
    #[serde(deserialize_with = "non_empty")]
    pub ca_file: Option<PathBuf>,
    /// Our certificate.
    #[serde(deserialize_with = "non_empty")]
    pub client_cert_file: Option<PathBuf>,
    /// Its key.
    #[serde(deserialize_with = "non_empty")]
    pub client_key_file: Option<PathBuf>,
    /// How often state goes out at most; zero: each reading.
    #[serde(deserialize_with = "duration")]
    pub publish_interval: Duration,
    /// First level of our own topics.
    pub base_topic: String,
    /// Where the JSON file's content goes, `{bank}` standing for the bank's name; none: nowhere.
    #[serde(deserialize_with = "non_empty")]
    pub state_topic: Option<String>,
    /// Whether each value also goes to the predecessor's topic.
    pub legacy_topics: bool,
    /// Whether Home Assistant is told what there is.
    pub discovery: bool,
    /// First level of Home Assistant's discovery topics.
    pub discovery_prefix: String,
    /// After what silence Home Assistant calls a value unavailable.
    #[serde(deserialize_with = "auto_or_duration")]
    pub expire_after: AutoOr<Duration>,
}

/// Versions of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum MqttVersion {
    /// MQTT 5.
    #[serde(rename = "5")]
    V5,
    /// MQTT 3.1.1.
    #[serde(rename = "3.1.1")]
    V311,
}

const DAY: u64 = 86_400_000;

const fn key(
    name: &'static str,
    kind: SettingKind,
    default: &'static str,
    description: &'static str,
) -> SettingDef {
    SettingDef { section: "mqtt", name, kind, default, description }
}

/// The levels under which we publish: no wildcards, no empty level at either end.
const TOPIC: TextFormat = TextFormat {
    expected: "a topic such as \"bankwatch\", without + and #, not beginning or ending with /",
    fits: |text| !text.is_empty() && is_topic(text),
};

fn is_topic(text: &str) -> bool {
    !text.contains(['+', '#', '\0']) && !text.starts_with('/') && !text.ends_with('/')
}

pub(crate) const KEYS: &[SettingDef] = &[
    key("enabled", SettingKind::Bool, "false", "publish to an MQTT broker"),
    key(
        "url",
        SettingKind::Text(TextFormat {
            expected: "mqtt://host:port or mqtts://host:port (username and password have keys of their own)",
            fits: |text| text.parse::<MqttUrl>().is_ok(),
        }),
        "mqtt://localhost:1883",
        "mqtts:// for TLS",
    ),
    key("version", SettingKind::Choice(&["5", "3.1.1"]), "5", "5 or 3.1.1"),
    key("username", SettingKind::Text(ANY_TEXT), "", "empty: none"),
    key("password", SettingKind::Secret, "", "or password_file"),
    key(
        "client_id",
        SettingKind::Text(NON_EMPTY_TEXT),
        "auto",
        "auto: bankwatch-<hostname>-<hash of the bank names>; must be unique at the broker",
    ),
    key(
        "ca_file",
        SettingKind::OptionalPath(PathBase::Settings),
        "",
        "file with trusted CA certificates; empty: those of the system",
    ),
    key(
        "client_cert_file",
        SettingKind::OptionalPath(PathBase::Settings),
        "",
        "client certificate, for brokers that require one",
    ),
    key(
        "client_key_file",
        SettingKind::OptionalPath(PathBase::Settings),
        "",
        "private key of the client certificate",
    ),
    key(
        "publish_interval",
        SettingKind::Duration { range: 100..=DAY, off: Some("each reading") },
        "10s",
        "minimum time between state messages; \"0s\": publish each reading",
    ),
    key("base_topic", SettingKind::Text(TOPIC), "bankwatch", "first level of the topics of bankwatch"),
    key(
        "state_topic",
        SettingKind::Text(TextFormat {
            expected: "a topic without + and #, or \"\" for none",
            fits: is_topic,
        }),
        "homeassistant/sensor/{bank}/state",
        "content of the JSON file, at each full reading; \"\": off",
    ),
    key(
        "legacy_topics",
        SettingKind::Bool,
        "false",
        "also publish the topics of pytes_serial, one per value",
    ),
    key("discovery", SettingKind::Bool, "true", "publish Home Assistant discovery messages"),
    key("discovery_prefix", SettingKind::Text(TOPIC), "homeassistant", "first level of the discovery topics"),
    key(
        "expire_after",
        SettingKind::Auto(&SettingKind::Duration { range: 1000..=30 * DAY, off: None }),
        "auto",
        "auto: max(60 s, 3 × interval, 3 × publish_interval); more for rarely queried values",
    ),
];
