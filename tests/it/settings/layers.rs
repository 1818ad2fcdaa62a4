//! The sources of settings and their precedence.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use bankwatch::internals::settings::{AutoOr, BatteryCount, CellLevel, DatabaseUrl, LineEnd, WakeMode};
use secrecy::ExposeSecret;
use support::settings::SettingsFixture;

const BANK: &str = "[[bank]]\n";

#[test]
fn an_unconfigured_bank_has_the_documented_defaults() {
    let fixture = SettingsFixture::with(BANK);
    let settings = fixture.loaded().settings;
    let bank = &settings.banks[0];
    assert_eq!((bank.name.as_str(), bank.link.as_str(), bank.baud), ("pytes", "/dev/ttyUSB0", 115_200));
    assert_eq!((bank.line_end, bank.dtr, bank.rts, bank.wake), (LineEnd::Lf, true, true, WakeMode::Auto));
    assert_eq!((bank.interval, bank.summary_interval), (Duration::from_secs(10), Duration::from_secs(2)));
    assert_eq!((bank.batteries, bank.cells), (BatteryCount::Auto, CellLevel::Medium));
    assert_eq!((&bank.model, bank.expected), (&AutoOr::Auto, None));
    assert_eq!(settings.data_dir, fixture.folder().join("."));
    assert!(settings.database.enabled && settings.http.enabled && !settings.mqtt.enabled);
}

