//! The files, database rows and retained messages of the previous version are read and continued by this one.
//!
//! They are in `tests/fixtures/previous`, written by a build of the previous version; see the README there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bankwatch::internals::simulator::{Dialect, EventWordKind, Simulation, SimulatorHandle};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use serde_json::Value;
use support::broker::{Broker, installed};
use support::listener::Listener;
use support::mariadb::{self, PASSWORD, USER};
use support::mqtt_service::retained_at;
use support::program::{Service, program, wait_until};
use tempfile::TempDir;

/// Rows of the fixtures stay, however old they are when the tests run.
const NO_EXPIRY: &str = "retention = \"36500d\"\ncell_retention = \"36500d\"\njournal_max_age = \"36500d\"";

/// Keys that were renamed on purpose: previous, current.
const RENAMED: [(&str, &str); 1] = [("standing", "active_events")];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/previous").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(fixture(name)).unwrap()
}

fn json(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap()
}

/// Topic and payload of each line.
fn messages(name: &str) -> BTreeMap<String, String> {
    let pair =
        |line: &str| line.split_once('\t').map(|(topic, payload)| (topic.to_owned(), payload.to_owned()));
    text(name).lines().map(|line| pair(line).unwrap()).collect()
}

/// A folder with these files of the previous version.
fn folder_with(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        fs::copy(fixture(name), folder.path().join(name)).unwrap();
    }
    folder
}

/// The bank that the previous version read, with the same barcodes and the same event.
fn bank() -> SimulatorHandle {
    let bank = Simulation::new(Dialect::PytesV5).batteries(2).cells(3).seed(7).unpaced().start().unwrap();
    assert!(bank.with_bank(|bank| bank.raise_event(1, EventWordKind::Power, 2)));
    bank
}

/// The service on that bank, with further settings.
fn service(folder: &TempDir, bank: &SimulatorHandle, settings: &str) -> Service {
    let config = format!(
        "[[bank]]\nname = \"bank\"\nlink = {:?}\ninterval = \"200ms\"\nsummary_interval = \"0s\"\n[http]\n\
         enabled = false\n{settings}\n",
        bank.link()
    );
    fs::write(folder.path().join("bankwatch.toml"), config).unwrap();
    Service::start(program(folder.path()).arg("run"))
}

fn status(folder: &TempDir) -> Value {
    let text = fs::read(folder.path().join("bank_status.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn wait_for_sweeps(folder: &TempDir, count: u64) {
    wait_until(|| status(folder)["serial_stat"]["loops"].as_u64() >= Some(count));
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    x: i64,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    x: String,
}

fn sqlite(path: &Path) -> SqliteConnection {
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    connection.batch_execute("PRAGMA busy_timeout = 20000").unwrap();
    connection
}

/// The first column, `x`, of a query's rows.
fn numbers(connection: &mut SqliteConnection, query: &str) -> Vec<i64> {
    diesel::sql_query(query).load::<Number>(connection).unwrap().into_iter().map(|row| row.x).collect()
}

/// Every row of the readings, as one text each.
fn readings(connection: &mut SqliteConnection) -> BTreeSet<String> {
    let rows = |(table, place): (&str, &str)| {
        format!(
            "SELECT '{table} ' || {place} || ' ' || taken_at_ms || ' ' || voltage_mv || ' ' || current_ma AS x FROM {table}"
        )
    };
    let tables = [("bank_reading", "bank_id"), ("battery_reading", "battery_id")];
    let query = tables.map(rows).join(" UNION ALL ");
    diesel::sql_query(query).load::<Line>(connection).unwrap().into_iter().map(|row| row.x).collect()
}

/// Every key of an object and of what it contains, each after the keys that lead to it; places of arrays are left out.
fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let path = format!("{path}/{key}");
                keys(value, &path, found);
                found.insert(path);
            }
        }
        Value::Array(array) => array.iter().for_each(|value| keys(value, path, found)),
        _ => {}
    }
}

