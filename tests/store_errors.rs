//! What goes wrong with a database, and the sentence that says so with its remedy.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/history.rs"]
mod history;
#[path = "support/mariadb.rs"]
mod mariadb;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use bankwatch::store::{Class, MariaDb, Record, Server, SqliteFile, Store, StoreError};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use history::{START, battery, sweep};
use mariadb::{MariaDbServer, PASSWORD};
use tempfile::{TempDir, tempdir};

fn one(n: i64) -> Record {
    sweep("pytes", START + n, vec![battery(1, 2, 1, Some("B000001"))])
}

/// The store is refused with this class, and the sentence has all these words, and no secret.
#[track_caller]
fn refused(opened: Result<impl Store, StoreError>, class: Class, words: &[&str]) {
    let error = opened.err().unwrap();
    holds(&error, class, words);
}

#[track_caller]
fn holds(error: &StoreError, class: Class, words: &[&str]) {
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
    fn a_wrong_password_is_told_apart_from_a_wrong_address() {
        let Some(shared) = mariadb::shared() else { return };
        let wrong = Server { password: "guess".into(), ..shared.server("d") };
        let words = ["127.0.0.1:", "does not accept the user \"keeper\"", "database.password"];
        refused(MariaDb::open(&wrong), Class::Refused, &words);
        let stranger = Server { user: "nobody".into(), ..shared.server("d") };
        refused(MariaDb::open(&stranger), Class::Refused, &["does not accept the user \"nobody\""]);
        assert!(!format!("{:?}", shared.server("d")).contains(PASSWORD));
    }

    #[test]
    fn a_database_that_may_not_be_made_is_told_with_the_statements_that_make_it() {
        let Some(shared) = mariadb::shared() else { return };
        shared.run("CREATE USER 'guest'@'%' IDENTIFIED BY 'x'");
        let guest = Server { user: "guest".into(), password: "x".into(), ..shared.server("solar`s") };
        let words = ["no database \"solar`s\"", "CREATE DATABASE", "GRANT ALL ON", "'guest'@'%'"];
        refused(MariaDb::open(&guest), Class::Refused, &words);
    }

    #[test]
    fn a_database_that_is_not_there_is_made_where_that_is_allowed() {
        let Some(shared) = mariadb::shared() else { return };
        MariaDb::open(&shared.server("not-there/yet")).unwrap().insert(&[one(0)]).unwrap();
        shared.run("SELECT * FROM `not-there/yet`.v_battery");
    }

    #[test]
    fn a_user_who_may_only_look_is_told_which_right_is_missing() {
        let Some(shared) = mariadb::shared() else { return };
        shared.run("CREATE DATABASE looked_at; CREATE USER 'looker'@'%'; GRANT SELECT ON looked_at.* TO 'looker'@'%'");
        let looker = Server { user: "looker".into(), password: "".into(), ..shared.server("looked_at") };
        let words = [
            "\"looker\" lacks a right",
            "\"looked_at\"",
            "CREATE command denied",
            "GRANT ALL ON `looked_at`",
        ];
        refused(MariaDb::open(&looker), Class::Refused, &words);
    }

    #[test]
    fn a_server_that_is_too_old_is_refused_before_anything_is_made() {
        let Some(server) = MariaDbServer::start(&["--version=10.2.44-MariaDB"]) else { return };
        refused(
            MariaDb::open(&server.server("d")),
            Class::Refused,
            &["10.2.44-MariaDB", "MariaDB 10.3 or MySQL 8.0"],
        );
    }

    #[test]
    fn a_name_without_an_address_is_told() {
        let Some(shared) = mariadb::shared() else { return };
        let lost = Server { host: "no-such-host.invalid".into(), ..shared.server("d") };
        refused(MariaDb::open(&lost), Class::Outside, &["no-such-host.invalid", "database.url"]);
    }

    #[test]
    fn a_port_where_nobody_listens_is_told() {
        let Some(shared) = mariadb::shared() else { return };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let gone = Server { port, ..shared.server("d") };
        refused(MariaDb::open(&gone), Class::Outside, &["no connection", "that the server runs"]);
        let six = Server { port, host: "::1".into(), ..shared.server("d") };
        refused(MariaDb::open(&six), Class::Outside, &["[::1]", "that the server runs"]);
    }

    #[test]
    fn a_server_that_hangs_up_at_once_is_told_from_one_that_hangs() {
        let Some(shared) = mariadb::shared() else { return };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || listener.incoming().for_each(drop));
        let other = Server { port, ..shared.server("d") };
        refused(MariaDb::open(&other), Class::Outside, &["closed the connection", "something else listens"]);
    }

    #[test]
    fn a_server_that_hangs_is_not_waited_for() {
        let Some(server) = MariaDbServer::start(&[]) else { return };
        server.stop();
        refused(MariaDb::open(&server.server("d")), Class::Outside, &["said nothing within 5s"]);
        server.go_on();
        MariaDb::open(&server.server("d")).unwrap();
    }

    #[test]
    fn a_server_that_is_killed_is_away_and_the_same_store_goes_on_when_it_is_back() {
        let Some(server) = MariaDbServer::start(&[]) else { return };
        let mut store = MariaDb::open(&server.server("d")).unwrap();
        store.insert(&[one(0)]).unwrap();
        server.kill();
        holds(&store.insert(&[one(1)]).unwrap_err(), Class::Outside, &["was lost"]);
        holds(&store.insert(&[one(1)]).unwrap_err(), Class::Outside, &["no connection"]);
        server.restart();
        store.insert(&[one(0), one(1)]).unwrap();
        let asked = bankwatch::store::Asked {
            bank: "pytes",
            place: Some(1),
            from_ms: START,
            to_ms: START + 10,
            step: bankwatch::store::Step::Raw,
            most: 10,
        };
        assert_eq!(store.history(&asked).unwrap().len(), 2);
    }

    #[test]
    fn a_server_without_room_is_told_and_so_is_one_that_is_read_only() {
        let options = ["--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M;ibdata2:16M"];
        let Some(server) = MariaDbServer::start(&options) else { return };
        server.run("CREATE DATABASE d; CREATE USER 'writer'@'%'; GRANT ALL ON d.* TO 'writer'@'%'");
        let writer = Server { user: "writer".into(), password: "".into(), ..server.server("d") };
        let mut store = MariaDb::open(&writer).unwrap();
        server.run("SET GLOBAL read_only = 1");
        holds(&store.insert(&[one(0)]).unwrap_err(), Class::Outside, &["can't be written to", "d"]);
        server.run("SET GLOBAL read_only = 0");
        store.insert(&[one(0)]).unwrap();
        let full = (1..2000).find_map(|n| {
            let records: Vec<Record> = (0..20)
                .map(|at| sweep("pytes", START + n * 1000 + at, vec![battery(1, 200, 1, Some("B000001"))]))
                .collect();
            store.insert(&records).err()
        });
        holds(&full.unwrap(), Class::Outside, &["no space left for 127.0.0.1:"]);
    }

    #[test]
    fn a_value_that_no_column_takes_is_the_record_s_fault() {
        let Some(shared) = mariadb::shared() else { return };
        let mut store = MariaDb::open(&shared.server("poisoned")).unwrap();
        let mut poison = one(0);
        if let Record::Sweep(sweep) = &mut poison {
            sweep.values.batteries = i32::MAX;
        }
        holds(&store.insert(&[poison]).unwrap_err(), Class::Data, &["does not take this", "Out of range"]);
        store.insert(&[one(0)]).unwrap();
    }
}

