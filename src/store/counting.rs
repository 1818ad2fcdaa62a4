//! The counters of a bank, of its places and of its batteries as rows: each quarter of an hour how far they have come,
//! since in between they can be worked out from what is stored anyway, and cards wear.

use std::collections::BTreeMap;

use crate::model::derived::EnergyTotals;
use crate::model::report::BankReport;
use crate::store::Record;
use crate::store::record::{Counter, Whose};

/// From one look to the next, in milliseconds.
const EVERY_MS: i64 = 15 * 60 * 1000;

/// What is counted, with its unit, and how to read it.
type Counted = (&'static str, fn(&EnergyTotals) -> i64);

const COUNTED: [Counted; 4] = [
    ("charged_mwh", |turnover| turnover.energy_in.0),
    ("discharged_mwh", |turnover| turnover.energy_out.0),
    ("charge_in_mah", |turnover| turnover.charge_in.0),
    ("charge_out_mah", |turnover| turnover.charge_out.0),
];

/// When each bank's counters were stored last: milliseconds since 1970, UTC.
#[derive(Debug, Default)]
pub(crate) struct Counting(BTreeMap<String, i64>);

impl Counting {
    /// The counters that a report shows, where it is time for them.
    pub(crate) fn take(&mut self, report: &BankReport) -> Vec<Record> {
        let reading = &report.reading;
        let (bank, taken_at_ms) = (reading.bank.to_string(), reading.taken_at.as_millisecond());
        let is_due = |last: &i64| !(0..EVERY_MS).contains(&taken_at_ms.saturating_sub(*last));
        if !self.0.get(&bank).is_none_or(is_due) {
            return Vec::new();
        }
        let mut all = Vec::from_iter(report.derived.totals.map(|turnover| (Whose::Bank, turnover)));
        for (battery, insight) in reading.batteries.iter().zip(&report.derived.batteries) {
            let place = battery.place.number();
            let barcode = report.facts.get(battery.place.index()).and_then(|facts| facts.barcode.clone());
            all.extend(insight.place.map(|turnover| (Whose::Place(place), turnover)));
            all.extend(insight.turnover.map(|turnover| (Whose::Battery { place, barcode }, turnover)));
        }
        if !all.is_empty() {
            self.0.insert(bank.clone(), taken_at_ms);
        }
        let rows = |(whose, turnover): (Whose, EnergyTotals)| {
            let bank = bank.clone();
            COUNTED.map(move |(name, value)| {
                let (bank, whose) = (bank.clone(), whose.clone());
                let (name, value) = (name.to_owned(), value(&turnover));
                Record::Counter(Box::new(Counter { bank, whose, name, value, taken_at_ms }))
            })
        };
        all.into_iter().flat_map(rows).collect()
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
        let turnover = Some(EnergyTotals { energy_in: MilliwattHours(charged), ..EnergyTotals::default() });
        let battery = BatteryDerivedValues {
            totals: turnover,
            place_totals: turnover,
            ..BatteryDerivedValues::default()
        };
        report.derived =
            DerivedValues { totals: turnover, batteries: vec![battery], ..DerivedValues::default() };
        report
    }

    #[test]
    fn a_bank_its_places_and_its_batteries_are_told_each_quarter_of_an_hour() {
        let mut counting = Counting::default();
        assert_eq!(counting.take(&report(0, 5)).len(), 3 * COUNTED.len());
        assert_eq!(counting.take(&report(EVERY_MS - 1, 6)), []);
        let told = counting.take(&report(EVERY_MS, 7));
        let Some(Record::Counter(first)) = told.first() else { panic!("{told:?}") };
        assert_eq!((first.name.as_str(), first.value, first.taken_at_ms), ("charged_mwh", 7, EVERY_MS));
        assert_eq!(counting.take(&report(0, 8)).len(), 3 * COUNTED.len(), "the clock was set back");
    }

    #[test]
    fn what_is_not_counted_is_not_told_and_asked_again_at_once() {
        let mut counting = Counting::default();
        let mut unknown = report(0, 0);
        unknown.derived = DerivedValues::default();
        assert_eq!(counting.take(&unknown), []);
        assert_eq!(counting.take(&report(1, 5)).len(), 3 * COUNTED.len());
    }
}
