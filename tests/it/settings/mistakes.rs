//! Configuration errors are reported all at once, each with its position, and never with a secret.

use support::settings::SettingsFixture;

#[test]
fn all_errors_of_a_file_are_reported_with_their_lines() {
    let fixture = SettingsFixture::with(
        "[[bank]]\nname = \"my bank\"\nbaud = 115201\n\n[mqtt]\npasword = \"hunter2\"\ninterval = \"10s\"\nenabled = \"yes\"\n",
    );
    let errors = fixture.errors();
    assert_eq!(
        errors,
        [
            "bankwatch.toml:2: bank.1.name: expected letters, digits, _ and - only; found \"my bank\"",
            "bankwatch.toml:3: bank.1.baud: expected one of 1200, 2400, 4800, 9600, 14400, 19200, 28800, 38400, \
             57600, 76800, 115200, 230400, 460800, 921600; found the number 115201",
            "bankwatch.toml:6: mqtt.pasword: unknown setting; did you mean mqtt.password?",
            "bankwatch.toml:7: mqtt.interval: unknown setting; did you mean bank.interval?",
            "bankwatch.toml:8: mqtt.enabled: expected true or false; found \"yes\"",
        ]
    );
    let text = fixture.load().expect_err("errors").to_string();
    assert!(text.starts_with("5 configuration errors:\n- bankwatch.toml:2: "), "{text}");
}

