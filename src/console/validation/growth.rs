//! Accepts a few batteries that appear at once, and many only when the next sweep shows the same ones.

use std::collections::BTreeSet;

use crate::console::answers::parsed::Parsed;
use crate::model::place::Place;

/// At most this many batteries or modules may appear between two sweeps.
pub(crate) const MAX_NEW_AT_ONCE: usize = 4;

/// The batteries or modules that have been accepted.
#[derive(Debug, Default)]
pub(crate) struct GrowthGuard {
    /// Every place at which one has been; `None` before the first table.
    known: Option<BTreeSet<Place>>,
    /// The places in the last table, if it had too many new ones.
    pending: Option<BTreeSet<Place>>,
}

impl GrowthGuard {
    /// Records a table. Returns the number of new ones if the next sweep has to show them as well.
    pub(crate) fn check(&mut self, parsed: &Parsed) -> Option<usize> {
        let shown: BTreeSet<Place> = match parsed {
            Parsed::Table(table) => table.present_places().collect(),
            Parsed::Units(units) => units.units.iter().filter_map(|row| row.place).collect(),
            _ => return None,
        };
        // Batteries that are present at the start of the service are not new.
        let new = self.known.as_ref().map_or(0, |known| shown.difference(known).count());
        if new > MAX_NEW_AT_ONCE && self.pending.as_ref() != Some(&shown) {
            self.pending = Some(shown);
            return Some(new);
        }
        self.pending = None;
        self.known.get_or_insert_default().extend(shown);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::answers::pwr_table::{PwrRow, PwrTable};

    fn table(last: u8) -> Parsed {
        let row = |place| PwrRow { place: Some(place), ..PwrRow::default() };
        Parsed::Table(PwrTable { rows: Place::up_to(last).map(row).collect(), ..PwrTable::default() })
    }

    #[test]
    fn many_new_batteries_are_accepted_when_the_next_sweep_agrees() {
        let mut guard = GrowthGuard::default();
        let mut after = |last| guard.check(&table(last));
        assert_eq!(after(2), None, "the first table");
        assert_eq!(after(6), None, "four more");
        assert_eq!(after(128), Some(122));
        assert_eq!(after(127), Some(121), "not the same ones");
        assert_eq!(after(6), None);
        assert_eq!(after(127), Some(121), "not in the previous sweep");
        assert_eq!(after(127), None);
        assert_eq!(after(1), None);
        assert_eq!(after(127), None, "they are known");
    }
}
