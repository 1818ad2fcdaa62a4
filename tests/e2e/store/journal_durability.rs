//! The real program with a real MariaDB that fails in various ways: afterwards each full sweep is in the database
//! exactly once with the values of the console, and the other outputs missed nothing meanwhile.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use bankwatch::internals::simulator::{AnswerHistory, Dialect, PrintedValues, Simulation, SimulatorHandle};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Text};
use support::mariadb::{MariaDbServer, PASSWORD, USER};
use support::proxy::{Direction, Proxy};
use support::service::{LONG, Service};
use support::sweeps::{SweepWatch, sweep_count, wait_for_sweeps};

/// From one full sweep to the next.
const INTERVAL: Duration = Duration::from_millis(100);

/// From one look at a condition to the next.
const LOOK: Duration = Duration::from_millis(10);

/// Sweeps that a kill may cost: one that is asked, one on its way, and one that the disk was about to take.
const IN_HAND: usize = 3;

/// Two batteries that live so fast that each reading is another.
fn bank() -> SimulatorHandle {
    bank_of(2, 4)
}

fn bank_of(batteries: usize, cells: usize) -> SimulatorHandle {
    let bank = Simulation::new(Dialect::PytesV5).batteries(batteries).cells(cells).seed(5).speed(300.0);
    bank.unpaced().start().expect("a bank")
}

/// The table of pytes_serial is written as well: it has no key that would forgive a row that comes twice.
fn service(bank: &SimulatorHandle, port: u16) -> Service {
    let settings = format!("interval = \"{}ms\"\nsummary_interval = \"0s\"", INTERVAL.as_millis());
    let database = format!(
        "url = \"mysql://{USER}@127.0.0.1:{port}/kept\"\npassword = {PASSWORD:?}\nlegacy_table = true"
    );
    Service::start_with_database(&bank.link(), &settings, &database)
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
    /// The values of its cells, in order.
    #[diesel(sql_type = Text)]
    cells_mv: String,
}

/// How many full sweeps the database holds; none while it can't be asked.
fn stored(server: &MariaDbServer) -> u64 {
    count(server, "SELECT COUNT(*) AS number FROM kept.bank_reading").unwrap_or(0)
}

/// How many sweeps the table of pytes_serial has not taken yet.
fn waiting(server: &MariaDbServer) -> Option<u64> {
    count(server, "SELECT COUNT(*) AS number FROM kept.legacy_pending")
}

fn count(server: &MariaDbServer, query: &str) -> Option<u64> {
    let number = diesel::sql_query(query).get_result::<Number>(&mut server.try_connection()?);
    number.ok().map(|row| row.number.unsigned_abs())
}

#[track_caller]
fn until(what: &str, service: &mut Service, mut condition: impl FnMut(&mut Service) -> bool) {
    let start = Instant::now();
    while !condition(service) {
        assert!(start.elapsed() < LONG, "not in time: {what}\n{}", service.log().join("\n"));
        thread::sleep(LOOK);
    }
}

/// No more sweeps come; all that were shown, and no others, are in the database, and each is what the console
/// reported.
#[track_caller]
fn assert_each_sweep_once(server: &MariaDbServer, service: &mut Service, bank: &SimulatorHandle) {
    bank.unplug();
    service.wait_for_log(&["link lost"]);
    until("all of it is there", service, |service| {
        stored(server) == sweep_count(service) && waiting(server) == Some(0)
    });
    assert_matches_console(server, bank, 0);
    let log = service.log();
    assert!(
        !log.iter().any(|line| line.contains("history lost") || line.contains("record rejected")),
        "{log:#?}"
    );
}

