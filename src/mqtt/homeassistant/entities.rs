//! The table of Home Assistant entities, one row per entity.
//!
//! A row defines where a value is read from and how it is presented;
//! [`discovery`](crate::mqtt::homeassistant::discovery) turns rows into messages. Rows marked
//! [`is_legacy`](Entity::is_legacy) are those of pytes_serial: their ids and names must not change, since people's
//! histories depend on them. `docs/mqtt.md` has the same table, held by a test.

use crate::model::place::Place;
use crate::mqtt::homeassistant::enum_values::{STATES, STATUSES};
use crate::mqtt::message_kind::MessageKind;
use crate::settings::CellLevel;

/// One entity of a bank, of each battery or of each cell.
#[derive(Clone, Copy, Debug)]
pub struct Entity {
    pub source: Source,
    /// Key in the payload.
    pub key: &'static str,
    /// The part of the unique id after the bank's name.
    pub id: &'static str,
    /// The part of the entity id after the device's name, and the key in the discovery message.
    pub stem: &'static str,
    /// Display name, if it is not derived from the stem.
    title: Option<&'static str>,
    pub value: ValueKind,
    /// Displayed decimals.
    pub(crate) precision: Option<u8>,
    /// Whether Home Assistant shows it in the diagnostic category.
    pub diagnostic: bool,
    pub enabled_by_default: EnabledByDefault,
    /// Attribute names with their keys in the payload.
    pub attributes: &'static [(&'static str, &'static str)],
    /// Lowest cell level that has the entity.
    pub level: CellLevel,
    pub(crate) lifetime: ValueLifetime,
    /// Whether pytes_serial has the entity. Such an entity always exists, others once their value has been seen.
    pub is_legacy: bool,
}

/// What an entity is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Bank,
    /// Statistics over all cells of the bank.
    BankCells,
    /// Whether the bank is online.
    Link,
    /// The service itself.
    Service,
    /// Values of each battery from the table.
    Battery,
    /// Details and facts of each battery.
    Detail,
    /// Statistics over the cells of each battery.
    Statistics,
    Cell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    Number(NumberClass),
    /// One of these options.
    Enum(&'static [&'static str]),
    Timestamp,
    Date,
    /// A binary sensor of that device class.
    Flag(Option<&'static str>),
    /// A binary sensor that reads `online` and `offline` from a status topic.
    Connectivity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberClass {
    pub class: Option<&'static str>,
    pub unit: Option<&'static str>,
    pub state_class: Option<&'static str>,
}

/// Whether Home Assistant enables an entity when it first adds it. Later changes by the user stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnabledByDefault {
    Yes,
    No,
    /// Enabled if the settings name a cell level: who sets it wants to see the cells.
    IfCellLevelSet,
}

/// When a value expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueLifetime {
    Measurement,
    /// Facts are read rarely.
    Fact,
    /// The value has its own time.
    Unlimited,
}

const fn measurement(class: &'static str, unit: &'static str) -> ValueKind {
    ValueKind::Number(NumberClass { class: Some(class), unit: Some(unit), state_class: Some("measurement") })
}

const fn plain(unit: Option<&'static str>, state_class: Option<&'static str>) -> ValueKind {
    ValueKind::Number(NumberClass { class: None, unit, state_class })
}

const VOLTS: ValueKind = measurement("voltage", "V");
const AMPERES: ValueKind = measurement("current", "A");
const WATTS: ValueKind = measurement("power", "W");
const DEGREES: ValueKind = measurement("temperature", "°C");
const CHARGE: ValueKind = measurement("battery", "%");
const SECONDS: ValueKind = measurement("duration", "s");
const PERCENT: ValueKind = plain(Some("%"), Some("measurement"));
const AMPERE_HOURS: ValueKind = plain(Some("Ah"), None);
const THROUGHPUT: ValueKind = plain(Some("Ah"), Some("total_increasing"));
const STORED: ValueKind = measurement("duration", "d");
const LEFT: ValueKind = measurement("energy_storage", "kWh");
const RESISTANCE: ValueKind = plain(Some("mΩ"), Some("measurement"));
const DAY: ValueKind = ValueKind::Date;
const HOURS: ValueKind = ValueKind::Number(NumberClass {
    class: Some("duration"),
    unit: Some("h"),
    state_class: Some("total_increasing"),
});
const COUNTER: ValueKind = plain(None, Some("total_increasing"));
const ENERGY: ValueKind = ValueKind::Number(NumberClass {
    class: Some("energy"),
    unit: Some("kWh"),
    state_class: Some("total_increasing"),
});

