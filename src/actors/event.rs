//! Tells what begins and ends: to the service's log, to the log of events, and to whoever else is handed to it.
//!
//! Events reach their listeners at once. What goes to disk (the log of events, what stands) is written on a worker
//! thread with a deadline; a disk that is full, missing or hangs is told once, what could not be written waits in
//! memory, and nobody else notices.

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

/// How many calls to the disk may hang before no more are made.
const MOST_ABANDONED: usize = 3;
/// Its name among the outputs.
const OUTPUT: &str = "events";
/// From one look for silent banks to the next.
const LOOK: Duration = Duration::from_secs(1);

/// Who else is told.
#[derive(Clone, Default)]
pub struct Listeners {
    /// Of every event.
    pub events: Vec<Queue<EventOccurred>>,
    /// Of what batteries remember.
    pub memories: Vec<Queue<DeviceLogRead>>,
}

/// The events of all banks.
pub struct EventActor {
    plan: EventConfig,
    listeners: Listeners,
    log: Logger,
    started: Instant,
    /// These outlive restarts: threads that hang stay counted, what was not written yet still is, and what stands
    /// is what the next life begins with.
    worker: Worker,
    disk: Disk,
    standing: Option<BTreeMap<Arc<str>, SavedBank>>,
    trouble: OutageTracker,
    state: EventState,
}

/// What each life begins anew.
#[derive(Default)]
struct EventState {
    trackers: BTreeMap<Arc<str>, Tracker>,
    text: Option<LogText>,
    recall: DeviceLogFilter,
    barcodes: Barcodes,
    /// Whether another try is on its way.
    will_retry: bool,
}

impl EventActor {
    /// Follows the banks of `plan` and tells `listeners`.
    #[must_use]
    pub fn new(plan: EventConfig, listeners: Listeners, log: Logger) -> Self {
        let disk = Disk::new(plan.log_file.clone(), &plan.folder, plan.banks.iter().map(|(bank, _)| bank));
        let (started, worker) = (Instant::now(), Worker::new("events", MOST_ABANDONED));
        let (standing, trouble, state) = (None, OutageTracker::new(), EventState::default());
        Self { plan, listeners, log, started, worker, disk, standing, trouble, state }
    }

    /// Begins where the last life, of this process or of the one before, left off.
    fn begin(&mut self, ctx: &mut Context<Self>) {
        let (at, now) = (Timestamp::now(), self.started.elapsed());
        let standing = self.standing.get_or_insert_default();
        for (bank, interval) in &self.plan.banks {
            let mut tracker = Tracker::new(bank.clone(), *interval, now);
            standing.get(bank).into_iter().for_each(|saved| tracker.restore(saved, at, now));
            self.state.trackers.insert(bank.clone(), tracker);
        }
        let EventConfig { level, cells, zone, .. } = &self.plan;
        self.state.text = Some(LogText::new(*level, *cells, zone.clone()));
        self.look(ctx);
    }

    /// Reads what stands, off this thread.
    fn read(&mut self, ctx: &mut Context<Self>) {
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
                    // What stands is then raised again; that is all it costs.
                    Err(reason) => {
                        warn!(actor.log, "standing events unreadable"; "bank" => &*bank, "reason" => reason);
                    }
                }
            }
            actor.begin(ctx);
        };
        ctx.wait(read.into_actor(self).map(begin));
    }

    /// Looks for banks that have fallen silent, now and each second.
    fn look(&mut self, ctx: &mut Context<Self>) {
        let (at, now) = (Timestamp::now(), self.started.elapsed());
        let catalogue = self.plan.catalogue.clone();
        let look = |tracker: &mut Tracker| {
            tracker.watch_clock(at, now);
            tracker.look(&catalogue, at, now)
        };
        let silent: Vec<Event> = self.state.trackers.values_mut().flat_map(look).collect();
        self.tell(silent, None);
        self.write(ctx);
        ctx.run_later(LOOK, |actor, ctx| actor.look(ctx));
    }

    /// Tells everybody what changed.
    fn tell(&mut self, events: Vec<Event>, report: Option<&BankReport>) {
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

    /// Batteries that are known by their places although they state a barcode.
    fn tell_barcodes(&mut self, report: &BankReport) {
        const EFFECT: &str = "history and counters go by place";
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

    /// Hands on what batteries remember.
    fn recall(&mut self, report: &BankReport) {
        for recollection in self.state.recall.take(report, &self.plan.zone) {
            let DeviceLogBatch { bank, battery, records, clock_ahead, .. } = &recollection;
            let battery = battery.map_or_else(|| "all".to_owned(), |place| place.to_string());
            let ahead = clock_ahead.map_or_else(|| "unknown".to_owned(), signed);
            info!(self.log, "battery memory read"; "bank" => &**bank, "battery" => battery, "new" => records.len(),
                "clock_ahead" => ahead);
            let recollection = Arc::new(recollection);
            for listener in &self.listeners.memories {
                listener.try_send(DeviceLogRead(recollection.clone()));
            }
        }
    }

    /// Writes what waits for the disk. The mailbox waits meanwhile, and bounds what may come.
    fn write(&mut self, ctx: &mut Context<Self>) {
        if self.state.will_retry {
            return;
        }
        if let Some(job) = self.disk.job() {
            let written = self.worker.call(self.plan.deadline, move || job.run());
            let told = |outcome, actor: &mut Self, ctx: &mut Context<Self>| actor.written(outcome, ctx);
            ctx.wait(written.into_actor(self).map(told));
        }
    }

    /// What came of it. A round past its deadline may yet come to its end: then its lines are there twice, which
    /// is better than not at all.
    fn written(&mut self, outcome: Result<WriteOutcome, WorkerError>, ctx: &mut Context<Self>) {
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

/// A span with its sign: `-3.2s`, `1m0s`.
fn signed(span: SignedDuration) -> String {
    format!("{}{}", if span.is_negative() { "-" } else { "" }, HumanDuration(span.unsigned_abs()))
}

impl Actor for EventActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        match &self.standing {
            Some(_) => self.begin(ctx),
            None => self.read(ctx),
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
        self.tell_barcodes(&report);
        self.tell(events, Some(&report));
        self.recall(&report);
        self.write(ctx);
    }
}

impl Handler<Ping> for EventActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Flush> for EventActor {
    type Result = ();

    /// What came before has been written by now, since the mailbox waits for its writing.
    fn handle(&mut self, _: Flush, _: &mut Self::Context) {}
}
