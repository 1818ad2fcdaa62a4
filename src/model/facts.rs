//! Facts: properties of a battery that stay valid between sweeps, such as its model or its cycles.
//!
//! They are polled rarely, stored with the time at which they were read, and dropped when the battery is absent, its
//! identity changes, or they are too old.

use std::sync::Arc;
use std::time::Duration;

use crate::model::lifetime::Lifetime;
use crate::model::place::Place;
use crate::model::units::{MilliampHours, Milliamps, Millivolts, Percent};
use crate::model::word::Word;

/// A battery with fewer cycles than this is not at the end of its life: cells are rated for 3,500 to 6,000.
const WORN_CYCLES: i64 = 1_000;

/// The answer that stated a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FactSource {
    /// The group table.
    Table,
    /// `pwr N`.
    Detail,
    /// `info N`.
    Info,
    /// `stat N`.
    Stat,
    /// `euro`.
    Euro,
}

/// Facts of a battery; `None` means unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Serial number, which identifies the battery.
    pub barcode: Option<String>,
    /// `Pylon`, `PYTES`.
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub firmware: Option<String>,
    pub nominal_capacity: Option<MilliampHours>,
    /// Usable capacity as learned by the battery.
    pub usable_capacity: Option<MilliampHours>,
    pub cells: Option<u16>,
    pub soh: Option<Percent>,
    /// `Normal` or `Abnormal`.
    pub soh_state: Option<Word>,
    /// Full cycles as counted by the battery.
    pub cycles: Option<i64>,
    /// Charge discharged over the battery's lifetime.
    pub discharged: Option<MilliampHours>,
    /// Maximum charge current.
    pub max_charge_current: Option<Milliamps>,
    /// Maximum discharge current (negative).
    pub max_discharge_current: Option<Milliamps>,
    /// Maximum charge voltage.
    pub max_voltage: Option<Millivolts>,
    pub lifetime: Option<Arc<Lifetime>>,
}

impl Facts {
    /// Fills unknown facts from `other`.
    fn complete_from(&mut self, other: &Self) {
        fn fill<T: Clone>(slot: &mut Option<T>, from: &Option<T>) {
            if slot.is_none() {
                slot.clone_from(from);
            }
        }
        fill(&mut self.barcode, &other.barcode);
        fill(&mut self.manufacturer, &other.manufacturer);
        fill(&mut self.model, &other.model);
        fill(&mut self.firmware, &other.firmware);
        fill(&mut self.nominal_capacity, &other.nominal_capacity);
        fill(&mut self.usable_capacity, &other.usable_capacity);
        fill(&mut self.cells, &other.cells);
        fill(&mut self.soh, &other.soh);
        fill(&mut self.soh_state, &other.soh_state);
        fill(&mut self.cycles, &other.cycles);
        fill(&mut self.discharged, &other.discharged);
        fill(&mut self.max_charge_current, &other.max_charge_current);
        fill(&mut self.max_discharge_current, &other.max_discharge_current);
        fill(&mut self.max_voltage, &other.max_voltage);
        fill(&mut self.lifetime, &other.lifetime);
    }

    /// Whether the battery contradicts its own state of health of 0. Firmware prints 0 if it has never computed one, so
    /// a 0 alone does not mean the end of life.
    fn has_unset_soh(&self) -> bool {
        let contradicted = match self.soh_state.as_ref().map(Word::as_str) {
            Some("Normal") => true,
            Some(_) => false,
            None => self.cycles.is_none_or(|cycles| cycles < WORN_CYCLES),
        };
        contradicted && self.soh.is_some_and(|soh| soh.0 <= 0)
    }
}

/// Returns the number of slow commands in one round: two for each battery, and two for the one the cable is plugged
/// into.
#[must_use]
pub(crate) fn slow_questions(batteries: usize) -> usize {
    2 * batteries + 2
}

/// The facts of all batteries of a bank.
#[derive(Clone, Debug, Default)]
pub struct FactBook {
    held: Vec<HeldFacts>,
}

#[derive(Clone, Debug)]
struct HeldFacts {
    place: Place,
    source: FactSource,
    facts: Facts,
    taken: Duration,
    /// Their age when they were added.
    age: Duration,
}

impl FactBook {
    /// Adds facts that were read at `now` (monotonic). If the barcode differs from the previous answer of the same
    /// source, another battery was installed, and all facts of the previous one are dropped.
    pub fn take(&mut self, place: Place, source: FactSource, facts: Facts, now: Duration) {
        let before = self.held.iter().find(|held| (held.place, held.source) == (place, source));
        if let (Some(before), Some(after)) =
            (before.and_then(|held| held.facts.barcode.as_ref()), &facts.barcode)
            && before != after
        {
            self.forget(place);
        }
        // The health state is valid as long as the state of health that it qualifies.
        let soh_state = facts.soh_state.clone().or_else(|| self.of(place).soh_state);
        self.held.retain(|held| (held.place, held.source) != (place, source));
        self.hold(HeldFacts { place, source, facts, taken: now, age: Duration::ZERO });
        let stat = |held: &&mut HeldFacts| (held.place, held.source) == (place, FactSource::Stat);
        self.held.iter_mut().filter(stat).for_each(|stat| stat.facts.soh_state.clone_from(&soh_state));
    }

