//! An existing `pytes_serial.cfg` works unchanged.

use std::time::Duration;

use bankwatch::internals::settings::{
    AutoOr, CellLevel, DatabaseUrl, EventLevel, ExpectedCounts, LogLevel, MqttUrl, Settings, Sources, load,
};
use proptest::prelude::{prop_assert, proptest};
use secrecy::ExposeSecret;
use support::settings::SettingsFixture;

const FILE: &str = "pytes_serial.cfg";

/// A file with everything switched on.
const WHOLE: &str = "\
# the port
[serial]
serial_port           = /dev/ttyUSB3
serial_baudrate       = 115200
reading_freq          = 10

[general]
output_path           = /home/pi/pytes

[battery_info]
powers                = 4
cells                 = 16
dev_name              = pytes
manufacturer          = PYTES
model                 = E-BOX-48100R

[Maria DB connection]
SQL_active            = True
host                  = 192.168.1.8
db_port               = 3307
user                  = py tes@home
password              = a;b#c%d = e
database              = pytes

[MQTT]
MQTT_active           = true
MQTT_broker           : broker.local
MQTT_port             : 1884
MQTT_username         = me
MQTT_password         = 50%% = ; half # of it

[logging]
LOGGING_LEVEL         = logging.INFO
LOGGING_FILE_MAX_SIZE = 6000
LOGGING_FILE_MAX_FILES= 2

[events_monitoring]
events_monitoring     = true
cells_details         = false
monitoring_level      = info

[cells_monitoring]
cells_monitoring      = true
monitoring_level      = high
";

fn fixture(text: &str) -> SettingsFixture {
    SettingsFixture::default().file(FILE, text).config(FILE)
}

fn settings(text: &str) -> Settings {
    fixture(text).loaded().settings
}

#[test]
fn every_option_is_converted() {
    let fixture = fixture(WHOLE).file("events_config.json", "{}");
    let loaded = fixture.loaded();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let settings = loaded.settings;
    let bank = &settings.banks[0];
    assert_eq!((bank.name.as_str(), bank.link.as_str(), bank.baud), ("pytes", "/dev/ttyUSB3", 115_200));
    assert_eq!((bank.interval, bank.summary_interval), (Duration::from_secs(10), Duration::ZERO));
    assert_eq!(bank.manufacturer, AutoOr::Given("PYTES".into()));
    assert_eq!(bank.model, AutoOr::Given("E-BOX-48100R".into()));
    assert_eq!(bank.cells, CellLevel::High);
    assert_eq!(bank.expected, Some(ExpectedCounts { batteries: Some(4), cells: Some(16) }));
    assert_eq!(settings.json_file.directory, std::path::Path::new("/home/pi/pytes"));

    let (host, user) = ("192.168.1.8".to_owned(), "py tes@home".to_owned());
    assert_eq!(
        settings.database.url,
        DatabaseUrl::Mysql { user, host, port: 3307, database: "pytes".into() }
    );
    assert!(settings.database.enabled && settings.database.legacy_table);

    assert_eq!(settings.mqtt.url, MqttUrl { tls: false, host: "broker.local".into(), port: 1884 });
    assert!(settings.mqtt.enabled && settings.mqtt.legacy_topics && settings.mqtt.discovery);
    assert_eq!(settings.mqtt.username, "me");
    assert_eq!(settings.mqtt.state_topic.as_deref(), Some("homeassistant/sensor/{bank}/state"));

    assert!(settings.events.enabled && !settings.events.cells);
    assert_eq!(settings.events.level, EventLevel::Info);
    assert_eq!(settings.events.catalogue, Some(fixture.path("events_config.json")));
    assert_eq!(
        (settings.log.level, settings.log.max_size_kb, settings.log.max_files),
        (LogLevel::Info, 6000, 2)
    );
    assert_eq!(settings.log.file, Some(fixture.path("./pytes_serial.log")));
    assert!(settings.http.enabled && settings.http.listen.ip().is_loopback());
}

