//! The predecessor's table: written for those whose dashboards read it, and read once by those who come from there.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/history.rs"]
mod history;
#[path = "support/mariadb.rs"]
mod mariadb;

use std::sync::Arc;

use bankwatch::model::event_word::EventWord;
use bankwatch::model::place::Place;
use bankwatch::model::reading::{BatteryReading, Presence, SweepKind};
use bankwatch::model::units::Millicelsius;
use bankwatch::model::word::Word;
use bankwatch::store::{Asked, Imported, MariaDb, Minutes, Server, Step, Store};
use history::{Backend, START, battery, report, sweep};
use mariadb::MariaDbServer;

/// The table as the predecessor's guide makes it.
const TABLE: &str = "CREATE TABLE pwr_data (id int(11) NOT NULL AUTO_INCREMENT, record_time datetime NOT NULL DEFAULT current_timestamp(), \
     power int(11) NOT NULL, voltage float NOT NULL, current float NOT NULL, temperature decimal(11,0) NOT NULL, soc int(11) NOT NULL, \
     basic_st varchar(11) NOT NULL, volt_st varchar(11) NOT NULL, current_st varchar(11) NOT NULL, temp_st varchar(11) NOT NULL, \
     coul_st varchar(11) NOT NULL, soh_st varchar(11) NOT NULL, heater_st varchar(11) NOT NULL, bat_events int(11) NOT NULL, \
     power_events int(11) NOT NULL, sys_events int(11) NOT NULL, PRIMARY KEY (id))";

/// A database on a server in a zone of its own, half an hour off any whole hour.
fn in_a_zone() -> Option<Backend> {
    let server = Arc::new(MariaDbServer::start(&["--default-time-zone=+05:30"])?);
    Some(Backend::Server { server, database: "pytes".to_owned() })
}

fn writing(backend: &Backend) -> MariaDb {
    MariaDb::open(&Server { legacy_table: true, ..backend.server() }).unwrap()
}

const COLUMNS: [&str; 10] = [
    "record_time",
    "power",
    "ROUND(voltage, 3)",
    "ROUND(current, 3)",
    "temperature",
    "soc",
    "basic_st",
    "volt_st",
    "heater_st",
    "power_events",
];

#[test]
fn the_table_is_written_as_the_predecessor_wrote_it() {
    let Some(backend) = in_a_zone() else { return };
    let mut one = battery(1, 2, 7, Some("B000001"));
    one.measured.base_state = Some(Word::new("Discharging slowly"));
    one.measured.temperature = Some(Millicelsius(22_500));
    one.measured.power_events = Some(EventWord { bits: 0x8000_2000, names: vec![] });
    let silent =
        BatteryReading { presence: Presence::Present, ..BatteryReading::silent(Place::new(2).unwrap()) };
    let record = sweep("pytes", START + 999, vec![one, silent]);
    let mut store = writing(&backend);
    store.insert(&[record.clone(), record.clone()]).unwrap();
    store.insert(std::slice::from_ref(&record)).unwrap();
    drop(store);
    writing(&backend).insert(&[record]).unwrap();
    assert_eq!(
        backend.rows(&COLUMNS, "FROM pwr_data ORDER BY id"),
        [
            "2026-11-22 11:35:00 1 52.007 -2.178 23 57 Discharging Normal - -2147475456",
            "2026-11-22 11:35:00 2 - - - - - - - -",
        ],
        "each reading once, in the server's own time, whole degrees as the column has them"
    );
}

#[test]
fn a_table_that_requires_values_gets_no_row_without_them() {
    let Some(backend) = in_a_zone() else { return };
    backend.run(TABLE);
    let mut whole = battery(1, 0, 7, None);
    let measured = &mut whole.measured;
    for word in [
        &mut measured.current_state,
        &mut measured.temp_state,
        &mut measured.coulomb_state,
        &mut measured.heater,
    ] {
        *word = Some(Word::new("Normal"));
    }
    for word in [&mut measured.battery_events, &mut measured.power_events, &mut measured.system_fault] {
        *word = Some(EventWord::default());
    }
    writing(&backend).insert(&[sweep("pytes", START, vec![whole, battery(2, 0, 7, None)])]).unwrap();
    assert_eq!(backend.rows(&["power"], "FROM pwr_data"), ["1"]);
    assert_eq!(backend.count("battery_reading"), 2);
}

#[test]
fn a_table_made_finer_gets_tenths_of_a_degree() {
    let Some(backend) = in_a_zone() else { return };
    drop(writing(&backend));
    backend.run("ALTER TABLE pwr_data MODIFY temperature DECIMAL(11,1)");
    writing(&backend).insert(&[sweep("pytes", START, vec![battery(1, 0, 7, None)])]).unwrap();
    assert_eq!(backend.rows(&["temperature"], "FROM pwr_data"), ["22.3"]);
}

