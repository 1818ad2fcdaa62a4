//! The persistent statistics of a bank, in one file: counters, cycles and health models.
//!
//! ```text
//! {"bankwatch_ledger":1,"checksum":"9f3c…"}      version and checksum of the second line
//! {"bank":…,"places":…,"batteries":…}            the content
//! ```
//! The file is replaced atomically, so a power cut leaves either the old or the new one; the checksum detects later
//! damage by a failing disk.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::identity::Identity;
use crate::model::place::Place;
use crate::stats::cycle::Cycles;
use crate::stats::energy::Account;
use crate::stats::health::HealthModel;
use crate::stats::rare_facts::RareFacts;
use crate::stats::trend::WeeklyMeans;

/// The version that is written, and the newest that can be read.
const VERSION: u32 = 1;
/// Far more batteries than one console has; beyond it the one unseen for longest is dropped.
const MOST_BATTERIES: usize = 256;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Of the whole bank, or of the stack in series.
    pub bank: Account,
    /// The full cycles of the bank.
    pub(crate) cycles: Cycles,
    /// Of each place, whichever battery was there.
    pub(crate) places: BTreeMap<Place, Account>,
    /// Of each battery, at whichever place it was.
    pub(crate) batteries: BTreeMap<Identity, BatteryBook>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct BatteryBook {
    pub(crate) account: Account,
    pub(crate) cycles: Cycles,
    #[serde(rename = "learned")]
    pub(crate) learned: HealthModel,
    #[serde(default)]
    pub(crate) weeks: WeeklyMeans,
    /// Unix time when it was last seen; 0 if the clock was not set.
    pub(crate) last_seen: i64,
    /// The last place of a battery that is identified by its barcode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<Place>,
    /// The barcode of a battery that is identified by its place because another one owns the barcode.
    #[serde(rename = "shared", default, skip_serializing_if = "Option::is_none")]
    pub(crate) shared: Option<String>,
    #[serde(rename = "rare", default, skip_serializing_if = "Option::is_none")]
    pub(crate) rare: Option<RareFacts>,
}

/// The file's first line.
#[derive(Debug, Serialize, Deserialize)]
struct LedgerHeader {
    #[serde(rename = "bankwatch_ledger")]
    version: u32,
    checksum: String,
}

/// The error of reading a ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
    #[error("the ledger has version {found}, but this program supports versions up to {VERSION}")]
    Newer { found: u32 },
}

impl Ledger {
    /// Returns the content of the file.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let body = serde_json::to_vec(self)?;
        let mut bytes = serde_json::to_vec(&LedgerHeader { version: VERSION, checksum: checksum(&body) })?;
        bytes.push(b'\n');
        bytes.extend(body);
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads what [`Ledger::to_bytes`] wrote.
    ///
    /// # Errors
    /// Returns an error if the content is damaged or has a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LedgerError> {
        let damaged = |why: &str| LedgerError::Damaged(why.to_owned());
        let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
        let head = serde_json::from_slice::<LedgerHeader>(lines.next().unwrap_or_default());
        let head = head.map_err(|error| LedgerError::Damaged(format!("invalid first line: {error}")))?;
        if head.version > VERSION {
            return Err(LedgerError::Newer { found: head.version });
        }
        let body = lines.next().and_then(|body| body.strip_suffix(b"\n"));
        let body = body.ok_or_else(|| damaged("unexpected end of file"))?;
        if checksum(body) != head.checksum {
            return Err(damaged("checksum mismatch"));
        }
        let mut ledger: Self =
            serde_json::from_slice(body).map_err(|error| LedgerError::Damaged(error.to_string()))?;
        let learned = ledger.batteries.values().all(|book| book.learned.sound() && book.weeks.sound());
        let cycles = ledger.batteries.values_mut().map(|book| &mut book.cycles);
        cycles.chain([&mut ledger.cycles]).for_each(Cycles::forget_impossible);
        if learned && ledger.accounts().all(Account::sound) {
            Ok(ledger)
        } else {
            Err(damaged("invalid number"))
        }
    }

    fn accounts(&self) -> impl Iterator<Item = &Account> {
        let batteries = self.batteries.values().map(|book| &book.account);
        std::iter::once(&self.bank).chain(self.places.values()).chain(batteries)
    }

    /// Merges the ledger of earlier runs: counters are added, and the few things learned meanwhile are replaced.
    pub(crate) fn join(&mut self, kept: Self) {
        self.bank.join(&kept.bank);
        self.cycles = kept.cycles;
        for (place, account) in kept.places {
            self.places.entry(place).or_default().join(&account);
        }
        for (identity, kept) in kept.batteries {
            self.batteries.entry(identity).or_default().join(kept);
        }
    }

    /// Resets the health models; counters and weekly means stay, because they can't be reconstructed.
    pub(crate) fn forget_learned(&mut self) {
        self.batteries.values_mut().for_each(|book| book.learned = HealthModel::default());
    }

    /// Whether the counters are the same.
    #[must_use]
    pub fn counted_as(&self, other: &Self) -> bool {
        self.accounts().eq(other.accounts())
    }

    /// Whether more than one battery has stated this barcode.
    #[must_use]
    pub(crate) fn is_shared(&self, barcode: &str) -> bool {
        self.batteries.values().any(|book| book.shared.as_deref() == Some(barcode))
    }

    /// Returns the record of a battery, creating it if needed.
    pub(crate) fn battery(&mut self, identity: &Identity) -> &mut BatteryBook {
        if !self.batteries.contains_key(identity) && self.batteries.len() >= MOST_BATTERIES {
            let longest = self.batteries.iter().min_by_key(|(_, book)| book.last_seen);
            let longest = longest.map(|(identity, _)| identity.clone());
            longest.and_then(|identity| self.batteries.remove(&identity));
        }
        self.batteries.entry(identity.clone()).or_default()
    }
}

