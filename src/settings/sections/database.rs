//! The history: SQLite, or MariaDB behind a journal.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;
use serde::Deserialize;

use crate::settings::check::kind::{Base, Form, Kind};
use crate::settings::endpoint::DatabaseUrl;
use crate::settings::key::Key;
use crate::settings::value::{duration, unless_blank};

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
    pub(crate) tls: Tls,
    /// Certificates that are trusted; the system's where none.
    #[serde(deserialize_with = "unless_blank")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Whether the predecessor's table `pwr_data` is written too.
    pub legacy_table: bool,
    /// How long raw rows of batteries are kept; zero: for ever.
    #[serde(deserialize_with = "duration")]
    pub(crate) retention: Duration,
    /// How long raw rows of cells are kept; zero: for ever.
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
pub enum Tls {
    /// None.
    Off,
    /// Encrypted, the server's certificate checked.
    Verify,
}

const HOUR: u64 = 3_600_000;
const CENTURY: u64 = 36_525 * 24 * HOUR;

const fn key(name: &'static str, kind: Kind, default: &'static str, why: &'static str) -> Key {
    Key { section: "database", name, kind, default, why }
}

pub(crate) const KEYS: &[Key] = &[
    key("enabled", Kind::Flag, "true", "store the history"),
    key(
        "url",
        Kind::Text(Form {
            expected: "sqlite:FILE or mysql://user@host:port/database (the password has a key of its own)",
            fits: |text| text.parse::<DatabaseUrl>().is_ok(),
        }),
        "sqlite:bankwatch.db",
        "or mysql://user@host:3306/pytes",
    ),
    key("password", Kind::Secret, "", "of the database user; or password_file"),
    key(
        "tls",
        Kind::Word(&["off", "verify"]),
        "off",
        "off or verify: encrypted, with verification of the server's certificate",
    ),
    key(
        "tls_ca",
        Kind::OptionalPath(Base::Settings),
        "",
        "file with trusted CA certificates; empty: those of the system",
    ),
    key("legacy_table", Kind::Flag, "false", "also write pwr_data, the table of pytes_serial (mysql only)"),
    key(
        "retention",
        Kind::Duration { range: HOUR..=CENTURY, off: Some("for ever") },
        "90d",
        "age of single readings when they are deleted (roll-ups stay); \"0s\": never",
    ),
    key(
        "cell_retention",
        Kind::Duration { range: HOUR..=CENTURY, off: Some("for ever") },
        "7d",
        "the same for single readings of cells",
    ),
    key(
        "journal",
        Kind::Path(Base::Data),
        "journal.db",
        "file in front of a mysql:// server: rows that it has not confirmed yet",
    ),
    key("journal_max_mb", Kind::Number(1..=1_048_576), "512", "maximum size of the journal"),
    key(
        "journal_max_age",
        Kind::Duration { range: HOUR..=CENTURY, off: None },
        "30d",
        "older rows in the journal are discarded",
    ),
];
