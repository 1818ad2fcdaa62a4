//! Home Assistant's discovery: what there is, as retained messages, several a device.
//!
//! One for the bank, one a battery, one a battery's cells; the latter in as many as it takes for each to stay
//! small. Messages of one device share its identifiers, and none needs another to have come before it: a broker hands
//! out what it kept in any order.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::model::place::Place;
use crate::mqtt::homeassistant::announced_devices::Shape;
use crate::mqtt::homeassistant::entities::{AtFirst, ENTITIES, Entity, Lasting, Quantity, Sort, Source};
use crate::mqtt::homeassistant::expiry::Expiry;
use crate::mqtt::homeassistant::naming::{self, About};
use crate::mqtt::message::Message;
use crate::mqtt::topics::{OFFLINE, ONLINE, Topics};
use crate::settings::CellLevel;

/// Who says this, to Home Assistant.
pub(crate) const ORIGIN: &str = env!("CARGO_PKG_NAME");

/// Bytes that a message may have; brokers and clients exist that stop at 64 kB.
const LARGEST: usize = 60_000;

/// All there is to announce of a bank at that level of cells.
#[must_use]
pub fn messages(topics: &Topics, shape: &Shape, level: CellLevel, expiry: &Expiry) -> Vec<Message> {
    let announcement = Announcement { topics, shape, level, expiry };
    let places = shape.batteries().flat_map(|(place, _)| {
        announcement.message(About::Battery(place)).into_iter().chain(announcement.of_cells(place))
    });
    announcement.message(About::Bank).into_iter().chain(places).collect()
}

struct Announcement<'a> {
    topics: &'a Topics,
    shape: &'a Shape,
    level: CellLevel,
    expiry: &'a Expiry,
}

/// An entity's key in its message, and what is said of it.
type Component = (String, Value);

