//! What has been looked up: numbers of banks, batteries and sets of words, so that a sweep looks nothing up twice.

use std::collections::HashMap;

use crate::store::record::Identity;
use crate::store::values::Words;

/// Numbers known by now. Whatever a failed transaction added is forgotten with all the rest.
#[derive(Default)]
pub(super) struct Known {
    pub(super) banks: HashMap<String, i32>,
    pub(super) batteries: HashMap<String, KnownBattery>,
    pub(super) states: HashMap<Words, i32>,
}

/// A battery as its row has it.
#[derive(Clone)]
pub(super) struct KnownBattery {
    pub(super) id: i32,
    pub(super) bank_id: i32,
    pub(super) place: i32,
    pub(super) identity: Identity,
}

/// Sets of words kept in memory: far more than consoles say, and few enough for a console that says anything at all.
pub(super) const STATES_KEPT: usize = 4096;

/// The text by which a battery is known: its barcode where there is one, else where it sits.
pub(super) fn identity_of(bank_id: i32, place: u8, barcode: Option<&str>) -> String {
    match barcode {
        Some(barcode) => format!("barcode:{barcode}"),
        None => format!("place:{bank_id}:{place}"),
    }
}
