//! The way in: a server's address, encryption, user and database, and what each of them says when it fails.
//!
//! Diesel hands a host on to libmariadb, which reads options from it where it holds a `;`. That is how a connection gets a
//! deadline and the certificate's check, host name included: neither has a setting of its own in Diesel, and its
//! `ssl_mode` does nothing with this library.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::mysql::MysqlConnection;
use diesel::prelude::*;
use diesel::result::Error;
use secrecy::{ExposeSecret, SecretString};

use super::abort::AbortHandle;
use crate::settings::endpoint::percent_encoded;
use crate::store::error::{StoreError, about_data};
use crate::store::text::one_line;

/// How long an address is looked up, and how long a server may take to say its first word.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How long another writer's lock is waited for, on rows and on the schema.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Where systems keep the certificate authorities they trust.
const AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Set for each connection, whatever the server's defaults are. The SQL dialect is the usual one (those of Oracle and
/// ANSI read our statements differently), and a value that does not fit its column is an error. Times in the table of
/// pytes_serial are the server's local times; errors are recognised by their English texts.
const MANNERS: [&str; 7] = [
    "SET sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    "SET autocommit = 1",
    "SET sql_safe_updates = 0",
    "SET sql_select_limit = DEFAULT",
    "SET time_zone = @@global.time_zone",
    "SET lc_messages = 'en_US'",
    "SET innodb_lock_wait_timeout = 10",
];

/// A server, and who we are there.
#[derive(Clone, Debug)]
pub struct Server {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// 3306 as a rule.
    pub port: u16,
    /// The user.
    pub user: String,
    /// The user's password; empty for none.
    pub password: SecretString,
    /// The database on it; it is created where it is not there and the user may do so.
    pub database: String,
    /// Whether the way is encrypted and the server's certificate checked.
    pub verify: bool,
    /// The certificates that are trusted; the system's where none.
    pub authorities: Option<PathBuf>,
    /// Whether sweeps are listed for `pwr_data`, the table of pytes_serial.
    pub legacy_table: bool,
    /// Ends calls that wait for this server.
    pub abort: AbortHandle,
}

