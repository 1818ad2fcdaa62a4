//! The place of a battery: its number on the console.

use std::fmt;
use std::num::NonZeroU8;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The place of a battery in its bank, counted from 1 as on the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Place(NonZeroU8);

impl Place {
    /// The place of the master battery, which the cable is plugged into.
    pub const FIRST: Self = Self(NonZeroU8::MIN);

    /// The highest place number. A group has at most 16 batteries, but several groups behind a hub have more: 96 were
    /// seen in one table.
    pub(crate) const MAX: u8 = 128;

    /// Returns `None` unless `number` is from 1 to [`Self::MAX`].
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        NonZeroU8::new(number).filter(|number| number.get() <= Self::MAX).map(Self)
    }

    /// Returns the number printed by the console, from 1.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0.get()
    }

    /// Returns the index in a list of batteries, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.number()) - 1
    }

    /// Returns all places from the first to number `last`.
    pub fn up_to(last: u8) -> impl Iterator<Item = Self> {
        (1..=last).filter_map(Self::new)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the number of a battery from 1 to {}", Place::MAX)]
pub struct ParsePlaceError;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Place {
    type Err = ParsePlaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().ok().and_then(Self::new).ok_or(ParsePlaceError)
    }
}
