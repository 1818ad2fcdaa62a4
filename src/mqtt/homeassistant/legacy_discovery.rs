//! Derives the batteries and cells of a bank from the discovery messages of pytes_serial, for a migration without a
//! reading.

use std::collections::BTreeMap;

use crate::model::place::Place;
use crate::mqtt::homeassistant::announced_devices::AnnouncedDevices;
use crate::mqtt::homeassistant::entities::{ENTITIES, Source};
use crate::mqtt::homeassistant::migration::legacy_unique_id;
use crate::mqtt::message::Message;
use crate::mqtt::topics::Topics;
use crate::settings::{BankSettings, CellLevel};

/// pytes_serial numbers cells with two digits after the battery's number, which has at most two digits itself.
const CELL_DIGITS: usize = 2;

/// The devices of the bank and its cell level; `None` without discovery messages of pytes_serial.
#[must_use]
pub fn devices_from_legacy_discovery(
    settings: &BankSettings,
    topics: &Topics,
    retained: &[Message],
) -> Option<(AnnouncedDevices, CellLevel)> {
    let (mut batteries, mut level, mut any) = (BTreeMap::<Place, usize>::new(), CellLevel::Off, false);
    for id in retained.iter().filter_map(|message| legacy_unique_id(topics, &settings.name, message)) {
        any = true;
        let id = id.strip_prefix(&settings.name).and_then(|id| id.strip_prefix('_'));
        let Some((stem, number)) = id.and_then(|id| id.rsplit_once('_')) else { continue };
        let row = |source| {
            ENTITIES.iter().find(|entity| entity.is_legacy && entity.source == source && entity.id == stem)
        };
        let battery = row(Source::Battery).or(row(Source::Statistics));
        if let (Some(_), Ok(place)) = (battery, number.parse())
            && number.len() <= CELL_DIGITS
        {
            batteries.entry(place).or_default();
        }
        let split = number.len().checked_sub(CELL_DIGITS).and_then(|at| number.split_at_checked(at));
        let cell = split.and_then(|(place, cell)| Some((place.parse().ok()?, cell.parse::<usize>().ok()?)));
        if let (Some(entity), Some((place, cell))) = (row(Source::Cell), cell) {
            let cells = batteries.entry(place).or_default();
            *cells = cell.max(*cells);
            level = entity.level.max(level);
        }
    }
    let mut devices = AnnouncedDevices::with_batteries(settings, batteries);
    devices.add_legacy_ids(
        retained.iter().filter_map(|message| legacy_unique_id(topics, &settings.name, message)),
    );
    any.then_some((devices, level))
}
