//! Banks with fixed values, and their payloads and discovery messages.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use bankwatch::internals::events::catalogue::Catalogue;
use bankwatch::internals::events::decode::set_active_events;
use bankwatch::internals::model::event_word::EventWord;
use bankwatch::internals::model::facts::{FactSource, Facts};
use bankwatch::internals::model::place::Place;
use bankwatch::internals::model::reading::{
    BankReading, BatteryReading, CellReading, Measured, MissingAnswer, Presence, SweepKind,
};
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::model::units::{MilliampHours, Milliamps, Millicelsius, Millivolts, Percent};
use bankwatch::internals::model::word::Word;
use bankwatch::internals::mqtt::homeassistant::announced_devices::AnnouncedDevices;
use bankwatch::internals::mqtt::homeassistant::discovery;
use bankwatch::internals::mqtt::homeassistant::expiry::Expiry;
use bankwatch::internals::mqtt::message::Message;
use bankwatch::internals::mqtt::payload;
use bankwatch::internals::mqtt::payload::topic_payload::TopicPayload;
use bankwatch::internals::mqtt::topics::Topics;
use bankwatch::internals::settings::{BankSettings, CellLevel, MqttSettings, Settings, Sources, load};
use bankwatch::internals::status::StatusDocument;
use jiff::tz::TimeZone;
use serde_json::Value;

pub const LEVELS: [CellLevel; 4] = [CellLevel::Off, CellLevel::Low, CellLevel::Medium, CellLevel::High];

pub const EXPIRY: Expiry = Expiry { measured: Duration::from_secs(60), facts: Duration::from_secs(2_700) };

/// The default settings with the changes of a test.
pub fn settings(set: &[&str]) -> Settings {
    let nowhere =
        Sources { overrides: set.iter().map(|&text| text.to_owned()).collect(), ..Sources::default() };
    load(&nowhere).unwrap_or_else(|error| panic!("{error}")).settings
}

pub fn mqtt() -> MqttSettings {
    // Read once, since properties ask for each message. By default topics have the name of the machine in them.
    static MQTT: LazyLock<MqttSettings> = LazyLock::new(|| settings(&["mqtt.client_id=house"]).mqtt);
    MQTT.clone()
}

pub fn topics() -> Topics {
    Topics::new(&mqtt())
}

/// The settings of a bank with this name.
pub fn bank(name: &str) -> BankSettings {
    settings(&[&format!("bank.name={name}")]).banks.remove(0)
}

pub fn place(number: u8) -> Place {
    Place::new(number).unwrap()
}

fn word(text: &str) -> Option<Word> {
    Some(Word::new(text))
}

/// A full reading without missing values.
pub fn reading(name: &str, batteries: u8, cells: u16) -> BankReading {
    BankReading {
        device_log: Vec::new(),
        bank: name.into(),
        kind: SweepKind::Full,
        taken_at: "2026-11-22T06:05:09.377Z".parse().unwrap(),
        began: std::time::Instant::now(),
        took: Duration::from_millis(1_214),
        asked_again: 0,
        stack: None,
        batteries: Place::up_to(batteries).map(|place| battery(place, cells)).collect(),
        facts: Vec::new(),
        answered: Vec::new(),
        missing: Vec::new(),
        unreadable_facts: Vec::new(),
    }
}

fn battery(place: Place, cells: u16) -> BatteryReading {
    let number = i32::from(place.number());
    let measured = Measured {
        voltage: Some(Millivolts(52_700 + 15 * number)),
        current: Some(Milliamps(-2_185 - number)),
        temperature: Some(Millicelsius(24_300 + 1_000 * number)),
        soc: Some(Percent(80 + number)),
        base_state: word("Dischg"),
        volt_state: word("Normal"),
        current_state: word("Normal"),
        temp_state: word("Normal"),
        coulomb_state: word("Normal"),
        soh_state: word("Normal"),
        heater: word("OFF"),
        battery_events: Some(EventWord::default()),
        power_events: Some(EventWord { bits: 0x4000, names: Vec::new() }),
        system_fault: Some(EventWord::default()),
        ..Measured::default()
    };
    let info = Facts {
        barcode: Some(format!("PPTBH0240000000{number}")),
        manufacturer: Some("Pylon".into()),
        model: Some("US2000C".into()),
        firmware: Some("B67.5.0".into()),
        nominal_capacity: Some(MilliampHours(50_000)),
        cells: Some(cells),
        ..Facts::default()
    };
    let stat = Facts { soh: Some(Percent(99)), cycles: Some(660 + i64::from(number)), ..Facts::default() };
    BatteryReading {
        device_log: Vec::new(),
        place,
        presence: Presence::Present,
        measured,
        cells: Some((1..=cells).map(|cell| self::cell(number, cell)).collect()),
        facts: vec![(FactSource::Info, info), (FactSource::Stat, stat)],
    }
}

