//! Writes `pwr_data`, the table of pytes_serial, on a separate worker, so that nothing else waits while it is locked,
//! refused or slow.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use slog::Logger;

use crate::actors::db::writer::MAX_ABANDONED;
use crate::outage::OutageTracker;
use crate::settings::DatabaseSettings;
use crate::store::journal::DrainConfig;
use crate::store::{
    AbortHandle, DatabaseServer, LegacyRefusal, LegacyStep, LegacyWriter, log as store_log, server,
};
use crate::supervise::{Worker, WorkerError};

/// A connection that breaks once or twice is reopened silently: the main connection reports a server that is down.
const SILENT_FAILURES: u32 = 2;

/// Sweeps left out in a row that are logged one by one; then the tenth, the hundredth and so on.
const LOGGED_INDIVIDUALLY: u64 = 3;

pub(super) struct LegacyOutput {
    server: DatabaseServer,
    worker: Worker,
    writer: Arc<Mutex<LegacyWriter>>,
    outage: OutageTracker,
    failures: u32,
    /// Sweeps that waited too long, since rows were last accepted.
    expired: usize,
    left_out: u64,
    unreported: BTreeSet<&'static str>,
    is_stepping: bool,
    again: bool,
    /// No attempt is made before this.
    paused_until: Option<Instant>,
}

impl LegacyOutput {
    /// `None` if the settings do not enable it.
    pub(super) fn new(settings: &DatabaseSettings) -> Option<Self> {
        let server = server(settings).ok().filter(|server| server.legacy_table)?;
        // A separate handle: aborting its calls does not affect the main connection.
        let server = DatabaseServer { abort: AbortHandle::default(), ..server };
        Some(Self {
            worker: Worker::new("legacy table", MAX_ABANDONED),
            writer: Arc::new(Mutex::new(LegacyWriter::new(server.clone()))),
            server,
            outage: OutageTracker::new(),
            failures: 0,
            expired: 0,
            left_out: 0,
            unreported: BTreeSet::new(),
            is_stepping: false,
            again: false,
            paused_until: None,
        })
    }

    /// A call from before the restart may still be running: it keeps its writer.
    pub(super) fn restart(&mut self) {
        self.writer = Arc::new(Mutex::new(LegacyWriter::new(self.server.clone())));
        (self.is_stepping, self.again, self.paused_until) = (false, false, None);
    }

    /// Starts writing a batch on the worker, unless one is running or a pause has not passed yet.
    pub(super) fn start_step(
        &mut self,
        deadline: Duration,
    ) -> Option<impl Future<Output = Result<LegacyStep, WorkerError>> + use<>> {
        if self.paused_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        if std::mem::replace(&mut self.is_stepping, true) {
            self.again = true;
            return None;
        }
        self.again = false;
        let writer = self.writer.clone();
        Some(self.worker.call(deadline, move || writer.lock().step()))
    }

    /// Records the outcome of a step; returns when the next one is due, if there is one without new rows.
    /// `is_sink_down`: the main connection is down as well, which is logged already.
    pub(super) fn finish_step(
        &mut self,
        log: &Logger,
        is_sink_down: bool,
        outcome: Result<LegacyStep, WorkerError>,
    ) -> Option<Duration> {
        self.is_stepping = false;
        let due = self.apply(log, is_sink_down, outcome).or(self.again.then_some(Duration::ZERO))?;
        self.paused_until = (!due.is_zero()).then(|| Instant::now() + due);
        Some(due)
    }

    /// Logs the outcome, and returns the pause that it calls for.
    fn apply(
        &mut self,
        log: &Logger,
        is_sink_down: bool,
        outcome: Result<LegacyStep, WorkerError>,
    ) -> Option<Duration> {
        let step = outcome.unwrap_or_else(|error| {
            self.server.abort.abort();
            self.writer = Arc::new(Mutex::new(LegacyWriter::new(self.server.clone())));
            let refusal = Some(LegacyRefusal::timed_out(error.to_string()));
            LegacyStep { refusal, ..LegacyStep::default() }
        });
        self.expired += step.expired;
        for (column, sql_type) in &step.unreported {
            if self.unreported.insert(column) {
                store_log::legacy_unreported(log, column, sql_type);
            }
        }
        for sweep in &step.left_out {
            self.left_out += 1;
            if self.left_out <= LOGGED_INDIVIDUALLY || is_power_of_ten(self.left_out) {
                store_log::legacy_left_out(log, sweep, self.left_out);
            }
        }
        let now = Instant::now();
        if step.written > 0 {
            self.failures = 0;
            if let Some(recovered) = self.outage.on_success(now) {
                store_log::legacy_accepted(log, &recovered, std::mem::take(&mut self.expired));
            }
        }
        let Some(refusal) = step.refusal else { return step.is_more.then_some(Duration::ZERO) };
        let pause = DrainConfig::default().pause(self.failures, fastrand::f64());
        self.failures = self.failures.saturating_add(1);
        if (!refusal.is_connection || (self.failures > SILENT_FAILURES && !is_sink_down))
            && let Some(notice) = self.outage.on_failure(now, &refusal.reason)
        {
            store_log::legacy_refused(log, &notice, &refusal, self.expired);
        }
        Some(pause)
    }
}

fn is_power_of_ten(number: u64) -> bool {
    number > 0 && 10_u64.checked_pow(number.ilog10()) == Some(number)
}