#[test]
fn passwords_keep_their_semicolons_hashes_percents_and_equal_signs() {
    let settings = settings(WHOLE);
    assert_eq!(settings.database.password.expose_secret(), "a;b#c%d = e");
    assert_eq!(settings.mqtt.password.expose_secret(), "50% = ; half # of it");
}

#[test]
fn disabled_sections_are_off_and_their_examples_are_not_read() {
    let text = "[battery_info]\ndev_name = x\n[Maria DB connection]\nSQL_active = false\nhost = <your server>\n\
                db_port = ?\npassword = x\n[MQTT]\nMQTT_active = no\nMQTT_broker = < >\n[cells_monitoring]\n\
                cells_monitoring = false\nmonitoring_level = high\n[events_monitoring]\nevents_monitoring = 1\n";
    let settings = settings(text);
    assert!(!settings.database.enabled && !settings.mqtt.enabled && !settings.events.enabled);
    assert!(!settings.database.legacy_table && !settings.mqtt.legacy_topics);
    assert_eq!(settings.banks[0].cells, CellLevel::Off);
    assert!(settings.events.catalogue.is_none());
}

#[test]
fn empty_values_mean_the_same_as_in_pytes_serial() {
    let text =
        "[general]\noutput_path =\n[battery_info]\nmanufacturer =\nmodel:\n[serial]\nreading_freq = 0.5\n";
    let fixture = fixture(text);
    let settings = fixture.loaded().settings;
    assert_eq!(settings.json_file.directory, fixture.path("."));
    assert_eq!((&settings.banks[0].manufacturer, &settings.banks[0].model), (&AutoOr::Auto, &AutoOr::Auto));
    assert_eq!(settings.banks[0].interval, Duration::from_millis(500));
}

#[test]
fn reading_without_a_pause_becomes_the_shortest_interval() {
    assert_eq!(settings("[serial]\nreading_freq = 0\n").banks[0].interval, Duration::from_millis(100));
}

#[test]
fn the_quirks_of_its_parser_are_preserved() {
    let text = "\u{feff}; a comment\r\n[DEFAULT]\r\nserial_port = /dev/ttyS9\r\n[serial] ignored\r\n  SERIAL_BAUDRATE=9600\r\n\
                # a comment\r\n[battery_info]\r\nDEV_NAME : a\r\nmodel = first\r\n\tsecond\r\n";
    let bank = &settings(text).banks[0];
    assert_eq!((bank.link.as_str(), bank.baud, bank.name.as_str()), ("/dev/ttyS9", 9600, "a"));
    assert_eq!(bank.model, AutoOr::Given("first\nsecond".into()));
}

#[test]
fn log_levels_lose_their_prefix() {
    for (theirs, ours) in [
        ("logging.DEBUG", LogLevel::Debug),
        ("logging.WARNING", LogLevel::Warning),
        ("error", LogLevel::Error),
        ("logging.CRITICAL", LogLevel::Error),
    ] {
        assert_eq!(settings(&format!("[logging]\nLOGGING_LEVEL = {theirs}\n")).log.level, ours);
    }
}

#[test]
fn errors_name_line_and_option_but_no_secrets() {
    let text = "stray = 1\n[serial]\nserial_baudrate = fast\nserial_baudrate = slow\nhunter2\nreading_freq = often\n\
                [battery_info]\ndev_name = mybank\npowers = 40\n[Maria DB connection]\nSQL_active = true\n\
                password = %(hunter2)s\nhost = a b\ndb_port = no\n[MQTT]\nMQTT_active = true\nMQTT_user = x\n";
    let fixture = fixture(text);
    let errors = fixture.errors();
    for expected in [
        "pytes_serial.cfg:1: expected a section header such as [serial] before it",
        "pytes_serial.cfg:3 ([serial] serial_baudrate): bank.1.baud: expected one of ",
        "pytes_serial.cfg:4: this option occurs twice in its section; remove one",
        "pytes_serial.cfg:5: expected `option = value`",
        "pytes_serial.cfg:6 ([serial] reading_freq): bank.1.interval: expected a duration",
        "pytes_serial.cfg:9 ([battery_info] powers): expected a whole number from 1 to 16; found \"40\"",
        "pytes_serial.cfg:12 ([Maria DB connection] password): expected the value itself; a reference",
        "pytes_serial.cfg:13 ([Maria DB connection] host): database.url: expected sqlite:FILE or mysql:",
        "pytes_serial.cfg:14 ([Maria DB connection] db_port): expected a whole number from 1 to 65535; found \"no\"",
    ] {
        assert!(errors.iter().any(|error| error.starts_with(expected)), "{expected}\n{errors:#?}");
    }
    assert_eq!(errors.len(), 9, "{errors:#?}");
    let error = fixture.load().expect_err("errors");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert_eq!(error.warnings, ["pytes_serial.cfg:17 ([MQTT] mqtt_user): is not used"]);
}

