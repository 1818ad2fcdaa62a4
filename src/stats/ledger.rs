//! What must outlive the process: counters and what was learned of each battery, as one file a bank.
//!
//! ```text
//! {"bankwatch_ledger":1,"checksum":"9f3c…"}      says how to read the rest, and whether it is whole
//! {"bank":…,"places":…,"batteries":…}            the checksum is of this line
//! ```
//! The file is replaced as a whole, so a power cut leaves the old one or the new; the checksum finds what a dying
//! disk does to it later.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::identity::Identity;
use crate::model::place::Place;
use crate::stats::cycle::Cycles;
use crate::stats::energy::Account;
use crate::stats::health::Learned;
use crate::stats::trend::Weeks;

/// The version this program writes, and the newest it reads.
const VERSION: u32 = 1;
/// More batteries than ever stood at one console; beyond it the one unseen for longest makes room.
const MOST_BATTERIES: usize = 256;

/// All that is kept of a bank.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Of the bank as a whole; of the stack in series.
    pub bank: Account,
    /// The full cycles of the bank.
    pub cycles: Cycles,
    /// Of each place, whoever sat there.
    pub places: BTreeMap<Place, Account>,
    /// Of each battery, wherever it sat.
    pub batteries: BTreeMap<Identity, BatteryBook>,
}

/// What is kept of one battery.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BatteryBook {
    /// Its counters.
    pub account: Account,
    /// Its full cycles.
    pub cycles: Cycles,
    /// What was learned of its health.
    pub learned: Learned,
    /// Its figures week by week.
    #[serde(default)]
    pub weeks: Weeks,
    /// Seconds since 1970 when it was last seen; 0 where the clock was not set.
    pub last_seen: i64,
    /// Where a battery that is known by its barcode sat last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The barcode of a battery that is known by its place because another one has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<String>,
}

/// The file's first line.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    #[serde(rename = "bankwatch_ledger")]
    version: u32,
    checksum: String,
}

/// Why a file is no ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// It is not as it was written.
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
    /// A newer program wrote it.
    #[error("the ledger is of version {found}, and this program reads up to version {VERSION}")]
    Newer {
        /// Its version.
        found: u32,
    },
}

impl Ledger {
    /// What is written to the file.
    ///
    /// # Errors
    /// None that are known: all of it can be said in JSON.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let body = serde_json::to_vec(self)?;
        let mut bytes = serde_json::to_vec(&Head { version: VERSION, checksum: checksum(&body) })?;
        bytes.push(b'\n');
        bytes.extend(body);
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads what [`Ledger::to_bytes`] wrote.
    ///
    /// # Errors
    /// It is damaged, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LedgerError> {
        let damaged = |why: &str| LedgerError::Damaged(why.to_owned());
        let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
        let head = serde_json::from_slice::<Head>(lines.next().unwrap_or_default());
        let head = head.map_err(|error| LedgerError::Damaged(format!("its first line: {error}")))?;
        if head.version > VERSION {
            return Err(LedgerError::Newer { found: head.version });
        }
        let body = lines.next().and_then(|body| body.strip_suffix(b"\n"));
        let body = body.ok_or_else(|| damaged("it ends too early"))?;
        if checksum(body) != head.checksum {
            return Err(damaged("its checksum is another than that of its content"));
        }
        let ledger: Self =
            serde_json::from_slice(body).map_err(|error| LedgerError::Damaged(error.to_string()))?;
        let learned = ledger.batteries.values().all(|book| book.learned.sound() && book.weeks.sound());
        if learned && ledger.accounts().all(Account::sound) {
            Ok(ledger)
        } else {
            Err(damaged("a number in it can't have come from counting"))
        }
    }

    fn accounts(&self) -> impl Iterator<Item = &Account> {
        let batteries = self.batteries.values().map(|book| &book.account);
        std::iter::once(&self.bank).chain(self.places.values()).chain(batteries)
    }

    /// Takes over what was kept before; what has been counted meanwhile is added to it, and what little was learned
    /// meanwhile gives way.
    pub fn join(&mut self, kept: Self) {
        self.bank.join(&kept.bank);
        self.cycles = kept.cycles;
        for (place, account) in kept.places {
            self.places.entry(place).or_default().join(&account);
        }
        for (identity, kept) in kept.batteries {
            self.batteries.entry(identity).or_default().join(kept);
        }
    }

    /// Forgets what was learned of health; the counters stay, and the means of the weeks, which nothing brings back.
    pub fn forget_learned(&mut self) {
        self.batteries.values_mut().for_each(|book| book.learned = Learned::default());
    }

    /// Whether the counters are the same.
    #[must_use]
    pub fn counted_as(&self, other: &Self) -> bool {
        self.accounts().eq(other.accounts())
    }

    /// The book of this battery, a new one for a battery never seen before.
    pub fn battery(&mut self, identity: &Identity) -> &mut BatteryBook {
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
        *self = Self { account, last_seen, place, shared, ..kept };
    }
}

/// FNV-1a of 64 bits, as hexadecimal digits: it is against decay, not against anybody.
fn checksum(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{sum:016x}")
}
