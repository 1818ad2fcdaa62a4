//! Discovery messages: all entities of pytes_serial with the same ids, and further values once they were seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bankwatch::internals::model::facts::{FactSource, Facts};
use bankwatch::internals::model::lifetime::{Lifetime, LifetimeFigure};
use bankwatch::internals::model::reading::{BankReading, BatteryReading, Presence};
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::mqtt::homeassistant::announced_devices::AnnouncedDevices;
use bankwatch::internals::mqtt::homeassistant::discovery;
use bankwatch::internals::mqtt::homeassistant::entities::ENTITIES;
use bankwatch::internals::mqtt::homeassistant::naming::slug;
use bankwatch::internals::mqtt::message::Message;
use bankwatch::internals::mqtt::topics::Topics;
use bankwatch::internals::settings::{BankSettings, CellLevel};
use serde_json::Value;
use support::captures;
use support::payload_fixture;
use support::payload_fixture::{
    Component, EXPIRY, LEVELS, announced, bank, components, json, parts, place, reading, settings, snapshot,
    topics, written,
};

/// The entities of pytes_serial in a real Home Assistant, and the original recording outside the repository.
const COMMITTED: &str = "tests/home-assistant-entities.tsv";
const ORIGINAL: &str = "../shared/design/home-assistant-entities.tsv";

fn file(path: &str) -> std::io::Result<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
}

/// A row of the entities of pytes_serial: device, unique id, entity id, unit, device class, state class.
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

/// The lowest level at which pytes_serial had this entity for two batteries of 16 cells.
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
fn each_level_has_the_entities_of_pytes_serial_unchanged() {
    let pytes_serial_rows = rows(&file(COMMITTED).unwrap());
    assert_eq!(pytes_serial_rows.len(), 251);
    match file(ORIGINAL) {
        Ok(original) => {
            assert_eq!(pytes_serial_rows, rows(&original), "the committed copy is not the original")
        }
        Err(_) => captures::print_notice(&format!("NO {ORIGINAL}: the committed copy is used")),
    }
    for level in LEVELS {
        let wanted: BTreeSet<Row> =
            pytes_serial_rows.iter().filter(|row| level_of(row) <= level).cloned().collect();
        let all: BTreeSet<&str> = pytes_serial_rows.iter().map(|row| row[1].as_str()).collect();
        let announced_components = components(&announced(reading("pytes", 2, 16), level));
        let announced_components: BTreeSet<Row> = announced_components
            .iter()
            .filter(|one| all.contains(one.text("uniq_id")))
            .map(|one| {
                // A state was text without a class; with a closed list of words it is an enum.
                let class = Some(one.text("dev_cla")).filter(|class| *class != "enum").unwrap_or_default();
                let [id, entity, unit, state] =
                    ["uniq_id", "def_ent_id", "unit_of_meas", "stat_cla"].map(|key| one.text(key));
                [&one.device, id, entity, unit, class, state].map(str::to_owned)
            })
            .collect();
        assert_eq!(announced_components, wanted, "{level:?}: {} wanted", wanted.len());
    }
}

#[test]
fn discovery_of_two_batteries_matches_the_snapshot() {
    let messages = announced(reading("pytes", 2, 16), CellLevel::High);
    captures::assert_snapshot(&snapshot("discovery_2x16_high"), &written(messages));
}

fn ids(messages: &[Message]) -> BTreeSet<String> {
    components(messages).iter().map(|one| one.text("uniq_id").to_owned()).collect()
}

