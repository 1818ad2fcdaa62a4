//! `bankwatch config check | show | import`.

use bankwatch::internals::{
    cli::config::{self, ConfigCommand},
    settings::{BankSettings, Settings},
};
use clap::{Parser, Subcommand};
use secrecy::ExposeSecret;
use support::settings::SettingsFixture;

const EXIT_CONFIG: u8 = 78;

/// Runs a subcommand; returns standard output, standard error and exit code.
fn run(fixture: &SettingsFixture, verb: &ConfigCommand) -> (String, String, u8) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = config::run(verb, fixture.sources.clone(), &mut out, &mut err).expect("writing to vectors");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (text(out), text(err), code)
}

fn check() -> ConfigCommand {
    ConfigCommand::Check { config: None }
}

fn show(origin: bool) -> ConfigCommand {
    ConfigCommand::Show { config: None, origin }
}

#[test]
fn check_reports_a_valid_configuration() {
    let fixture = SettingsFixture::with("[[bank]]\n").variable("BANKWATCH_NONSENSE", "1");
    let (out, _, code) = run(&fixture, &check());
    assert_eq!(
        out,
        "warning: variable BANKWATCH_NONSENSE matches no setting\n\
         bankwatch.toml: configuration OK (banks: pytes)\n"
    );
    assert_eq!(code, 0);
}

/// Files with committed expected differences; they have more than any real file.
const COMPARED: &[(&str, &str)] = &[
    (
        "everything",
        "[battery_info]\ndev_name = pytes_in_the_garage_of_the_house\n[Maria DB connection]\nSQL_active = true\n\
         host = db\n[MQTT]\nMQTT_active = true\nMQTT_broker = b\n[logging]\nLOGGING_LEVEL = logging.INFO\n",
    ),
    (
        "nothing",
        "[battery_info]\ndev_name = pytes\n[Maria DB connection]\nSQL_active = false\n[MQTT]\nMQTT_active = false\n\
         [events_monitoring]\nevents_monitoring = false\n[cells_monitoring]\ncells_monitoring = false\n",
    ),
    (
        "unusable_name",
        "[battery_info]\ndev_name = a name that is far too long, and has ü\n[Maria DB connection]\nSQL_active = true\n\
         host = db\n[MQTT]\nMQTT_active = true\nMQTT_broker = b\n[logging]\nLOGGING_LEVEL = logging.INFO\n",
    ),
    ("no_server", "[battery_info]\ndev_name = pytes\n"),
];

