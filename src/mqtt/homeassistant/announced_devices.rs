//! What is announced of a bank: the batteries, cells and values seen so far. It only grows: something that was
//! announced is removed on request, not because it was silent for a while.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::identity::is_plausible;
use crate::model::place::Place;
use crate::model::reading::Presence;
use crate::model::report::BankReport;
use crate::mqtt::homeassistant::entities::Entity;
use crate::mqtt::homeassistant::enum_values::bounded;
use crate::mqtt::homeassistant::naming;
use crate::mqtt::message_kind::MessageKind;
use crate::mqtt::payload::topic_payload::TopicPayload;
use crate::settings::BankSettings;

/// After so many full readings with cells, the cell count of a battery is final.
const SETTLED_AFTER: u32 = 20;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnouncedDevices {
    bank: String,
    /// From the settings; takes precedence.
    configured: DeviceFacts,
    reported: DeviceFacts,
    /// With their cell counts; 0 until the cells were read.
    batteries: BTreeMap<Place, usize>,
    /// Values that were not null.
    seen: BTreeSet<(MessageKind, &'static str)>,
    /// Full readings with cells, up to [`SETTLED_AFTER`].
    cell_readings: BTreeMap<Place, u32>,
    cell_level_set: bool,
    /// Unique ids of the entities of pytes_serial.
    legacy_ids: BTreeSet<String>,
}

/// Details of a device in Home Assistant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceFacts {
    pub(crate) manufacturer: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) firmware: Option<String>,
    pub(crate) serial: Option<String>,
}

impl AnnouncedDevices {
    #[must_use]
    pub fn new(settings: &BankSettings) -> Self {
        let configured = DeviceFacts {
            manufacturer: settings.manufacturer.given().map(|text| bounded(text)),
            model: settings.model.given().map(|text| bounded(text)),
            ..DeviceFacts::default()
        };
        let cell_level_set = settings.cells_explicit;
        Self { bank: settings.name.clone(), configured, cell_level_set, ..Self::default() }
    }

    /// With batteries and cell counts from another source than readings.
    #[must_use]
    pub(crate) fn with_batteries(settings: &BankSettings, batteries: BTreeMap<Place, usize>) -> Self {
        Self { batteries, ..Self::new(settings) }
    }

    /// Adds what a report contains. Returns whether there is more to announce than before.
    pub fn update(&mut self, report: &BankReport, payloads: &[TopicPayload]) -> bool {
        let (batteries, seen, reported) = (self.batteries.clone(), self.seen.len(), self.reported.clone());
        let present = report.reading.batteries.iter().filter(|battery| battery.presence == Presence::Present);
        for battery in present {
            let cells = self.batteries.entry(battery.place).or_default();
            *cells = battery.cells.as_ref().map_or(0, Vec::len).max(*cells);
        }
        self.seen.extend(
            payloads.iter().flat_map(|payload| payload.present_keys.iter().map(|key| (payload.kind, *key))),
        );
        self.update_device_facts(report);
        let has_grown = self.batteries != batteries || self.seen.len() != seen || self.reported != reported;
        for battery in report.reading.batteries.iter().filter(|battery| battery.cells.is_some()) {
            let cell_readings = self.cell_readings.entry(battery.place).or_default();
            *cell_readings = SETTLED_AFTER.min(*cell_readings + 1);
        }
        has_grown
    }

    /// The facts of a stack describe it as a whole; in a parallel bank the master's facts describe the bank.
    fn update_device_facts(&mut self, report: &BankReport) {
        for facts in report.facts.first().into_iter().chain([&report.bank_facts]) {
            let update = |known: &mut Option<String>, text: &Option<String>| {
                if let Some(text) = text {
                    *known = Some(bounded(text));
                }
            };
            update(&mut self.reported.manufacturer, &facts.manufacturer);
            update(&mut self.reported.model, &facts.model);
            update(&mut self.reported.firmware, &facts.firmware);
            if facts.barcode.as_deref().is_some_and(is_plausible) {
                update(&mut self.reported.serial, &facts.barcode);
            }
        }
    }

    /// Entities of pytes_serial are enabled by default, whatever the settings.
    pub fn add_legacy_ids(&mut self, unique_ids: impl Iterator<Item = String>) {
        self.legacy_ids.extend(unique_ids);
    }

    /// Whether the settings name a cell level.
    #[must_use]
    pub(crate) fn is_cell_level_set(&self) -> bool {
        self.cell_level_set
    }

    #[must_use]
    pub(crate) fn has_legacy_id(&self, unique_id: &str) -> bool {
        self.legacy_ids.contains(unique_id)
    }

    /// The battery is not announced until it is seen again.
    pub(crate) fn remove_battery(&mut self, place: Place) {
        self.batteries.remove(&place);
        self.cell_readings.remove(&place);
    }

    #[must_use]
    pub(crate) fn bank(&self) -> &str {
        &self.bank
    }

    /// The batteries seen so far with their cell counts; 0 until the cells were read.
    pub fn batteries(&self) -> impl Iterator<Item = (Place, usize)> {
        self.batteries.iter().map(|(place, cells)| (*place, *cells))
    }

    /// `None` until the cells were read.
    #[must_use]
    pub(crate) fn cells(&self, place: Place) -> Option<usize> {
        self.batteries.get(&place).copied().filter(|cells| *cells > 0)
    }

    /// The cell count once it is final: a damaged table may have lost its last rows.
    #[must_use]
    pub(crate) fn settled_cells(&self, place: Place) -> Option<usize> {
        self.cells(place).filter(|_| self.cell_readings.get(&place) == Some(&SETTLED_AFTER))
    }

    /// The number of batteries with a final cell count.
    #[must_use]
    pub(crate) fn settled_batteries(&self) -> usize {
        self.batteries.keys().filter(|place| self.settled_cells(**place).is_some()).count()
    }

    /// Digits of a cell number.
    #[must_use]
    pub(crate) fn cell_digits(&self) -> usize {
        naming::cell_digits(self.batteries.values().copied().max().unwrap_or(0))
    }

    /// The settings take precedence over the console.
    #[must_use]
    pub(crate) fn device_facts(&self) -> DeviceFacts {
        let first = |configured: &Option<String>, reported: &Option<String>| {
            configured.clone().or_else(|| reported.clone())
        };
        DeviceFacts {
            manufacturer: first(&self.configured.manufacturer, &self.reported.manufacturer),
            model: first(&self.configured.model, &self.reported.model),
            firmware: self.reported.firmware.clone(),
            serial: self.reported.serial.clone(),
        }
    }

    /// Entities of pytes_serial always exist, others once their value has been seen.
    #[must_use]
    pub(crate) fn has_entity(&self, entity: &Entity, place: Place) -> bool {
        let seen = |kind| self.seen.contains(&(kind, entity.key));
        entity.is_legacy || entity.source.message_kind(place).is_none_or(seen)
    }
}
