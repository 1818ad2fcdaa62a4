//! Database failures, and their error messages with the remedy.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Actor;
use support::mariadb;
use support::own_process;

use bankwatch::internals::actors::db::{DbActor, HistoryConfig};
use bankwatch::internals::messages::ReportReady;
use bankwatch::internals::model::reading::SweepKind;
use bankwatch::internals::settings::{Sources, load};
use bankwatch::internals::store::{
    AbortHandle, DatabaseServer, ErrorClass, LegacyWriter, MariaDb, MinuteAggregator, Record, Retention,
    SqliteFile, Store, StoreError,
};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use jiff::Timestamp;
use support::history::{START, battery, report, sweep};
use support::mariadb::{MariaDbServer, PASSWORD, USER};
use support::proxy::{Direction, Proxy};
use support::small_disk::SmallDisk;
use support::until::until;
use tempfile::{TempDir, tempdir};

fn one(n: i64) -> Record {
    sweep("pytes", START + n, vec![battery(1, 2, 1, Some("B000001"))])
}

/// The store is refused with this class, and the sentence has all these words, and no secret.
#[track_caller]
fn refused(opened: Result<impl Store, StoreError>, class: ErrorClass, words: &[&str]) {
    let error = opened.err().unwrap();
    holds(&error, class, words);
}

#[track_caller]
fn holds(error: &StoreError, class: ErrorClass, words: &[&str]) {
    let sentence = error.to_string();
    assert_eq!(error.class(), class, "{sentence}");
    for word in words {
        assert!(sentence.contains(word), "{word:?} is not in: {sentence}");
    }
    assert!(!sentence.contains(PASSWORD) && !format!("{error:?}").contains(PASSWORD), "{sentence}");
}

mod server {
    use super::*;

    #[test]
    fn a_wrong_password_is_distinguished_from_a_wrong_address() {
        let Some(shared) = mariadb::shared() else { return };
        let wrong = DatabaseServer { password: "guess".into(), ..shared.server("d") };
        let words = ["127.0.0.1:", "login failed for user \"keeper\"", "database.password"];
        refused(MariaDb::open(&wrong), ErrorClass::Refused, &words);
        let unknown_user = DatabaseServer { user: "nobody".into(), ..shared.server("d") };
        refused(MariaDb::open(&unknown_user), ErrorClass::Refused, &["login failed for user \"nobody\""]);
        assert!(!format!("{:?}", shared.server("d")).contains(PASSWORD));
    }

    #[test]
    fn a_missing_database_is_reported_with_the_statements_to_create_it() {
        let Some(shared) = mariadb::shared() else { return };
        shared.run("CREATE USER 'guest'@'%' IDENTIFIED BY 'x'");
        let guest = DatabaseServer { user: "guest".into(), password: "x".into(), ..shared.server("solar`s") };
        let words = ["no database \"solar`s\"", "CREATE DATABASE", "GRANT ALL ON", "'guest'@'%'"];
        refused(MariaDb::open(&guest), ErrorClass::Refused, &words);
    }

    #[test]
    fn a_missing_database_is_created_if_allowed() {
        let Some(shared) = mariadb::shared() else { return };
        MariaDb::open(&shared.server("not-there/yet")).unwrap().insert(&[one(0)]).unwrap();
        shared.run("SELECT * FROM `not-there/yet`.v_battery");
    }

    #[test]
    fn a_missing_privilege_is_named() {
        let Some(shared) = mariadb::shared() else { return };
        shared.run("CREATE DATABASE looked_at; CREATE USER 'looker'@'%'; GRANT SELECT ON looked_at.* TO 'looker'@'%'");
        let looker =
            DatabaseServer { user: "looker".into(), password: "".into(), ..shared.server("looked_at") };
        let words = [
            "\"looker\" lacks a privilege",
            "\"looked_at\"",
            "CREATE command denied",
            "GRANT ALL ON `looked_at`",
        ];
        refused(MariaDb::open(&looker), ErrorClass::Refused, &words);
    }

    #[test]
    fn a_too_old_server_is_refused_before_anything_is_created() {
        let Some(server) = MariaDbServer::start(&["--version=10.2.44-MariaDB"]) else { return };
        refused(
            MariaDb::open(&server.server("d")),
            ErrorClass::Refused,
            &["10.2.44-MariaDB", "MariaDB 10.3 or MySQL 8.0"],
        );
    }