/// Panics if the current document lacks a key of the previous one, except for those that were renamed.
#[track_caller]
fn assert_has_keys_of(previous: &Value, current: &Value, what: &str) {
    let (mut old, mut new) = (BTreeSet::new(), BTreeSet::new());
    keys(previous, "", &mut old);
    keys(current, "", &mut new);
    let renamed = |path: &String| {
        let name = |part: &str| {
            RENAMED
                .iter()
                .find(|(previous, _)| *previous == part)
                .map_or(part.to_owned(), |(_, current)| (*current).to_owned())
        };
        path.split('/').map(name).collect::<Vec<_>>().join("/")
    };
    let missing: Vec<&String> =
        old.iter().filter(|path| !new.contains(*path) && !new.contains(&renamed(path))).collect();
    assert!(missing.is_empty(), "{what} lacks {missing:?}; it has {new:?}");
}

#[test]
fn sqlite_database_is_continued() {
    let (bank, folder) = (bank(), folder_with(&["bankwatch.db"]));
    let path = folder.path().join("bankwatch.db");
    let before = readings(&mut sqlite(&path));
    let migrations =
        numbers(&mut sqlite(&path), "SELECT CAST(version AS INTEGER) AS x FROM __diesel_schema_migrations");
    assert!(before.len() >= 15 && migrations.len() == 5, "{before:?} {migrations:?}");
    let mut service =
        service(&folder, &bank, &format!("[database]\nurl = \"sqlite:bankwatch.db\"\n{NO_EXPIRY}"));
    wait_for_sweeps(&folder, 3);
    assert!(service.stop().success());

    let connection = &mut sqlite(&path);
    let after = readings(connection);
    assert!(after.is_superset(&before) && after.len() > before.len(), "{before:?} {after:?}");
    let applied = numbers(connection, "SELECT CAST(version AS INTEGER) AS x FROM __diesel_schema_migrations");
    assert!(migrations.iter().all(|version| applied.contains(version)), "{applied:?}");
    // The same bank and the same batteries, and the event is still the one that was raised then.
    assert_eq!(numbers(connection, "SELECT COUNT(*) AS x FROM bank"), [1]);
    assert_eq!(numbers(connection, "SELECT COUNT(*) AS x FROM battery"), [2]);
    let output =
        program(folder.path()).args(["db", "export", "--bank", "bank", "--battery", "2"]).output().unwrap();
    let exported = String::from_utf8(output.stdout).unwrap();
    let of_second = after.iter().filter(|row| row.starts_with("battery_reading 2 ")).count();
    assert_eq!(
        exported.lines().count(),
        of_second + 1,
        "{exported}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn journal_rows_are_delivered_to_the_mariadb_database() {
    let Some(server) = mariadb::shared() else { return };
    server.run("CREATE DATABASE previous_version");
    server.run(&format!("USE previous_version;\n{}", text("mariadb.sql")));
    let count = |table: &str| {
        let query = format!("SELECT COUNT(*) AS x FROM previous_version.{table}");
        diesel::sql_query(query).get_result::<Number>(&mut server.connection()).unwrap().x
    };
    let journal = |query: &str| numbers(&mut sqlite(&fixture_copy("journal.db").1), query);
    let waiting = journal("SELECT taken_at_ms AS x FROM entry WHERE kind = 'sweep' ORDER BY 1");
    let minutes = journal("SELECT COUNT(*) AS x FROM entry WHERE kind = 'minute'")[0];
    assert!(waiting.len() >= 5 && minutes > 0, "{waiting:?} {minutes}");
    let (sweeps, parts) = (count("bank_reading"), count("rollup_part"));

    let (bank, folder) = (bank(), folder_with(&["journal.db"]));
    let settings = format!(
        "[database]\nurl = \"mysql://{USER}@127.0.0.1:{}/previous_version\"\npassword = {PASSWORD:?}\n\
         legacy_table = true\n{NO_EXPIRY}",
        server.port()
    );
    let mut service = service(&folder, &bank, &settings);
    wait_for_sweeps(&folder, 2);
    wait_until(|| count("bank_reading") >= sweeps + waiting.len() as i64 + 2);
    assert!(service.stop().success());
    let list = waiting.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    assert_eq!(count(&format!("bank_reading WHERE taken_at_ms IN ({list})")), waiting.len() as i64);
    assert_eq!(count(&format!("battery_reading WHERE taken_at_ms IN ({list})")), 2 * waiting.len() as i64);
    assert_eq!(count("battery"), 2);
    assert!(count("rollup_part") > parts, "minutes in parts");
    assert_eq!(count("dead_letter"), 0);
    let log = &service.log;
    assert!(
        !log.iter()
            .any(|line| line.contains("ERROR") || line.contains("rejected") || line.contains("refused")),
        "{log:#?}"
    );
}

/// A copy to inspect, since SQLite creates files next to a database that it reads.
fn fixture_copy(name: &str) -> (TempDir, PathBuf) {
    let folder = folder_with(&[name]);
    let path = folder.path().join(name);
    (folder, path)
}

#[test]
fn ledger_counters_are_continued() {
    let ledger = text("bank_ledger.json");
    let kept: Value = serde_json::from_str(ledger.lines().nth(1).unwrap()).unwrap();
    let charge_out = kept["bank"]["charge_out"]["whole"].as_f64().unwrap() / 1000.0;
    let of_first = kept["places"]["1"]["charge_out"]["whole"].as_f64().unwrap() / 1000.0;
    assert!(charge_out > of_first && of_first > 0.0);
    let (bank, folder) = (bank(), folder_with(&["bank_ledger.json"]));
    let mut service = service(&folder, &bank, "[database]\nenabled = false");
    wait_for_sweeps(&folder, 1);
    let status = status(&folder);
    for (value, kept) in [
        (&status["charge_out_ah"], charge_out),
        (&status["devices"][0]["charge_out_ah"], of_first),
        (&status["devices"][0]["battery_charge_out_ah"], of_first),
    ] {
        let value = value.as_f64().unwrap();
        assert!(value >= kept && value < kept + 0.1, "{value} after {kept}");
    }
    assert!(service.stop().success());
    assert!(service.lines_with("ledger").is_empty(), "{:#?}", service.log);
    let after = fs::read_to_string(folder.path().join("bank_ledger.json")).unwrap();
    let after: Value = serde_json::from_str(after.lines().nth(1).unwrap()).unwrap();
    assert_has_keys_of(&kept, &after, "the ledger");
}

#[test]
fn active_events_are_still_active_and_clear_with_their_duration() {
    let (bank, folder) = (bank(), folder_with(&["bank_standing_events.json"]));
    let mut service = service(&folder, &bank, "[database]\nenabled = false");
    wait_for_sweeps(&folder, 3);
    let status = status(&folder);
    assert!(service.lines_with("event raised").is_empty(), "{:#?}", service.log);
    let first = &status["devices"][0];
    let active = &first["active_events"];
    assert_eq!(active[0]["text"], "High voltage alarm", "{active}");
    let file = fs::read_to_string(folder.path().join("bank_standing_events.json")).unwrap();
    let (file, previous) = (serde_json::from_str(&file).unwrap(), json("bank_standing_events.json"));
    assert_has_keys_of(&previous, &file, "the file of active events");
    assert!(bank.with_bank(|bank| bank.clear_event(1, EventWordKind::Power, 2)));
    let cleared = service.wait_for_line("event cleared");
    // Since it was raised, which no second sweep of this run can reach.
    assert!(cleared.contains("bit=0x2") && cleared.contains("duration="), "{cleared}");
    let raised: jiff::Timestamp = previous["standing"][0]["raised_at"].as_str().unwrap().parse().unwrap();
    let (_, duration) = cleared.split_once("duration=").unwrap();
    let duration: std::time::Duration =
        humantime::parse_duration(duration.split_whitespace().next().unwrap()).unwrap();
    let since = jiff::Timestamp::now().duration_since(raised).unsigned_abs();
    assert!(since.abs_diff(duration) < std::time::Duration::from_secs(60), "{cleared}");
    assert!(service.stop().success());
}

#[test]
fn status_file_keeps_the_keys_of_the_previous_version() {
    let (bank, folder) = (bank(), tempfile::tempdir().unwrap());
    let mut service = service(&folder, &bank, "[database]\nenabled = false");
    wait_for_sweeps(&folder, 2);
    assert_has_keys_of(&json("bank_status.json"), &status(&folder), "the JSON file");
    assert!(service.stop().success());
}

/// Publishes them as retained messages.
fn publish_retained(broker: &Broker, messages: &BTreeMap<String, String>) {
    for (topic, payload) in messages {
        let mut client = Command::new(installed("mosquitto_pub").unwrap());
        client.args(["-L", &format!("{}/{topic}", broker.url()), "-r", "-s"]);
        let mut client = client.stdin(Stdio::piped()).spawn().unwrap();
        client.stdin.take().unwrap().write_all(payload.as_bytes()).unwrap();
        assert!(client.wait().unwrap().success());
    }
}

/// The entities of a discovery document: the key of each and its unique id.
fn entities(document: &str) -> BTreeMap<String, String> {
    let document: Value = serde_json::from_str(document).unwrap();
    let entity =
        |(key, entity): (&String, &Value)| (key.clone(), entity["uniq_id"].as_str().unwrap_or("").to_owned());
    document["cmps"].as_object().unwrap().iter().map(entity).collect()
}

/// Topic and key of each value that the entities of a discovery document read: `{{ value_json.voltage }}`.
fn values_read(document: &str) -> BTreeSet<(String, String)> {
    let document: Value = serde_json::from_str(document).unwrap();
    let of_template = |topic: &Value, template: &Value| -> Vec<(String, String)> {
        let (Some(topic), Some(template)) = (topic.as_str(), template.as_str()) else { return Vec::new() };
        let name =
            |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        template.split("value_json.").skip(1).map(|rest| (topic.to_owned(), name(rest))).collect()
    };
    let entities = document["cmps"].as_object().unwrap().values();
    entities
        .flat_map(|entity| {
            let attributes = of_template(&entity["json_attr_t"], &entity["json_attr_tpl"]);
            of_template(&entity["stat_t"], &entity["val_tpl"]).into_iter().chain(attributes)
        })
        .collect()
}

#[tokio::test]
async fn retained_discovery_is_taken_over_without_dead_entities() {
    let Some(broker) = Broker::start() else { return };
    let previous = messages("mqtt_retained.tsv");
    publish_retained(&broker, &previous);
    let settings = broker.settings("");
    let (bank, folder) = (bank(), tempfile::tempdir().unwrap());
    let mqtt = format!(
        "[mqtt]\nenabled = true\nurl = {:?}\nclient_id = \"bankwatch-previous\"\npublish_interval = \"0s\"\n\
         [database]\nenabled = false",
        broker.url()
    );
    let mut listener = Listener::at(&settings, "#").await;
    let mut service = service(&folder, &bank, &mqtt);
    let states = messages("mqtt_state.tsv");
    let mut payloads = BTreeMap::new();
    // An event that is raised is published once.
    let wanted = states.keys().filter(|topic| !topic.ends_with("/event"));
    let wanted: BTreeSet<&String> =
        wanted.chain(previous.keys().filter(|topic| topic.starts_with("homeassistant/"))).collect();
    listener
        .until(|received| {
            payloads = received
                .iter()
                .filter(|one| !one.retained)
                .map(|one| (one.topic.clone(), one.text()))
                .collect();
            // Some facts come sweeps later than others, and their entities with them.
            let is_same = |topic: &String| entities(&payloads[topic]) == entities(&previous[topic]);
            wanted.iter().all(|topic| payloads.contains_key(*topic))
                && previous.keys().filter(|topic| topic.ends_with("/config")).all(is_same)
        })
        .await;
    let retained = retained_at(&settings, "#").await;
    assert_eq!(retained.keys().collect::<Vec<_>>(), previous.keys().collect::<Vec<_>>());
    for (topic, document) in previous.iter().filter(|(topic, _)| topic.ends_with("/config")) {
        assert_eq!(entities(&retained[topic]), entities(document), "{topic}");
        for (state, key) in values_read(&retained[topic]) {
            let payload: Value = serde_json::from_str(&payloads[&state]).unwrap();
            assert!(payload.get(&key).is_some(), "{topic} reads {key}, which {state} lacks: {payload}");
        }
    }
    for (topic, payload) in &states {
        let Some(current) = payloads.get(topic) else { continue };
        assert_has_keys_of(
            &serde_json::from_str(payload).unwrap(),
            &serde_json::from_str(current).unwrap(),
            topic,
        );
    }
    assert!(service.stop().success());
}
