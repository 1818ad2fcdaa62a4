//! Derives events from reports and sends them to the service's log, the event log and other outputs.
//!
//! Listeners receive events at once. The event log and the active events are written on a worker thread with a
//! deadline; a disk that is full, missing or hangs is logged once, pending writes are queued in memory, and nothing
//! else is affected.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Supervised, WrapFuture};
use jiff::{SignedDuration, Timestamp};
use slog::{Logger, info, warn};

use crate::events::barcodes::{BarcodeFinding, Barcodes};
use crate::events::config::EventConfig;
use crate::events::device_log_filter::DeviceLogFilter;
use crate::events::disk::{Disk, WriteOutcome};
use crate::events::line;
use crate::events::log_text::LogText;
use crate::events::saved::SavedBank;
use crate::events::tracker::Tracker;
use crate::messages::{DeviceLogRead, EventOccurred, Queue, ReportReady};
use crate::model::device_log::DeviceLogBatch;
use crate::model::event::Event;
use crate::model::report::BankReport;
use crate::outage::{HumanDuration, OutageTracker};
use crate::supervise::{Flush, Ping, Worker, WorkerError};

/// The maximum number of hanging calls to the disk.
const MOST_ABANDONED: usize = 3;
/// The name of this output in logs.
const OUTPUT: &str = "events";
/// The interval of the checks for silent banks.
const SILENCE_CHECK: Duration = Duration::from_secs(1);

/// The receivers of events and of device logs.
#[derive(Clone, Default)]
pub struct Listeners {
    pub events: Vec<Queue<EventOccurred>>,
    pub device_logs: Vec<Queue<DeviceLogRead>>,
}

/// The events of all banks.
pub struct EventActor {
    plan: EventConfig,
    listeners: Listeners,
    log: Logger,
    started: Instant,
    /// These survive restarts of the actor: hanging threads stay counted, pending writes are not lost, and the active
    /// events are restored.
    worker: Worker,
    disk: Disk,
    standing: Option<BTreeMap<Arc<str>, SavedBank>>,
    trouble: OutageTracker,
    state: EventState,
}

/// State that is reset when the actor restarts.
#[derive(Default)]
struct EventState {
    trackers: BTreeMap<Arc<str>, Tracker>,
    text: Option<LogText>,
    recall: DeviceLogFilter,
    barcodes: Barcodes,
    /// Whether a retry is scheduled.
    will_retry: bool,
}

impl EventActor {
    #[must_use]
    pub fn new(plan: EventConfig, listeners: Listeners, log: Logger) -> Self {
        let disk = Disk::new(plan.log_file.clone(), &plan.folder, plan.banks.iter().map(|(bank, _)| bank));
        let (started, worker) = (Instant::now(), Worker::new("events", MOST_ABANDONED));
        let (standing, trouble, state) = (None, OutageTracker::new(), EventState::default());
        Self { plan, listeners, log, started, worker, disk, standing, trouble, state }
    }

    /// Restores the trackers from the state before the restart of the actor or of the process.
    fn restore(&mut self, ctx: &mut Context<Self>) {
        let (at, now) = (Timestamp::now(), self.started.elapsed());
        let standing = self.standing.get_or_insert_default();
        for (bank, interval) in &self.plan.banks {
            let mut tracker = Tracker::new(bank.clone(), *interval, now);
            standing.get(bank).into_iter().for_each(|saved| tracker.restore(saved, at, now));
            self.state.trackers.insert(bank.clone(), tracker);
        }
        let EventConfig { level, cells, zone, .. } = &self.plan;
        self.state.text = Some(LogText::new(*level, *cells, zone.clone()));
        self.check_silence(ctx);
    }

    /// Reads the active events on the worker thread.
    fn load(&mut self, ctx: &mut Context<Self>) {
        let files: Vec<_> = self.disk.standing_paths().collect();
        let read = self.worker.call(self.plan.deadline, move || {
            let read =
                |(bank, path): (Arc<str>, PathBuf)| (bank, SavedBank::read(&path).map_err(|e| e.to_string()));
            files.into_iter().map(read).collect::<Vec<_>>()
        });
        let begin = |read: Result<Vec<_>, WorkerError>, actor: &mut Self, ctx: &mut Context<Self>| {
            let none = |error: WorkerError| {
                let all = actor.disk.standing_paths();
                all.map(|(bank, _)| (bank, Err(error.to_string()))).collect()
            };
            let standing = actor.standing.insert(BTreeMap::new());
            for (bank, saved) in read.unwrap_or_else(none) {
                match saved {
                    Ok(saved) => {
                        standing.insert(bank, saved);
                    }
                    // Active events are raised again, which is the only consequence.
                    Err(reason) => {
                        warn!(actor.log, "saved events unreadable, active events are raised again"; "bank" => &*bank, "reason" => reason);
                    }
                }
            }
            actor.restore(ctx);
        };
        ctx.wait(read.into_actor(self).map(begin));
    }

    /// Checks for silent banks now and at each interval.
    fn check_silence(&mut self, ctx: &mut Context<Self>) {
        let (at, now) = (Timestamp::now(), self.started.elapsed());
        let catalogue = self.plan.catalogue.clone();
        let check = |tracker: &mut Tracker| {
            tracker.watch_clock(at, now);
            tracker.look(&catalogue, at, now)
        };
        let silent: Vec<Event> = self.state.trackers.values_mut().flat_map(check).collect();
        self.publish(silent, None);
        self.write(ctx);
        ctx.run_later(SILENCE_CHECK, |actor, ctx| actor.check_silence(ctx));
    }

