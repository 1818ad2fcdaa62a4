//! Writes to the database, on its worker.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::settings::DatabaseSettings;
use crate::store::journal::{Drain, DrainStep, JournalBuffer, NextStep, StoreNotice};
use crate::store::sink::DatabaseSink;
use crate::store::{AbortHandle, StoreError};

/// Abandoned calls that hang, of the disk and of the database each.
pub(super) const MAX_ABANDONED: usize = 3;

pub(super) struct DatabaseWriter {
    drain: Drain,
    sink: DatabaseSink,
}

/// The outcome of a step.
pub(super) struct StepOutcome {
    pub step: DrainStep,
    /// Whether there is more to prune, if a step of retention was due.
    pub pruned: Option<Result<bool, StoreError>>,
    /// The drain after the step.
    pub drain: Drain,
}

impl DatabaseWriter {
    pub fn new(settings: &DatabaseSettings, abort: &AbortHandle, drain: Drain) -> Arc<Mutex<Self>> {
        let sink = DatabaseSink::new(settings.clone(), abort.clone());
        Arc::new(Mutex::new(Self { drain, sink }))
    }
}

/// Stores a batch, and if no rows wait, takes a step of retention when it is due. `now` is the time of a trusted clock.
pub(super) fn step(
    buffer: &Mutex<JournalBuffer>,
    writer: &mut DatabaseWriter,
    now: Option<Timestamp>,
    is_time_to_prune: bool,
) -> StepOutcome {
    writer.sink.set_time(now);
    let mut step = writer.drain.step(buffer, &mut writer.sink, Instant::now, fastrand::f64());
    let prune_at = now.filter(|_| is_time_to_prune && step.next == NextStep::Idle);
    let pruned = prune_at.map(|at| writer.sink.prune(at));
    step.notices.extend(writer.sink.take_notices());
    StepOutcome { step, pruned, drain: writer.drain.clone() }
}

/// Stores all waiting rows without pauses, until the database fails.
pub(super) fn drain_all(
    buffer: &Mutex<JournalBuffer>,
    writer: &mut DatabaseWriter,
    now: Option<Timestamp>,
) -> Vec<StoreNotice> {
    writer.drain.skip_pause();
    writer.sink.shut_down();
    let mut notices = Vec::new();
    loop {
        let StepOutcome { step, .. } = step(buffer, writer, now, false);
        notices.extend(step.notices);
        if step.next != NextStep::Now {
            return notices;
        }
    }
}