mod encryption {
    use super::*;

    /// Keys, made by openssl: an authority, and a certificate of it for `localhost`.
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
            authority("stranger");
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
        MariaDb::open(&Server { host, verify: true, authorities, ..server.server("d") })
    }

    #[test]
    fn encryption_that_is_asked_for_is_there_or_nothing_is() {
        let Some(keys) = Keys::new() else { return };
        let (certificate, key) = (keys.path("server.pem"), keys.path("server.key"));
        let options = [format!("--ssl-cert={certificate}"), format!("--ssl-key={key}")];
        let Some(server) = MariaDbServer::start(&options.each_ref().map(String::as_str)) else { return };
        let authority = keys.0.path().join("authority.pem");
        verified(&server, "localhost", &authority).unwrap().insert(&[one(0)]).unwrap();
        let words = ["certificate", "is not trusted", "database.tls_ca"];
        refused(verified(&server, "localhost", &keys.0.path().join("stranger.pem")), Class::Refused, &words);
        // The chain is right, and it is another server's: its name is not the one asked for.
        refused(verified(&server, "127.0.0.1", &authority), Class::Refused, &words);
        let nowhere = keys.0.path().join("nowhere.pem");
        refused(
            verified(&server, "localhost", &nowhere),
            Class::Refused,
            &["nowhere.pem", "database.tls_ca"],
        );
        MariaDb::open(&server.server("d")).unwrap();
    }

    #[test]
    fn a_server_that_offers_none_is_not_spoken_to_in_the_clear() {
        let Some(keys) = Keys::new() else { return };
        let Some(server) = MariaDbServer::start(&["--skip-ssl"]) else { return };
        let authority = keys.0.path().join("authority.pem");
        let words = ["database.tls = \"verify\"", "offers none"];
        refused(verified(&server, "localhost", &authority), Class::Refused, &words);
    }
}

