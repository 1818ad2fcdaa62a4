//! Stores the history: every full reading, and all readings aggregated into minutes.
//!
//! ```text
//! report ─► RecordBuilder ─► inbox ─► JournalBuffer: journal on disk ─► Drain ─► database   (a server)
//!           records          memory   or memory only ────────────────► Drain ─► file       (SQLite)
//! ```
//! `pwr_data`, if enabled, is written from our own tables by a separate writer (`legacy`). The actor never waits for a
//! disk or a server: each has a worker with a deadline. Received rows are always in the inbox, in the journal or in the
//! database.
//!
//! Length: the steps and handlers of the actor share its private state.

mod legacy;
mod writer;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, Supervised, WrapFuture};
use jiff::Timestamp;
use parking_lot::Mutex;
use slog::{Logger, info, warn};

use crate::actors::db::legacy::LegacyOutput;
use crate::actors::db::writer::{DatabaseWriter, MAX_ABANDONED, StepOutcome, drain_all, step};
use crate::messages::{DeviceLogRead, EventOccurred, ReportReady};
use crate::outage::{HumanDuration, OutageTracker};
use crate::settings::{DatabaseSettings, DatabaseUrl};
use crate::store::clock_gate::{ClockReading, RELEASED_AT_MS};
use crate::store::journal::{Bounds, Drain, DrainConfig, JournalBuffer, JournalEntry, NextStep, StoreNotice};
use crate::store::log as store_log;
use crate::store::model::record_builder::{RecordBuilder, RecordInput};
use crate::store::{AbortHandle, Record, StoreError, StoredLogRecord};
use crate::supervise::{Flush, Ping, Worker, WorkerError};

/// Rows that wait in memory while the journal's disk hangs.
const MAX_INBOX: usize = 20_000;
/// Between two runs of retention.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// Between two steps of a longer run: inserts come first.
const PRUNE_PAUSE: Duration = Duration::from_millis(200);
/// How long a file may take for the last rows: an output has a second at shutdown, and lost rows must still be logged.
const FINAL_DRAIN: Duration = Duration::from_millis(700);
/// Between two checks of the clock.
const CLOCK_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub struct HistoryConfig {
    pub settings: DatabaseSettings,
    /// For one call to the journal's disk.
    pub disk_deadline: Duration,
    /// For one batch to the database.
    pub batch_deadline: Duration,
}

pub struct DbActor {
    config: HistoryConfig,
    log: Logger,
    /// These survive restarts: received rows are not lost, and hanging threads stay counted.
    inbox: Arc<Mutex<VecDeque<JournalEntry>>>,
    buffer: Arc<Mutex<JournalBuffer>>,
    disk_worker: Worker,
    database_worker: Arc<Worker>,
    abort: AbortHandle,
    disk_outage: OutageTracker,
    /// The state after the last step: that of a hanging step can't be read.
    drain: Drain,
    prune_outage: OutageTracker,
    /// `pwr_data`, the table of pytes_serial, if it is written.
    legacy: Option<LegacyOutput>,
    state: RunState,
}

/// The state that a restart resets.
struct RunState {
    builder: RecordBuilder,
    writer: Arc<Mutex<DatabaseWriter>>,
    is_stepping: bool,
    /// New rows came during the step.
    again: bool,
    /// When the next step is due; a timer for another moment does nothing.
    due: Option<Instant>,
    /// New rows do not start a step before this.
    paused_until: Option<Instant>,
    next_prune: Instant,
}

impl RunState {
    fn new(config: &HistoryConfig, abort: &AbortHandle, drain: Drain) -> Self {
        Self {
            builder: RecordBuilder::new(RELEASED_AT_MS),
            writer: DatabaseWriter::new(&config.settings, abort, drain),
            is_stepping: false,
            again: false,
            due: None,
            paused_until: None,
            next_prune: Instant::now(),
        }
    }
}

