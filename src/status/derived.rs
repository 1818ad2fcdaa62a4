//! What many sweeps tell, as keys of the document: counters of energy and charge, time to go, health.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::derived::{BatteryDerivedValues, DerivedValues, EnergyTotals};
use crate::model::event::{ActiveEvent, EventLevel};
use crate::model::health::HealthVerdict;
use crate::model::trend::Trend;
use crate::model::units::Percent;

use super::decimal;

/// The bank's keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BankKeys {
    /// Kilowatt-hours that went in since counting began.
    pub(crate) energy_charged_kwh: Option<f64>,
    /// Kilowatt-hours that came out.
    pub(crate) energy_discharged_kwh: Option<f64>,
    /// Ampere-hours that went in.
    pub(crate) charge_in_ah: Option<f64>,
    /// Ampere-hours that came out.
    pub(crate) charge_out_ah: Option<f64>,
    /// What came out of what went in, from one full charge to the next.
    pub(crate) round_trip_efficiency_percent: Option<f64>,
    /// Hours until it is full, as things go.
    pub(crate) time_to_full_h: Option<f64>,
    /// Hours until it is empty, as things go.
    pub(crate) time_to_empty_h: Option<f64>,
    /// Hours until it is at the `target_soc` of the settings, as things go.
    pub(crate) time_to_target_h: Option<f64>,
    /// What stands by a stack's own error code and states.
    #[serde(default)]
    pub(crate) active_events: Vec<ActiveEventKeys>,
}

/// A battery's keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeviceKeys {
    /// Kilowatt-hours that went in at this place, whichever battery sat there.
    pub(crate) energy_charged_kwh: Option<f64>,
    /// Kilowatt-hours that came out.
    pub(crate) energy_discharged_kwh: Option<f64>,
    /// Ampere-hours that went in.
    pub(crate) charge_in_ah: Option<f64>,
    /// Ampere-hours that came out.
    pub(crate) charge_out_ah: Option<f64>,
    /// Kilowatt-hours that went into this battery, wherever it sat.
    pub(crate) battery_energy_charged_kwh: Option<f64>,
    /// Kilowatt-hours that came out.
    pub(crate) battery_energy_discharged_kwh: Option<f64>,
    /// Ampere-hours that went in.
    pub(crate) battery_charge_in_ah: Option<f64>,
    /// Ampere-hours that came out.
    pub(crate) battery_charge_out_ah: Option<f64>,
    /// Hours until it is full, as things go.
    pub(crate) time_to_full_h: Option<f64>,
    /// Hours until it is empty, as things go.
    pub(crate) time_to_empty_h: Option<f64>,
    /// Hours until it is at the `target_soc` of the settings, as things go.
    pub(crate) time_to_target_h: Option<f64>,
    /// What stands by its event words and states.
    #[serde(default)]
    pub(crate) active_events: Vec<ActiveEventKeys>,
    /// The verdict.
    #[serde(default)]
    pub(crate) health: HealthVerdict,
    /// What it stands on, the worst first.
    #[serde(default)]
    pub(crate) health_reasons: Vec<String>,
    /// The cell that was mostly the lowest, from 1, and for how much of the last day.
    pub(crate) lowest_cell: Option<u16>,
    /// In percent.
    pub(crate) lowest_cell_percent: Option<f64>,
    /// The cell that was mostly the highest, from 1, and for how much of the last day.
    pub(crate) highest_cell: Option<u16>,
    /// In percent.
    pub(crate) highest_cell_percent: Option<f64>,
    /// Highest less lowest cell at rest.
    pub(crate) spread_rest_mv: Option<i32>,
    /// The same under load.
    pub(crate) spread_load_mv: Option<i32>,
    /// For how much of the last day a cell was being balanced.
    pub(crate) balancing_percent: Option<f64>,
    /// What it held in full cycles.
    pub(crate) capacity_seen_ah: Option<f64>,
    /// What came out of what went in, from one full charge to the next.
    pub(crate) round_trip_efficiency_percent: Option<f64>,
    /// Its share of the bank's current, of what would be fair.
    pub(crate) current_share_percent: Option<f64>,
    /// Days since it was last full.
    pub(crate) days_since_full: Option<f64>,
    /// Charge taken out over its life, in times its nominal capacity.
    pub(crate) cycles_by_charge: Option<f64>,
    /// Where its figures are heading, by the figure with its unit.
    #[serde(default)]
    pub(crate) trend: BTreeMap<String, TrendKeys>,
}

/// A condition that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ActiveEventKeys {
    /// Which word says so.
    pub(crate) word: String,
    /// The bit in hexadecimal, or the state.
    pub(crate) sign: String,
    /// `info` or `warning`.
    pub(crate) level: EventLevel,
    /// What it means.
    pub(crate) text: String,
}

