//! Home Assistant discovery messages, retained, several per device.
//!
//! There is one for the bank, one per battery, and one or more for the cells of a battery, so that each stays small.
//! Messages of one device share its identifiers and don't depend on each other's order: a broker delivers retained
//! messages in any order.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::model::place::Place;
use crate::mqtt::homeassistant::announced_devices::AnnouncedDevices;
use crate::mqtt::homeassistant::entities::{
    ENTITIES, EnabledByDefault, Entity, NumberClass, Source, ValueKind, ValueLifetime,
};
use crate::mqtt::homeassistant::expiry::Expiry;
use crate::mqtt::homeassistant::naming::{self, DiscoveryObject};
use crate::mqtt::message::Message;
use crate::mqtt::topics::{OFFLINE, ONLINE, Topics};
use crate::settings::CellLevel;

/// Identifies bankwatch as the origin of the messages.
pub(crate) const ORIGIN: &str = env!("CARGO_PKG_NAME");

/// Some brokers and clients have a limit of 64 kB.
const MAX_BYTES: usize = 60_000;

/// All messages for a bank at that cell level.
#[must_use]
pub fn messages(
    topics: &Topics,
    devices: &AnnouncedDevices,
    level: CellLevel,
    expiry: &Expiry,
) -> Vec<Message> {
    let builder = DiscoveryBuilder { topics, devices, level, expiry };
    let places = devices.batteries().flat_map(|(place, _)| {
        builder.message(DiscoveryObject::Battery(place)).into_iter().chain(builder.cell_messages(place))
    });
    builder.message(DiscoveryObject::Bank).into_iter().chain(places).collect()
}

struct DiscoveryBuilder<'a> {
    topics: &'a Topics,
    devices: &'a AnnouncedDevices,
    level: CellLevel,
    expiry: &'a Expiry,
}

/// The key of an entity in its message, and its configuration.
type Component = (String, Value);

