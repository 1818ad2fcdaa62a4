//! The ids of banks, batteries and sets of state words, looked up or inserted. A macro, for the reason in `insert.rs`.

/// Implements the id lookups of `RecordWriter`.
macro_rules! impl_ids {
    () => {
        impl RecordWriter<'_> {
            /// The ids of a bank and of a battery in it at `at_ms`; the battery's is 0 for the bank itself.
            pub(crate) fn resolve_ids(
                &mut self,
                bank: &str,
                place: Option<u8>,
                barcode: Option<&str>,
                at_ms: i64,
            ) -> QueryResult<(i32, i32)> {
                let bank_id = self.bank(bank)?;
                let Some(place) = place else { return Ok((bank_id, 0)) };
                if let Some(barcode) = usable(barcode) {
                    let numbered = self.cache.by_barcode.get(&(bank_id, place, barcode.to_owned()));
                    let id = match numbered.map(|numbered| numbered.at(at_ms)) {
                        Some(id) => Some(id),
                        None => self.duplicate_id(bank_id, place, barcode)?,
                    };
                    if let Some(id) = id {
                        return Ok((bank_id, id));
                    }
                }
                let identity =
                    BatteryIdentity { barcode: barcode.map(str::to_owned), ..BatteryIdentity::default() };
                Ok((bank_id, self.battery(bank_id, place, &identity, usable(barcode).is_some(), None)?))
            }

            /// The ids of a sweep's batteries, whose places are recorded.
            pub(crate) fn assign_batteries(
                &mut self,
                bank_id: i32,
                sweep: &SweepRecord,
            ) -> QueryResult<Vec<i32>> {
                let owners = self.barcode_owners(bank_id, sweep)?;
                let at_ms = sweep.taken_at_ms;
                let mut ids = Vec::with_capacity(sweep.batteries.len());
                for BatteryRecord { place, identity, .. } in &sweep.batteries {
                    let read = LastRead { bank_id, place: i32::from(*place), at_ms };
                    let id = self.battery(bank_id, *place, identity, owners.contains(place), Some(read))?;
                    if let Some(barcode) = usable(identity.barcode.as_deref()) {
                        let key = (bank_id, *place, barcode.to_owned());
                        let numbered =
                            self.cache.by_barcode.entry(key).or_insert(BatteryIdHistory::first(id));
                        numbered.change_to(id, at_ms);
                    }
                    ids.push(id);
                }
                self.cache.last_sweeps.insert(bank_id, at_ms);
                Ok(ids)
            }

            /// The id of the bank of this name, which is inserted if it is new.
            pub(crate) fn bank(&mut self, name: &str) -> QueryResult<i32> {
                if let Some(id) = self.cache.banks.get(name) {
                    return Ok(*id);
                }
                let find = || bank::table.filter(bank::name.eq(name)).select(bank::id);
                let id = match find().first(self.connection).optional()? {
                    Some(id) => id,
                    None => {
                        let new = bank::name.eq(name);
                        diesel::insert_into(bank::table)
                            .values(new)
                            .on_conflict_do_nothing()
                            .execute(self.connection)?;
                        find().first(self.connection)?
                    }
                };
                self.cache.banks.insert(name.to_owned(), id);
                Ok(id)
            }

            pub(crate) fn state(&mut self, words: &StateWords) -> QueryResult<i32> {
                if let Some(id) = self.cache.states.get(words) {
                    return Ok(*id);
                }
                let key = words.key();
                let find = || state::table.filter(state::words.eq(key.clone())).select(state::id);
                let id = match find().first(self.connection).optional()? {
                    Some(id) => id,
                    None => {
                        let new = StateRow { key: key.clone(), words: words.clone() };
                        diesel::insert_into(state::table)
                            .values(new)
                            .on_conflict_do_nothing()
                            .execute(self.connection)?;
                        find().first(self.connection)?
                    }
                };
                if self.cache.states.len() >= MAX_CACHED_STATES {
                    self.cache.states.clear();
                }
                self.cache.states.insert(words.clone(), id);
                Ok(id)
            }

            /// The id of a battery, by its barcode or its place. A sweep passes where it has `read` the battery; other
            /// records may be late and don't move it.
            pub(crate) fn battery(
                &mut self,
                bank_id: i32,
                place: u8,
                identity: &BatteryIdentity,
                by_barcode: bool,
                read: Option<LastRead>,
            ) -> QueryResult<i32> {
                let place_key = battery_identity_key(bank_id, place, None);
                let key =
                    battery_identity_key(bank_id, place, identity.barcode.as_deref().filter(|_| by_barcode));
                let is_from_sweep = read.is_some();
                let seat = (bank_id, if is_from_sweep { i32::from(place) } else { 0 });
                let to_join = by_barcode && self.cache.batteries.contains_key(&place_key);
                if let Some(known) = self.cache.batteries.get_mut(&key) {
                    let same = (known.bank_id, known.place) == seat && known.identity == *identity;
                    if !is_from_sweep || (same && !to_join) {
                        known.read = read.or(known.read);
                        return Ok(known.id);
                    }
                }
                let facts = BatteryInfoRow {
                    identity: key.clone(),
                    bank_id,
                    place: seat.1,
                    barcode: identity.barcode.as_deref().map(|text| bounded(text, MAX_BARCODE_LEN)),
                    manufacturer: identity.manufacturer.clone(),
                    model: identity.model.clone(),
                    firmware: identity.firmware.clone(),
                    nominal_capacity_mah: identity.nominal_capacity_mah,
                    usable_capacity_mah: identity.usable_capacity_mah,
                    cells: identity.cells,
                };
                let mut id = self.find_battery(&key)?;
                if is_from_sweep && by_barcode {
                    self.cache.batteries.remove(&place_key);
                }
                if is_from_sweep
                    && by_barcode
                    && let Some(before) = self.find_by_place(&place_key)?
                {
                    // Its barcode has become known. The row by place is the same battery: it keeps its id, or is joined
                    // to the row that the barcode has already.
                    let row = battery::table.find(before);
                    match id {
                        Some(id) => {
                            let joined = (
                                battery::identity.eq(format!("joined:{before}")),
                                battery::joined_to_id.eq(Some(id)),
                                battery::place.eq(0),
                            );
                            diesel::update(row).set(joined).execute(self.connection)?;
                        }
                        None => {
                            diesel::update(row).set(battery::identity.eq(&key)).execute(self.connection)?;
                            id = Some(before);
                        }
                    }
                }
                let id = match id {
                    Some(id) => {
                        if is_from_sweep {
                            diesel::update(battery::table.find(id)).set(&facts).execute(self.connection)?;
                        }
                        id
                    }
                    None => {
                        let new = facts.clone();
                        diesel::insert_into(battery::table)
                            .values(new)
                            .on_conflict_do_nothing()
                            .execute(self.connection)?;
                        self.find_battery(&key)?.ok_or(diesel::NotFound)?
                    }
                };
                if is_from_sweep {
                    self.clear_place_of_others(seat, id)?;
                }
                let known = CachedBattery { id, bank_id, place: seat.1, identity: identity.clone(), read };
                self.cache.batteries.insert(key, known);
                Ok(id)
            }

            /// The battery at that place with an unknown barcode, except one that shares its barcode with another.
            fn find_by_place(&mut self, identity: &str) -> QueryResult<Option<i32>> {
                let row =
                    battery::table.filter(battery::identity.eq(identity)).filter(battery::barcode.is_null());
                row.select(battery::id).first(self.connection).optional()
            }

            fn find_battery(&mut self, identity: &str) -> QueryResult<Option<i32>> {
                let row = battery::table.filter(battery::identity.eq(identity));
                row.select(battery::id).first(self.connection).optional()
            }

            /// The place of a battery that was there before is unknown now.
            fn clear_place_of_others(&mut self, seat: (i32, i32), id: i32) -> QueryResult<()> {
                let others = battery::table
                    .filter(battery::bank_id.eq(seat.0))
                    .filter(battery::place.eq(seat.1))
                    .filter(battery::id.ne(id));
                diesel::update(others).set(battery::place.eq(0)).execute(self.connection)?;
                let others = self.cache.batteries.values_mut().filter(|known| known.id != id);
                others.filter(|known| (known.bank_id, known.place) == seat).for_each(|known| known.place = 0);
                Ok(())
            }
        }
    };
}

pub(crate) use impl_ids;