    #[test]
    fn an_unresolvable_host_is_reported() {
        let Some(shared) = mariadb::shared() else { return };
        let lost = DatabaseServer { host: "no-such-host.invalid".into(), ..shared.server("d") };
        refused(MariaDb::open(&lost), ErrorClass::Outside, &["no-such-host.invalid", "database.url"]);
    }

    #[test]
    fn a_closed_port_is_reported() {
        let Some(shared) = mariadb::shared() else { return };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let gone = DatabaseServer { port, ..shared.server("d") };
        refused(MariaDb::open(&gone), ErrorClass::Outside, &["can't connect", "the server is running"]);
        let six = DatabaseServer { port, host: "::1".into(), ..shared.server("d") };
        refused(MariaDb::open(&six), ErrorClass::Outside, &["[::1]", "the server is running"]);
    }

    #[test]
    fn a_closed_connection_is_distinguished_from_a_hanging_server() {
        let Some(shared) = mariadb::shared() else { return };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || listener.incoming().for_each(drop));
        let other = DatabaseServer { port, ..shared.server("d") };
        refused(
            MariaDb::open(&other),
            ErrorClass::Outside,
            &["closed the connection", "nothing else is listening"],
        );
    }

    #[test]
    fn connecting_to_a_hanging_server_times_out() {
        let Some(server) = MariaDbServer::start(&[]) else { return };
        server.suspend();
        refused(MariaDb::open(&server.server("d")), ErrorClass::Outside, &["did not respond within 5s"]);
        server.resume();
        MariaDb::open(&server.server("d")).unwrap();
    }

    #[test]
    fn a_store_continues_after_its_server_was_killed_and_restarted() {
        let Some(server) = MariaDbServer::start(&[]) else { return };
        let mut store = MariaDb::open(&server.server("d")).unwrap();
        store.insert(&[one(0)]).unwrap();
        server.kill();
        // It was idle, so a new connection is tried at once.
        holds(&store.insert(&[one(1)]).unwrap_err(), ErrorClass::Outside, &["can't connect"]);
        server.restart();
        store.insert(&[one(0), one(1)]).unwrap();
        let query = bankwatch::internals::store::HistoryQuery {
            bank: "pytes",
            place: Some(1),
            from_ms: START,
            to_ms: START + 10,
            resolution: bankwatch::internals::store::Resolution::Raw,
            limit: 10,
        };
        assert_eq!(store.history(&query).unwrap().len(), 2);
    }

    #[test]
    fn a_full_and_a_read_only_server_are_reported() {
        let options = ["--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M;ibdata2:16M"];
        let Some(server) = MariaDbServer::start(&options) else { return };
        server.run("CREATE DATABASE d; CREATE USER 'writer'@'%'; GRANT ALL ON d.* TO 'writer'@'%'");
        let writer = DatabaseServer { user: "writer".into(), password: "".into(), ..server.server("d") };
        let mut store = MariaDb::open(&writer).unwrap();
        server.run("SET GLOBAL read_only = 1");
        holds(&store.insert(&[one(0)]).unwrap_err(), ErrorClass::Outside, &["is not writable", "d"]);
        server.run("SET GLOBAL read_only = 0");
        store.insert(&[one(0)]).unwrap();
        let full = (1..2000).find_map(|n| {
            let records: Vec<Record> = (0..20)
                .map(|at| sweep("pytes", START + n * 1000 + at, vec![battery(1, 200, 1, Some("B000001"))]))
                .collect();
            store.insert(&records).err()
        });
        holds(&full.unwrap(), ErrorClass::Outside, &["no space left for 127.0.0.1:"]);
    }

    /// The numbers of the connections to a database.
    fn connections(server: &MariaDbServer, database: &str) -> Vec<i64> {
        ids(server, &format!("SELECT ID AS id FROM information_schema.PROCESSLIST WHERE DB = '{database}'"))
    }

    /// The column `id` of a query's rows.
    fn ids(server: &MariaDbServer, query: &str) -> Vec<i64> {
        #[derive(QueryableByName)]
        struct Id {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            id: i64,
        }
        let ids: Vec<Id> = diesel::sql_query(query).load(&mut server.connection()).unwrap();
        ids.iter().map(|row| row.id).collect()
    }

    #[test]
    fn a_connection_closed_for_being_idle_is_reopened_silently() {
        let Some(shared) = mariadb::shared() else { return };
        let mut store = MariaDb::open(&shared.server("idle")).unwrap();
        for n in 0..3 {
            store.insert(&[one(n)]).unwrap();
            for id in connections(&shared, "idle") {
                shared.run(&format!("KILL {id}"));
            }
            let start = Instant::now();
            while !connections(&shared, "idle").is_empty() {
                assert!(start.elapsed() < Duration::from_secs(20), "the server keeps the connection");
            }
        }
        store.insert(&[one(0), one(3)]).unwrap();
    }

    /// The server may still be at the commit of a connection that was cut when its rows come again.
    #[test]
    fn minutes_resent_during_a_commit_count_once() {
        let Some(shared) = mariadb::shared() else { return };
        let mut minutes = MinuteAggregator::for_run(1);
        let mut part = |ms| {
            minutes.add(&report("pytes", START + ms, SweepKind::Summary, Vec::new()));
            minutes.close()
        };
        let (first, second) = (part(0), part(1_000));
        MariaDb::open(&shared.server("commits")).unwrap().insert(&first).unwrap();
        let mut cut = shared.connection();
        cut.batch_execute("USE commits; BEGIN; UPDATE rollup_part SET number = 2").unwrap();
        let mut store = MariaDb::open(&shared.server("commits")).unwrap();
        let again = std::thread::spawn(move || store.insert(&second));
        let waiting = "SELECT CAST(COUNT(*) AS SIGNED) AS id FROM information_schema.INNODB_TRX
             WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE '%rollup_part%'";
        let start = Instant::now();
        while ids(&shared, waiting) != [1] {
            assert!(start.elapsed() < Duration::from_secs(20), "no statement waits for the row");
            // The server renews INNODB_TRX only if it has not been read for 0.1 s.
            shared.run("DO SLEEP(0.15)");
        }
        cut.batch_execute("COMMIT").unwrap();
        again.join().unwrap().unwrap();
        let samples = "SELECT CAST(SUM(samples) AS SIGNED) AS id FROM commits.rollup_minute";
        assert_eq!(ids(&shared, samples), [1]);
    }

    #[test]
    fn the_session_does_not_depend_on_the_servers_sql_mode() {
        let Some(server) = MariaDbServer::start(&["--sql-mode=ORACLE", "--autocommit=0"]) else { return };
        let modes = [
            "ORACLE",
            "ANSI,NO_BACKSLASH_ESCAPES,NO_UNSIGNED_SUBTRACTION",
            "MSSQL,HIGH_NOT_PRECEDENCE,PAD_CHAR_TO_FULL_LENGTH",
        ];
        for (number, mode) in modes.iter().enumerate() {
            server.run(&format!("SET GLOBAL sql_mode = '{mode}'; SET GLOBAL sql_safe_updates = 1"));
            let own = DatabaseServer { legacy_table: true, ..server.server(&format!("mode{number}")) };
            MariaDb::open(&own).unwrap_or_else(|error| panic!("{mode}: {error}"));
            let mut store = MariaDb::open(&own).unwrap();
            store.insert(&[one(0), one(1)]).unwrap_or_else(|error| panic!("{mode}: {error}"));
            let legacy = LegacyWriter::new(own).step();
            assert_eq!((legacy.written, legacy.refusal), (2, None), "{mode}");
            let keep = Retention { batteries: Duration::from_secs(1), cells: Duration::from_secs(1) };
            let later = Timestamp::from_millisecond(START + 3_600_000).unwrap();
            let pruned = store.prune(later, &keep).unwrap_or_else(|error| panic!("{mode}: {error}"));
            assert_eq!(pruned.rows, 2 * (1 + 1 + 2), "{mode}");
        }
    }

    #[test]
    fn aborting_ends_a_call_without_an_answer() {
        let Some(shared) = mariadb::shared() else { return };
        let (proxy, abort) = (Proxy::in_front_of(shared.port()), AbortHandle::default());
        let own = DatabaseServer { port: proxy.port(), abort: abort.clone(), ..shared.server("vanished") };
        assert_eq!(abort.abort(), 0, "nothing is connected yet");
        let mut other = MariaDb::open(&shared.server("vanished")).unwrap();
        // More often than the limit of abandoned threads.
        for n in 0..5 {
            let mut store = MariaDb::open(&own).unwrap();
            store.insert(&[one(n)]).unwrap();
            proxy.hold(Direction::FromServer);
            let sent = proxy.sent();
            let waits = std::thread::spawn(move || store.insert(&[one(100 + n)]));
            let start = Instant::now();
            while proxy.sent() == sent {
                assert!(start.elapsed() < Duration::from_secs(20), "nothing is sent");
                std::thread::yield_now();
            }
            assert!(!waits.is_finished());
            assert_eq!(abort.abort(), 1);
            let error = waits.join().unwrap().unwrap_err();
            assert_eq!(error.class(), ErrorClass::Outside, "{error}");
            assert!(start.elapsed() < Duration::from_secs(20), "it waited for TCP");
            proxy.cut();
            proxy.hold(None);
        }
        other.insert(&[one(7)]).unwrap();
    }

    /// The number of threads of this name in this process.
    fn threads(name: &str) -> usize {
        let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|own| own.trim() == name).count()
    }

    #[test]
    fn a_vanished_server_blocks_no_thread_for_long() {
        if !own_process::is_alone(concat!(module_path!(), "::a_vanished_server_blocks_no_thread_for_long")) {
            return;
        }
        let Some(shared) = mariadb::shared() else { return };
        let (folder, proxy) = (tempdir().unwrap(), Proxy::in_front_of(shared.port()));
        drop(MariaDb::open(&shared.server("awaited")).unwrap());
        let set = |key: &str, value: &str| format!("{key}={value}");
        let sources = Sources {
            current_dir: folder.path().to_owned(),
            overrides: vec![
                set("data_dir", &folder.path().display().to_string()),
                set("bank.link", "/dev/none"),
                set("database.url", &format!("mysql://{USER}@127.0.0.1:{}/awaited", proxy.port())),
            ],
            ..Sources::default()
        };
        let mut settings = load(&sources).unwrap().settings.database;
        settings.password = PASSWORD.into();
        let history = HistoryConfig {
            settings,
            disk_deadline: Duration::from_secs(5),
            batch_deadline: Duration::from_secs(1),
        };
        actix::System::new().block_on(async {
            let actor = DbActor::new(history, slog::Logger::root(slog::Discard, slog::o!())).start();
            let count = "SELECT CAST(COUNT(*) AS SIGNED) AS id FROM awaited.bank_reading";
            for n in 1..=2 {
                let now = Timestamp::now().as_millisecond();
                let report = report("pytes", now, SweepKind::Full, vec![battery(1, 2, 1, Some("B1"))]);
                actor.send(ReportReady(Arc::new(report))).await.unwrap();
                until(Duration::from_secs(40), || ids(&shared, count) == [n]).await;
                proxy.drop_silently();
            }
            until(Duration::from_secs(40), || threads("database") <= 1).await;
        });
    }

    #[test]
    fn a_value_out_of_range_is_a_data_error() {
        let Some(shared) = mariadb::shared() else { return };
        let mut store = MariaDb::open(&shared.server("poisoned")).unwrap();
        let mut poison = one(0);
        if let Record::Sweep(sweep) = &mut poison {
            sweep.values.batteries = i32::MAX;
        }
        holds(
            &store.insert(&[poison]).unwrap_err(),
            ErrorClass::Data,
            &["rejected a record", "Out of range"],
        );
        store.insert(&[one(0)]).unwrap();
    }
}

