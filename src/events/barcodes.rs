//! Finds batteries in all banks that can't be identified by their barcode because it is not plausible or not unique.
//!
//! History and counters identify such batteries by their places; the log explains why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::identity::is_plausible;
use crate::model::place::Place;
use crate::model::reading::Presence;
use crate::model::report::BankReport;

/// A bank and a place in it.
pub(crate) type Location = (Arc<str>, Place);

/// A change that is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BarcodeFinding {
    /// Two batteries state the same barcode.
    Shared { barcode: String, locations: [Location; 2] },
    /// Only one battery with a formerly shared barcode is left.
    Unique { barcode: String },
    /// The barcode is not plausible: too short, all zeros, or without a digit.
    Unusable { barcode: String, location: Location },
}

/// The barcode of each battery, and those that are shared.
#[derive(Debug, Default)]
pub(crate) struct Barcodes {
    stated: BTreeMap<Location, String>,
    shared: BTreeMap<String, BTreeSet<Location>>,
}

impl Barcodes {
    /// Updates the barcodes and returns what changed.
    pub(crate) fn take(&mut self, report: &BankReport) -> Vec<BarcodeFinding> {
        let bank = &report.reading.bank;
        let mut findings = Vec::new();
        for battery in &report.reading.batteries {
            let location = (bank.clone(), battery.place);
            let barcode = report.facts.get(battery.place.index()).and_then(|facts| facts.barcode.clone());
            match barcode {
                _ if battery.presence == Presence::Absent => self.remove(&location, &mut findings),
                Some(barcode) if self.stated.get(&location) != Some(&barcode) => {
                    self.remove(&location, &mut findings);
                    self.stated.insert(location.clone(), barcode.clone());
                    findings.extend(self.find(barcode, location));
                }
                // Without a barcode in this report, the battery is assumed to be the same.
                _ => {}
            }
        }
        findings
    }

    fn find(&mut self, barcode: String, location: Location) -> Option<BarcodeFinding> {
        if !is_plausible(&barcode) {
            return Some(BarcodeFinding::Unusable { barcode, location });
        }
        let mut others =
            self.stated.iter().filter(|(other, stated)| **stated == barcode && **other != location);
        let (other, _) = others.next()?;
        let all = self.shared.entry(barcode.clone()).or_default();
        all.extend([other.clone(), location.clone()]);
        Some(BarcodeFinding::Shared { barcode, locations: [other.clone(), location] })
    }

    fn remove(&mut self, location: &Location, findings: &mut Vec<BarcodeFinding>) {
        let Some(barcode) = self.stated.remove(location) else { return };
        let Some(locations) = self.shared.get_mut(&barcode) else { return };
        locations.remove(location);
        if locations.len() < 2 {
            self.shared.remove(&barcode);
            findings.push(BarcodeFinding::Unique { barcode });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::model::facts::Facts;
    use crate::model::reading::{BankReading, BatteryReading, SweepKind};

    /// A report of a bank whose batteries state these barcodes; an empty string is an empty place.
    fn report(bank: &str, barcodes: &[Option<&str>]) -> BankReport {
        let last = u8::try_from(barcodes.len()).expect("a few");
        let mut batteries: Vec<_> = Place::up_to(last).map(BatteryReading::empty).collect();
        for (battery, barcode) in batteries.iter_mut().zip(barcodes) {
            let absent = *barcode == Some("");
            battery.presence = if absent { Presence::Absent } else { Presence::Present };
        }
        let facts = |barcode: &Option<&str>| {
            let barcode = barcode.filter(|barcode| !barcode.is_empty()).map(str::to_owned);
            Facts { barcode, ..Facts::default() }
        };
        let reading = BankReading {
            bank: Arc::from(bank),
            kind: SweepKind::Full,
            taken_at: jiff::Timestamp::UNIX_EPOCH,
            began: Instant::now(),
            took: Duration::ZERO,
            asked_again: 0,
            stack: None,
            batteries,
            facts: Vec::new(),
            unreadable_facts: Vec::new(),
            answered: Vec::new(),
            device_log: Vec::new(),
            missing: Vec::new(),
        };
        BankReport { facts: barcodes.iter().map(facts).collect(), ..BankReport::of_one(reading) }
    }

    fn update(barcodes: &mut Barcodes, bank: &str, stated: &[Option<&str>]) -> Vec<String> {
        let name = |(bank, place): &Location| format!("{bank} {place}");
        let line = |finding: &BarcodeFinding| match finding {
            BarcodeFinding::Shared { barcode, locations } => {
                format!("{barcode} {} and {}", name(&locations[0]), name(&locations[1]))
            }
            BarcodeFinding::Unique { barcode } => format!("{barcode} unique"),
            BarcodeFinding::Unusable { barcode, location } => {
                format!("{barcode} unusable {}", name(location))
            }
        };
        barcodes.take(&report(bank, stated)).iter().map(line).collect()
    }

    #[test]
    fn a_shared_barcode_is_reported_once_across_all_banks() {
        let mut all = Barcodes::default();
        let none: [&str; 0] = [];
        assert_eq!(update(&mut all, "east", &[Some("K2210001"), None, Some("K2210003")]), none);
        assert_eq!(update(&mut all, "west", &[Some("K2210003")]), ["K2210003 east 3 and west 1"]);
        assert_eq!(update(&mut all, "west", &[Some("K2210003")]), none);
        assert_eq!(update(&mut all, "west", &[None]), none, "not stated in this report");
        assert_eq!(
            update(&mut all, "east", &[Some("K2210001"), Some("K2210001"), Some("K2210003")]),
            ["K2210001 east 1 and east 2"]
        );
        assert_eq!(update(&mut all, "west", &[Some("")]), ["K2210003 unique"]);
        assert_eq!(
            update(&mut all, "east", &[Some("K2210001"), Some("K2210002"), Some("K2210003")]),
            ["K2210001 unique"]
        );
    }

    #[test]
    fn an_implausible_barcode_is_reported_once_per_place() {
        let mut all = Barcodes::default();
        let zeros = Some("0000000000000000");
        let each = ["0000000000000000 unusable east 1", "0000000000000000 unusable east 2"];
        assert_eq!(update(&mut all, "east", &[zeros, zeros]), each);
        assert_eq!(update(&mut all, "east", &[zeros, zeros]), [""; 0]);
    }
}
