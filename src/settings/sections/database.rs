//! The history: SQLite, or MariaDB behind a journal.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;
use serde::Deserialize;

use crate::settings::check::kind::{PathBase, SettingKind, TextFormat};
use crate::settings::endpoint::DatabaseUrl;
use crate::settings::key::SettingDef;
use crate::settings::value::{duration, non_empty};

/// The history.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// Whether there is one.
    pub enabled: bool,
    /// Which.
    pub url: DatabaseUrl,
    /// Of a server's user; empty for none.
    pub password: SecretString,
    /// Encryption of the way to a server.
    pub(crate) tls: DatabaseTls,
    /// Certificates that are trusted; the system's where none.
    #[serde(deserialize_with = "non_empty")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Whether the predecessor's table `pwr_data` is written too.
    pub legacy_table: bool,
    /// How long raw rows of batteries are kept; zero: forever.
    #[serde(deserialize_with = "duration")]
    pub(crate) retention: Duration,
    /// How long raw rows of cells are kept; zero: forever.
    #[serde(deserialize_with = "duration")]
    pub(crate) cell_retention: Duration,
    /// The file that holds what a server has not confirmed.
    pub journal: PathBuf,
    /// The journal's largest size in megabytes.
    pub(crate) journal_max_mb: u64,
    /// The age at which journalled rows are given up.
    #[serde(deserialize_with = "duration")]
    pub(crate) journal_max_age: Duration,
}

/// Encryption of the way to a database server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseTls {
    /// None.
    Off,
    /// Encrypted, the server's certificate checked.
    Verify,
}

const HOUR: u64 = 3_600_000;
const CENTURY: u64 = 36_525 * 24 * HOUR;

const fn key(
    name: &'static str,
    kind: SettingKind,
    default: &'static str,
    description: &'static str,
) -> SettingDef {
    SettingDef { section: "database", name, kind, default, description }
}

pub(crate) const KEYS: &[SettingDef] = &[
    key("enabled", SettingKind::Bool, "true", "store the history"),
    key(
        "url",
        SettingKind::Text(TextFormat {
            expected: "sqlite:FILE or mysql://user@host:port/database (the password has a key of its own)",
            fits: |text| text.parse::<DatabaseUrl>().is_ok(),
        }),
        "sqlite:bankwatch.db",
        "or mysql://user@host:3306/pytes",
    ),
    key("password", SettingKind::Secret, "", "of the database user; or password_file"),
    key(
        "tls",
        SettingKind::Choice(&["off", "verify"]),
        "off",
        "off or verify: encrypted, with verification of the server's certificate",
    ),
    key(
        "tls_ca",
        SettingKind::OptionalPath(PathBase::Settings),
        "",
        "file with trusted CA certificates; empty: those of the system",
    ),
    key(
        "legacy_table",
        SettingKind::Bool,
        "false",
        "also write pwr_data, the table of pytes_serial (mysql only)",
    ),
    key(
        "retention",
        SettingKind::Duration { range: HOUR..=CENTURY, off: Some("forever") },
        "90d",
        "age at which single readings are deleted (roll-ups stay); \"0s\": never",
    ),
    key(
        "cell_retention",
        SettingKind::Duration { range: HOUR..=CENTURY, off: Some("forever") },
        "7d",
        "the same for single readings of cells",
    ),
    key(
        "journal",
        SettingKind::Path(PathBase::Data),
        "journal.db",
        "file with the rows that a mysql:// server has not confirmed yet",
    ),
    key("journal_max_mb", SettingKind::Number(1..=1_048_576), "512", "maximum size of the journal"),
    key(
        "journal_max_age",
        SettingKind::Duration { range: HOUR..=CENTURY, off: None },
        "30d",
        "older rows in the journal are discarded",
    ),
];
