//! The discovery rules of Home Assistant, applied to every message: announcements are small and valid, and their
//! topics carry the announced values.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bankwatch::internals::console::assemble::assemble;
use bankwatch::internals::console::command::{Command, CommandName};
use bankwatch::internals::console::framing::answer::Answer;
use bankwatch::internals::console::transcript::{CommandError, Exchange, Transcript};
use bankwatch::internals::model::place::Place;
use bankwatch::internals::model::reading::{BankReading, SweepKind};
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::mqtt::homeassistant::announced_devices::AnnouncedDevices;
use bankwatch::internals::mqtt::homeassistant::discovery;
use bankwatch::internals::mqtt::homeassistant::naming::slug;
use bankwatch::internals::mqtt::message::Message;
use bankwatch::internals::settings::CellLevel;
use bankwatch::internals::simulator::{Dialect, SimulatedBank, Simulation};
use proptest::prelude::*;
use serde_json::Value;
use support::framed_answers::ask;
use support::payload_fixture::{
    Component, EXPIRY, LEVELS, announced, bank, components, json, parts, reading, settings, summary, topics,
};
use support::simulated_years;
use support::simulated_years::SimulatedYears;

/// Combinations that Home Assistant allows: component, device class, units, state classes. Written down from its
/// documentation of sensors and binary sensors, for the classes that are used here.
const CLASSES: &[(&str, &str, &[&str], &[&str])] = &[
    ("sensor", "battery", &["%"], &["measurement"]),
    ("sensor", "current", &["A", "mA"], &["measurement"]),
    ("sensor", "date", &[""], &[""]),
    ("sensor", "duration", &["d", "h", "min", "s", "ms"], &["measurement", "total", "total_increasing"]),
    ("sensor", "energy", &["kWh", "Wh", "MWh"], &["total", "total_increasing"]),
    ("sensor", "energy_storage", &["kWh", "Wh", "MWh"], &["measurement"]),
    ("sensor", "enum", &[""], &[""]),
    ("sensor", "power", &["W", "kW"], &["measurement"]),
    ("sensor", "temperature", &["°C", "°F", "K"], &["measurement"]),
    ("sensor", "timestamp", &[""], &[""]),
    ("sensor", "voltage", &["V", "mV"], &["measurement"]),
    ("sensor", "", &["", "%", "Ah", "mΩ"], &["", "measurement", "total", "total_increasing"]),
    ("binary_sensor", "", &[""], &[""]),
    ("binary_sensor", "connectivity", &[""], &[""]),
    ("binary_sensor", "problem", &[""], &[""]),
];

/// Keys allowed in any component, and those only for a sensor or a binary sensor.
const OF_ALL: &[&str] = &[
    "p",
    "uniq_id",
    "name",
    "def_ent_id",
    "obj_id",
    "stat_t",
    "val_tpl",
    "json_attr_t",
    "json_attr_tpl",
    "dev_cla",
    "ent_cat",
    "en",
    "exp_aft",
    "avty",
];
const OF_SENSOR: &[&str] = &["unit_of_meas", "stat_cla", "sug_dsp_prc", "ops"];
const OF_BINARY_SENSOR: &[&str] = &["pl_on", "pl_off"];