#[test]
fn new_entities_are_announced_once_their_value_was_seen() {
    let mut bare = reading("pytes", 1, 16);
    bare.batteries[0].facts.clear();
    bare.batteries[0].cells.iter_mut().flatten().for_each(|cell| cell.balancing = None);
    bare.batteries[0].measured.soc = None;
    let mut shape = AnnouncedDevices::new(&bank("pytes"));
    let mut grow = |reading: BankReading| {
        let report = BankReport::of_one(reading);
        let grown = shape.update(&report, &parts(&report, CellLevel::Medium));
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
fn lifetime_values_are_announced_once_seen_and_disabled() {
    let mut with = reading("pytes", 2, 16);
    let values = [(LifetimeFigure::Capacity, 47_300), (LifetimeFigure::Manufactured, 20_230_511)];
    let lifetime = Lifetime { read_at: with.taken_at, values: values.into() };
    let facts = Facts { lifetime: Some(Arc::new(lifetime)), ..Facts::default() };
    with.batteries[0].facts.push((FactSource::Euro, facts));
    let of_lifetime = |messages: &[Message]| -> Vec<Component> {
        let all = components(messages).into_iter();
        all.filter(|one| one.text("val_tpl").contains("lifetime")).collect()
    };
    assert_eq!(of_lifetime(&announced(reading("pytes", 2, 16), CellLevel::Medium)).len(), 0);
    let announced = of_lifetime(&announced(with, CellLevel::Medium));
    let ids: BTreeSet<&str> = announced.iter().map(|one| one.text("uniq_id")).collect();
    assert_eq!(ids, BTreeSet::from(["pytes_measured_capacity_1", "pytes_manufactured_1"]));
    for one in &announced {
        assert_eq!((&one.config["en"], one.text("ent_cat")), (&Value::Bool(false), "diagnostic"));
        assert_eq!(one.config["exp_aft"].as_u64(), Some(2_700), "as other facts");
        assert!(one.text("val_tpl").ends_with(" | default(none) }}"), "no lifetime: unknown");
    }
}

#[test]
fn an_always_absent_place_is_not_announced_a_silent_one_stays() {
    let mut bank = reading("pytes", 3, 16);
    bank.batteries[1] = BatteryReading { presence: Presence::Absent, ..BatteryReading::empty(place(2)) };
    bank.batteries[2] = BatteryReading::empty(place(3));
    let topics: Vec<String> =
        announced(bank.clone(), CellLevel::Medium).into_iter().map(|message| message.topic).collect();
    let topic = |id: &str| format!("homeassistant/device/{id}/config");
    assert_eq!(topics, ["pytes_bank", "pytes_battery_1", "pytes_battery_1_cells"].map(topic));

    let mut shape = AnnouncedDevices::new(&payload_fixture::bank("pytes"));
    for reading in [reading("pytes", 3, 16), bank] {
        let report = BankReport::of_one(reading);
        shape.update(&report, &parts(&report, CellLevel::Medium));
    }
    assert_eq!(shape.batteries().collect::<Vec<_>>(), [1, 2, 3].map(|number| (place(number), 16)));
}

#[test]
fn device_details_come_from_the_settings_or_the_master() {
    let device = |settings: &[&str], reading: BankReading| {
        let report = BankReport::of_one(reading);
        let mut shape = AnnouncedDevices::new(&bank_with(settings));
        shape.update(&report, &[]);
        let message = discovery::messages(&topics(), &shape, CellLevel::Off, &EXPIRY).remove(0);
        let device = json(&message.payload)["dev"].clone();
        ["name", "mf", "mdl", "sw"].map(|key| device[key].as_str().map(str::to_owned))
    };
    let some = |texts: [&str; 4]| texts.map(|text| Some(text.to_owned()));
    assert_eq!(device(&[], reading("pytes", 2, 16)), some(["pytes", "Pylon", "US2000C", "B67.5.0"]));
    let given = ["bank.manufacturer=PYTES", "bank.model=E-BOX"];
    assert_eq!(device(&given, reading("pytes", 2, 16)), some(["pytes", "PYTES", "E-BOX", "B67.5.0"]));
    let mut stack = reading("pytes", 2, 16);
    let own = Facts { model: Some("Force\u{1b}-H2".into()), ..Facts::default() };
    stack.facts.push((FactSource::Info, own));
    assert_eq!(device(&[], stack)[2].as_deref(), Some("Force-H2"));
}

fn bank_with(set: &[&str]) -> BankSettings {
    settings(&[&["bank.name=pytes"], set].concat()).banks.remove(0)
}

#[test]
fn changed_device_facts_are_announced_again() {
    let mut shape = AnnouncedDevices::new(&bank("pytes"));
    let mut grow = |firmware: &str| {
        let mut reading = reading("pytes", 1, 16);
        reading.batteries[0].facts[0].1.firmware = Some(firmware.into());
        shape.update(&BankReport::of_one(reading), &[])
    };
    assert_eq!(["B67.5.0", "B67.5.0", "B67.6.1", "B67.6.1"].map(&mut grow), [true, false, true, false]);
}

#[test]
fn measurements_and_facts_expire_timestamps_do_not() {
    let messages = announced(reading("pytes", 1, 16), CellLevel::Medium);
    let expiries: BTreeMap<String, Option<u64>> = components(&messages)
        .iter()
        .map(|one| (one.text("uniq_id").to_owned(), one.config["exp_aft"].as_u64()))
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
fn a_value_is_available_while_service_bank_and_battery_are_online() {
    let messages = announced(reading("pytes", 1, 16), CellLevel::Medium);
    let topics_of = |value: &Value| -> Vec<String> {
        let all = value.as_array().into_iter().flatten();
        all.map(|one| one["t"].as_str().unwrap().to_owned()).collect()
    };
    let (service, bank, battery) =
        ("bankwatch/service/house/status", "bankwatch/pytes/status", "bankwatch/pytes/battery/1/status");
    let common: Vec<Vec<String>> =
        messages.iter().map(|message| topics_of(&json(&message.payload)["avty"])).collect();
    assert_eq!(common, [vec![service, bank], vec![service, bank, battery], vec![service, bank, battery]]);
    let own: BTreeSet<String> = components(&messages)
        .iter()
        .filter(|one| topics_of(&one.config["avty"]) == [service])
        .map(|one| one.text("uniq_id").to_owned())
        .collect();
    let of_service = ["efficiency", "last_reading", "link", "restarts", "sweep_time"];
    assert_eq!(own, of_service.map(|stem| format!("pytes_{stem}")).into());
}

#[test]
fn cell_numbers_have_three_digits_beyond_99_cells() {
    let ids = ids(&announced(reading("stack", 2, 120), CellLevel::Low));
    assert!(ids.contains("stack_voltage_1001") && ids.contains("stack_voltage_2120"));
    assert!(!ids.contains("stack_voltage_101"));
    let ids = self::ids(&announced(reading("stack", 16, 99), CellLevel::Low));
    assert!(ids.contains("stack_voltage_101") && ids.contains("stack_voltage_1699"));
}

#[test]
fn new_entities_have_readable_names_legacy_ones_keep_theirs() {
    let announced_components = components(&announced(reading("pytes", 2, 16), CellLevel::High));
    let name = |id: &str| {
        let one = announced_components.iter().find(|one| one.text("uniq_id") == id).expect(id);
        (one.text("name").to_owned(), one.text("def_ent_id").to_owned())
    };
    for (id, readable, entity) in [
        ("pytes_link", "Link", "binary_sensor.pytes_link"),
        ("pytes_power_2", "Power 2", "sensor.pytes_power_2"),
        ("pytes_cell_voltage_delta", "Cell voltage delta", "sensor.pytes_cell_voltage_delta"),
        ("pytes_soh_1", "State of health 1", "sensor.pytes_soh_1"),
        ("pytes_cycles_1", "Cycles 1", "sensor.pytes_cycles_1"),
        ("pytes_soc_1", "soc_1", "sensor.pytes_soc_1"),
        ("pytes_basic_st_102", "status_102", "sensor.pytes_cells_status_102"),
        ("pytes_voltage_min_1", "voltage_min_1", "sensor.pytes_cells_voltage_min_1"),
    ] {
        assert_eq!(name(id), (readable.to_owned(), entity.to_owned()));
    }
    let with_object_id: Vec<&str> = announced_components
        .iter()
        .filter(|one| !one.config["obj_id"].is_null())
        .map(|one| one.text("uniq_id"))
        .collect();
    assert_eq!(with_object_id, ["pytes_soh_1", "pytes_soh_2"]);
    for entity in ENTITIES.iter().filter(|entity| !entity.is_legacy && entity.stem != "soh") {
        let name = entity.name(Some("7"));
        assert_eq!(slug(&name), format!("{}_7", entity.stem), "{name} becomes another entity id");
    }
}

#[test]
fn the_barcode_of_the_master_is_the_serial_number() {
    let mut shape = AnnouncedDevices::new(&bank("pytes"));
    let mut grow = |barcode: Option<&str>| {
        let mut reading = reading("pytes", 2, 16);
        reading.batteries[0].facts[0].1.barcode = barcode.map(str::to_owned);
        let report = BankReport::of_one(reading);
        let grown = shape.update(&report, &parts(&report, CellLevel::Low));
        let messages = discovery::messages(&topics(), &shape, CellLevel::Low, &EXPIRY);
        let serials: BTreeSet<Option<String>> = messages
            .iter()
            .map(|message| json(&message.payload)["dev"]["sn"].as_str().map(str::to_owned))
            .collect();
        (grown, serials.into_iter().collect::<Vec<_>>())
    };
    let (known, other) = (Some("PPTBH02400001234".to_owned()), Some("PPTBH02400009999".to_owned()));
    assert_eq!(grow(None), (true, vec![None]));
    assert_eq!(grow(Some("000000000000")), (false, vec![None]), "no battery's number");
    assert_eq!(grow(Some("PPTBH0240000\u{1b}1234")), (false, vec![None]), "hostile");
    assert_eq!(grow(known.as_deref()), (true, vec![known.clone()]));
    assert_eq!(grow(None), (false, vec![known]), "not asked in this sweep");
    assert_eq!(grow(other.as_deref()), (true, vec![other]), "another master");
}

#[test]
fn the_cells_device_is_connected_via_the_bank() {
    let messages = announced(reading("pytes", 2, 120), CellLevel::High);
    assert!(messages.len() > 5);
    for message in &messages {
        let device = &json(&message.payload)["dev"];
        let via = if device["name"] == "pytes" { Value::Null } else { "pytes".into() };
        assert_eq!(device["via_device"], via, "{}", message.topic);
    }
    assert_eq!(json(&messages[0].payload)["dev"]["name"], "pytes", "what others refer to comes first");
}

#[test]
fn cells_except_voltages_are_disabled_only_for_new_users() {
    let off = |shape: &AnnouncedDevices, level| -> BTreeSet<String> {
        let announced_components = components(&discovery::messages(&topics(), shape, level, &EXPIRY));
        let cells = announced_components
            .into_iter()
            .filter(|one| one.device == "pytes_cells" && one.config["en"] == false);
        cells.map(|one| one.text("uniq_id").to_owned()).collect()
    };
    let shape = |set: &[&str]| {
        let mut shape = AnnouncedDevices::new(&bank_with(set));
        let report = BankReport::of_one(reading("pytes", 1, 2));
        shape.update(&report, &parts(&report, CellLevel::High));
        shape
    };
    let newcomer = shape(&[]);
    let names = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
    let of_cells =
        ["pytes_temperature_101", "pytes_temperature_102", "pytes_volt_st_101", "pytes_volt_st_102"];
    assert_eq!(off(&newcomer, CellLevel::Medium), names(&of_cells));
    assert_eq!(off(&newcomer, CellLevel::Low), names(&[]));
    assert_eq!(off(&shape(&["bank.cells=medium"]), CellLevel::Medium), names(&[]), "the default, but chosen");
    assert_eq!(off(&shape(&["bank.cells=high"]), CellLevel::High), names(&[]));
    // pytes_serial had two of them.
    let mut moved = newcomer;
    moved.add_legacy_ids(of_cells[1..3].iter().map(|id| (*id).to_owned()));
    assert_eq!(off(&moved, CellLevel::Medium), names(&[of_cells[0], of_cells[3]]));
}

#[test]
fn slugs_match_those_of_home_assistant() {
    let cases = [("pytes_cells voltage_102", "pytes_cells_voltage_102"), ("My-Bank__2 soc", "my_bank_2_soc")];
    for (name, id) in cases {
        assert_eq!(slug(name), id);
    }
    let announced_components = components(&announced(reading("My-Bank", 1, 1), CellLevel::Low));
    assert!(
        announced_components.iter().any(|one| one.text("def_ent_id") == "sensor.my_bank_cells_voltage_101")
    );
    assert!(announced_components.iter().any(|one| one.text("uniq_id") == "My-Bank_voltage_101"));
}

#[test]
fn configured_topic_prefixes_are_used() {
    let mqtt = settings(&["mqtt.base_topic=home/cellar", "mqtt.discovery_prefix=ha"]).mqtt;
    let report = BankReport::of_one(reading("pytes", 1, 1));
    let mut shape = AnnouncedDevices::new(&bank("pytes"));
    shape.update(&report, &[]);
    let messages = discovery::messages(&Topics::new(&mqtt), &shape, CellLevel::Low, &EXPIRY);
    assert_eq!(messages[2].topic, "ha/device/pytes_battery_1_cells/config");
    assert_eq!(components(&messages)[0].text("stat_t"), "home/cellar/pytes/state");
}
