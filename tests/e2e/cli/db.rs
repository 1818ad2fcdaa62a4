//! `bankwatch db migrate | import-legacy | prune | export` on both databases, also while a service writes.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bankwatch::internals::model::reading::SweepKind;
use bankwatch::internals::store::{DatabaseServer, LegacyWriter, MariaDb, MinuteAggregator, Store};
use support::history::{Backend, START, battery, report, sweep};
use support::mariadb;
use support::mariadb::{MariaDbServer, PASSWORD, USER};
use support::program;
use support::terminal::terminal;
use tempfile::TempDir;

/// Sweeps ten seconds apart, of two batteries with two cells.
fn fill(store: &mut dyn Store, first_ms: i64, sweeps: i64) {
    for n in 0..sweeps {
        let batteries =
            [(1, "B000001"), (2, "B000002")].map(|(place, code)| battery(place, 2, n as i32, Some(code)));
        store.insert(&[sweep("pytes", first_ms + n * 10_000, batteries.into())]).unwrap();
    }
}

/// A folder with the settings of a service.
struct ServiceFolder {
    folder: TempDir,
}

/// Exit code, standard output, standard error.
type CommandOutput = (i32, String, String);

impl ServiceFolder {
    fn with(url: &str, lines: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let settings = format!(
            "[[bank]]\nname = \"pytes\"\nlink = \"/dev/none\"\n[database]\nurl = {url:?}\npassword = {PASSWORD:?}\n{lines}\n"
        );
        fs::write(folder.path().join("bankwatch.toml"), settings).unwrap();
        Self { folder }
    }

