//! An active event as stored by the tracker.

use std::time::Duration;

use jiff::Timestamp;

use crate::events::decode::ActiveCondition;
use crate::model::event::EventLevel;
use crate::model::place::Place;

#[derive(Clone, Debug)]
pub(super) struct TrackedEvent {
    pub(crate) barcode: Option<String>,
    pub(crate) name: Option<String>,
    pub level: EventLevel,
    pub(crate) text: String,
    pub(crate) raised_at: Timestamp,
    /// How long it had been active before `since`; unknown if the clock had not been set.
    pub(crate) active_before: Option<Duration>,
    /// When it was raised or the service was started, whichever is later (monotonic).
    pub(crate) since: Duration,
    /// Whether it was raised before the service was started.
    pub(crate) restored: bool,
}

/// A time by the wall clock and by the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct BothClocks {
    pub(crate) at: Timestamp,
    pub(crate) now: Duration,
}

/// The battery or bank that an event belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventOwner<'a> {
    pub(crate) battery: Option<Place>,
    pub(crate) barcode: Option<&'a str>,
}

impl EventOwner<'_> {
    pub(crate) const BANK: Self = Self { battery: None, barcode: None };
}

impl TrackedEvent {
    /// Whether the barcodes of both are known and differ, which means that the battery was replaced.
    pub(crate) fn is_of_another(&self, owner: EventOwner<'_>) -> bool {
        self.barcode.as_deref().zip(owner.barcode).is_some_and(|(before, now)| before != now)
    }

    pub(crate) fn new(owner: EventOwner<'_>, condition: &ActiveCondition<'_>, moment: BothClocks) -> Self {
        Self {
            barcode: owner.barcode.map(str::to_owned),
            name: condition.name.map(str::to_owned),
            level: condition.level,
            text: condition.text.to_string(),
            raised_at: moment.at,
            active_before: Some(Duration::ZERO),
            since: moment.now,
            restored: false,
        }
    }
}
