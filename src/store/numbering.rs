//! Who is who: the numbers of banks, batteries and sets of words, looked up or entered. The same for both backends, as in
//! `writing.rs`.

/// Defines how `Writing` finds its numbers.
macro_rules! numbering {
    () => {
        impl Writing<'_> {
            /// The numbers of a bank and of a battery in it; 0 where it is about the bank itself.
            pub(super) fn whose(
                &mut self,
                bank: &str,
                place: Option<u8>,
                barcode: Option<&str>,
            ) -> QueryResult<(i32, i32)> {
                let bank_id = self.bank(bank)?;
                let Some(place) = place else { return Ok((bank_id, 0)) };
                let identity = Identity { barcode: barcode.map(str::to_owned), ..Identity::default() };
                Ok((bank_id, self.battery(bank_id, place, &identity, false)?))
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

            /// The number of a battery. A sweep says where it sits (`seated`) and what is known of it; whoever else
            /// names it may be late, and changes neither.
            pub(super) fn battery(
                &mut self,
                bank_id: i32,
                place: u8,
                identity: &Identity,
                seated: bool,
            ) -> QueryResult<i32> {
                let key = identity_of(bank_id, place, identity.barcode.as_deref());
                let nameless = identity_of(bank_id, place, None);
                let seat = (bank_id, if seated { i32::from(place) } else { 0 });
                let to_join = identity.barcode.is_some() && self.known.batteries.contains_key(&nameless);
                if let Some(known) = self.known.batteries.get(&key) {
                    let same = (known.bank_id, known.place) == seat && known.identity == *identity;
                    if !seated || (same && !to_join) {
                        return Ok(known.id);
                    }
                }
                let facts = BatteryFacts {
                    identity: key.clone(),
                    bank_id,
                    place: seat.1,
                    barcode: identity.barcode.clone(),
                    manufacturer: identity.manufacturer.clone(),
                    model: identity.model.clone(),
                    firmware: identity.firmware.clone(),
                    nominal_capacity_mah: identity.nominal_capacity_mah,
                    usable_capacity_mah: identity.usable_capacity_mah,
                    cells: identity.cells,
                };
                let mut id = self.find_battery(&key)?;
                if seated
                    && identity.barcode.is_some()
                    && let Some(before) = self.find_battery(&nameless)?
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
                    self.known.batteries.remove(&nameless);
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
                let known = KnownBattery { id, bank_id, place: seat.1, identity: identity.clone() };
                self.known.batteries.insert(key, known);
                Ok(id)
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
                self.known
                    .batteries
                    .retain(|_, known| known.id == id || (known.bank_id, known.place) != seat);
                Ok(())
            }
        }
    };
}

pub(super) use numbering;
