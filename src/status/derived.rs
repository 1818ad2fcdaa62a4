//! The keys of derived values in the document: energy and charge counters, time to go, health, active events.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::derived::{BatteryDerivedValues, DerivedValues, EnergyTotals};
use crate::model::event::{ActiveEvent, EventLevel};
use crate::model::health::HealthVerdict;
use crate::model::trend::Trend;
use crate::model::units::Percent;

use super::decimal;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BankKeys {
    pub(crate) energy_charged_kwh: Option<f64>,
    pub(crate) energy_discharged_kwh: Option<f64>,
    pub(crate) charge_in_ah: Option<f64>,
    pub(crate) charge_out_ah: Option<f64>,
    pub(crate) round_trip_efficiency_percent: Option<f64>,
    pub(crate) time_to_full_h: Option<f64>,
    pub(crate) time_to_empty_h: Option<f64>,
    /// To the `target_soc` of the settings.
    pub(crate) time_to_target_h: Option<f64>,
    /// Active events of a stack.
    #[serde(default)]
    pub(crate) active_events: Vec<ActiveEventKeys>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeviceKeys {
    /// Counted at this place, whichever battery was there.
    pub(crate) energy_charged_kwh: Option<f64>,
    pub(crate) energy_discharged_kwh: Option<f64>,
    pub(crate) charge_in_ah: Option<f64>,
    pub(crate) charge_out_ah: Option<f64>,
    /// Counted for this battery, at whichever place it was.
    pub(crate) battery_energy_charged_kwh: Option<f64>,
    pub(crate) battery_energy_discharged_kwh: Option<f64>,
    pub(crate) battery_charge_in_ah: Option<f64>,
    pub(crate) battery_charge_out_ah: Option<f64>,
    pub(crate) time_to_full_h: Option<f64>,
    pub(crate) time_to_empty_h: Option<f64>,
    /// To the `target_soc` of the settings.
    pub(crate) time_to_target_h: Option<f64>,
    #[serde(default)]
    pub(crate) active_events: Vec<ActiveEventKeys>,
    #[serde(default)]
    pub(crate) health: HealthVerdict,
    /// The worst first.
    #[serde(default)]
    pub(crate) health_reasons: Vec<String>,
    /// The cell that was most often the lowest during the last day, counted from 1.
    pub(crate) lowest_cell: Option<u16>,
    /// Share of the last day.
    pub(crate) lowest_cell_percent: Option<f64>,
    /// The cell that was most often the highest during the last day, counted from 1.
    pub(crate) highest_cell: Option<u16>,
    /// Share of the last day.
    pub(crate) highest_cell_percent: Option<f64>,
    /// Highest minus lowest cell at rest.
    pub(crate) spread_rest_mv: Option<i32>,
    /// The same under load.
    pub(crate) spread_load_mv: Option<i32>,
    /// Share of the last day in which a cell was being balanced.
    pub(crate) balancing_percent: Option<f64>,
    pub(crate) capacity_seen_ah: Option<f64>,
    pub(crate) round_trip_efficiency_percent: Option<f64>,
    /// Share of the bank's current relative to its fair share.
    pub(crate) current_share_percent: Option<f64>,
    /// Days since it was last full.
    pub(crate) days_since_full: Option<f64>,
    /// Discharged charge over its lifetime, divided by its nominal capacity.
    pub(crate) cycles_by_charge: Option<f64>,
    /// By metric with its unit.
    #[serde(default)]
    pub(crate) trend: BTreeMap<String, TrendKeys>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ActiveEventKeys {
    pub(crate) word: String,
    /// The bit in hexadecimal, or the state.
    pub(crate) sign: String,
    /// `info` or `warning`.
    pub(crate) level: EventLevel,
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

/// A trend in the unit of its metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrendKeys {
    /// Change in thirty days.
    pub(crate) per_month: f64,
    /// Half width of the 95 % confidence interval.
    pub(crate) plus_minus: f64,
    /// Number of weeks with data.
    pub(crate) weeks: u16,
    /// The trend as a sentence.
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
        let [energy_charged_kwh, energy_discharged_kwh, charge_in_ah, charge_out_ah] =
            counter_values(insight.totals);
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
            counter_values(insight.place_totals);
        let (own, health) = (counter_values(insight.totals), &insight.health);
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

/// Returns kilowatt-hours in and out, ampere-hours in and out.
fn counter_values(totals: Option<EnergyTotals>) -> [Option<f64>; 4] {
    let values = totals.map(|totals| {
        let energy = [totals.energy_in, totals.energy_out].map(|energy| decimal(energy.0, 1_000_000, 3));
        let charge = [totals.charge_in, totals.charge_out].map(|charge| decimal(charge.0, 1000, 3));
        [energy[0], energy[1], charge[0], charge[1]]
    });
    values.map_or([None; 4], |values| values.map(Some))
}