#[test]
fn check_lists_the_differences_from_pytes_serial_on_one_screen() {
    for (name, text) in COMPARED {
        let (out, _, code) = run(
            &SettingsFixture::default().file("pytes_serial.cfg", text).config("pytes_serial.cfg"),
            &check(),
        );
        assert_eq!(code, 0, "{out}");
        let lines: Vec<&str> = out.lines().filter(|line| !line.starts_with("warning: ")).collect();
        assert!(lines.len() <= 24, "{name}: {} lines", lines.len());
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{out}");
        let path = format!("{}/tests/snapshots/compared/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(lines.join("\n") + "\n", std::fs::read_to_string(&path).unwrap_or_default(), "{path}");
    }
}

#[test]
fn check_reports_errors_as_its_result() {
    let (out, err, code) = run(&SettingsFixture::with("[[bank]]\nbaudd = 1\n"), &check());
    assert!(
        out.contains("bankwatch.toml:2: bank.1.baudd: unknown setting; did you mean bank.baud?"),
        "{out}"
    );
    assert_eq!((err.as_str(), code), ("", EXIT_CONFIG));
}

#[test]
fn check_requires_a_bank() {
    let (out, _, code) = run(&SettingsFixture::with("[mqtt]\nenabled = true\n"), &check());
    assert!(out.contains("no bank is configured (looked for [[bank]] in bankwatch.toml)"), "{out}");
    assert_eq!(code, EXIT_CONFIG);
}

#[test]
fn show_prints_toml_that_gives_the_same_settings() {
    let fixture = SettingsFixture::with(
        "data_dir = \"d\"\n[[bank]]\nmodel = \"a \\\"b\\\"\\\\\\u0007\"\n[log]\nmax_files = 3\n",
    );
    let (shown, _, code) = run(&fixture, &show(false));
    assert_eq!(code, 0);
    let again = SettingsFixture::with(&shown);
    let (shown_again, _, _) = run(&again, &show(false));
    assert_eq!(shown, shown_again);
    // The output contains every key, so a default cell level becomes an explicit one.
    let chosen = |mut banks: Vec<BankSettings>| {
        banks.iter_mut().for_each(|bank| bank.cells_explicit = true);
        banks
    };
    assert_eq!(chosen(fixture.loaded().settings.banks), chosen(again.loaded().settings.banks));
}

#[test]
fn show_redacts_secrets_and_names_the_source_of_each_setting() {
    let fixture = SettingsFixture::with("[[bank]]\nbaud = 9600\n[mqtt]\npassword = \"hunter2\"\n")
        .file("options.json", r#"{"http": {"enabled": false}}"#)
        .variable("BANKWATCH_LOG__LEVEL", "debug")
        .argument("bank.name=garage");
    let (out, err, code) = run(&fixture, &show(true));
    assert_eq!((err.as_str(), code), ("", 0));
    assert!(!out.contains("hunter2"), "{out}");
    let line = |name: &str| out.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(line("baud = 9600").ends_with("# bankwatch.toml:2"), "{out}");
    assert!(line("password = \"(hidden)\"").ends_with("# bankwatch.toml:4"), "{out}");
    assert!(line("level = \"debug\"").ends_with("# variable BANKWATCH_LOG__LEVEL"), "{out}");
    assert!(line("name = \"garage\"").ends_with("# command line"), "{out}");
    assert!(line("dtr = true").ends_with("# default"), "{out}");
    assert!(line("enabled = false").ends_with("# default"), "{out}");
    assert!(
        out.lines().any(|line| line.starts_with("enabled = false") && line.ends_with("options.json")),
        "{out}"
    );
}

#[test]
fn show_refuses_invalid_settings() {
    let (out, err, code) = run(&SettingsFixture::with("x = 1\n"), &show(false));
    assert_eq!((out.as_str(), code), ("", EXIT_CONFIG));
    assert!(err.contains("bankwatch.toml:1: x: unknown setting"), "{err}");
}

/// All settings including passwords in one text, for comparison.
fn all(mut settings: Settings) -> String {
    for bank in &mut settings.banks {
        // `bankwatch.toml` has no key for the expected counts of pytes_serial.cfg.
        bank.expected = None;
    }
    let secrets =
        [settings.database.password.expose_secret(), settings.mqtt.password.expose_secret()].join(" ");
    format!("{settings:#?} {secrets}")
}

#[test]
fn an_imported_file_gives_the_same_settings() {
    let texts = [
        "[serial]\nserial_port = /dev/ttyUSB3\nserial_baudrate = 9600\nreading_freq = 2.5\n[general]\noutput_path = out\n\
         [battery_info]\npowers = 4\ncells = 15\ndev_name = x\nmodel = \"E\" \\ 48\n[Maria DB connection]\n\
         SQL_active = true\nhost = db\nuser = u/ü\npassword = 0123\"#\n[MQTT]\nMQTT_active = true\nMQTT_broker = b\n\
         MQTT_password = %% 'x'\n[logging]\nLOGGING_LEVEL = logging.ERROR\n[events_monitoring]\n\
         events_monitoring = false\n[cells_monitoring]\ncells_monitoring = true\nmonitoring_level = low\n",
        "[serial]\nreading_freq = 1\n[Maria DB connection]\nSQL_active = false\n[cells_monitoring]\ncells_monitoring = false\n",
    ];
    for text in texts {
        let fixture =
            SettingsFixture::default().file("pytes_serial.cfg", text).file("events_config.json", "{}");
        let (toml, err, code) = run(&fixture, &ConfigCommand::Import { file: "pytes_serial.cfg".into() });
        assert_eq!((err.as_str(), code), ("", 0));
        let fixture = fixture.file("bankwatch.toml", &toml);
        let imported = fixture.loaded().settings;
        let original = fixture.config("pytes_serial.cfg").loaded().settings;
        assert_eq!(all(original), all(imported), "{toml}");
    }
}

#[test]
fn an_imported_file_documents_each_setting_and_adds_none() {
    let text = "[battery_info]\npowers = 4\ncells = 16\ndev_name = pytes\n";
    let fixture = SettingsFixture::default().file("a.cfg", text);
    let (toml, _, _) = run(&fixture, &ConfigCommand::Import { file: "a.cfg".into() });
    assert_eq!(
        toml,
        "# Converted from a.cfg. Keys that are missing have their defaults.\n\
         # It specified 4 batteries with 16 cells; bankwatch reads these numbers from the console.\n\n\
         [[bank]]\n\
         name = \"pytes\"                         # prefix of topics, files and ids; letters, digits, _ and -; unique\n"
    );
}

#[test]
fn import_refuses_files_that_are_not_pytes_serial() {
    for (name, text) in [("bankwatch.toml", "[[bank]]\n"), ("wrong.cfg", "[serial]\nserial_baudrate = 1\n")] {
        let fixture = SettingsFixture::default().file(name, text);
        let (out, err, code) = run(&fixture, &ConfigCommand::Import { file: name.into() });
        assert_eq!((out.as_str(), code), ("", EXIT_CONFIG));
        assert!(err.contains(name), "{err}");
    }
    let (_, err, code) = run(&SettingsFixture::default(), &ConfigCommand::Import { file: "gone.cfg".into() });
    assert!(err.contains("gone.cfg: can't read "), "{err}");
    assert_eq!(code, EXIT_CONFIG);
}

#[test]
fn each_verb_shows_an_example_in_its_help() {
    #[derive(Parser)]
    struct Arguments {
        #[command(subcommand)]
        _verb: Verb,
    }
    #[derive(Subcommand)]
    enum Verb {
        #[command(subcommand)]
        Config(ConfigCommand),
    }
    for verb in ["check", "show", "import"] {
        let help =
            Arguments::try_parse_from(["bankwatch", "config", verb, "--help"]).map(|_| ()).expect_err("help");
        assert!(help.to_string().contains(":\n  bankwatch config"), "{help}");
    }
}
