//! Facts: what stays true between sweeps. They are asked rarely, held with the time they were taken, and
//! dropped when the battery is absent, its identity changes, or they have grown too old.

use std::sync::Arc;
use std::time::Duration;

use crate::model::lifetime::Lifetime;
use crate::model::place::Place;
use crate::model::units::{MilliampHours, Milliamps, Millivolts, Percent};
use crate::model::word::Word;

/// A battery that has been through fewer cycles than this is not at the end of its life: cells are rated for 3,500 to
/// 6,000.
const WORN_CYCLES: i64 = 1_000;

/// Which answer stated a fact.
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

/// Facts of a battery; `None` is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Serial number: the battery's identity.
    pub barcode: Option<String>,
    /// `Pylon`, `PYTES`.
    pub manufacturer: Option<String>,
    /// Type.
    pub model: Option<String>,
    /// Main firmware.
    pub firmware: Option<String>,
    /// Nominal capacity.
    pub nominal_capacity: Option<MilliampHours>,
    /// Usable capacity as the battery has learned it.
    pub usable_capacity: Option<MilliampHours>,
    /// How many cells.
    pub cells: Option<u16>,
    /// State of health.
    pub soh: Option<Percent>,
    /// The battery's own word on it, `Normal` or `Abnormal`.
    pub soh_state: Option<Word>,
    /// Full cycles, as the battery counts them.
    pub cycles: Option<i64>,
    /// Charge taken out over the battery's life.
    pub discharged: Option<MilliampHours>,
    /// Most it may be charged with.
    pub max_charge_current: Option<Milliamps>,
    /// Most it may be discharged with (negative).
    pub max_discharge_current: Option<Milliamps>,
    /// Voltage the charger may go to.
    pub max_voltage: Option<Millivolts>,
    /// What it has measured of its own life.
    pub lifetime: Option<Arc<Lifetime>>,
}

impl Facts {
    /// Fills what is unknown here from `other`.
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

    /// Whether the battery contradicts its own state of health of 0: firmware prints 0 where it has never computed one,
    /// so a 0 alone is not the end of life.
    fn has_unset_soh(&self) -> bool {
        let contradicted = match self.soh_state.as_ref().map(Word::as_str) {
            Some("Normal") => true,
            Some(_) => false,
            None => self.cycles.is_none_or(|cycles| cycles < WORN_CYCLES),
        };
        contradicted && self.soh.is_some_and(|soh| soh.0 <= 0)
    }
}

/// How many slow questions a bank of so many batteries is asked in turn: two of each, and two of the one plugged into.
#[must_use]
pub(crate) fn slow_questions(batteries: usize) -> usize {
    2 * batteries + 2
}

/// The facts held of every battery of a bank.
#[derive(Clone, Debug, Default)]
pub struct FactBook {
    held: Vec<Held>,
}

#[derive(Clone, Debug)]
struct Held {
    place: Place,
    source: FactSource,
    facts: Facts,
    taken: Duration,
    /// How old they were when they were taken.
    age: Duration,
}

impl FactBook {
    /// Takes facts stated at `now` (monotonic). A barcode that differs from the one the same answer stated
    /// before means another battery: everything held of the old one goes.
    pub fn take(&mut self, place: Place, source: FactSource, facts: Facts, now: Duration) {
        let before = self.held.iter().find(|held| (held.place, held.source) == (place, source));
        if let (Some(before), Some(after)) =
            (before.and_then(|held| held.facts.barcode.as_ref()), &facts.barcode)
            && before != after
        {
            self.forget(place);
        }
        // The word on the state of health lives as long as the figure that it is about.
        let soh_state = facts.soh_state.clone().or_else(|| self.of(place).soh_state);
        self.held.retain(|held| (held.place, held.source) != (place, source));
        self.hold(Held { place, source, facts, taken: now, age: Duration::ZERO });
        let stat = |held: &&mut Held| (held.place, held.source) == (place, FactSource::Stat);
        self.held.iter_mut().filter(stat).for_each(|stat| stat.facts.soh_state.clone_from(&soh_state));
    }

    /// Takes facts that an earlier run of the service was told `age` ago, unless this one knows better.
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
            self.hold(Held { place, source, facts, taken: now, age });
        }
    }

    fn hold(&mut self, held: Held) {
        self.held.push(held);
        self.held.sort_by_key(|held| (held.place, held.source));
    }

    /// Drops everything about the battery at `place`: it is not there any more.
    pub(crate) fn forget(&mut self, place: Place) {
        self.held.retain(|held| held.place != place);
    }

    /// Drops what is older than its source's `most` at `now`.
    pub(crate) fn expire(&mut self, now: Duration, most: impl Fn(FactSource) -> Duration) {
        self.held.retain(|held| now.saturating_sub(held.taken) + held.age <= most(held.source));
    }

    /// What is known of the battery at `place`; where several answers state a fact, `info` is believed before
    /// the others, since it is the battery's own statement.
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
            // A slave whose board never computes it, a young module of a stack, one that states nothing else.
            (zero(Some(157)), detail("Normal"), None),
            (zero(Some(5_000)), detail("Normal"), None),
            (zero(Some(3)), Facts::default(), None),
            (zero(None), Facts::default(), None),
            // Nothing contradicts these, or a witness confirms them.
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
