//! The way to the database: what runs on its worker.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;

use crate::settings::DatabaseSettings;
use crate::store::journal::{Drain, Keeper, Next, Notice, Step};
use crate::store::sink::Database;
use crate::store::{AbortHandle, StoreError};

/// The way to the database.
pub(super) struct Line {
    drain: Drain,
    database: Database,
}

/// What a step on the database's worker came to.
pub(super) struct Stepped {
    /// The drain's part of it.
    pub(crate) step: Step,
    /// Where a step of pruning was taken: whether there is more to prune.
    pub(crate) pruned: Option<Result<bool, StoreError>>,
    /// As it is now.
    pub(crate) drain: Drain,
}

impl Line {
    /// Not opened yet.
    pub(crate) fn new(settings: &DatabaseSettings, abort: &AbortHandle, drain: Drain) -> Arc<Mutex<Self>> {
        let database = Database::new(settings.clone(), abort.clone());
        Arc::new(Mutex::new(Self { drain, database }))
    }
}

/// One batch, and where nothing waits a step of pruning, where it is time for one; on the database's worker. `now` is
/// the time by a clock that can be trusted.
pub(super) fn step(
    keeper: &Mutex<Keeper>,
    line: &mut Line,
    now: Option<Timestamp>,
    is_time_to_prune: bool,
) -> Stepped {
    line.database.set_time(now);
    let mut step = line.drain.step(keeper, &mut line.database, Instant::now, fastrand::f64());
    let prune_at = now.filter(|_| is_time_to_prune && step.next == Next::Idle);
    let pruned = prune_at.map(|at| line.database.prune(at));
    step.notices.extend(line.database.take_notices());
    Stepped { step, pruned, drain: line.drain.clone() }
}

/// All that waits, without a pause, for as long as the database takes it; on its worker.
pub(super) fn empty(keeper: &Mutex<Keeper>, line: &mut Line, now: Option<Timestamp>) -> Vec<Notice> {
    line.drain.hurry();
    line.database.end();
    let mut notices = Vec::new();
    loop {
        let Stepped { step, .. } = step(keeper, line, now, false);
        notices.extend(step.notices);
        if step.next != Next::Now {
            return notices;
        }
    }
}

/// Nothing that can be left half done happens under these locks.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
