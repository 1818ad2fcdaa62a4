//! End to end: the program on a real line; its JSON file is compared with the values that the console printed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

use bankwatch::internals::simulator::{
    AnswerHistory, Dialect, EventStyle, EventWordKind, PrintedAnswer, PrintedValues, Simulation,
    SimulatorHandle,
};
use serde_json::Value;
use support::expected;
use support::expected::{ExpectedExtras, check_service_keys, difference};
use support::service::Service;

/// Full sweeps as fast as settings allow, without summaries.
const FAST: &str = "interval = \"100ms\"\nsummary_interval = \"0s\"";

/// A bank with a stopped clock and immediate answers.
fn frozen(dialect: Dialect, batteries: usize, cells: usize) -> Simulation {
    Simulation::new(dialect).batteries(batteries).cells(cells).seed(11).speed(0.0).unpaced()
}

/// The value after a label of `pwr 1`, for values that the answer history does not contain.
fn printed(simulation: &Simulation, label: &str) -> Option<String> {
    let output = simulation.console().expect("a console").type_bytes(b"pwr 1\n");
    let text: String = output.iter().map(|byte| char::from(*byte)).collect();
    let line = text.lines().find(|line| line.trim_start().starts_with(label))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Waits until the file matches the console's output completely, including identity and counters, which are read
/// later.
#[track_caller]
fn wait_for_match(
    service: &mut Service,
    bank: &SimulatorHandle,
    complete: &[&str],
    of: impl Fn(&AnswerHistory) -> Option<Value>,
) -> Value {
    service.wait("the file matches the console", |status| {
        let history = bank.answer_history();
        let unread = complete.iter().find(|command| history.latest(command).is_none());
        if let Some(command) = unread {
            return Some(format!("{command} was not sent yet"));
        }
        compare(status, of(&history), 0)
    })
}

fn compare(status: &Value, expected: Option<Value>, errors: u64) -> Option<String> {
    let Some(expected) = expected else { return Some("the console has not printed everything yet".into()) };
    let (status, wrong) = check_service_keys(status, errors);
    wrong.or_else(|| difference("file", &status, &expected))
}

fn assert_clean_exit(service: Service, signal: &str) {
    let (status, took, log) = service.stop_with(signal);
    assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(log.iter().any(|line| line.contains(&format!("service stopping signal=SIG{signal}"))), "{log:?}");
}

/// Compares every field of a dialect with the printed values, then ends the service with a signal.
fn check_every_field(dialect: Dialect, cells: usize, line: &str, complete: &[&str], signal: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let simulation = frozen(dialect, 4, cells);
    let heater = printed(&simulation, "Heater Status");
    let bank = match line {
        "pty" => simulation.pty(folder.path().join("console")).start(),
        _ => simulation.start(),
    };
    let bank = bank.expect("a bank");
    let mut service = Service::start(&bank.link(), FAST);
    let extras = ExpectedExtras { heater: heater.as_deref(), places: 4 };
    let status = wait_for_match(&mut service, &bank, complete, |history| expected::bank(history, extras));
    assert_eq!(status["cells_data"].as_array().map(Vec::len), Some(4));
    let cell_count = |cells_data: &Value| cells_data["cells"].as_array().map(Vec::len);
    assert!(status["cells_data"].as_array().into_iter().flatten().all(|one| cell_count(one) == Some(cells)));
    service.wait_for_log(&["link up", "bank=bank", "batteries=4"]);
    assert_clean_exit(service, signal);
}

#[test]
fn every_field_of_a_pytes_v5_matches_its_console() {
    let complete = ["info 4", "bat 4", "stat", "soh 4"];
    check_every_field(Dialect::PytesV5, 16, "pty", &complete, "TERM");
}

#[test]
fn every_field_of_a_us5000_matches_its_console() {
    check_every_field(Dialect::Us5000, 16, "pty", &["info 4", "bat 4", "stat 4"], "INT");
}

#[test]
fn every_field_of_a_us2000c_matches_its_console() {
    check_every_field(Dialect::Us2000c, 15, "tcp", &["info 4", "bat 4", "stat 4", "soh 4"], "TERM");
}

#[test]
fn summaries_between_full_sweeps_do_not_change_the_file() {
    let bank = frozen(Dialect::PytesR, 2, 16).start().expect("a bank");
    let heater = printed(&frozen(Dialect::PytesR, 2, 16), "Heater Status");
    let mut service = Service::start(&bank.link(), "interval = \"500ms\"\nsummary_interval = \"100ms\"");
    let extras = ExpectedExtras { heater: heater.as_deref(), places: 2 };
    let complete = ["info 2", "stat 2"];
    let status = wait_for_match(&mut service, &bank, &complete, |history| expected::bank(history, extras));
    let count = |command: &str| {
        bank.answer_history().answers.iter().filter(|answer| answer.command == command).count()
    };
    assert!(count("pwr") > count("pwr 1"), "summaries were polled");
    assert!(
        status["serial_stat"]["loops"].as_u64() <= Some(count("bat 2") as u64),
        "and do not count as full sweeps"
    );
}

#[test]
fn file_modes_are_independent_of_the_umask() {
    for umask in ["000", "077"] {
        let bank = frozen(Dialect::PytesV5, 1, 16).start().expect("a bank");
        let settings = format!("{FAST}\n[events]\nenabled = true");
        let mut service = Service::start_with_umask(umask, &bank.link(), &settings, "enabled = true");
        let folder = service.folder().to_owned();
        service.wait("a reading is there", |_| None);
        let mode = |name: &str| {
            let metadata = fs::metadata(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            format!("{:o}", metadata.permissions().mode() & 0o777)
        };
        let expected_modes =
            [("bank_status.json", "644"), ("bankwatch.db", "640"), ("bankwatch.db-wal", "640")];
        service.wait("the history is there", |_| {
            expected_modes
                .iter()
                .find(|(name, _)| !folder.join(name).exists())
                .map(|(name, _)| format!("no {name} yet"))
        });
        for (name, expected) in expected_modes {
            assert_eq!(mode(name), expected, "{name} with umask {umask}");
        }
    }
}

#[test]
fn recording_is_read_like_the_console() {
    let simulation = frozen(Dialect::Us5000, 3, 16);
    let mut console = simulation.console().expect("a console");
    let (mut recording, mut history) = (Vec::new(), AnswerHistory::default());
    let numbered = |verb: &str| (1..=3).map(move |place| format!("{verb} {place}")).collect::<Vec<_>>();
    let commands: Vec<String> =
        [vec!["pwr".to_owned()], numbered("pwr"), numbered("bat"), numbered("info"), numbered("stat")]
            .concat();
    for command in commands {
        let (output, answers) = console.type_with_values(format!("{command}\n").as_bytes());
        recording.extend(output);
        history.answers.extend(answers.into_iter().map(|(command, values)| PrintedAnswer {
            number: 0,
            at: console.bank().now(),
            command,
            damage: None,
            values,
        }));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("session.txt");
    std::fs::write(&file, recording).expect("the recording can be written");
    let heater = printed(&simulation, "Heater Status");
    let extras = ExpectedExtras { heater: heater.as_deref(), places: 3 };
    let mut service = Service::start(&format!("replay:{}", file.display()), FAST);
    service.wait("the recording is read", |status| compare(status, expected::bank(&history, extras), 0));
    assert_clean_exit(service, "TERM");
}

#[test]
fn stack_has_its_own_totals_and_cells_per_module() {
    for (dialect, cells) in [(Dialect::ForceH2, 30), (Dialect::Sc500, 15), (Dialect::Sc0500, 15)] {
        let bank = frozen(dialect, 4, cells).start().expect("a bank");
        let mut service = Service::start(&bank.link(), FAST);
        let status = wait_for_match(&mut service, &bank, &["info", "stat"], expected::stack);
        assert_eq!(status["series"], true);
        let modules = status["cells_data"].as_array().into_iter().flatten();
        let cell_counts: Vec<usize> =
            modules.filter_map(|battery| Some(battery["cells"].as_array()?.len())).collect();
        assert_eq!(cell_counts, [cells; 4]);
        assert_clean_exit(service, "TERM");
    }
}

#[test]
fn every_field_of_every_48_volt_dialect_is_read() {
    let dialects = Dialect::ALL.iter().copied().filter(|dialect| !dialect.is_stack());
    let threads: Vec<_> = dialects
        .map(|dialect| {
            thread::spawn(move || {
                let simulation = Simulation::new(dialect).batteries(2).seed(7).speed(0.0).unpaced();
                let heater = printed(&simulation, "Heater Status");
                let bank = simulation.start().expect("a bank");
                let mut service = Service::start(&bank.link(), FAST);
                let extras = ExpectedExtras { heater: heater.as_deref(), places: 2 };
                let is_stat = |answer: &PrintedAnswer| matches!(answer.values, PrintedValues::Stat(_));
                wait_for_match(&mut service, &bank, &["bat 2"], |history| {
                    expected::bank(history, extras).filter(|_| history.answers.iter().any(is_stat))
                });
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("each dialect is read"));
}

/// A battery is removed in the middle of a sweep: each of its answers is missing from at most one sweep.
const MAX_ERRORS: u64 = 2;

/// Whether the newest table contains a battery at `place`.
fn is_present(history: &AnswerHistory, place: usize) -> bool {
    let table = history.latest("pwr").map(|answer| &answer.values);
    matches!(table, Some(PrintedValues::Table(rows)) if rows.iter().any(|row| row.place == place && row.present))
}

#[test]
fn removed_battery_keeps_its_place_and_comes_back() {
    let simulation = frozen(Dialect::PytesV5, 4, 16);
    let heater = printed(&simulation, "Heater Status");
    let extras = ExpectedExtras { heater: heater.as_deref(), places: 4 };
    let bank = simulation.start().expect("a bank");
    let mut service = Service::start(&bank.link(), FAST);
    let mut wait_for = |what: &str, condition: &dyn Fn(&AnswerHistory) -> bool| {
        service.wait(what, |status| {
            let history = bank.answer_history();
            let expected = expected::bank(&history, extras).filter(|_| condition(&history));
            compare(status, expected, MAX_ERRORS)
        })
    };
    wait_for("all four", &|history| history.latest("info 4").is_some());
    for place in [2, 4] {
        assert!(bank.with_bank(|bank| bank.take_out(place)));
        let gone = wait_for("without it", &|history| !is_present(history, place));
        assert_eq!(gone["powers"], 4, "it keeps its place");
        assert!(gone["devices"][place - 1]["voltage"].is_null() && !gone["voltage"].is_null());
        assert!(bank.with_bank(|bank| bank.put_back(place)));
        let back = wait_for("with it", &|history| is_present(history, place));
        assert!(back["devices"][place - 1]["voltage"].is_number() && back["voltage"].is_number());
    }
    // Removed in the middle of a sweep, it is missing once; after that it is absent.
    let missing = service.log().into_iter().filter(|line| line.contains("answer missing"));
    missing.for_each(|line| assert!(line.contains("reports that no battery is present"), "{line}"));
}

#[test]
fn bank_with_a_gap_and_an_old_battery_is_read() {
    let simulation = frozen(Dialect::Us5000, 4, 16);
    let heater = printed(&simulation, "Heater Status");
    let bank = simulation.start().expect("a bank");
    bank.with_bank(|bank| assert!(bank.take_out(2) && bank.set_mosfet_sensor(3, false)));
    let mut service = Service::start(&bank.link(), FAST);
    let extras = ExpectedExtras { heater: heater.as_deref(), places: 4 };
    let status =
        wait_for_match(&mut service, &bank, &["info 4", "stat 4"], |history| expected::bank(history, extras));
    assert!(status["devices"][1]["voltage"].is_null() && status["devices"][2]["voltage"].is_number());
    assert!(bank.answer_history().latest("pwr 2").is_none(), "an absent battery is not polled");
}

#[test]
fn fewer_configured_than_found_batteries_are_logged() {
    let simulation = frozen(Dialect::PytesV5, 4, 16);
    let bank = simulation.start().expect("a bank");
    let mut service = Service::start(&bank.link(), &format!("{FAST}\nbatteries = 3"));
    service.wait("a reading", |status| (status["powers"] != 4).then(|| "not all are there".to_owned()));
    service.wait_for_log(&[
        "WARN",
        "batteries differ from the settings",
        "bank=bank",
        "settings=3",
        "found=4",
    ]);
}

#[test]
fn cells_are_read_during_an_event_even_if_disabled() {
    let bank = frozen(Dialect::PytesV5, 3, 16).start().expect("a bank");
    // A full battery raises an event.
    bank.with_bank(|bank| assert!((1..=3).all(|place| bank.set_soc(place, 0.5))));
    let mut service = Service::start(&bank.link(), &format!("{FAST}\ncells = \"off\""));
    let events = |status: &Value, wanted: u64| {
        let found = &status["devices"][1]["power_events"];
        (found.as_u64() != Some(wanted)).then(|| format!("the events of battery 2 are {found}"))
    };
    let quiet = service.wait("a quiet bank", |status| {
        events(status, 0)
            .or_else(|| (status["serial_stat"]["loops"].as_u64() < Some(3)).then(|| "wait".into()))
    });
    let sent = || -> Vec<String> {
        let commands = bank.answer_history().answers.into_iter().map(|answer| answer.command);
        commands.filter(|command| command.starts_with("bat")).collect()
    };
    assert_eq!(sent(), Vec::<String>::new());
    assert_eq!(quiet["cells_data"], serde_json::json!([]));
    assert!(bank.with_bank(|bank| bank.raise_event(2, EventWordKind::Power, 0x2)));
    let raised = service.wait("cells during the event", |status| {
        events(status, 2).or_else(|| status["cells_data"][1]["cells"].is_null().then(|| "no cells".into()))
    });
    assert_eq!(raised["cells_data"][1]["cells"].as_array().map(Vec::len), Some(16));
    assert!(raised["cells_data"][0]["cells"].is_null() && raised["cells_data"][2]["cells"].is_null());
    assert!(sent().iter().all(|command| command == "bat 2"), "{:?}", sent());
    assert!(bank.with_bank(|bank| bank.clear_event(2, EventWordKind::Power, 0x2)));
    service.wait("a quiet bank again", |status| {
        let cells = &status["cells_data"];
        events(status, 0).or_else(|| (*cells != serde_json::json!([])).then(|| format!("cells {cells}")))
    });
}

#[test]
fn console_without_numbered_commands_is_read() {
    let simulation = frozen(Dialect::Us3000d, 2, 15);
    let heater = printed(&simulation, "Heater Status");
    let bank = simulation.start().expect("a bank");
    let mut service = Service::start(&bank.link(), FAST);
    let extras = ExpectedExtras { heater: heater.as_deref(), places: 2 };
    let status =
        wait_for_match(&mut service, &bank, &["info", "stat"], |history| expected::bank(history, extras));
    assert!(status["devices"][0]["barcode"].is_string() && status["devices"][1]["barcode"].is_null());
    let is_refusal = |answer: &PrintedAnswer| {
        answer.command == "info 1" && matches!(answer.values, PrintedValues::Refusal(_))
    };
    assert_eq!(
        bank.answer_history().answers.iter().filter(|answer| is_refusal(answer)).count(),
        2,
        "twice, then never again"
    );
}

#[test]
fn event_words_are_read_in_every_style() {
    let words = [(EventWordKind::Battery, 0x2), (EventWordKind::Power, 0x2000), (EventWordKind::Fault, 0x80)];
    for style in [EventStyle::Prefixed, EventStyle::BareHex, EventStyle::Decimal] {
        let bank = frozen(Dialect::PytesR, 2, 16).event_style(style).start().expect("a bank");
        bank.with_bank(|bank| assert!(words.iter().all(|(word, bits)| bank.raise_event(2, *word, *bits))));
        let mut service = Service::start(&bank.link(), FAST);
        service.wait("the words", |status| {
            let second = &status["devices"][1];
            let found = ["bat_events", "power_events", "sys_events"].map(|key| second[key].as_u64());
            let expected = [Some(0x2), Some(0x2000), Some(0x80)];
            (found != expected).then(|| format!("{style:?}: {found:?}"))
        });
    }
}

#[test]
fn numbers_are_rounded_as_documented() {
    let exact = |value: f64, decimals: i32| serde_json::json!({ "exactly": value, "decimals": decimals, "slack": 0.0 });
    assert_eq!(difference("", &serde_json::json!(52.97), &exact(52.965, 2)), None);
    assert_eq!(difference("", &serde_json::json!(52.96), &exact(52.965, 2)), None);
    assert!(difference("", &serde_json::json!(52.965), &exact(52.965, 2)).is_some());
    assert!(difference("", &serde_json::json!(52.95), &exact(52.965, 2)).is_some());
}
