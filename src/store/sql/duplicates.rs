//! Decides which of two batteries that report the same barcode is identified by it. A macro, for the reason in
//! `insert.rs`.
//!
//! The battery last read with the barcode keeps it, so its rows and counters continue. This follows from the stored
//! readings alone, so it holds across restarts, and for several services on one database.
//!
//! ```text
//! not plausible ──────────────────────────────────────────► its place
//! plausible ─┬─ no other battery reports it ──────────────► the barcode
//!            ├─ last read here ───────────────────────────► the barcode
//!            └─ last read elsewhere and still there ──────► its place, until it is the only one
//! ```

/// Defines how `RecordWriter` decides it.
macro_rules! impl_duplicates {
    () => {
        impl RecordWriter<'_> {
            /// The places in a sweep whose batteries are identified by their barcode.
            fn barcode_owners(&mut self, bank_id: i32, sweep: &SweepRecord) -> QueryResult<BTreeSet<u8>> {
                let mut stated: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
                for battery in &sweep.batteries {
                    if let Some(barcode) = usable(battery.identity.barcode.as_deref()) {
                        stated.entry(barcode).or_default().push(battery.place);
                    }
                }
                let mut owners = BTreeSet::new();
                for (barcode, mut places) in stated {
                    places.sort_unstable();
                    owners.extend(self.barcode_owner(bank_id, sweep, barcode, &places)?);
                }
                Ok(owners)
            }

            /// Which of the places that report a barcode is identified by it.
            fn barcode_owner(
                &mut self,
                bank_id: i32,
                sweep: &SweepRecord,
                barcode: &str,
                places: &[u8],
            ) -> QueryResult<Option<u8>> {
                let lowest = places.first().copied();
                let at_ms = sweep.taken_at_ms;
                let Some(owner) = self.last_reading(barcode, at_ms)? else { return Ok(lowest) };
                let here = owner.bank_id == bank_id;
                let there = |place: u8| here && i32::from(place) == owner.place;
                if let Some(place) = places.iter().find(|place| there(**place)) {
                    return Ok(Some(*place));
                }
                let seat = sweep.batteries.iter().find(|battery| there(battery.place));
                if seat.is_some_and(|battery| usable(battery.identity.barcode.as_deref()).is_some()) {
                    // Another battery is there now.
                    return Ok(lowest);
                }
                let swept_ms = self.last_sweep(owner.bank_id, at_ms)?.unwrap_or(owner.at_ms);
                let moved = if here {
                    seat.is_none()
                } else {
                    swept_ms > owner.at_ms || at_ms.saturating_sub(swept_ms) > HOUR_MS
                };
                let gone = swept_ms.saturating_sub(owner.at_ms) >= HOUR_MS;
                for place in places {
                    let free = if self.is_duplicate(bank_id, *place, barcode)? { gone } else { moved };
                    if free {
                        return Ok(Some(*place));
                    }
                }
                Ok(None)
            }

            /// Where the battery identified by a barcode was last read.
            fn last_reading(&mut self, barcode: &str, at_ms: i64) -> QueryResult<Option<LastRead>> {
                let key = battery_identity_key(0, 0, Some(barcode));
                if let Some(read) = self.cache.batteries.get(&key).and_then(|known| known.read) {
                    return Ok(Some(read));
                }
                let Some(id) = self.find_battery(&key)? else { return Ok(None) };
                let row: Option<(i32, i32, i64)> = battery_reading::table
                    .filter(battery_reading::taken_at_ms.gt(at_ms.saturating_sub(WEEK_MS)))
                    .filter(battery_reading::battery_id.eq(id))
                    .order(battery_reading::taken_at_ms.desc())
                    .select((battery_reading::bank_id, battery_reading::place, battery_reading::taken_at_ms))
                    .first(self.connection)
                    .optional()?;
                Ok(row.map(|(bank_id, place, at_ms)| LastRead { bank_id, place, at_ms }))
            }

            /// The time of the bank's previous sweep.
            fn last_sweep(&mut self, bank_id: i32, at_ms: i64) -> QueryResult<Option<i64>> {
                if let Some(swept) = self.cache.last_sweeps.get(&bank_id) {
                    return Ok(Some(*swept));
                }
                bank_reading::table
                    .filter(bank_reading::taken_at_ms.gt(at_ms.saturating_sub(WEEK_MS)))
                    .filter(bank_reading::bank_id.eq(bank_id))
                    .order(bank_reading::taken_at_ms.desc())
                    .select(bank_reading::taken_at_ms)
                    .first(self.connection)
                    .optional()
            }

            /// Whether the battery at a place was last identified by its place because it shares its barcode.
            fn is_duplicate(&mut self, bank_id: i32, place: u8, barcode: &str) -> QueryResult<bool> {
                Ok(self.duplicate_id(bank_id, place, barcode)?.is_some())
            }

            /// The id of such a battery.
            fn duplicate_id(&mut self, bank_id: i32, place: u8, barcode: &str) -> QueryResult<Option<i32>> {
                let key = battery_identity_key(bank_id, place, None);
                // A battery that has not reported its barcode for a while is the same one; its row has the barcode.
                if let Some(known) = self.cache.batteries.get(&key)
                    && let Some(stated) = &known.identity.barcode
                {
                    return Ok(Some(known.id).filter(|_| stated == barcode && known.place != 0));
                }
                battery::table
                    .filter(battery::identity.eq(key))
                    .filter(battery::place.ne(0))
                    .filter(battery::barcode.eq(barcode))
                    .select(battery::id)
                    .first(self.connection)
                    .optional()
            }
        }

        /// A barcode that a battery may be known by.
        fn usable(barcode: Option<&str>) -> Option<&str> {
            barcode.filter(|barcode| is_plausible(barcode))
        }
    };
}

pub(crate) use impl_duplicates;
