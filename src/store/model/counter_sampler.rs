//! Samples the energy and charge counters of a bank, its places and its batteries every 15 minutes: in between they can
//! be computed from the readings, and flash wears.

use std::collections::BTreeMap;

use crate::model::derived::EnergyTotals;
use crate::model::report::BankReport;
use crate::store::model::record::{CounterRecord, CounterScope, Record};

/// Milliseconds between two samples.
const INTERVAL_MS: i64 = 15 * 60 * 1000;

/// The name of a counter, with its unit, and how to read it.
type CounterReader = (&'static str, fn(&EnergyTotals) -> i64);

const COUNTERS: [CounterReader; 4] = [
    ("charged_mwh", |totals| totals.energy_in.0),
    ("discharged_mwh", |totals| totals.energy_out.0),
    ("charge_in_mah", |totals| totals.charge_in.0),
    ("charge_out_mah", |totals| totals.charge_out.0),
];

/// When each bank's counters were stored last: milliseconds since 1970, UTC.
#[derive(Debug, Default)]
pub(crate) struct CounterSampler(BTreeMap<String, i64>);

impl CounterSampler {
    /// The counters in a report, if they are due.
    pub(crate) fn sample(&mut self, report: &BankReport) -> Vec<Record> {
        let reading = &report.reading;
        let (bank, taken_at_ms) = (reading.bank.to_string(), reading.taken_at.as_millisecond());
        let is_due = |last: &i64| !(0..INTERVAL_MS).contains(&taken_at_ms.saturating_sub(*last));
        if !self.0.get(&bank).is_none_or(is_due) {
            return Vec::new();
        }
        let mut all = Vec::from_iter(report.derived.totals.map(|totals| (CounterScope::Bank, totals)));
        for (battery, derived) in reading.batteries.iter().zip(&report.derived.batteries) {
            let place = battery.place.number();
            let barcode = report.facts.get(battery.place.index()).and_then(|facts| facts.barcode.clone());
            all.extend(derived.place_totals.map(|totals| (CounterScope::Place(place), totals)));
            all.extend(derived.totals.map(|totals| (CounterScope::Battery { place, barcode }, totals)));
        }
        if !all.is_empty() {
            self.0.insert(bank.clone(), taken_at_ms);
        }
        let records = |(scope, totals): (CounterScope, EnergyTotals)| {
            let bank = bank.clone();
            COUNTERS.map(move |(name, value)| {
                let (bank, scope) = (bank.clone(), scope.clone());
                let (name, value) = (name.to_owned(), value(&totals));
                Record::Counter(Box::new(CounterRecord { bank, scope, name, value, taken_at_ms }))
            })
        };
        all.into_iter().flat_map(records).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::model::derived::{BatteryDerivedValues, DerivedValues};
    use crate::model::place::Place;
    use crate::model::reading::{BankReading, BatteryReading, SweepKind};
    use crate::model::units::MilliwattHours;

    fn report(at_ms: i64, charged: i64) -> BankReport {
        let mut report = BankReport::of_one(BankReading {
            device_log: Vec::new(),
            bank: Arc::from("bank"),
            kind: SweepKind::Full,
            taken_at: jiff::Timestamp::from_millisecond(at_ms).expect("a time"),
            began: Instant::now(),
            took: Duration::ZERO,
            asked_again: 0,
            stack: None,
            batteries: Place::up_to(1).map(BatteryReading::empty).collect(),
            facts: Vec::new(),
            answered: Vec::new(),
            missing: Vec::new(),
            unreadable_facts: Vec::new(),
        });
        let totals = Some(EnergyTotals { energy_in: MilliwattHours(charged), ..EnergyTotals::default() });
        let battery =
            BatteryDerivedValues { totals, place_totals: totals, ..BatteryDerivedValues::default() };
        report.derived = DerivedValues { totals, batteries: vec![battery], ..DerivedValues::default() };
        report
    }

    #[test]
    fn counters_are_sampled_every_quarter_of_an_hour() {
        let mut sampler = CounterSampler::default();
        assert_eq!(sampler.sample(&report(0, 5)).len(), 3 * COUNTERS.len());
        assert_eq!(sampler.sample(&report(INTERVAL_MS - 1, 6)), []);
        let sampled = sampler.sample(&report(INTERVAL_MS, 7));
        let Some(Record::Counter(first)) = sampled.first() else { panic!("{sampled:?}") };
        assert_eq!((first.name.as_str(), first.value, first.taken_at_ms), ("charged_mwh", 7, INTERVAL_MS));
        assert_eq!(sampler.sample(&report(0, 8)).len(), 3 * COUNTERS.len(), "the clock was set back");
    }

    #[test]
    fn unknown_counters_are_not_sampled_and_retried_at_once() {
        let mut sampler = CounterSampler::default();
        let mut unknown = report(0, 0);
        unknown.derived = DerivedValues::default();
        assert_eq!(sampler.sample(&unknown), []);
        assert_eq!(sampler.sample(&report(1, 5)).len(), 3 * COUNTERS.len());
    }
}
