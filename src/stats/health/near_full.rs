//! Finds cells that run ahead of the others or lag behind near full.
//!
//! ```text
//!  mV ┤            ●  ahead: a cell is at the charger's limit while the others are not,
//!     │           ╱   although hardly any current flows
//!     │      ____╱____________ the middle cell
//!     │  ___╱     ╲
//!     │            ╲__________ behind: at rest, far below the middle cell
//!     └────────────────────────► t
//! ```
//! Both are visible without an empty battery, so a defective cell is found long before a deep discharge.

use serde::{Deserialize, Serialize};

use crate::stats::health::{COOL_CURRENT, DAY, HOUR, REST_CURRENT, STEEP_ABOVE};
use crate::stats::means::RunningMeans;

#[derive(Debug)]
#[cfg_attr(
    not(feature = "internals"),
    expect(dead_code, reason = "a test compares the documentation with it")
)]
pub struct NearFullLimit {
    pub name: &'static str,
    pub value: f64,
    pub unit: &'static str,
    /// Where the number comes from.
    pub source: &'static str,
}

const fn row(name: &'static str, value: f64, unit: &'static str, source: &'static str) -> NearFullLimit {
    NearFullLimit { name, value, unit, source }
}

/// The limits, in the order of the constants below.
pub const NEAR_FULL_LIMITS: &[NearFullLimit] = &[
    row(
        "near full: state of charge from",
        95.0,
        "%",
        "the voltage of an LFP cell at rest is flat below; the highest cell above 3 400 mV shows it as well",
    ),
    row(
        "ahead: cell voltage of at least",
        3_550.0,
        "mV",
        "consoles raise `BHV` at 3 600 mV and batteries are charged to about 3 530 mV per cell",
    ),
    row("ahead: above the median cell by", 80.0, "mV", "a defective cell was 120 mV above at 0.12 C"),
    row("ahead: at a current of at most", COOL_CURRENT, "C", "the drop in a sound cell is below 15 mV there"),
    row("ahead: seen in at least", 2.0, "full sweeps", "damage does not repeat identically"),
    row("ahead: forgotten after", 30.0, "days watched", "a new battery is balanced by then"),
    row(
        "behind: below the median cell by",
        75.0,
        "mV",
        "a defective cell was 80 to 114 mV below for four hours",
    ),
    row(
        "behind: compared with any other cell, at least",
        2.5,
        "times as far below",
        "cells of a sound battery that is not balanced lag one after the other",
    ),
    row("behind: at rest near full for", 1.0, "h", "after half an hour of relaxation"),
];

const fn limit(index: usize) -> f64 {
    NEAR_FULL_LIMITS[index].value
}

const SOC: f64 = limit(0);
const AHEAD_AT: f64 = limit(1);
const AHEAD_BY: f64 = limit(2);
const LITTLE_CURRENT: f64 = limit(3);
const LOOKS: u32 = limit(4) as u32;
const FORGOTTEN_AFTER: f64 = limit(5) * DAY;
const BEHIND_BY: f64 = limit(6);
const BEHIND_TIMES: f64 = limit(7);
const BEHIND_FOR: f64 = limit(8) * HOUR;

/// Deviations of the cells near full.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NearFull {
    /// At rest: each cell's deviation.
    rest: RunningMeans,
    /// While a cell ran ahead: the current in capacities an hour, the highest cell, each cell's deviation.
    ahead: RunningMeans,
    /// The number of samples in which one did.
    looks: u32,
    /// The observation time of the battery at the last of them, in seconds.
    last: f64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct CellLook<'a> {
    /// In millivolts.
    pub(crate) highest: f64,
    /// Each cell's distance from the middle one.
    pub(crate) deviations: &'a [f64],
    /// The current in capacities an hour.
    pub(crate) rate: f64,
    /// Percent.
    pub(crate) soc: f64,
    pub(crate) rested: bool,
    /// Since the last sample.
    pub(crate) seconds: f64,
    /// The observation time of the battery, in seconds.
    pub(crate) watched: f64,
}

/// A cell that runs ahead of the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ahead {
    /// By so many millivolts.
    pub(crate) above: f64,
    /// The highest cell, in millivolts.
    pub(crate) highest: f64,
    /// At this current, in capacities an hour.
    pub(crate) rate: f64,
}

impl NearFull {
    pub(super) fn take(&mut self, look: &CellLook<'_>) {
        if look.rested && (look.soc >= SOC || look.highest >= STEEP_ABOVE) {
            self.rest.take(look.deviations, look.seconds, 4.0 * HOUR);
        }
        let most = look.deviations.iter().copied().fold(0.0, f64::max);
        let little = (-REST_CURRENT..=LITTLE_CURRENT).contains(&look.rate);
        if little && look.highest >= AHEAD_AT && most >= AHEAD_BY && look.seconds > 0.0 {
            if look.watched - self.last > FORGOTTEN_AFTER {
                (self.ahead, self.looks) = (RunningMeans::default(), 0);
            }
            let values = [look.rate, look.highest].into_iter().chain(look.deviations.iter().copied());
            self.ahead.take(&values.collect::<Vec<_>>(), look.seconds, HOUR);
            (self.looks, self.last) = (self.looks.saturating_add(1), look.watched);
        }
    }

    pub(super) fn cells(&self) -> usize {
        let ahead = self.ahead.after(0.0).map_or(0, |means| means.len().saturating_sub(2));
        ahead.max(self.rest.after(0.0).map_or(0, <[f32]>::len))
    }

    /// Returns whether a cell (counted from 0) with a sensing error of `offset` millivolts runs ahead, after `watched`
    /// seconds of observation.
    pub(super) fn ahead(&self, cell: usize, offset: f64, watched: f64) -> Option<Ahead> {
        let seen = self.looks >= LOOKS && watched - self.last <= FORGOTTEN_AFTER;
        let [rate, highest, deviations @ ..] = self.ahead.after(0.0).filter(|_| seen)? else { return None };
        let above = f64::from(*deviations.get(cell)?) - offset;
        let ahead = Ahead { above, highest: f64::from(*highest), rate: f64::from(*rate) };
        Some(ahead).filter(|ahead| ahead.above >= AHEAD_BY)
    }

    /// Returns by how many millivolts such a cell lags behind, if it does.
    pub(super) fn behind(&self, cell: usize, offset: f64) -> Option<f64> {
        let means = self.rest.after(BEHIND_FOR)?;
        let below = offset - f64::from(*means.get(cell)?);
        let others = means.iter().enumerate().filter(|(other, _)| *other != cell);
        let next = others.map(|(_, deviation)| -f64::from(*deviation)).fold(0.0, f64::max);
        Some(below).filter(|below| *below >= BEHIND_BY && *below >= next * BEHIND_TIMES)
    }

    pub(super) fn sound(&self) -> bool {
        [&self.rest, &self.ahead].into_iter().all(RunningMeans::sound) && self.last.is_finite()
    }
}
