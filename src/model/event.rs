//! Events: conditions that are raised and cleared on a battery, its bank or its link.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::place::Place;
use crate::model::word::Word;

/// The severity of an event, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventLevel {
    /// No action needed.
    Info,
    /// Someone should look.
    Warning,
}

impl EventLevel {
    #[must_use]
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
        }
    }
}

/// The name of the word that an event belongs to: `battery`, `power`, `system`, a label of the console such as
/// `Bat Volt Status`, a state word such as `volt_state`, a word of bankwatch itself ([`PRESENCE`], [`ANSWERS`],
/// [`LINK`]), or the [name of an implausible value](crate::model::withheld::value_name).
pub(crate) type WordName = Cow<'static, str>;

/// The event word of the cells: `Bat Events`.
pub(crate) const BATTERY: &str = "battery";
/// The event word of the battery: `Power Events`.
pub(crate) const POWER: &str = "power";
/// The event word of system faults: `System Fault`.
pub(crate) const SYSTEM: &str = "system";
/// The error code of a high-voltage stack.
pub(crate) const ERROR_CODE: &str = "error_code";
/// Whether a battery is installed; a word of bankwatch itself.
pub const PRESENCE: &str = "presence";
/// Whether an installed battery answers; a word of bankwatch itself.
pub const ANSWERS: &str = "answers";
/// Whether readings of a bank arrive; a word of bankwatch itself.
pub const LINK: &str = "link";

/// The state of a persistent value that no battery can have.
pub(crate) const IMPLAUSIBLE: &str = "implausible";
/// The state of a value that no working sensor measures.
pub(crate) const SENSOR_FAULT: &str = "sensor_fault";

/// The part of an event word that an event is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    Bit(u32),
    /// A value of a state word.
    State(Word),
}

impl Condition {
    /// Returns the bit, or 0 for a state.
    #[must_use]
    pub fn bit(&self) -> u32 {
        match self {
            Self::Bit(bit) => *bit,
            Self::State(_) => 0,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bit(bit) => write!(f, "{bit:#x}"),
            Self::State(state) => state.fmt(f),
        }
    }
}

/// An active event as derived from a single reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveEvent {
    pub word: WordName,
    pub(crate) condition: Condition,
    pub level: EventLevel,
    pub(crate) text: String,
}

/// The change that an event reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The condition is active from now on.
    Raised,
    /// An answer reports that the condition is over.
    Cleared,
    /// A single occurrence that is never cleared.
    Noted,
}

impl EventKind {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Cleared => "cleared",
            Self::Noted => "noted",
        }
    }
}

/// The raising or clearing of a condition, or a single occurrence. `bank`, `battery`, `word`, `condition` and
/// `raised_at` identify the condition when it is raised and cleared; `raised_at` differs only if the clock was set in
/// between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub(crate) bank: Arc<str>,
    /// `None` for the bank itself, its stack or its link.
    pub battery: Option<Place>,
    pub barcode: Option<String>,
    pub kind: EventKind,
    pub word: WordName,
    pub condition: Condition,
    /// The name that the console printed, if any.
    pub name: Option<String>,
    pub level: EventLevel,
    pub text: String,
    /// The start of the sweep that reported it first.
    pub raised_at: Timestamp,
    /// The time of this change; equal to `raised_at` unless the event is cleared.
    pub at: Timestamp,
    /// How long a cleared event was active; `None` if the clock was not set for all of that time.
    pub duration: Option<Duration>,
}