#[test]
fn errors_of_different_layers_are_reported_together() {
    let fixture = SettingsFixture::with("htttp = 1\n")
        .file("options.json", r#"{"log": {"level": "loud"}}"#)
        .variable("BANKWATCH_HTTP__LISTEN", "everywhere")
        .argument("bank.interval=soon")
        .argument("mqtt.url")
        .argument("mqt.url=x");
    let errors = fixture.errors();
    let assert_starts = |at: usize, text: &str| assert!(errors[at].starts_with(text), "{:?}", errors[at]);
    assert_starts(0, "bankwatch.toml:1: htttp: unknown setting; did you mean http?");
    assert!(errors[1].contains("options.json: log.level: expected one of \"error\", "), "{}", errors[1]);
    assert_starts(2, "variable BANKWATCH_HTTP__LISTEN: http.listen: expected an address and port");
    assert_starts(3, "command line: bank.1.interval: expected a duration such as");
    assert_starts(4, "command line: expected NAME=VALUE");
    assert_starts(5, "command line: mqt.url: unknown setting; did you mean mqtt?");
    assert_eq!(errors.len(), 6);
}

#[test]
fn a_syntax_error_is_reported_with_its_position_but_not_its_text() {
    let errors = SettingsFixture::with("[[bank]]\n[mqtt]\npassword = hunter2\n").errors();
    assert!(errors[0].starts_with("bankwatch.toml:3:12: "), "{errors:?}");
    assert!(!errors[0].contains("hunter2"), "{errors:?}");
    let errors = SettingsFixture::with("").file("options.json", "{").errors();
    assert!(errors[0].contains("line 1 column 1"), "{errors:?}");
}

#[test]
fn wrong_value_types_are_reported_in_toml_terms() {
    let errors = SettingsFixture::with(
        "log = 1\n[bank]\nname = \"x\"\n[[mqtt]]\n[http]\nlisten = [1]\n[events]\nfile = 2026-11-22\n",
    )
    .errors();
    assert_eq!(
        errors,
        [
            "bankwatch.toml:1: log: expected a section [log]; found something else",
            "bankwatch.toml:2: bank: expected [[bank]] in double brackets; found [bank]",
            "bankwatch.toml:4: mqtt: expected a section [mqtt]; found something else",
            "bankwatch.toml:6: http.listen: expected an address and port such as \"127.0.0.1:8080\", \
             or \"0.0.0.0:8080\" for all; found a list",
            "bankwatch.toml:8: events.file: expected a path; found a date without quotes",
        ]
    );
}

#[test]
fn every_kind_of_value_is_checked() {
    for (setting, found) in [
        ("bank.interval=10", "\"10\""),
        ("bank.interval=50ms", "\"50ms\""),
        ("bank.interval=0s", "\"0s\""),
        ("bank.batteries=17", "the number 17"),
        ("bank.batteries=many", "\"many\""),
        ("bank.cells=all", "\"all\""),
        ("bank.link=ttyUSB0", "\"ttyUSB0\""),
        ("bank.link=tcp://host", "\"tcp://host\""),
        ("bank.link=http://host:80", "\"http://host:80\""),
        ("bank.link=replay:", "\"replay:\""),
        ("bank.name=", "\"\""),
        ("data_dir=", "\"\""),
        ("database.url=postgres://h/d", "\"postgres://h/d\""),
        ("database.url=mysql://user@host", "\"mysql://(hidden)@host\""),
        ("database.url=mysql://host/db?password=hunter2", "\"mysql://host/db?(hidden)\""),
        ("mqtt.url=me:hunter2@broker:1883", "\"(hidden)@broker:1883\""),
        ("database.retention=1s", "\"1s\""),
        ("mqtt.url=broker:1883", "\"broker:1883\""),
        ("mqtt.version=4", "\"4\""),
        ("mqtt.base_topic=a/#", "\"a/#\""),
        ("mqtt.expire_after=never", "\"never\""),
        ("http.listen=8080", "\"8080\""),
        ("log.max_files=-1", "the number -1"),
    ] {
        let errors = SettingsFixture::with("[[bank]]\n").argument(setting).errors();
        assert_eq!(errors.len(), 1, "{setting}: {errors:?}");
        assert!(errors[0].ends_with(&format!("; found {found}")), "{setting}: {errors:?}");
    }
}

#[test]
fn zero_means_off_where_that_is_defined() {
    let fixture =
        SettingsFixture::with("[[bank]]\nsummary_interval = \"0s\"\n[mqtt]\npublish_interval = \"0s\"\n");
    let settings = fixture.loaded().settings;
    assert!(settings.banks[0].summary_interval.is_zero() && settings.mqtt.publish_interval.is_zero());
}

#[test]
fn settings_that_exclude_each_other_are_conflicts() {
    let fixture = SettingsFixture::with(
        "[[bank]]\n[[bank]]\n[database]\nlegacy_table = true\n[mqtt]\nclient_cert_file = \"a\"\nstate_topic = \"house\"\n\
         expire_after = \"20s\"\n",
    );
    assert_eq!(
        fixture.errors(),
        [
            "bank.2.name: bank 1 is named \"pytes\" as well; bank names must be unique",
            "bank.2.link: bank 1 has the link \"/dev/ttyUSB0\" as well; each bank needs its own link",
            "bankwatch.toml:4: database.legacy_table: the pytes_serial table needs a MariaDB or MySQL server; set \
             database.url to mysql://…",
            "bankwatch.toml:6: mqtt.client_cert_file: set mqtt.client_key_file as well",
            "bankwatch.toml:7: mqtt.state_topic: several banks would share one topic; add {bank} to the topic",
            "bankwatch.toml:8: mqtt.expire_after: values would be unavailable from one publication to the next; \
             set mqtt.expire_after to at least 30s, 3 times mqtt.publish_interval",
        ]
    );
}

#[test]
fn an_invalid_setting_is_not_reported_as_a_conflict_too() {
    let fixture = SettingsFixture::with("[[bank]]\n[[bank]]\nname = \"a b\"\nlink = \"/dev/ttyUSB1\"\n");
    assert_eq!(fixture.errors().len(), 1, "{:?}", fixture.errors());
}

#[test]
fn one_setting_given_in_two_ways_is_an_error() {
    let fixture =
        SettingsFixture::with("[mqtt]\npassword = \"hunter2\"\npassword_file = \"p\"\n").file("p", "hunter2");
    assert_eq!(fixture.errors(), ["bankwatch.toml:3: mqtt.password: set twice; also in bankwatch.toml:2"]);
}

#[test]
fn a_missing_secret_file_is_reported_with_its_path() {
    let errors = SettingsFixture::with("[mqtt]\npassword_file = \"gone\"\n").errors();
    assert!(errors[0].starts_with("bankwatch.toml:2: mqtt.password_file: can't read "), "{errors:?}");
}

#[test]
fn secrets_never_appear_in_errors_or_debug_output() {
    let wrong = SettingsFixture::with(
        "[mqtt]\npassword = 424242\n[database]\nurl = \"mysql://me:hunter2@host/db\"\n",
    )
    .variable("BANKWATCH_MQTT__URL", "mqtt://me:hunter2@broker");
    let error = wrong.load().expect_err("errors");
    let right = SettingsFixture::with("[[bank]]\n[mqtt]\npassword = \"hunter2\"\n")
        .variable("BANKWATCH_DATABASE__PASSWORD", "hunter2");
    for text in [
        error.to_string(),
        format!("{error:?}"),
        format!("{:?}", right.loaded()),
        format!("{:?}", right.loaded().settings),
        format!("{:?}", right.sources),
    ] {
        assert!(!text.contains("hunter2") && !text.contains("424242"), "{text}");
    }
    assert!(
        error
            .to_string()
            .contains("mqtt.password: expected a text (in quotes); found a number without quotes (hidden)")
    );
}