    fn of(backend: &Backend, lines: &str) -> Self {
        Self::with(&url(backend), lines)
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = program::program(self.folder.path());
        command.arg("db").args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> CommandOutput {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Runs a command that must succeed; returns standard output.
    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!((output.0, output.2.as_str()), (0, ""), "{output:?}");
        output.1
    }

    /// Runs a command that must fail; returns standard error.
    fn fail(&self, arguments: &[&str]) -> String {
        let (code, out, error) = self.run(arguments);
        assert_eq!((code, out.as_str()), (1, ""), "{error}");
        error
    }
}

fn url(backend: &Backend) -> String {
    match backend {
        Backend::File { .. } => format!("sqlite:{}", backend.file().display()),
        Backend::Server { server, database } => {
            format!("mysql://{USER}@127.0.0.1:{}/{database}", server.port())
        }
    }
}

fn backends() -> impl Iterator<Item = Backend> {
    [Backend::sqlite(), Backend::mariadb()].into_iter().flatten()
}

#[test]
fn migrate_creates_the_tables_once_and_prints_the_versions() {
    for backend in backends() {
        let service = ServiceFolder::of(&backend, "");
        let made = service.succeed(&["migrate"]);
        assert!(made.contains("created with schema 2026"), "{made}");
        assert_eq!(backend.count("battery_reading"), 0);
        let again = service.succeed(&["migrate"]);
        assert!(again.contains("already"), "{again}");
        // As left by an earlier version.
        backend.run("DELETE FROM __diesel_schema_migrations WHERE version > '20261128000012'");
        backend.run("DROP VIEW v_lifetime; DROP TABLE lifetime");
        let brought = service.succeed(&["migrate"]);
        assert!(brought.contains("updated from schema 2026") && !brought.contains(PASSWORD), "{brought}");
        assert_eq!(backend.count("v_lifetime"), 0);
    }
}

#[test]
fn a_schema_of_a_later_version_is_refused_and_unchanged() {
    for backend in backends() {
        let service = ServiceFolder::of(&backend, "");
        service.succeed(&["migrate"]);
        backend.run("INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000000')");
        for verb in [&["migrate"][..], &["prune"], &["export"]] {
            let error = service.fail(verb);
            assert!(error.contains("it was written by a later version"), "{error}");
        }
    }
}

#[test]
fn export_writes_a_header_and_every_row_of_the_span_once() {
    for backend in backends() {
        let service = ServiceFolder::of(&backend, "");
        fill(&mut *backend.open(), START, 20);
        let all = service.succeed(&["export", "--csv"]);
        let lines: Vec<&str> = all.lines().collect();
        assert_eq!(lines.len(), 41);
        assert!(
            lines[0].starts_with("taken_at,bank,place,battery_id,barcode,voltage_v,current_a,"),
            "{}",
            lines[0]
        );
        assert!(
            lines[1].starts_with("2026-11-22T06:05:00Z,pytes,1,") && lines[1].contains(",B000001,52,-2.185,"),
            "{}",
            lines[1]
        );
        let span = ["--from", "2026-11-22T06:05:30Z", "--to", "2026-11-22T06:06:00Z"];
        let some = service.succeed(&[&["export", "cells"][..], &span].concat());
        assert_eq!(some.lines().count(), 1 + 3 * 2 * 2);
        assert_eq!(
            service.succeed(&["export", "banks", "--from", "1h"]).lines().count(),
            1,
            "nothing is that new"
        );
        let file = service.folder.path().join("banks.csv");
        let output = service.succeed(&["export", "banks", "-o", "banks.csv"]);
        assert_eq!(output, "20 rows written to banks.csv\n");
        assert_eq!(fs::read_to_string(file).unwrap().lines().count(), 21);
        let error = service.fail(&["export", "-o", "nowhere/batteries.csv"]);
        assert!(error.contains("nowhere/batteries.csv can't be written"), "{error}");
    }
}

#[test]
fn prune_deletes_and_counts_expired_rows_during_writes() {
    for backend in backends() {
        let service = ServiceFolder::of(&backend, "retention = \"90d\"\ncell_retention = \"0s\"");
        let mut store = backend.open();
        fill(&mut *store, START - 200 * 86_400_000, 300);
        let now = jiff::Timestamp::now().as_millisecond();
        fill(&mut *store, now - 10_000_000, 50);
        let output = std::thread::scope(|scope| {
            let writing = scope.spawn(|| fill(&mut *store, now - 5_000_000, 100));
            let output = service.succeed(&["prune", "--shrink"]);
            writing.join().unwrap();
            output
        });
        assert!(output.starts_with("900 rows deleted from "), "{output}");
        assert!(output.contains("retention: batteries 90 days, cells forever"), "{output}");
        let counts = ["bank_reading", "battery_reading", "cell_reading"].map(|table| backend.count(table));
        assert_eq!(counts, [150, 300, 450 * 4]);
        assert!(service.succeed(&["prune"]).starts_with("0 rows deleted"));
    }
}

#[test]
fn import_legacy_copies_the_rows_of_pytes_serial_once() {
    let Some(backend) = Backend::mariadb() else { return };
    let Backend::Server { server, database } = &backend else { return };
    backend.run(
        "CREATE TABLE pwr_data (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, record_time datetime NOT NULL DEFAULT current_timestamp(), \
         power int, voltage float, current float, temperature decimal(11,0), soc int, basic_st varchar(11), volt_st varchar(11), \
         current_st varchar(11), temp_st varchar(11), coul_st varchar(11), soh_st varchar(11), heater_st varchar(11), bat_events int, \
         power_events int, sys_events int)",
    );
    backend.run(
        "INSERT INTO pwr_data (record_time, power, voltage, soc) VALUES ('2026-11-20 06:00:00', 1, 53.01, 87), \
         ('2026-11-20 06:00:00', 2, 53.02, 88), ('2026-11-20 06:00:05', NULL, 53.03, 88)",
    );
    let service = ServiceFolder::with("sqlite:other.db", "");
    let predecessors = format!(
        "[serial]\nserial_port = /dev/none\nserial_baudrate = 115200\nreading_freq = 5\n[battery_info]\npowers = 2\ncells = 16\n\
         dev_name = pytes\n[Maria DB connection]\nSQL_active = true\nhost = 127.0.0.1\ndb_port = {}\nuser = {USER}\n\
         password = {PASSWORD}\ndatabase = {database}\n",
        server.port()
    );
    fs::write(service.folder.path().join("pytes_serial.cfg"), predecessors).unwrap();
    let import = ["import-legacy", "--config", "pytes_serial.cfg"];
    for _ in 0..2 {
        assert_eq!(
            service.succeed(&import),
            "3 rows of pwr_data read, 2 imported into the bank pytes\n\
             from 2026-11-20T06:00:00.001Z to 2026-11-20T06:00:00.002Z\n\
             1 skipped: without a time or a place\n"
        );
        assert_eq!(
            backend.rows(&["place", "soc_percent"], "FROM battery_reading ORDER BY place"),
            ["1 87", "2 88"]
        );
    }
    let error = service.fail(&["import-legacy", "--bank", "other", "--config", "pytes_serial.cfg"]);
    assert!(error.contains("no bank \"other\" is configured; configured: pytes"), "{error}");
    let error = service.fail(&["import-legacy"]);
    assert!(error.contains("mysql://user@host:port/database"), "{error}");
}

#[test]
fn reading_creates_nothing_and_invalid_settings_are_reported() {
    for backend in backends() {
        let service = ServiceFolder::of(&backend, "");
        for verb in ["prune", "export"] {
            let error = service.fail(&[verb]);
            assert!(error.contains("there is no history at") && error.contains("data_dir"), "{error}");
        }
        match &backend {
            Backend::File { .. } => assert!(!backend.file().exists()),
            // It can still be created.
            Backend::Server { server, database } => {
                let error = service.fail(&["import-legacy"]);
                assert!(
                    error.contains(&format!("there is no history at 127.0.0.1:{}/{database}", server.port()))
                );
                server.run(&format!("CREATE DATABASE `{database}`"));
            }
        }
    }
    let service = ServiceFolder::with("sqlite:history.db", "");
    let (code, _, error) = ServiceFolder::with("sqlite:history.db", "retentoin = \"1d\"").run(&["prune"]);
    assert_eq!(code, 78);
    assert!(error.contains("did you mean database.retention?"), "{error}");
    let (code, _, error) = service.run(&["export", "--from", "yesterdaily"]);
    assert_eq!(code, 2);
    assert!(error.contains("or so long ago: 7d"), "{error}");
}

#[test]
fn server_errors_have_a_remedy_and_never_the_password() {
    let Some(server) = mariadb::shared() else { return };
    server.run("CREATE USER 'visitor'@'%' IDENTIFIED BY 'p@ss:w/o;rd =%20#?'; CREATE DATABASE seen; GRANT SELECT ON seen.* TO 'visitor'@'%'");
    let url = |user: &str, host: &str, port: u16, database: &str| {
        format!("mysql://{user}@{host}:{port}/{database}")
    };
    let here = |user, database| url(user, "127.0.0.1", server.port(), database);
    let unused_port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let old = MariaDbServer::start(&["--version=10.2.44-MariaDB"]).unwrap();
    let tls = "tls = \"verify\"\ntls_ca = \"authorities\"";
    for (url, lines, words) in [
        (here("nobody", "d"), "", "check `database.url` and `database.password`"),
        (here("visitor", "hidden"), "", "CREATE DATABASE `hidden`; GRANT ALL ON `hidden`.* TO 'visitor'"),
        (here("visitor", "seen"), "", "lacks a privilege on the database \"seen\""),
        (url(USER, "127.0.0.1", unused_port, "d"), "", "the server is running and listening there"),
        (url(USER, "no-such-host.invalid", 3306, "d"), "", "can't be resolved"),
        (url(USER, "127.0.0.1", old.port(), "d"), "", "at least MariaDB 10.3 or MySQL 8.0 is required"),
        (here(USER, "d"), tls, "requires encryption, but the server 127.0.0.1:"),
    ] {
        let service = ServiceFolder::with(&url, lines);
        fs::write(service.folder.path().join("authorities"), "").unwrap();
        let error = service.fail(&["migrate"]);
        assert!(error.contains(words) && !error.contains(PASSWORD), "{error}");
    }
}

#[test]
fn export_selects_bank_battery_and_span() {
    for backend in backends() {
        let (service, mut store, mut minutes) =
            (ServiceFolder::of(&backend, ""), backend.open(), MinuteAggregator::default());
        fill(&mut *store, START, 5);
        store.insert(&[sweep("cellar", START, vec![battery(1, 1, 7, None)])]).unwrap();
        for n in 0..90 {
            let batteries = vec![battery(1, 2, 7, Some("B000001")), battery(2, 2, 8, Some("B000002"))];
            let over = minutes.add(&report("pytes", START + n * 1000, SweepKind::Full, batteries));
            store.insert(&over).unwrap();
        }
        store.insert(&minutes.close()).unwrap();
        let rows =
            |arguments: &[&str]| service.succeed(&[&["export"], arguments].concat()).lines().count() - 1;
        assert_eq!(rows(&[]), 11);
        assert_eq!(rows(&["--bank", "cellar"]), 1);
        assert_eq!(rows(&["--bank", "pytes", "--battery", "2"]), 5);
        assert_eq!(rows(&["cells", "--battery", "2"]), 10);
        assert_eq!(
            ["minutes", "hours", "days"].map(|spans| rows(&[spans])),
            [6, 3, 3],
            "a bank and two batteries"
        );
        assert_eq!(rows(&["minutes", "--battery", "1"]), 2);
        let minutes = service.succeed(&["export", "minutes"]);
        assert!(
            minutes.starts_with("started_at,bank,place,battery_id,barcode,samples,voltage_v,"),
            "{minutes}"
        );
        let error = service.fail(&["export", "--bank", "attic"]);
        assert!(error.contains("no bank \"attic\"; it has: cellar, pytes"), "{error}");
        for (arguments, words) in [
            (&["banks", "--battery", "1"][..], "rows of banks have no place"),
            (&["--from", "1h", "--to", "2h"], "--from must be before --to"),
            (&["packs"], "one of banks, batteries, cells, minutes, hours, days"),
        ] {
            let (code, out, error) = service.run(&[&["export"], arguments].concat());
            assert_eq!((code, out.as_str()), (2, ""), "{error}");
            assert!(error.starts_with("error: ") && error.contains(words), "{error}");
        }
    }
}

#[test]
fn no_command_blocks_a_concurrent_writer() {
    for backend in backends() {
        let mut store = backend.open();
        let now = jiff::Timestamp::now().as_millisecond();
        let old = |n: i64| {
            let batteries = (1..=4).map(|place| battery(place, 16, n as i32, None)).collect();
            sweep("pytes", now - 200 * 86_400_000 + n, batteries)
        };
        // 69 rows each: many steps of pruning.
        (0..8).for_each(|n| store.insert(&(n * 50..n * 50 + 50).map(old).collect::<Vec<_>>()).unwrap());
        let (service, is_over) = (ServiceFolder::of(&backend, ""), AtomicBool::new(false));
        let written = thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut written = 0;
                while !is_over.load(Ordering::SeqCst) {
                    fill(&mut *store, now + written, 1);
                    written += 1;
                }
                written
            });
            assert_eq!(service.succeed(&["export", "cells", "--to", "100d"]).lines().count(), 1 + 400 * 64);
            assert!(service.succeed(&["migrate"]).contains("already"));
            assert!(service.succeed(&["prune"]).starts_with("27600 rows deleted"));
            is_over.store(true, Ordering::SeqCst);
            writer.join().unwrap()
        });
        assert!(written > 10, "{written} sweeps");
        assert_eq!(backend.count("bank_reading"), usize::try_from(written).unwrap());
    }
}

