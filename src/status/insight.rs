//! What many sweeps tell, as keys of the document: counters of energy and charge.

use serde::{Deserialize, Serialize};

use crate::model::insight::{BatteryInsight, Insight, Turnover};

use super::decimal;

/// The bank's keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BankKeys {
    /// Kilowatt-hours that went in since counting began.
    pub energy_charged_kwh: Option<f64>,
    /// Kilowatt-hours that came out.
    pub energy_discharged_kwh: Option<f64>,
    /// Ampere-hours that went in.
    pub charge_in_ah: Option<f64>,
    /// Ampere-hours that came out.
    pub charge_out_ah: Option<f64>,
}

/// A battery's keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceKeys {
    /// Kilowatt-hours that went in at this place, whichever battery sat there.
    pub energy_charged_kwh: Option<f64>,
    /// Kilowatt-hours that came out.
    pub energy_discharged_kwh: Option<f64>,
    /// Ampere-hours that went in.
    pub charge_in_ah: Option<f64>,
    /// Ampere-hours that came out.
    pub charge_out_ah: Option<f64>,
    /// Kilowatt-hours that went into this battery, wherever it sat.
    pub battery_energy_charged_kwh: Option<f64>,
    /// Kilowatt-hours that came out.
    pub battery_energy_discharged_kwh: Option<f64>,
    /// Ampere-hours that went in.
    pub battery_charge_in_ah: Option<f64>,
    /// Ampere-hours that came out.
    pub battery_charge_out_ah: Option<f64>,
}

impl BankKeys {
    pub(super) fn of(insight: &Insight) -> Self {
        let [energy_charged_kwh, energy_discharged_kwh, charge_in_ah, charge_out_ah] = four(insight.turnover);
        Self { energy_charged_kwh, energy_discharged_kwh, charge_in_ah, charge_out_ah }
    }
}

impl DeviceKeys {
    pub(super) fn of(insight: &BatteryInsight) -> Self {
        let [energy_charged_kwh, energy_discharged_kwh, charge_in_ah, charge_out_ah] = four(insight.place);
        let own = four(insight.turnover);
        Self {
            energy_charged_kwh,
            energy_discharged_kwh,
            charge_in_ah,
            charge_out_ah,
            battery_energy_charged_kwh: own[0],
            battery_energy_discharged_kwh: own[1],
            battery_charge_in_ah: own[2],
            battery_charge_out_ah: own[3],
        }
    }
}

/// Kilowatt-hours in and out, ampere-hours in and out.
fn four(turnover: Option<Turnover>) -> [Option<f64>; 4] {
    let values = turnover.map(|turnover| {
        let energy = [turnover.energy_in, turnover.energy_out].map(|energy| decimal(energy.0, 1_000_000, 3));
        let charge = [turnover.charge_in, turnover.charge_out].map(|charge| decimal(charge.0, 1000, 3));
        [energy[0], energy[1], charge[0], charge[1]]
    });
    values.map_or([None; 4], |values| values.map(Some))
}