/// Asserts that each sweep is complete and that the rows of each battery are the consecutive answers of the console,
/// except for answers that were repeated or in progress at one of `kills` kills.
#[track_caller]
fn assert_matches_console(server: &MariaDbServer, bank: &SimulatorHandle, kills: usize) {
    let (sweeps, truth) = (stored(server), bank.answer_history());
    let cells = truth.latest("bat 1").map_or(0, |reported| match &reported.values {
        PrintedValues::Cells { cells, .. } => cells.len(),
        _ => 0,
    });
    let batteries = truth.latest("pwr").map_or(0, |reported| match &reported.values {
        PrintedValues::Table(rows) => rows.iter().filter(|row| row.present).count(),
        _ => 0,
    });
    let whole =
        [("battery_reading", batteries), ("pwr_data", batteries), ("cell_reading", batteries * cells)];
    for (table, rows) in whole {
        let found = count(server, &format!("SELECT COUNT(*) AS number FROM kept.{table}"));
        assert_eq!(found, Some(sweeps * rows as u64), "{table}");
    }
    assert_eq!(count(server, "SELECT COUNT(*) AS number FROM kept.dead_letter"), Some(0));
    assert_eq!(truth.answers[0].number, 1, "the answer history is complete");
    let again = "SELECT CAST(SUM(asked_again) AS SIGNED) AS number FROM kept.bank_reading";
    let again = usize::try_from(count(server, again).expect("a number")).unwrap();
    for place in 1..=batteries {
        let query = format!(
            "SELECT b.taken_at_ms, b.voltage_mv, b.current_ma, CAST(GROUP_CONCAT(c.voltage_mv ORDER BY c.cell) AS CHAR) AS cells_mv \
             FROM kept.battery_reading AS b JOIN kept.cell_reading AS c USING (taken_at_ms, battery_id) WHERE b.place = {place} \
             GROUP BY b.taken_at_ms, b.voltage_mv, b.current_ma ORDER BY b.taken_at_ms"
        );
        let rows: Vec<Row> = diesel::sql_query(query).load(&mut server.connection()).unwrap();
        assert_eq!(rows.len() as u64, sweeps, "battery {place}");
        let (details, cells) = reported_values(&truth, place);
        let own = rows.iter().map(|row| (row.taken_at_ms, (row.voltage_mv, row.current_ma)));
        let theirs = rows.iter().map(|row| (row.taken_at_ms, row.cells_mv.clone()));
        for skipped in [count_skipped_answers(own, &details), count_skipped_answers(theirs, &cells)] {
            let most = kills * IN_HAND + again;
            assert!(skipped <= most, "{skipped} answers of battery {place} are nowhere, of {most} at most");
        }
    }
}

/// Asserts that the stored values are reported ones in the same order; returns the number of skipped answers.
#[track_caller]
fn count_skipped_answers<T: PartialEq + Debug>(
    stored: impl Iterator<Item = (i64, T)>,
    reported: &[T],
) -> usize {
    let (mut next, mut skipped) = (0, 0);
    for (at, values) in stored {
        let between = reported[next..].iter().position(|reported| *reported == values);
        let between =
            between.unwrap_or_else(|| panic!("not reported by the console at that time: {values:?} at {at}"));
        (skipped, next) = (skipped + between, next + between + 1);
    }
    skipped
}

/// What the console reported for a battery: voltage, current and cell voltages.
fn reported_values(truth: &AnswerHistory, place: usize) -> (Vec<(i32, i32)>, Vec<String>) {
    let (mut details, mut all_cells) = (Vec::new(), Vec::new());
    for answer in &truth.answers {
        match &answer.values {
            PrintedValues::Detail(own) if own.place == place => {
                details.push((own.voltage_mv, own.current_ma))
            }
            PrintedValues::Cells { place: of, cells } if *of == place => {
                let cells: Vec<String> = cells.iter().map(|cell| cell.voltage_mv.to_string()).collect();
                all_cells.push(cells.join(","));
            }
            _ => {}
        }
    }
    (details, all_cells)
}

#[test]
fn a_repeatedly_killed_server_misses_no_row() {
    let Some(server) = MariaDbServer::start(&[]) else { return };
    let bank = bank();
    let mut service = service(&bank, server.port());
    until("the first rows", &mut service, |_| stored(&server) > 0);
    let meanwhile = SweepWatch::watch(&mut service, INTERVAL);
    for _ in 0..3 {
        server.kill();
        wait_for_sweeps(&mut service, 15);
        server.restart();
        let before = stored(&server);
        until("rows come again", &mut service, |_| stored(&server) > before);
    }
    meanwhile.assert_regular(&mut service);
    assert_each_sweep_once(&server, &mut service, &bank);
}

