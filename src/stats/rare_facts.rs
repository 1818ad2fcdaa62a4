//! Stores rarely polled facts for the next run of the service.
//!
//! `stat N` is polled once in many sweeps, so its facts would be unknown for minutes after each restart. They are
//! stored in the ledger and restored once the barcode of the battery has been read again, because another battery may
//! have been installed meanwhile. Their age is measured by the monotonic uptime of the machine; after a reboot they
//! are not restored, because the wall clock of a small machine may be days late then.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::facts::Facts;
use crate::model::units::{MilliampHours, Percent};

/// A time by the uptime of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineTime {
    /// The unique id of the boot.
    pub(crate) boot: String,
    /// Seconds since the boot.
    pub(crate) up_s: u64,
}

impl MachineTime {
    /// Returns this time plus a duration.
    #[must_use]
    pub(crate) fn after(&self, time: Duration) -> Self {
        Self { boot: self.boot.clone(), up_s: self.up_s.saturating_add(time.as_secs()) }
    }

    /// Returns the time since `earlier`, or `None` if the machine was rebooted in between.
    #[must_use]
    pub(crate) fn since(&self, earlier: &Self) -> Option<Duration> {
        let seconds = self.up_s.checked_sub(earlier.up_s).filter(|_| self.boot == earlier.boot)?;
        Some(Duration::from_secs(seconds))
    }
}

/// Facts of the last answer to `stat N`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RareFacts {
    pub(crate) stated: MachineTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    soh: Option<Percent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cycles: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    discharged: Option<MilliampHours>,
}

impl RareFacts {
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
