//! What Home Assistant is told there is: every entity that the predecessor's users have, by the rules that Home
//! Assistant holds messages to, each small enough, and nothing that its topics don't say.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails fails its test")]

#[path = "support/announced.rs"]
mod announced;
#[path = "support/asked.rs"]
mod asked;
#[path = "support/captures.rs"]
#[allow(dead_code)]
mod captures;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use announced::{
    Component, EXPIRY, LEVELS, announced, bank, components, json, parts, place, reading, settings, snapshot,
    summary, topics, written,
};
use asked::ask;
use bankwatch::console::answer::Answer;
use bankwatch::console::assemble::assemble;
use bankwatch::console::command::{Command, Verb};
use bankwatch::console::transcript::{Exchange, Lost, Transcript};
use bankwatch::model::facts::{FactSource, Facts};
use bankwatch::model::place::Place;
use bankwatch::model::reading::{BankReading, BatteryReading, Presence, SweepKind};
use bankwatch::model::report::BankReport;
use bankwatch::mqtt::discovery;
use bankwatch::mqtt::message::Message;
use bankwatch::mqtt::naming::slug;
use bankwatch::mqtt::shape::Shape;
use bankwatch::mqtt::topics::Topics;
use bankwatch::settings::{BankSettings, CellLevel};
use bankwatch::simulator::{Dialect, Simulation};
use proptest::prelude::*;
use serde_json::Value;

/// What a real Home Assistant made of the predecessor, and where it was written down first: beside the project.
const COMMITTED: &str = "tests/home-assistant-entities.tsv";
const ORIGINAL: &str = "../shared/design/home-assistant-entities.tsv";

fn file(path: &str) -> std::io::Result<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
}

/// A row of the predecessor's entities: device, unique id, entity id, unit, device class, state class.
type Row = [String; 6];

fn rows(text: &str) -> BTreeSet<Row> {
    let lines = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    lines
        .map(|line| {
            let mut cells = line.split('\t').map(str::to_owned);
            std::array::from_fn(|_| cells.next().unwrap_or_default())
        })
        .collect()
}

/// The level from which on the predecessor had that entity of the two batteries of 16 cells.
fn level_of(row: &Row) -> CellLevel {
    let (stem, number) = row[1].rsplit_once('_').unwrap();
    let cell = number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit());
    match (row[0].as_str(), stem) {
        ("pytes", _) => CellLevel::Off,
        (_, "pytes_voltage") if cell => CellLevel::Low,
        (_, "pytes_temperature" | "pytes_volt_st") if cell => CellLevel::Medium,
        _ if cell => CellLevel::High,
        _ => CellLevel::Medium,
    }
}

#[test]
fn the_predecessors_entities_are_there_at_each_level_with_their_ids_units_and_classes() {
    let predecessors = rows(&file(COMMITTED).unwrap());
    assert_eq!(predecessors.len(), 251);
    match file(ORIGINAL) {
        Ok(original) => assert_eq!(predecessors, rows(&original), "the committed copy is not the original"),
        Err(_) => captures::tell(&format!("NO {ORIGINAL}: the committed copy stands for it")),
    }
    for level in LEVELS {
        let wanted: BTreeSet<Row> =
            predecessors.iter().filter(|row| level_of(row) <= level).cloned().collect();
        let all: BTreeSet<&str> = predecessors.iter().map(|row| row[1].as_str()).collect();
        let told = components(&announced(reading("pytes", 2, 16), level));
        let told: BTreeSet<Row> = told
            .iter()
            .filter(|one| all.contains(one.text("uniq_id")))
            .map(|one| {
                // A state was text without a class; a closed list of words is the better class.
                let class = Some(one.text("dev_cla")).filter(|class| *class != "enum").unwrap_or_default();
                let [id, entity, unit, state] =
                    ["uniq_id", "def_ent_id", "unit_of_meas", "stat_cla"].map(|key| one.text(key));
                [&one.device, id, entity, unit, class, state].map(str::to_owned)
            })
            .collect();
        assert_eq!(told, wanted, "{level:?}: {} wanted", wanted.len());
    }
}

