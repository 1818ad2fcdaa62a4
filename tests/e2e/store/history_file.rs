//! A history of the service in an SQLite file: locked by others for a while, and complete at the end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bankwatch::internals::simulator::{Dialect, Simulation, SimulatorHandle};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;
use support::program;
use support::service::Service;
use support::small_disk;
use support::sweeps::{SweepWatch, sweep_count, wait_for_sweeps};
use tempfile::{TempDir, tempdir};

const INTERVAL: Duration = Duration::from_millis(100);

/// A bank, a service on it, and the file of its history, which outlives the service.
struct HistoryFixture {
    bank: SimulatorHandle,
    service: Service,
    folder: TempDir,
}

impl HistoryFixture {
    fn new() -> Self {
        let folder = tempdir().unwrap();
        let place = folder.path().to_owned();
        Self::with_file_in(&place, folder)
    }

    /// Starts the service with its history in this folder, which may already have one.
    fn with_file_in(place: &Path, folder: TempDir) -> Self {
        let bank = Simulation::new(Dialect::PytesV5).batteries(2).cells(4).seed(5).speed(300.0);
        let bank = bank.unpaced().start().expect("a bank");
        let settings = format!("interval = \"{}ms\"\nsummary_interval = \"0s\"", INTERVAL.as_millis());
        let database = format!("url = \"sqlite:{}\"", file_in(place).display());
        let mut service = Service::start_with_database(&bank.link(), &settings, &database);
        wait_for_sweeps(&mut service, 5);
        Self { bank, service, folder }
    }

    fn connection(&self) -> SqliteConnection {
        let mut connection =
            SqliteConnection::establish(file_in(self.folder.path()).to_str().unwrap()).unwrap();
        connection.batch_execute("PRAGMA busy_timeout = 20000").unwrap();
        connection
    }

