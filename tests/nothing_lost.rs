//! The real program in front of a real MariaDB that fails in every way there is: afterwards each full sweep is in the
//! database exactly once, with what the console said, and the other outputs missed nothing meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test file uses some of it")]
#[path = "support/mariadb.rs"]
mod mariadb;
#[allow(dead_code, reason = "each test file uses some of it")]
#[path = "support/proxy.rs"]
mod proxy;
#[allow(dead_code, reason = "each test file uses some of it")]
#[path = "support/service.rs"]
mod service;
#[path = "support/sweeps.rs"]
mod sweeps;

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use bankwatch::simulator::{Dialect, Simulation, SimulatorHandle, Values};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer};
use mariadb::{MariaDbServer, PASSWORD, USER};
use proxy::{Proxy, Way};
use service::{LONG, Service};
use sweeps::{Sweeps, loops, sweeps};

/// From one full sweep to the next.
const INTERVAL: Duration = Duration::from_millis(100);

/// Two batteries that live so fast that each reading is another.
fn bank() -> SimulatorHandle {
    bank_of(2, 4)
}

fn bank_of(batteries: usize, cells: usize) -> SimulatorHandle {
    let bank = Simulation::new(Dialect::PytesV5).batteries(batteries).cells(cells).seed(5).speed(300.0);
    bank.unpaced().start().expect("a bank")
}

fn service(bank: &SimulatorHandle, port: u16) -> Service {
    let settings = format!("interval = \"{}ms\"\nsummary_interval = \"0s\"", INTERVAL.as_millis());
    let database = format!("url = \"mysql://{USER}@127.0.0.1:{port}/kept\"\npassword = {PASSWORD:?}");
    Service::start_keeping(&bank.link(), &settings, &database)
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// A battery's row.
#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    taken_at_ms: i64,
    #[diesel(sql_type = Integer)]
    voltage_mv: i32,
    #[diesel(sql_type = Integer)]
    current_ma: i32,
}

/// How many full sweeps the database holds; none while it can't be asked.
fn stored(server: &MariaDbServer) -> u64 {
    count(server, "SELECT COUNT(*) AS number FROM kept.bank_reading").unwrap_or(0)
}

fn count(server: &MariaDbServer, query: &str) -> Option<u64> {
    let number = diesel::sql_query(query).get_result::<Number>(&mut server.try_connection()?);
    number.ok().map(|row| row.number.unsigned_abs())
}

#[track_caller]
fn until(what: &str, service: &mut Service, mut condition: impl FnMut(&mut Service) -> bool) {
    let begun = Instant::now();
    while !condition(service) {
        assert!(begun.elapsed() < LONG, "not in time: {what}\n{}", service.log().join("\n"));
        thread::sleep(Duration::from_millis(10));
    }
}

/// No more sweeps come; all that were shown, and no others, are in the database, and each is what the console said.
#[track_caller]
fn holds_each_sweep_once(server: &MariaDbServer, service: &mut Service, bank: &SimulatorHandle) {
    bank.unplug();
    service.wait_for_line(&["link lost"]);
    until("all of it is there", service, |service| stored(server) == loops(service));
    is_what_was_said(server, bank);
    let log = service.log();
    assert!(
        !log.iter().any(|line| line.contains("history lost") || line.contains("row refused")),
        "{log:#?}"
    );
}

/// Each sweep is whole, and the rows of each battery are answers of the console, in their order.
#[track_caller]
fn is_what_was_said(server: &MariaDbServer, bank: &SimulatorHandle) {
    let (sweeps, truth) = (stored(server), bank.truth());
    let cells = truth.latest("bat 1").map_or(0, |said| match &said.values {
        Values::Cells { cells, .. } => cells.len(),
        _ => 0,
    });
    let batteries = truth.latest("pwr").map_or(0, |said| match &said.values {
        Values::Table(rows) => rows.iter().filter(|row| row.present).count(),
        _ => 0,
    });
    let whole = [("battery_reading", batteries), ("cell_reading", batteries * cells)];
    for (table, rows) in whole {
        let found = count(server, &format!("SELECT COUNT(*) AS number FROM kept.{table}"));
        assert_eq!(found, Some(sweeps * rows as u64), "{table}");
    }
    assert_eq!(count(server, "SELECT COUNT(*) AS number FROM kept.dead_letter"), Some(0));
    assert_eq!(truth.answers[0].number, 1, "the simulator remembers all of it");
    for place in 1..=batteries {
        let said = truth.answers.iter().filter_map(|said| match &said.values {
            Values::Detail(detail) if detail.place == place => Some((detail.voltage_mv, detail.current_ma)),
            _ => None,
        });
        let query = format!(
            "SELECT taken_at_ms, voltage_mv, current_ma FROM kept.battery_reading WHERE place = {place} ORDER BY taken_at_ms"
        );
        let rows: Vec<Row> = diesel::sql_query(query).load(&mut server.connection()).unwrap();
        let mut said = said.enumerate().peekable();
        for row in &rows {
            let is_it = |(_, values): &(usize, (i32, i32))| *values == (row.voltage_mv, row.current_ma);
            assert!(
                said.any(|said| is_it(&said)),
                "nobody said this then: {} of battery {place}",
                row.taken_at_ms
            );
        }
    }
}

#[test]
fn a_server_killed_again_and_again_misses_nothing() {
    let Some(server) = MariaDbServer::start(&[]) else { return };
    let bank = bank();
    let mut service = service(&bank, server.port());
    until("the first rows", &mut service, |_| stored(&server) > 0);
    let meanwhile = Sweeps::watch(&mut service, INTERVAL);
    for _ in 0..3 {
        server.kill();
        sweeps(&mut service, 15);
        server.restart();
        let before = stored(&server);
        until("rows come again", &mut service, |_| stored(&server) > before);
    }
    meanwhile.went_on(&mut service);
    holds_each_sweep_once(&server, &mut service, &bank);
}

