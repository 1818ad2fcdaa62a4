//! Samples the lifetime statistics that batteries keep themselves: a value when it has changed, and all values after a
//! start.

use std::collections::BTreeMap;

use crate::model::lifetime::LifetimeFigure;
use crate::model::report::BankReport;
use crate::store::model::record::{LifetimeRecord, Record};

/// Milliseconds between two records of a battery: throughput changes all the time, and flash wears.
const INTERVAL_MS: i64 = 60 * 60 * 1000;

/// Identifies a battery: bank, place and barcode.
type BatteryKey = (String, u8, Option<String>);

/// The values stored last for each battery, and when.
#[derive(Debug, Default)]
pub struct LifetimeSampler(BTreeMap<BatteryKey, (i64, BTreeMap<LifetimeFigure, i64>)>);

impl LifetimeSampler {
    /// The values that this report changes.
    pub fn sample(&mut self, report: &BankReport) -> Vec<Record> {
        let taken_at_ms = report.reading.taken_at.as_millisecond();
        let mut records = Vec::new();
        for (battery, facts) in report.reading.batteries.iter().zip(&report.facts) {
            let Some(lifetime) = &facts.lifetime else { continue };
            let (bank, place) = (report.reading.bank.to_string(), battery.place.number());
            let key = (bank.clone(), place, facts.barcode.clone());
            // One entry per place: the previous battery there no longer matters.
            self.0.retain(|known, _| (&known.0, known.1) != (&bank, place) || *known == key);
            let (stored_at, stored) = self.0.entry(key).or_insert((i64::MIN, BTreeMap::new()));
            let is_too_soon = (0..INTERVAL_MS).contains(&taken_at_ms.saturating_sub(*stored_at));
            if is_too_soon || *stored == lifetime.values {
                continue;
            }
            let changed = lifetime.values.iter().filter(|(figure, value)| stored.get(figure) != Some(value));
            let values: Vec<_> =
                changed.map(|(figure, value)| (figure.column().to_owned(), *value)).collect();
            (*stored_at, *stored) = (taken_at_ms, lifetime.values.clone());
            if !values.is_empty() {
                let barcode = facts.barcode.clone();
                records.push(LifetimeRecord { bank, place, barcode, values, taken_at_ms });
            }
        }
        records.into_iter().map(|record| Record::Lifetime(Box::new(record))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::model::facts::{FactSource, Facts};
    use crate::model::lifetime::Lifetime;
    use crate::model::place::Place;
    use crate::model::reading::{BankReading, BatteryReading, SweepKind};

    fn report(at_ms: i64, capacity: i64, cycles: i64) -> BankReport {
        let taken_at = jiff::Timestamp::from_millisecond(at_ms).expect("a time");
        let values = BTreeMap::from([(LifetimeFigure::Capacity, capacity), (LifetimeFigure::Cycles, cycles)]);
        let lifetime = Some(Arc::new(Lifetime { read_at: taken_at, values }));
        let mut battery = BatteryReading::empty(Place::FIRST);
        battery.facts.push((FactSource::Euro, Facts { lifetime, ..Facts::default() }));
        BankReport::of_one(BankReading {
            bank: Arc::from("bank"),
            kind: SweepKind::Summary,
            taken_at,
            began: Instant::now(),
            took: Duration::ZERO,
            asked_again: 0,
            answered: Vec::new(),
            stack: None,
            batteries: vec![battery],
            facts: Vec::new(),
            device_log: Vec::new(),
            missing: Vec::new(),
            unreadable_facts: Vec::new(),
        })
    }

    /// The values stored for a report, in the order of the names.
    fn stored(log: &mut LifetimeSampler, report: &BankReport) -> Vec<(String, i64)> {
        let mut values = Vec::new();
        for record in log.sample(report) {
            let Record::Lifetime(record) = record else { panic!("{record:?}") };
            assert_eq!(record.taken_at_ms, report.reading.taken_at.as_millisecond());
            values.extend(record.values);
        }
        values
    }

    #[test]
    fn a_value_is_stored_when_it_changes_at_most_once_an_hour() {
        let mut log = LifetimeSampler::default();
        let named = |name: &str, value| (name.to_owned(), value);
        let all = [named("capacity_mah", 71_000), named("cycles", 57)];
        assert_eq!(stored(&mut log, &report(0, 71_000, 57)), all);
        assert_eq!(stored(&mut log, &report(INTERVAL_MS, 71_000, 57)), []);
        assert_eq!(stored(&mut log, &report(INTERVAL_MS, 71_000, 58)), [named("cycles", 58)]);
        assert_eq!(stored(&mut log, &report(2 * INTERVAL_MS - 1, 70_900, 58)), []);
        assert_eq!(stored(&mut log, &report(2 * INTERVAL_MS, 70_900, 58)), [named("capacity_mah", 70_900)]);
    }
}
