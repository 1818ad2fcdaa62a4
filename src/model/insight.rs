//! What a reading means beside its figures: what stands, and what no single sweep can tell: energy and charge over the
//! years, time to go, health.

use crate::model::event::Standing;
use crate::model::health::Health;
use crate::model::identity::Identity;
use crate::model::pace::Pace;
use crate::model::units::{MilliampHours, MilliwattHours, Percent};

/// What went in and out since counting began. None of the four ever steps back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turnover {
    /// Energy charged.
    pub energy_in: MilliwattHours,
    /// Energy discharged.
    pub energy_out: MilliwattHours,
    /// Charge that went in.
    pub charge_in: MilliampHours,
    /// Charge that came out.
    pub charge_out: MilliampHours,
}

/// What many sweeps tell of a bank. What is not known (yet) is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Insight {
    /// Of the whole bank; of the stack in series.
    pub turnover: Option<Turnover>,
    /// What came out of what went in, in percent, from one full charge to the next.
    pub(crate) efficiency: Option<f64>,
    /// A state of charge to which the time is of interest, beside full and empty.
    pub(crate) target_soc: Percent,
    /// On its way to full or empty; nothing while it is idle.
    pub(crate) pace: Option<Pace>,
    /// What stands of the stack itself, by the catalogue of events.
    pub(crate) standing: Vec<Standing>,
    /// A value a battery, by place.
    pub batteries: Vec<BatteryInsight>,
}

/// What many sweeps tell of one battery.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatteryInsight {
    /// Who it is; `None` while its label has not been asked yet.
    pub identity: Option<Identity>,
    /// The battery's own, wherever it sat.
    pub turnover: Option<Turnover>,
    /// The place's, whoever sat there.
    pub place: Option<Turnover>,
    /// On its way to full or empty; nothing while it is idle.
    pub(crate) pace: Option<Pace>,
    /// How it is.
    pub health: Health,
    /// What stands, by the catalogue of events; of words that this reading has not, nothing.
    pub standing: Vec<Standing>,
}