mod encryption {
    use super::*;

    /// Keys made by openssl: an authority and its certificate for `localhost`.
    struct Keys(TempDir);

    impl Keys {
        fn new() -> Option<Self> {
            if Command::new("openssl").arg("version").output().is_err() {
                eprintln!("SKIPPED: there is no openssl here");
                return None;
            }
            let keys = Self(tempdir().unwrap());
            let new = ["req", "-newkey", "rsa:2048", "-nodes", "-x509", "-days", "2", "-sha256"];
            let authority = |name| {
                let (key, own) = (format!("{name}.key"), format!("{name}.pem"));
                keys.openssl(
                    &[&new[..], &["-subj", &format!("/CN={name}"), "-keyout", &key, "-out", &own]].concat(),
                );
            };
            authority("authority");
            authority("foreign");
            fs::write(keys.0.path().join("names"), "subjectAltName=DNS:localhost").unwrap();
            keys.openssl(&[
                "req",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=localhost",
                "-keyout",
                "server.key",
                "-out",
                "server.csr",
            ]);
            keys.openssl(&[
                "x509",
                "-req",
                "-in",
                "server.csr",
                "-CA",
                "authority.pem",
                "-CAkey",
                "authority.key",
                "-CAcreateserial",
                "-days",
                "2",
                "-extfile",
                "names",
                "-out",
                "server.pem",
            ]);
            Some(keys)
        }