    /// Adds facts that an earlier run of the service read `age` ago, unless this run has read them itself.
    pub(crate) fn restore(
        &mut self,
        place: Place,
        source: FactSource,
        facts: Facts,
        now: Duration,
        age: Duration,
    ) {
        if !self.held.iter().any(|held| (held.place, held.source) == (place, source)) {
            let facts = Facts { soh_state: self.of(place).soh_state, ..facts };
            self.hold(HeldFacts { place, source, facts, taken: now, age });
        }
    }

    fn hold(&mut self, held: HeldFacts) {
        self.held.push(held);
        self.held.sort_by_key(|held| (held.place, held.source));
    }

    /// Drops all facts of the battery at `place`, because it was removed.
    pub(crate) fn forget(&mut self, place: Place) {
        self.held.retain(|held| held.place != place);
    }

    /// Drops facts that are older at `now` than `most` of their source.
    pub(crate) fn expire(&mut self, now: Duration, most: impl Fn(FactSource) -> Duration) {
        self.held.retain(|held| now.saturating_sub(held.taken) + held.age <= most(held.source));
    }

    /// Returns the facts of the battery at `place`. If several answers state a fact, `info` takes precedence, because
    /// it comes from the battery itself.
    #[must_use]
    pub fn of(&self, place: Place) -> Facts {
        let mut known = Facts::default();
        for source in
            [FactSource::Info, FactSource::Detail, FactSource::Table, FactSource::Stat, FactSource::Euro]
        {
            for held in self.held.iter().filter(|held| held.place == place && held.source == source) {
                known.complete_from(&held.facts);
            }
        }
        if known.has_unset_soh() {
            known.soh = None;
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn barcode(text: &str) -> Facts {
        Facts { barcode: Some(text.into()), ..Facts::default() }
    }

    #[test]
    fn facts_of_a_swapped_battery_are_dropped() {
        let mut book = FactBook::default();
        book.take(Place::FIRST, FactSource::Info, barcode("A1"), Duration::ZERO);
        book.take(
            Place::FIRST,
            FactSource::Stat,
            Facts { cycles: Some(666), ..Facts::default() },
            Duration::ZERO,
        );
        assert_eq!(book.of(Place::FIRST).cycles, Some(666));
        book.take(Place::FIRST, FactSource::Info, barcode("B2"), Duration::ZERO);
        assert_eq!(book.of(Place::FIRST), barcode("B2"));
    }

    #[test]
    fn a_contradicted_soh_of_zero_is_absent() {
        let zero = |cycles| Facts { soh: Some(Percent(0)), cycles, ..Facts::default() };
        let detail = |state: &str| Facts { soh_state: Some(Word::new(state)), ..Facts::default() };
        let cases = [
            // A slave whose board never computes it, a new module of a stack, one without other facts.
            (zero(Some(157)), detail("Normal"), None),
            (zero(Some(5_000)), detail("Normal"), None),
            (zero(Some(3)), Facts::default(), None),
            (zero(None), Facts::default(), None),
            // Not contradicted, or confirmed by another fact.
            (zero(Some(2_500)), Facts::default(), Some(Percent(0))),
            (zero(Some(157)), detail("Abnormal"), Some(Percent(0))),
            (Facts { soh: Some(Percent(1)), ..zero(Some(157)) }, detail("Normal"), Some(Percent(1))),
        ];
        for (stat, detail, known) in cases {
            let mut book = FactBook::default();
            book.take(Place::FIRST, FactSource::Stat, stat.clone(), Duration::ZERO);
            book.take(Place::FIRST, FactSource::Detail, detail.clone(), Duration::ZERO);
            assert_eq!(book.of(Place::FIRST).soh, known, "{stat:?} and {detail:?}");
            book.expire(DAY, |source| if source == FactSource::Stat { DAY } else { Duration::ZERO });
            assert_eq!(book.of(Place::FIRST).soh, known, "{stat:?} after {detail:?} has expired");
        }
    }

    #[test]
    fn old_facts_expire_and_never_apply_to_another_battery() {
        let mut book = FactBook::default();
        book.take(Place::FIRST, FactSource::Info, barcode("A1"), Duration::ZERO);
        assert_eq!(book.of(Place::new(2).expect("a place")), Facts::default());
        book.expire(DAY, |_| DAY);
        assert_eq!(book.of(Place::FIRST), barcode("A1"));
        book.expire(DAY + Duration::from_secs(1), |_| DAY);
        assert_eq!(book.of(Place::FIRST), Facts::default());
    }
}
