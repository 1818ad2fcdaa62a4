//! Values derived from many sweeps: energy and charge counters, time to go, health, and active events.

use crate::model::charge_rate::ChargeRate;
use crate::model::event::ActiveEvent;
use crate::model::health::BatteryHealth;
use crate::model::identity::Identity;
use crate::model::units::{MilliampHours, MilliwattHours, Percent};

/// Energy and charge counters. They never decrease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnergyTotals {
    pub energy_in: MilliwattHours,
    pub energy_out: MilliwattHours,
    pub charge_in: MilliampHours,
    pub charge_out: MilliampHours,
}

/// Derived values of a bank; `None` if not known (yet).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DerivedValues {
    /// Of the whole bank, or of the stack in series.
    pub totals: Option<EnergyTotals>,
    /// Round-trip efficiency in percent, from one full charge to the next.
    pub(crate) efficiency: Option<f64>,
    /// The configured state of charge for which the time to go is published in addition to full and empty.
    pub(crate) target_soc: Percent,
    /// `None` while idle.
    pub(crate) charge_rate: Option<ChargeRate>,
    /// Active events of the stack itself.
    pub(crate) active_events: Vec<ActiveEvent>,
    /// One entry per battery, by place.
    pub batteries: Vec<BatteryDerivedValues>,
}

/// Derived values of one battery.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatteryDerivedValues {
    /// `None` until its barcode has been read.
    pub identity: Option<Identity>,
    /// The battery's counters, at whichever place it was.
    pub totals: Option<EnergyTotals>,
    /// The place's counters, whichever battery was there.
    pub place_totals: Option<EnergyTotals>,
    /// `None` while idle.
    pub(crate) charge_rate: Option<ChargeRate>,
    pub health: BatteryHealth,
    /// Active events of the words that this reading contains.
    pub active_events: Vec<ActiveEvent>,
}
