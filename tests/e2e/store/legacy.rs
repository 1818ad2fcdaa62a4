//! `pwr_data`, the table of pytes_serial: written in any existing form, and imported from each. Rows that it rejects do
//! not affect our own tables.

use std::sync::Arc;

use bankwatch::internals::model::event_word::EventWord;
use bankwatch::internals::model::place::Place;
use bankwatch::internals::model::reading::{BatteryReading, Presence, SweepKind};
use bankwatch::internals::model::units::Millicelsius;
use bankwatch::internals::model::word::Word;
use bankwatch::internals::store::{
    AbortHandle, DatabaseServer, HistoryQuery, ImportProgress, LegacyStep, LegacyWriter, MariaDb,
    MinuteAggregator, Record, Resolution, Store, StoreError, check_legacy_table,
};
use diesel::connection::SimpleConnection;
use diesel::mysql::MysqlConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use support::history::{Backend, START, battery, report, sweep};
use support::mariadb::{MariaDbServer, PASSWORD};
use support::proxy::Proxy;

/// The table as created by the guide of pytes_serial.
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

fn server(backend: &Backend) -> DatabaseServer {
    DatabaseServer { legacy_table: true, ..backend.server() }
}

fn writing(backend: &Backend) -> MariaDb {
    MariaDb::open(&server(backend)).unwrap()
}

fn writer(backend: &Backend) -> LegacyWriter {
    LegacyWriter::new(server(backend))
}

/// Steps until nothing waits or the table refuses.
fn drain(writer: &mut LegacyWriter) -> LegacyStep {
    let mut all = LegacyStep::default();
    loop {
        let step = writer.step();
        all.written += step.written;
        all.expired += step.expired;
        all.left_out.extend(step.left_out);
        all.unreported.extend(step.unreported);
        if step.refusal.is_some() || !step.is_more {
            return LegacyStep { refusal: step.refusal, ..all };
        }
    }
}

/// All of it, of a table that takes rows.
#[track_caller]
fn write_all(backend: &Backend) -> usize {
    let step = drain(&mut writer(backend));
    assert_eq!(step.refusal, None);
    step.written
}

