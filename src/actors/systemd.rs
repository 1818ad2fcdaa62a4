//! Keeps the one line that `systemctl status` shows.

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

/// The line's writer.
pub(crate) struct SystemdActor {
    slot: LatestReports,
    /// How old a reading may grow before the line says so.
    stale_after: Duration,
    /// How often the line is looked at when nothing comes.
    look_every: Duration,
    latest: BTreeMap<Arc<str>, Arc<BankReport>>,
    said: String,
}

impl SystemdActor {
    /// Tells what `slot` holds; a reading older than `stale_after` is told as old.
    #[must_use]
    pub(crate) fn new(slot: LatestReports, stale_after: Duration, look_every: Duration) -> Self {
        Self { slot, stale_after, look_every, latest: BTreeMap::new(), said: String::new() }
    }

    fn tell(&mut self) {
        for report in self.slot.take() {
            self.latest.insert(report.reading.bank.clone(), report);
        }
        let banks: Vec<String> = self.latest.values().map(|report| self.line(report)).collect();
        let line = if banks.is_empty() { "no reading yet".to_owned() } else { banks.join("; ") };
        if line != self.said {
            systemd::status(&line);
            self.said = line;
        }
    }

    fn line(&self, report: &BankReport) -> String {
        let reading = &report.reading;
        let taken = reading.taken_at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string();
        let age = Duration::try_from(Timestamp::now().duration_since(reading.taken_at)).unwrap_or_default();
        // The next sweep may take as long as this one did.
        if age > self.stale_after.max(reading.took.saturating_mul(OFFLINE_AFTER)) {
            return format!("{}: no reading since {taken}", reading.bank);
        }
        let there = reading.batteries.iter().filter(|battery| battery.presence == Presence::Present).count();
        let values = &report.statistics;
        let soc = values.soc.map(|soc| format!(", {soc:.0} %")).unwrap_or_default();
        let power = values.power.map(|power| format!(", {:+.0} W", power.watts())).unwrap_or_default();
        format!("{}: {there} batteries{soc}{power} at {taken}", reading.bank)
    }

    fn look_again(&self, ctx: &mut Context<Self>) {
        ctx.run_later(self.look_every, |actor, ctx| {
            actor.tell();
            actor.look_again(ctx);
        });
    }
}

impl Actor for SystemdActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.tell();
        self.look_again(ctx);
    }
}

impl Supervised for SystemdActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.said.clear();
    }
}

impl Handler<SlotUpdated> for SystemdActor {
    type Result = ();

    fn handle(&mut self, _: SlotUpdated, _: &mut Self::Context) {
        self.tell();
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