/// A file of one generation and the expected import: events with cells and level; cell level; numbers of batteries and
/// cells; warnings.
type Generation<'a> = (&'a str, (bool, bool, EventLevel), CellLevel, (Option<u8>, Option<u8>), &'a [&'a str]);

#[test]
fn files_of_every_generation_import_their_values() {
    use CellLevel::{High, Low, Medium, Off};
    use EventLevel::{Info, Warning};
    const DEFAULT: (bool, bool, EventLevel) = (true, true, Warning);
    let dead = "pytes_serial.cfg:2 ([events] events_monitoring): is not used; the newer [events_monitoring] events_monitoring is";
    let generations: &[Generation] = &[
        // 0.2 to 0.4: no section for batteries or events.
        (
            "[general]\npowers = 3\n[MQTT]\nMQTT_active = true\nMQTT_broker = b\n",
            DEFAULT,
            Medium,
            (Some(3), None),
            &[],
        ),
        // 0.5 and 0.6: the number of cells is in the events section.
        (
            "[general]\npowers = 2\n[events]\nevents_monitoring = false\ncells = 15\ncells_details = true\n\
             cells_details_level = info\n",
            (false, true, Info),
            Medium,
            (Some(2), Some(15)),
            &[],
        ),
        // 0.7.0 to 0.7.4: cell monitoring is on or off.
        (
            "[battery_info]\npowers = 4\ncells = 16\n[events]\nevents_monitoring = true\ncells_monitoring = false\n\
             cells_details = false\ncells_details_level = WARNING\n",
            (true, false, Warning),
            Off,
            (Some(4), Some(16)),
            &[],
        ),
        (
            "[events]\ncells_monitoring = true\ncells_details_level = info\n",
            (true, true, Info),
            Medium,
            (None, None),
            &[],
        ),
        ("[events]\ncells_monitoring = true\ncells_details_level = high\n", DEFAULT, High, (None, None), &[]),
        // Since 0.7.5: two sections.
        (
            "[events_monitoring]\nevents_monitoring = true\ncells_details = false\nmonitoring_level = info\n\
             [cells_monitoring]\ncells_monitoring = true\nmonitoring_level = low\n",
            (true, false, Info),
            Low,
            (None, None),
            &[],
        ),
        // An old section kept next to the new one.
        (
            "[events]\nevents_monitoring = false\n[events_monitoring]\nevents_monitoring = true\n",
            DEFAULT,
            Medium,
            (None, None),
            &[dead],
        ),
        // 1.0.0 to 2.0.0: no events section.
        (
            "[cells_monitoring]\ncells_monitoring = true\nmonitoring_level = high\n",
            DEFAULT,
            High,
            (None, None),
            &[],
        ),
        ("[cells_monitoring]\ncells_monitoring = true\n", DEFAULT, Medium, (None, None), &[]),
    ];
    for (text, events, cells, expected, warnings) in generations {
        let loaded = fixture(&format!("{text}[serial]\nserial_port = /dev/ttyUSB0\n")).loaded();
        let (settings, bank) = (&loaded.settings.events, &loaded.settings.banks[0]);
        assert_eq!((settings.enabled, settings.cells, settings.level), *events, "{text}");
        assert_eq!(bank.cells, *cells, "{text}");
        let found = bank.expected.unwrap_or_default();
        assert_eq!((found.batteries, found.cells), *expected, "{text}");
        assert_eq!(loaded.warnings, *warnings, "{text}");
    }
}

