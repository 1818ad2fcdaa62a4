//! Connects to a server, and classifies the errors of the library and the server.
//!
//! Diesel passes the host to libmariadb, which parses options from it if it contains a `;`. This sets the connect
//! timeout and the verification of the certificate with its host name: Diesel has no setting for either, and its
//! `ssl_mode` has no effect with this library.

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

use crate::settings::endpoint::percent_encode;
use crate::store::error::{StoreError, about_data};
use crate::store::mariadb::abort::AbortHandle;
use crate::store::text::one_line;

/// The timeout for resolving an address, and for the server's first response.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The timeout for another writer's lock on rows or on the schema.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Where systems store their trusted certificate authorities.
const AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Set for each connection, regardless of the server's defaults. The Oracle and ANSI modes would parse our statements
/// differently, and a value that does not fit its column must be an error. Times in the table of pytes_serial are local
/// times of the server; errors are recognised by their English messages.
const SESSION_SETTINGS: [&str; 7] = [
    "SET sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    "SET autocommit = 1",
    "SET sql_safe_updates = 0",
    "SET sql_select_limit = DEFAULT",
    "SET time_zone = @@global.time_zone",
    "SET lc_messages = 'en_US'",
    "SET innodb_lock_wait_timeout = 10",
];

/// A server, and the account on it.
#[derive(Clone, Debug)]
pub struct DatabaseServer {
    /// A name or address; IPv6 without brackets.
    pub host: String,
    pub port: u16,
    pub user: String,
    /// Empty for none.
    pub password: SecretString,
    /// Created if it does not exist and the user may create it.
    pub database: String,
    /// Whether the connection is encrypted and the server's certificate verified.
    pub verify: bool,
    /// The trusted certificates; `None`: the system's.
    pub authorities: Option<PathBuf>,
    /// Whether `pwr_data`, the table of pytes_serial, is written too.
    pub legacy_table: bool,
    pub abort: AbortHandle,
}