/// The violations of rules by one component, one sentence each.
fn component_violations(one: &Component) -> Vec<String> {
    let (platform, class) = (one.text("p"), one.text("dev_cla"));
    let keys: Vec<&str> = one.config.as_object().unwrap().keys().map(String::as_str).collect();
    let own = if platform == "sensor" { OF_SENSOR } else { OF_BINARY_SENSOR };
    let mut violations = Vec::new();
    let mut check_rule = |holds: bool, rule: &str| {
        if !holds {
            violations.push(format!("{}: {rule}: {}", one.text("uniq_id"), one.config));
        }
    };
    let row = CLASSES.iter().find(|row| (row.0, row.1) == (platform, class));
    check_rule(row.is_some(), "an unknown class");
    if let Some((_, _, units, states)) = row {
        check_rule(units.contains(&one.text("unit_of_meas")), "not a unit of that class");
        check_rule(states.contains(&one.text("stat_cla")), "not a state class of that class");
    }
    check_rule(keys.iter().all(|key| OF_ALL.contains(key) || own.contains(key)), "an unknown key");
    check_rule(keys.contains(&"ops") == (class == "enum"), "options belong to an enum, and to nothing else");
    let options = one.config["ops"].as_array();
    let distinct: Option<BTreeSet<String>> = options.map(|all| all.iter().map(ToString::to_string).collect());
    check_rule(distinct.map(|all| all.len()) == options.map(Vec::len), "a duplicate option");
    let numeric = keys.iter().any(|key| ["unit_of_meas", "stat_cla"].contains(key));
    check_rule(
        !["enum", "timestamp", "date"].contains(&class) || !keys.contains(&"sug_dsp_prc"),
        "decimals of a word",
    );
    check_rule(!numeric || keys.contains(&"sug_dsp_prc"), "a number without decimals");
    check_rule(one.config["ent_cat"].is_null() || one.text("ent_cat") == "diagnostic", "an unknown category");
    check_rule(
        one.config["exp_aft"].is_null() || one.config["exp_aft"].as_u64() > Some(0),
        "expires at once",
    );
    let entity = one.text("def_ent_id").strip_prefix(platform).and_then(|rest| rest.strip_prefix('.'));
    let is_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    check_rule(entity.is_some_and(|id| !id.is_empty() && id.chars().all(is_id)), "not an entity id");
    // Without the default entity id, Home Assistant derives it from the object id, or from device and name.
    let made_of_name = slug(&format!("{} {}", one.device, one.text("name")));
    let old = one.config["obj_id"].as_str().unwrap_or(&made_of_name);
    check_rule(entity == Some(old), "another entity id in a Home Assistant that knows no default");
    check_rule(one.config["obj_id"].is_null() || made_of_name != old, "an unnecessary object id");
    check_rule(
        keys.contains(&"json_attr_t") == keys.contains(&"json_attr_tpl"),
        "attributes without a template",
    );
    check_rule(!one.text("name").is_empty() && !one.text("uniq_id").is_empty(), "nameless");
    let topic = one.text("stat_t");
    check_rule(!topic.is_empty() && !topic.contains(['+', '#', '\0']), "not a topic to read");
    violations
}

/// The violations of rules by all messages of a bank.
fn message_violations(messages: &[Message]) -> Vec<String> {
    let mut violations: Vec<String> = components(messages).iter().flat_map(component_violations).collect();
    let mut unique = BTreeSet::new();
    for one in components(messages) {
        if !unique.insert(one.text("uniq_id").to_owned()) {
            violations.push(format!("{} is not unique", one.text("uniq_id")));
        }
    }
    let mut declared: BTreeSet<String> = BTreeSet::new();
    let mut devices: BTreeMap<String, Value> = BTreeMap::new();
    for message in messages {
        let mut check_rule = |holds: bool, rule: &str| {
            if !holds {
                violations.push(format!("{}: {rule}", message.topic));
            }
        };
        let id =
            message.topic.strip_prefix("homeassistant/device/").and_then(|rest| rest.strip_suffix("/config"));
        let of_id = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        check_rule(id.is_some_and(|id| !id.is_empty() && id.chars().all(of_id)), "not a discovery topic");
        check_rule(message.retained, "not retained");
        check_rule(message.payload.len() < 64_000, &format!("{} bytes", message.payload.len()));
        let message_json = json(&message.payload);
        check_rule(
            message_json["o"]["name"].as_str().is_some_and(|name| !name.is_empty()),
            "without its origin it is refused",
        );
        let device = &message_json["dev"];
        check_rule(
            device["ids"][0] == device["name"] && device["name"].is_string(),
            "a device without its name",
        );
        let via = device["via_device"].as_str();
        check_rule(
            via.is_none_or(|via| declared.contains(via)),
            "needs a device that no message before it declares",
        );
        declared.insert(device["name"].as_str().unwrap_or_default().to_owned());
        let first = devices.entry(device["name"].to_string()).or_insert_with(|| device.clone());
        check_rule(first == device, "a device described differently by another message");
        let all = message_json["avty"].as_array().is_some_and(|topics| topics.len() > 1);
        check_rule(!all || message_json["avty_mode"] == "all", "with several topics all must be online");
        let keys: Vec<&String> = message_json.as_object().unwrap().keys().collect();
        check_rule(keys == ["avty", "avty_mode", "cmps", "dev", "o"], "unknown keys");
    }
    violations
}

#[test]
fn messages_follow_the_rules_and_stay_small() {
    for (batteries, cells) in [(1, 1), (2, 15), (16, 16), (1, 200), (3, 120)] {
        for level in LEVELS {
            let messages = announced(reading("pytes", batteries, cells), level);
            assert_eq!(message_violations(&messages), [""; 0], "{batteries} × {cells} {level:?}");
        }
    }
    let long = announced(reading(&"b".repeat(200), 2, 16), CellLevel::High);
    assert_eq!(message_violations(&long), [""; 0]);
    assert!(long.len() > 5, "cells in several messages: {}", long.len());
}