        fn openssl(&self, arguments: &[&str]) {
            let output = Command::new("openssl").args(arguments).current_dir(&self.0).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }

        fn path(&self, name: &str) -> String {
            self.0.path().join(name).display().to_string()
        }
    }

    fn verified(server: &MariaDbServer, host: &str, authorities: &Path) -> Result<MariaDb, StoreError> {
        let (host, authorities) = (host.to_owned(), Some(authorities.to_owned()));
        MariaDb::open(&DatabaseServer { host, verify: true, authorities, ..server.server("d") })
    }

    #[test]
    fn required_encryption_is_used_or_the_connection_fails() {
        let Some(keys) = Keys::new() else { return };
        let (certificate, key) = (keys.path("server.pem"), keys.path("server.key"));
        let options = [format!("--ssl-cert={certificate}"), format!("--ssl-key={key}")];
        let Some(server) = MariaDbServer::start(&options.each_ref().map(String::as_str)) else { return };
        let authority = keys.0.path().join("authority.pem");
        verified(&server, "localhost", &authority).unwrap().insert(&[one(0)]).unwrap();
        let words = ["certificate", "is not trusted", "database.tls_ca"];
        refused(
            verified(&server, "localhost", &keys.0.path().join("foreign.pem")),
            ErrorClass::Refused,
            &words,
        );
        // The chain is valid, but the certificate is for another name.
        refused(verified(&server, "127.0.0.1", &authority), ErrorClass::Refused, &words);
        let nowhere = keys.0.path().join("nowhere.pem");
        refused(
            verified(&server, "localhost", &nowhere),
            ErrorClass::Refused,
            &["nowhere.pem", "database.tls_ca"],
        );
        MariaDb::open(&server.server("d")).unwrap();
    }