#[test]
fn every_message_about_two_batteries_of_16_cells_is_as_committed() {
    let messages = announced(reading("pytes", 2, 16), CellLevel::High);
    captures::hold(&snapshot("discovery_2x16_high"), &written(messages));
}

/// What Home Assistant allows together: component, device class, units, state classes. Written down from its
/// documentation of sensors and binary sensors, for the classes that are used here.
const CLASSES: &[(&str, &str, &[&str], &[&str])] = &[
    ("sensor", "battery", &["%"], &["measurement"]),
    ("sensor", "current", &["A", "mA"], &["measurement"]),
    ("sensor", "duration", &["d", "h", "min", "s", "ms"], &["measurement", "total", "total_increasing"]),
    ("sensor", "energy", &["kWh", "Wh", "MWh"], &["total", "total_increasing"]),
    ("sensor", "enum", &[""], &[""]),
    ("sensor", "power", &["W", "kW"], &["measurement"]),
    ("sensor", "temperature", &["°C", "°F", "K"], &["measurement"]),
    ("sensor", "timestamp", &[""], &[""]),
    ("sensor", "voltage", &["V", "mV"], &["measurement"]),
    ("sensor", "", &["", "%", "Ah"], &["", "measurement", "total", "total_increasing"]),
    ("binary_sensor", "", &[""], &[""]),
    ("binary_sensor", "connectivity", &[""], &[""]),
    ("binary_sensor", "problem", &[""], &[""]),
];

/// What a component may say, and what only a sensor or a binary sensor may.
const OF_ALL: &[&str] = &[
    "p",
    "uniq_id",
    "name",
    "def_ent_id",
    "stat_t",
    "val_tpl",
    "dev_cla",
    "ent_cat",
    "en",
    "exp_aft",
    "avty",
];
const OF_SENSOR: &[&str] = &["unit_of_meas", "stat_cla", "sug_dsp_prc", "ops"];
const OF_BINARY_SENSOR: &[&str] = &["pl_on", "pl_off"];

/// What breaks a rule in one component, a sentence each.
fn breaches(one: &Component) -> Vec<String> {
    let (platform, class) = (one.text("p"), one.text("dev_cla"));
    let keys: Vec<&str> = one.said.as_object().unwrap().keys().map(String::as_str).collect();
    let own = if platform == "sensor" { OF_SENSOR } else { OF_BINARY_SENSOR };
    let mut broken = Vec::new();
    let mut hold = |holds: bool, rule: &str| {
        if !holds {
            broken.push(format!("{}: {rule}: {}", one.text("uniq_id"), one.said));
        }
    };
    let row = CLASSES.iter().find(|row| (row.0, row.1) == (platform, class));
    hold(row.is_some(), "an unknown class");
    if let Some((_, _, units, states)) = row {
        hold(units.contains(&one.text("unit_of_meas")), "not a unit of that class");
        hold(states.contains(&one.text("stat_cla")), "not a state class of that class");
    }
    hold(keys.iter().all(|key| OF_ALL.contains(key) || own.contains(key)), "an unknown key");
    hold(keys.contains(&"ops") == (class == "enum"), "options belong to an enum, and to nothing else");
    let options = one.said["ops"].as_array();
    let distinct: Option<BTreeSet<String>> = options.map(|all| all.iter().map(ToString::to_string).collect());
    hold(distinct.map(|all| all.len()) == options.map(Vec::len), "an option twice");
    let numeric = keys.iter().any(|key| ["unit_of_meas", "stat_cla"].contains(key));
    hold(!["enum", "timestamp"].contains(&class) || !keys.contains(&"sug_dsp_prc"), "decimals of a word");
    hold(!numeric || keys.contains(&"sug_dsp_prc"), "a number without decimals");
    hold(one.said["ent_cat"].is_null() || one.text("ent_cat") == "diagnostic", "an unknown category");
    hold(one.said["exp_aft"].is_null() || one.said["exp_aft"].as_u64() > Some(0), "expires at once");
    let entity = one.text("def_ent_id").strip_prefix(platform).and_then(|rest| rest.strip_prefix('.'));
    let is_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    hold(entity.is_some_and(|id| !id.is_empty() && id.chars().all(is_id)), "not an entity id");
    hold(!one.text("name").is_empty() && !one.text("uniq_id").is_empty(), "nameless");
    let topic = one.text("stat_t");
    hold(!topic.is_empty() && !topic.contains(['+', '#', '\0']), "not a topic to read");
    broken
}