impl Server {
    /// How it is called in messages.
    pub(super) fn name(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// A connection to the database, which is made where it is not there and that is wanted, with our manners; the
    /// schema has not been looked at.
    pub(super) fn connect(&self, may_make: bool) -> Result<MysqlConnection, StoreError> {
        let addresses = self.addresses()?;
        let before = self.abort.add(&addresses);
        let url = self.url(&addresses)?;
        let begun = Instant::now();
        let mut connection =
            MysqlConnection::establish(&url).map_err(|error| self.not_connected(&error, begun.elapsed()))?;
        self.abort.claim(&before);
        if self.verify {
            self.refuse_plain(&mut connection)?;
        }
        self.refuse_old(&mut connection)?;
        for manner in MANNERS {
            connection.batch_execute(manner).map_err(|error| self.failed(&error))?;
        }
        self.enter_database(&mut connection, may_make)?;
        Ok(connection)
    }

    /// Looks the address up on a thread of its own: the system's resolver knows no deadline.
    fn addresses(&self) -> Result<Vec<SocketAddr>, StoreError> {
        let (sender, found) = mpsc::channel();
        let (host, port) = (self.host.clone(), self.port);
        let no_address = |reason: String| StoreError::NoAddress { host: self.host.clone(), reason };
        thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(move || {
                sender.send((host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>))
            })
            .map_err(|error| no_address(error.to_string()))?;
        match found.recv_timeout(PATIENCE) {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Ok(Ok(_)) => Err(no_address("it has none".to_owned())),
            Ok(Err(error)) => Err(no_address(one_line(&error.to_string()))),
            Err(_) => Err(no_address(format!("no answer within {PATIENCE:?}"))),
        }
    }

    fn url(&self, addresses: &[SocketAddr]) -> Result<String, StoreError> {
        let (user, password) = (percent_encoded(&self.user), percent_encoded(self.password.expose_secret()));
        let port = self.port;
        if let Ok(IpAddr::V6(address)) = self.host.parse() {
            // A colon has no place among the options, so the deadline is kept by trying first.
            if self.verify {
                let reason = "the certificate of a bare IPv6 address is not checked: give the server's name"
                    .to_owned();
                return Err(StoreError::Certificate { server: self.name(), reason });
            }
            self.try_port(addresses)?;
            return Ok(format!("mysql://{user}:{password}@[{address}]:{port}/"));
        }
        let verify = u8::from(self.verify);
        let seconds = PATIENCE.as_secs();
        // By TCP also to this machine: `protocol=1`.
        let options = format!(
            "host={};protocol=1;connect-timeout={seconds};ssl-verify-server-cert={verify}",
            self.host
        );
        let authorities = if self.verify {
            format!("?ssl_ca={}", percent_encoded(&self.authorities()?.to_string_lossy()))
        } else {
            String::new()
        };
        Ok(format!("mysql://{user}:{password}@{options}:{port}/{authorities}"))
    }

    fn try_port(&self, addresses: &[SocketAddr]) -> Result<(), StoreError> {
        let mut reason = "it has no address".to_owned();
        for address in addresses {
            match TcpStream::connect_timeout(address, PATIENCE) {
                Ok(_) => return Ok(()),
                Err(error) => reason = error.to_string(),
            }
        }
        Err(StoreError::Unreachable { server: self.name(), reason })
    }

    fn authorities(&self) -> Result<&Path, StoreError> {
        let named = self.authorities.as_deref();
        let looked = || match named {
            Some(file) => file.display().to_string(),
            None => AUTHORITIES.join(", "),
        };
        let files = named.into_iter().chain(AUTHORITIES.iter().map(Path::new).filter(|_| named.is_none()));
        let found = files.into_iter().find(|file| file.is_file());
        found.ok_or_else(|| StoreError::NoAuthorities { looked: looked() })
    }

    fn not_connected(&self, error: &ConnectionError, after: Duration) -> StoreError {
        let reason = one_line(&error.to_string());
        let said = |words: &str| reason.contains(words);
        let server = self.name();
        if said("Access denied") {
            StoreError::Password { server, user: self.user.clone() }
        } else if said("does not support it") {
            StoreError::NoTls { server }
        } else if said("TLS/SSL") || said("ertificate") {
            StoreError::Certificate { server, reason }
        } else if said("initial communication packet") {
            // The library calls both by one name.
            if after < PATIENCE / 2 {
                StoreError::HungUp { server }
            } else {
                StoreError::Silent { server, after: PATIENCE }
            }
        } else {
            StoreError::Unreachable { server, reason }
        }
    }

    fn refuse_plain(&self, connection: &mut MysqlConnection) -> Result<(), StoreError> {
        let cipher = "SHOW SESSION STATUS LIKE 'Ssl_cipher'";
        let rows: Vec<Status> =
            diesel::sql_query(cipher).load(connection).map_err(|error| self.failed(&error))?;
        if rows.iter().all(|row| row.value.is_empty()) {
            return Err(StoreError::NoTls { server: self.name() });
        }
        Ok(())
    }

    fn refuse_old(&self, connection: &mut MysqlConnection) -> Result<(), StoreError> {
        let version = diesel::sql_query("SELECT VERSION() AS value").get_result::<Text>(connection);
        let found = version.map_err(|error| self.failed(&error))?.value;
        if new_enough(&found) {
            return Ok(());
        }
        Err(StoreError::TooOld { server: self.name(), found: one_line(&found) })
    }

    /// Uses the database; creates it where it is not there, that is wanted, and allowed.
    fn enter_database(&self, connection: &mut MysqlConnection, may_make: bool) -> Result<(), StoreError> {
        let name = format!("`{}`", self.database.replace('`', "``"));
        let enter = format!("USE {name}");
        let Err(error) = connection.batch_execute(&enter) else { return Ok(()) };
        let unknown = error.to_string().contains("Unknown database");
        if !unknown && !error.to_string().contains("denied") {
            return Err(self.failed(&error));
        }
        if unknown && !may_make {
            return Err(StoreError::NotThere { what: format!("{}/{}", self.name(), self.database) });
        }
        let create = format!("CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4");
        let made = connection.batch_execute(&create).and_then(|()| connection.batch_execute(&enter));
        made.map_err(|error| {
            if error.to_string().contains("denied") {
                let (server, database, user) = (self.name(), self.database.clone(), self.user.clone());
                StoreError::NoDatabase { server, database, user }
            } else {
                self.failed(&error)
            }
        })
    }

    /// What the server, or the library, said of a statement.
    pub(super) fn failed(&self, error: &Error) -> StoreError {
        let what = format!("{}/{}", self.name(), self.database);
        let reason = one_line(&error.to_string());
        let said = |words: &[&str]| words.iter().any(|words| reason.contains(words));
        match error {
            Error::SerializationError(_) | Error::QueryBuilderError(_) => StoreError::Data { what, reason },
            Error::DatabaseError(kind, _) if about_data(kind) => StoreError::Data { what, reason },
            _ if said(DATA) => StoreError::Data { what, reason },
            _ if said(LOST) => StoreError::Lost { what, reason },
            _ if said(FULL) => StoreError::Full { what },
            _ if said(LOCKED) => StoreError::Locked { what, after: LOCK_PATIENCE },
            _ if said(&["denied"]) => {
                StoreError::NoRight { database: self.database.clone(), user: self.user.clone(), reason }
            }
            _ if said(&["read-only", "read only"]) => StoreError::ReadOnly { what },
            _ => StoreError::Failed { what, reason },
        }
    }

    /// Takes the lock under which the schema is changed; it ends with the connection.
    pub(super) fn lock_schema(&self, connection: &mut MysqlConnection) -> Result<(), StoreError> {
        let query = format!("SELECT CAST(COALESCE(GET_LOCK({SCHEMA_LOCK}, ?), 0) AS SIGNED) AS value");
        let query =
            diesel::sql_query(query).bind::<diesel::sql_types::BigInt, _>(LOCK_PATIENCE.as_secs() as i64);
        let got = query.get_result::<Number>(connection).map_err(|error| self.failed(&error))?;
        if got.value == 1 {
            return Ok(());
        }
        let what = format!("the schema of {}/{}", self.name(), self.database);
        Err(StoreError::Locked { what, after: LOCK_PATIENCE })
    }

    /// Gives the lock back.
    pub(super) fn unlock_schema(&self, connection: &mut MysqlConnection) -> Result<(), StoreError> {
        let query = format!("DO RELEASE_LOCK({SCHEMA_LOCK})");
        diesel::sql_query(query).execute(connection).map(drop).map_err(|error| self.failed(&error))
    }
}

/// The name of the lock under which a schema is changed: a server has one name for all its databases.
const SCHEMA_LOCK: &str = "CONCAT('bankwatch.', LEFT(DATABASE(), 50))";

/// What a server says of values that no column takes.
const DATA: &[&str] = &[
    "Out of range value",
    "Data too long",
    "Incorrect ",
    "Data truncated",
    "cannot be null",
    "larger than max_allowed",
];

/// What the library and a server say when the connection is at its end.
const LOST: &[&str] = &[
    "Lost connection",
    "gone away",
    "Can't connect",
    "Connection was killed",
    "shutdown in progress",
    "onnection reset",
    "because of inactivity",
];

/// What a server says when its disk has no room.
const FULL: &[&str] =
    &["is full", "No more room", "No space left", "Disk full", "uota exceeded", "Disk got full"];

/// What a server says of other writers.
const LOCKED: &[&str] = &["Lock wait timeout", "Deadlock found", "try restarting transaction"];

/// Whether a server's version is MariaDB 10.3 or MySQL 8.0 at least.
fn new_enough(version: &str) -> bool {
    // Old MariaDB servers hid behind `5.5.5-` from clients that could not read two digits.
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut numbers = version.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    found >= if version.contains("MariaDB") { (10, 3) } else { (8, 0) }
}

#[derive(QueryableByName)]
struct Text {
    #[diesel(sql_type = diesel::sql_types::Text)]
    value: String,
}

#[derive(QueryableByName)]
pub(super) struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    pub(super) value: i64,
}

#[derive(QueryableByName)]
struct Status {
    #[diesel(sql_type = diesel::sql_types::Text, column_name = "Value")]
    value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_are_too_old_are_told_by_their_version() {
        for version in ["10.3.0-MariaDB", "5.5.5-10.6.4-MariaDB", "11.8.2-MariaDB-log", "8.0.39", "9.4.0"] {
            assert!(new_enough(version), "{version}");
        }
        for version in ["10.2.44-MariaDB", "5.5.5-10.1.1-MariaDB", "5.7.44", "", "MariaDB"] {
            assert!(!new_enough(version), "{version}");
        }
    }
}
