//! What things are called: the predecessor's scheme, on which people's dashboards and histories stand.
//!
//! ```text
//! pytes_voltage          the bank        pytes_voltage_2       battery 2
//! pytes_voltage_204      battery 2, cell 4, on the device pytes_cells
//! ```

use crate::model::place::Place;

/// How many digits a cell's number has where the largest battery of the bank has `most` cells.
#[must_use]
pub(crate) fn cell_digits(most: usize) -> usize {
    if most > 99 { 3 } else { 2 }
}

/// `204`: battery 2, cell 4.
#[must_use]
pub(crate) fn cell(place: Place, number: usize, digits: usize) -> String {
    format!("{place}{number:0digits$}")
}

/// The device with the cells of a bank.
#[must_use]
pub(crate) fn cells_device(bank: &str) -> String {
    format!("{bank}_cells")
}

/// As Home Assistant makes entity ids of names: small letters and digits, the rest single underscores between them.
#[must_use]
pub fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_ascii_lowercase()
}

/// The name of a discovery message: what of the bank it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The bank.
    Bank,
    /// A battery.
    Battery(Place),
    /// A battery's cells; a message of so many, from 1.
    Cells(Place, usize),
}

impl About {
    /// The battery that it is about.
    #[must_use]
    pub(crate) fn place(self) -> Option<Place> {
        match self {
            Self::Bank => None,
            Self::Battery(place) | Self::Cells(place, _) => Some(place),
        }
    }

    /// Unlike the bank's name by itself, which was the predecessor's: the way over asks for a new one.
    #[must_use]
    pub(crate) fn object_id(self, bank: &str) -> String {
        match self {
            Self::Bank => format!("{bank}_bank"),
            Self::Battery(place) => format!("{bank}_battery_{place}"),
            Self::Cells(place, 1) => format!("{bank}_battery_{place}_cells"),
            Self::Cells(place, part) => format!("{bank}_battery_{place}_cells_{part}"),
        }
    }

    /// What an object id of `bank` is about; nothing where it is none of ours.
    #[must_use]
    pub(crate) fn of(object_id: &str, bank: &str) -> Option<Self> {
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