#[test]
fn the_rules_detect_violations() {
    let messages = announced(reading("pytes", 1, 1), CellLevel::Off);
    let spoilt = |key: &str, value: Value| {
        let mut message_json = json(&messages[0].payload);
        message_json["cmps"]["voltage"][key] = value;
        message_violations(&[Message::retained(&*messages[0].topic, message_json.to_string())]).len()
    };
    let spoilt_ones = [
        ("unit_of_meas", "%".into()),
        ("stat_cla", "total_increasing".into()),
        ("dev_cla", "enum".into()),
        ("ops", vec!["a"].into()),
        ("def_ent_id", "sensor.A".into()),
        ("pl_on", "ON".into()),
        ("uniq_id", "pytes_current".into()),
    ];
    for (key, value) in spoilt_ones {
        assert!(spoilt(key, value) > 0, "{key}");
    }
    assert_eq!(spoilt("name", "voltage".into()), 0);
}

/// Renders a value template for a message like Home Assistant; `None` if it reads a missing key.
fn render_template(template: &str, message: &Value) -> Option<String> {
    let path = template.strip_prefix("{{ value_json.")?.strip_suffix(" }}")?;
    let (path, or_none) = path.strip_suffix(" | default(none)").map_or((path, false), |path| (path, true));
    let value = match path.split_once('[') {
        None => message.as_object()?.get(path)?,
        Some((key, at)) => {
            let list = message.as_object()?.get(key)?.as_array()?;
            let value = list.get(at.strip_suffix(']')?.parse::<usize>().ok()?);
            if or_none { value.unwrap_or(&Value::Null) } else { value? }
        }
    };
    Some(match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

/// The mismatches between the announced entities and the payloads of a reading, one sentence each.
fn payload_mismatches(report: &BankReport, level: CellLevel) -> Vec<String> {
    let mut shape = AnnouncedDevices::new(&bank(&report.reading.bank));
    let parts = parts(report, level);
    shape.update(report, &parts);
    let message_json: BTreeMap<&str, Value> =
        parts.iter().map(|part| (part.topic.as_str(), json(&part.payload))).collect();
    let mut wrong = Vec::new();
    for one in components(&discovery::messages(&topics(), &shape, level, &EXPIRY)) {
        let id = one.text("uniq_id");
        if one.text("dev_cla") == "connectivity" {
            continue;
        }
        let Some(message) = message_json.get(one.text("stat_t")) else { continue };
        let state = render_template(one.text("val_tpl"), message);
        let is_accepted = state.as_deref().is_some_and(|state| is_accepted_state(&one, state));
        if !is_accepted {
            wrong.push(format!("{id}: {} is {state:?}", one.text("val_tpl")));
        }
    }
    wrong
}

/// Whether Home Assistant accepts this state.
fn is_accepted_state(one: &Component, state: &str) -> bool {
    let number = ["unit_of_meas", "stat_cla", "sug_dsp_prc"].iter().any(|key| !one.config[*key].is_null());
    match one.text("dev_cla") {
        // For a text sensor it would be a normal text.
        _ if state == "None" => number || one.text("p") == "binary_sensor" || !one.text("dev_cla").is_empty(),
        "enum" => one.config["ops"].as_array().is_some_and(|all| all.iter().any(|option| option == state)),
        "timestamp" => state.parse::<jiff::Timestamp>().is_ok(),
        _ if one.text("p") == "binary_sensor" => [one.text("pl_on"), one.text("pl_off")].contains(&state),
        _ => !number || state.parse::<f64>().is_ok(),
    }
}

#[test]
fn every_template_finds_its_key() {
    for level in LEVELS {
        for reading in [reading("pytes", 2, 16), reading("stack", 3, 120), summary(reading("pytes", 2, 16))] {
            assert_eq!(payload_mismatches(&BankReport::of_one(reading), level), [""; 0], "{level:?}");
        }
    }
}

/// An entity that writes a line into Home Assistant's log book with each change.
fn is_in_log_book(one: &Component) -> bool {
    one.config["en"] != false && one.config["unit_of_meas"].is_null() && one.config["stat_cla"].is_null()
}

#[test]
fn a_bank_logs_less_than_one_log_book_entry_a_minute() {
    const INTERVAL: Duration = Duration::from_secs(10);
    const MINUTES: usize = 10;
    let mut simulation = SimulatedYears::new(SimulatedBank::new(&simulated_years::plan(2, 7)), INTERVAL);
    // At noon the bank is charging and balancing cells.
    simulation.advance(Duration::from_secs(12 * 3_600));
    let mut shape = AnnouncedDevices::new(&settings(&["bank.name=bank", "bank.cells=medium"]).banks[0]);
    let report = simulation.report(SweepKind::Full, |_| ());
    shape.update(&report, &parts(&report, CellLevel::Medium));
    let announced_components =
        components(&discovery::messages(&topics(), &shape, CellLevel::Medium, &EXPIRY));
    let announced_components: Vec<Component> =
        announced_components.into_iter().filter(is_in_log_book).collect();
    assert!(announced_components.len() > 30, "states of the cells as well");
    let (mut before, mut lines) = (Vec::new(), BTreeMap::<&str, usize>::new());
    for _ in 0..6 * MINUTES {
        simulation.advance(INTERVAL);
        let report = simulation.report(SweepKind::Full, |_| ());
        let message_json: BTreeMap<String, Value> = parts(&report, CellLevel::Medium)
            .into_iter()
            .map(|part| (part.topic, json(&part.payload)))
            .collect();
        let state =
            |one: &Component| render_template(one.text("val_tpl"), message_json.get(one.text("stat_t"))?);
        let now: Vec<Option<String>> = announced_components.iter().map(state).collect();
        for ((one, now), before) in announced_components.iter().zip(&now).zip(&before) {
            *lines.entry(one.text("uniq_id")).or_default() += usize::from(now != before);
        }
        before = now;
    }
    lines.retain(|_, lines| *lines > 0);
    assert!(lines.values().sum::<usize>() <= MINUTES, "{lines:?}");
}

/// A sweep of a simulated bank with all commands.
fn simulated(dialect: Dialect) -> BankReading {
    let mut console = Simulation::new(dialect).console().unwrap();
    let places: Vec<Place> = Place::up_to(if dialect.is_stack() { 0 } else { 2 }).collect();
    let each = [CommandName::Pwr, CommandName::Bat, CommandName::Info, CommandName::Stat];
    let numbered = places.iter().flat_map(|place| each.map(|verb| verb.for_place(*place)));
    let bare = [CommandName::Pwr, CommandName::Unit, CommandName::Bat, CommandName::Info, CommandName::Stat]
        .map(CommandName::bare);
    let commands: Vec<Command> = match dialect.is_stack() {
        true => bare.to_vec(),
        false => std::iter::once(CommandName::Pwr.bare()).chain(numbered).collect(),
    };
    let mut exchange = |command: Command| {
        let received = ask(&mut console, &command.to_string()).received;
        let outcome: Result<Answer, CommandError> = Ok(Answer::from_transcript(&received));
        Exchange { command, outcome, attempts: 1 }
    };
    assemble(&Transcript {
        bank: "pytes".into(),
        kind: SweepKind::Full,
        started: std::time::Instant::now(),
        started_at: jiff::Timestamp::UNIX_EPOCH,
        took: Duration::from_secs(1),
        known_places: places.clone(),
        exchanges: commands.into_iter().map(&mut exchange).collect(),
    })
}

#[test]
fn values_of_every_simulated_console_fit_their_entities() {
    for dialect in Dialect::ALL {
        let report = BankReport::of_one(simulated(*dialect));
        assert!(!report.reading.batteries.is_empty(), "{dialect:?}");
        for level in LEVELS {
            assert_eq!(payload_mismatches(&report, level), [""; 0], "{dialect:?} {level:?}");
        }
        let messages = announced(report.reading, CellLevel::High);
        assert_eq!(message_violations(&messages), [""; 0], "{dialect:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_further_battery_changes_no_other_message(
        name in "[A-Za-z0-9_-]{1,24}",
        batteries in 1..8_u8,
        cells in 1..40_u16,
        level in prop::sample::select(LEVELS.to_vec()),
    ) {
        prop_assume!(!slug(&name).is_empty());
        let messages = announced(reading(&name, batteries, cells), level);
        prop_assert_eq!(message_violations(&messages), Vec::<String>::new());
        let more = announced(reading(&name, batteries + 1, cells), level);
        prop_assert_eq!(&more[..messages.len()], &messages[..]);
    }
}
