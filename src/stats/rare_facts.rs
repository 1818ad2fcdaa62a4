//! Facts that a battery is rarely asked for, kept for the next run of the service.
//!
//! `stat N` comes round once in many sweeps, so its facts would be unknown for minutes after each restart. They are kept
//! in the battery's book and restored once its barcode was read at its place in this run: nothing else shows that no
//! other battery was put there meanwhile. Their age is measured by the time since the machine was booted, which nobody
//! sets; after a reboot they are not restored, because the wall clock of a small machine may be days late then.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::facts::Facts;
use crate::model::units::{MilliampHours, Percent};

/// A moment: how long the machine had been up, and since which boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineTime {
    /// What the system calls this boot; no other has the same.
    pub(crate) boot: String,
    /// Seconds since then.
    pub(crate) up_s: u64,
}

impl MachineTime {
    /// So much later.
    #[must_use]
    pub(crate) fn after(&self, time: Duration) -> Self {
        Self { boot: self.boot.clone(), up_s: self.up_s.saturating_add(time.as_secs()) }
    }

    /// From another moment to this one; unknown across a reboot.
    #[must_use]
    pub(crate) fn since(&self, earlier: &Self) -> Option<Duration> {
        let seconds = self.up_s.checked_sub(earlier.up_s).filter(|_| self.boot == earlier.boot)?;
        Some(Duration::from_secs(seconds))
    }
}

/// What a battery stated in its last answer to `stat N`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RareFacts {
    /// When.
    pub(crate) stated: MachineTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    soh: Option<Percent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cycles: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    discharged: Option<MilliampHours>,
}

impl RareFacts {
    /// Of these facts, those that are kept.
    #[must_use]
    pub(crate) fn of(facts: &Facts, stated: MachineTime) -> Self {
        Self { stated, soh: facts.soh, cycles: facts.cycles, discharged: facts.discharged }
    }
}

impl From<RareFacts> for Facts {
    fn from(RareFacts { soh, cycles, discharged, .. }: RareFacts) -> Self {
        Self { soh, cycles, discharged, ..Self::default() }
    }
}