impl Announcement<'_> {
    fn message(&self, about: About) -> Option<Message> {
        let place = about.place().unwrap_or(Place::FIRST);
        let components =
            self.entities(about, place).map(|entity| self.component(entity, place, None)).collect();
        self.finished(about, components)
    }

    /// In the order of the cells, so that a cell more is a component more at the end.
    fn of_cells(&self, place: Place) -> Vec<Message> {
        let count = self.shape.batteries().find(|(other, _)| *other == place).map_or(0, |(_, cells)| cells);
        let about = About::Cells(place, 1);
        let of_cell = |source| source == Source::Cell;
        let together = self
            .entities(about, place)
            .filter(|entity| count > 0 && !of_cell(entity.source))
            .map(|entity| self.component(entity, place, None));
        let each = (1..=count).flat_map(|cell| {
            self.entities(about, place)
                .filter(|entity| of_cell(entity.source))
                .map(move |entity| self.component(entity, place, Some(cell)))
        });
        let head = self.envelope(about, Map::new()).to_string().len();
        let (mut size, mut parts) = (LARGEST, Vec::<Vec<Component>>::new());
        for component in together.chain(each) {
            // Quotes, colon and comma.
            let more = component.0.len() + component.1.to_string().len() + 4;
            if size + more > LARGEST {
                parts.push(Vec::new());
                size = head;
            }
            size += more;
            if let Some(part) = parts.last_mut() {
                part.push(component);
            }
        }
        let numbered = (1..).zip(parts);
        numbered.filter_map(|(number, part)| self.finished(About::Cells(place, number), part)).collect()
    }

    fn entities(&self, about: About, place: Place) -> impl Iterator<Item = &'static Entity> {
        let there = move |entity: &&Entity| entity.level <= self.level && self.shape.has(entity, place);
        ENTITIES.iter().filter(move |entity| is_about(about, entity.source)).filter(there)
    }

    fn finished(&self, about: About, components: Vec<Component>) -> Option<Message> {
        let object_id = about.object_id(self.shape.bank());
        let payload = self.envelope(about, components.into_iter().collect());
        let empty = payload["cmps"].as_object().is_none_or(Map::is_empty);
        (!empty).then(|| Message::retained(self.topics.device_config(&object_id), payload.to_string()))
    }

    fn envelope(&self, about: About, components: Map<String, Value>) -> Value {
        json!({
            "dev": self.device(about),
            "o": { "name": ORIGIN, "sw": env!("CARGO_PKG_VERSION") },
            "avty": self.availability(about),
            "avty_mode": "all",
            "cmps": components,
        })
    }

    fn device_name(&self, about: About) -> String {
        let bank = self.shape.bank();
        match about {
            About::Bank | About::Battery(_) => bank.to_owned(),
            About::Cells(..) => naming::cells_device(bank),
        }
    }

    fn device(&self, about: About) -> Map<String, Value> {
        let name = self.device_name(about);
        let facts = self.shape.device();
        let mut device = Map::new();
        device.insert("ids".into(), json!([name]));
        device.insert("name".into(), name.into());
        put(&mut device, "mf", facts.manufacturer);
        put(&mut device, "mdl", facts.model);
        put(&mut device, "sw", facts.firmware);
        put(&mut device, "sn", facts.serial);
        if let About::Cells(..) = about {
            // Its message comes first.
            device.insert("via_device".into(), self.device_name(About::Bank).into());
        }
        device
    }

    /// Who must be there for a value to be worth anything.
    fn availability(&self, about: About) -> Value {
        let bank = self.shape.bank();
        let battery = about.place().map(|place| self.topics.battery_status(bank, place));
        let always = [
            json!({ "t": self.topics.service_status() }),
            // Home Assistant would go on with the last word where it is cleared.
            json!({ "t": self.topics.bank_status(bank), "val_tpl": "{{ value or 'offline' }}" }),
        ];
        always.into_iter().chain(battery.map(|topic| json!({ "t": topic }))).collect()
    }

    fn component(&self, entity: &Entity, place: Place, cell: Option<usize>) -> Component {
        let bank = self.shape.bank();
        let (about, number) = match (entity.source, cell) {
            (Source::Battery | Source::Detail, _) => (About::Battery(place), Some(place.to_string())),
            (Source::Statistics, _) => (About::Cells(place, 1), Some(place.to_string())),
            (_, Some(cell)) => {
                (About::Cells(place, 1), Some(naming::cell(place, cell, self.shape.cell_digits())))
            }
            _ => (About::Bank, None),
        };
        let numbered =
            |stem: &str| number.as_ref().map_or(stem.to_owned(), |number| format!("{stem}_{number}"));
        let (key, name) = (numbered(entity.stem), entity.name(number.as_deref()));
        let unique_id = format!("{bank}_{}", numbered(entity.id));
        let platform = platform(entity.value);
        let device = self.device_name(about);
        let entity_id = naming::slug(&format!("{device} {key}"));
        let mut said = Map::new();
        said.insert("p".into(), platform.into());
        said.insert("def_ent_id".into(), format!("{platform}.{entity_id}").into());
        if naming::slug(&format!("{device} {name}")) != entity_id {
            // Home Assistant before 2025.10 does not know the default, and would make the entity id of the name.
            said.insert("obj_id".into(), entity_id.into());
        }
        said.insert("name".into(), name.into());
        said.insert("stat_t".into(), self.state_topic(entity.source, place).into());
        describe(&mut said, entity.value);
        put(&mut said, "val_tpl", template(entity, cell));
        if let Some(template) = attributes(entity) {
            said.insert("json_attr_t".into(), self.state_topic(entity.source, place).into());
            said.insert("json_attr_tpl".into(), template.into());
        }
        put(&mut said, "sug_dsp_prc", entity.precision);
        put(&mut said, "ent_cat", entity.diagnostic.then_some("diagnostic"));
        let is_on = match entity.at_first {
            AtFirst::On => true,
            AtFirst::Off => false,
            AtFirst::OnIfChosen => self.shape.has_chosen_cells() || self.shape.has_inherited(&unique_id),
        };
        put(&mut said, "en", (!is_on).then_some(false));
        said.insert("uniq_id".into(), unique_id.into());
        put(&mut said, "exp_aft", self.expire_after(entity.expiry));
        if matches!(entity.source, Source::Link | Source::Service) {
            // These speak of a bank that is away as well.
            said.insert("avty".into(), json!([{ "t": self.topics.service_status() }]));
        }
        (key, said.into())
    }

    fn state_topic(&self, source: Source, place: Place) -> String {
        let (topics, bank) = (self.topics, self.shape.bank());
        match source {
            Source::Bank => topics.bank_state(bank),
            Source::BankCells => topics.bank_cells(bank),
            Source::Link => topics.bank_status(bank),
            Source::Service => topics.bank_service(bank),
            Source::Battery => topics.battery_state(bank, place),
            Source::Detail => topics.battery_detail(bank, place),
            Source::Statistics | Source::Cell => topics.battery_cells(bank, place),
        }
    }

    /// In whole seconds, not fewer than asked for.
    fn expire_after(&self, expiry: Lasting) -> Option<u64> {
        let seconds = |span: Duration| Some(span.as_millis().div_ceil(1000) as u64);
        match expiry {
            Lasting::Measured => seconds(self.expiry.measured),
            Lasting::Fact => seconds(self.expiry.facts),
            Lasting::Always => None,
        }
    }
}