#[test]
fn a_name_invalid_in_topics_is_changed_with_a_warning() {
    for (old, new) in [
        ("my bank", "my_bank"),
        ("Büro  2", "B_ro_2"),
        ("a/b+#", "a_b"),
        ("pytes.1", "pytes_1"),
        ("../x", "x"),
        ("two\n lines", "two_lines"),
        ("_-", "_-"),
    ] {
        let loaded = fixture(&format!("[battery_info]\ndev_name = {old}\n")).loaded();
        assert_eq!(loaded.settings.banks[0].name, new, "{old}");
        let warned = loaded.warnings.iter().filter(|warning| {
            let old = old.replace("\n ", "\n");
            warning.starts_with(&format!(
                "pytes_serial.cfg:2 ([battery_info] dev_name): {old:?} is changed to {new:?}"
            ))
        });
        assert_eq!(warned.count(), usize::from(old != new), "{old}: {:?}", loaded.warnings);
    }
    for nothing in ["", "öäü", "+ #"] {
        let loaded =
            fixture(&format!("[battery_info]\ndev_name = {nothing}\n[serial]\nserial_baudrate = 9600\n"))
                .loaded();
        assert_eq!(loaded.settings.banks[0].name, "pytes", "{nothing}");
        assert!(loaded.warnings[0].contains("has the default name"), "{:?}", loaded.warnings);
    }
    // Another bank already has the name.
    let fixture = fixture("[battery_info]\ndev_name = my bank\n")
        .variable("BANKWATCH_BANK__2__NAME", "my_bank")
        .variable("BANKWATCH_BANK__2__LINK", "/dev/ttyUSB1");
    assert_eq!(
        fixture.errors(),
        [
            "variable BANKWATCH_BANK__2__NAME: bank.2.name: bank 1 is named \"my_bank\" as well; bank names must be unique"
        ]
    );
}

#[test]
fn an_existing_catalogue_in_any_form_is_named() {
    let fixture = fixture("");
    std::fs::create_dir(fixture.path("events_config.json")).expect("a folder");
    assert_eq!(fixture.loaded().settings.events.catalogue, Some(fixture.path("events_config.json")));
}

#[test]
fn it_is_recognized_by_its_sections_under_any_name() {
    let fixture = SettingsFixture::default().file("settings.txt", WHOLE).config("settings.txt");
    assert_eq!(fixture.loaded().settings.banks[0].link, "/dev/ttyUSB3");
}

#[test]
fn variables_override_it_like_any_file() {
    let fixture = fixture(WHOLE).variable("BANKWATCH_BANK__LINK", "tcp://bridge:23");
    assert_eq!(fixture.loaded().settings.banks[0].link, "tcp://bridge:23");
}

proptest! {
    #[test]
    fn no_input_makes_its_parser_panic(text in "(\\[[a-z_]{0,3}|serial|[Mm]aria DB connection|MQTT|=|:|%|%\\(|;|#|\\]|[ \t]|\n|\r|\\PC){0,60}") {
        let text = format!("{text}\n[cells_monitoring]\n");
        let fixture = fixture(&text);
        let _ = load(&fixture.sources);
    }

    #[test]
    fn any_single_line_password_is_imported_unchanged(password in "[!-~][ -~]{0,20}[!-~]") {
        let text = format!("[MQTT]\nMQTT_active = true\nMQTT_password = {}\n", password.replace('%', "%%"));
        let fixture = fixture(&text);
        let loaded = load(&Sources::only(FILE.into(), fixture.folder().to_owned()));
        prop_assert!(loaded.is_ok_and(|loaded| loaded.settings.mqtt.password.expose_secret() == password));
    }
}
