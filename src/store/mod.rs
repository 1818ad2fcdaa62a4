//! The history: every full reading in a database, old rows rolled up, one small trait in front of two backends.
//!
//! ```text
//! report ─► Sweep, Minutes ─► Record ─► Store::insert ─┬─► sqlite    a file of our own
//!           what is kept                one transaction └─► mariadb   a server, MySQL 8 too
//! ```
//! Backends share the tables (`schema`), the rows and the queries (`writing`, `reading`); each has its own way in, its own
//! transactions and its own errors. `docs/database.md` is for those who query.

mod backend;
pub mod clock_gate;
mod counting;
mod duplicates;
mod error;
mod export;
mod files;
mod history;
pub(crate) mod intake;
pub mod journal;
mod known;
mod lifetime;
mod mariadb;
mod migrate;
mod numbering;
mod parts;
mod reading;
mod record;
mod rollup;
mod rows;
pub(crate) mod said;
mod schema;
pub(crate) mod sink;
mod sqlite;
mod sums;
mod text;
mod values;
mod writing;

use jiff::Timestamp;

use crate::settings::endpoint::DatabaseUrl;
use crate::settings::sections::database::{DatabaseSettings, Tls};

pub use error::{Class, StoreError};
pub use export::{Export, Rows};
pub use history::{Asked, Point, Pruned, Retention, Step};
pub use lifetime::LifetimeRecord;
pub use mariadb::{
    AbortHandle, Imported, LeftOut, LegacyRefusal, LegacyReport, LegacyStep, LegacyWriter, MariaDb, Server,
    check_legacy_table, prepare_legacy_table,
};
pub(crate) use migrate::Schema;
pub use record::{Battery, Cell, Counter, Event, Identity, LogEntry, NotARecord, Record, Sweep, Whose};
pub use rollup::{Minute, MinutePart, Minutes};
pub use sqlite::SqliteFile;
pub use sums::Sums;
pub use values::{BankValues, BatteryValues, CellValues, Words};

/// Dead letters kept: the newest.
const LETTERS_KEPT: i32 = 1000;

/// Where history is kept. Every call blocks until it is done, and belongs on a thread that nobody waits for.
pub trait Store: Send {
    /// The schema that was found at the opening, and what it is now.
    fn schema(&self) -> Schema;

    /// Stores records in their order, all of them or none, in one transaction. What is there already stays as it is.
    ///
    /// # Errors
    /// With [`Class::Data`] one of the records is at fault, and the others can be stored without it.
    fn insert(&mut self, records: &[Record]) -> Result<(), StoreError>;

    /// Keeps what could not be stored among the dead letters, of which there are so many at most.
    ///
    /// # Errors
    /// As everywhere.
    fn bury(&mut self, body: &[u8], reason: &str, at: Timestamp) -> Result<(), StoreError>;

    /// One small step of retention, some milliseconds long; [`Pruned::more`] tells whether to go on. Every ten minutes is often
    /// enough, and spares a flash card what asking at every sweep would write.
    ///
    /// # Errors
    /// As everywhere.
    fn prune(&mut self, now: Timestamp, keep: &Retention) -> Result<Pruned, StoreError>;

    /// Deletes rows past their retention on a full disk, although that needs room itself. `now` is the time of a clock
    /// that can be trusted; without it, nothing is too old. Returns whether there is room for rows now.
    ///
    /// # Errors
    /// As everywhere.
    fn make_room(&mut self, now: Option<Timestamp>, keep: &Retention) -> Result<bool, StoreError>;

    /// Frees the room reserved for [`make_room`](Self::make_room), for the last rows.
    fn give_all_room(&mut self);

    /// Gives back to the file system what retention has freed, where that is much; new rows would use it again anyway. It may
    /// take a minute, in which nobody else writes, and as much room as the file has.
    ///
    /// # Errors
    /// As everywhere.
    fn shrink(&mut self) -> Result<(), StoreError>;

    /// What history says, oldest first.
    ///
    /// # Errors
    /// As everywhere.
    fn history(&mut self, asked: &Asked<'_>) -> Result<Vec<Point>, StoreError>;

    /// Hands the rows that are asked for to `each`, as lines of comma-separated values without their ends, the header
    /// first, bank after bank, each in order of time. `each` answers whether to go on. Nobody who writes waits for it.
    ///
    /// # Errors
    /// As everywhere; and there is no such bank.
    fn export(&mut self, asked: &Export<'_>, each: &mut dyn FnMut(&str) -> bool) -> Result<(), StoreError>;
}

/// Opens what the settings name, and brings its schema up to date.
///
/// # Errors
/// It can't be reached or opened, or holds what this version does not know.
pub(crate) fn open(settings: &DatabaseSettings) -> Result<Box<dyn Store>, StoreError> {
    match &settings.url {
        DatabaseUrl::Sqlite(_) if settings.legacy_table => Err(StoreError::NoLegacy),
        DatabaseUrl::Sqlite(file) => Ok(Box::new(SqliteFile::open(file)?)),
        DatabaseUrl::Mysql { .. } => Ok(Box::new(MariaDb::open(&server(settings)?)?)),
    }
}

/// The same, with a handle that ends calls which wait for a server.
///
/// # Errors
/// As [`open`].
fn open_with(settings: &DatabaseSettings, abort: &AbortHandle) -> Result<Box<dyn Store>, StoreError> {
    match &settings.url {
        DatabaseUrl::Sqlite(_) => open(settings),
        DatabaseUrl::Mysql { .. } => {
            Ok(Box::new(MariaDb::open(&Server { abort: abort.clone(), ..server(settings)? })?))
        }
    }
}

/// The same with a database that has to be there: whoever looks into a history makes none.
///
/// # Errors
/// As [`open`]; and it is not there.
pub(crate) fn open_existing(settings: &DatabaseSettings) -> Result<Box<dyn Store>, StoreError> {
    match &settings.url {
        DatabaseUrl::Sqlite(file) if !file.exists() => {
            Err(StoreError::NotThere { what: file.display().to_string() })
        }
        DatabaseUrl::Sqlite(_) => open(settings),
        DatabaseUrl::Mysql { .. } => Ok(Box::new(MariaDb::open_existing(&server(settings)?)?)),
    }
}

/// The server that the settings name.
///
/// # Errors
/// They name a file.
pub(crate) fn server(settings: &DatabaseSettings) -> Result<Server, StoreError> {
    let DatabaseUrl::Mysql { user, host, port, database } = &settings.url else {
        return Err(StoreError::NoLegacy);
    };
    Ok(Server {
        host: host.clone(),
        port: *port,
        user: user.clone(),
        password: settings.password.clone(),
        database: database.clone(),
        verify: settings.tls == Tls::Verify,
        authorities: settings.tls_ca.clone(),
        legacy_table: settings.legacy_table,
        abort: AbortHandle::default(),
    })
}
