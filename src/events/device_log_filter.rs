//! Passes each new record of a battery's own log on once.
//!
//! Records have no checksum and are stored for years, so a record counts only once it has been read twice with the same
//! content, which is why the poll plan reads the log twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::model::device_log::{DeviceLogBatch, DeviceLogEntry};
use crate::model::place::Place;
use crate::model::report::BankReport;

/// Number of records remembered per battery; a console stores some hundreds.
const MAX_RECORDS: usize = 1024;

#[derive(Debug, Default)]
pub struct DeviceLogFilter {
    read: BTreeMap<(Arc<str>, Option<Place>), SeenRecords>,
}

/// The records of one battery that were read before.
#[derive(Debug, Default)]
struct SeenRecords {
    barcode: Option<String>,
    once: BTreeSet<DeviceLogEntry>,
    reported: BTreeSet<DeviceLogEntry>,
}

impl DeviceLogFilter {
    /// Returns the records of a report that have now been read twice, by battery.
    pub fn take(&mut self, report: &BankReport, zone: &TimeZone) -> Vec<DeviceLogBatch> {
        let reading = &report.reading;
        let stack = reading.stack.as_ref().map(|stack| (None, &reading.device_log, stack.clock));
        let batteries = reading
            .batteries
            .iter()
            .map(|battery| (Some(battery.place), &battery.device_log, battery.measured.clock));
        let mut all = Vec::new();
        for (battery, memory, clock) in stack.into_iter().chain(batteries) {
            if memory.is_empty() {
                continue;
            }
            let facts = battery.map_or(Some(&report.bank_facts), |place| report.facts.get(place.index()));
            let barcode = facts.and_then(|facts| facts.barcode.clone());
            let known = self.read.entry((reading.bank.clone(), battery)).or_default();
            let records = known.take_new(memory, barcode.as_ref());
            if !records.is_empty() {
                all.push(DeviceLogBatch {
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

impl SeenRecords {
    fn take_new(&mut self, memory: &[DeviceLogEntry], barcode: Option<&String>) -> Vec<DeviceLogEntry> {
        if let Some(barcode) = barcode
            && self.barcode.as_ref() != Some(barcode)
        {
            // Another battery was installed, or this one is identified only now: its records are published as its own.
            *self = Self { barcode: Some(barcode.clone()), ..Self::default() };
        }
        let mut new = Vec::new();
        // Sorted, and without duplicates: a record that one answer contains twice counts once.
        let memory: BTreeSet<&DeviceLogEntry> = memory.iter().collect();
        for record in memory.into_iter().filter(|record| !self.reported.contains(*record)).collect::<Vec<_>>()
        {
            if self.once.remove(record) {
                self.reported.insert(record.clone());
                new.push(record.clone());
            } else {
                self.once.insert(record.clone());
            }
        }
        for known in [&mut self.once, &mut self.reported] {
            while known.len() > MAX_RECORDS {
                known.pop_first();
            }
        }
        new
    }
}

/// Returns how far a battery's clock was ahead of our local time; negative if it was behind. Consoles report whole
/// seconds, slightly before or after the start of the sweep, so about two seconds either way are not significant.
#[must_use]
pub fn clock_ahead(battery: DateTime, ours: Timestamp, zone: &TimeZone) -> SignedDuration {
    battery.duration_since(ours.to_zoned(zone.clone()).datetime())
}
