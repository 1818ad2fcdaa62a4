//! Keeps the history: every full reading as it is, all readings as minutes.
//!
//! ```text
//! report ─► intake ─► inbox ─► keeper: journal on disk ─► drain ─► database        (a server)
//!           rows      memory   or memory alone ──────────► drain ─► file           (SQLite)
//! ```
//! The actor itself never waits for a disk or a server: both have a worker with a deadline. Whatever they do, rows
//! that were taken lie in the inbox, in the journal or in the database.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, Supervised, WrapFuture};
use jiff::Timestamp;
use slog::{Logger, warn};

use crate::messages::{Happened, Recalled, Reported};
use crate::settings::{DatabaseSettings, DatabaseUrl};
use crate::store::clock_gate::{MADE_AT_MS, Moment};
use crate::store::intake::{Intake, Row};
use crate::store::journal::{Bounds, Drain, Entry, Keeper, Next, Notice, Rhythm, Step};
use crate::store::said;
use crate::store::sink::Database;
use crate::store::{LogEntry, Record};
use crate::supervise::{Flush, Ping, Worker, WorkerError};
use crate::trouble::Trouble;

/// How many calls may hang: of the disk, and of the database.
const MOST_ABANDONED: usize = 3;
/// Rows that wait in memory while the journal's disk hangs.
const INBOX: usize = 20_000;
/// From one look for old rows to the next.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// The pause between two steps of a longer pruning: inserts come first.
const PRUNE_PAUSE: Duration = Duration::from_millis(200);
/// From one look at a clock that is not set to the next.
const LOOK: Duration = Duration::from_secs(5);

/// What is kept where, and how long that may take.
#[derive(Clone, Debug)]
pub struct History {
    /// The database and the journal in front of it.
    pub settings: DatabaseSettings,
    /// One call to the journal's disk.
    pub disk_deadline: Duration,
    /// One batch to the database.
    pub batch_deadline: Duration,
}

/// The keeper of the history.
pub struct DbActor {
    history: History,
    log: Logger,
    /// These outlive restarts: what was taken is not lost, and threads that hang stay counted.
    inbox: Arc<Mutex<VecDeque<Entry>>>,
    keeper: Arc<Mutex<Keeper>>,
    disk: Worker,
    way: Worker,
    disk_trouble: Trouble,
    way_trouble: Trouble,
    state: Life,
}

/// What each life begins anew.
struct Life {
    intake: Intake,
    line: Arc<Mutex<Line>>,
    /// Whether a step is under way, and whether there was news meanwhile.
    stepping: bool,
    again: bool,
    next_prune: Instant,
}

/// The way to the database.
struct Line {
    drain: Drain,
    database: Database,
}

