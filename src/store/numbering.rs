//! Who is who: the numbers of banks, batteries and sets of words, looked up or entered. The same for both backends, as in
//! `writing.rs`.

/// Defines how `Writing` finds its numbers.
macro_rules! numbering {
    () => {
        impl Writing<'_> {
            /// The numbers of a bank and of a battery in it, as they were at `at_ms`; 0 where it is about the bank
            /// itself.
            pub(super) fn whose(
                &mut self,
                bank: &str,
                place: Option<u8>,
                barcode: Option<&str>,
                at_ms: i64,
            ) -> QueryResult<(i32, i32)> {
                let bank_id = self.bank(bank)?;
                let Some(place) = place else { return Ok((bank_id, 0)) };
                if let Some(barcode) = usable(barcode) {
                    let numbered = self.known.numbers.get(&(bank_id, place, barcode.to_owned()));
                    let id = match numbered.map(|numbered| numbered.at(at_ms)) {
                        Some(id) => Some(id),
                        None => self.second(bank_id, place, barcode)?,
                    };
                    if let Some(id) = id {
                        return Ok((bank_id, id));
                    }
                }
                let identity = Identity { barcode: barcode.map(str::to_owned), ..Identity::default() };
                Ok((bank_id, self.battery(bank_id, place, &identity, usable(barcode).is_some(), None)?))
            }

            /// The numbers of a sweep's batteries.
            pub(super) fn seat(&mut self, bank_id: i32, sweep: &Sweep) -> QueryResult<Vec<i32>> {
                let keepers = self.keepers(bank_id, sweep)?;
                let at_ms = sweep.taken_at_ms;
                let mut ids = Vec::with_capacity(sweep.batteries.len());
                for Battery { place, identity, .. } in &sweep.batteries {
                    let read = LastRead { bank_id, place: i32::from(*place), at_ms };
                    let id = self.battery(bank_id, *place, identity, keepers.contains(place), Some(read))?;
                    if let Some(barcode) = usable(identity.barcode.as_deref()) {
                        let key = (bank_id, *place, barcode.to_owned());
                        let numbered = self.known.numbers.entry(key).or_insert(Numbered::first(id));
                        numbered.becomes(id, at_ms);
                    }
                    ids.push(id);
                }
                self.known.swept.insert(bank_id, at_ms);
                Ok(ids)
            }

            /// The number of the bank of this name; it is entered where it is new.
            pub(super) fn bank(&mut self, name: &str) -> QueryResult<i32> {
                if let Some(id) = self.known.banks.get(name) {
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
                self.known.banks.insert(name.to_owned(), id);
                Ok(id)
            }

            fn state(&mut self, words: &Words) -> QueryResult<i32> {
                if let Some(id) = self.known.states.get(words) {
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
                if self.known.states.len() >= STATES_KEPT {
                    self.known.states.clear();
                }
                self.known.states.insert(words.clone(), id);
                Ok(id)
            }

            /// The number of a battery, by its barcode or by its place. A sweep has `read` it where it is; other
            /// records may be late, and move no battery.
            pub(super) fn battery(
                &mut self,
                bank_id: i32,
                place: u8,
                identity: &Identity,
                by_barcode: bool,
                read: Option<LastRead>,
            ) -> QueryResult<i32> {
                let nameless = identity_of(bank_id, place, None);
                let key = identity_of(bank_id, place, identity.barcode.as_deref().filter(|_| by_barcode));
                let seated = read.is_some();
                let seat = (bank_id, if seated { i32::from(place) } else { 0 });
                let to_join = by_barcode && self.known.batteries.contains_key(&nameless);
                if let Some(known) = self.known.batteries.get_mut(&key) {
                    let same = (known.bank_id, known.place) == seat && known.identity == *identity;
                    if !seated || (same && !to_join) {
                        known.read = read.or(known.read);
                        return Ok(known.id);
                    }
                }
                let facts = BatteryFacts {
                    identity: key.clone(),
                    bank_id,
                    place: seat.1,
                    barcode: identity.barcode.as_deref().map(|text| bounded(text, LONGEST_BARCODE)),
                    manufacturer: identity.manufacturer.clone(),
                    model: identity.model.clone(),
                    firmware: identity.firmware.clone(),
                    nominal_capacity_mah: identity.nominal_capacity_mah,
                    usable_capacity_mah: identity.usable_capacity_mah,
                    cells: identity.cells,
                };
                let mut id = self.find_battery(&key)?;
                if seated && by_barcode {
                    self.known.batteries.remove(&nameless);
                }
                if seated
                    && by_barcode
                    && let Some(before) = self.find_nameless(&nameless)?
                {
                    // Its barcode has become known: what it was until now is the same battery, under its number or,
                    // where the barcode has one of its own, joined to that.
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
                        if seated {
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
                if seated {
                    self.unseat_others(seat, id)?;
                }
                let known = KnownBattery { id, bank_id, place: seat.1, identity: identity.clone(), read };
                self.known.batteries.insert(key, known);
                Ok(id)
            }

            /// The battery of that place with an unknown barcode; one that shares its barcode does not count.
            fn find_nameless(&mut self, identity: &str) -> QueryResult<Option<i32>> {
                let row =
                    battery::table.filter(battery::identity.eq(identity)).filter(battery::barcode.is_null());
                row.select(battery::id).first(self.connection).optional()
            }

            fn find_battery(&mut self, identity: &str) -> QueryResult<Option<i32>> {
                let row = battery::table.filter(battery::identity.eq(identity));
                row.select(battery::id).first(self.connection).optional()
            }

            /// Whoever sat there before sits nowhere that is known.
            fn unseat_others(&mut self, seat: (i32, i32), id: i32) -> QueryResult<()> {
                let others = battery::table
                    .filter(battery::bank_id.eq(seat.0))
                    .filter(battery::place.eq(seat.1))
                    .filter(battery::id.ne(id));
                diesel::update(others).set(battery::place.eq(0)).execute(self.connection)?;
                let others = self.known.batteries.values_mut().filter(|known| known.id != id);
                others.filter(|known| (known.bank_id, known.place) == seat).for_each(|known| known.place = 0);
                Ok(())
            }
        }
    };
}

pub(super) use numbering;