/// Sweeps of two batteries, a second apart.
fn sweeps(numbers: std::ops::Range<i64>) -> Vec<Record> {
    let batteries = |n: i64| (1..=2).map(|place| battery(place, 0, n as i32, None)).collect();
    numbers.map(|n| sweep("pytes", START + n * 1000, batteries(n))).collect()
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
fn the_table_is_written_as_pytes_serial_writes_it() {
    let Some(backend) = in_a_zone() else { return };
    let mut one = battery(1, 2, 7, Some("B000001"));
    one.measured.base_state = Some(Word::new("Discharging slowly"));
    one.measured.temperature = Some(Millicelsius(22_500));
    one.measured.power_events = Some(EventWord { bits: 0x8000_2000, names: vec![] });
    let silent =
        BatteryReading { presence: Presence::Present, ..BatteryReading::empty(Place::new(2).unwrap()) };
    let record = sweep("pytes", START + 999, vec![one, silent]);
    let mut store = writing(&backend);
    store.insert(&[record.clone(), record.clone()]).unwrap();
    store.insert(std::slice::from_ref(&record)).unwrap();
    drop(store);
    write_all(&backend);
    writing(&backend).insert(&[record]).unwrap();
    write_all(&backend);
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
fn a_not_null_number_column_gets_no_row_without_a_value() {
    let Some(backend) = in_a_zone() else { return };
    backend.run(TABLE);
    let mut whole = battery(1, 0, 7, None);
    let measured = &mut whole.measured;
    for word in [&mut measured.battery_events, &mut measured.power_events, &mut measured.system_fault] {
        *word = Some(EventWord::default());
    }
    writing(&backend).insert(&[sweep("pytes", START, vec![whole, battery(2, 0, 7, None)])]).unwrap();
    let step = drain(&mut writer(&backend));
    assert_eq!((step.written, step.refusal), (1, None));
    assert_eq!(step.unreported.into_iter().collect::<Vec<_>>(), [("bat_events", "INT")]);
    // pytes_serial writes an empty text for a state that it did not read.
    assert_eq!(backend.rows(&["power", "CONCAT('<', heater_st, '>')"], "FROM pwr_data"), ["1 <>"]);
    assert_eq!(backend.count("battery_reading"), 2);
}

#[test]
fn a_finer_temperature_column_gets_tenths_of_a_degree() {
    let Some(backend) = in_a_zone() else { return };
    drop(writing(&backend));
    write_all(&backend);
    backend.run("ALTER TABLE pwr_data MODIFY temperature DECIMAL(11,1)");
    writing(&backend).insert(&[sweep("pytes", START, vec![battery(1, 0, 7, None)])]).unwrap();
    write_all(&backend);
    assert_eq!(backend.rows(&["temperature"], "FROM pwr_data"), ["22.3"]);
}

#[test]
fn the_table_is_not_written_unless_enabled() {
    let Some(backend) = Backend::mariadb() else { return };
    backend.run(TABLE);
    backend.open().insert(&[sweep("pytes", START, vec![battery(1, 0, 7, None)])]).unwrap();
    assert_eq!([backend.count("pwr_data"), backend.count("legacy_pending")], [0, 0]);
}

/// A table with these columns besides its number.
fn table(columns: &str) -> String {
    format!("CREATE TABLE pwr_data (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, {columns})")
}

/// As a fresh pytes_serial 2.x creates it.
const ELEVEN: &str = "record_time DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, power INT, voltage FLOAT, current FLOAT, \
     temperature DECIMAL(11,0), soc INT, basic_st VARCHAR(11), volt_st VARCHAR(11), current_st VARCHAR(11), temp_st VARCHAR(11)";

/// What versions from 0.2 to 1.1 have besides.
const SIX: &str = "coul_st VARCHAR(11), soh_st VARCHAR(11), heater_st VARCHAR(11), bat_events INT, power_events INT, sys_events INT";

/// Each form in which the table takes rows: how it is made, and a column of it with what the first row has there.
fn accepted() -> Vec<(String, &'static str, &'static str)> {
    let seventeen = table(&format!("{ELEVEN}, {SIX}"));
    let with = |more: &str| table(&format!("{ELEVEN}, {more}"));
    vec![
        (seventeen.clone(), "soh_st", "Normal"),
        (table(ELEVEN), "volt_st", "Normal"),
        (
            format!(
                "{}; ALTER TABLE pwr_data ADD COLUMN {}",
                table(ELEVEN),
                SIX.replace(", ", ", ADD COLUMN ")
            ),
            "soh_st",
            "Normal",
        ),
        (with("note VARCHAR(40)"), "note", "-"),
        (with("note VARCHAR(40) NOT NULL DEFAULT 'mine', at TIMESTAMP"), "note", "mine"),
        (with("watts FLOAT AS (voltage * current) STORED"), "ROUND(watts)", "-114"),
        (with("coul_st VARCHAR(11) NOT NULL"), "CONCAT('<', coul_st, '>')", "<>"),
        (format!("{seventeen}; ALTER TABLE pwr_data DROP COLUMN soc, DROP COLUMN heater_st"), "power", "1"),
        (format!("{seventeen}; ALTER TABLE pwr_data DROP COLUMN record_time"), "power", "1"),
        (format!("{seventeen}; ALTER TABLE pwr_data DROP COLUMN id"), "power", "1"),
        (
            format!("{seventeen}; ALTER TABLE pwr_data MODIFY record_time TIMESTAMP NOT NULL"),
            "record_time",
            "2026-11-22 11:35:00",
        ),
        (format!("{seventeen} ENGINE=MyISAM"), "power", "1"),
        (format!("{}; ALTER TABLE pwr_data ENGINE=Aria TRANSACTIONAL=0", table(ELEVEN)), "power", "1"),
        (table("POWER INT, Voltage FLOAT"), "ROUND(voltage, 2)", "52"),
        (
            format!(
                "{}; CREATE TRIGGER fill BEFORE INSERT ON pwr_data FOR EACH ROW SET NEW.note = 'x'",
                with("note VARCHAR(9) NOT NULL")
            ),
            "note",
            "x",
        ),
        (
            "CREATE TABLE real_data (power INT, soc INT); CREATE VIEW pwr_data AS SELECT * FROM real_data"
                .to_owned(),
            "soc",
            "50",
        ),
    ]
}

#[test]
fn every_variant_of_the_table_gets_its_columns() {
    let Some(backend) = in_a_zone() else { return };
    let mut store = writing(&backend);
    let mut days = 0;
    for (made, column, first) in accepted() {
        backend.run(&made);
        let records = sweeps(days * 86_400..days * 86_400 + 20);
        days += 1;
        store.insert(&records).unwrap();
        assert_eq!(write_all(&backend), 20, "{made}");
        assert_eq!(backend.count("pwr_data"), 40, "{made}");
        assert_eq!(backend.count("legacy_pending"), 0, "{made}");
        let found = &backend.rows(&[column], "FROM pwr_data LIMIT 1")[0];
        let later = found.starts_with("2026-")
            || column == "soc"
            || column.contains("voltage")
            || column.contains("watts");
        assert!(found == first || later, "{made}: {found}");
        store.insert(&records).unwrap();
        assert_eq!(write_all(&backend), 0, "{made}");
        let own = usize::try_from(days).unwrap() * 40;
        assert_eq!(backend.count("battery_reading"), own, "{made}");
        let kind = if made.contains("VIEW") { "VIEW" } else { "TABLE" };
        backend.run(&format!("DROP {kind} pwr_data"));
    }
}

/// Each way in which the table takes nothing: how it is made, the reason's words, and the remedy; one that is a
/// statement is run as it is.
fn refused() -> Vec<(String, &'static str, &'static str)> {
    let all = table(&format!("{ELEVEN}, {SIX}"));
    let with = |more: &str| table(&format!("{ELEVEN}, {more}"));
    let trigger = "CREATE TRIGGER mine BEFORE INSERT ON pwr_data FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no thanks'";
    vec![
        (
            with("note VARCHAR(40) NOT NULL"),
            "column \"note\" is NOT NULL and has no default",
            "ALTER TABLE pwr_data ALTER `note` SET DEFAULT ''",
        ),
        (
            with("grade INT NOT NULL"),
            "column \"grade\" is NOT NULL",
            "ALTER TABLE pwr_data ALTER `grade` SET DEFAULT 0",
        ),
        (
            with("seen DATE NOT NULL"),
            "column \"seen\" is NOT NULL",
            "ALTER TABLE pwr_data MODIFY `seen` date NULL",
        ),
        (format!("{all}; {trigger}"), "no thanks", "a trigger or a constraint of the table may reject rows"),
        (
            format!(
                "{all}; ALTER TABLE pwr_data MODIFY id TINYINT NOT NULL AUTO_INCREMENT; INSERT INTO pwr_data (id) VALUES (126)"
            ),
            "the numbers of column \"id\" are used up",
            "ALTER TABLE pwr_data MODIFY `id` BIGINT NOT NULL AUTO_INCREMENT",
        ),
        (
            format!("{all}; ALTER TABLE pwr_data MODIFY voltage DATE"),
            "Incorrect date value",
            "ALTER TABLE pwr_data MODIFY `voltage` FLOAT",
        ),
        (
            format!("{all}; ALTER TABLE pwr_data MODIFY basic_st VARCHAR(3)"),
            "Data too long for column 'basic_st'",
            "ALTER TABLE pwr_data MODIFY `basic_st` VARCHAR(11)",
        ),
        (
            format!("{all}; ALTER TABLE pwr_data ADD UNIQUE KEY moment (record_time)"),
            "Duplicate entry",
            "ALTER TABLE pwr_data DROP INDEX `moment`",
        ),
        (
            format!("{all}; ALTER TABLE pwr_data ADD CONSTRAINT low CHECK (voltage < 10)"),
            "CONSTRAINT `low` failed",
            "ALTER TABLE pwr_data DROP CONSTRAINT `low`",
        ),
        (
            "CREATE VIEW pwr_data AS SELECT COUNT(*) AS power FROM bank".to_owned(),
            "is a view that accepts no rows",
            "RENAME TABLE pwr_data TO pwr_data_view",
        ),
    ]
}

#[test]
fn a_refusal_has_a_remedy_and_does_not_affect_our_tables() {
    let Some(backend) = in_a_zone() else { return };
    let mut store = writing(&backend);
    for (case, (made, reason, remedy)) in (0..).zip(refused()) {
        backend.run(&made);
        let before = backend.count("pwr_data");
        let mut writer = writer(&backend);
        let first = case * 86_400;
        store.insert(&sweeps(first..first + 20)).unwrap();
        let refusal = drain(&mut writer).refusal.unwrap_or_else(|| panic!("it was taken: {made}"));
        assert!(refusal.reason.contains(reason) && refusal.remedy.contains(remedy), "{made}: {refusal:?}");
        store.insert(&sweeps(first + 20..first + 40)).unwrap();
        assert_eq!(drain(&mut writer).refusal, Some(refusal.clone()), "{made}");
        assert_eq!(backend.count("battery_reading"), (case as usize + 1) * 80, "{made}");
        let report = check_legacy_table(&server(&backend)).unwrap();
        assert_eq!((report.waiting, report.refusal), (40, Some(refusal.to_string())), "{made}");
        let predicted = report.obstacles.iter().any(|text| text.contains(&refusal.reason));
        assert_eq!(predicted, reason.contains("NOT NULL"), "{made}: {:?}", report.obstacles);
        match refusal.remedy.as_str() {
            statement if statement.starts_with("ALTER") => {}
            statement if statement.starts_with("RENAME") => {
                backend.run("RENAME TABLE pwr_data TO pwr_data_view")
            }
            _ => backend.run("DROP TRIGGER mine"),
        }
        if refusal.remedy.starts_with("ALTER") {
            backend.run(&refusal.remedy);
        }
        let done = drain(&mut writer);
        assert_eq!((done.written, done.refusal), (40, None), "{made}");
        let rows = "FROM (SELECT record_time, power FROM pwr_data WHERE power IS NOT NULL GROUP BY 1, 2) AS each_once";
        let before = if made.contains("VIEW") { 0 } else { before };
        assert_eq!(backend.count("pwr_data"), before + 80, "{made}");
        assert_eq!(backend.rows(&["COUNT(*)"], rows), ["80"], "{made}");
        assert_eq!(check_legacy_table(&server(&backend)).unwrap().refusal, None, "{made}");
        backend.run("DROP TABLE pwr_data");
    }
}

#[test]
fn only_a_refused_sweep_is_left_out() {
    let Some(backend) = Backend::mariadb() else { return };
    let mut store = writing(&backend);
    backend.run(&table(&format!("{ELEVEN}, CONSTRAINT odd CHECK (soc <> 57 AND soc <> 58 AND soc <> 59)")));
    store.insert(&sweeps(0..30)).unwrap();
    let step = drain(&mut writer(&backend));
    assert_eq!((step.written, step.refusal), (27, None));
    let left_out: Vec<_> = step.left_out.iter().map(|left_out| left_out.taken_at_ms - START).collect();
    assert_eq!(left_out, [7_000, 8_000, 9_000]);
    assert!(
        step.left_out
            .iter()
            .all(|left_out| left_out.bank == "pytes" && left_out.refusal.reason.contains("odd"))
    );
    assert_eq!([backend.count("pwr_data"), backend.count("legacy_pending")], [54, 0]);
    // One that has none after it waits until there is another.
    store.insert(&sweeps(47..48)).unwrap();
    let mut writer = writer(&backend);
    assert!(drain(&mut writer).refusal.is_some());
    store.insert(&sweeps(50..51)).unwrap();
    let step = drain(&mut writer);
    assert_eq!((step.written, step.left_out.len(), step.refusal), (1, 1, None));
    assert_eq!(backend.count("battery_reading"), 64);
}

#[test]
fn without_transactions_each_row_is_written_once_despite_refusals() {
    let Some(backend) = Backend::mariadb() else { return };
    let mut store = writing(&backend);
    backend.run(&format!("{} ENGINE=MyISAM", table(ELEVEN)));
    backend.run("CREATE TRIGGER second BEFORE INSERT ON pwr_data FOR EACH ROW IF NEW.power = 2 THEN SIGNAL SQLSTATE '45000'; END IF");
    store.insert(&sweeps(0..3)).unwrap();
    let mut writer = writer(&backend);
    for _ in 0..3 {
        assert!(drain(&mut writer).refusal.is_some());
    }
    backend.run("DROP TRIGGER second");
    assert_eq!(drain(&mut writer).refusal, None);
    assert_eq!(backend.rows(&["COUNT(*)", "COUNT(DISTINCT record_time, power)"], "FROM pwr_data"), ["6 6"]);
}

#[test]
fn without_transactions_accepted_rows_of_a_skipped_sweep_stay() {
    let Some(backend) = Backend::mariadb() else { return };
    let mut store = writing(&backend);
    backend.run(&format!("{} ENGINE=MyISAM", table(ELEVEN)));
    backend.run(
        "CREATE TRIGGER odd BEFORE INSERT ON pwr_data FOR EACH ROW \
         IF NEW.power = 2 AND NEW.soc IN (53, 55) THEN SIGNAL SQLSTATE '45000'; END IF",
    );
    store.insert(&sweeps(0..10)).unwrap();
    let step = drain(&mut writer(&backend));
    assert_eq!((step.left_out.len(), step.refusal), (2, None));
    let counts = backend.rows(&["COUNT(*)", "COUNT(DISTINCT record_time, power)"], "FROM pwr_data");
    assert_eq!(counts, ["18 18"]);
}

#[test]
fn the_insert_privilege_suffices_and_a_missing_one_is_named() {
    let Some(backend) = Backend::mariadb() else { return };
    let Backend::Server { database, .. } = &backend else { unreachable!() };
    let user = format!("{database}-rows");
    backend.run(&table(ELEVEN));
    drop(writing(&backend));
    backend.run(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{PASSWORD}'"));
    let tables = "SELECT TABLE_NAME AS x FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME <> 'pwr_data'";
    for table in backend.ask(tables) {
        backend
            .run(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON `{database}`.`{table}` TO '{user}'@'%'"));
    }
    let own = DatabaseServer { user: user.clone(), ..server(&backend) };
    let (mut store, mut writer) = (MariaDb::open(&own).unwrap(), LegacyWriter::new(own.clone()));
    store.insert(&sweeps(0..2)).unwrap();
    let refusal = drain(&mut writer).refusal.unwrap();
    assert_eq!(refusal.reason, "pwr_data does not exist, or the account may not see it");
    assert_eq!(refusal.remedy, format!("GRANT CREATE, INSERT ON `{database}`.`pwr_data` TO '{user}'@'%'"));
    assert_eq!(check_legacy_table(&own).unwrap().refusal, Some(refusal.to_string()));
    backend.run(&format!("GRANT SELECT ON `{database}`.`pwr_data` TO '{user}'@'%'"));
    let refusal = drain(&mut writer).refusal.unwrap();
    assert!(
        refusal.remedy.starts_with(&format!("GRANT INSERT ON `{database}`.`pwr_data` TO '{user}'")),
        "{refusal:?}"
    );
    assert_eq!(
        check_legacy_table(&own).unwrap().obstacles,
        ["the account may not insert rows; grant it INSERT on this table"]
    );
    backend.run(&format!("REVOKE SELECT ON `{database}`.`pwr_data` FROM '{user}'@'%'"));
    // Even of two columns alone.
    backend.run(&format!("GRANT INSERT (power, soc) ON `{database}`.`pwr_data` TO '{user}'@'%'"));
    assert_eq!(drain(&mut writer).written, 2);
    backend.run(&format!("GRANT INSERT ON `{database}`.`pwr_data` TO '{user}'@'%'"));
    store.insert(&sweeps(2..4)).unwrap();
    assert_eq!(drain(&mut LegacyWriter::new(own)).written, 2);
    assert_eq!(backend.rows(&["COUNT(power)", "COUNT(voltage)"], "FROM pwr_data"), ["8 4"]);
    assert_eq!(backend.count("battery_reading"), 8);
}

/// A session of the owner's that holds a lock on the table.
fn locking(backend: &Backend) -> MysqlConnection {
    let Backend::Server { server, database } = backend else { unreachable!() };
    let mut owner = server.connection();
    owner.batch_execute(&format!("USE `{database}`; LOCK TABLES pwr_data WRITE")).unwrap();
    owner
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// The first column of a query without a default database: selecting one blocks while its table is locked.
fn numbers(backend: &Backend, query: &str) -> Vec<i64> {
    let Backend::Server { server, .. } = backend else { unreachable!() };
    let rows: Vec<Number> = diesel::sql_query(query).load(&mut server.connection()).unwrap();
    rows.into_iter().map(|row| row.number).collect()
}

/// The ids of the connections that are inserting into it.
fn inserting(backend: &Backend) -> Vec<i64> {
    let Backend::Server { database, .. } = backend else { unreachable!() };
    let query = format!(
        "SELECT ID AS number FROM information_schema.PROCESSLIST WHERE DB = '{database}' AND INFO LIKE 'INSERT INTO pwr_data%'"
    );
    numbers(backend, &query)
}

#[track_caller]
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < std::time::Duration::from_secs(20), "not in time: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_lock_on_the_table_delays_only_its_writer() {
    let Some(backend) = Backend::mariadb() else { return };
    let mut store = writing(&backend);
    write_all(&backend);
    store.insert(&sweeps(0..3)).unwrap();
    let Backend::Server { server, .. } = &backend else { unreachable!() };
    let mut owner = locking(&backend);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| drain(&mut writer(&backend)));
        wait_until("the insert waits", || inserting(&backend).len() == 1);
        // Before, between and after its rows.
        for n in [-5, 1, 20] {
            let batteries = vec![battery(1, 0, 1, None), battery(2, 0, 1, None)];
            store.insert(&[sweep("pytes", START + n * 1000 + 500, batteries)]).unwrap();
        }
        assert!(!waits.is_finished());
        // Aborted in the middle: the rows that it had taken are queued again.
        server.run(&format!("KILL {}", inserting(&backend)[0]));
        let refusal = waits.join().unwrap().refusal.unwrap();
        assert!(refusal.is_connection, "{refusal:?}");
        // One that was abandoned but still runs, and its replacement.
        let first = scope.spawn(|| drain(&mut writer(&backend)));
        wait_until("the insert waits", || inserting(&backend).len() == 1);
        let second = scope.spawn(|| drain(&mut writer(&backend)));
        let waits = "SELECT COUNT(*) AS number FROM information_schema.PROCESSLIST \
             WHERE INFO LIKE 'DELETE%legacy_pending%' AND TIME_MS > 50";
        wait_until("its successor waits", || numbers(&backend, waits) == [1]);
        owner.batch_execute("UNLOCK TABLES").unwrap();
        assert_eq!([first.join().unwrap().refusal, second.join().unwrap().refusal], [None, None]);
    });
    write_all(&backend);
    assert_eq!(backend.rows(&["COUNT(*)"], "FROM pwr_data"), ["12"]);
    assert_eq!([backend.count("legacy_pending"), backend.count("battery_reading")], [0, 12]);
}

#[test]
fn rows_written_by_an_earlier_version_are_not_repeated() {
    let Some(backend) = Backend::mariadb() else { return };
    backend.open().insert(&sweeps(0..5)).unwrap();
    let mut store = writing(&backend);
    store.insert(&sweeps(0..7)).unwrap();
    assert_eq!(write_all(&backend), 2);
    assert_eq!(backend.count("pwr_data"), 4);
}

#[test]
fn expired_sweeps_no_longer_wait_for_a_refusing_table() {
    let Some(backend) = Backend::mariadb() else { return };
    let mut store = writing(&backend);
    backend.run(&table(&format!("{ELEVEN}, note TEXT NOT NULL")));
    store.insert(&sweeps(0..10)).unwrap();
    let mut writer = writer(&backend);
    assert!(drain(&mut writer).refusal.is_some());
    backend.run(&format!("DELETE FROM battery_reading WHERE taken_at_ms < {}", START + 4000));
    assert_eq!(drain(&mut writer).expired, 4);
    backend.run("ALTER TABLE pwr_data MODIFY note TEXT NULL");
    assert_eq!(drain(&mut writer).written, 6);
}

#[test]
fn aborting_one_connection_does_not_affect_another() {
    let Some(backend) = Backend::mariadb() else { return };
    // An address that no other test connects to.
    let proxy = Proxy::in_front_of(backend.server().port);
    let (one, other) = (AbortHandle::default(), AbortHandle::default());
    let open = |abort: &AbortHandle| {
        MariaDb::open(&DatabaseServer { abort: abort.clone(), port: proxy.port(), ..backend.server() })
            .unwrap()
    };
    let (mut first, mut second) = (open(&one), open(&other));
    // Not checked again: the socket counts until its peer has closed it as well.
    assert_eq!(one.abort(), 1, "the other connection is not its own");
    second.insert(&sweeps(0..1)).unwrap();
    first.insert(&sweeps(1..2)).unwrap();
    assert_eq!(backend.count("bank_reading"), 2);
}

/// Rows of two batteries, a pair every five seconds from 06:00:00 of the server's time.
fn write_like_pytes_serial(backend: &Backend, pairs: usize) {
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
fn repeated_imports_copy_each_row_once() {
    let Some(backend) = in_a_zone() else { return };
    write_like_pytes_serial(&backend, 600);
    backend.run("INSERT INTO pwr_data SELECT NULL, record_time, 0, voltage, current, temperature, soc, basic_st, volt_st, current_st, temp_st, coul_st, soh_st, heater_st, bat_events, power_events, sys_events FROM pwr_data WHERE id = 1");
    let mut store = MariaDb::open(&backend.server()).unwrap();
    // The service has run for a while already: its battery has a barcode, and it writes the old table too.
    let mut minutes = MinuteAggregator::default();
    let own = report("pytes", START, SweepKind::Full, vec![battery(1, 2, 7, Some("B000001"))]);
    minutes.add(&own);
    store.insert(&[sweep("pytes", START, vec![battery(1, 2, 7, Some("B000001"))])]).unwrap();
    store.insert(&minutes.close()).unwrap();
    backend.run("INSERT INTO pwr_data SELECT NULL, '2026-11-22 11:35:00', 1, voltage, current, temperature, soc, basic_st, volt_st, current_st, temp_st, coul_st, soh_st, heater_st, bat_events, power_events, sys_events FROM pwr_data WHERE id = 1");

    let mut progress = Vec::new();
    let done = store.import_legacy("pytes", &mut |done| progress.push(done.read)).unwrap();
    let first = 1_795_134_600_000; // 2026-11-20 06:00:00 in that zone
    let expected = ImportProgress {
        rows: 1202,
        read: 1202,
        imported: 1200,
        unreadable: 1,
        own: 1,
        span_ms: Some((first + 1, first + 599 * 5000 + 200)),
    };
    assert_eq!(done, expected);
    assert_eq!(progress, [500, 1000, 1202]);
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
    let query = HistoryQuery {
        bank: "pytes",
        place: Some(1),
        from_ms: 0,
        to_ms: i64::MAX,
        resolution: Resolution::Hour,
        limit: 99,
    };
    let samples: Vec<i32> = store.history(&query).unwrap().iter().map(|point| point.sums.samples).collect();
    assert_eq!(samples, [360, 240, 1], "one battery's history, old and new");
}

#[test]
fn without_the_table_there_is_nothing_to_import() {
    let Some(backend) = Backend::mariadb() else { return };
    let mut store = MariaDb::open(&backend.server()).unwrap();
    let error = store.import_legacy("pytes", &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("pwr_data"), "{error}");
}

#[test]
fn rows_are_imported_from_every_form_of_the_table() {
    let Some(backend) = in_a_zone() else { return };
    let mut store = MariaDb::open(&backend.server()).unwrap();
    for (day, (made, ..)) in
        (1..).zip(accepted().into_iter().filter(|(made, ..)| made.contains("record_time")))
    {
        backend.run(&made);
        let has_time = !made.contains("DROP COLUMN record_time");
        let row = |power: u8| match has_time {
            true => format!(
                "INSERT INTO pwr_data (record_time, power, voltage, current) VALUES ('2026-11-{day:02} 06:00:00', {power}, 53.25, -1.5)"
            ),
            false => format!("INSERT INTO pwr_data (power, voltage, current) VALUES ({power}, 53.25, -1.5)"),
        };
        let not_null = made.contains("coul_st VARCHAR(11) NOT NULL");
        if not_null {
            backend.run("ALTER TABLE pwr_data ALTER coul_st SET DEFAULT ''");
        }
        [1, 2].iter().for_each(|power| backend.run(&row(*power)));
        let before = backend.count("battery_reading");
        if made.contains("DROP COLUMN id") {
            let error = store.import_legacy("pytes", &mut |_| ()).unwrap_err();
            assert!(matches!(error, StoreError::NoLegacyNumber { .. }), "{error}");
            let sentence = error.to_string();
            backend.run(sentence.split_once("add one: ").unwrap().1);
        }
        let done = store.import_legacy("pytes", &mut |_| ()).unwrap();
        let taken = if has_time { 2 } else { 0 };
        assert_eq!((done.rows, done.imported, done.unreadable), (2, taken, 2 - taken), "{made}");
        assert_eq!(backend.count("battery_reading"), before + usize::try_from(taken).unwrap(), "{made}");
        backend.run("DROP TABLE pwr_data");
    }
    let imported =
        backend.rows(&["MIN(voltage_v)", "MAX(current_a)", "COUNT(soc_percent)"], "FROM v_battery");
    assert_eq!(imported, ["53.25 -1.5 0"]);
}
