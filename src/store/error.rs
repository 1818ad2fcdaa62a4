//! The errors of a store: what failed, what to do, and whether to retry.

use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error};

use crate::store::text::one_line;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// An outage: retry later.
    Outside,
    /// The record is at fault: it will never be accepted.
    Data,
    /// It lasts until somebody fixes it. Rare retries show when that has happened.
    Refused,
}

/// No message contains a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error(
        "the address of the database server {host} can't be resolved ({reason}); check the host in `database.url`"
    )]
    NoAddress { host: String, reason: String },
    #[error(
        "can't connect to the database server {server}: {reason}; check host and port in `database.url`, and that the \
         server is running and listening there"
    )]
    Unreachable { server: String, reason: String },
    #[error(
        "the database server {server} accepts connections but did not respond within {after:?}; it hangs, or something \
         else is listening there"
    )]
    Silent { server: String, after: Duration },
    #[error(
        "the database server {server} closed the connection without a response; check its log, and that nothing else is \
         listening there"
    )]
    HungUp { server: String },
    #[error(
        "database login failed for user {user:?} on {server}; check `database.url` and `database.password`"
    )]
    Password { server: String, user: String },
    #[error(
        "there is no database {database:?} on {server} that the user {user:?} may use, and the user may not create it; \
         as administrator, run: CREATE DATABASE `{database}`; GRANT ALL ON `{database}`.* TO '{user}'@'%'"
    )]
    NoDatabase { server: String, database: String, user: String },
    #[error(
        "there is no history at {what} yet; the service creates it when it starts. Check `database.url`, and `data_dir` \
         for a file"
    )]
    NotThere { what: String },
    #[error("the history has no bank {bank:?}; it has: {}", list_names(.known))]
    NoBank { bank: String, known: Vec<String> },
    #[error(
        "there is no table pwr_data in {database}; `database.url` must name the database that pytes_serial wrote to"
    )]
    NoLegacyTable { database: String },
    #[error(
        "the table pwr_data in {database} has no row number to read it in batches; add one: \
         ALTER TABLE pwr_data ADD id BIGINT NOT NULL AUTO_INCREMENT UNIQUE FIRST"
    )]
    NoLegacyNumber { database: String },
    #[error(
        "the user {user:?} lacks a privilege on the database {database:?} ({reason}); as administrator, run: \
         GRANT ALL ON `{database}`.* TO '{user}'@'%'"
    )]
    NoRight { database: String, user: String, reason: String },
    #[error("the database server {server} is {found}; at least MariaDB 10.3 or MySQL 8.0 is required")]
    TooOld { server: String, found: String },
    #[error(
        "database.tls = \"verify\" requires encryption, but the server {server} does not offer it; configure a certificate \
         on the server, or set database.tls = \"off\" if the network is trusted"
    )]
    NoTls { server: String },
    #[error(
        "the certificate of the database server {server} is not trusted ({reason}); set `database.tls_ca` to the \
         certificate of the authority that signed it"
    )]
    Certificate { server: String, reason: String },
    #[error(
        "no certificate authorities found at {looked}; set `database.tls_ca` to the file with the server's authority"
    )]
    NoAuthorities { looked: String },
    #[error(
        "the database {database} has schema {found}, but this version supports schemas up to {known}; it was written by a \
         later version: install that version or a newer one"
    )]
    Newer { database: String, found: String, known: String },
    #[error("{what} is locked by another program and was not released within {after:?}")]
    Locked { what: String, after: Duration },
    #[error("no space left for {what}; free some space: until then new readings are kept in memory only")]
    Full { what: String },
    #[error("{what} is not writable; make the file and its folder writable for the user of this service")]
    ReadOnly { what: String },
    #[error(
        "{what} is damaged ({reason}); the service moves it aside and creates a new one (`sqlite3 FILE .recover` may \
         restore its contents)"
    )]
    Corrupt { what: String, reason: String },
    #[error(
        "{what} was removed, replaced or unmounted while in use; a new one is created, without the rows of the old one"
    )]
    Removed { what: String },
    #[error(
        "{what} is not a bankwatch history and was not changed; choose another file in `database.url`, or move it away"
    )]
    Foreign { what: String },
    #[error(
        "{what} can't be opened ({reason}); check that its folder exists and belongs to the user of this service"
    )]
    NotOpened { what: String, reason: String },
    #[error("the database {what} rejected a record: {reason}")]
    Data { what: String, reason: String },
    #[error("the connection to {what} was lost: {reason}")]
    Lost { what: String, reason: String },
    #[error("{what}: {reason}")]
    Failed { what: String, reason: String },
    #[error(
        "the table pwr_data of pytes_serial is on a server: expected mysql://user@host:port/database in `database.url`"
    )]
    NoLegacy,
}

impl StoreError {
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Data { .. } => ErrorClass::Data,
            Self::NoAddress { .. }
            | Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::HungUp { .. }
            | Self::Locked { .. }
            | Self::Full { .. }
            | Self::ReadOnly { .. }
            | Self::Removed { .. }
            | Self::Lost { .. }
            | Self::Failed { .. } => ErrorClass::Outside,
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
            | Self::NoLegacy => ErrorClass::Refused,
        }
    }

    /// Classifies an error of the file `what` by SQLite's message, since Diesel drops its error code.
    pub(super) fn of_sqlite(what: &str, lock_timeout: Duration, error: &Error) -> Self {
        let what = what.to_owned();
        if let Error::SerializationError(reason) | Error::QueryBuilderError(reason) = error {
            return Self::Data { what, reason: one_line(&reason.to_string()) };
        }
        let reason = one_line(&error.to_string());
        let mentions = |words: &str| reason.contains(words);
        match error {
            Error::DatabaseError(kind, _) if about_data(kind) => Self::Data { what, reason },
            _ if mentions("is full") => Self::Full { what },
            _ if mentions("locked") || mentions("busy") => Self::Locked { what, after: lock_timeout },
            _ if mentions("readonly") => Self::ReadOnly { what },
            _ if mentions("malformed") || mentions("not a database") => Self::Corrupt { what, reason },
            _ if mentions("unable to open") => Self::NotOpened { what, reason },
            _ if mentions("too big") || mentions("mismatch") => Self::Data { what, reason },
            _ => Self::Failed { what, reason },
        }
    }
}

fn list_names(names: &[String]) -> String {
    if names.is_empty() { "none yet".to_owned() } else { names.join(", ") }
}

/// Whether the row itself violates a constraint.
pub(super) fn about_data(kind: &DatabaseErrorKind) -> bool {
    matches!(
        kind,
        DatabaseErrorKind::UniqueViolation
            | DatabaseErrorKind::ForeignKeyViolation
            | DatabaseErrorKind::NotNullViolation
            | DatabaseErrorKind::CheckViolation
    )
}
