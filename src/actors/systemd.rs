//! Updates the status line that `systemctl status` shows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Supervised};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::messages::{LatestReports, SlotUpdated};
use crate::model::reading::{OFFLINE_AFTER, Presence};
use crate::model::report::BankReport;
use crate::supervise::{Flush, Ping};
use crate::systemd;

pub(crate) struct SystemdActor {
    slot: LatestReports,
    /// A reading older than this is shown as outdated.
    stale_after: Duration,
    /// How often the line is refreshed without a new reading.
    refresh_interval: Duration,
    latest: BTreeMap<Arc<str>, Arc<BankReport>>,
    last_status: String,
}

impl SystemdActor {
    #[must_use]
    pub(crate) fn new(slot: LatestReports, stale_after: Duration, refresh_interval: Duration) -> Self {
        Self { slot, stale_after, refresh_interval, latest: BTreeMap::new(), last_status: String::new() }
    }

    fn update(&mut self) {
        for report in self.slot.take() {
            self.latest.insert(report.reading.bank.clone(), report);
        }
        let banks: Vec<String> = self.latest.values().map(|report| self.status_of(report)).collect();
        let line = if banks.is_empty() { "no reading yet".to_owned() } else { banks.join("; ") };
        if line != self.last_status {
            systemd::status(&line);
            self.last_status = line;
        }
    }

    fn status_of(&self, report: &BankReport) -> String {
        let reading = &report.reading;
        let taken = reading.taken_at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string();
        let age = Duration::try_from(Timestamp::now().duration_since(reading.taken_at)).unwrap_or_default();
        // The next sweep may take as long as this one did.
        if age > self.stale_after.max(reading.took.saturating_mul(OFFLINE_AFTER)) {
            return format!("{}: no reading since {taken}", reading.bank);
        }
        let present =
            reading.batteries.iter().filter(|battery| battery.presence == Presence::Present).count();
        let values = &report.statistics;
        let soc = values.soc.map(|soc| format!(", {soc:.0} %")).unwrap_or_default();
        let power = values.power.map(|power| format!(", {:+.0} W", power.watts())).unwrap_or_default();
        format!("{}: {present} batteries{soc}{power} at {taken}", reading.bank)
    }

    fn schedule_refresh(&self, ctx: &mut Context<Self>) {
        ctx.run_later(self.refresh_interval, |actor, ctx| {
            actor.update();
            actor.schedule_refresh(ctx);
        });
    }
}

impl Actor for SystemdActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.update();
        self.schedule_refresh(ctx);
    }
}

impl Supervised for SystemdActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.last_status.clear();
    }
}

impl Handler<SlotUpdated> for SystemdActor {
    type Result = ();

    fn handle(&mut self, _: SlotUpdated, _: &mut Self::Context) {
        self.update();
    }
}

impl Handler<Ping> for SystemdActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Flush> for SystemdActor {
    type Result = ();

    fn handle(&mut self, _: Flush, _: &mut Self::Context) {}
}
