//! What there is to announce of a bank, as far as it has been seen. It only grows: what has been announced is
//! retired when somebody asks, not because it was silent for a while.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::identity::is_plausible;
use crate::model::place::Place;
use crate::model::reading::Presence;
use crate::model::report::BankReport;
use crate::mqtt::homeassistant::entities::Entity;
use crate::mqtt::homeassistant::enum_values::bounded;
use crate::mqtt::homeassistant::naming;
use crate::mqtt::payload::{Kind, Part};
use crate::settings::BankSettings;

/// After so many full readings with its cells, a battery has no more cells than they had.
const SETTLED: u32 = 20;

/// What there is of one bank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    bank: String,
    /// What the settings say stands.
    given: DeviceFacts,
    found: DeviceFacts,
    batteries: BTreeMap<Place, usize>,
    seen: BTreeSet<(Kind, &'static str)>,
    /// Full readings with the cells of a battery, up to [`SETTLED`].
    tables: BTreeMap<Place, u32>,
    has_chosen_cells: bool,
    /// Unique ids of the entities that pytes_serial had.
    inherited: BTreeSet<String>,
}

/// What people are shown of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceFacts {
    /// Who made it.
    pub(crate) manufacturer: Option<String>,
    /// Its type.
    pub(crate) model: Option<String>,
    /// Its firmware.
    pub(crate) firmware: Option<String>,
    /// Its serial number.
    pub(crate) serial: Option<String>,
}

impl Shape {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(settings: &BankSettings) -> Self {
        let given = DeviceFacts {
            manufacturer: settings.manufacturer.given().map(|text| bounded(text)),
            model: settings.model.given().map(|text| bounded(text)),
            ..DeviceFacts::default()
        };
        let has_chosen_cells = settings.cells_chosen;
        Self { bank: settings.name.clone(), given, has_chosen_cells, ..Self::default() }
    }

    /// Batteries and their cells, as somebody else has told of them.
    #[must_use]
    pub(crate) fn with(settings: &BankSettings, batteries: BTreeMap<Place, usize>) -> Self {
        Self { batteries, ..Self::new(settings) }
    }

    /// Takes in what a report shows; answers whether there is more to announce than before.
    pub fn grow(&mut self, report: &BankReport, parts: &[Part]) -> bool {
        let (batteries, seen, found) = (self.batteries.clone(), self.seen.len(), self.found.clone());
        let there = report.reading.batteries.iter().filter(|battery| battery.presence == Presence::Present);
        for battery in there {
            let cells = self.batteries.entry(battery.place).or_default();
            *cells = battery.cells.as_ref().map_or(0, Vec::len).max(*cells);
        }
        self.seen.extend(parts.iter().flat_map(|part| part.said.iter().map(|key| (part.kind, *key))));
        self.learn(report);
        let has_grown = self.batteries != batteries || self.seen.len() != seen || self.found != found;
        for battery in report.reading.batteries.iter().filter(|battery| battery.cells.is_some()) {
            let tables = self.tables.entry(battery.place).or_default();
            *tables = SETTLED.min(*tables + 1);
        }
        has_grown
    }

    /// A stack speaks for itself; in a bank in parallel the master stands for all.
    fn learn(&mut self, report: &BankReport) {
        for facts in report.facts.first().into_iter().chain([&report.bank_facts]) {
            let learn = |known: &mut Option<String>, said: &Option<String>| {
                if let Some(said) = said {
                    *known = Some(bounded(said));
                }
            };
            learn(&mut self.found.manufacturer, &facts.manufacturer);
            learn(&mut self.found.model, &facts.model);
            learn(&mut self.found.firmware, &facts.firmware);
            if facts.barcode.as_deref().is_some_and(is_plausible) {
                learn(&mut self.found.serial, &facts.barcode);
            }
        }
    }

    /// Entities that pytes_serial had are on at first, whatever the settings name.
    pub fn inherit(&mut self, unique_ids: impl Iterator<Item = String>) {
        self.inherited.extend(unique_ids);
    }

    /// Whether the settings name a level of cells.
    #[must_use]
    pub(crate) fn has_chosen_cells(&self) -> bool {
        self.has_chosen_cells
    }

    /// Whether pytes_serial had an entity of that unique id.
    #[must_use]
    pub(crate) fn has_inherited(&self, unique_id: &str) -> bool {
        self.inherited.contains(unique_id)
    }

    /// A battery is retired: not announced until it shows again.
    pub(crate) fn forget(&mut self, place: Place) {
        self.batteries.remove(&place);
        self.tables.remove(&place);
    }

    /// The bank's name.
    #[must_use]
    pub(crate) fn bank(&self) -> &str {
        &self.bank
    }

    /// The batteries that have been there, and how many cells each has; 0 where they have not answered yet.
    pub fn batteries(&self) -> impl Iterator<Item = (Place, usize)> {
        self.batteries.iter().map(|(place, cells)| (*place, *cells))
    }

    /// How many cells that battery has, as far as they have answered.
    #[must_use]
    pub(crate) fn cells(&self, place: Place) -> Option<usize> {
        self.batteries.get(&place).copied().filter(|cells| *cells > 0)
    }

    /// The same once it is certain that there are no more: a damaged table may have lost its last rows.
    #[must_use]
    pub(crate) fn settled_cells(&self, place: Place) -> Option<usize> {
        self.cells(place).filter(|_| self.tables.get(&place) == Some(&SETTLED))
    }

    /// Of how many batteries it is certain how many cells there are.
    #[must_use]
    pub(crate) fn settled(&self) -> usize {
        self.batteries.keys().filter(|place| self.settled_cells(**place).is_some()).count()
    }

    /// How many digits a cell's number has.
    #[must_use]
    pub(crate) fn cell_digits(&self) -> usize {
        naming::cell_digits(self.batteries.values().copied().max().unwrap_or(0))
    }

    /// What people are shown: the settings' word before the console's.
    #[must_use]
    pub(crate) fn device(&self) -> DeviceFacts {
        let or_found =
            |given: &Option<String>, found: &Option<String>| given.clone().or_else(|| found.clone());
        DeviceFacts {
            manufacturer: or_found(&self.given.manufacturer, &self.found.manufacturer),
            model: or_found(&self.given.model, &self.found.model),
            firmware: self.found.firmware.clone(),
            serial: self.found.serial.clone(),
        }
    }

    /// Whether an entity is to be there: the predecessor's always, another once its value has been seen.
    #[must_use]
    pub(crate) fn has(&self, entity: &Entity, place: Place) -> bool {
        let seen = |kind| self.seen.contains(&(kind, entity.key));
        entity.predecessor || entity.source.kind(place).is_none_or(seen)
    }
}