impl DiscoveryBuilder<'_> {
    fn message(&self, about: DiscoveryObject) -> Option<Message> {
        let place = about.place().unwrap_or(Place::FIRST);
        let components =
            self.entities(about, place).map(|entity| self.component(entity, place, None)).collect();
        self.build_message(about, components)
    }

    /// In the order of the cells, so that a further cell adds components at the end.
    fn cell_messages(&self, place: Place) -> Vec<Message> {
        let count = self.devices.batteries().find(|(other, _)| *other == place).map_or(0, |(_, cells)| cells);
        let about = DiscoveryObject::Cells(place, 1);
        let is_cell = |source| source == Source::Cell;
        let statistics = self
            .entities(about, place)
            .filter(|entity| count > 0 && !is_cell(entity.source))
            .map(|entity| self.component(entity, place, None));
        let cells = (1..=count).flat_map(|cell| {
            self.entities(about, place)
                .filter(|entity| is_cell(entity.source))
                .map(move |entity| self.component(entity, place, Some(cell)))
        });
        let head = self.envelope(about, Map::new()).to_string().len();
        let (mut size, mut parts) = (MAX_BYTES, Vec::<Vec<Component>>::new());
        for component in statistics.chain(cells) {
            // Quotes, colon and comma.
            let added = component.0.len() + component.1.to_string().len() + 4;
            if size + added > MAX_BYTES {
                parts.push(Vec::new());
                size = head;
            }
            size += added;
            if let Some(part) = parts.last_mut() {
                part.push(component);
            }
        }
        let numbered = (1..).zip(parts);
        numbered
            .filter_map(|(number, part)| self.build_message(DiscoveryObject::Cells(place, number), part))
            .collect()
    }

    fn entities(&self, about: DiscoveryObject, place: Place) -> impl Iterator<Item = &'static Entity> {
        let exists =
            move |entity: &&Entity| entity.level <= self.level && self.devices.has_entity(entity, place);
        ENTITIES.iter().filter(move |entity| belongs_to(about, entity.source)).filter(exists)
    }

    fn build_message(&self, about: DiscoveryObject, components: Vec<Component>) -> Option<Message> {
        let object_id = about.object_id(self.devices.bank());
        let payload = self.envelope(about, components.into_iter().collect());
        let empty = payload["cmps"].as_object().is_none_or(Map::is_empty);
        (!empty).then(|| Message::retained(self.topics.device_config(&object_id), payload.to_string()))
    }

    fn envelope(&self, about: DiscoveryObject, components: Map<String, Value>) -> Value {
        json!({
            "dev": self.device(about),
            "o": { "name": ORIGIN, "sw": env!("CARGO_PKG_VERSION") },
            "avty": self.availability(about),
            "avty_mode": "all",
            "cmps": components,
        })
    }

    fn device_name(&self, about: DiscoveryObject) -> String {
        let bank = self.devices.bank();
        match about {
            DiscoveryObject::Bank | DiscoveryObject::Battery(_) => bank.to_owned(),
            DiscoveryObject::Cells(..) => naming::cells_device_name(bank),
        }
    }

    fn device(&self, about: DiscoveryObject) -> Map<String, Value> {
        let name = self.device_name(about);
        let facts = self.devices.device_facts();
        let mut device = Map::new();
        device.insert("ids".into(), json!([name]));
        device.insert("name".into(), name.into());
        insert_some(&mut device, "mf", facts.manufacturer);
        insert_some(&mut device, "mdl", facts.model);
        insert_some(&mut device, "sw", facts.firmware);
        insert_some(&mut device, "sn", facts.serial);
        if let DiscoveryObject::Cells(..) = about {
            // The bank's device is announced first.
            device.insert("via_device".into(), self.device_name(DiscoveryObject::Bank).into());
        }
        device
    }

    /// The statuses that must be online for the values to be available.
    fn availability(&self, about: DiscoveryObject) -> Value {
        let bank = self.devices.bank();
        let battery = about.place().map(|place| self.topics.battery_status(bank, place));
        let statuses = [
            json!({ "t": self.topics.service_status() }),
            // Home Assistant would keep the last status when the topic is cleared.
            json!({ "t": self.topics.bank_status(bank), "val_tpl": "{{ value or 'offline' }}" }),
        ];
        statuses.into_iter().chain(battery.map(|topic| json!({ "t": topic }))).collect()
    }

    fn component(&self, entity: &Entity, place: Place, cell: Option<usize>) -> Component {
        let bank = self.devices.bank();
        let (about, number) = match (entity.source, cell) {
            (Source::Battery | Source::Detail, _) => {
                (DiscoveryObject::Battery(place), Some(place.to_string()))
            }
            (Source::Statistics, _) => (DiscoveryObject::Cells(place, 1), Some(place.to_string())),
            (_, Some(cell)) => (
                DiscoveryObject::Cells(place, 1),
                Some(naming::cell_number(place, cell, self.devices.cell_digits())),
            ),
            _ => (DiscoveryObject::Bank, None),
        };
        let numbered =
            |stem: &str| number.as_ref().map_or(stem.to_owned(), |number| format!("{stem}_{number}"));
        let (key, name) = (numbered(entity.stem), entity.name(number.as_deref()));
        let unique_id = format!("{bank}_{}", numbered(entity.id));
        let platform = platform(entity.value);
        let device = self.device_name(about);
        let entity_id = naming::slug(&format!("{device} {key}"));
        let mut config = Map::new();
        config.insert("p".into(), platform.into());
        config.insert("def_ent_id".into(), format!("{platform}.{entity_id}").into());
        if naming::slug(&format!("{device} {name}")) != entity_id {
            // Home Assistant before 2025.10 ignores `def_ent_id` and would derive the entity id from the name.
            config.insert("obj_id".into(), entity_id.into());
        }
        config.insert("name".into(), name.into());
        config.insert("stat_t".into(), self.state_topic(entity.source, place).into());
        insert_value_kind(&mut config, entity.value);
        insert_some(&mut config, "val_tpl", value_template(entity, cell));
        if let Some(template) = attributes_template(entity) {
            config.insert("json_attr_t".into(), self.state_topic(entity.source, place).into());
            config.insert("json_attr_tpl".into(), template.into());
        }
        insert_some(&mut config, "sug_dsp_prc", entity.precision);
        insert_some(&mut config, "ent_cat", entity.diagnostic.then_some("diagnostic"));
        let is_enabled = match entity.enabled_by_default {
            EnabledByDefault::Yes => true,
            EnabledByDefault::No => false,
            EnabledByDefault::IfCellLevelSet => {
                self.devices.is_cell_level_set() || self.devices.has_legacy_id(&unique_id)
            }
        };
        insert_some(&mut config, "en", (!is_enabled).then_some(false));
        config.insert("uniq_id".into(), unique_id.into());
        insert_some(&mut config, "exp_aft", self.expire_after(entity.lifetime));
        if matches!(entity.source, Source::Link | Source::Service) {
            // These are available for an offline bank, too.
            config.insert("avty".into(), json!([{ "t": self.topics.service_status() }]));
        }
        (key, config.into())
    }

    fn state_topic(&self, source: Source, place: Place) -> String {
        let (topics, bank) = (self.topics, self.devices.bank());
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

    /// In whole seconds, rounded up.
    fn expire_after(&self, lifetime: ValueLifetime) -> Option<u64> {
        let seconds = |span: Duration| Some(span.as_millis().div_ceil(1000) as u64);
        match lifetime {
            ValueLifetime::Measurement => seconds(self.expiry.measured),
            ValueLifetime::Fact => seconds(self.expiry.facts),
            ValueLifetime::Unlimited => None,
        }
    }
}