fn cell(battery: i32, cell: u16) -> CellReading {
    let number = i32::from(cell);
    CellReading {
        voltage: Some(Millivolts(3_280 + 10 * battery + number * 7 % 16)),
        current: Some(Milliamps(-2_185 - battery)),
        temperature: Some(Millicelsius(22_000 + 1_000 * battery + 100 * (number * 5 % 16))),
        base_state: word("Dischg"),
        volt_state: word("Normal"),
        current_state: word("Normal"),
        temp_state: word("Normal"),
        soc: Some(Percent(80 + battery)),
        coulomb: Some(MilliampHours(40_000 + i64::from(cell))),
        balancing: Some(false),
    }
}

/// A summary reading of the same bank: only the table.
pub fn summary(mut reading: BankReading) -> BankReading {
    reading.kind = SweepKind::Summary;
    for battery in &mut reading.batteries {
        let table = std::mem::take(&mut battery.measured);
        battery.measured = Measured {
            voltage: table.voltage,
            current: table.current,
            temperature: table.temperature,
            soc: table.soc,
            base_state: table.base_state,
            volt_state: table.volt_state,
            current_state: table.current_state,
            temp_state: table.temp_state,
            ..Measured::default()
        };
        battery.cells = None;
    }
    reading
}

/// Removes the answer about a battery from a sweep.
pub fn missing(place: Place, command: &str) -> MissingAnswer {
    MissingAnswer {
        battery: Some(place),
        command: command.into(),
        reason: "answer cut off before its end marker".into(),
        asked: 3,
    }
}

pub fn parts_of(reading: BankReading, level: CellLevel) -> Vec<TopicPayload> {
    let mut report = BankReport::of_one(reading);
    set_active_events(&mut report, &Catalogue::load(None).0);
    parts(&report, level)
}

pub fn parts(report: &BankReport, level: CellLevel) -> Vec<TopicPayload> {
    payload::payloads(report, &StatusDocument::of(report, &TimeZone::UTC), &topics(), level, 3)
}

/// The discovery messages of a bank after a full reading.
pub fn announced(reading: BankReading, level: CellLevel) -> Vec<Message> {
    let report = BankReport::of_one(reading);
    let mut shape = AnnouncedDevices::new(&bank(&report.reading.bank));
    shape.update(&report, &parts(&report, level));
    discovery::messages(&topics(), &shape, level, &EXPIRY)
}

pub fn json(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).unwrap()
}

/// A component of a discovery message, with its device.
pub struct Component {
    pub device: String,
    pub config: Value,
}

impl Component {
    pub fn text(&self, key: &str) -> &str {
        self.config[key].as_str().unwrap_or_default()
    }
}

/// All components of all messages.
pub fn components(messages: &[Message]) -> Vec<Component> {
    let each = |message: &Message| {
        let mut message = json(&message.payload);
        let device = message["dev"]["ids"][0].as_str().unwrap().to_owned();
        let components = std::mem::take(message["cmps"].as_object_mut().unwrap());
        components.into_iter().map(move |(_, config)| Component { device: device.clone(), config })
    };
    messages.iter().flat_map(each).collect()
}

/// Messages as text: topic, retain flag, and payload in lines.
pub fn written(messages: impl IntoIterator<Item = Message>) -> String {
    let each = messages.into_iter().map(|message| {
        let kept = if message.retained { " retained" } else { "" };
        let payload = match serde_json::from_slice::<Value>(&message.payload) {
            Ok(Value::Object(keys)) => {
                let mut text = String::from("{");
                for (key, value) in keys {
                    match value {
                        Value::Object(items) if key == "cmps" => {
                            text.push_str("\n \"cmps\": {");
                            items.iter().for_each(|(key, value)| text += &format!("\n  {key:?}: {value}"));
                            text.push('}');
                        }
                        value => text += &format!("\n {key:?}: {value}"),
                    }
                }
                text + "}"
            }
            _ => String::from_utf8(message.payload).unwrap(),
        };
        format!("{}{kept}\n{payload}", message.topic)
    });
    each.collect::<Vec<_>>().join("\n\n")
}

/// As they would be sent.
pub fn sent(parts: Vec<TopicPayload>) -> Vec<Message> {
    parts.into_iter().map(|part| Message::transient(part.topic, part.payload)).collect()
}

/// The path of the committed messages.
pub fn snapshot(name: &str) -> PathBuf {
    crate::paths::root().join("tests/snapshots/mqtt").join(format!("{name}.txt"))
}