    #[test]
    fn a_server_without_tls_is_refused_if_tls_is_required() {
        let Some(keys) = Keys::new() else { return };
        let Some(server) = MariaDbServer::start(&["--skip-ssl"]) else { return };
        let authority = keys.0.path().join("authority.pem");
        let words = ["database.tls = \"verify\"", "does not offer it"];
        refused(verified(&server, "localhost", &authority), ErrorClass::Refused, &words);
    }
}

mod file {
    use super::*;

    #[test]
    fn a_missing_folder_is_reported() {
        let folder = tempdir().unwrap();
        let file = folder.path().join("none/history.db");
        refused(
            SqliteFile::open(&file),
            ErrorClass::Refused,
            &["none/history.db", "check that its folder exists"],
        );
    }

    #[test]
    fn a_path_without_write_permission_is_reported() {
        // Not even root may create a file there.
        refused(
            SqliteFile::open(Path::new("/sys/history.db")),
            ErrorClass::Outside,
            &["/sys/history.db", "writable for the user"],
        );
    }

    #[test]
    fn a_file_that_is_not_a_database_is_unchanged() {
        let folder = tempdir().unwrap();
        let file = folder.path().join("history.db");
        fs::write(&file, "dear diary, today the battery was full. ".repeat(200)).unwrap();
        let before = fs::read(&file).unwrap();
        refused(
            SqliteFile::open(&file),
            ErrorClass::Refused,
            &["is not a bankwatch history", "move it away"],
        );
        assert_eq!(fs::read(&file).unwrap(), before);
    }

    fn run(file: &Path, sql: &str) {
        SqliteConnection::establish(file.to_str().unwrap()).unwrap().batch_execute(sql).unwrap();
    }

    #[test]
    fn a_database_of_another_program_is_unchanged() {
        for sql in [
            "CREATE TABLE recipe (title TEXT)",
            "PRAGMA application_id = 1112296012; CREATE TABLE entry (seq INTEGER)",
            "CREATE TABLE __diesel_schema_migrations (version TEXT); CREATE TABLE bank (id INTEGER)",
        ] {
            let folder = tempdir().unwrap();
            let file = folder.path().join("other.db");
            run(&file, sql);
            let before = fs::read(&file).unwrap();
            refused(
                SqliteFile::open(&file),
                ErrorClass::Refused,
                &["is not a bankwatch history", "database.url"],
            );
            assert_eq!(fs::read(&file).unwrap(), before, "{sql}");
        }
    }