    /// All sweeps so far, once none is in progress.
    fn stop_polling(&mut self) -> u64 {
        self.bank.unplug();
        self.service.wait_for_log(&["link lost"]);
        sweep_count(&mut self.service)
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
fn shutdown_stores_the_last_sweep_and_the_current_minute() {
    for signal in ["TERM", "INT"] {
        let mut fixture = HistoryFixture::new();
        let (sweeps, mut connection) = (fixture.stop_polling(), fixture.connection());
        let (status, _, log) = fixture.service.stop_with(signal);
        assert!(status.success(), "{log:#?}");
        let kept = count(&mut connection, "COUNT(*) AS number FROM bank_reading");
        let summed = count(&mut connection, "SUM(samples) AS number FROM rollup_minute WHERE battery_id = 0");
        assert_eq!((kept, summed), (sweeps, sweeps), "{log:#?}");
    }
}

#[test]
fn a_file_locked_for_long_misses_no_row_and_blocks_nothing() {
    let mut fixture = HistoryFixture::new();
    let meanwhile = SweepWatch::watch(&mut fixture.service, INTERVAL);
    let mut other = fixture.connection();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    fixture.service.wait_for_log(&["output down", "output=db", "is locked by another program"]);
    wait_for_sweeps(&mut fixture.service, 5);
    other.batch_execute("ROLLBACK").unwrap();
    fixture.service.wait_for_log(&["output recovered", "output=db"]);
    meanwhile.assert_regular(&mut fixture.service);
    let (sweeps, mut connection) = (fixture.stop_polling(), fixture.connection());
    let (status, _, log) = fixture.service.stop_with("TERM");
    assert!(status.success(), "{log:#?}");
    assert_eq!(count(&mut connection, "COUNT(*) AS number FROM bank_reading"), sweeps, "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("history lost")), "{log:#?}");
}

/// How many sweeps a history holds.
fn stored_in(file: &Path) -> u64 {
    count(
        &mut SqliteConnection::establish(file.to_str().unwrap()).unwrap(),
        "COUNT(*) AS number FROM bank_reading",
    )
}

#[test]
fn a_file_moved_while_in_use_is_logged_and_replaced() {
    let mut fixture = HistoryFixture::new();
    let (file, moved) = (file_in(fixture.folder.path()), fixture.folder.path().join("moved.db"));
    std::fs::rename(&file, &moved).unwrap();
    fixture.service.wait_for_log(&["history file replaced", "was removed, replaced or unmounted"]);
    wait_for_sweeps(&mut fixture.service, 5);
    let sweeps = fixture.stop_polling();
    let (status, _, log) = fixture.service.stop_with("TERM");
    assert!(status.success(), "{log:#?}");
    let (before, after) = (stored_in(&moved), stored_in(&file));
    // The batch that detected it is in both files.
    assert!(after >= 5 && before + after >= sweeps, "{before} and {after} of {sweeps}: {log:#?}");
    assert!(
        !log.iter().any(|line| line.contains("history lost") || line.contains("output down")),
        "{log:#?}"
    );
}

#[test]
fn a_damaged_file_is_moved_away_and_replaced() {
    let folder = tempdir().unwrap();
    let (file, place) = (file_in(folder.path()), folder.path().to_owned());
    drop(bankwatch::internals::store::SqliteFile::open(&file).unwrap());
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[1024..].fill(0x5a);
    std::fs::write(&file, &bytes).unwrap();
    let mut fixture = HistoryFixture::with_file_in(&place, folder);
    fixture.service.wait_for_log(&["history file replaced", "is damaged", "history.db.damaged-1"]);
    let sweeps = fixture.stop_polling();
    let aside = fixture.folder.path().join("history.db.damaged-1");
    assert_eq!(&std::fs::read(aside).unwrap()[1024..], &bytes[1024..], "it is moved unchanged");
    let (status, _, log) = fixture.service.stop_with("TERM");
    assert!(status.success(), "{log:#?}");
    assert_eq!(stored_in(&file), sweeps, "{log:#?}");
}

#[test]
fn the_last_sweeps_use_the_reserve_of_a_full_disk() {
    let Some(disk) = small_disk::SmallDisk::of(16) else { return };
    let mut fixture = HistoryFixture::with_file_in(disk.path(), tempdir().unwrap());
    let reserve = disk.path().join("history.db.reserve");
    assert!(reserve.exists(), "the reserve is created with the first sweeps");
    disk.fill(0);
    fixture.service.wait_for_log(&["output down", "output=db", "no space left for"]);
    disk.fill(0);
    wait_for_sweeps(&mut fixture.service, 5);
    let sweeps = fixture.stop_polling();
    let (status, _, log) = fixture.service.stop_with("TERM");
    assert!(status.success(), "{log:#?}");
    assert_eq!(stored_in(&file_in(disk.path())), sweeps, "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("history lost")), "{log:#?}");
}

/// Counters, history and journal have one writer each.
#[test]
fn a_second_service_in_the_same_folder_is_refused() {
    let mut fixture = HistoryFixture::new();
    let folder = fixture.service.folder().to_owned();
    let run_command = |arguments: &[&str]| {
        let output =
            program::program(&folder).args(arguments).args(["--config", "bankwatch.toml"]).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    };
    let (code, text) = run_command(&["run"]);
    assert_eq!(code, Some(1), "{text}");
    let named = format!("another bankwatch (process {} on ", fixture.service.id());
    assert!(text.contains(&named) && text.contains("data_dir"), "{text}");
    for verb in [&["healthcheck"][..], &["db", "migrate"], &["db", "export", "banks"], &["db", "prune"]] {
        assert_eq!(run_command(verb).0, Some(0), "{verb:?}");
    }
    fixture.service.kill();
    fixture.service.restart();
    wait_for_sweeps(&mut fixture.service, 3);
}

#[test]
fn rows_lost_to_a_locked_file_at_shutdown_are_logged() {
    let mut fixture = HistoryFixture::new();
    let mut other = fixture.connection();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    wait_for_sweeps(&mut fixture.service, 5);
    let (status, took, log) = fixture.service.stop_with("TERM");
    assert!(status.success() && took < Duration::from_secs(5), "{took:?} {log:#?}");
    let logged = |words: &str| log.iter().any(|line| line.contains(words));
    assert!(logged("history not flushed") && logged("history lost rows="), "{log:#?}");
    assert!(!logged("service stopped late"), "{log:#?}");
}
