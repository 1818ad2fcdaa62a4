//! Credits energy and charge to the battery, at whichever place it is; to the place, whichever battery is there; and to
//! the bank.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::facts::Facts;
use crate::model::identity::Identity;
use crate::model::place::Place;
use crate::model::reading::{BankReading, BatteryReading, Presence, SweepKind};
use crate::stats::barcode_status::{BarcodeStatus, barcode_statuses};
use crate::stats::energy::{Account, Flow, PowerSample};
use crate::stats::ledger::Ledger;

/// A battery without a barcode for this long is identified by its place.
const SETTLED: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Default)]
pub(crate) struct EnergyCounters {
    bank: Option<PowerSample>,
    seats: BTreeMap<Place, PlaceCounter>,
}

/// The battery at a place.
#[derive(Clone, Debug)]
struct PlaceCounter {
    since: Instant,
    identity: Option<Identity>,
    /// Flow that has not been credited yet, because the battery is not identified.
    unassigned: Account,
    last: Option<PowerSample>,
}

impl EnergyCounters {
    /// Credits the flow since the last reading, unless the gap is longer than `most`.
    pub(crate) fn count(
        &mut self,
        reading: &BankReading,
        facts: &[Facts],
        most: Duration,
        ledger: &mut Ledger,
    ) {
        let mut labels = barcode_statuses(reading, facts, ledger);
        for battery in &reading.batteries {
            if battery.presence == Presence::Absent {
                self.seats.remove(&battery.place);
                continue;
            }
            let label = labels.remove(&battery.place);
            self.credit(battery, label, measured_at(reading, battery.place), most, ledger);
        }
        let at = bank_measured_at(reading);
        let installed = reading.batteries.iter().filter(|battery| battery.presence != Presence::Absent);
        let sample = match &reading.stack {
            Some(stack) => PowerSample::of(stack, at),
            None => PowerSample::sum(installed.map(|battery| &battery.measured), at),
        };
        let Some(sample) = sample else { return };
        if let Some(flow) = self.bank.replace(sample).and_then(|last| Flow::between(&last, &sample, most)) {
            ledger.bank.add(&flow);
        }
    }

    fn credit(
        &mut self,
        battery: &BatteryReading,
        label: Option<BarcodeStatus>,
        at: Instant,
        most: Duration,
        ledger: &mut Ledger,
    ) {
        let empty = || PlaceCounter { since: at, identity: None, unassigned: Account::default(), last: None };
        let seat = self.seats.entry(battery.place).or_insert_with(empty);
        seat.identify(battery.place, label, at, ledger);
        let Some(sample) = PowerSample::of(&battery.measured, at) else { return };
        let Some(flow) = seat.last.replace(sample).and_then(|last| Flow::between(&last, &sample, most))
        else {
            return;
        };
        ledger.places.entry(battery.place).or_default().add(&flow);
        match &seat.identity {
            Some(identity) => ledger.battery(identity).account.add(&flow),
            None => seat.unassigned.add(&flow),
        }
    }

    /// Returns the identity of the battery at `place`, or `None` if not known yet.
    #[must_use]
    pub(crate) fn identity(&self, place: Place) -> Option<&Identity> {
        self.seats.get(&place)?.identity.as_ref()
    }
}

impl PlaceCounter {
    /// Identifies the battery and credits it with its unassigned flow. If the barcode changes, the battery was
    /// replaced, and the flow in between is not counted.
    fn identify(&mut self, place: Place, label: Option<BarcodeStatus>, at: Instant, ledger: &mut Ledger) {
        let (identity, shared) = match (label, &self.identity) {
            (Some(BarcodeStatus::Own(identity)), _) => (identity, None),
            (Some(BarcodeStatus::Shared(barcode)), _) => (Identity::Place(place), Some(barcode)),
            (Some(BarcodeStatus::Unusable), _) => (Identity::Place(place), None),
            (None, None) if at.saturating_duration_since(self.since) >= SETTLED => {
                (Identity::Place(place), None)
            }
            (None, _) => return,
        };
        if let Identity::Barcode(_) = identity {
            ledger.battery(&identity).place = Some(place);
            if let Some(book) = ledger.batteries.get_mut(&Identity::Place(place)) {
                book.shared = None;
            }
        } else {
            ledger.battery(&identity).shared = shared;
        }
        if self.identity.as_ref() == Some(&identity) {
            return;
        }
        let unassigned = std::mem::take(&mut self.unassigned);
        ledger.battery(&identity).account.join(&unassigned);
        if let Some(before @ Identity::Barcode(_)) = self.identity.replace(identity) {
            self.last = None;
            // The facts read last may already be those of the new battery.
            if let Some(book) = ledger.batteries.get_mut(&before) {
                book.rare = None;
            }
        }
    }
}

/// Estimates when the values of the battery at `place` were measured: a table has all at once, details follow one
/// another with one command for the battery and one for its cells.
fn measured_at(reading: &BankReading, place: Place) -> Instant {
    if reading.kind == SweepKind::Summary || reading.is_series() {
        return reading.began;
    }
    let present = |battery: &&BatteryReading| battery.presence == Presence::Present;
    let asked = reading.batteries.iter().filter(present);
    let (before, all) = (asked.clone().filter(|battery| battery.place < place).count(), asked.count());
    reading.began + reading.took.mul_f64((2 * before + 1) as f64 / (2 * all + 1) as f64)
}

/// Estimates when the values of the bank were measured.
fn bank_measured_at(reading: &BankReading) -> Instant {
    if reading.kind == SweepKind::Summary || reading.is_series() {
        return reading.began;
    }
    reading.began + reading.took / 2
}