impl ActiveEventKeys {
    fn of(standing: &[ActiveEvent]) -> Vec<Self> {
        let keys = |ActiveEvent { word, condition: sign, level, text }: &ActiveEvent| Self {
            word: word.to_string(),
            sign: sign.to_string(),
            level: *level,
            text: text.clone(),
        };
        standing.iter().map(keys).collect()
    }
}

/// Where a figure is heading, in its own unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrendKeys {
    /// How it changes in thirty days.
    pub(crate) per_month: f64,
    /// In 95 of 100 cases the truth lies no further away than this.
    pub(crate) plus_minus: f64,
    /// On how many weeks it stands.
    pub(crate) weeks: u16,
    /// All of it in a sentence.
    pub(crate) text: String,
}

impl TrendKeys {
    fn of(trend: &Trend) -> Self {
        let thousandths = |value: f64| (value * 1_000.0).round() / 1_000.0;
        Self {
            per_month: thousandths(trend.per_month),
            plus_minus: thousandths(trend.plus_minus),
            weeks: trend.weeks,
            text: trend.to_string(),
        }
    }
}

impl BankKeys {
    pub(super) fn of(insight: &DerivedValues) -> Self {
        let [energy_charged_kwh, energy_discharged_kwh, charge_in_ah, charge_out_ah] = four(insight.totals);
        Self {
            energy_charged_kwh,
            energy_discharged_kwh,
            charge_in_ah,
            charge_out_ah,
            round_trip_efficiency_percent: insight.efficiency.map(tenths),
            time_to_full_h: insight.charge_rate.and_then(|rate| rate.time_to_full()).map(hours),
            time_to_empty_h: insight.charge_rate.and_then(|rate| rate.time_to_empty()).map(hours),
            time_to_target_h: insight
                .charge_rate
                .and_then(|rate| rate.time_to_soc(insight.target_soc))
                .map(hours),
            active_events: ActiveEventKeys::of(&insight.active_events),
        }
    }
}

impl DeviceKeys {
    pub(super) fn of(insight: &BatteryDerivedValues, target_soc: Percent) -> Self {
        let [energy_charged_kwh, energy_discharged_kwh, charge_in_ah, charge_out_ah] =
            four(insight.place_totals);
        let (own, health) = (four(insight.totals), &insight.health);
        Self {
            energy_charged_kwh,
            energy_discharged_kwh,
            charge_in_ah,
            charge_out_ah,
            battery_energy_charged_kwh: own[0],
            battery_energy_discharged_kwh: own[1],
            battery_charge_in_ah: own[2],
            battery_charge_out_ah: own[3],
            time_to_full_h: insight.charge_rate.and_then(|rate| rate.time_to_full()).map(hours),
            time_to_empty_h: insight.charge_rate.and_then(|rate| rate.time_to_empty()).map(hours),
            time_to_target_h: insight.charge_rate.and_then(|rate| rate.time_to_soc(target_soc)).map(hours),
            active_events: ActiveEventKeys::of(&insight.active_events),
            health: health.verdict,
            health_reasons: health.reasons.iter().map(ToString::to_string).collect(),
            lowest_cell: health.lowest.map(|steady| steady.cell),
            lowest_cell_percent: health.lowest.map(|steady| tenths(steady.percent)),
            highest_cell: health.highest.map(|steady| steady.cell),
            highest_cell_percent: health.highest.map(|steady| tenths(steady.percent)),
            spread_rest_mv: health.spread_rest.map(|spread| spread.0),
            spread_load_mv: health.spread_load.map(|spread| spread.0),
            balancing_percent: health.balancing.map(tenths),
            capacity_seen_ah: health.capacity_seen.map(|seen| decimal(seen.0, 1000, 1)),
            round_trip_efficiency_percent: health.efficiency.map(tenths),
            current_share_percent: health.current_share.map(tenths),
            days_since_full: health.days_since_full.map(tenths),
            cycles_by_charge: health.cycles_by_charge.map(tenths),
            trend: health
                .trends
                .iter()
                .map(|trend| (trend.metric.key().to_owned(), TrendKeys::of(trend)))
                .collect(),
        }
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn hours(long: Duration) -> f64 {
    tenths(long.as_secs_f64() / 3_600.0)
}

/// Kilowatt-hours in and out, ampere-hours in and out.
fn four(turnover: Option<EnergyTotals>) -> [Option<f64>; 4] {
    let values = turnover.map(|turnover| {
        let energy = [turnover.energy_in, turnover.energy_out].map(|energy| decimal(energy.0, 1_000_000, 3));
        let charge = [turnover.charge_in, turnover.charge_out].map(|charge| decimal(charge.0, 1000, 3));
        [energy[0], energy[1], charge[0], charge[1]]
    });
    values.map_or([None; 4], |values| values.map(Some))
}
