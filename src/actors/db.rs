//! Keeps the history: every full reading as it is, all readings as minutes.
//!
//! ```text
//! report ─► intake ─► inbox ─► keeper: journal on disk ─► drain ─► database        (a server)
//!           rows      memory   or memory alone ──────────► drain ─► file           (SQLite)
//! ```
//! `pwr_data`, where it is wanted, is written from the database itself by a writer of its own (`legacy`).
//! The actor itself never waits for a disk or a server: both have a worker with a deadline. Whatever they do, rows
//! that were taken lie in the inbox, in the journal or in the database.

mod legacy;
mod way;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, Supervised, WrapFuture};
use jiff::Timestamp;
use slog::{Logger, info, warn};

use self::legacy::LegacyOutput;
use self::way::{Line, Stepped, empty, lock, step};
use crate::messages::{DeviceLogRead, EventOccurred, ReportReady};
use crate::outage::{HumanDuration, OutageTracker};
use crate::settings::{DatabaseSettings, DatabaseUrl};
use crate::store::clock_gate::{MADE_AT_MS, Moment};
use crate::store::intake::{Intake, Row};
use crate::store::journal::{Bounds, Drain, Entry, Keeper, Next, Notice, Rhythm};
use crate::store::said;
use crate::store::{AbortHandle, LogEntry, Record, StoreError};
use crate::supervise::{Flush, Ping, Worker, WorkerError};

/// How many calls may hang: of the disk, and of the database.
const MOST_ABANDONED: usize = 3;
/// Rows that wait in memory while the journal's disk hangs.
const INBOX: usize = 20_000;
/// From one look for old rows to the next.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// The pause between two steps of a longer pruning: inserts come first.
const PRUNE_PAUSE: Duration = Duration::from_millis(200);
/// How long a file may take for the last rows: a second is what an output has at the end, and what was lost is to be told.
const LAST_ROWS: Duration = Duration::from_millis(700);
/// From one look at a clock that is not set to the next.
const LOOK: Duration = Duration::from_secs(5);

/// What is kept where, and how long that may take.
#[derive(Clone, Debug)]
pub struct History {
    /// The database and the journal in front of it.
    pub(crate) settings: DatabaseSettings,
    /// One call to the journal's disk.
    pub(crate) disk_deadline: Duration,
    /// One batch to the database.
    pub(crate) batch_deadline: Duration,
}

/// The keeper of the history.
pub struct DbActor {
    history: History,
    log: Logger,
    /// These outlive restarts: what was taken is not lost, and threads that hang stay counted.
    inbox: Arc<Mutex<VecDeque<Entry>>>,
    keeper: Arc<Mutex<Keeper>>,
    disk: Worker,
    way: Arc<Worker>,
    /// Ends calls that hang in the network.
    abort: AbortHandle,
    disk_trouble: OutageTracker,
    /// As it was after its last step: the one that hangs can't be asked.
    drain: Drain,
    prune_trouble: OutageTracker,
    /// The table of pytes_serial, where it is written.
    legacy: Option<LegacyOutput>,
    state: Life,
}

/// What each life begins anew.
struct Life {
    intake: Intake,
    line: Arc<Mutex<Line>>,
    /// Whether a step is under way, and whether there was news meanwhile.
    stepping: bool,
    again: bool,
    /// When the next step comes by itself: whichever timer is for another moment does nothing.
    due: Option<Instant>,
    /// Rows that come before then change nothing.
    rests_until: Option<Instant>,
    next_prune: Instant,
}

impl Life {
    fn new(history: &History, abort: &AbortHandle, drain: Drain) -> Self {
        Self {
            intake: Intake::new(MADE_AT_MS),
            line: Line::new(&history.settings, abort, drain),
            stepping: false,
            again: false,
            due: None,
            rests_until: None,
            next_prune: Instant::now(),
        }
    }
}

impl DbActor {
    /// Touches nothing yet.
    #[must_use]
    pub fn new(history: History, log: Logger) -> Self {
        let bounds = Bounds::from(&history.settings);
        let keeper = match history.settings.url {
            DatabaseUrl::Mysql { .. } => Keeper::new(history.settings.journal.clone(), bounds),
            DatabaseUrl::Sqlite(_) => Keeper::in_memory_alone(bounds),
        };
        let (drain, abort) = (Drain::new(Rhythm::default()), AbortHandle::default());
        Self {
            log,
            inbox: Arc::default(),
            keeper: Arc::new(Mutex::new(keeper)),
            disk: Worker::new("journal", MOST_ABANDONED),
            way: Arc::new(Worker::new("database", MOST_ABANDONED)),
            disk_trouble: OutageTracker::new(),
            prune_trouble: OutageTracker::new(),
            legacy: LegacyOutput::new(&history.settings),
            state: Life::new(&history, &abort, drain.clone()),
            abort,
            drain,
            history,
        }
    }

    fn target(&self) -> String {
        self.history.settings.url.to_string()
    }

