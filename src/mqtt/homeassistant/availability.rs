//! Tracks whether a bank and its batteries are online.
//!
//! A bank is offline after three intervals without a reading; before its first reading it is unknown. A battery is
//! offline when the table reports its place as absent, when the table no longer has its place, or when it was missing
//! from three full sweeps in a row; one answer brings it back online. A summary of a high-voltage stack has no modules,
//! which takes none offline.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::place::Place;
use crate::model::reading::{BankReading, OFFLINE_AFTER as MAX_MISSED, Presence, SweepKind};

/// Of one bank.
#[derive(Clone, Debug)]
pub(crate) struct AvailabilityTracker {
    offline_after: Duration,
    started_at: Instant,
    last_reading_at: Option<Instant>,
    /// Full sweeps in a row without the battery.
    missed: BTreeMap<Place, u32>,
}

impl AvailabilityTracker {
    /// For a bank that is polled every `interval` from `now` on.
    #[must_use]
    pub(crate) fn new(interval: Duration, now: Instant) -> Self {
        Self {
            offline_after: MAX_MISSED * interval,
            started_at: now,
            last_reading_at: None,
            missed: BTreeMap::new(),
        }
    }

    pub(crate) fn set_offline_after(&mut self, offline_after: Duration) {
        self.offline_after = offline_after;
    }

    /// The sweep ended at `now`.
    pub(crate) fn on_reading(&mut self, reading: &BankReading, now: Instant) {
        self.last_reading_at = Some(now);
        let is_full = reading.kind == SweepKind::Full;
        // Only a table that was read lists all places; that of a stack lists none.
        let lists_all = !reading.is_series() && !reading.batteries.is_empty();
        for (place, missed) in &mut self.missed {
            if place.index() >= reading.batteries.len() {
                *missed = if lists_all { MAX_MISSED } else { missed.saturating_add(u32::from(is_full)) };
            }
        }
        for battery in &reading.batteries {
            if battery.presence == Presence::Absent && !self.missed.contains_key(&battery.place) {
                continue;
            }
            let missed = match battery.presence {
                Presence::Present => Some(0),
                Presence::Absent => Some(MAX_MISSED),
                Presence::Missing => None,
            };
            let count = self.missed.entry(battery.place).or_insert(MAX_MISSED);
            match missed {
                Some(missed) => *count = missed,
                // A summary may lack a battery that full sweeps have.
                None => *count = count.saturating_add(u32::from(is_full)),
            }
        }
    }

    /// Removes an offline battery until it is back. Returns whether it was offline.
    pub(crate) fn remove_absent(&mut self, place: Place) -> bool {
        let is_offline = self.missed.get(&place).is_some_and(|missed| *missed >= MAX_MISSED);
        is_offline && self.missed.remove(&place).is_some()
    }

    /// `None` before the first reading.
    #[must_use]
    pub(crate) fn is_bank_online(&self, now: Instant) -> Option<bool> {
        let is_offline = now >= self.offline_at();
        (is_offline || self.last_reading_at.is_some()).then_some(!is_offline)
    }

    /// When the bank will be offline without a further reading.
    #[must_use]
    pub(crate) fn offline_at(&self) -> Instant {
        self.last_reading_at.unwrap_or(self.started_at) + self.offline_after
    }