impl DbActor {
    #[must_use]
    pub fn new(config: HistoryConfig, log: Logger) -> Self {
        let bounds = Bounds::from(&config.settings);
        let buffer = match config.settings.url {
            DatabaseUrl::Mysql { .. } => JournalBuffer::new(config.settings.journal.clone(), bounds),
            DatabaseUrl::Sqlite(_) => JournalBuffer::in_memory_only(bounds),
        };
        let (drain, abort) = (Drain::new(DrainConfig::default()), AbortHandle::default());
        Self {
            log,
            inbox: Arc::default(),
            buffer: Arc::new(Mutex::new(buffer)),
            disk_worker: Worker::new("journal", MAX_ABANDONED),
            database_worker: Arc::new(Worker::new("database", MAX_ABANDONED)),
            disk_outage: OutageTracker::new(),
            prune_outage: OutageTracker::new(),
            legacy: LegacyOutput::new(&config.settings),
            state: RunState::new(&config, &abort, drain.clone()),
            abort,
            drain,
            config,
        }
    }

    fn target(&self) -> String {
        self.config.settings.url.to_string()
    }

    /// Adds rows to the inbox, which is bounded: the oldest are dropped.
    fn enqueue(&mut self, entries: Vec<JournalEntry>) {
        let mut inbox = self.inbox.lock();
        inbox.extend(entries);
        let surplus = inbox.len().saturating_sub(MAX_INBOX);
        inbox.drain(..surplus);
        drop(inbox);
        if surplus > 0 {
            warn!(self.log, "history lost"; "rows" => surplus, "reason" => "the disk hangs and memory is full");
        }
    }

    /// Moves the inbox to the journal; the mailbox waits meanwhile.
    fn write_journal(&mut self, ctx: &mut Context<Self>) {
        let trusted = self.state.builder.trusted_ms(read_clocks());
        let (inbox, buffer) = (self.inbox.clone(), self.buffer.clone());
        let written =
            self.disk_worker.call(self.config.disk_deadline, move || move_inbox(&inbox, &buffer, trusted));
        let done =
            |outcome: Result<Vec<StoreNotice>, WorkerError>, actor: &mut Self, ctx: &mut Context<Self>| {
                match outcome {
                    Ok(notices) => {
                        if let Some(recovery) = actor.disk_outage.on_success(Instant::now()) {
                            recovery.log_recovered(&actor.log, store_log::JOURNAL);
                        }
                        actor.log_notices(&notices);
                    }
                    Err(error) => {
                        let (reason, target) =
                            (error.to_string(), actor.config.settings.journal.display().to_string());
                        if let Some(outage) = actor.disk_outage.on_failure(Instant::now(), &reason) {
                            outage.log_down(&actor.log, store_log::JOURNAL, &reason, &target);
                        }
                    }
                }
                actor.step(ctx);
            };
        ctx.wait(written.into_actor(self).map(done));
    }