#[test]
fn rows_written_by_the_service_itself_are_not_imported() {
    let Some(backend) = Backend::mariadb() else { return };
    let service = ServiceFolder::of(&backend, "");
    drop(backend.open());
    let error = service.fail(&["import-legacy"]);
    assert!(error.contains("no table pwr_data in 127.0.0.1:"), "{error}");
    // Less than a minute after its start: no minute is over yet.
    service.succeed(&["migrate", "--set", "database.legacy_table=true"]);
    backend.open().insert(&[sweep("pytes", START + 300, vec![battery(1, 2, 7, Some("B000001"))])]).unwrap();
    let row = |at: i64| format!("INSERT INTO pwr_data (record_time, power) VALUES (FROM_UNIXTIME({at}), 1)");
    [START / 1000 - 60, START / 1000, START / 1000 + 10].iter().for_each(|at| backend.run(&row(*at)));
    let several = ["--set", "bank.2.name=cellar", "--set", "bank.2.link=tcp://127.0.0.1:1"];
    let error = service.fail(&[&["import-legacy"], &several[..]].concat());
    assert!(error.contains("choose one with --bank (pytes, cellar)"), "{error}");
    let output = service.succeed(&[&["import-legacy", "--bank", "pytes"], &several[..]].concat());
    assert!(
        output.starts_with("3 rows of pwr_data read, 1 imported")
            && output.contains("\n2 skipped: from a time")
    );
    assert_eq!(backend.count("battery_reading"), 2);
}