#[test]
fn later_layers_win_key_by_key() {
    let layered = |layers: usize| {
        let mut fixture =
            SettingsFixture::with("[[bank]]\nname = \"file\"\nbaud = 9600\n[mqtt]\nusername = \"file\"\n");
        if layers > 1 {
            fixture =
                fixture.file("options.json", r#"{"bank": [{"name": "options"}], "mqtt": {"enabled": true}}"#);
        }
        if layers > 2 {
            fixture = fixture.variable("BANKWATCH_BANK__NAME", "variable");
        }
        if layers > 3 {
            fixture = fixture.argument("bank.1.name=argument");
        }
        let settings = fixture.loaded().settings;
        assert_eq!((settings.banks[0].baud, settings.mqtt.username.as_str()), (9600, "file"));
        assert_eq!(settings.mqtt.enabled, layers > 1);
        settings.banks[0].name.clone()
    };
    assert_eq!([1, 2, 3, 4].map(layered), ["file", "options", "variable", "argument"]);
}

#[test]
fn a_cell_level_counts_as_chosen_even_if_it_is_the_default() {
    let chosen = |fixture: SettingsFixture| {
        fixture.loaded().settings.banks.iter().map(|bank| bank.cells_explicit).collect()
    };
    let two = "[[bank]]\nname = \"a\"\n[[bank]]\nname = \"b\"\nlink = \"/dev/ttyUSB1\"\ncells = \"medium\"\n";
    let all: [(SettingsFixture, Vec<bool>); 4] = [
        (SettingsFixture::with(BANK), vec![false]),
        (SettingsFixture::with(two), vec![false, true]),
        (SettingsFixture::with(BANK).variable("BANKWATCH_BANK__CELLS", "medium"), vec![true]),
        (SettingsFixture::with("[battery_info]\n[cells_monitoring]\ncells_monitoring = false\n"), vec![true]),
    ];
    for (fixture, expected) in all {
        let found: Vec<bool> = chosen(fixture);
        assert_eq!(found, expected);
    }
}

#[test]
fn a_named_file_replaces_the_search_and_must_exist() {
    let fixture = SettingsFixture::with("[[bank]]\nname = \"here\"\n")
        .file("etc/bankwatch.toml", "[[bank]]\nname = \"etc\"\n");
    assert_eq!(fixture.loaded().settings.banks[0].name, "here");
    let fixture = fixture.config("etc/bankwatch.toml");
    assert_eq!(fixture.loaded().settings.banks[0].name, "etc");
    assert_eq!(fixture.loaded().file, Some(PathBuf::from("etc/bankwatch.toml")));
    let errors = fixture.config("other.toml").errors();
    assert!(errors[0].starts_with("other.toml: can't read "), "{errors:?}");
}

#[test]
fn without_a_file_or_bank_the_error_explains_how_to_start() {
    let loaded = SettingsFixture::default().loaded();
    let error = loaded.require_bank().expect_err("no bank").to_string();
    assert!(error.contains("\n\n    [[bank]]\n    link = \"/dev/ttyUSB0\"\n\n  or set"), "{error}");
    for word in ["bankwatch.toml, etc/bankwatch.toml", "[[bank]]", "BANKWATCH_BANK__LINK", "bankwatch demo"] {
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn variables_alone_can_define_banks() {
    let fixture = SettingsFixture::default()
        .variable("BANKWATCH_BANK__LINK", "tcp://one:4001")
        .variable("BANKWATCH_BANK__2__LINK", "tcp://two:4001")
        .variable("BANKWATCH_BANK__2__NAME", "second")
        .variable("BANKWATCH_BANK__2__DTR", "false")
        .variable("BANKWATCH_BANK__2__BATTERIES", "4");
    let banks = fixture.loaded().settings.banks;
    assert_eq!((banks[0].link.as_str(), banks[1].link.as_str()), ("tcp://one:4001", "tcp://two:4001"));
    assert_eq!(
        (banks[1].name.as_str(), banks[1].dtr, banks[1].batteries),
        ("second", false, BatteryCount::Count(4))
    );
}

#[test]
fn banks_keep_their_order_past_nine() {
    let text: String =
        (1..=11).map(|n| format!("[[bank]]\nname = \"b{n}\"\nlink = \"tcp://h:{n}\"\n")).collect();
    let names: Vec<_> =
        SettingsFixture::with(&text).loaded().settings.banks.into_iter().map(|bank| bank.name).collect();
    assert_eq!(names, (1..=11).map(|n| format!("b{n}")).collect::<Vec<_>>());
}

#[test]
fn a_gap_in_the_bank_numbers_is_an_error() {
    let fixture = SettingsFixture::with(BANK)
        .variable("BANKWATCH_BANK__3__NAME", "third")
        .variable("BANKWATCH_BANK__3__LINK", "/dev/ttyUSB2");
    assert_eq!(fixture.errors(), ["bank.3: bank 2 is missing; number the banks without gaps"]);
}

#[test]
fn text_values_are_never_parsed_as_numbers() {
    let fixture = SettingsFixture::with(BANK)
        .variable("BANKWATCH_MQTT__PASSWORD", "0123")
        .variable("BANKWATCH_MQTT__USERNAME", "true")
        .variable("BANKWATCH_MQTT__CLIENT_ID", "1e3")
        .variable("BANKWATCH_BANK__MODEL", "[1, 2]")
        .argument("mqtt.version=5");
    let settings = fixture.loaded().settings;
    assert_eq!(settings.mqtt.password.expose_secret(), "0123");
    assert_eq!(settings.mqtt.username, "true");
    assert_eq!(settings.mqtt.client_id, AutoOr::Given("1e3".into()));
    assert_eq!(settings.banks[0].model, AutoOr::Given("[1, 2]".into()));
}

#[test]
fn an_unknown_variable_warns_with_the_nearest_name() {
    let fixture =
        SettingsFixture::with(BANK).variable("BANKWATCH_MQTT__PASWORD", "x").variable("OTHER_THING", "1");
    assert_eq!(
        fixture.loaded().warnings,
        ["variable BANKWATCH_MQTT__PASWORD matches no setting; did you mean BANKWATCH_MQTT__PASSWORD?"]
    );
}

#[test]
fn an_invalid_variable_is_an_error_with_its_name() {
    let errors = SettingsFixture::with(BANK).variable("BANKWATCH_BANK__BAUD", "fast").errors();
    assert!(
        errors[0].starts_with("variable BANKWATCH_BANK__BAUD: bank.1.baud: expected one of 1200, "),
        "{errors:?}"
    );
    assert!(errors[0].ends_with("found \"fast\""), "{errors:?}");
}

#[test]
fn secrets_can_be_read_from_files_next_to_the_settings() {
    let fixture = SettingsFixture::default()
        .file("etc/bankwatch.toml", "[[bank]]\n[mqtt]\npassword_file = \"secret\"\n")
        .file("etc/secret", "from the file\n")
        .file("elsewhere", "from elsewhere\r\n")
        .config("etc/bankwatch.toml");
    assert_eq!(fixture.loaded().settings.mqtt.password.expose_secret(), "from the file");
    let elsewhere = fixture.path("elsewhere").display().to_string();
    let fixture = fixture.variable("BANKWATCH_MQTT__PASSWORD_FILE", &elsewhere);
    assert_eq!(fixture.loaded().settings.mqtt.password.expose_secret(), "from elsewhere");
}

#[test]
fn a_credential_overrides_the_file_and_a_variable_overrides_both() {
    let mut fixture = SettingsFixture::with("[[bank]]\n[database]\npassword = \"file\"\n")
        .file("credentials/database_password", "credential\n");
    fixture.sources.credentials = Some(fixture.path("credentials"));
    assert_eq!(fixture.loaded().settings.database.password.expose_secret(), "credential");
    let fixture = fixture.variable("BANKWATCH_DATABASE__PASSWORD", "variable");
    assert_eq!(fixture.loaded().settings.database.password.expose_secret(), "variable");
}

#[test]
fn written_paths_are_in_data_dir_and_read_paths_near_the_settings() {
    let fixture = SettingsFixture::default()
        .file(
            "etc/bankwatch.toml",
            "data_dir = \"var\"\n[[bank]]\nlink = \"replay:night.cap\"\n[log]\nfile = \"my.log\"\n[mqtt]\nca_file = \"ca.pem\"\n\
             [events]\ncatalogue = \"/abs/events.toml\"\n",
        )
        .config("etc/bankwatch.toml");
    let settings = fixture.loaded().settings;
    let (var, etc) = (fixture.folder().join("var"), fixture.folder().join("etc"));
    assert_eq!(settings.data_dir, var);
    assert_eq!(settings.json_file.directory, var.join("."));
    assert_eq!(settings.database.url, DatabaseUrl::Sqlite(var.join("bankwatch.db")));
    assert_eq!(settings.database.journal, var.join("journal.db"));
    assert_eq!(settings.events.file, var.join("battery_events.log"));
    assert_eq!(settings.log.file, Some(var.join("my.log")));
    assert_eq!(settings.mqtt.ca_file, Some(etc.join("ca.pem")));
    assert_eq!(settings.mqtt.client_key_file, None);
    assert_eq!(settings.events.catalogue, Some("/abs/events.toml".into()));
    assert_eq!(settings.banks[0].link, format!("replay:{}", etc.join("night.cap").display()));
}

#[test]
fn data_dir_defaults_to_the_state_directory_then_the_volume() {
    let mut fixture = SettingsFixture::with(BANK).file("volume/here", "").file("state/here", "");
    fixture.sources.data_volume = Some(fixture.path("volume"));
    fixture.sources.state_directory = Some(fixture.path("missing"));
    assert_eq!(fixture.loaded().settings.data_dir, fixture.path("volume"));
    fixture.sources.state_directory = Some(fixture.path("state"));
    assert_eq!(fixture.loaded().settings.data_dir, fixture.path("state"));
    let fixture = fixture.argument("data_dir=/srv/bank");
    assert_eq!(fixture.loaded().settings.data_dir, PathBuf::from("/srv/bank"));
}

#[test]
fn a_world_readable_secret_file_warns_with_the_remedy() {
    let fixture = SettingsFixture::with(BANK)
        .file("password", "hunter2\n")
        .file("key.pem", "")
        .argument("mqtt.password_file=password")
        .argument("mqtt.client_cert_file=cert.pem")
        .argument("mqtt.client_key_file=key.pem");
    let set_mode = |mode| {
        for name in ["password", "key.pem"] {
            fs::set_permissions(fixture.path(name), fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    set_mode(0o644);
    let warnings = fixture.loaded().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("mqtt.password: every user of this machine can read"), "{warnings:?}");
    assert!(warnings[0].contains("(mode 644); run: chmod o= "), "{warnings:?}");
    assert!(warnings[1].starts_with("mqtt.client_key_file: every user"), "{warnings:?}");
    assert!(!warnings.concat().contains("hunter2"));
    set_mode(0o640);
    assert_eq!(fixture.loaded().warnings, Vec::<String>::new());
}

#[test]
fn an_empty_panel_option_is_ignored() {
    let fixture = SettingsFixture::with(BANK)
        .file("options.json", r#"{"mqtt": {"username": null}, "bank": [{"baud": 9600}]}"#);
    let settings = fixture.loaded().settings;
    assert_eq!((settings.mqtt.username.as_str(), settings.banks[0].baud), ("", 9600));
}
