//! Readings to be stored, and both databases to store them in.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bankwatch::internals::model::facts::{FactSource, Facts};
use bankwatch::internals::model::place::Place;
use bankwatch::internals::model::reading::{
    BankReading, BatteryReading, CellReading, Measured, Presence, SweepKind,
};
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::model::units::{MilliampHours, Milliamps, Millicelsius, Millivolts, Percent};
use bankwatch::internals::model::word::Word;
use bankwatch::internals::store::{
    DatabaseServer, MariaDb, Record, SqliteFile, Store, StoreError, SweepRecord,
};
use diesel::connection::SimpleConnection;
use diesel::mysql::MysqlConnection;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use diesel::sqlite::SqliteConnection;
use jiff::Timestamp;
use tempfile::TempDir;

use crate::mariadb::{self, MariaDbServer};

/// A Sunday in November 2026, 06:05:00 UTC.
pub const START: i64 = 1_795_327_500_000;

/// A battery with `cells` cells and values that depend on `seed`.
pub fn battery(place: u8, cells: usize, seed: i32, barcode: Option<&str>) -> BatteryReading {
    let cell = |number: usize| CellReading {
        voltage: Some(Millivolts(3290 + (seed + number as i32) % 17)),
        current: Some(Milliamps(-2185 + seed)),
        temperature: Some(Millicelsius(22_000 + 1000 * (number as i32 % 3))),
        base_state: Some(Word::new("Dischg")),
        volt_state: Some(Word::new("Normal")),
        current_state: Some(Word::new("Normal")),
        temp_state: Some(Word::new("Normal")),
        soc: Some(Percent(50 + seed % 40)),
        coulomb: Some(MilliampHours(45_000 + i64::from(seed))),
        balancing: Some(number == 3),
    };
    let measured = Measured {
        voltage: Some(Millivolts(52_000 + seed)),
        current: Some(Milliamps(-2185 + seed)),
        temperature: Some(Millicelsius(22_300)),
        soc: Some(Percent(50 + seed % 40)),
        base_state: Some(Word::new("Dischg")),
        volt_state: Some(Word::new("Normal")),
        soh_state: Some(Word::new("Normal")),
        ..Measured::default()
    };
    let facts = Facts {
        barcode: barcode.map(str::to_owned),
        model: Some("E-BOX-48100R".into()),
        soh: Some(Percent(98)),
        cycles: Some(123),
        ..Facts::default()
    };
    BatteryReading {
        device_log: Vec::new(),
        place: Place::new(place).unwrap(),
        presence: Presence::Present,
        measured,
        cells: (cells > 0).then(|| (1..=cells).map(cell).collect()),
        facts: vec![(FactSource::Info, facts)],
    }
}

pub fn report(bank: &str, at_ms: i64, kind: SweepKind, batteries: Vec<BatteryReading>) -> BankReport {
    BankReport::of_one(BankReading {
        device_log: Vec::new(),
        bank: Arc::from(bank),
        kind,
        began: std::time::Instant::now(),
        taken_at: Timestamp::from_millisecond(at_ms).unwrap(),
        took: Duration::from_millis(1210),
        asked_again: 1,
        stack: None,
        batteries,
        facts: Vec::new(),
        answered: Vec::new(),
        missing: Vec::new(),
        unreadable_facts: Vec::new(),
    })
}

/// A full sweep as a record.
pub fn sweep(bank: &str, at_ms: i64, batteries: Vec<BatteryReading>) -> Record {
    Record::Sweep(Box::new(SweepRecord::from_report(&report(bank, at_ms, SweepKind::Full, batteries))))
}

/// A separate database on one of the backends.
pub enum Backend {
    File { folder: TempDir },
    Server { server: Arc<MariaDbServer>, database: String },
}

#[derive(QueryableByName)]
struct One {
    #[diesel(sql_type = Nullable<Text>)]
    x: Option<String>,
}

impl Backend {
    pub fn sqlite() -> Option<Self> {
        Some(Self::File { folder: TempDir::new().unwrap() })
    }

    pub fn mariadb() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = mariadb::shared()?;
        // A name that must be quoted everywhere.
        let database = format!("pytes-{}", NUMBER.fetch_add(1, Ordering::SeqCst));
        Some(Self::Server { server, database })
    }

    pub fn file(&self) -> PathBuf {
        let Self::File { folder } = self else { panic!("no file") };
        folder.path().join("history.db")
    }

    pub fn server(&self) -> DatabaseServer {
        let Self::Server { server, database } = self else { panic!("no server") };
        server.server(database)
    }

    pub fn try_open(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(match self {
            Self::File { .. } => Box::new(SqliteFile::open(&self.file())?),
            Self::Server { .. } => Box::new(MariaDb::open(&self.server())?),
        })
    }

    pub fn open(&self) -> Box<dyn Store> {
        self.try_open().unwrap()
    }

    /// Runs a statement without the store.
    pub fn run(&self, statement: &str) {
        match self {
            Self::File { .. } => self.sqlite_connection().batch_execute(statement).unwrap(),
            Self::Server { .. } => self.mysql_connection().batch_execute(statement).unwrap(),
        }
    }

    /// The values of a query's column `x`, without the store.
    pub fn ask(&self, query: &str) -> Vec<String> {
        let query = diesel::sql_query(query);
        let rows: Vec<One> = match self {
            Self::File { .. } => query.load(&mut self.sqlite_connection()).unwrap(),
            Self::Server { .. } => query.load(&mut self.mysql_connection()).unwrap(),
        };
        rows.into_iter().map(|row| row.x.unwrap_or_else(|| "NULL".to_owned())).collect()
    }

    /// The columns of a query's rows, joined by spaces; `NULL` is `-`.
    pub fn rows(&self, columns: &[&str], rest: &str) -> Vec<String> {
        let text = match self {
            Self::File { .. } => "TEXT",
            Self::Server { .. } => "CHAR",
        };
        let columns: Vec<String> =
            columns.iter().map(|column| format!("COALESCE(CAST({column} AS {text}), '-')")).collect();
        self.ask(&format!("SELECT CONCAT_WS(' ', {}) AS x {rest}", columns.join(", ")))
    }

    pub fn count(&self, table: &str) -> usize {
        self.rows(&["COUNT(*)"], &format!("FROM {table}"))[0].parse().unwrap()
    }

    fn sqlite_connection(&self) -> SqliteConnection {
        let mut connection = SqliteConnection::establish(self.file().to_str().unwrap()).unwrap();
        connection.batch_execute("PRAGMA busy_timeout = 20000").unwrap();
        connection
    }

    fn mysql_connection(&self) -> MysqlConnection {
        let Self::Server { server, database } = self else { panic!("no server") };
        let mut connection = server.connection();
        connection
            .batch_execute(&format!("CREATE DATABASE IF NOT EXISTS `{database}`; USE `{database}`"))
            .unwrap();
        connection
    }
}
