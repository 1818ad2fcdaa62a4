//! Opens the database that the settings name.

use crate::settings::endpoint::DatabaseUrl;
use crate::settings::sections::database::{DatabaseSettings, DatabaseTls};
use crate::store::backend::Store;
use crate::store::error::StoreError;
use crate::store::mariadb::{AbortHandle, DatabaseServer, MariaDb};
use crate::store::sqlite::SqliteFile;

/// Opens the database, creating it if necessary, and migrates its schema.
///
/// # Errors
/// It can't be opened, or has the schema of a later version.
pub fn open(settings: &DatabaseSettings) -> Result<Box<dyn Store>, StoreError> {
    match &settings.url {
        DatabaseUrl::Sqlite(_) if settings.legacy_table => Err(StoreError::NoLegacy),
        DatabaseUrl::Sqlite(file) => Ok(Box::new(SqliteFile::open(file)?)),
        DatabaseUrl::Mysql { .. } => Ok(Box::new(MariaDb::open(&server(settings)?)?)),
    }
}

/// The same, with a handle that aborts calls which wait for a server.
pub(crate) fn open_with(
    settings: &DatabaseSettings,
    abort: &AbortHandle,
) -> Result<Box<dyn Store>, StoreError> {
    match &settings.url {
        DatabaseUrl::Sqlite(_) => open(settings),
        DatabaseUrl::Mysql { .. } => {
            Ok(Box::new(MariaDb::open(&DatabaseServer { abort: abort.clone(), ..server(settings)? })?))
        }
    }
}

/// The same for a database that must exist.
pub fn open_existing(settings: &DatabaseSettings) -> Result<Box<dyn Store>, StoreError> {
    match &settings.url {
        DatabaseUrl::Sqlite(file) if !file.exists() => {
            Err(StoreError::NotThere { what: file.display().to_string() })
        }
        DatabaseUrl::Sqlite(_) => open(settings),
        DatabaseUrl::Mysql { .. } => Ok(Box::new(MariaDb::open_existing(&server(settings)?)?)),
    }
}

/// The server in the settings.
///
/// # Errors
/// The settings name a file.
pub fn server(settings: &DatabaseSettings) -> Result<DatabaseServer, StoreError> {
    let DatabaseUrl::Mysql { user, host, port, database } = &settings.url else {
        return Err(StoreError::NoLegacy);
    };
    Ok(DatabaseServer {
        host: host.clone(),
        port: *port,
        user: user.clone(),
        password: settings.password.clone(),
        database: database.clone(),
        verify: settings.tls == DatabaseTls::Verify,
        authorities: settings.tls_ca.clone(),
        legacy_table: settings.legacy_table,
        abort: AbortHandle::default(),
    })
}
