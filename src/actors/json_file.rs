//! Writes the newest full reading of each bank to `<bank>_status.json`, replacing the file atomically.
//!
//! The folder may be a network mount that hangs, so files are written on a worker thread with a deadline. A folder that
//! is missing, full or read-only is logged once, and the newest reading is written when it is back: a report that could
//! not be written is put back unless a newer one has arrived.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Supervised, WrapFuture};
use jiff::tz::TimeZone;
use slog::Logger;

use crate::atomic_file::AtomicFile;
use crate::messages::{LatestReports, SlotUpdated};
use crate::model::report::BankReport;
use crate::outage::OutageTracker;
use crate::settings::JsonFileSettings;
use crate::status::StatusDocument;
use crate::supervise::{Flush, Ping, StopHandle, Worker, WorkerError};

/// The number of hanging writes after which the output fails and is retried later.
const MOST_ABANDONED: usize = 3;
/// The name of this output in logs.
const OUTPUT: &str = "json_file";

pub struct JsonFileActor {
    settings: JsonFileSettings,
    /// The timeout of one round of writes, and the pause after a failed one.
    deadline: Duration,
    slot: LatestReports,
    log: Logger,
    lifeline: StopHandle,
    /// These survive restarts of the actor: hanging threads stay counted, an earlier write never replaces a later one,
    /// and an output that was logged as down is logged as recovered.
    worker: Worker,
    files: BTreeMap<Arc<str>, Arc<AtomicFile>>,
    trouble: OutageTracker,
    /// Whether a retry is scheduled.
    will_retry: bool,
}

/// A file that could not be written.
struct FailedWrite {
    report: Arc<BankReport>,
    target: PathBuf,
    reason: String,
}

impl JsonFileActor {
    /// Writes what `slot` holds where `settings` say; a round of writing may take `deadline`.
    #[must_use]
    pub fn new(
        settings: JsonFileSettings,
        deadline: Duration,
        slot: LatestReports,
        log: Logger,
        lifeline: StopHandle,
    ) -> Self {
        let worker = Worker::new("json file", MOST_ABANDONED);
        let (files, trouble) = (BTreeMap::new(), OutageTracker::new());
        Self { settings, deadline, slot, log, lifeline, worker, files, trouble, will_retry: false }
    }

    fn file(&mut self, bank: &Arc<str>) -> Arc<AtomicFile> {
        let new = || Arc::new(AtomicFile::published(self.settings.path_for(bank)));
        self.files.entry(bank.clone()).or_insert_with(new).clone()
    }

    /// Handles the outcome of a round of writes.
    fn on_written(
        &mut self,
        outcome: Result<Vec<FailedWrite>, WorkerError>,
        reports: Vec<Arc<BankReport>>,
        ctx: &mut Context<Self>,
    ) {
        let (reason, target, unwritten) = match outcome {
            Ok(failed) => match failed.first() {
                Some(first) => {
                    let (reason, target) = (first.reason.clone(), first.target.clone());
                    (reason, target, failed.into_iter().map(|failed| failed.report).collect())
                }
                None => {
                    if let Some(back) = self.trouble.on_success(Instant::now()) {
                        back.log_recovered(&self.log, OUTPUT);
                    }
                    return;
                }
            },
            Err(error @ WorkerError::Exhausted { .. }) => {
                self.slot.put_back(reports);
                // The supervisor tries again every few minutes; until then readings cost nothing here.
                self.lifeline
                    .give_up(format!("writing to {} hangs: {error}", self.settings.directory.display()));
                ctx.stop();
                return;
            }
            Err(error) => (error.to_string(), self.settings.directory.clone(), reports),
        };
        self.slot.put_back(unwritten);
        if let Some(say) = self.trouble.on_failure(Instant::now(), &reason) {
            say.log_down(&self.log, OUTPUT, &reason, &target.display().to_string());
        }
        if !std::mem::replace(&mut self.will_retry, true) {
            ctx.run_later(self.deadline, |actor, ctx| {
                actor.will_retry = false;
                ctx.notify(SlotUpdated);
            });
        }
    }
}

/// Writes one report; runs on the worker thread.
fn write(report: &BankReport, file: &AtomicFile) -> io::Result<()> {
    let content = serde_json::to_vec(&StatusDocument::of(report, &TimeZone::system()))?;
    file.replace(&content)
}

impl Actor for JsonFileActor {
    type Context = Context<Self>;

    /// Reports that arrived before the start are still pending.
    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(SlotUpdated);
    }
}

impl Supervised for JsonFileActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        // The timer was cancelled with the previous context.
        self.will_retry = false;
    }
}

impl Handler<SlotUpdated> for JsonFileActor {
    type Result = ();

    /// The mailbox is paused while the worker writes: notifications that come meanwhile are merged into one, and the
    /// slot holds the newest report. A bank whose file can't be written does not affect the others.
    fn handle(&mut self, _: SlotUpdated, ctx: &mut Self::Context) {
        let reports = self.slot.take();
        if reports.is_empty() {
            return;
        }
        let work: Vec<_> =
            reports.iter().map(|report| (report.clone(), self.file(&report.reading.bank))).collect();
        let written = self.worker.call(self.deadline, move || {
            let failed = work.into_iter().filter_map(|(report, file)| {
                let reason = write(&report, &file).err()?.to_string();
                Some(FailedWrite { report, target: file.path().to_owned(), reason })
            });
            failed.collect()
        });
        let done =
            |outcome, actor: &mut Self, ctx: &mut Context<Self>| actor.on_written(outcome, reports, ctx);
        ctx.wait(written.into_actor(self).map(done));
    }
}

impl Handler<Ping> for JsonFileActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Flush> for JsonFileActor {
    type Result = ();

    /// A notification queued before has been written, because the mailbox is paused during writes.
    fn handle(&mut self, _: Flush, _: &mut Self::Context) {}
}
