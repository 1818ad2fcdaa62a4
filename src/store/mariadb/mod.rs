//! A server: MariaDB, or MySQL 8. One connection of our own; whatever is not about the data drops it, and the next
//! call makes a new one. One that the server closed for being idle is made again within the call.

mod abort;
mod legacy;
mod legacy_import;
mod server;

use std::time::{Duration, Instant};

use diesel::mysql::{Mysql, MysqlConnection};
use diesel_migrations::MigrationHarness;

use crate::store::backend::reading_imports;
use crate::store::error::Class;
use crate::store::migrate::{self, MYSQL};
use crate::store::writing::writing_imports;

pub use abort::AbortHandle;
pub use legacy::{
    LeftOut, LegacyRefusal, LegacyReport, LegacyStep, LegacyWriter, check_legacy_table, prepare_legacy_table,
};
pub use legacy_import::Imported;
pub use server::Server;

reading_imports!();
writing_imports!();

/// A connection that was idle for longer is made again: what lies between may have forgotten it without a word.
const IDLE: Duration = Duration::from_secs(60);

/// How long room is made on a full server before the rows that wait are tried again.
const MAKING_ROOM: Duration = Duration::from_secs(5);

/// A history on a server.
pub struct MariaDb {
    server: Server,
    connection: Option<MysqlConnection>,
    /// When it was last used.
    used: Instant,
    known: Known,
    schema: Schema,
    /// Whether the database may be made where it is not there.
    may_make: bool,
}

writing!(MysqlConnection, |query| query.for_update());
reading!(MysqlConnection);
store!(MariaDb);

impl MariaDb {
    /// Connects, makes the database where it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// The server can't be reached, refuses us, is too old, offers no encryption where that is asked for, or holds
    /// what this version does not know.
    pub fn open(server: &Server) -> Result<Self, StoreError> {
        Self::connect(server, true)
    }

    /// The same with a database that has to be there.
    ///
    /// # Errors
    /// As [`open`](Self::open); and the database is not there.
    pub(crate) fn open_existing(server: &Server) -> Result<Self, StoreError> {
        Self::connect(server, false)
    }

    fn connect(server: &Server, may_make: bool) -> Result<Self, StoreError> {
        let (server, known, schema) = (server.clone(), Known::default(), Schema::default());
        let used = Instant::now();
        let mut store = Self { server, connection: None, used, known, may_make, schema };
        store.connected()?;
        Ok(store)
    }

    /// The connection, made anew where it was lost, and what is known of the database behind it. The server may be another
    /// one by then, so its schema is looked at again, and what was looked up is forgotten.
    fn connected(&mut self) -> Result<(&mut MysqlConnection, &mut Known), StoreError> {
        let connection = match self.connection.take().filter(|_| self.used.elapsed() < IDLE) {
            Some(connection) => connection,
            None => {
                self.known = Known::default();
                let mut connection = self.server.connect(self.may_make)?;
                self.bring_up_to_date(&mut connection)?;
                connection
            }
        };
        self.used = Instant::now();
        Ok((self.connection.insert(connection), &mut self.known))
    }

    fn bring_up_to_date(&mut self, connection: &mut MysqlConnection) -> Result<(), StoreError> {
        let server = &self.server;
        let name = format!("{}/{}", server.name(), server.database);
        let failed = |error: diesel::result::Error| server.failed(&error);
        let known = migrate::versions::<Mysql>(&MYSQL);
        let up_to_date = |connection: &mut MysqlConnection| {
            let applied = applied(connection).map_err(failed)?;
            migrate::refuse_newer(&name, &known, &applied)?;
            Ok::<_, StoreError>((applied.len() == known.len(), Schema::of(&applied, &known)))
        };
        let (is_up_to_date, schema) = up_to_date(connection)?;
        self.schema = schema;
        if !is_up_to_date {
            server.lock_schema(connection)?;
            // Another writer may have been at it while we waited.
            if !up_to_date(connection)?.0 {
                let pending = connection.pending_migrations(MYSQL);
                let pending =
                    pending.map_err(|error| failed(diesel::result::Error::DeserializationError(error)))?;
                for migration in &pending {
                    connection.run_migration(migration).map_err(|error| server.failed(&unwrapped(error)))?;
                }
            }
            server.unlock_schema(connection)?;
        }
        Ok(())
    }

    fn write(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let legacy_table = self.server.legacy_table;
        self.transact(|connection, known| {
            let mut writing = Writing { connection, known };
            if legacy_table {
                writing.list_for_legacy(records)?;
            }
            writing.write(records)
        })
    }

    fn transact<T>(
        &mut self,
        work: impl FnOnce(&mut MysqlConnection, &mut Known) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        let mut work = Some(work);
        loop {
            let (was_open, aborts) = (self.connection.is_some(), self.server.abort.aborts());
            let (connection, known) = self.connected()?;
            let done = connection.transaction(|connection| match work.take() {
                Some(work) => work(connection, known),
                // Not reached: who comes a second time has not come this far the first time.
                None => Err(diesel::result::Error::RollbackTransaction),
            });
            let error = match done {
                Ok(done) => {
                    self.used = Instant::now();
                    return Ok(done);
                }
                Err(error) => self.server.failed(&error),
            };
            // What was looked up in a transaction that came to nothing is nothing.
            self.known = Known::default();
            if error.class() != Class::Data {
                self.connection = None;
            }
            // The server has closed an idle connection (`wait_timeout`): nothing has begun, so it is not logged.
            let was_idle = was_open && work.is_some() && self.server.abort.aborts() == aborts;
            if !was_idle || !matches!(error, StoreError::Lost { .. }) {
                return Err(error);
            }
        }
    }

    /// Reads one state of the database.
    fn look<T>(
        &mut self,
        work: impl FnOnce(&mut MysqlConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        self.transact(|connection, _| work(connection))
    }

    /// Retention on a server that has no more room: it has what deleting needs set aside itself.
    fn relieve(&mut self, now: Option<Timestamp>, keep: &Retention) -> Result<bool, StoreError> {
        let Some(now) = now else { return Ok(false) };
        let (began, mut rows) = (Instant::now(), 0);
        loop {
            let step = self.prune(now, keep)?;
            rows += step.rows;
            if !step.more || began.elapsed() > MAKING_ROOM {
                return Ok(rows > 0);
            }
        }
    }

    /// There is none.
    #[allow(clippy::unused_self, reason = "the other backend has something to do here")]
    fn spend_reserve(&mut self) {}

    /// A server looks after its own files.
    #[allow(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "the other backend has something to do here"
    )]
    fn give_back(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The database's own error, which a failed migration wraps.
fn unwrapped(error: Box<dyn std::error::Error + Send + Sync>) -> diesel::result::Error {
    match error.downcast::<diesel::result::Error>() {
        Ok(error) => *error,
        Err(error) => diesel::result::Error::DeserializationError(error),
    }
}

/// The versions that the database has, read without touching it.
fn applied(connection: &mut MysqlConnection) -> QueryResult<Vec<String>> {
    let table = "SELECT COUNT(*) AS value FROM information_schema.TABLES \
         WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '__diesel_schema_migrations'";
    if diesel::sql_query(table).get_result::<server::Number>(connection)?.value == 0 {
        return Ok(Vec::new());
    }
    let versions: Vec<Version> =
        diesel::sql_query("SELECT version FROM __diesel_schema_migrations").load(connection)?;
    Ok(versions.into_iter().map(|row| row.version).collect())
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}