#[test]
fn cut_connections_store_nothing_twice() {
    let Some(server) = MariaDbServer::start(&[]) else { return };
    let (bank, proxy) = (bank(), Proxy::in_front_of(server.port()));
    let mut service = service(&bank, proxy.port());
    until("the first rows", &mut service, |_| stored(&server) > 0);
    let meanwhile = SweepWatch::watch(&mut service, INTERVAL);
    // Cut in a request, and in the response after the server has executed it.
    for (way, bytes) in [
        (Direction::ToServer, 1),
        (Direction::FromServer, 0),
        (Direction::ToServer, 3_000),
        (Direction::FromServer, 30),
        (Direction::ToServer, 700),
        (Direction::FromServer, 100),
        (Direction::ToServer, 20_000),
        (Direction::FromServer, 7),
    ] {
        let cuts = proxy.cuts();
        proxy.cut_on(way, bytes);
        until("the cut", &mut service, |_| proxy.cuts() > cuts);
        let before = stored(&server);
        until("rows come again", &mut service, |_| stored(&server) > before);
    }
    // The server has received the COMMIT, but its response is lost.
    for _ in 0..4 {
        let cuts = proxy.cuts();
        proxy.cut_after_pattern(b"COMMIT");
        until("a commit", &mut service, |_| proxy.cuts() > cuts);
        let newest = shown(&service);
        until("rows come again", &mut service, |_| newest_stored(&server) > newest);
    }
    meanwhile.assert_regular(&mut service);
    assert_each_sweep_once(&server, &mut service, &bank);
}

#[test]
fn a_full_server_gets_every_row_once_it_has_space() {
    let options = ["--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M;ibdata2:16M"];
    let Some(server) = MariaDbServer::start(&options) else { return };
    // Large enough to fill the space already allocated to the tables.
    let bank = bank_of(8, 32);
    let mut service = service(&bank, server.port());
    until("the first rows", &mut service, |_| stored(&server) > 0);
    let meanwhile = SweepWatch::watch(&mut service, INTERVAL);
    server.run("CREATE TABLE kept.ballast (number INT AUTO_INCREMENT PRIMARY KEY, weight VARCHAR(8000)) ENGINE=InnoDB");
    // In decreasing sizes, so that no space is left for a row.
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
    service.wait_for_log(&["output down", "output=db", "no space left for"]);
    wait_for_sweeps(&mut service, 15);
    server.run("DROP TABLE kept.ballast");
    service.wait_for_log(&["output recovered", "output=db"]);
    meanwhile.assert_regular(&mut service);
    assert_each_sweep_once(&server, &mut service, &bank);
}

#[test]
fn a_server_that_hangs_past_every_deadline_gets_every_row_later() {
    let Some(server) = MariaDbServer::start(&[]) else { return };
    let bank = bank();
    let mut service = service(&bank, server.port());
    until("the first rows", &mut service, |_| stored(&server) > 0);
    let meanwhile = SweepWatch::watch(&mut service, INTERVAL);
    server.suspend();
    // First the connection of a batch in progress, then a new one.
    service.wait_for_log(&["output down", "output=db", "the call is still running"]);
    service.wait_for_log(&["output down", "output=db", "did not respond within 5s"]);
    wait_for_sweeps(&mut service, 15);
    server.resume();
    service.wait_for_log(&["output recovered", "output=db"]);
    meanwhile.assert_regular(&mut service);
    assert_each_sweep_once(&server, &mut service, &bank);
    let backs = service.log().into_iter().filter(|line| line.contains("output recovered output=db"));
    assert_eq!(backs.count(), 1, "it counts as recovered once it accepts rows, not when it is tried");
}