    /// The batteries seen so far, and whether each is online.
    pub(crate) fn batteries(&self) -> impl Iterator<Item = (Place, bool)> {
        self.missed.iter().map(|(place, missed)| (*place, *missed < MAX_MISSED))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::reading::BatteryReading;

    const INTERVAL: Duration = Duration::from_secs(10);

    fn reading(kind: SweepKind, presences: &[Presence]) -> BankReading {
        let battery = |(place, presence): (Place, &Presence)| BatteryReading {
            presence: *presence,
            ..BatteryReading::empty(place)
        };
        BankReading {
            device_log: Vec::new(),
            bank: Arc::from("bank"),
            kind,
            taken_at: jiff::Timestamp::UNIX_EPOCH,
            began: Instant::now(),
            took: Duration::ZERO,
            asked_again: 0,
            stack: None,
            batteries: Place::up_to(u8::MAX).zip(presences).map(battery).collect(),
            facts: Vec::new(),
            answered: Vec::new(),
            missing: Vec::new(),
            unreadable_facts: Vec::new(),
        }
    }

    fn online(tracker: &AvailabilityTracker) -> Vec<bool> {
        tracker.batteries().map(|(_, online)| online).collect()
    }

    #[test]
    fn a_bank_is_unknown_until_read_and_offline_after_three_intervals() {
        let start = Instant::now();
        let mut tracker = AvailabilityTracker::new(INTERVAL, start);
        let offline = start + 3 * INTERVAL;
        let just_before = offline - Duration::from_millis(1);
        assert_eq!(
            [start, just_before, offline].map(|now| tracker.is_bank_online(now)),
            [None, None, Some(false)]
        );
        tracker.on_reading(&reading(SweepKind::Summary, &[Presence::Present]), start);
        assert_eq!([just_before, offline].map(|now| tracker.is_bank_online(now)), [Some(true), Some(false)]);
        tracker.set_offline_after(6 * INTERVAL);
        assert_eq!(tracker.is_bank_online(offline), Some(true), "slow sweeps extend the time");
        tracker.set_offline_after(3 * INTERVAL);
        assert_eq!(tracker.is_bank_online(offline), Some(false), "fast sweeps shorten it again");
    }

    #[test]
    fn a_battery_is_offline_after_three_missed_full_sweeps() {
        use Presence::{Missing, Present};
        let (mut tracker, now) = (AvailabilityTracker::new(INTERVAL, Instant::now()), Instant::now());
        let mut after = |kind, presences: &[Presence]| {
            tracker.on_reading(&reading(kind, presences), now);
            online(&tracker)
        };
        assert_eq!(after(SweepKind::Full, &[Present, Present]), [true, true]);
        assert_eq!(after(SweepKind::Full, &[Present, Missing]), [true, true]);
        assert_eq!(after(SweepKind::Full, &[Present, Missing]), [true, true]);
        assert_eq!(after(SweepKind::Summary, &[Present, Missing]), [true, true], "a summary does not count");
        assert_eq!(after(SweepKind::Full, &[Present, Missing]), [true, false]);
        assert_eq!(after(SweepKind::Summary, &[Present, Present]), [true, true]);
    }

    #[test]
    fn an_empty_place_is_listed_only_after_a_battery_was_there() {
        use Presence::{Absent, Present};
        let (mut tracker, now) = (AvailabilityTracker::new(INTERVAL, Instant::now()), Instant::now());
        let gap = reading(SweepKind::Full, &[Present, Absent, Present]);
        let places = |tracker: &AvailabilityTracker| {
            tracker.batteries().map(|(place, _)| place.number()).collect::<Vec<_>>()
        };
        tracker.on_reading(&gap, now);
        assert_eq!(places(&tracker), [1, 3]);
        tracker.on_reading(&reading(SweepKind::Full, &[Present, Present, Present]), now);
        tracker.on_reading(&gap, now);
        assert_eq!((places(&tracker), online(&tracker)), (vec![1, 2, 3], vec![true, false, true]));
        let forgotten = Place::up_to(3).filter(|place| tracker.remove_absent(*place));
        assert_eq!(forgotten.map(Place::number).collect::<Vec<_>>(), [2], "only offline batteries");
        tracker.on_reading(&gap, now);
        assert_eq!(places(&tracker), [1, 3]);
    }

    #[test]
    fn a_battery_that_leaves_the_table_is_offline_at_once() {
        use Presence::{Absent, Missing, Present};
        let (mut tracker, now) = (AvailabilityTracker::new(INTERVAL, Instant::now()), Instant::now());
        tracker.on_reading(&reading(SweepKind::Full, &[Present, Present, Present, Missing]), now);
        assert_eq!(online(&tracker), [true, true, true, false], "a battery that never answered is offline");
        tracker.on_reading(&reading(SweepKind::Summary, &[Present, Absent]), now);
        assert_eq!(online(&tracker), [true, false, false, false], "and so is one that has left the table");
    }

    #[test]
    fn a_summary_of_a_stack_takes_no_module_offline() {
        use Presence::{Missing, Present};
        let mut tracker = AvailabilityTracker::new(INTERVAL, Instant::now());
        let mut after = |kind, presences: &[Presence]| {
            let stack = Some(crate::model::reading::Measured::default());
            tracker.on_reading(&BankReading { stack, ..reading(kind, presences) }, Instant::now());
            online(&tracker)
        };
        assert_eq!(after(SweepKind::Full, &[Present; 3]), [true; 3]);
        for _ in 0..9 {
            assert_eq!(after(SweepKind::Summary, &[]), [true; 3], "it lists no module");
            assert_eq!(after(SweepKind::Summary, &[Missing; 3]), [true; 3], "and reads none");
        }
        assert_eq!(after(SweepKind::Full, &[Present; 2]), [true; 3]);
        assert_eq!(after(SweepKind::Full, &[]), [true; 3], "its modules did not answer");
        assert_eq!(after(SweepKind::Full, &[Present, Present, Missing]), [true, true, false]);
    }
}
