//! Decides what identifies each battery of a bank: its barcode, while that is plausible and no other battery here
//! states it, else its place.
//!
//! Of two that state the same barcode, the one that had it before keeps it, with its counters and its health; the
//! ledger knows its place. The other one takes it over once the first one is gone for good. The database decides the
//! same for all banks together, by its own rows.

use std::collections::BTreeMap;

use crate::model::facts::Facts;
use crate::model::identity::{Identity, is_plausible};
use crate::model::place::Place;
use crate::model::reading::{BankReading, Presence};
use crate::stats::ledger::Ledger;

/// A battery that shares its barcode takes it over when the other one has been gone for so many seconds.
const GONE_S: i64 = 3_600;

/// What is known of who a battery is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KnownBy {
    /// Its barcode, which is its own.
    Own(Identity),
    /// Its place: its barcode is not plausible.
    Unusable,
    /// Its place: this barcode belongs to another battery.
    Shared(String),
}

/// The labels of all batteries that state a barcode.
#[must_use]
pub(crate) fn labels(reading: &BankReading, facts: &[Facts], ledger: &Ledger) -> BTreeMap<Place, KnownBy> {
    let there = reading.batteries.iter().zip(facts);
    let there = there.filter(|(battery, _)| battery.presence != Presence::Absent);
    let stated: BTreeMap<Place, Option<&str>> =
        there.map(|(battery, facts)| (battery.place, facts.barcode.as_deref())).collect();
    let mut of = BTreeMap::<&str, Vec<Place>>::new();
    for (place, barcode) in &stated {
        if let Some(barcode) = barcode {
            of.entry(*barcode).or_default().push(*place);
        }
    }
    let at = reading.taken_at.as_second();
    let label = |(barcode, places): (&str, Vec<Place>)| {
        let owner = if is_plausible(barcode) { owner(barcode, &places, &stated, ledger, at) } else { None };
        let label = |place: Place| match owner {
            Some(owner) if owner == place => KnownBy::Own(Identity::Barcode(barcode.to_owned())),
            _ if is_plausible(barcode) => KnownBy::Shared(barcode.to_owned()),
            _ => KnownBy::Unusable,
        };
        places.into_iter().map(move |place| (place, label(place))).collect::<Vec<_>>()
    };
    of.into_iter().flat_map(label).collect()
}

/// Which of `places` has the barcode that all of them state.
fn owner(
    barcode: &str,
    places: &[Place],
    stated: &BTreeMap<Place, Option<&str>>,
    ledger: &Ledger,
    at: i64,
) -> Option<Place> {
    let lowest = places.first().copied();
    let book = ledger.batteries.get(&Identity::Barcode(barcode.to_owned()));
    let Some((book, before)) = book.and_then(|book| Some((book, book.place?))) else { return lowest };
    if places.contains(&before) {
        return Some(before);
    }
    let another = stated.get(&before).copied().flatten().is_some_and(is_plausible);
    let left = !stated.contains_key(&before);
    let gone = at.saturating_sub(book.last_seen) >= GONE_S;
    let shares = |place: &Place| {
        let book = ledger.batteries.get(&Identity::Place(*place));
        book.is_some_and(|book| book.shared.as_deref() == Some(barcode))
    };
    let takes = |place: &&Place| another || if shares(place) { gone } else { left };
    places.iter().find(takes).copied()
}