mod file {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let folder = tempdir().unwrap();
        let file = folder.path().join("none/history.db");
        refused(
            SqliteFile::open(&file),
            Class::Refused,
            &["none/history.db", "check that its folder exists"],
        );
    }

    #[test]
    fn a_place_that_can_not_be_written_to_is_told() {
        // Nobody may make a file there, root neither.
        refused(
            SqliteFile::open(Path::new("/sys/history.db")),
            Class::Outside,
            &["/sys/history.db", "make it writable"],
        );
    }

    #[test]
    fn what_is_no_database_is_left_as_it_is() {
        let folder = tempdir().unwrap();
        let file = folder.path().join("history.db");
        fs::write(&file, "dear diary, today the battery was full. ".repeat(200)).unwrap();
        let before = fs::read(&file).unwrap();
        refused(SqliteFile::open(&file), Class::Refused, &["damaged or no database", "move it away"]);
        assert_eq!(fs::read(&file).unwrap(), before);
    }

    #[test]
    fn a_damaged_file_is_told() {
        let folder = tempdir().unwrap();
        let file = folder.path().join("history.db");
        let mut store = SqliteFile::open(&file).unwrap();
        store.insert(&(0..100).map(one).collect::<Vec<_>>()).unwrap();
        drop(store);
        let mut bytes = fs::read(&file).unwrap();
        bytes[4096..].fill(0x5a);
        fs::write(&file, bytes).unwrap();
        let failed = SqliteFile::open(&file).and_then(|mut store| store.insert(&[one(200)]));
        holds(&failed.unwrap_err(), Class::Refused, &["damaged", ".recover"]);
    }

    #[test]
    fn a_lock_that_does_not_go_away_is_told_and_the_store_goes_on_after_it() {
        let folder = tempdir().unwrap();
        let file = folder.path().join("history.db");
        let mut store = SqliteFile::open(&file).unwrap();
        let mut other = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
        other.batch_execute("BEGIN IMMEDIATE").unwrap();
        holds(&store.insert(&[one(0)]).unwrap_err(), Class::Outside, &["locked by another program", "5s"]);
        other.batch_execute("COMMIT").unwrap();
        store.insert(&[one(0)]).unwrap();
    }

    #[test]
    fn a_name_that_looks_like_an_option_of_sqlite_is_a_file() {
        let folder = tempdir().unwrap();
        for name in ["file:x?mode=memory", "a b.db", ":memory:", "ü%20.db"] {
            let file = folder.path().join(name);
            SqliteFile::open(&file).unwrap().insert(&[one(0)]).unwrap();
            assert!(fs::metadata(&file).unwrap().len() > 0, "{name}");
        }
    }
}