const fn row(source: Source, key: &'static str, stem: &'static str, value: ValueKind) -> Entity {
    let lifetime = match value {
        ValueKind::Timestamp | ValueKind::Connectivity => ValueLifetime::Unlimited,
        _ => ValueLifetime::Measurement,
    };
    let level = match source {
        Source::BankCells | Source::Statistics => CellLevel::Medium,
        Source::Cell => CellLevel::High,
        _ => CellLevel::Off,
    };
    Entity {
        source,
        key,
        id: stem,
        stem,
        title: None,
        value,
        precision: None,
        diagnostic: false,
        enabled_by_default: EnabledByDefault::Yes,
        attributes: &[],
        level,
        lifetime,
        is_legacy: false,
    }
}

impl Entity {
    /// pytes_serial has it under this id.
    const fn legacy(mut self, id: &'static str) -> Self {
        self.is_legacy = true;
        self.id = id;
        self
    }

    const fn decimals(mut self, decimals: u8) -> Self {
        self.precision = Some(decimals);
        self
    }

    const fn diagnostic(mut self) -> Self {
        self.diagnostic = true;
        self
    }

    const fn fact(mut self) -> Self {
        self.lifetime = ValueLifetime::Fact;
        self.diagnostic()
    }

    const fn disabled(mut self) -> Self {
        self.enabled_by_default = EnabledByDefault::No;
        self
    }

    const fn enabled_if_cell_level_set(mut self) -> Self {
        self.enabled_by_default = EnabledByDefault::IfCellLevelSet;
        self
    }

    const fn titled(mut self, title: &'static str) -> Self {
        self.title = Some(title);
        self
    }

    const fn attributes(mut self, attributes: &'static [(&'static str, &'static str)]) -> Self {
        self.attributes = attributes;
        self
    }

    const fn at_level(mut self, level: CellLevel) -> Self {
        self.level = level;
        self
    }

    /// Display name, with the number of the battery or cell. The names of pytes_serial are kept.
    #[must_use]
    pub fn name(&self, number: Option<&str>) -> String {
        let (name, separator) = match self.title {
            _ if self.is_legacy => (self.stem.to_owned(), "_"),
            Some(title) => (title.to_owned(), " "),
            None => {
                let mut name = self.stem.replace('_', " ");
                if let Some(first) = name.get_mut(..1) {
                    first.make_ascii_uppercase();
                }
                (name, " ")
            }
        };
        number.map_or(name.clone(), |number| name + separator + number)
    }
}

use Source::{Bank, BankCells, Battery, Cell, Detail, Link, Service, Statistics};

/// The lowest and highest cell change all the time: as entities they would fill Home Assistant's log book, which omits
/// only entities with a unit.
const EXTREMES: &[(&str, &str)] = &[("lowest_cell", "lowest_cell"), ("highest_cell", "highest_cell")];