    /// The time, if the clock can be trusted.
    fn trusted_time(&self) -> Option<Timestamp> {
        let trusted_ms = self.state.builder.trusted_ms(read_clocks());
        trusted_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok())
    }

    /// Stores a batch in the database, unless a step is running or a pause has not passed yet.
    fn step(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        if let Some(until) = self.state.paused_until.filter(|until| now < *until) {
            self.step_at(until, ctx);
            return;
        }
        if std::mem::replace(&mut self.state.is_stepping, true) {
            self.state.again = true;
            return;
        }
        self.state.again = false;
        let (buffer, writer) = (self.buffer.clone(), self.state.writer.clone());
        // A clock that is years ahead for a moment must not delete the history.
        let (trusted, is_time_to_prune) = (self.trusted_time(), now >= self.state.next_prune);
        let stepped = self.database_worker.call(self.config.batch_deadline, move || {
            step(&buffer, &mut writer.lock(), trusted, is_time_to_prune)
        });
        let done = |outcome, actor: &mut Self, ctx: &mut Context<Self>| actor.on_step_done(outcome, ctx);
        ctx.spawn(stepped.into_actor(self).map(done));
    }

    fn on_step_done(&mut self, outcome: Result<StepOutcome, WorkerError>, ctx: &mut Context<Self>) {
        self.state.is_stepping = false;
        let (step, more) = match outcome {
            Ok(StepOutcome { step, pruned, drain }) => {
                self.drain = drain;
                (step, pruned.is_some_and(|pruned| self.on_pruned(pruned)))
            }
            Err(error) => {
                let step = self.drain.on_timeout(Instant::now(), error.to_string(), fastrand::f64());
                // The hanging call would block its connection until TCP gives up; the next attempt opens another.
                self.abort.abort();
                self.state.writer =
                    DatabaseWriter::new(&self.config.settings, &self.abort, self.drain.clone());
                (step, false)
            }
        };
        self.log_notices(&step.notices);
        if step.stored > 0 {
            self.write_legacy(ctx);
        }
        let now = Instant::now();
        match step.next {
            NextStep::At(at) => {
                self.state.paused_until = Some(at);
                self.step_at(at, ctx);
            }
            NextStep::Now => self.step_at(now, ctx),
            NextStep::Idle if self.state.again => self.step_at(now, ctx),
            NextStep::Idle if more => self.step_at(now + PRUNE_PAUSE, ctx),
            NextStep::Idle => {}
        }
    }

    /// Sets a timer, unless an earlier step is due, which decides what comes next.
    fn step_at(&mut self, at: Instant, ctx: &mut Context<Self>) {
        if self.state.due.is_some_and(|due| due <= at) {
            return;
        }
        self.state.due = Some(at);
        ctx.run_later(at.saturating_duration_since(Instant::now()), move |actor, ctx| {
            if actor.state.due == Some(at) {
                actor.state.due = None;
                actor.step(ctx);
            }
        });
    }

    /// Logs the outcome of a step of retention; returns whether there is more to do.
    fn on_pruned(&mut self, pruned: Result<bool, StoreError>) -> bool {
        let now = Instant::now();
        let more = match pruned {
            Ok(more) => {
                if let Some(recovery) = self.prune_outage.on_success(now) {
                    info!(self.log, "history pruned again"; "outage" => HumanDuration(recovery.lasted));
                }
                more
            }
            Err(error) => {
                let reason = error.to_string();
                if let Some(outage) = self.prune_outage.on_failure(now, &reason) {
                    warn!(self.log, "history not pruned"; "reason" => reason, "since" => HumanDuration(outage.lasted));
                }
                false
            }
        };
        self.state.next_prune = now + if more { PRUNE_PAUSE } else { PRUNE_EVERY };
        more
    }

    /// Writes a batch of sweeps to `pwr_data`, unless a step is running or the table has a pause.
    fn write_legacy(&mut self, ctx: &mut Context<Self>) {
        let deadline = self.config.batch_deadline;
        let Some(step) = self.legacy.as_mut().and_then(|legacy| legacy.start_step(deadline)) else { return };
        let done = |outcome, actor: &mut Self, ctx: &mut Context<Self>| {
            let is_sink_down = actor.drain.is_sink_down();
            let legacy = actor.legacy.as_mut();
            let due = legacy.and_then(|legacy| legacy.finish_step(&actor.log, is_sink_down, outcome));
            if let Some(due) = due {
                ctx.run_later(due, |actor, ctx| actor.write_legacy(ctx));
            }
        };
        ctx.spawn(step.into_actor(self).map(done));
    }

    fn log_notices(&self, notices: &[StoreNotice]) {
        let target = self.target();
        notices.iter().for_each(|notice| store_log::notice(&self.log, notice, &target));
    }

    /// Releases rows that wait for the clock once it is set, even if no reading comes.
    fn check_clock(&mut self, ctx: &mut Context<Self>) {
        self.add(Vec::new(), ctx);
        ctx.run_later(CLOCK_INTERVAL, |actor, ctx| actor.check_clock(ctx));
    }

    fn add(&mut self, rows: Vec<RecordInput>, ctx: &mut Context<Self>) {
        let built = self.state.builder.build(read_clocks(), rows);
        if let Some(change) = built.clock {
            store_log::clock(&self.log, change);
        }
        if built.dropped > 0 {
            warn!(self.log, "history lost"; "rows" => built.dropped, "reason" => "the clock is not set and memory is full");
        }
        if !built.entries.is_empty() {
            self.enqueue(built.entries);
            self.write_journal(ctx);
        }
    }
}

fn read_clocks() -> ClockReading {
    ClockReading { monotonic: Instant::now(), wall_ms: Timestamp::now().as_millisecond() }
}

