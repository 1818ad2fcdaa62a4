//! Caches the ids of banks, batteries and sets of state words, so that nothing is looked up twice, and where batteries
//! were last read, so that two with the same barcode can be distinguished.

use std::collections::HashMap;

use crate::store::model::sweep_record::BatteryIdentity;
use crate::store::sql::values::StateWords;

/// The known ids. A failed transaction clears the cache, since it may have added ids that were rolled back.
#[derive(Default)]
pub(crate) struct IdCache {
    pub(crate) banks: HashMap<String, i32>,
    pub(crate) batteries: HashMap<String, CachedBattery>,
    pub(crate) states: HashMap<StateWords, i32>,
    /// The time of each bank's last sweep.
    pub(crate) last_sweeps: HashMap<i32, i64>,
    /// The battery id of a barcode reported at a place.
    pub(crate) by_barcode: HashMap<(i32, u8, String), BatteryIdHistory>,
    /// The last stored part of a minute of each run of the service.
    pub(crate) parts: HashMap<i64, i64>,
}

/// A battery as in its row.
#[derive(Clone)]
pub(crate) struct CachedBattery {
    pub(crate) id: i32,
    pub(crate) bank_id: i32,
    pub(crate) place: i32,
    pub(crate) identity: BatteryIdentity,
    pub(crate) read: Option<LastRead>,
}

/// Where and when a sweep last read a battery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastRead {
    pub(crate) bank_id: i32,
    pub(crate) place: i32,
    pub(crate) at_ms: i64,
}

/// The id of a battery, since when it is valid, and the id before, for records that arrive late.
#[derive(Clone, Copy)]
pub(crate) struct BatteryIdHistory {
    id: i32,
    since_ms: i64,
    before: Option<i32>,
}

impl IdCache {
    /// Clears the barcodes if there are implausibly many. Not within a transaction, whose sweeps are not stored yet.
    pub(crate) fn evict_excess(&mut self) {
        if self.batteries.len() > MAX_CACHED_BARCODES || self.by_barcode.len() > MAX_CACHED_BARCODES {
            self.batteries.clear();
            self.by_barcode.clear();
        }
    }
}

impl BatteryIdHistory {
    /// An id valid from the first sweep on.
    pub(crate) fn first(id: i32) -> Self {
        Self { id, since_ms: i64::MIN, before: None }
    }

    pub(crate) fn change_to(&mut self, id: i32, at_ms: i64) {
        if self.id != id {
            *self = Self { id, since_ms: at_ms, before: Some(self.id) };
        }
    }

    pub(crate) fn at(&self, at_ms: i64) -> i32 {
        self.before.filter(|_| at_ms < self.since_ms).unwrap_or(self.id)
    }
}

/// Far more than real consoles produce, and few enough for a console that sends garbage.
pub(crate) const MAX_CACHED_STATES: usize = 4096;

pub(crate) const MAX_CACHED_BARCODES: usize = 4096;

/// A battery that shares a barcode takes it over once the owner has been missing from its bank's sweeps for this long;
/// a battery that has not shared it before, once the owner's bank has had no sweep for this long.
pub(crate) const HOUR_MS: i64 = 3_600_000;

/// How far back a battery's last reading is searched: a battery missing for longer loses its barcode.
pub(crate) const WEEK_MS: i64 = 7 * 24 * HOUR_MS;

/// The key of a battery's row: its barcode if known, otherwise its place.
pub(crate) fn battery_identity_key(bank_id: i32, place: u8, barcode: Option<&str>) -> String {
    match barcode {
        Some(barcode) => format!("barcode:{barcode}"),
        None => format!("place:{bank_id}:{place}"),
    }
}
