//! Events: what begins and ends on a battery, in its bank, or on the way to it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::place::Place;
use crate::model::word::Word;

/// The weight of an event, in growing order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventLevel {
    /// Told, nothing to do.
    Info,
    /// Someone should look.
    Warning,
}

impl EventLevel {
    /// The word for it in settings, catalogue and outputs.
    #[must_use]
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
        }
    }
}

/// Which word said it: `battery`, `power`, `system`, a label of the console's own such as `Bat Volt Status`, a
/// state such as `volt_state`, or one of the service's own: [`PRESENCE`], [`ANSWERS`], [`LINK`], or the
/// [name of a value](crate::model::withheld::value_name) that is implausible.
pub(crate) type WordName = Cow<'static, str>;

/// Events of the cells: `Bat Events`.
pub(crate) const BATTERY: &str = "battery";
/// Events of the battery: `Power Events`.
pub(crate) const POWER: &str = "power";
/// Faults of the system: `System Fault`.
pub(crate) const SYSTEM: &str = "system";
/// The error code of a high-voltage stack.
pub(crate) const ERROR_CODE: &str = "error_code";
/// Whether a battery is there: the service's own word.
pub const PRESENCE: &str = "presence";
/// Whether a battery that is there answers: the service's own word.
pub const ANSWERS: &str = "answers";
/// Whether readings of a bank come: the service's own word.
pub const LINK: &str = "link";

/// A value that lasts though no battery can have it, as the state of the word that names the
/// [value](crate::model::withheld::value_name).
pub(crate) const IMPLAUSIBLE: &str = "implausible";
/// A value that no working sensor measures, likewise.
pub(crate) const SENSOR_FAULT: &str = "sensor_fault";

/// What of its word an event is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// One bit of an event word.
    Bit(u32),
    /// What a state word says.
    State(Word),
}

impl Sign {
    /// The bit; 0 for what a state word says.
    #[must_use]
    pub fn bit(&self) -> u32 {
        match self {
            Self::Bit(bit) => *bit,
            Self::State(_) => 0,
        }
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bit(bit) => write!(f, "{bit:#x}"),
            Self::State(state) => state.fmt(f),
        }
    }
}

/// A condition that stands by what one reading says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Which word said it.
    pub word: WordName,
    /// What of that word.
    pub(crate) sign: Sign,
    /// How much it weighs.
    pub level: EventLevel,
    /// What it means.
    pub(crate) text: String,
}

/// What happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// It began and stands from now on.
    Raised,
    /// It stood and is over: an answer said so.
    Cleared,
    /// A moment, no condition: nothing will clear it.
    Noted,
}

impl EventKind {
    /// The word for it in logs and outputs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Cleared => "cleared",
            Self::Noted => "noted",
        }
    }
}

/// A change: something began, ended or happened. `bank`, `battery`, `word`, `sign` and `raised_at` together are
/// the same in what raises and what clears, and belong to no other event; `raised_at` differs if the clock was set
/// while it was active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The bank's name in the settings.
    pub(crate) bank: Arc<str>,
    /// Whose it is; none for the bank itself, its stack or the way to it.
    pub battery: Option<Place>,
    /// That battery's serial number, where it is known.
    pub barcode: Option<String>,
    /// What happened.
    pub kind: EventKind,
    /// Which word said it.
    pub word: WordName,
    /// What of that word.
    pub sign: Sign,
    /// The console's own name for it, where it printed one.
    pub name: Option<String>,
    /// How much it weighs.
    pub level: EventLevel,
    /// What it means.
    pub text: String,
    /// When it began: the begin of the sweep that said so.
    pub raised_at: Timestamp,
    /// When this happened; for what is raised or noted the same.
    pub at: Timestamp,
    /// How long it stood; only of what is cleared, and not where no clock can tell.
    pub duration: Option<Duration>,
}
