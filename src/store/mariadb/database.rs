//! The history on MariaDB or MySQL 8, over one connection. One that the server closed for being idle is reopened.

use std::time::{Duration, Instant};

use diesel::mysql::{Mysql, MysqlConnection};
use diesel_migrations::MigrationHarness;

use crate::store::error::ErrorClass;
use crate::store::mariadb::server::{CountRow, DatabaseServer};
use crate::store::sql::impl_store::query_imports;
use crate::store::sql::insert::insert_imports;
use crate::store::sql::migrations::{MYSQL, refuse_newer, versions};

query_imports!();
insert_imports!();

/// A connection idle for longer is reopened: a firewall or router on the way may have dropped it silently.
pub(crate) const MAX_IDLE: Duration = Duration::from_secs(60);

/// How long rows are deleted on a full server before the waiting rows are retried.
const MAX_FREEING_TIME: Duration = Duration::from_secs(5);

/// The history on a server. An error that is not about the data drops the connection, and the next call reopens it.
pub struct MariaDb {
    pub(crate) server: DatabaseServer,
    connection: Option<MysqlConnection>,
    last_used: Instant,
    cache: IdCache,
    schema: SchemaVersion,
    /// Whether the database may be created.
    may_create: bool,
}

impl_insert!(MysqlConnection, |query| query.for_update());
impl_query!(MysqlConnection);
impl_store!(MariaDb);

impl MariaDb {
    /// Connects, creates the database if necessary, and migrates its schema.
    ///
    /// # Errors
    /// The server can't be reached, denies access, is too old, lacks the required encryption, or has the schema of a
    /// later version.
    pub fn open(server: &DatabaseServer) -> Result<Self, StoreError> {
        Self::connect(server, true)
    }

    /// The same for a database that must exist.
    pub fn open_existing(server: &DatabaseServer) -> Result<Self, StoreError> {
        Self::connect(server, false)
    }

    fn connect(server: &DatabaseServer, may_create: bool) -> Result<Self, StoreError> {
        let (server, cache, schema) = (server.clone(), IdCache::default(), SchemaVersion::default());
        let last_used = Instant::now();
        let mut store = Self { server, connection: None, last_used, cache, may_create, schema };
        store.connected()?;
        Ok(store)
    }

    /// The connection, reopened if it was lost, and the cache. The server may have been replaced meanwhile, so a
    /// reopened connection clears the cache and checks the schema again.
    fn connected(&mut self) -> Result<(&mut MysqlConnection, &mut IdCache), StoreError> {
        let connection = match self.connection.take().filter(|_| self.last_used.elapsed() < MAX_IDLE) {
            Some(connection) => connection,
            None => {
                self.cache = IdCache::default();
                let mut connection = self.server.connect(self.may_create)?;
                self.migrate(&mut connection)?;
                connection
            }
        };
        self.last_used = Instant::now();
        Ok((self.connection.insert(connection), &mut self.cache))
    }

    fn migrate(&mut self, connection: &mut MysqlConnection) -> Result<(), StoreError> {
        let server = &self.server;
        let name = format!("{}/{}", server.name(), server.database);
        let failed = |error: diesel::result::Error| server.error(&error);
        let known = versions::<Mysql>(&MYSQL);
        let up_to_date = |connection: &mut MysqlConnection| {
            let applied = applied(connection).map_err(failed)?;
            refuse_newer(&name, &known, &applied)?;
            Ok::<_, StoreError>((applied.len() == known.len(), SchemaVersion::of(&applied, &known)))
        };
        let (is_up_to_date, schema) = up_to_date(connection)?;
        self.schema = schema;
        if !is_up_to_date {
            server.lock_schema(connection)?;
            // Another process may have migrated while this one waited.
            if !up_to_date(connection)?.0 {
                let pending = connection.pending_migrations(MYSQL);
                let pending =
                    pending.map_err(|error| failed(diesel::result::Error::DeserializationError(error)))?;
                for migration in &pending {
                    connection
                        .run_migration(migration)
                        .map_err(|error| server.error(&unwrap_query_error(error)))?;
                }
            }
            server.unlock_schema(connection)?;
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let legacy_table = self.server.legacy_table;
        self.transact(|connection, cache| {
            let mut writer = RecordWriter { connection, cache };
            if legacy_table {
                writer.list_for_legacy(records)?;
            }
            writer.write(records)
        })
    }

    pub(crate) fn transact<T>(
        &mut self,
        work: impl FnOnce(&mut MysqlConnection, &mut IdCache) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        let mut work = Some(work);
        loop {
            let (was_open, aborts) = (self.connection.is_some(), self.server.abort.aborts());
            let (connection, cache) = self.connected()?;
            let done = connection.transaction(|connection| match work.take() {
                Some(work) => work(connection, cache),
                // Not reached: the loop repeats only if the closure was not called.
                None => Err(diesel::result::Error::RollbackTransaction),
            });
            let error = match done {
                Ok(done) => {
                    self.last_used = Instant::now();
                    return Ok(done);
                }
                Err(error) => self.server.error(&error),
            };
            // Ids that were inserted in the failed transaction are invalid.
            self.cache = IdCache::default();
            if error.class() != ErrorClass::Data {
                self.connection = None;
            }
            // The server has closed an idle connection (`wait_timeout`): nothing was sent, so reconnect silently.
            let was_idle = was_open && work.is_some() && self.server.abort.aborts() == aborts;
            if !was_idle || !matches!(error, StoreError::Lost { .. }) {
                return Err(error);
            }
        }
    }

    /// Runs `work` on a consistent snapshot.
    fn read<T>(
        &mut self,
        work: impl FnOnce(&mut MysqlConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        self.transact(|connection, _| work(connection))
    }

    /// Retention on a full server, which has its own reserve for deleting.
    fn free_space(&mut self, now: Option<Timestamp>, keep: &Retention) -> Result<bool, StoreError> {
        let Some(now) = now else { return Ok(false) };
        let (start, mut rows) = (Instant::now(), 0);
        loop {
            let step = self.prune(now, keep)?;
            rows += step.rows;
            if !step.more || start.elapsed() > MAX_FREEING_TIME {
                return Ok(rows > 0);
            }
        }
    }

    /// A server has no reserve.
    #[allow(clippy::unused_self, reason = "the other backend has something to do here")]
    fn drop_reserve(&mut self) {}

    /// A server manages its own files.
    #[allow(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "the other backend has something to do here"
    )]
    fn vacuum(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The database's error inside the error of a failed migration.
fn unwrap_query_error(error: Box<dyn std::error::Error + Send + Sync>) -> diesel::result::Error {
    match error.downcast::<diesel::result::Error>() {
        Ok(error) => *error,
        Err(error) => diesel::result::Error::DeserializationError(error),
    }
}

/// The applied versions, read without changing the database.
fn applied(connection: &mut MysqlConnection) -> QueryResult<Vec<String>> {
    let table = "SELECT COUNT(*) AS value FROM information_schema.TABLES \
         WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '__diesel_schema_migrations'";
    if diesel::sql_query(table).get_result::<CountRow>(connection)?.value == 0 {
        return Ok(Vec::new());
    }
    let versions: Vec<AppliedMigration> =
        diesel::sql_query("SELECT version FROM __diesel_schema_migrations").load(connection)?;
    Ok(versions.into_iter().map(|row| row.version).collect())
}

#[derive(QueryableByName)]
struct AppliedMigration {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}