impl BatteryBook {
    fn join(&mut self, kept: Self) {
        let mut account = kept.account;
        account.join(&self.account);
        let last_seen = kept.last_seen.max(self.last_seen);
        let (place, shared) = (kept.place.or(self.place), kept.shared.or(self.shared.take()));
        let rare = self.rare.take().or(kept.rare);
        *self = Self { account, last_seen, place, shared, rare, ..kept };
    }
}

/// FNV-1a with 64 bits in hexadecimal: it detects accidental damage, not tampering.
fn checksum(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{sum:016x}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::facts::Facts;
    use crate::model::health::{Evidence, HealthReason, HealthVerdict};
    use crate::model::reading::BatteryReading;
    use crate::model::units::MilliampHours;
    use crate::stats::health::{HealthInput, assess};

    /// A record as it was written before `near_full` and `disagree` were in it: two cells, watched for two days.
    fn old_book(bottom_seconds: f64, efficiency: f64) -> Value {
        let means = |seconds: f64, of: &[f64]| json!({ "seconds": seconds, "of": of });
        let tally = json!({ "whole": 0, "rest": 0 });
        json!({
            "account": {
                "energy_in": tally, "energy_out": tally, "charge_in": tally, "charge_out": tally, "counted": 0
            },
            "cycles": {
                "at_top": false, "began": null, "deepest": null, "last_full": null,
                "capacity": 95_000.0, "efficiency": efficiency
            },
            "learned": {
                "watched": means(200_000.0, &[1.0]),
                "extremes": means(200_000.0, &[0.5, 0.5, 0.5, 0.5]),
                "plateau": means(100_000.0, &[1.0, 300.0, 1.0, -1.0, 0.0, 0.0]),
                "top": means(9_000.0, &[1.0, -1.0]),
                "bottom": means(bottom_seconds, &[1.0, -1.0]),
                "warmth": means(0.0, &[]), "rest": means(0.0, &[]), "load": means(0.0, &[]),
                "balancing": means(0.0, &[]), "share": means(0.0, &[])
            },
            "weeks": {
                "began": null, "now": vec![json!({ "count": 0, "mean": 0.0 }); 6], "past": []
            },
            "last_seen": 0
        })
    }

    #[test]
    fn a_ledger_of_the_previous_version_keeps_its_evidence() {
        let identity = Identity::Barcode("K100000000000001".to_owned());
        let facts = Facts { nominal_capacity: Some(MilliampHours(100_000)), ..Facts::default() };
        for (bottom_seconds, efficiency) in [(9_000.0, 96.0), (60.0, 482.0)] {
            let mut all = serde_json::to_value(Ledger::default()).unwrap();
            all["batteries"] =
                serde_json::to_value(BTreeMap::from([(&identity, BatteryBook::default())])).unwrap();
            for book in all["batteries"].as_object_mut().unwrap().values_mut() {
                *book = old_book(bottom_seconds, efficiency);
            }
            let body = serde_json::to_vec(&all).unwrap();
            let head = serde_json::to_vec(&LedgerHeader { version: 1, checksum: checksum(&body) }).unwrap();
            let read = Ledger::from_bytes(&[&head[..], b"\n", &body, b"\n"].concat()).unwrap();
            let BatteryBook { learned, cycles, weeks, .. } = &read.batteries[&identity];
            let battery = &BatteryReading::empty(Place::FIRST);
            let health = assess(
                learned,
                &HealthInput { battery, facts: &facts, cycles, weeks, measured: None, at: 0 },
            );
            if efficiency > 100.0 {
                assert_eq!(
                    (health.efficiency, health.capacity_seen),
                    (None, None),
                    "impossible values are removed"
                );
                assert_eq!(health.reasons, [HealthReason::NotYetSeen(Evidence::NearEmpty)]);
            } else {
                assert_eq!((health.verdict, health.efficiency), (HealthVerdict::Healthy, Some(96.0)));
            }
        }
    }
}
