//! The table of pytes_serial, written next to our own on a worker of its own: it may be locked, refused or slow, and only
//! it waits.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use slog::Logger;

use super::way::lock;
use super::{DbActor, MOST_ABANDONED};
use crate::outage::OutageTracker;
use crate::settings::DatabaseSettings;
use crate::store::journal::Rhythm;
use crate::store::{AbortHandle, LegacyRefusal, LegacyStep, LegacyWriter, Server, said, server};
use crate::supervise::{Worker, WorkerError};

/// A connection that breaks once or twice is made again without a word: whether the server is away, the history's own
/// connection reports.
const SILENT_FAILURES: u32 = 2;

/// Sweeps left out one after another that are logged one by one; then each tenth, each hundredth and so on.
const LOGGED_ONE_BY_ONE: u64 = 3;

/// The table as an output.
pub(super) struct LegacyOutput {
    server: Server,
    worker: Worker,
    writer: Arc<Mutex<LegacyWriter>>,
    trouble: OutageTracker,
    failures: u32,
    /// Sweeps that waited for too long, since it was last accepted.
    forgotten: usize,
    left_out: u64,
    unreported: BTreeSet<&'static str>,
    /// Whether a step is under way, and whether there was news meanwhile.
    is_stepping: bool,
    again: bool,
    /// Nothing is tried before then.
    rests_until: Option<Instant>,
}

impl LegacyOutput {
    /// Where the settings ask for it.
    pub(super) fn new(settings: &DatabaseSettings) -> Option<Self> {
        let server = server(settings).ok().filter(|server| server.legacy_table)?;
        // Its own: aborting its calls leaves the history's connection alone.
        let server = Server { abort: AbortHandle::default(), ..server };
        Some(Self {
            worker: Worker::new("legacy table", MOST_ABANDONED),
            writer: Arc::new(Mutex::new(LegacyWriter::new(server.clone()))),
            server,
            trouble: OutageTracker::new(),
            failures: 0,
            forgotten: 0,
            left_out: 0,
            unreported: BTreeSet::new(),
            is_stepping: false,
            again: false,
            rests_until: None,
        })
    }

    /// A call of an earlier life may still be under way: it keeps its writer.
    pub(super) fn restart(&mut self) {
        self.writer = Arc::new(Mutex::new(LegacyWriter::new(self.server.clone())));
        (self.is_stepping, self.again, self.rests_until) = (false, false, None);
    }

    /// Takes note of a step; returns after which time the next one is due without news. `is_away`: the history's own
    /// connection is broken as well, which is logged already.
    fn stepped(
        &mut self,
        log: &Logger,
        is_away: bool,
        outcome: Result<LegacyStep, WorkerError>,
    ) -> Option<Duration> {
        let step = outcome.unwrap_or_else(|error| {
            self.server.abort.abort();
            self.writer = Arc::new(Mutex::new(LegacyWriter::new(self.server.clone())));
            let refusal = Some(LegacyRefusal::hung(error.to_string()));
            LegacyStep { refusal, ..LegacyStep::default() }
        });
        self.forgotten += step.forgotten;
        for (column, sql_type) in &step.unreported {
            if self.unreported.insert(column) {
                said::legacy_unreported(log, column, sql_type);
            }
        }
        for sweep in &step.left_out {
            self.left_out += 1;
            if self.left_out <= LOGGED_ONE_BY_ONE || is_power_of_ten(self.left_out) {
                said::legacy_left_out(log, sweep, self.left_out);
            }
        }
        let now = Instant::now();
        if step.written > 0 {
            self.failures = 0;
            if let Some(recovered) = self.trouble.on_success(now) {
                said::legacy_accepted(log, &recovered, std::mem::take(&mut self.forgotten));
            }
        }
        let Some(refusal) = step.refusal else { return step.is_more.then_some(Duration::ZERO) };
        let pause = Rhythm::default().pause(self.failures, fastrand::f64());
        self.failures = self.failures.saturating_add(1);
        if (!refusal.is_connection || (self.failures > SILENT_FAILURES && !is_away))
            && let Some(say) = self.trouble.on_failure(now, &refusal.reason)
        {
            said::legacy_refused(log, &say, &refusal, self.forgotten);
        }
        Some(pause)
    }
}

fn is_power_of_ten(number: u64) -> bool {
    number > 0 && 10_u64.checked_pow(number.ilog10()) == Some(number)
}

impl DbActor {
    /// Writes a batch of what waits for the table, unless one is under way or it rests.
    pub(super) fn write_legacy(&mut self, ctx: &mut Context<Self>) {
        let deadline = self.history.batch_deadline;
        let Some(legacy) = &mut self.legacy else { return };
        if legacy.rests_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        if std::mem::replace(&mut legacy.is_stepping, true) {
            legacy.again = true;
            return;
        }
        legacy.again = false;
        let writer = legacy.writer.clone();
        let stepped = legacy.worker.call(deadline, move || lock(&writer).step());
        let done = |outcome, actor: &mut Self, ctx: &mut Context<Self>| {
            let log = actor.log.clone();
            let Some(legacy) = &mut actor.legacy else { return };
            legacy.is_stepping = false;
            let due = legacy
                .stepped(&log, actor.drain.is_away(), outcome)
                .or(legacy.again.then_some(Duration::ZERO));
            let Some(due) = due else { return };
            legacy.rests_until = (!due.is_zero()).then(|| Instant::now() + due);
            ctx.run_later(due, |actor, ctx| actor.write_legacy(ctx));
        };
        ctx.spawn(stepped.into_actor(self).map(done));
    }
}