/// When a sweep was taken that the file shows.
fn shown(service: &Service) -> Option<i64> {
    let taken_at = service.status()?["taken_at"].as_str()?.to_owned();
    Some(taken_at.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

#[test]
fn a_service_killed_dozens_of_times_has_stored_what_it_published() {
    const PROCESSES: usize = 36;
    let Some(server) = MariaDbServer::start(&[]) else { return };
    let bank = bank();
    let mut service = service(&bank, server.port());
    until("the first rows", &mut service, |_| stored(&server) > 0);
    let (mut all, mut random) = (BTreeSet::new(), fastrand::Rng::with_seed(17));
    for round in 0..PROCESSES {
        if round > 0 {
            service.restart();
        }
        // In the middle third the server is down, and rows wait for a later process.
        match round {
            12 => server.kill(),
            24 => server.restart(),
            _ => {}
        }
        // Some are killed while starting, some after a few sweeps.
        let wanted = random.usize(0..6);
        let (mut seen, before) = (BTreeSet::new(), shown(&service));
        until("sweeps", &mut service, |service| {
            seen.extend(shown(service).filter(|at| Some(*at) != before));
            seen.len() >= wanted
        });
        let moment = Duration::from_millis(random.u64(0..100));
        thread::sleep(moment);
        service.kill();
        // The last one may have been in progress.
        seen.extend(shown(&service).filter(|at| Some(*at) != before));
        seen.pop_last();
        all.extend(seen);
    }
    assert!(all.len() > PROCESSES, "{} sweeps in {PROCESSES} processes", all.len());
    service.restart();
    let initial = service.status();
    service
        .wait("the last process", |status| (Some(status) == initial.as_ref()).then(|| "none yet".to_owned()));
    bank.unplug();
    service.wait_for_log(&["link lost"]);
    let newest = shown(&service);
    until("what was kept is there", &mut service, |_| {
        newest_stored(&server) == newest && waiting(&server) == Some(0)
    });
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
    assert_matches_console(&server, &bank, PROCESSES);
}

/// When the newest sweep was taken that the database holds.
fn newest_stored(server: &MariaDbServer) -> Option<i64> {
    let query = "SELECT MAX(taken_at_ms) AS number FROM kept.bank_reading";
    let newest = diesel::sql_query(query).get_result::<Number>(&mut server.try_connection()?);
    newest.ok().map(|row| row.number)
}

#[test]
fn a_locked_or_refused_legacy_table_delays_nothing_else() {
    let Some(server) = MariaDbServer::start(&[]) else { return };
    let bank = bank();
    let mut service = service(&bank, server.port());
    until("the first rows", &mut service, |_| stored(&server) > 0 && waiting(&server) == Some(0));
    let meanwhile = SweepWatch::watch(&mut service, INTERVAL);
    let mut owner = server.connection();
    owner.batch_execute("LOCK TABLES kept.pwr_data WRITE").unwrap();
    service.wait_for_log(&["legacy table refused table=pwr_data", "another session holds a lock", "remedy="]);
    let before = stored(&server);
    until("our own rows go on", &mut service, |_| stored(&server) > before + 10);
    owner.batch_execute("UNLOCK TABLES").unwrap();
    service.wait_for_log(&["legacy table accepted again table=pwr_data", "outage="]);
    server.run("ALTER TABLE kept.pwr_data ADD note VARCHAR(9) NOT NULL");
    service.wait_for_log(&["legacy table refused", "NOT NULL and has no default", "SET DEFAULT ''"]);
    let healthcheck = Command::new(env!("CARGO_BIN_EXE_bankwatch"))
        .current_dir(service.folder())
        .arg("healthcheck")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&healthcheck.stdout);
    assert!(healthcheck.status.success(), "{text}");
    assert!(
        text.starts_with("bank: OK\npwr_data is refused (") && text.contains("column \"note\""),
        "{text}"
    );
    let before = stored(&server);
    until("our own rows go on", &mut service, |_| stored(&server) > before + 10);
    server.run("ALTER TABLE kept.pwr_data ALTER note SET DEFAULT ''");
    meanwhile.assert_regular(&mut service);
    assert_each_sweep_once(&server, &mut service, &bank);
    assert!(!service.log().iter().any(|line| line.contains("output down")), "{:#?}", service.log());
}
