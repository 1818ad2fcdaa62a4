//! Why a store can't do what it is asked: which it is, how to mend it, and whether to try again.

use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error};

use crate::store::text::one_line;

/// What is to be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The world outside: try the same again later.
    Outside,
    /// The record itself: it will never be taken.
    Data,
    /// It stays so until somebody mends it. Trying again, rarely, shows when that has happened.
    Refused,
}

/// Why a store can't do what it is asked. No text holds a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the sentences say what the fields are")]
pub enum StoreError {
    #[error(
        "no address is known for the database server {host} ({reason}); check the host in database.url, or write its address"
    )]
    NoAddress { host: String, reason: String },
    #[error(
        "no connection to the database server {server}: {reason}; check host and port in database.url, and that the server runs and listens there"
    )]
    Unreachable { server: String, reason: String },
    #[error(
        "the database server {server} accepts connections but said nothing within {after:?}; it hangs, or something else listens there"
    )]
    Silent { server: String, after: Duration },
    #[error(
        "the database server {server} closed the connection before it said a word; its log says why, or something else listens there"
    )]
    HungUp { server: String },
    #[error(
        "the database server {server} does not accept the user {user:?} with this password; check the user in database.url, and database.password"
    )]
    Password { server: String, user: String },
    #[error(
        "there is no database {database:?} on {server} that the user {user:?} may use, and it may not create one; as its administrator: CREATE DATABASE `{database}`; GRANT ALL ON `{database}`.* TO '{user}'@'%'"
    )]
    NoDatabase { server: String, database: String, user: String },
    #[error(
        "there is no history at {what} yet: the service makes it at its start; check database.url, and data_dir for a file"
    )]
    NotThere { what: String },
    #[error("the history has no bank {bank:?}; it has: {}", listed(.known))]
    NoBank { bank: String, known: Vec<String> },
    #[error(
        "there is no table pwr_data in {database}; database.url must name the database that pytes_serial wrote to"
    )]
    NoLegacyTable { database: String },
    #[error(
        "the table pwr_data in {database} has no column that numbers its rows, by which they are read in portions; add one: ALTER TABLE pwr_data ADD id BIGINT NOT NULL AUTO_INCREMENT UNIQUE FIRST"
    )]
    NoLegacyNumber { database: String },
    #[error(
        "the user {user:?} lacks a right in the database {database:?} ({reason}); as its administrator: GRANT ALL ON `{database}`.* TO '{user}'@'%'"
    )]
    NoRight { database: String, user: String, reason: String },
    #[error("the database server {server} is {found}; at least MariaDB 10.3 or MySQL 8.0 is needed")]
    TooOld { server: String, found: String },
    #[error(
        "database.tls = \"verify\" asks for encryption, and the server {server} offers none; set its certificate up, or database.tls = \"off\" where the way to it is safe"
    )]
    NoTls { server: String },
    #[error(
        "the certificate of the database server {server} is not trusted ({reason}); database.tls_ca names the authority that signed it"
    )]
    Certificate { server: String, reason: String },
    #[error(
        "no certificate authorities were found at {looked}; database.tls_ca names the file that holds the server's"
    )]
    NoAuthorities { looked: String },
    #[error(
        "the database {database} has the schema {found}, and this version knows none past {known}: it was written by a later version, which has to be used with it"
    )]
    Newer { database: String, found: String, known: String },
    #[error("{what} is locked by another program and did not become free within {after:?}")]
    Locked { what: String, after: Duration },
    #[error(
        "there is no space left for {what}; make room: until then the newest readings are kept in memory alone"
    )]
    Full { what: String },
    #[error(
        "{what} can't be written to; make it writable to the user of this service, also the folder it lies in"
    )]
    ReadOnly { what: String },
    #[error(
        "{what} is damaged ({reason}); the service moves it aside and creates a new one (sqlite3 FILE .recover may save its contents)"
    )]
    Corrupt { what: String, reason: String },
    #[error(
        "{what} was removed, replaced or unmounted while it was in use; a new one is created, and the rows of the old one are not in it"
    )]
    Removed { what: String },
    #[error(
        "{what} is not a history of bankwatch and was not changed; choose another file in database.url, or move it away"
    )]
    Foreign { what: String },
    #[error(
        "{what} can't be opened ({reason}); check that its folder exists and belongs to the user of this service"
    )]
    NotOpened { what: String, reason: String },
    #[error("the database {what} does not take this: {reason}")]
    Data { what: String, reason: String },
    #[error("the connection to {what} was lost: {reason}")]
    Lost { what: String, reason: String },
    #[error("{what}: {reason}")]
    Failed { what: String, reason: String },
    #[error(
        "the predecessor's table pwr_data lies on a server: expected mysql://user@host:port/database in database.url"
    )]
    NoLegacy,
}

impl StoreError {
    /// What is to be done about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Data { .. } => Class::Data,
            Self::NoAddress { .. }
            | Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::HungUp { .. }
            | Self::Locked { .. }
            | Self::Full { .. }
            | Self::ReadOnly { .. }
            | Self::Removed { .. }
            | Self::Lost { .. }
            | Self::Failed { .. } => Class::Outside,
            Self::Password { .. }
            | Self::NoDatabase { .. }
            | Self::NotThere { .. }
            | Self::NoBank { .. }
            | Self::NoLegacyTable { .. }
            | Self::NoLegacyNumber { .. }
            | Self::NoRight { .. }
            | Self::TooOld { .. }
            | Self::NoTls { .. }
            | Self::Certificate { .. }
            | Self::NoAuthorities { .. }
            | Self::Newer { .. }
            | Self::Corrupt { .. }
            | Self::Foreign { .. }
            | Self::NotOpened { .. }
            | Self::NoLegacy => Class::Refused,
        }
    }

    /// What SQLite said of the file `what`.
    pub(super) fn of_sqlite(what: &str, patience: Duration, error: &Error) -> Self {
        let what = what.to_owned();
        if let Error::SerializationError(reason) | Error::QueryBuilderError(reason) = error {
            return Self::Data { what, reason: one_line(&reason.to_string()) };
        }
        let reason = one_line(&error.to_string());
        let said = |words: &str| reason.contains(words);
        match error {
            Error::DatabaseError(kind, _) if about_data(kind) => Self::Data { what, reason },
            _ if said("is full") => Self::Full { what },
            _ if said("locked") || said("busy") => Self::Locked { what, after: patience },
            _ if said("readonly") => Self::ReadOnly { what },
            _ if said("malformed") || said("not a database") => Self::Corrupt { what, reason },
            _ if said("unable to open") => Self::NotOpened { what, reason },
            _ if said("too big") || said("mismatch") => Self::Data { what, reason },
            _ => Self::Failed { what, reason },
        }
    }
}

/// Names for people.
fn listed(names: &[String]) -> String {
    if names.is_empty() { "none yet".to_owned() } else { names.join(", ") }
}

/// Constraints that a row breaks by itself.
pub(super) fn about_data(kind: &DatabaseErrorKind) -> bool {
    matches!(
        kind,
        DatabaseErrorKind::UniqueViolation
            | DatabaseErrorKind::ForeignKeyViolation
            | DatabaseErrorKind::NotNullViolation
            | DatabaseErrorKind::CheckViolation
    )
}