/// What breaks a rule in a bank's messages together.
fn broken(messages: &[Message]) -> Vec<String> {
    let mut broken: Vec<String> = components(messages).iter().flat_map(breaches).collect();
    let mut unique = BTreeSet::new();
    for one in components(messages) {
        if !unique.insert(one.text("uniq_id").to_owned()) {
            broken.push(format!("{} is not unique", one.text("uniq_id")));
        }
    }
    for message in messages {
        let mut hold = |holds: bool, rule: &str| {
            if !holds {
                broken.push(format!("{}: {rule}", message.topic));
            }
        };
        let id =
            message.topic.strip_prefix("homeassistant/device/").and_then(|rest| rest.strip_suffix("/config"));
        let of_id = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        hold(id.is_some_and(|id| !id.is_empty() && id.chars().all(of_id)), "not a discovery topic");
        hold(message.retained, "not kept for those who come later");
        hold(message.payload.len() < 64_000, &format!("{} bytes", message.payload.len()));
        let said = json(&message.payload);
        hold(
            said["o"]["name"].as_str().is_some_and(|name| !name.is_empty()),
            "without its origin it is refused",
        );
        let device = &said["dev"];
        hold(device["ids"][0] == device["name"] && device["name"].is_string(), "a device without its name");
        hold(device["via_device"].is_null(), "needs another message to have come before it");
        let all = said["avty"].as_array().is_some_and(|topics| topics.len() > 1);
        hold(!all || said["avty_mode"] == "all", "with several topics every one must say online");
        let keys: Vec<&String> = said.as_object().unwrap().keys().collect();
        hold(keys == ["avty", "avty_mode", "cmps", "dev", "o"], "unknown keys");
    }
    broken
}

#[test]
fn messages_hold_home_assistants_rules_and_stay_small_for_any_bank() {
    for (batteries, cells) in [(1, 1), (2, 15), (16, 16), (1, 200), (3, 120)] {
        for level in LEVELS {
            let messages = announced(reading("pytes", batteries, cells), level);
            assert_eq!(broken(&messages), [""; 0], "{batteries} × {cells} {level:?}");
        }
    }
    let long = announced(reading(&"b".repeat(200), 2, 16), CellLevel::High);
    assert_eq!(broken(&long), [""; 0]);
    assert!(long.len() > 5, "cells in several messages: {}", long.len());
}