    #[test]
    fn a_history_without_an_application_id_is_adopted() {
        let folder = tempdir().unwrap();
        let file = folder.path().join("history.db");
        SqliteFile::open(&file).unwrap().insert(&[one(0)]).unwrap();
        run(&file, "PRAGMA application_id = 0");
        SqliteFile::open(&file).unwrap().insert(&[one(1)]).unwrap();
        // From now on it has the application id and is recognized without tables.
        assert_eq!(&fs::read(&file).unwrap()[68..72], b"BWHI");
        assert_eq!(rows_in(&file, "bank_reading"), 2);
    }

    fn rows_in(file: &Path, table: &str) -> i64 {
        #[derive(QueryableByName)]
        struct Count {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            number: i64,
        }
        let mut connection = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
        let query = diesel::sql_query(format!("SELECT COUNT(*) AS number FROM {table}"));
        query.get_result::<Count>(&mut connection).unwrap().number
    }

    #[test]
    fn a_removed_replaced_or_moved_file_accepts_no_more_rows() {
        type Harm = fn(&Path);
        let harm: [(&str, Harm); 5] = [
            ("removed", |file| fs::remove_file(file).unwrap()),
            ("moved", |file| fs::rename(file, file.with_file_name("moved.db")).unwrap()),
            ("replaced", |file| {
                fs::rename(file, file.with_file_name("moved.db")).unwrap();
                fs::write(file, "").unwrap();
            }),
            ("its folder is another", |file| {
                let folder = file.parent().unwrap();
                fs::rename(folder, folder.with_file_name("moved")).unwrap();
                fs::create_dir(folder).unwrap();
            }),
            ("its log is gone", |file| fs::remove_file(file.with_file_name("history.db-wal")).unwrap()),
        ];
        for (what, harm) in harm {
            let folder = tempdir().unwrap();
            let file = folder.path().join("here/history.db");
            fs::create_dir(folder.path().join("here")).unwrap();
            let mut store = SqliteFile::open(&file).unwrap();
            store.insert(&[one(0)]).unwrap();
            harm(&file);
            let error = store.insert(&[one(1)]).unwrap_err();
            assert!(matches!(error, StoreError::Removed { .. }), "{what}: {error}");
            drop(store);
            SqliteFile::open(&file).unwrap().insert(&[one(1)]).unwrap();
            let kept = if what == "its log is gone" { 2 } else { 1 };
            assert_eq!(rows_in(&file, "bank_reading"), kept, "{what}");
            for moved in ["here/moved.db", "moved/history.db"].map(|moved| folder.path().join(moved)) {
                if moved.exists() {
                    assert!(rows_in(&moved, "bank_reading") >= 1, "{what}: what was written is in it");
                }
            }
        }
    }

    const DAY: Duration = Duration::from_secs(86_400);

    /// Stores consecutive sweeps like the service does: if the disk is full, space is freed first.
    fn insert_all(store: &mut SqliteFile, from_ms: i64, keep: &Retention) -> i64 {
        let now = Timestamp::from_millisecond(from_ms).unwrap();
        for n in 0..20_000 {
            let row = || [sweep("pytes", from_ms + n * 1000, vec![battery(1, 60, n as i32, Some("B1"))])];
            match store.insert(&row()) {
                Err(StoreError::Full { .. }) if store.make_room(Some(now), keep).unwrap() => {
                    store.insert(&row()).unwrap();
                }
                Err(StoreError::Full { .. }) => return n,
                done => done.unwrap(),
            }
        }
        panic!("it never was full");
    }

