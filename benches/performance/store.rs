//! The figures of `docs/database.md`: rows per second with both backends and with the method of pytes_serial, growth
//! of the SQLite file, bytes written, and speed of history queries.

use std::fs;
use std::path::Path;
use std::time::Instant;

use bankwatch::internals::model::reading::SweepKind;
use bankwatch::internals::store::{
    HistoryQuery, MariaDb, MinuteAggregator, Record, Resolution, Retention, SqliteFile, Store, SweepRecord,
};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use jiff::Timestamp;

use crate::backlog;
use support::history::{START, battery, report};
use support::mariadb::MariaDbServer;

const DAY: i64 = 86_400_000;
/// The time between two full sweeps in milliseconds.
pub const INTERVAL: i64 = 10_000;
const BATTERIES: u8 = 4;
const CELLS: usize = 16;
const BARCODES: [&str; 4] = ["HPCR02403150117", "HPCR02403150118", "HPCR02403150119", "HPCR02403150120"];

/// A sweep of 4 × 16 with slowly changing values.
pub fn sweep(n: i64, minutes: &mut MinuteAggregator) -> Vec<Record> {
    let at = START - START % DAY + n * INTERVAL;
    let wander = |place: u8| ((n * 7 + i64::from(place) * 131) % 1900) as i32;
    let batteries = |cells| {
        (1..=BATTERIES)
            .zip(BARCODES)
            .map(|(place, barcode)| battery(place, cells, wander(place), Some(barcode)))
            .collect()
    };
    let full = report("pytes", at, SweepKind::Full, batteries(CELLS));
    let mut records = minutes.add(&full);
    for summary in 1..5 {
        records.extend(minutes.add(&report("pytes", at + 2000 * summary, SweepKind::Summary, batteries(0))));
    }
    records.push(Record::Sweep(Box::new(SweepRecord::from_report(&full))));
    records
}

pub fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = MariaDbServer::start(&["--innodb-buffer-pool-size=128M"]);
    println!("\n| inserting 4 × 16, every sweep and its minutes | battery rows/s | cell rows/s |");
    println!("|---|---|---|");
    let mut file = SqliteFile::open(&folder.path().join("rates.db")).expect("a file");
    rates("SQLite", &mut file);
    if let Some(server) = &server {
        let mut store = MariaDb::open(&server.server("rates")).expect("a server");
        rates("MariaDB", &mut store);
        pytes_serial(server);
        drop(store);
        let store = MariaDb::open(&server.server("backlog")).expect("a server");
        backlog::measure(&folder.path().join("journal.db"), store);
    }
    growth(&folder.path().join("growth.db"));
    println!("\n| history | SQLite | MariaDB |");
    println!("|---|---|---|");
    let mut of_server =
        server.as_ref().map(|server| MariaDb::open(&server.server("history")).expect("a server"));
    let mut of_file = SqliteFile::open(&folder.path().join("history.db")).expect("a file");
    let server_answers = of_server.as_mut().map(|store| history(store));
    for (at, (what, took)) in history(&mut of_file).into_iter().enumerate() {
        let other = server_answers
            .as_ref()
            .map_or("not available".to_owned(), |answers| format!("{:.1} ms", answers[at].1));
        println!("| {what} | {took:.1} ms | {other} |");
    }
}

fn rates(name: &str, store: &mut dyn Store) {
    let mut minutes = MinuteAggregator::default();
    let mut n = 0;
    for (how, transactions, sweeps) in
        [("one sweep per transaction", 1000, 1), ("100 sweeps per transaction", 40, 100)]
    {
        let batches: Vec<Vec<Record>> = (0..transactions)
            .map(|_| {
                (0..sweeps)
                    .flat_map(|_| {
                        n += 1;
                        sweep(n, &mut minutes)
                    })
                    .collect()
            })
            .collect();
        let start = Instant::now();
        batches.iter().for_each(|records| store.insert(records).expect("room"));
        let rows = f64::from(transactions * sweeps * i32::from(BATTERIES)) / start.elapsed().as_secs_f64();
        println!("| {name}, {how} | {rows:.0} | {:.0} |", rows * CELLS as f64);
    }
}

/// The method of pytes_serial: a new connection per cycle, a commit per row, no cells.
fn pytes_serial(server: &MariaDbServer) {
    const CYCLES: u32 = 100;
    server.run(
        "CREATE DATABASE old; CREATE TABLE old.pwr_data (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, record_time DATETIME NOT NULL \
         DEFAULT CURRENT_TIMESTAMP, power INT, voltage FLOAT, current FLOAT, temperature DECIMAL(11,0), soc INT, basic_st VARCHAR(11), \
         volt_st VARCHAR(11), current_st VARCHAR(11), temp_st VARCHAR(11), coul_st VARCHAR(11), soh_st VARCHAR(11), \
         heater_st VARCHAR(11), bat_events INT, power_events INT, sys_events INT)",
    );
    let start = Instant::now();
    for _ in 0..CYCLES {
        let mut connection = server.connection();
        for place in 1..=BATTERIES {
            let row = format!(
                "INSERT INTO old.pwr_data (power, voltage, current, temperature, soc, basic_st, volt_st, current_st, temp_st, coul_st, \
                 soh_st, heater_st, bat_events, power_events, sys_events) VALUES ({place}, 52.1, -2.1, 22, 57, 'Dischg', 'Normal', 'Normal', \
                 'Normal', 'Normal', 'Normal', 'OFF', 0, 0, 0)"
            );
            diesel::sql_query(row).execute(&mut connection).expect("a row");
        }
    }
    let rows = f64::from(CYCLES * u32::from(BATTERIES)) / start.elapsed().as_secs_f64();
    println!(
        "| MariaDB, as pytes_serial does it (one connection per cycle, one commit per row) | {rows:.0} | none |"
    );
}