#[test]
fn connections_cut_in_the_middle_of_anything_bring_nothing_twice() {
    let Some(server) = MariaDbServer::start(&[]) else { return };
    let (bank, proxy) = (bank(), Proxy::before(server.port()));
    let mut service = service(&bank, proxy.port());
    until("the first rows", &mut service, |_| stored(&server) > 0);
    let meanwhile = Sweeps::watch(&mut service, INTERVAL);
    // What is asked, and what the server answers once it has done it.
    for (way, bytes) in [
        (Way::Out, 1),
        (Way::Back, 0),
        (Way::Out, 3_000),
        (Way::Back, 30),
        (Way::Out, 700),
        (Way::Back, 100),
        (Way::Out, 20_000),
        (Way::Back, 7),
    ] {
        let cuts = proxy.cuts();
        proxy.cut_on(way, bytes);
        until("the cut", &mut service, |_| proxy.cuts() > cuts);
        let before = stored(&server);
        until("rows come again", &mut service, |_| stored(&server) > before);
    }
    meanwhile.went_on(&mut service);
    holds_each_sweep_once(&server, &mut service, &bank);
}

#[test]
fn a_server_that_is_full_gets_all_of_it_when_there_is_room() {
    let options = ["--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M;ibdata2:16M"];
    let Some(server) = MariaDbServer::start(&options) else { return };
    // Large enough to fill what the tables have set aside for themselves.
    let bank = bank_of(8, 32);
    let mut service = service(&bank, server.port());
    until("the first rows", &mut service, |_| stored(&server) > 0);
    let meanwhile = Sweeps::watch(&mut service, INTERVAL);
    server.run("CREATE TABLE kept.ballast (number INT AUTO_INCREMENT PRIMARY KEY, weight VARCHAR(8000)) ENGINE=InnoDB");
    // From large to small, so that no room is left for a row.
    for weight in [8000, 1000, 10] {
        let more =
            format!("INSERT INTO kept.ballast (weight) SELECT REPEAT('x', {weight}) FROM kept.seq_1_to_200");
        let mut connection = server.connection();
        let mut added = 0;
        let error = loop {
            match diesel::sql_query(&more).execute(&mut connection) {
                Ok(rows) => added += rows,
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("is full") && (added > 0 || weight < 8000), "{error}");
    }
    service.wait_for_line(&["output away", "output=db", "no space left for"]);
    sweeps(&mut service, 15);
    server.run("DROP TABLE kept.ballast");
    service.wait_for_line(&["output back", "output=db"]);
    meanwhile.went_on(&mut service);
    holds_each_sweep_once(&server, &mut service, &bank);
}

#[test]
fn a_server_that_hangs_for_longer_than_every_deadline_gets_all_of_it_when_it_goes_on() {
    let Some(server) = MariaDbServer::start(&[]) else { return };
    let bank = bank();
    let mut service = service(&bank, server.port());
    until("the first rows", &mut service, |_| stored(&server) > 0);
    let meanwhile = Sweeps::watch(&mut service, INTERVAL);
    server.stop();
    service.wait_for_line(&["output away", "output=db"]);
    sweeps(&mut service, 15);
    server.go_on();
    service.wait_for_line(&["output back", "output=db"]);
    meanwhile.went_on(&mut service);
    holds_each_sweep_once(&server, &mut service, &bank);
}

/// When a sweep was taken that the file shows.
fn shown(service: &Service) -> Option<i64> {
    let taken_at = service.status()?["taken_at"].as_str()?.to_owned();
    Some(taken_at.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

#[test]
fn a_service_killed_dozens_of_times_at_any_moment_has_stored_what_it_had_shown() {
    let Some(server) = MariaDbServer::start(&[]) else { return };
    let bank = bank();
    let mut service = service(&bank, server.port());
    let (mut all, mut random) = (BTreeSet::new(), fastrand::Rng::with_seed(17));
    for life in 0..24 {
        if life > 0 {
            service.start_again();
        }
        // Some die while they begin, some with a few sweeps behind them.
        let wanted = random.usize(0..6);
        let (mut seen, before) = (BTreeSet::new(), shown(&service));
        until("sweeps", &mut service, |service| {
            seen.extend(shown(service).filter(|at| Some(*at) != before));
            seen.len() >= wanted
        });
        thread::sleep(Duration::from_millis(random.u64(0..100)));
        service.kill();
        // The last one may have been in hand.
        seen.extend(shown(&service).filter(|at| Some(*at) != before));
        seen.pop_last();
        all.extend(seen);
    }
    assert!(all.len() > 24, "{} sweeps in 24 lives", all.len());
    service.start_again();
    let lives = stored(&server);
    until("what was kept is there", &mut service, |_| stored(&server) > lives + 3);
    let query = "SELECT taken_at_ms AS number FROM kept.bank_reading";
    let there: Vec<Number> = diesel::sql_query(query).load(&mut server.connection()).unwrap();
    let there: BTreeSet<i64> = there.iter().map(|row| row.number).collect();
    let lost: Vec<&i64> = all.difference(&there).collect();
    assert!(
        lost.is_empty(),
        "{} of {} sweeps: {lost:?}\n{}",
        lost.len(),
        all.len(),
        service.log().join("\n")
    );
    bank.unplug();
    service.wait_for_line(&["link lost"]);
    is_what_was_said(&server, &bank);
}
