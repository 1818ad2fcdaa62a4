//! Names and ids in Home Assistant: the scheme of pytes_serial, on which people's dashboards and histories depend.
//!
//! ```text
//! pytes_voltage          the bank        pytes_voltage_2       battery 2
//! pytes_voltage_204      battery 2, cell 4, on the device pytes_cells
//! ```

use crate::model::place::Place;

/// Digits of a cell number if the largest battery of the bank has `max_cells` cells.
#[must_use]
pub(crate) fn cell_digits(max_cells: usize) -> usize {
    if max_cells > 99 { 3 } else { 2 }
}

/// `204`: battery 2, cell 4.
#[must_use]
pub(crate) fn cell_number(place: Place, number: usize, digits: usize) -> String {
    format!("{place}{number:0digits$}")
}

#[must_use]
pub(crate) fn cells_device_name(bank: &str) -> String {
    format!("{bank}_cells")
}

/// As Home Assistant derives entity ids from names: lower-case letters and digits; each run of other characters between
/// them becomes one underscore, and at the ends they are dropped.
#[must_use]
pub fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_ascii_lowercase()
}

/// What a discovery message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiscoveryObject {
    Bank,
    Battery(Place),
    /// The cells of a battery, with the number of the message, from 1.
    Cells(Place, usize),
}

impl DiscoveryObject {
    #[must_use]
    pub(crate) fn place(self) -> Option<Place> {
        match self {
            Self::Bank => None,
            Self::Battery(place) | Self::Cells(place, _) => Some(place),
        }
    }

    /// Differs from the bank's name, which pytes_serial used: the migration needs another topic.
    #[must_use]
    pub(crate) fn object_id(self, bank: &str) -> String {
        match self {
            Self::Bank => format!("{bank}_bank"),
            Self::Battery(place) => format!("{bank}_battery_{place}"),
            Self::Cells(place, 1) => format!("{bank}_battery_{place}_cells"),
            Self::Cells(place, part) => format!("{bank}_battery_{place}_cells_{part}"),
        }
    }

    /// `None` if it is not an object id of bankwatch for `bank`.
    #[must_use]
    pub(crate) fn from_object_id(object_id: &str, bank: &str) -> Option<Self> {
        let rest = object_id.strip_prefix(bank)?;
        if rest == "_bank" {
            return Some(Self::Bank);
        }
        let rest = rest.strip_prefix("_battery_")?;
        let about = match rest.split_once("_cells") {
            None => Self::Battery(rest.parse().ok()?),
            Some((place, "")) => Self::Cells(place.parse().ok()?, 1),
            Some((place, part)) => Self::Cells(place.parse().ok()?, part.strip_prefix('_')?.parse().ok()?),
        };
        (about.object_id(bank) == object_id).then_some(about)
    }
}