/// In the order of the discovery messages.
pub const ENTITIES: &[Entity] = &[
    row(Bank, "voltage", "voltage", VOLTS).legacy("voltage").decimals(2),
    row(Bank, "current", "current", AMPERES).legacy("current").decimals(2),
    row(Bank, "temperature", "temperature", DEGREES).legacy("temperature").decimals(1),
    row(Bank, "soc", "soc", CHARGE).legacy("soc").decimals(0),
    row(Bank, "basic_st", "status", ValueKind::Enum(STATES)).legacy("basic_st"),
    row(Bank, "power_w", "power", WATTS).decimals(0),
    row(Bank, "alarm", "alarm", ValueKind::Flag(Some("problem"))),
    row(BankCells, "voltage_delta", "cell_voltage_delta", VOLTS).decimals(3).attributes(EXTREMES),
    row(Link, "status", "link", ValueKind::Connectivity).diagnostic(),
    row(Service, "energy_charged_kwh", "energy_charged", ENERGY).decimals(3),
    row(Service, "energy_discharged_kwh", "energy_discharged", ENERGY).decimals(3),
    row(Service, "last_reading", "last_reading", ValueKind::Timestamp).diagnostic().disabled(),
    row(Service, "restarts", "restarts", COUNTER).decimals(0).diagnostic(),
    row(Service, "sweep_time", "sweep_time", SECONDS).decimals(2).diagnostic(),
    row(Service, "efficiency", "efficiency", PERCENT).decimals(2).diagnostic(),
    row(Battery, "voltage", "voltage", VOLTS).legacy("voltage").decimals(2),
    row(Battery, "current", "current", AMPERES).legacy("current").decimals(2),
    row(Battery, "temperature", "temperature", DEGREES).legacy("temperature").decimals(1),
    row(Battery, "soc", "soc", CHARGE).legacy("soc").decimals(0),
    row(Battery, "basic_st", "status", ValueKind::Enum(STATES)).legacy("basic_st"),
    row(Battery, "power_w", "power", WATTS).decimals(0),
    row(Detail, "energy_charged_kwh", "energy_charged", ENERGY).decimals(3),
    row(Detail, "energy_discharged_kwh", "energy_discharged", ENERGY).decimals(3),
    row(Detail, "alarm", "alarm", ValueKind::Flag(Some("problem"))),
    row(Detail, "balancing", "balancing", ValueKind::Flag(None)).disabled(),
    row(Detail, "capacity_ah", "capacity", AMPERE_HOURS).decimals(0).fact(),
    row(Detail, "soh", "soh", PERCENT).titled("State of health").decimals(0).fact(),
    row(Detail, "cycles", "cycles", COUNTER).decimals(0).fact(),
    row(Detail, "lifetime.manufactured", "manufactured", DAY).fact().disabled(),
    row(Detail, "lifetime.in_service_since", "in_service_since", DAY).fact().disabled(),
    row(Detail, "lifetime.storage_days", "storage_time", STORED).decimals(0).fact().disabled(),
    row(Detail, "lifetime.capacity_ah", "measured_capacity", AMPERE_HOURS).decimals(1).fact().disabled(),
    row(Detail, "lifetime.capacity_2_ah", "measured_capacity_2", AMPERE_HOURS)
        .titled("Measured capacity (2)")
        .decimals(1)
        .fact()
        .disabled(),
    row(Detail, "lifetime.energy_kwh", "measured_energy", LEFT).decimals(2).fact().disabled(),
    row(Detail, "lifetime.power_w", "measured_power", WATTS).decimals(0).fact().disabled(),
    row(Detail, "lifetime.power_percent", "measured_power_share", PERCENT).decimals(1).fact().disabled(),
    row(Detail, "lifetime.round_trip_efficiency_percent", "measured_efficiency", PERCENT)
        .decimals(1)
        .fact()
        .disabled(),
    row(Detail, "lifetime.self_discharge_percent", "self_discharge", PERCENT).decimals(2).fact().disabled(),
    row(Detail, "lifetime.resistance_mohm", "resistance", RESISTANCE).decimals(1).fact().disabled(),
    row(Detail, "lifetime.energy_charged_kwh", "lifetime_energy_charged", ENERGY)
        .decimals(0)
        .fact()
        .disabled(),
    row(Detail, "lifetime.energy_discharged_kwh", "lifetime_energy_discharged", ENERGY)
        .decimals(0)
        .fact()
        .disabled(),
    row(Detail, "lifetime.energy_throughput_kwh", "lifetime_energy", ENERGY).decimals(0).fact().disabled(),
    row(Detail, "lifetime.charge_in_ah", "lifetime_charge_in", THROUGHPUT).decimals(0).fact().disabled(),
    row(Detail, "lifetime.charge_out_ah", "lifetime_charge_out", THROUGHPUT).decimals(0).fact().disabled(),
    row(Detail, "lifetime.charge_throughput_ah", "lifetime_charge", THROUGHPUT).decimals(0).fact().disabled(),
    row(Detail, "lifetime.deep_discharges", "deep_discharges", COUNTER).decimals(0).fact().disabled(),
    row(Detail, "lifetime.extreme_temperature_h", "extreme_temperature_time", HOURS)
        .decimals(1)
        .fact()
        .disabled(),
    row(Detail, "lifetime.extreme_temperature_charging_h", "extreme_temperature_charging_time", HOURS)
        .decimals(1)
        .fact()
        .disabled(),
    row(Detail, "lifetime.cycles", "lifetime_cycles", COUNTER).decimals(0).fact().disabled(),
    row(Detail, "lifetime.cycles_2", "lifetime_cycles_2", COUNTER)
        .titled("Lifetime cycles (2)")
        .decimals(0)
        .fact()
        .disabled(),
    row(Statistics, "voltage_delta", "voltage_delta", VOLTS).legacy("voltage_delta").decimals(3),
    row(Statistics, "voltage_min", "voltage_min", VOLTS)
        .legacy("voltage_min")
        .decimals(3)
        .attributes(&[("cell", "voltage_min_cell")]),
    row(Statistics, "voltage_max", "voltage_max", VOLTS)
        .legacy("voltage_max")
        .decimals(3)
        .attributes(&[("cell", "voltage_max_cell")]),
    row(Statistics, "temperature_delta", "temperature_delta", DEGREES)
        .legacy("temperature_delta")
        .decimals(1),
    row(Statistics, "temperature_min", "temperature_min", DEGREES)
        .legacy("temperature_min")
        .decimals(1)
        .attributes(&[("cell", "temperature_min_cell")]),
    row(Statistics, "temperature_max", "temperature_max", DEGREES)
        .legacy("temperature_max")
        .decimals(1)
        .attributes(&[("cell", "temperature_max_cell")]),
    row(Cell, "voltage", "voltage", VOLTS).legacy("voltage").decimals(3).at_level(CellLevel::Low),
    row(Cell, "temperature", "temperature", DEGREES)
        .legacy("temperature")
        .decimals(1)
        .at_level(CellLevel::Medium)
        .enabled_if_cell_level_set(),
    row(Cell, "volt_st", "volt_st", ValueKind::Enum(STATUSES))
        .legacy("volt_st")
        .at_level(CellLevel::Medium)
        .enabled_if_cell_level_set(),
    row(Cell, "soc", "soc", CHARGE).legacy("soc").decimals(0).enabled_if_cell_level_set(),
    row(Cell, "basic_st", "status", ValueKind::Enum(STATES)).legacy("basic_st").enabled_if_cell_level_set(),
    row(Cell, "curr_st", "curr_st", ValueKind::Enum(STATUSES)).legacy("curr_st").enabled_if_cell_level_set(),
    row(Cell, "temp_st", "temp_st", ValueKind::Enum(STATUSES)).legacy("temp_st").enabled_if_cell_level_set(),
];

impl Source {
    /// The message that has the value of the battery at `place`; `None` if it is not in a report.
    #[must_use]
    pub(crate) fn message_kind(self, place: Place) -> Option<MessageKind> {
        Some(match self {
            Self::Bank => MessageKind::Bank,
            Self::BankCells => MessageKind::BankCells,
            Self::Link => return None,
            Self::Service => MessageKind::Service,
            Self::Battery => MessageKind::Battery(place),
            Self::Detail => MessageKind::Detail(place),
            Self::Statistics | Self::Cell => MessageKind::Cells(place),
        })
    }
}

/// The keys that entities read from a message.
pub(crate) fn keys_of(kind: MessageKind) -> impl Iterator<Item = &'static str> {
    let place = match kind {
        MessageKind::Battery(place) | MessageKind::Detail(place) | MessageKind::Cells(place) => place,
        _ => Place::FIRST,
    };
    ENTITIES
        .iter()
        .filter(move |entity| entity.source.message_kind(place) == Some(kind))
        .map(|entity| entity.key)
}