    /// Lays rows into the inbox; it is bounded, and the newest stay.
    fn take(&mut self, entries: Vec<Entry>) {
        let mut inbox = lock(&self.inbox);
        inbox.extend(entries);
        let surplus = inbox.len().saturating_sub(INBOX);
        inbox.drain(..surplus);
        drop(inbox);
        if surplus > 0 {
            warn!(self.log, "history lost"; "rows" => surplus, "reason" => "the disk hangs and memory is full");
        }
    }

    /// Has the keeper take what is in the inbox; the mailbox waits meanwhile.
    fn keep(&mut self, ctx: &mut Context<Self>) {
        let trusted = self.state.intake.trusted_ms(moment());
        let (inbox, keeper) = (self.inbox.clone(), self.keeper.clone());
        let kept = self.disk.call(self.history.disk_deadline, move || keep(&inbox, &keeper, trusted));
        let told = |outcome: Result<Vec<Notice>, WorkerError>, actor: &mut Self, ctx: &mut Context<Self>| {
            match outcome {
                Ok(notices) => {
                    if let Some(back) = actor.disk_trouble.on_success(Instant::now()) {
                        back.log_recovered(&actor.log, said::JOURNAL);
                    }
                    actor.tell(&notices);
                }
                Err(error) => {
                    let (reason, target) =
                        (error.to_string(), actor.history.settings.journal.display().to_string());
                    if let Some(say) = actor.disk_trouble.on_failure(Instant::now(), &reason) {
                        say.log_down(&actor.log, said::JOURNAL, &reason, &target);
                    }
                }
            }
            actor.step(ctx);
        };
        ctx.wait(kept.into_actor(self).map(told));
    }

    /// The time, where the clock can be trusted.
    fn trusted(&self) -> Option<Timestamp> {
        let trusted_ms = self.state.intake.trusted_ms(moment());
        trusted_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok())
    }

    /// Brings a batch to the database, unless one is under way or the way rests.
    fn step(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        if let Some(until) = self.state.rests_until.filter(|until| now < *until) {
            self.step_at(until, ctx);
            return;
        }
        if std::mem::replace(&mut self.state.stepping, true) {
            self.state.again = true;
            return;
        }
        self.state.again = false;
        let (keeper, line) = (self.keeper.clone(), self.state.line.clone());
        // A clock that is years ahead for a moment must not cost the history.
        let (trusted, is_time_to_prune) = (self.trusted(), now >= self.state.next_prune);
        let stepped = self.way.call(self.history.batch_deadline, move || {
            step(&keeper, &mut lock(&line), trusted, is_time_to_prune)
        });
        let done = |outcome, actor: &mut Self, ctx: &mut Context<Self>| actor.stepped(outcome, ctx);
        ctx.spawn(stepped.into_actor(self).map(done));
    }

    fn stepped(&mut self, outcome: Result<Stepped, WorkerError>, ctx: &mut Context<Self>) {
        self.state.stepping = false;
        let (step, more) = match outcome {
            Ok(Stepped { step, pruned, drain }) => {
                self.drain = drain;
                (step, pruned.is_some_and(|pruned| self.pruned(pruned)))
            }
            Err(error) => {
                let step = self.drain.hung(Instant::now(), error.to_string(), fastrand::f64());
                // The hanging call keeps the old connection, and would hang until TCP gives up; the next try opens
                // another.
                self.abort.abort();
                self.state.line = Line::new(&self.history.settings, &self.abort, self.drain.clone());
                (step, false)
            }
        };
        self.tell(&step.notices);
        if step.stored > 0 {
            self.write_legacy(ctx);
        }
        let now = Instant::now();
        match step.next {
            Next::At(at) => {
                self.state.rests_until = Some(at);
                self.step_at(at, ctx);
            }
            Next::Now => self.step_at(now, ctx),
            Next::Idle if self.state.again => self.step_at(now, ctx),
            Next::Idle if more => self.step_at(now + PRUNE_PAUSE, ctx),
            Next::Idle => {}
        }
    }

    /// Sets a timer, unless a step comes by itself before then: that one finds out what comes next.
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

    /// Takes note of a step of pruning; answers whether there is more to do.
    fn pruned(&mut self, pruned: Result<bool, StoreError>) -> bool {
        let now = Instant::now();
        let more = match pruned {
            Ok(more) => {
                if let Some(back) = self.prune_trouble.on_success(now) {
                    info!(self.log, "history pruned again"; "outage" => HumanDuration(back.lasted));
                }
                more
            }
            Err(error) => {
                let reason = error.to_string();
                if let Some(say) = self.prune_trouble.on_failure(now, &reason) {
                    warn!(self.log, "history not pruned"; "reason" => reason, "since" => HumanDuration(say.lasted));
                }
                false
            }
        };
        self.state.next_prune = now + if more { PRUNE_PAUSE } else { PRUNE_EVERY };
        more
    }

    fn tell(&self, notices: &[Notice]) {
        let target = self.target();
        notices.iter().for_each(|notice| said::notice(&self.log, notice, &target));
    }

    /// Rows that wait for the clock go on when it is set, also when no reading comes.
    fn look(&mut self, ctx: &mut Context<Self>) {
        self.hear(Vec::new(), ctx);
        ctx.run_later(LOOK, |actor, ctx| actor.look(ctx));
    }

    fn hear(&mut self, rows: Vec<Row>, ctx: &mut Context<Self>) {
        let taken = self.state.intake.take(moment(), rows);
        if let Some(news) = taken.news {
            said::clock(&self.log, news);
        }
        if taken.dropped > 0 {
            warn!(self.log, "history lost"; "rows" => taken.dropped, "reason" => "the clock is not set and memory is full");
        }
        if !taken.entries.is_empty() {
            self.take(taken.entries);
            self.keep(ctx);
        }
    }
}