impl Life {
    fn new(history: &History) -> Self {
        let line =
            Line { drain: Drain::new(Rhythm::default()), database: Database::new(history.settings.clone()) };
        Self {
            intake: Intake::new(MADE_AT_MS),
            line: Arc::new(Mutex::new(line)),
            stepping: false,
            again: false,
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
        Self {
            log,
            inbox: Arc::default(),
            keeper: Arc::new(Mutex::new(keeper)),
            disk: Worker::new("journal", MOST_ABANDONED),
            way: Worker::new("database", MOST_ABANDONED),
            disk_trouble: Trouble::new(),
            way_trouble: Trouble::new(),
            state: Life::new(&history),
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
        let trusted = self.state.intake.trusted_ms(now());
        let (inbox, keeper) = (self.inbox.clone(), self.keeper.clone());
        let kept = self.disk.call(self.history.disk_deadline, move || keep(&inbox, &keeper, trusted));
        let told = |outcome: Result<Vec<Notice>, WorkerError>, actor: &mut Self, ctx: &mut Context<Self>| {
            match outcome {
                Ok(notices) => {
                    if let Some(back) = actor.disk_trouble.recovered(Instant::now()) {
                        said::back(&actor.log, said::JOURNAL, back.outage);
                    }
                    actor.tell(&notices);
                }
                Err(error) => {
                    let (reason, target) =
                        (error.to_string(), actor.history.settings.journal.display().to_string());
                    if let Some(say) = actor.disk_trouble.failed(Instant::now(), &reason) {
                        said::away(&actor.log, said::JOURNAL, &say, &reason, &target);
                    }
                }
            }
            actor.step(ctx);
        };
        ctx.wait(kept.into_actor(self).map(told));
    }

    /// Brings a batch to the database, unless one is under way.
    fn step(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.state.stepping, true) {
            self.state.again = true;
            return;
        }
        self.state.again = false;
        let (keeper, line) = (self.keeper.clone(), self.state.line.clone());
        let prune = Instant::now() >= self.state.next_prune;
        let stepped =
            self.way.call(self.history.batch_deadline, move || step(&keeper, &mut lock(&line), prune));
        let done = |outcome, actor: &mut Self, ctx: &mut Context<Self>| actor.stepped(outcome, ctx);
        ctx.spawn(stepped.into_actor(self).map(done));
    }

    fn stepped(&mut self, outcome: Result<(Step, bool), WorkerError>, ctx: &mut Context<Self>) {
        self.state.stepping = false;
        let pause = match outcome {
            Ok((step, more)) => {
                if let Some(back) = self.way_trouble.recovered(Instant::now()) {
                    said::back(&self.log, said::DATABASE, back.outage);
                }
                self.tell(&step.notices);
                let waits = Instant::now() < self.state.next_prune;
                if !waits {
                    self.state.next_prune = Instant::now() + if more { PRUNE_PAUSE } else { PRUNE_EVERY };
                }
                match step.next {
                    Next::Now => Some(Duration::ZERO),
                    Next::At(at) => Some(at.saturating_duration_since(Instant::now())),
                    Next::Idle if self.state.again => Some(Duration::ZERO),
                    Next::Idle if more => Some(PRUNE_PAUSE),
                    Next::Idle => None,
                }
            }
            Err(error) => {
                // Whoever hangs keeps the old way; the next try goes another.
                self.state.line = Life::new(&self.history).line;
                let (reason, target) = (error.to_string(), self.target());
                if let Some(say) = self.way_trouble.failed(Instant::now(), &reason) {
                    said::away(&self.log, said::DATABASE, &say, &reason, &target);
                }
                Some(self.history.batch_deadline)
            }
        };
        if let Some(pause) = pause {
            ctx.run_later(pause, |actor, ctx| actor.step(ctx));
        }
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
        let taken = self.state.intake.take(now(), rows);
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
fn now() -> Moment {
    Moment { monotonic: Instant::now(), wall_ms: Timestamp::now().as_millisecond() }
}

/// From the inbox to the keeper; on the disk's worker. The inbox is empty only once the keeper has the rows.
fn keep(inbox: &Mutex<VecDeque<Entry>>, keeper: &Mutex<Keeper>, trusted_ms: Option<i64>) -> Vec<Notice> {
    let mut keeper = lock(keeper);
    let entries = lock(inbox).drain(..).collect();
    keeper.keep(Instant::now(), trusted_ms, entries);
    keeper.take_notices()
}

/// One batch, and where nothing waits a step of pruning; on the database's worker. Answers also whether there is more
/// to prune.
fn step(keeper: &Mutex<Keeper>, line: &mut Line, prune: bool) -> (Step, bool) {
    let step = line.drain.step(keeper, &mut line.database, Instant::now, fastrand::f64());
    // What is wrong with the database shows in the next batch.
    let more = prune && step.next == Next::Idle && line.database.prune(Timestamp::now()).unwrap_or(false);
    (step, more)
}

/// Nothing that can be left half done happens under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.state = Life::new(&self.history);
    }
}

impl Handler<Reported> for DbActor {
    type Result = ();

    fn handle(&mut self, Reported(report): Reported, ctx: &mut Self::Context) {
        self.hear(vec![Row::Report(report)], ctx);
    }
}

impl Handler<Happened> for DbActor {
    type Result = ();

    fn handle(&mut self, Happened(event): Happened, ctx: &mut Self::Context) {
        let record = Record::Event(Box::new((&*event).into()));
        self.hear(vec![Row::Record(record, event.at.as_millisecond())], ctx);
    }
}

impl Handler<Recalled> for DbActor {
    type Result = ();

    fn handle(&mut self, Recalled(memory): Recalled, ctx: &mut Self::Context) {
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
        let kept = self.disk.call(self.history.disk_deadline, move || {
            let notices = keep(&inbox, &keeper, None);
            lock(&keeper).flush(Instant::now());
            notices
        });
        let is_file = matches!(self.history.settings.url, DatabaseUrl::Sqlite(_));
        let (keeper, line) = (self.keeper.clone(), self.state.line.clone());
        let drained = is_file.then(|| {
            self.way.call(self.history.disk_deadline, move || {
                while step(&keeper, &mut lock(&line), false).0.next == Next::Now {}
            })
        });
        let log = self.log.clone();
        Box::pin(async move {
            let late = |error: WorkerError| warn!(log, "history not flushed"; "reason" => error.to_string());
            if let Err(error) = kept.await {
                late(error);
            }
            if let Some(Err(error)) = match drained {
                Some(drained) => Some(drained.await),
                None => None,
            } {
                late(error);
            }
        })
    }
}