#[test]
fn a_refused_legacy_table_is_reported_and_fails_no_command() {
    let Some(backend) = Backend::mariadb() else { return };
    let service = ServiceFolder::of(&backend, "legacy_table = true");
    let run = |arguments: &[&str]| {
        let output = program::program(service.folder.path()).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    assert_eq!(run(&["config", "check"]).1.matches("pwr_data").count(), 0, "nothing is there yet");
    service.succeed(&["migrate"]);
    backend.run("ALTER TABLE pwr_data ADD note VARCHAR(9) NOT NULL, DROP COLUMN soc");
    let (code, text) = run(&["config", "check"]);
    assert_eq!(code, Some(0), "{text}");
    let warnings = [
        "warning: pwr_data: column \"note\" is NOT NULL and has no default; ALTER TABLE",
        "columns that do not exist are not written: soc",
    ];
    assert!(warnings.iter().all(|warning| text.contains(warning)) && !text.contains(PASSWORD), "{text}");
    let own = DatabaseServer { legacy_table: true, ..backend.server() };
    MariaDb::open(&own).unwrap().insert(&[sweep("pytes", START, vec![battery(1, 0, 7, None)])]).unwrap();
    assert!(LegacyWriter::new(own).step().refusal.is_some());
    for verb in [&["config", "check"][..], &["healthcheck"]] {
        let (_, text) = run(verb);
        assert!(text.contains("pwr_data is refused (waiting sweeps: 1): column \"note\""), "{text}");
        assert_eq!(text.matches("NOT NULL").count(), 1, "once: {text}");
    }
    backend.run("DROP TABLE pwr_data; CREATE VIEW pwr_data AS SELECT COUNT(*) AS power FROM bank");
    assert!(service.succeed(&["migrate"]).contains("already"));
    // A server that accepts and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let service = ServiceFolder::with(
        &format!("mysql://{USER}@{}/pytes", silent.local_addr().unwrap()),
        "legacy_table = true",
    );
    let output = program::program(service.folder.path()).args(["config", "check"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success()
            && text.contains("could not check whether pwr_data accepts rows: no answer from mysql://"),
        "{text}"
    );
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let backend = Backend::sqlite().unwrap();
    fill(&mut *backend.open(), START, 1000);
    let service = ServiceFolder::of(&backend, "");
    let mut export = service.command(&["export", "cells"]);
    let mut export = export.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    export.stdout.take().unwrap().read_exact(&mut [0; 100]).unwrap();
    let output = export.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn progress_is_shown_on_a_terminal_and_erased() {
    let backend = Backend::sqlite().unwrap();
    fill(&mut *backend.open(), START, 1);
    let service = ServiceFolder::of(&backend, "");
    for (arguments, shown) in
        [(&["export", "-o", "a.csv"][..], "\r\x1b[K0 rows written"), (&["prune"], "\r\x1b[K0 rows deleted")]
    {
        let (mut near, far) = terminal(10, 60);
        let mut command = service.command(arguments);
        let status = command.stdout(Stdio::null()).stderr(Stdio::from(far)).status().unwrap();
        // The program's side is closed with it.
        drop(command);
        let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
        while let Ok(taken @ 1..) = near.read(&mut piece) {
            seen.extend_from_slice(&piece[..taken]);
        }
        let seen = String::from_utf8(seen).unwrap();
        assert!(status.success() && seen.starts_with(shown) && seen.ends_with("\r\x1b[K"), "{seen:?}");
    }
}