/// Nine days of 4 × 16 with the default retention of cells: daily growth and writes, extrapolated to a year.
fn growth(file: &Path) {
    const DAYS: i64 = 9;
    let mut store = SqliteFile::open(file).expect("a file");
    let mut minutes = MinuteAggregator::default();
    let keep = Retention {
        batteries: std::time::Duration::from_secs(90 * 86_400),
        cells: std::time::Duration::from_secs(7 * 86_400),
    };
    let mut written = 0;
    let mut longest = std::time::Duration::ZERO;
    for day in 0..DAYS {
        let before = bytes_written();
        for n in day * DAY / INTERVAL..(day + 1) * DAY / INTERVAL {
            let records = sweep(n, &mut minutes);
            let start = Instant::now();
            store.insert(&records).expect("room");
            if n % 60 == 59 {
                let now = Timestamp::from_millisecond(START - START % DAY + n * INTERVAL).expect("a time");
                store.prune(now, &keep).expect("a step");
            }
            longest = longest.max(start.elapsed());
        }
        written = bytes_written() - before;
    }
    drop(store);
    let mut connection = SqliteConnection::establish(file.to_str().expect("a path")).expect("a file");
    connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").expect("a checkpoint");
    let tables: Vec<Table> = diesel::sql_query(
        "SELECT name, CAST(SUM(pgsize) AS INTEGER) AS bytes FROM dbstat GROUP BY name ORDER BY 2 DESC",
    )
    .load(&mut connection)
    .expect("sizes");
    println!("\n| SQLite, 4 × 16 every 10 s | per day | kept | after a year |");
    println!("|---|---|---|---|");
    let mut year = 0.0;
    for table in tables.iter().filter(|table| table.bytes > 100_000) {
        // Cells have already reached their retention.
        let (held, kept) = match &*table.name {
            "cell_reading" => (7.0, 7.0),
            "battery_reading" | "bank_reading" => (DAYS as f64, 90.0),
            _ => (DAYS as f64, 365.0),
        };
        let day = table.bytes as f64 / held / 1e6;
        year += day * kept;
        println!("| `{}` | {day:.2} MB | {kept} days | {:.0} MB |", table.name, day * kept);
    }
    println!("| all | | | {year:.0} MB |");
    println!(
        "| file on the ninth day | {:.0} MB | | |",
        fs::metadata(file).expect("a file").len() as f64 / 1e6
    );
    println!("| written on the ninth day | {:.0} MB | | |", written as f64 / 1e6);
    println!("| longest insert with a step of retention | {:.1} ms | | |", longest.as_secs_f64() * 1e3);
}

#[derive(QueryableByName)]
struct Table {
    #[diesel(sql_type = diesel::sql_types::Text)]
    name: String,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    bytes: i64,
}

/// Bytes that this process has passed to the system for writing, an upper bound of what reaches the disk.
fn bytes_written() -> i64 {
    let io = fs::read_to_string("/proc/self/io").expect("figures of this process");
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|bytes| bytes.trim().parse().ok()).expect("a number")
}

/// Queries of a day of readings and a year of hours; median in milliseconds.
fn history(store: &mut dyn Store) -> Vec<(&'static str, f64)> {
    let mut minutes = MinuteAggregator::default();
    let begin = START - START % DAY;
    for at in 0..DAY / INTERVAL / 100 {
        let records: Vec<Record> = (0..100).flat_map(|n| sweep(at * 100 + n, &mut minutes)).collect();
        store.insert(&records).expect("room");
    }
    let year = begin - 365 * DAY;
    for day in 0..365 {
        let mut records = Vec::new();
        for hour in 0..24 {
            let batteries = (1..=BATTERIES)
                .zip(BARCODES)
                .map(|(place, barcode)| battery(place, 0, hour, Some(barcode)))
                .collect();
            let at = year + day * DAY + i64::from(hour) * 3_600_000;
            records.extend(minutes.add(&report("pytes", at, SweepKind::Summary, batteries)));
        }
        store.insert(&records).expect("room");
    }
    let queries = [
        ("one day of one battery, each reading", Some(2), begin, begin + DAY, Resolution::Raw),
        ("one day of one battery, minutes", Some(2), begin, begin + DAY, Resolution::Minute),
        ("one day of the bank, each reading", None, begin, begin + DAY, Resolution::Raw),
        ("one year of one battery, hours", Some(2), year, begin, Resolution::Hour),
        ("one year of one battery, days", Some(2), year, begin, Resolution::Day),
    ];
    let took = |(what, place, from_ms, to_ms, resolution)| {
        let query = HistoryQuery { bank: "pytes", place, from_ms, to_ms, resolution, limit: 100_000 };
        let mut times: Vec<f64> = (0..7)
            .map(|_| {
                let start = Instant::now();
                assert!(!store.history(&query).expect("an answer").is_empty(), "{what}");
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        (what, times[times.len() / 2])
    };
    queries.map(took).into_iter().collect()
}
