//! Decides what identifies each battery of a bank: its barcode, if that is plausible and unique in the bank, else its
//! place.
//!
//! Of two batteries with the same barcode, the previous owner keeps it, with its counters and its health; the ledger
//! stores its place. The other one takes it over once the owner has been removed permanently. The database makes the
//! same decision across all banks from its own rows.

use std::collections::BTreeMap;

use crate::model::facts::Facts;
use crate::model::identity::{Identity, is_plausible};
use crate::model::place::Place;
use crate::model::reading::{BankReading, Presence};
use crate::stats::ledger::Ledger;

/// Seconds of absence of the owner after which a battery with the same barcode takes it over.
const GONE_S: i64 = 3_600;

/// How far a stated barcode identifies its battery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BarcodeStatus {
    /// The barcode is plausible and belongs to this battery.
    Own(Identity),
    /// The barcode is not plausible; the place identifies the battery.
    Unusable,
    /// The barcode belongs to another battery; the place identifies this one.
    Shared(String),
}

/// Returns the status of each stated barcode by place.
#[must_use]
pub(crate) fn barcode_statuses(
    reading: &BankReading,
    facts: &[Facts],
    ledger: &Ledger,
) -> BTreeMap<Place, BarcodeStatus> {
    let installed = reading.batteries.iter().zip(facts);
    let installed = installed.filter(|(battery, _)| battery.presence != Presence::Absent);
    let stated: BTreeMap<Place, Option<&str>> =
        installed.map(|(battery, facts)| (battery.place, facts.barcode.as_deref())).collect();
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
            Some(owner) if owner == place => BarcodeStatus::Own(Identity::Barcode(barcode.to_owned())),
            _ if is_plausible(barcode) => BarcodeStatus::Shared(barcode.to_owned()),
            _ => BarcodeStatus::Unusable,
        };
        places.into_iter().map(move |place| (place, label(place))).collect::<Vec<_>>()
    };
    of.into_iter().flat_map(label).collect()
}

/// Returns the one of `places` that owns the barcode.
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