    /// A full disk of 2, 16 and 64 megabytes: rows past their retention are deleted to make space, and no others.
    #[test]
    fn a_full_disk_loses_no_rows_and_retention_frees_space() {
        for (megabytes, reserve) in [(2, 256 * 1024), (16, 2 * 1024 * 1024), (64, 8 * 1024 * 1024)] {
            let Some(disk) = SmallDisk::of(megabytes) else { return };
            let file = disk.path().join("history.db");
            let held = || fs::metadata(disk.path().join("history.db.reserve")).map_or(0, |file| file.len());
            let keep = Retention { batteries: DAY, cells: DAY };
            let mut store = SqliteFile::open(&file).unwrap();
            store.insert(&[one(-1)]).unwrap();
            assert_eq!(held(), reserve, "{megabytes} MB");
            disk.fill(700_000);
            let mut stored = 1 + insert_all(&mut store, START, &keep);
            assert!(stored > 50, "{megabytes} MB: {stored}");
            // No row is past its retention yet, and attempts do not consume the reserve.
            for round in 1..3 {
                stored += insert_all(&mut store, START + round * 3_600_000, &keep);
            }
            assert!(held() >= reserve / 2, "{megabytes} MB: {} bytes", held());
            assert_eq!(rows_in(&file, "bank_reading"), stored, "{megabytes} MB");
            // Two days later all rows are, and as many fit again.
            let later = START + 2 * 86_400_000;
            let again = insert_all(&mut store, later, &keep);
            assert!(again * 4 > stored, "{megabytes} MB: {again} of {stored}");
            assert_eq!(rows_in(&file, "bank_reading"), again, "{megabytes} MB");
            assert_eq!(rows_in(&file, "cell_reading"), again * 60, "{megabytes} MB");
            assert!(held() >= reserve / 2, "{megabytes} MB: {} bytes", held());
        }
    }

    #[test]
    fn a_history_opens_on_a_disk_with_only_its_reserve_left() {
        let Some(disk) = SmallDisk::of(16) else { return };
        let file = disk.path().join("history.db");
        let reserve = || fs::metadata(disk.path().join("history.db.reserve")).map_or(0, |file| file.len());
        let old = (0..200).map(|n| sweep("pytes", START + n, vec![battery(1, 60, 1, Some("B1"))]));
        SqliteFile::open(&file).unwrap().insert(&old.collect::<Vec<_>>()).unwrap();
        let held = reserve();
        disk.fill(0);
        let mut store = SqliteFile::open(&file).unwrap();
        assert!(reserve() > held / 2, "{} of {held} bytes", reserve());
        let keep = Retention { batteries: DAY, cells: DAY };
        let stored = insert_all(&mut store, START + 2 * 86_400_000, &keep);
        assert!(stored > 0);
        assert_eq!(rows_in(&file, "bank_reading"), stored, "the old rows made space");
    }

    #[test]
    fn a_symbolic_link_leads_to_the_history() {
        let (folder, disk) = (tempdir().unwrap(), tempdir().unwrap());
        let (link, file) = (folder.path().join("history.db"), disk.path().join("kept.db"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mut store = SqliteFile::open(&link).unwrap();
        store.insert(&[one(0)]).unwrap();
        assert!(disk.path().join("kept.db.reserve").exists(), "the reserve is on the same disk");
        fs::remove_file(disk.path().join("kept.db-wal")).unwrap();
        let error = store.insert(&[one(1)]).unwrap_err();
        assert!(matches!(error, StoreError::Removed { .. }), "{error}");
    }

    #[test]
    fn a_damaged_file_is_reported() {
        let folder = tempdir().unwrap();
        let file = folder.path().join("history.db");
        let mut store = SqliteFile::open(&file).unwrap();
        store.insert(&(0..100).map(one).collect::<Vec<_>>()).unwrap();
        drop(store);
        let mut bytes = fs::read(&file).unwrap();
        bytes[4096..].fill(0x5a);
        fs::write(&file, bytes).unwrap();
        let failed = SqliteFile::open(&file).and_then(|mut store| store.insert(&[one(200)]));
        holds(&failed.unwrap_err(), ErrorClass::Refused, &["damaged", ".recover"]);
    }

    #[test]
    fn a_lasting_lock_is_reported_and_the_store_continues_after_it() {
        let folder = tempdir().unwrap();
        let file = folder.path().join("history.db");
        let mut store = SqliteFile::open(&file).unwrap();
        let mut other = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
        other.batch_execute("BEGIN IMMEDIATE").unwrap();
        holds(
            &store.insert(&[one(0)]).unwrap_err(),
            ErrorClass::Outside,
            &["locked by another program", "5s"],
        );
        other.batch_execute("COMMIT").unwrap();
        store.insert(&[one(0)]).unwrap();
    }

    #[test]
    fn a_file_name_is_never_parsed_as_a_sqlite_option() {
        let folder = tempdir().unwrap();
        for name in ["file:x?mode=memory", "a b.db", ":memory:", "ü%20.db"] {
            let file = folder.path().join(name);
            SqliteFile::open(&file).unwrap().insert(&[one(0)]).unwrap();
            assert!(fs::metadata(&file).unwrap().len() > 0, "{name}");
        }
    }
}