impl DatabaseServer {
    /// Host and port, for messages.
    pub(crate) fn name(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Connects to the database, which is created if it does not exist and `may_create`, and sets the session
    /// variables. The schema is not checked.
    pub(crate) fn connect(&self, may_create: bool) -> Result<MysqlConnection, StoreError> {
        let addresses = self.addresses()?;
        let before = self.abort.add(&addresses);
        let url = self.url(&addresses)?;
        let start = Instant::now();
        let mut connection =
            MysqlConnection::establish(&url).map_err(|error| self.connect_error(&error, start.elapsed()))?;
        self.abort.claim(&before);
        if self.verify {
            self.require_encryption(&mut connection)?;
        }
        self.require_version(&mut connection)?;
        for statement in SESSION_SETTINGS {
            connection.batch_execute(statement).map_err(|error| self.error(&error))?;
        }
        self.use_database(&mut connection, may_create)?;
        Ok(connection)
    }

    /// Resolves the host on a separate thread: the system's resolver has no timeout.
    fn addresses(&self) -> Result<Vec<SocketAddr>, StoreError> {
        let (sender, resolved) = mpsc::channel();
        let (host, port) = (self.host.clone(), self.port);
        let no_address = |reason: String| StoreError::NoAddress { host: self.host.clone(), reason };
        thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(move || {
                sender.send((host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>))
            })
            .map_err(|error| no_address(error.to_string()))?;
        match resolved.recv_timeout(CONNECT_TIMEOUT) {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Ok(Ok(_)) => Err(no_address("no address found".to_owned())),
            Ok(Err(error)) => Err(no_address(one_line(&error.to_string()))),
            Err(_) => Err(no_address(format!("no answer within {CONNECT_TIMEOUT:?}"))),
        }
    }

    fn url(&self, addresses: &[SocketAddr]) -> Result<String, StoreError> {
        let (user, password) = (percent_encode(&self.user), percent_encode(self.password.expose_secret()));
        let port = self.port;
        if let Ok(IpAddr::V6(address)) = self.host.parse() {
            // The options can't contain a colon, so a connection attempt checks the timeout first.
            if self.verify {
                let reason =
                    "a certificate can't be verified for an IPv6 address: use the server's name".to_owned();
                return Err(StoreError::Certificate { server: self.name(), reason });
            }
            self.try_port(addresses)?;
            return Ok(format!("mysql://{user}:{password}@[{address}]:{port}/"));
        }
        let verify = u8::from(self.verify);
        let seconds = CONNECT_TIMEOUT.as_secs();
        // `protocol=1`: TCP also on this machine.
        let options = format!(
            "host={};protocol=1;connect-timeout={seconds};ssl-verify-server-cert={verify}",
            self.host
        );
        let authorities = if self.verify {
            format!("?ssl_ca={}", percent_encode(&self.authorities()?.to_string_lossy()))
        } else {
            String::new()
        };
        Ok(format!("mysql://{user}:{password}@{options}:{port}/{authorities}"))
    }

    fn try_port(&self, addresses: &[SocketAddr]) -> Result<(), StoreError> {
        let mut reason = "it has no address".to_owned();
        for address in addresses {
            match TcpStream::connect_timeout(address, CONNECT_TIMEOUT) {
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

    fn connect_error(&self, error: &ConnectionError, after: Duration) -> StoreError {
        let reason = one_line(&error.to_string());
        let mentions = |words: &str| reason.contains(words);
        let server = self.name();
        if mentions("Access denied") {
            StoreError::Password { server, user: self.user.clone() }
        } else if mentions("does not support it") {
            StoreError::NoTls { server }
        } else if mentions("TLS/SSL") || mentions("ertificate") {
            StoreError::Certificate { server, reason }
        } else if mentions("initial communication packet") {
            // The library has one message for both.
            if after < CONNECT_TIMEOUT / 2 {
                StoreError::HungUp { server }
            } else {
                StoreError::Silent { server, after: CONNECT_TIMEOUT }
            }
        } else {
            StoreError::Unreachable { server, reason }
        }
    }

    fn require_encryption(&self, connection: &mut MysqlConnection) -> Result<(), StoreError> {
        let cipher = "SHOW SESSION STATUS LIKE 'Ssl_cipher'";
        let rows: Vec<StatusRow> =
            diesel::sql_query(cipher).load(connection).map_err(|error| self.error(&error))?;
        if rows.iter().all(|row| row.value.is_empty()) {
            return Err(StoreError::NoTls { server: self.name() });
        }
        Ok(())
    }

    fn require_version(&self, connection: &mut MysqlConnection) -> Result<(), StoreError> {
        let version = diesel::sql_query("SELECT VERSION() AS value").get_result::<TextRow>(connection);
        let found = version.map_err(|error| self.error(&error))?.value;
        if is_supported(&found) {
            return Ok(());
        }
        Err(StoreError::TooOld { server: self.name(), found: one_line(&found) })
    }

    /// Selects the database, which is created if it does not exist and `may_create`.
    fn use_database(&self, connection: &mut MysqlConnection, may_create: bool) -> Result<(), StoreError> {
        let name = format!("`{}`", self.database.replace('`', "``"));
        let enter = format!("USE {name}");
        let Err(error) = connection.batch_execute(&enter) else { return Ok(()) };
        let unknown = error.to_string().contains("Unknown database");
        if !unknown && !error.to_string().contains("denied") {
            return Err(self.error(&error));
        }
        if unknown && !may_create {
            return Err(StoreError::NotThere { what: format!("{}/{}", self.name(), self.database) });
        }
        let create = format!("CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4");
        let created = connection.batch_execute(&create).and_then(|()| connection.batch_execute(&enter));
        created.map_err(|error| {
            if error.to_string().contains("denied") {
                let (server, database, user) = (self.name(), self.database.clone(), self.user.clone());
                StoreError::NoDatabase { server, database, user }
            } else {
                self.error(&error)
            }
        })
    }

    /// Classifies the error of a statement by the message of the server or the library.
    pub(crate) fn error(&self, error: &Error) -> StoreError {
        let what = format!("{}/{}", self.name(), self.database);
        let reason = one_line(&error.to_string());
        let mentions = |words: &[&str]| words.iter().any(|words| reason.contains(words));
        match error {
            Error::SerializationError(_) | Error::QueryBuilderError(_) => StoreError::Data { what, reason },
            Error::DatabaseError(kind, _) if about_data(kind) => StoreError::Data { what, reason },
            _ if mentions(DATA) => StoreError::Data { what, reason },
            _ if mentions(LOST) => StoreError::Lost { what, reason },
            _ if mentions(FULL) => StoreError::Full { what },
            _ if mentions(LOCKED) => StoreError::Locked { what, after: LOCK_TIMEOUT },
            _ if mentions(&["denied"]) => {
                StoreError::NoRight { database: self.database.clone(), user: self.user.clone(), reason }
            }
            _ if mentions(&["read-only", "read only"]) => StoreError::ReadOnly { what },
            _ => StoreError::Failed { what, reason },
        }
    }

    /// Acquires the lock for schema changes, which ends with the connection.
    pub(crate) fn lock_schema(&self, connection: &mut MysqlConnection) -> Result<(), StoreError> {
        let query = format!("SELECT CAST(COALESCE(GET_LOCK({SCHEMA_LOCK}, ?), 0) AS SIGNED) AS value");
        let query =
            diesel::sql_query(query).bind::<diesel::sql_types::BigInt, _>(LOCK_TIMEOUT.as_secs() as i64);
        let acquired = query.get_result::<CountRow>(connection).map_err(|error| self.error(&error))?;
        if acquired.value == 1 {
            return Ok(());
        }
        let what = format!("the schema of {}/{}", self.name(), self.database);
        Err(StoreError::Locked { what, after: LOCK_TIMEOUT })
    }

    pub(crate) fn unlock_schema(&self, connection: &mut MysqlConnection) -> Result<(), StoreError> {
        let query = format!("DO RELEASE_LOCK({SCHEMA_LOCK})");
        diesel::sql_query(query).execute(connection).map(drop).map_err(|error| self.error(&error))
    }
}

/// The name of the lock for schema changes: names are global on a server, so it contains the database.
const SCHEMA_LOCK: &str = "CONCAT('bankwatch.', LEFT(DATABASE(), 50))";

/// Messages about values that a column does not accept.
const DATA: &[&str] = &[
    "Out of range value",
    "Data too long",
    "Incorrect ",
    "Data truncated",
    "cannot be null",
    "larger than max_allowed",
];

/// Messages about a closed connection.
const LOST: &[&str] = &[
    "Lost connection",
    "gone away",
    "Can't connect",
    "Connection was killed",
    "shutdown in progress",
    "onnection reset",
    "because of inactivity",
];

/// Messages about a full disk.
const FULL: &[&str] =
    &["is full", "No more room", "No space left", "Disk full", "uota exceeded", "Disk got full"];

/// Messages about locks of other writers.
const LOCKED: &[&str] = &["Lock wait timeout", "Deadlock found", "try restarting transaction"];

/// Whether the version is at least MariaDB 10.3 or MySQL 8.0.
fn is_supported(version: &str) -> bool {
    // Old MariaDB servers prefix `5.5.5-` for clients that can't parse a version with two digits.
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut numbers = version.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    found >= if version.contains("MariaDB") { (10, 3) } else { (8, 0) }
}

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = diesel::sql_types::Text)]
    value: String,
}

#[derive(QueryableByName)]
pub(crate) struct CountRow {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    pub(crate) value: i64,
}

#[derive(QueryableByName)]
struct StatusRow {
    #[diesel(sql_type = diesel::sql_types::Text, column_name = "Value")]
    value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supported_servers_are_recognised_by_their_version() {
        for version in ["10.3.0-MariaDB", "5.5.5-10.6.4-MariaDB", "11.8.2-MariaDB-log", "8.0.39", "9.4.0"] {
            assert!(is_supported(version), "{version}");
        }
        for version in ["10.2.44-MariaDB", "5.5.5-10.1.1-MariaDB", "5.7.44", "", "MariaDB"] {
            assert!(!is_supported(version), "{version}");
        }
    }
}
