//! A history in a file of SQLite, as the service keeps it: locked by others for a while, and whole at its end.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/service.rs"]
mod service;
#[path = "support/sweeps.rs"]
mod sweeps;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bankwatch::simulator::{Dialect, Simulation, SimulatorHandle};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;
use service::Service;
use sweeps::{Sweeps, loops, sweeps};
use tempfile::{TempDir, tempdir};

const INTERVAL: Duration = Duration::from_millis(100);

/// A bank, a service on it, and the file of its history, which outlives the service.
struct House {
    bank: SimulatorHandle,
    service: Service,
    folder: TempDir,
}

impl House {
    fn new() -> Self {
        let bank = Simulation::new(Dialect::PytesV5).batteries(2).cells(4).seed(5).speed(300.0);
        let (bank, folder) = (bank.unpaced().start().expect("a bank"), tempdir().unwrap());
        let settings = format!("interval = \"{}ms\"\nsummary_interval = \"0s\"", INTERVAL.as_millis());
        let database = format!("url = \"sqlite:{}\"", file_in(folder.path()).display());
        let mut service = Service::start_keeping(&bank.link(), &settings, &database);
        sweeps(&mut service, 5);
        Self { bank, service, folder }
    }

    fn connection(&self) -> SqliteConnection {
        let mut connection =
            SqliteConnection::establish(file_in(self.folder.path()).to_str().unwrap()).unwrap();
        connection.batch_execute("PRAGMA busy_timeout = 20000").unwrap();
        connection
    }

    /// All sweeps so far, none of which is under way.
    fn quiet(&mut self) -> u64 {
        self.bank.unplug();
        self.service.wait_for_line(&["link lost"]);
        loops(&mut self.service)
    }
}

fn file_in(folder: &Path) -> PathBuf {
    folder.join("history.db")
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

fn count(connection: &mut SqliteConnection, what: &str) -> u64 {
    let query = diesel::sql_query(format!("SELECT {what}"));
    query.get_result::<Number>(connection).unwrap().number.unsigned_abs()
}

#[test]
fn the_last_sweep_and_the_minute_in_hand_are_in_the_file_when_the_service_has_ended() {
    for signal in ["TERM", "INT"] {
        let mut house = House::new();
        let (sweeps, mut connection) = (house.quiet(), house.connection());
        let (status, _, log) = house.service.end(signal);
        assert!(status.success(), "{log:#?}");
        let kept = count(&mut connection, "COUNT(*) AS number FROM bank_reading");
        let summed = count(&mut connection, "SUM(samples) AS number FROM rollup_minute WHERE battery_id = 0");
        assert_eq!((kept, summed), (sweeps, sweeps), "{log:#?}");
    }
}

#[test]
fn a_file_that_somebody_else_has_locked_for_long_misses_nothing_and_nobody_waits_for_it() {
    let mut house = House::new();
    let meanwhile = Sweeps::watch(&mut house.service, INTERVAL);
    let mut other = house.connection();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    house.service.wait_for_line(&["output away", "output=db", "is locked by another program"]);
    sweeps(&mut house.service, 5);
    other.batch_execute("ROLLBACK").unwrap();
    house.service.wait_for_line(&["output back", "output=db"]);
    meanwhile.went_on(&mut house.service);
    let (sweeps, mut connection) = (house.quiet(), house.connection());
    let (status, _, log) = house.service.end("TERM");
    assert!(status.success(), "{log:#?}");
    assert_eq!(count(&mut connection, "COUNT(*) AS number FROM bank_reading"), sweeps, "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("history lost")), "{log:#?}");
}

#[test]
fn what_a_locked_file_costs_at_the_end_is_told() {
    let mut house = House::new();
    let mut other = house.connection();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    sweeps(&mut house.service, 5);
    let (status, took, log) = house.service.end("TERM");
    assert!(status.success() && took < Duration::from_secs(5), "{took:?} {log:#?}");
    let told = |words: &str| log.iter().any(|line| line.contains(words));
    assert!(told("history not flushed") && told("history lost rows="), "{log:#?}");
    assert!(!told("service stopped late"), "{log:#?}");
}