/// Moves the inbox to the buffer, on the disk's worker. The inbox is emptied under the buffer's lock, so rows are
/// always in one of them.
fn move_inbox(
    inbox: &Mutex<VecDeque<JournalEntry>>,
    buffer: &Mutex<JournalBuffer>,
    trusted_ms: Option<i64>,
) -> Vec<StoreNotice> {
    let mut buffer = buffer.lock();
    let entries = inbox.lock().drain(..).collect();
    buffer.append(Instant::now(), trusted_ms, entries);
    buffer.take_notices()
}

impl Actor for DbActor {
    type Context = Context<Self>;

    /// Goes on with the rows that an earlier actor or process has left.
    fn started(&mut self, ctx: &mut Self::Context) {
        self.write_journal(ctx);
        self.check_clock(ctx);
    }
}

impl Supervised for DbActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.state = RunState::new(&self.config, &self.abort, self.drain.clone());
        self.legacy.iter_mut().for_each(LegacyOutput::restart);
    }
}

impl Handler<ReportReady> for DbActor {
    type Result = ();

    fn handle(&mut self, ReportReady(report): ReportReady, ctx: &mut Self::Context) {
        self.add(vec![RecordInput::Report(report)], ctx);
    }
}

impl Handler<EventOccurred> for DbActor {
    type Result = ();

    fn handle(&mut self, EventOccurred(event): EventOccurred, ctx: &mut Self::Context) {
        let record = Record::Event(Box::new((&*event).into()));
        self.add(vec![RecordInput::Record(record, event.at.as_millisecond())], ctx);
    }
}

impl Handler<DeviceLogRead> for DbActor {
    type Result = ();

    fn handle(&mut self, DeviceLogRead(memory): DeviceLogRead, ctx: &mut Self::Context) {
        let received_ms = memory.taken_at.as_millisecond();
        let record = |entry| RecordInput::Record(Record::Log(Box::new(entry)), received_ms);
        self.add(StoredLogRecord::from_batch(&memory).map(record).collect(), ctx);
    }
}

impl Handler<Ping> for DbActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Flush> for DbActor {
    type Result = ResponseFuture<()>;

    /// Writes the current minutes to the journal at shutdown; a SQLite file, which has none, stores them now.
    fn handle(&mut self, _: Flush, _: &mut Self::Context) -> Self::Result {
        let minutes = self.state.builder.close();
        self.enqueue(minutes);
        let (inbox, buffer) = (self.inbox.clone(), self.buffer.clone());
        let deadline = self.config.disk_deadline;
        let remaining = inbox.clone();
        let written = self.disk_worker.call(deadline, move || {
            let mut notices = move_inbox(&inbox, &buffer, None);
            let mut buffer = buffer.lock();
            buffer.flush(Instant::now());
            notices.extend(buffer.take_notices());
            notices
        });
        let is_file = matches!(self.config.settings.url, DatabaseUrl::Sqlite(_));
        let (buffer, writer, worker) =
            (self.buffer.clone(), self.state.writer.clone(), self.database_worker.clone());
        let (log, target, now) = (self.log.clone(), self.target(), self.trusted_time());
        Box::pin(async move {
            let report = |outcome: Result<Vec<StoreNotice>, WorkerError>| match outcome {
                Ok(notices) => notices.iter().for_each(|notice| store_log::notice(&log, notice, &target)),
                Err(error) => warn!(log, "history not flushed"; "reason" => error.to_string()),
            };
            report(written.await);
            if is_file {
                // After the journal, so that the rows just added are included.
                let own = buffer.clone();
                report(
                    worker
                        .call(deadline.min(FINAL_DRAIN), move || drain_all(&own, &mut writer.lock(), now))
                        .await,
                );
            }
            // A hanging disk holds the lock, and then the rows are in the inbox.
            let lost = buffer.try_lock().map_or(0, |buffer| buffer.in_memory()) + remaining.lock().len();
            if lost > 0 {
                warn!(log, "history lost"; "rows" => lost, "reason" => "the service stops and neither disk nor database accepts them");
            }
        })
    }
}