/// Both clocks, now.
fn moment() -> Moment {
    Moment { monotonic: Instant::now(), wall_ms: Timestamp::now().as_millisecond() }
}

/// From the inbox to the keeper; on the disk's worker. The inbox is empty only once the keeper has the rows.
fn keep(inbox: &Mutex<VecDeque<Entry>>, keeper: &Mutex<Keeper>, trusted_ms: Option<i64>) -> Vec<Notice> {
    let mut keeper = lock(keeper);
    let entries = lock(inbox).drain(..).collect();
    keeper.keep(Instant::now(), trusted_ms, entries);
    keeper.take_notices()
}

impl Actor for DbActor {
    type Context = Context<Self>;

    /// What the last life, of this process or of one before, has left goes on its way.
    fn started(&mut self, ctx: &mut Self::Context) {
        self.keep(ctx);
        self.look(ctx);
    }
}

impl Supervised for DbActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.state = Life::new(&self.history, &self.abort, self.drain.clone());
        self.legacy.iter_mut().for_each(LegacyOutput::restart);
    }
}

impl Handler<ReportReady> for DbActor {
    type Result = ();

    fn handle(&mut self, ReportReady(report): ReportReady, ctx: &mut Self::Context) {
        self.hear(vec![Row::Report(report)], ctx);
    }
}

impl Handler<EventOccurred> for DbActor {
    type Result = ();

    fn handle(&mut self, EventOccurred(event): EventOccurred, ctx: &mut Self::Context) {
        let record = Record::Event(Box::new((&*event).into()));
        self.hear(vec![Row::Record(record, event.at.as_millisecond())], ctx);
    }
}

impl Handler<DeviceLogRead> for DbActor {
    type Result = ();

    fn handle(&mut self, DeviceLogRead(memory): DeviceLogRead, ctx: &mut Self::Context) {
        let came_ms = memory.taken_at.as_millisecond();
        let record = |entry| Row::Record(Record::Log(Box::new(entry)), came_ms);
        self.hear(LogEntry::all(&memory).map(record).collect(), ctx);
    }
}

impl Handler<Ping> for DbActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Flush> for DbActor {
    type Result = ResponseFuture<()>;

    /// The service ends: what is in hand goes to the disk. A server's rows are safe there; a file takes them now.
    fn handle(&mut self, _: Flush, _: &mut Self::Context) -> Self::Result {
        let minutes = self.state.intake.close();
        self.take(minutes);
        let (inbox, keeper) = (self.inbox.clone(), self.keeper.clone());
        let deadline = self.history.disk_deadline;
        let unkept = inbox.clone();
        let kept = self.disk.call(deadline, move || {
            let mut notices = keep(&inbox, &keeper, None);
            let mut keeper = lock(&keeper);
            keeper.flush(Instant::now());
            notices.extend(keeper.take_notices());
            notices
        });
        let is_file = matches!(self.history.settings.url, DatabaseUrl::Sqlite(_));
        let (keeper, line, way) = (self.keeper.clone(), self.state.line.clone(), self.way.clone());
        let (log, target, now) = (self.log.clone(), self.target(), self.trusted());
        Box::pin(async move {
            let tell = |outcome: Result<Vec<Notice>, WorkerError>| match outcome {
                Ok(notices) => notices.iter().for_each(|notice| said::notice(&log, notice, &target)),
                Err(error) => warn!(log, "history not flushed"; "reason" => error.to_string()),
            };
            tell(kept.await);
            if is_file {
                // Only now: what was kept just before is part of it.
                let own = keeper.clone();
                tell(way.call(deadline.min(LAST_ROWS), move || empty(&own, &mut lock(&line), now)).await);
            }
            // A disk that hangs holds the keeper, and what waits for it is in the inbox.
            let lost = keeper.try_lock().map_or(0, |keeper| keeper.in_memory()) + lock(&unkept).len();
            if lost > 0 {
                warn!(log, "history lost"; "rows" => lost, "reason" => "the service ends and nothing takes them");
            }
        })
    }
}