    /// Sends events to the logs and to all listeners.
    fn publish(&mut self, events: Vec<Event>, report: Option<&BankReport>) {
        events.iter().for_each(|event| line::tell(&self.log, event, self.plan.level));
        if let Some(block) = self.state.text.as_mut().and_then(|text| text.block(&events, report)) {
            self.disk.write(block);
        }
        for (bank, tracker) in &mut self.state.trackers {
            if tracker.take_changed() {
                let saved = tracker.saved();
                self.disk.save(bank, saved.clone());
                self.standing.get_or_insert_default().insert(bank.clone(), saved);
            }
        }
        for event in events.into_iter().map(Arc::new) {
            for listener in &self.listeners.events {
                // A queue that is full counts what it drops.
                listener.try_send(EventOccurred(event.clone()));
            }
        }
    }

    /// Logs batteries that are identified by their places although they state a barcode.
    fn log_barcodes(&mut self, report: &BankReport) {
        const EFFECT: &str = "history and counters are kept by place";
        for finding in self.state.barcodes.take(report) {
            match finding {
                BarcodeFinding::Shared { barcode, locations: [(bank, battery), (other_bank, other)] } => {
                    warn!(self.log, "barcode shared"; "barcode" => barcode, "bank" => &*bank, "battery" => %battery,
                        "other_bank" => &*other_bank, "other_battery" => %other, "effect" => EFFECT);
                }
                BarcodeFinding::Unique { barcode } => {
                    info!(self.log, "barcode unique again"; "barcode" => barcode)
                }
                BarcodeFinding::Unusable { barcode, location: (bank, battery) } => {
                    warn!(self.log, "barcode not usable"; "barcode" => barcode, "bank" => &*bank,
                        "battery" => %battery, "effect" => EFFECT);
                }
            }
        }
    }

    /// Publishes new records of the batteries' own logs.
    fn publish_device_logs(&mut self, report: &BankReport) {
        for batch in self.state.recall.take(report, &self.plan.zone) {
            let DeviceLogBatch { bank, battery, records, clock_ahead, .. } = &batch;
            let battery = battery.map_or_else(|| "all".to_owned(), |place| place.to_string());
            let ahead = clock_ahead.map_or_else(|| "unknown".to_owned(), signed);
            info!(self.log, "device log read"; "bank" => &**bank, "battery" => battery, "new" => records.len(),
                "clock_ahead" => ahead);
            let batch = Arc::new(batch);
            for listener in &self.listeners.device_logs {
                listener.try_send(DeviceLogRead(batch.clone()));
            }
        }
    }

    /// Writes everything queued. The mailbox is paused meanwhile and bounds the memory.
    fn write(&mut self, ctx: &mut Context<Self>) {
        if self.state.will_retry {
            return;
        }
        if let Some(job) = self.disk.job() {
            let written = self.worker.call(self.plan.deadline, move || job.run());
            let done = |outcome, actor: &mut Self, ctx: &mut Context<Self>| actor.on_written(outcome, ctx);
            ctx.wait(written.into_actor(self).map(done));
        }
    }

    /// Handles the outcome of a write. A write that missed its deadline may still succeed; its lines are then written
    /// twice, which is better than losing them.
    fn on_written(&mut self, outcome: Result<WriteOutcome, WorkerError>, ctx: &mut Context<Self>) {
        let failed = match outcome {
            Ok(WriteOutcome { left, failed }) => {
                self.disk.done(left);
                failed
            }
            Err(error) => Some((error.to_string(), self.disk.log_path().to_owned())),
        };
        let Some((reason, target)) = failed else {
            if let Some(back) = self.trouble.on_success(Instant::now()) {
                back.log_recovered(&self.log, OUTPUT);
            }
            return;
        };
        if let Some(say) = self.trouble.on_failure(Instant::now(), &reason) {
            say.log_down(&self.log, OUTPUT, &reason, &target.display().to_string());
        }
        self.state.will_retry = true;
        ctx.run_later(self.plan.deadline, |actor, ctx| {
            actor.state.will_retry = false;
            actor.write(ctx);
        });
    }
}

/// Formats a duration with its sign: `-3.2s`, `1m0s`.
fn signed(span: SignedDuration) -> String {
    format!("{}{}", if span.is_negative() { "-" } else { "" }, HumanDuration(span.unsigned_abs()))
}

impl Actor for EventActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        match &self.standing {
            Some(_) => self.restore(ctx),
            None => self.load(ctx),
        }
    }
}

impl Supervised for EventActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.state = EventState::default();
    }
}

impl Handler<ReportReady> for EventActor {
    type Result = ();

    fn handle(&mut self, ReportReady(report): ReportReady, ctx: &mut Self::Context) {
        let now = self.started.elapsed();
        let Some(tracker) = self.state.trackers.get_mut(&report.reading.bank) else { return };
        tracker.watch_clock(Timestamp::now(), now);
        let began = report.reading.began.saturating_duration_since(self.started);
        let events = tracker.take(&report, &self.plan.catalogue, (began, now));
        self.log_barcodes(&report);
        self.publish(events, Some(&report));
        self.publish_device_logs(&report);
        self.write(ctx);
    }
}

impl Handler<Ping> for EventActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Flush> for EventActor {
    type Result = ();

    /// Everything received before has been written, because the mailbox is paused during writes.
    fn handle(&mut self, _: Flush, _: &mut Self::Context) {}
}
