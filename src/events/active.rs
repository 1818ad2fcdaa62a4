//! An active condition, as the tracker remembers it: its owner, and since when.

use std::time::Duration;

use jiff::Timestamp;

use crate::events::decode::Condition;
use crate::model::event::EventLevel;
use crate::model::place::Place;

/// An active condition.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(crate) barcode: Option<String>,
    pub(crate) name: Option<String>,
    pub level: EventLevel,
    pub(crate) text: String,
    pub(crate) raised_at: Timestamp,
    /// How long it had been active before `since`; unknown if the clock had not been set.
    pub(crate) stood: Option<Duration>,
    /// When it began or the service was started (monotonic).
    pub(crate) since: Duration,
    /// Whether it began before the service was started.
    pub(crate) restored: bool,
}

/// The moment a report or a look is about, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(crate) at: Timestamp,
    pub(crate) now: Duration,
}

/// The owner of a word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'a> {
    pub(crate) battery: Option<Place>,
    pub(crate) barcode: Option<&'a str>,
}

impl Owner<'_> {
    pub(crate) const BANK: Self = Self { battery: None, barcode: None };
}

impl Standing {
    /// Whether another battery sits there now, as far as both are known.
    pub(crate) fn is_of_another(&self, owner: Owner<'_>) -> bool {
        self.barcode.as_deref().zip(owner.barcode).is_some_and(|(of, now)| of != now)
    }

    pub(crate) fn new(owner: Owner<'_>, condition: &Condition<'_>, moment: Moment) -> Self {
        Self {
            barcode: owner.barcode.map(str::to_owned),
            name: condition.name.map(str::to_owned),
            level: condition.level,
            text: condition.text.to_string(),
            raised_at: moment.at,
            stood: Some(Duration::ZERO),
            since: moment.now,
            restored: false,
        }
    }
}
