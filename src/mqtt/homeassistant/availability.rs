//! Who is there: a bank and its batteries, as availability tells it.
//!
//! A bank is offline when nothing came for three of its intervals; until then nothing is known of one that has not been
//! read yet. A battery is offline when the table says that
//! nobody is at its place, when the table has no such place any more, or when it was missing from three full
//! sweeps in a row; one answer brings it back. A summary of a high-voltage stack names no modules, which takes none
//! offline.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::place::Place;
use crate::model::reading::{BankReading, OFFLINE_AFTER as MISSED, Presence, SweepKind};

/// Who is there in one bank.
#[derive(Clone, Debug)]
pub(crate) struct Roll {
    silence: Duration,
    begun: Instant,
    heard: Option<Instant>,
    missed: BTreeMap<Place, u32>,
}

impl Roll {
    /// For a bank that is read each `interval` from `now` on.
    #[must_use]
    pub(crate) fn new(interval: Duration, now: Instant) -> Self {
        Self { silence: MISSED * interval, begun: now, heard: None, missed: BTreeMap::new() }
    }

    /// From now on the bank is offline after `silence` without a reading.
    pub(crate) fn allow(&mut self, silence: Duration) {
        self.silence = silence;
    }

    /// A reading came, whose sweep ended at `now`.
    pub(crate) fn hear(&mut self, reading: &BankReading, now: Instant) {
        self.heard = Some(now);
        let is_full = reading.kind == SweepKind::Full;
        // Only a table that was read names all places that there are; a stack's does not name one.
        let names_all = !reading.is_series() && !reading.batteries.is_empty();
        for (place, missed) in &mut self.missed {
            if place.index() >= reading.batteries.len() {
                *missed = if names_all { MISSED } else { missed.saturating_add(u32::from(is_full)) };
            }
        }
        for battery in &reading.batteries {
            if battery.presence == Presence::Absent && !self.missed.contains_key(&battery.place) {
                continue;
            }
            let missed = match battery.presence {
                Presence::Present => Some(0),
                Presence::Absent => Some(MISSED),
                Presence::Missing => None,
            };
            let count = self.missed.entry(battery.place).or_insert(MISSED);
            match missed {
                Some(missed) => *count = missed,
                // A summary may miss a battery that the full sweep has.
                None => *count = count.saturating_add(u32::from(is_full)),
            }
        }
    }

    /// A battery that is not there is left out until it is; answers whether there was such a one.
    pub(crate) fn forget(&mut self, place: Place) -> bool {
        let is_gone = self.missed.get(&place).is_some_and(|missed| *missed >= MISSED);
        is_gone && self.missed.remove(&place).is_some()
    }

    /// Whether the bank is there; `None` while it is too early to know.
    #[must_use]
    pub(crate) fn bank(&self, now: Instant) -> Option<bool> {
        let is_silent = now >= self.silent_at();
        (is_silent || self.heard.is_some()).then_some(!is_silent)
    }

    /// When the bank will be offline if nothing comes.
    #[must_use]
    pub(crate) fn silent_at(&self) -> Instant {
        self.heard.unwrap_or(self.begun) + self.silence
    }

