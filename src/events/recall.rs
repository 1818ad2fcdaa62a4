//! What batteries remember by themselves, told once: records that were read before are not told again.
//!
//! No checksum guards a record, and it is kept for years. So it counts once it was read the same a second time,
//! which is why the plan asks twice. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::model::memory::{MemoryRecord, Recollection};
use crate::model::place::Place;
use crate::model::report::BankReport;

/// So many records of a battery are known by heart; a console keeps some hundreds.
const MOST: usize = 1024;

/// The records read so far.
#[derive(Debug, Default)]
pub struct Recall {
    read: BTreeMap<(Arc<str>, Option<Place>), Known>,
}

/// The records of one battery.
#[derive(Debug, Default)]
struct Known {
    barcode: Option<String>,
    once: BTreeSet<MemoryRecord>,
    told: BTreeSet<MemoryRecord>,
}

impl Recall {
    /// The records in a report that count now and did not before, by battery.
    pub fn take(&mut self, report: &BankReport, zone: &TimeZone) -> Vec<Recollection> {
        let reading = &report.reading;
        let stack = reading.stack.as_ref().map(|stack| (None, &reading.memory, stack.clock));
        let batteries = reading
            .batteries
            .iter()
            .map(|battery| (Some(battery.place), &battery.memory, battery.measured.clock));
        let mut all = Vec::new();
        for (battery, memory, clock) in stack.into_iter().chain(batteries) {
            if memory.is_empty() {
                continue;
            }
            let facts = battery.map_or(Some(&report.bank_facts), |place| report.facts.get(place.index()));
            let barcode = facts.and_then(|facts| facts.barcode.clone());
            let known = self.read.entry((reading.bank.clone(), battery)).or_default();
            let records = known.new_of(memory, barcode.as_ref());
            if !records.is_empty() {
                all.push(Recollection {
                    bank: reading.bank.clone(),
                    battery,
                    barcode,
                    records,
                    taken_at: reading.taken_at,
                    clock,
                    clock_ahead: clock.map(|clock| clock_ahead(clock, reading.taken_at, zone)),
                });
            }
        }
        all
    }
}

impl Known {
    fn new_of(&mut self, memory: &[MemoryRecord], barcode: Option<&String>) -> Vec<MemoryRecord> {
        if let Some(barcode) = barcode
            && self.barcode.as_ref() != Some(barcode)
        {
            // Another battery sits here, or this one has only now said who it is: its records are told as its own.
            *self = Self { barcode: Some(barcode.clone()), ..Self::default() };
        }
        let mut new = Vec::new();
        // In their own order, and what an answer says twice is still said by one answer.
        let memory: BTreeSet<&MemoryRecord> = memory.iter().collect();
        for record in memory.into_iter().filter(|record| !self.told.contains(*record)).collect::<Vec<_>>() {
            if self.once.remove(record) {
                self.told.insert(record.clone());
                new.push(record.clone());
            } else {
                self.once.insert(record.clone());
            }
        }
        for known in [&mut self.once, &mut self.told] {
            while known.len() > MOST {
                known.pop_first();
            }
        }
        new
    }
}

/// How far a battery's clock was ahead of ours, which shows local time as theirs do; negative where it was behind.
/// Consoles say whole seconds, a little before or after the sweep began: some two seconds either way mean nothing.
#[must_use]
pub fn clock_ahead(battery: DateTime, ours: Timestamp, zone: &TimeZone) -> SignedDuration {
    battery.duration_since(ours.to_zoned(zone.clone()).datetime())
}
