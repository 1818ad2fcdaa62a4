//! Caches the numbers of banks, batteries and sets of words, so that a sweep looks nothing up twice, and where
//! batteries were read last, so that two with the same barcode can be distinguished.

use std::collections::HashMap;

use crate::store::record::Identity;
use crate::store::values::Words;

/// Numbers known by now. Whatever a failed transaction added is forgotten with all the rest.
#[derive(Default)]
pub(super) struct Known {
    pub(super) banks: HashMap<String, i32>,
    pub(super) batteries: HashMap<String, KnownBattery>,
    pub(super) states: HashMap<Words, i32>,
    /// When each bank's last sweep was taken.
    pub(super) swept: HashMap<i32, i64>,
    /// The battery's number that a barcode stated at a place refers to.
    pub(super) numbers: HashMap<(i32, u8, String), Numbered>,
    /// The last part of a minute that was stored of each run of the service.
    pub(super) parts: HashMap<i64, i64>,
}

/// A battery as its row has it.
#[derive(Clone)]
pub(super) struct KnownBattery {
    pub(super) id: i32,
    pub(super) bank_id: i32,
    pub(super) place: i32,
    pub(super) identity: Identity,
    /// Where a sweep found it last.
    pub(super) read: Option<LastRead>,
}

/// Where and when a battery was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastRead {
    pub(super) bank_id: i32,
    pub(super) place: i32,
    pub(super) at_ms: i64,
}

/// The number of a battery, since when, and its number before: what is stored late belongs to that.
#[derive(Clone, Copy)]
pub(super) struct Numbered {
    id: i32,
    since_ms: i64,
    before: Option<i32>,
}

impl Known {
    /// Forgets barcodes where there are more than batteries have. Not within a transaction: its own sweeps are not
    /// stored yet.
    pub(super) fn forget_surplus(&mut self) {
        if self.batteries.len() > BARCODES_KEPT || self.numbers.len() > BARCODES_KEPT {
            self.batteries.clear();
            self.numbers.clear();
        }
    }
}

impl Numbered {
    /// From the first sweep on.
    pub(super) fn first(id: i32) -> Self {
        Self { id, since_ms: i64::MIN, before: None }
    }

    /// From this moment on it is another one.
    pub(super) fn becomes(&mut self, id: i32, at_ms: i64) {
        if self.id != id {
            *self = Self { id, since_ms: at_ms, before: Some(self.id) };
        }
    }

    /// The number at that moment.
    pub(super) fn at(&self, at_ms: i64) -> i32 {
        self.before.filter(|_| at_ms < self.since_ms).unwrap_or(self.id)
    }
}

/// Sets of words kept in memory: far more than consoles say, and few enough for a console that says anything at all.
pub(super) const STATES_KEPT: usize = 4096;

/// The same of barcodes.
pub(super) const BARCODES_KEPT: usize = 4096;

/// A battery that shares its barcode takes it over once its owner has been missing from its bank's sweeps for this
/// long; a battery that has not shared it before, once the owner's bank has been silent for this long.
pub(super) const HOUR_MS: i64 = 3_600_000;

/// How far back a battery's last reading is searched: one that is gone for longer has given up its barcode.
pub(super) const WEEK_MS: i64 = 7 * 24 * HOUR_MS;

/// The text by which a battery is known: its barcode where there is one, else where it sits.
pub(super) fn identity_of(bank_id: i32, place: u8, barcode: Option<&str>) -> String {
    match barcode {
        Some(barcode) => format!("barcode:{barcode}"),
        None => format!("place:{bank_id}:{place}"),
    }
}