/// Whether entities of that source belong into the message.
pub(crate) fn belongs_to(about: DiscoveryObject, source: Source) -> bool {
    match about {
        DiscoveryObject::Bank => {
            matches!(source, Source::Bank | Source::BankCells | Source::Link | Source::Service)
        }
        DiscoveryObject::Battery(_) => matches!(source, Source::Battery | Source::Detail),
        DiscoveryObject::Cells(..) => matches!(source, Source::Statistics | Source::Cell),
    }
}

/// Template that extracts the attributes from the payload, as JSON.
fn attributes_template(entity: &Entity) -> Option<String> {
    let pairs: Vec<String> =
        entity.attributes.iter().map(|(name, key)| format!("'{name}': value_json.{key}")).collect();
    (!pairs.is_empty()).then(|| format!("{{{{ {{{}}} | to_json }}}}", pairs.join(", ")))
}

fn insert_some(config: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        config.insert(key.to_owned(), value.into());
    }
}

fn platform(value: ValueKind) -> &'static str {
    match value {
        ValueKind::Flag(_) | ValueKind::Connectivity => "binary_sensor",
        ValueKind::Number(_) | ValueKind::Enum(_) | ValueKind::Timestamp | ValueKind::Date => "sensor",
    }
}

fn insert_value_kind(config: &mut Map<String, Value>, value: ValueKind) {
    let mut text = |key: &str, text: Option<&str>| insert_some(config, key, text);
    match value {
        ValueKind::Number(NumberClass { class, unit, state_class }) => {
            text("dev_cla", class);
            text("unit_of_meas", unit);
            text("stat_cla", state_class);
        }
        ValueKind::Enum(options) => {
            text("dev_cla", Some("enum"));
            config.insert("ops".into(), json!(options));
        }
        ValueKind::Timestamp => text("dev_cla", Some("timestamp")),
        ValueKind::Date => text("dev_cla", Some("date")),
        ValueKind::Flag(class) => {
            text("dev_cla", class);
            // How a template renders JSON's `true` and `false`; `null` becomes `None`, which means unknown.
            text("pl_on", Some("True"));
            text("pl_off", Some("False"));
        }
        ValueKind::Connectivity => {
            text("dev_cla", Some("connectivity"));
            text("pl_on", Some(ONLINE));
            text("pl_off", Some(OFFLINE));
        }
    }
}

/// Template that extracts the value from the payload. If a battery is replaced by one with fewer cells, the values of
/// the other cells become unknown.
fn value_template(entity: &Entity, cell: Option<usize>) -> Option<String> {
    let key = entity.key;
    match (entity.value, cell) {
        // A cleared topic: unknown.
        (ValueKind::Connectivity, _) => Some("{{ value or none }}".to_owned()),
        // A `null` object has no keys: unknown.
        (_, None) if key.contains('.') => Some(format!("{{{{ value_json.{key} | default(none) }}}}")),
        (_, None) => Some(format!("{{{{ value_json.{key} }}}}")),
        (_, Some(cell)) => Some(format!("{{{{ value_json.{key}[{}] | default(none) }}}}", cell - 1)),
    }
}