    /// The places heard of so far, and whether a battery is there.
    pub(crate) fn batteries(&self) -> impl Iterator<Item = (Place, bool)> {
        self.missed.iter().map(|(place, missed)| (*place, *missed < MISSED))
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

    fn there(roll: &Roll) -> Vec<bool> {
        roll.batteries().map(|(_, there)| there).collect()
    }

    #[test]
    fn a_bank_is_unknown_until_read_and_offline_after_three_silent_intervals() {
        let start = Instant::now();
        let mut roll = Roll::new(INTERVAL, start);
        let silent = start + 3 * INTERVAL;
        let just_before = silent - Duration::from_millis(1);
        assert_eq!([start, just_before, silent].map(|now| roll.bank(now)), [None, None, Some(false)]);
        roll.hear(&reading(SweepKind::Summary, &[Presence::Present]), start);
        assert_eq!([just_before, silent].map(|now| roll.bank(now)), [Some(true), Some(false)]);
        roll.allow(6 * INTERVAL);
        assert_eq!(roll.bank(silent), Some(true), "a bank that takes longer is given longer");
        roll.allow(3 * INTERVAL);
        assert_eq!(roll.bank(silent), Some(false), "and no longer than it takes");
    }

    #[test]
    fn a_battery_is_offline_after_three_full_sweeps_without_it_and_back_with_one_answer() {
        use Presence::{Missing, Present};
        let (mut roll, now) = (Roll::new(INTERVAL, Instant::now()), Instant::now());
        let mut after = |kind, presences: &[Presence]| {
            roll.hear(&reading(kind, presences), now);
            there(&roll)
        };
        assert_eq!(after(SweepKind::Full, &[Present, Present]), [true, true]);
        assert_eq!(after(SweepKind::Full, &[Present, Missing]), [true, true]);
        assert_eq!(after(SweepKind::Full, &[Present, Missing]), [true, true]);
        assert_eq!(
            after(SweepKind::Summary, &[Present, Missing]),
            [true, true],
            "a summary counts for nothing"
        );
        assert_eq!(after(SweepKind::Full, &[Present, Missing]), [true, false]);
        assert_eq!(after(SweepKind::Summary, &[Present, Present]), [true, true]);
    }

    #[test]
    fn an_empty_place_is_not_spoken_of_unless_a_battery_was_there_and_is_not_forgotten() {
        use Presence::{Absent, Present};
        let (mut roll, now) = (Roll::new(INTERVAL, Instant::now()), Instant::now());
        let gap = reading(SweepKind::Full, &[Present, Absent, Present]);
        let places = |roll: &Roll| roll.batteries().map(|(place, _)| place.number()).collect::<Vec<_>>();
        roll.hear(&gap, now);
        assert_eq!(places(&roll), [1, 3]);
        roll.hear(&reading(SweepKind::Full, &[Present, Present, Present]), now);
        roll.hear(&gap, now);
        assert_eq!((places(&roll), there(&roll)), (vec![1, 2, 3], vec![true, false, true]));
        let forgotten = Place::up_to(3).filter(|place| roll.forget(*place));
        assert_eq!(forgotten.map(Place::number).collect::<Vec<_>>(), [2], "only who is gone");
        roll.hear(&gap, now);
        assert_eq!(places(&roll), [1, 3]);
    }

    #[test]
    fn a_battery_that_the_table_knows_to_be_gone_is_offline_at_once() {
        use Presence::{Absent, Missing, Present};
        let (mut roll, now) = (Roll::new(INTERVAL, Instant::now()), Instant::now());
        roll.hear(&reading(SweepKind::Full, &[Present, Present, Present, Missing]), now);
        assert_eq!(there(&roll), [true, true, true, false], "who never answered is not there");
        roll.hear(&reading(SweepKind::Summary, &[Present, Absent]), now);
        assert_eq!(there(&roll), [true, false, false, false], "nor is who has left the table");
    }

    #[test]
    fn a_summary_of_a_stack_takes_no_module_offline_and_three_full_sweeps_without_one_do() {
        use Presence::{Missing, Present};
        let mut roll = Roll::new(INTERVAL, Instant::now());
        let mut after = |kind, presences: &[Presence]| {
            let stack = Some(crate::model::reading::Measured::default());
            roll.hear(&BankReading { stack, ..reading(kind, presences) }, Instant::now());
            there(&roll)
        };
        assert_eq!(after(SweepKind::Full, &[Present; 3]), [true; 3]);
        for _ in 0..9 {
            assert_eq!(after(SweepKind::Summary, &[]), [true; 3], "it names none");
            assert_eq!(after(SweepKind::Summary, &[Missing; 3]), [true; 3], "nor does it hear any");
        }
        assert_eq!(after(SweepKind::Full, &[Present; 2]), [true; 3]);
        assert_eq!(after(SweepKind::Full, &[]), [true; 3], "its modules did not answer");
        assert_eq!(after(SweepKind::Full, &[Present, Present, Missing]), [true, true, false]);
    }
}
