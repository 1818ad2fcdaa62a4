//! What batteries have measured of their own life, as rows: a figure when it has changed, and all of them after a
//! start.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::lifetime::LifetimeFigure;
use crate::model::report::BankReport;
use crate::store::Record;

/// From one row of a battery to the next, in milliseconds: throughput changes all the time, and cards wear.
const EVERY_MS: i64 = 60 * 60 * 1000;

/// Figures of a battery that were not stored yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifetimeRecord {
    /// The bank's name.
    pub(crate) bank: String,
    /// Where the battery sits.
    pub(crate) place: u8,
    /// The battery's barcode, where known.
    pub(crate) barcode: Option<String>,
    /// Each figure's name with its unit, and its value.
    pub(crate) values: Vec<(String, i64)>,
    /// When they were read, in milliseconds since 1970, UTC.
    pub(crate) taken_at_ms: i64,
}

/// Who a battery is: its barcode where that is known, else its place.
type Who = (String, u8, Option<String>);

/// What was stored last of each battery, and when.
#[derive(Debug, Default)]
pub(crate) struct LifetimeLog(BTreeMap<Who, (i64, BTreeMap<LifetimeFigure, i64>)>);

impl LifetimeLog {
    /// What has changed by this report.
    pub(crate) fn take(&mut self, report: &BankReport) -> Vec<Record> {
        let taken_at_ms = report.reading.taken_at.as_millisecond();
        let mut records = Vec::new();
        for (battery, facts) in report.reading.batteries.iter().zip(&report.facts) {
            let Some(lifetime) = &facts.lifetime else { continue };
            let (bank, place) = (report.reading.bank.to_string(), battery.place.number());
            let who = (bank.clone(), place, facts.barcode.clone());
            // The battery there before is no longer of interest, so there is one entry per place.
            self.0.retain(|known, _| (&known.0, known.1) != (&bank, place) || *known == who);
            let (stored_at, stored) = self.0.entry(who).or_insert((i64::MIN, BTreeMap::new()));
            let waits = (0..EVERY_MS).contains(&taken_at_ms.saturating_sub(*stored_at));
            if waits || *stored == lifetime.values {
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

    /// What is stored of a report, in the order of the names.
    fn stored(log: &mut LifetimeLog, report: &BankReport) -> Vec<(String, i64)> {
        let mut values = Vec::new();
        for record in log.take(report) {
            let Record::Lifetime(record) = record else { panic!("{record:?}") };
            assert_eq!(record.taken_at_ms, report.reading.taken_at.as_millisecond());
            values.extend(record.values);
        }
        values
    }

    #[test]
    fn a_figure_is_stored_when_it_changed_and_at_most_once_an_hour() {
        let mut log = LifetimeLog::default();
        let named = |name: &str, value| (name.to_owned(), value);
        let all = [named("capacity_mah", 71_000), named("cycles", 57)];
        assert_eq!(stored(&mut log, &report(0, 71_000, 57)), all);
        assert_eq!(stored(&mut log, &report(EVERY_MS, 71_000, 57)), []);
        assert_eq!(stored(&mut log, &report(EVERY_MS, 71_000, 58)), [named("cycles", 58)]);
        assert_eq!(stored(&mut log, &report(2 * EVERY_MS - 1, 70_900, 58)), []);
        assert_eq!(stored(&mut log, &report(2 * EVERY_MS, 70_900, 58)), [named("capacity_mah", 70_900)]);
    }
}