#[test]
fn the_rules_would_notice() {
    let messages = announced(reading("pytes", 1, 1), CellLevel::Off);
    let spoilt = |key: &str, value: Value| {
        let mut said = json(&messages[0].payload);
        said["cmps"]["voltage"][key] = value;
        broken(&[Message::retained(&*messages[0].topic, said.to_string())]).len()
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

/// What a template makes of a message, in the words of Home Assistant's templates; `None` where it reads a key that
/// is not there.
fn rendered(template: &str, message: &Value) -> Option<String> {
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

/// What is wrong between what is announced of a reading and what it says, a sentence each.
fn disagreements(report: &BankReport, level: CellLevel) -> Vec<String> {
    let mut shape = Shape::new(&bank(&report.reading.bank));
    let parts = parts(report, level);
    shape.grow(report, &parts);
    let said: BTreeMap<&str, Value> =
        parts.iter().map(|part| (part.topic.as_str(), json(&part.payload))).collect();
    let mut wrong = Vec::new();
    for one in components(&discovery::messages(&topics(), &shape, level, &EXPIRY)) {
        let id = one.text("uniq_id");
        if one.said["val_tpl"].is_null() {
            if one.text("dev_cla") != "connectivity" {
                wrong.push(format!("{id} has no template"));
            }
            continue;
        }
        let Some(message) = said.get(one.text("stat_t")) else { continue };
        let state = rendered(one.text("val_tpl"), message);
        let fits = state.as_deref().is_some_and(|state| fits(&one, state));
        if !fits {
            wrong.push(format!("{id}: {} is {state:?}", one.text("val_tpl")));
        }
    }
    wrong
}

/// Whether Home Assistant takes that state.
fn fits(one: &Component, state: &str) -> bool {
    let number = ["unit_of_meas", "stat_cla", "sug_dsp_prc"].iter().any(|key| !one.said[*key].is_null());
    match one.text("dev_cla") {
        // To a text it would be a text like any other.
        _ if state == "None" => number || one.text("p") == "binary_sensor" || !one.text("dev_cla").is_empty(),
        "enum" => one.said["ops"].as_array().is_some_and(|all| all.iter().any(|option| option == state)),
        "timestamp" => state.parse::<jiff::Timestamp>().is_ok(),
        _ if one.text("p") == "binary_sensor" => [one.text("pl_on"), one.text("pl_off")].contains(&state),
        _ => !number || state.parse::<f64>().is_ok(),
    }
}

#[test]
fn every_template_finds_its_key_in_the_message_it_reads() {
    for level in LEVELS {
        for reading in [reading("pytes", 2, 16), reading("stack", 3, 120), summary(reading("pytes", 2, 16))] {
            assert_eq!(disagreements(&BankReport::of_one(reading), level), [""; 0], "{level:?}");
        }
    }
}

/// A sweep of a simulated bank with everything asked.
fn simulated(dialect: Dialect) -> BankReading {
    let mut console = Simulation::new(dialect).console().unwrap();
    let places: Vec<Place> = Place::up_to(if dialect.is_stack() { 0 } else { 2 }).collect();
    let each = [Verb::Pwr, Verb::Bat, Verb::Info, Verb::Stat];
    let numbered = places.iter().flat_map(|place| each.map(|verb| verb.of(*place)));
    let bare = [Verb::Pwr, Verb::Unit, Verb::Bat, Verb::Info, Verb::Stat].map(Verb::alone);
    let commands: Vec<Command> = match dialect.is_stack() {
        true => bare.to_vec(),
        false => std::iter::once(Verb::Pwr.alone()).chain(numbered).collect(),
    };
    let mut exchange = |command: Command| {
        let heard = ask(&mut console, &command.to_string()).heard;
        let outcome: Result<Answer, Lost> = Ok(Answer::from_transcript(&heard));
        Exchange { command, outcome, asked: 1 }
    };
    assemble(&Transcript {
        bank: "pytes".into(),
        kind: SweepKind::Full,
        began_at: jiff::Timestamp::UNIX_EPOCH,
        took: Duration::from_secs(1),
        known: places.clone(),
        exchanges: commands.into_iter().map(&mut exchange).collect(),
    })
}

#[test]
fn what_any_simulated_console_says_fits_what_is_announced_of_it() {
    for dialect in Dialect::ALL {
        let report = BankReport::of_one(simulated(*dialect));
        assert!(!report.reading.batteries.is_empty(), "{dialect:?}");
        for level in LEVELS {
            assert_eq!(disagreements(&report, level), [""; 0], "{dialect:?} {level:?}");
        }
        let messages = announced(report.reading, CellLevel::High);
        assert_eq!(broken(&messages), [""; 0], "{dialect:?}");
    }
}

fn ids(messages: &[Message]) -> BTreeSet<String> {
    components(messages).iter().map(|one| one.text("uniq_id").to_owned()).collect()
}

#[test]
fn the_predecessors_entities_are_there_at_once_and_new_ones_when_their_value_has_been_seen() {
    let mut bare = reading("pytes", 1, 16);
    bare.batteries[0].facts.clear();
    bare.batteries[0].cells.iter_mut().flatten().for_each(|cell| cell.balancing = None);
    bare.batteries[0].measured.soc = None;
    let mut shape = Shape::new(&bank("pytes"));
    let mut grow = |reading: BankReading| {
        let report = BankReport::of_one(reading);
        let grown = shape.grow(&report, &parts(&report, CellLevel::Medium));
        (grown, ids(&discovery::messages(&topics(), &shape, CellLevel::Medium, &EXPIRY)))
    };
    let (grown, first) = grow(bare.clone());
    assert!(grown && first.contains("pytes_soc_1") && first.contains("pytes_alarm_1"));
    let later = ["pytes_soh_1", "pytes_cycles_1", "pytes_capacity_1", "pytes_balancing_1"];
    assert!(later.iter().all(|id| !first.contains(*id)), "{first:?}");
    assert!(!grow(bare.clone()).0, "nothing new");
    let (grown, second) = grow(reading("pytes", 1, 16));
    assert!(grown && later.iter().all(|id| second.contains(*id)));
    let (grown, third) = grow(bare);
    assert!(!grown && third == second, "what was announced stays");
}

#[test]
fn a_place_that_was_always_absent_is_not_announced_and_one_that_falls_silent_stays() {
    let mut bank = reading("pytes", 3, 16);
    bank.batteries[1] = BatteryReading { presence: Presence::Absent, ..BatteryReading::silent(place(2)) };
    bank.batteries[2] = BatteryReading::silent(place(3));
    let topics: Vec<String> =
        announced(bank.clone(), CellLevel::Medium).into_iter().map(|message| message.topic).collect();
    let topic = |id: &str| format!("homeassistant/device/{id}/config");
    assert_eq!(topics, ["pytes_bank", "pytes_battery_1", "pytes_battery_1_cells"].map(topic));

    let mut shape = Shape::new(&announced::bank("pytes"));
    for reading in [reading("pytes", 3, 16), bank] {
        let report = BankReport::of_one(reading);
        shape.grow(&report, &parts(&report, CellLevel::Medium));
    }
    assert_eq!(shape.batteries().collect::<Vec<_>>(), [1, 2, 3].map(|number| (place(number), 16)));
}

#[test]
fn the_device_is_what_the_settings_say_else_the_masters_own_word() {
    let device = |settings: &[&str], reading: BankReading| {
        let report = BankReport::of_one(reading);
        let mut shape = Shape::new(&bank_with(settings));
        shape.grow(&report, &[]);
        let message = discovery::messages(&topics(), &shape, CellLevel::Off, &EXPIRY).remove(0);
        let device = json(&message.payload)["dev"].clone();
        ["name", "mf", "mdl", "sw"].map(|key| device[key].as_str().map(str::to_owned))
    };
    let said = |texts: [&str; 4]| texts.map(|text| Some(text.to_owned()));
    assert_eq!(device(&[], reading("pytes", 2, 16)), said(["pytes", "Pylon", "US2000C", "B67.5.0"]));
    let given = ["bank.manufacturer=PYTES", "bank.model=E-BOX"];
    assert_eq!(device(&given, reading("pytes", 2, 16)), said(["pytes", "PYTES", "E-BOX", "B67.5.0"]));
    let mut stack = reading("pytes", 2, 16);
    let own = Facts { model: Some("Force\u{1b}-H2".into()), ..Facts::default() };
    stack.facts.push((FactSource::Info, own));
    assert_eq!(device(&[], stack)[2].as_deref(), Some("Force-H2"));
}

fn bank_with(set: &[&str]) -> BankSettings {
    settings(&[&["bank.name=pytes"], set].concat()).banks.remove(0)
}

#[test]
fn changed_facts_of_the_device_are_told_anew() {
    let mut shape = Shape::new(&bank("pytes"));
    let mut grow = |firmware: &str| {
        let mut reading = reading("pytes", 1, 16);
        reading.batteries[0].facts[0].1.firmware = Some(firmware.into());
        shape.grow(&BankReport::of_one(reading), &[])
    };
    assert_eq!(["B67.5.0", "B67.5.0", "B67.6.1", "B67.6.1"].map(&mut grow), [true, false, true, false]);
}

#[test]
fn values_expire_as_measured_or_as_facts_and_what_dates_itself_does_not() {
    let messages = announced(reading("pytes", 1, 16), CellLevel::Medium);
    let expiries: BTreeMap<String, Option<u64>> = components(&messages)
        .iter()
        .map(|one| (one.text("uniq_id").to_owned(), one.said["exp_aft"].as_u64()))
        .collect();
    let facts = ["pytes_capacity_1", "pytes_cycles_1", "pytes_soh_1"];
    let lasting = ["pytes_link", "pytes_last_reading"];
    for (id, expiry) in expiries {
        let expected = match id.as_str() {
            id if facts.contains(&id) => Some(2_700),
            id if lasting.contains(&id) => None,
            _ => Some(60),
        };
        assert_eq!(expiry, expected, "{id}");
    }
}

#[test]
fn a_value_is_available_while_service_bank_and_battery_are() {
    let messages = announced(reading("pytes", 1, 16), CellLevel::Medium);
    let topics_of = |value: &Value| -> Vec<String> {
        let all = value.as_array().into_iter().flatten();
        all.map(|one| one["t"].as_str().unwrap().to_owned()).collect()
    };
    let (service, bank, battery) =
        ("bankwatch/status", "bankwatch/pytes/status", "bankwatch/pytes/battery/1/status");
    let common: Vec<Vec<String>> =
        messages.iter().map(|message| topics_of(&json(&message.payload)["avty"])).collect();
    assert_eq!(common, [vec![service, bank], vec![service, bank, battery], vec![service, bank, battery]]);
    let own: BTreeSet<String> = components(&messages)
        .iter()
        .filter(|one| topics_of(&one.said["avty"]) == [service])
        .map(|one| one.text("uniq_id").to_owned())
        .collect();
    let of_service = ["efficiency", "last_reading", "link", "restarts", "sweep_time"];
    assert_eq!(own, of_service.map(|stem| format!("pytes_{stem}")).into());
}

#[test]
fn cells_have_three_digits_where_a_battery_has_more_than_99() {
    let ids = ids(&announced(reading("stack", 2, 120), CellLevel::Low));
    assert!(ids.contains("stack_voltage_1001") && ids.contains("stack_voltage_2120"));
    assert!(!ids.contains("stack_voltage_101"));
    let ids = self::ids(&announced(reading("stack", 16, 99), CellLevel::Low));
    assert!(ids.contains("stack_voltage_101") && ids.contains("stack_voltage_1699"));
}

#[test]
fn names_become_entity_ids_as_home_assistant_makes_them() {
    let cases = [("pytes_cells voltage_102", "pytes_cells_voltage_102"), ("My-Bank__2 soc", "my_bank_2_soc")];
    for (name, id) in cases {
        assert_eq!(slug(name), id);
    }
    let told = components(&announced(reading("My-Bank", 1, 1), CellLevel::Low));
    assert!(told.iter().any(|one| one.text("def_ent_id") == "sensor.my_bank_cells_voltage_101"));
    assert!(told.iter().any(|one| one.text("uniq_id") == "My-Bank_voltage_101"));
}

#[test]
fn the_first_levels_of_the_settings_are_used() {
    let mqtt = settings(&["mqtt.base_topic=home/cellar", "mqtt.discovery_prefix=ha"]).mqtt;
    let report = BankReport::of_one(reading("pytes", 1, 1));
    let mut shape = Shape::new(&bank("pytes"));
    shape.grow(&report, &[]);
    let messages = discovery::messages(&Topics::new(&mqtt), &shape, CellLevel::Low, &EXPIRY);
    assert_eq!(messages[2].topic, "ha/device/pytes_battery_1_cells/config");
    assert_eq!(components(&messages)[0].text("stat_t"), "home/cellar/pytes/state");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_bank_is_announced_by_the_rules_and_a_battery_more_changes_no_other_message(
        name in "[A-Za-z0-9_-]{1,24}",
        batteries in 1..8_u8,
        cells in 1..40_u16,
        level in prop::sample::select(LEVELS.to_vec()),
    ) {
        prop_assume!(!slug(&name).is_empty());
        let messages = announced(reading(&name, batteries, cells), level);
        prop_assert_eq!(broken(&messages), Vec::<String>::new());
        let more = announced(reading(&name, batteries + 1, cells), level);
        prop_assert_eq!(&more[..messages.len()], &messages[..]);
    }
}