/// Whether what is read there belongs into a message about that.
pub(crate) fn is_about(about: About, source: Source) -> bool {
    match about {
        About::Bank => matches!(source, Source::Bank | Source::BankCells | Source::Link | Source::Service),
        About::Battery(_) => matches!(source, Source::Battery | Source::Detail),
        About::Cells(..) => matches!(source, Source::Statistics | Source::Cell),
    }
}

/// How attributes are taken out of the message, as JSON.
fn attributes(entity: &Entity) -> Option<String> {
    let pairs: Vec<String> =
        entity.attributes.iter().map(|(name, key)| format!("'{name}': value_json.{key}")).collect();
    (!pairs.is_empty()).then(|| format!("{{{{ {{{}}} | to_json }}}}", pairs.join(", ")))
}

fn put(said: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        said.insert(key.to_owned(), value.into());
    }
}

fn platform(value: Sort) -> &'static str {
    match value {
        Sort::Flag(_) | Sort::Presence => "binary_sensor",
        Sort::Number(_) | Sort::Word(_) | Sort::Moment | Sort::Day => "sensor",
    }
}

fn describe(said: &mut Map<String, Value>, value: Sort) {
    let mut text = |key: &str, text: Option<&str>| put(said, key, text);
    match value {
        Sort::Number(Quantity { class, unit, state_class }) => {
            text("dev_cla", class);
            text("unit_of_meas", unit);
            text("stat_cla", state_class);
        }
        Sort::Word(options) => {
            text("dev_cla", Some("enum"));
            said.insert("ops".into(), json!(options));
        }
        Sort::Moment => text("dev_cla", Some("timestamp")),
        Sort::Day => text("dev_cla", Some("date")),
        Sort::Flag(class) => {
            text("dev_cla", class);
            // As a template shows JSON's `true` and `false`; it shows `null` as `None`, which means unknown.
            text("pl_on", Some("True"));
            text("pl_off", Some("False"));
        }
        Sort::Presence => {
            text("dev_cla", Some("connectivity"));
            text("pl_on", Some(ONLINE));
            text("pl_off", Some(OFFLINE));
        }
    }
}

/// How the value is taken out of the message. A battery that has been replaced by one with fewer cells says
/// nothing of the rest, which must become unknown and not stay as it was.
fn template(entity: &Entity, cell: Option<usize>) -> Option<String> {
    let key = entity.key;
    match (entity.value, cell) {
        // Cleared: unknown.
        (Sort::Presence, _) => Some("{{ value or none }}".to_owned()),
        // An object that is `null` has no keys: unknown.
        (_, None) if key.contains('.') => Some(format!("{{{{ value_json.{key} | default(none) }}}}")),
        (_, None) => Some(format!("{{{{ value_json.{key} }}}}")),
        (_, Some(cell)) => Some(format!("{{{{ value_json.{key}[{}] | default(none) }}}}", cell - 1)),
    }
}
