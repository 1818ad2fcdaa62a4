//! Values derived from many sweeps: energy and charge counters, time to go, health, and active events.

use crate::model::event::Standing;
use crate::model::health::Health;
use crate::model::identity::Identity;
use crate::model::pace::Pace;
use crate::model::units::{MilliampHours, MilliwattHours, Percent};

/// Energy and charge counters. They never decrease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turnover {
    pub energy_in: MilliwattHours,
    pub energy_out: MilliwattHours,
    pub charge_in: MilliampHours,
    pub charge_out: MilliampHours,
}

/// Derived values of a bank; `None` if not known (yet).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Insight {
    /// Of the whole bank, or of the stack in series.
    pub turnover: Option<Turnover>,
    /// Round-trip efficiency in percent, from one full charge to the next.
    pub(crate) efficiency: Option<f64>,
    /// The configured state of charge for which the time to go is published in addition to full and empty.
    pub(crate) target_soc: Percent,
    /// `None` while idle.
    pub(crate) pace: Option<Pace>,
    /// Active events of the stack itself.
    pub(crate) standing: Vec<Standing>,
    /// One entry per battery, by place.
    pub batteries: Vec<BatteryInsight>,
}

/// Derived values of one battery.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatteryInsight {
    /// `None` until its barcode has been read.
    pub identity: Option<Identity>,
    /// The battery's counters, at whichever place it was.
    pub turnover: Option<Turnover>,
    /// The place's counters, whichever battery was there.
    pub place: Option<Turnover>,
    /// `None` while idle.
    pub(crate) pace: Option<Pace>,
    pub health: Health,
    /// Active events of the words that this reading contains.
    pub standing: Vec<Standing>,
}