#[test]
fn without_the_setting_the_table_is_left_alone() {
    let Some(backend) = Backend::mariadb() else { return };
    backend.run(TABLE);
    backend.open().insert(&[sweep("pytes", START, vec![battery(1, 0, 7, None)])]).unwrap();
    assert_eq!(backend.count("pwr_data"), 0);
}

/// Rows of two batteries, a pair every five seconds from 06:00:00 of the server's time.
fn predecessor(backend: &Backend, pairs: usize) {
    backend.run(TABLE);
    let row = |n: usize, power: usize| {
        format!(
            "('2026-11-20 06:00:00' + INTERVAL {} SECOND, {power}, 53.{:02}, -2.19, 22, 87, 'Dischg  ', 'Normal', 'Normal', \
             'Normal', 'Normal', 'Normal', '', 0, 8192, 0)",
            5 * n,
            n % 100
        )
    };
    let rows: Vec<String> = (0..pairs).flat_map(|n| [row(n, 1), row(n, 2)]).collect();
    backend.run(&format!(
        "INSERT INTO pwr_data (record_time, power, voltage, current, temperature, soc, basic_st, volt_st, current_st, temp_st, \
         coul_st, soh_st, heater_st, bat_events, power_events, sys_events) VALUES {}",
        rows.join(", ")
    ));
}

#[test]
fn old_rows_are_copied_once_however_often_it_is_asked() {
    let Some(backend) = in_a_zone() else { return };
    predecessor(&backend, 600);
    backend.run("INSERT INTO pwr_data SELECT NULL, record_time, 0, voltage, current, temperature, soc, basic_st, volt_st, current_st, temp_st, coul_st, soh_st, heater_st, bat_events, power_events, sys_events FROM pwr_data WHERE id = 1");
    let mut store = MariaDb::open(&backend.server()).unwrap();
    // The service has run for a while already: its battery has a barcode, and it writes the old table too.
    let mut minutes = Minutes::default();
    let own = report("pytes", START, SweepKind::Full, vec![battery(1, 2, 7, Some("B000001"))]);
    minutes.take(&own);
    store.insert(&[sweep("pytes", START, vec![battery(1, 2, 7, Some("B000001"))])]).unwrap();
    store.insert(&minutes.close()).unwrap();
    backend.run("INSERT INTO pwr_data SELECT NULL, '2026-11-22 11:35:00', 1, voltage, current, temperature, soc, basic_st, volt_st, current_st, temp_st, coul_st, soh_st, heater_st, bat_events, power_events, sys_events FROM pwr_data WHERE id = 1");

    let mut heard = Vec::new();
    let done = store.import_legacy("pytes", &mut |done| heard.push(done.read)).unwrap();
    let first = 1_795_134_600_000; // 2026-11-20 06:00:00 in that zone
    let expected = Imported {
        rows: 1202,
        read: 1202,
        taken: 1200,
        unreadable: 1,
        own: 1,
        span_ms: Some((first + 1, first + 599 * 5000 + 200)),
    };
    assert_eq!(done, expected);
    assert_eq!(heard, [500, 1000, 1202]);
    let tables = ["battery_reading", "rollup_minute", "rollup_hour", "rollup_day", "battery"];
    let counts = tables.map(|table| backend.count(table));
    assert_eq!(counts, [1201, 2 + 2 * 50, 2 + 2 * 2, 2 + 2, 2]);
    assert_eq!(store.import_legacy("pytes", &mut |_| ()).unwrap(), expected);
    assert_eq!(tables.map(|table| backend.count(table)), counts);
    assert_eq!(backend.rows(&["SUM(samples)"], "FROM rollup_day WHERE battery_id > 0"), ["1201"]);

    let columns = [
        "barcode",
        "place",
        "taken_at",
        "voltage_v",
        "current_a",
        "temperature_c",
        "base_state",
        "heater",
        "power_events",
    ];
    assert_eq!(
        backend.rows(&columns, "FROM v_battery WHERE place = 1 ORDER BY taken_at_ms LIMIT 2"),
        [
            "B000001 1 2026-11-20 00:30:00 53 -2.19 22 Dischg - 8192",
            "B000001 1 2026-11-20 00:30:05 53.01 -2.19 22 Dischg - 8192"
        ]
    );
    let asked =
        Asked { bank: "pytes", place: Some(1), from_ms: 0, to_ms: i64::MAX, step: Step::Hour, most: 99 };
    let samples: Vec<i32> = store.history(&asked).unwrap().iter().map(|point| point.sums.samples).collect();
    assert_eq!(samples, [360, 240, 1], "one battery's history, old and new");
}

#[test]
fn without_the_table_there_is_nothing_to_import() {
    let Some(backend) = Backend::mariadb() else { return };
    let mut store = MariaDb::open(&backend.server()).unwrap();
    let error = store.import_legacy("pytes", &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("pwr_data"), "{error}");
}
