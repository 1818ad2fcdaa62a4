//! The drain: from the journal to the database, in order, in batches, for as long as it takes.
//!
//! ```text
//!             stored: the batch grows                    poison in a batch of many: the half before it
//!            ┌──────┐                                   ┌──────┐
//!            │      ▼        poison                     │      ▼
//!  Idle ◄── Flowing ◄──────────────────────────────► Searching ── poison alone: buried, the rest goes on
//!   empty    │      ▲        all suspects stored        │
//!            │ away │ stored                            │ away
//!            ▼      │                                   ▼
//!           Pausing, 1 s doubling to 1 min, then a small batch
//! ```

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Buried, Grave, Keeper, Kept, Notice};
use crate::outage::OutageTracker;

/// Rows buried one after another without a single one stored between them; past these, each waits like a failure. A
/// database that has something against every row is itself what is wrong, and must not bury a backlog in a minute.
const BURIALS_IN_A_ROW: u32 = 3;

/// The reason logged for a row that the journal's disk has corrupted.
const DAMAGED: &str = "damaged in the journal: its checksum does not match";

/// Where the rows go.
///
/// Both calls return within a deadline of the sink's own. Both may be repeated with rows that were taken before,
/// alone or among others, since a crash may come between the sink's yes and the journal's knowing it: unique keys
/// make a second time nothing new.
pub trait Sink {
    /// Stores every row, in order, in one transaction: when this returns `Ok` all of them are durable, else none is.
    ///
    /// # Errors
    /// [`SinkError`] says who is to blame.
    fn store(&mut self, batch: &[Kept]) -> Result<(), SinkError>;

    /// Puts a row that it can't take into its table of dead letters, with the reason.
    ///
    /// # Errors
    /// As [`store`](Self::store); where it takes not even that, the row goes among the journal's own.
    fn bury(&mut self, row: &Kept, reason: &str) -> Result<(), SinkError>;
}

/// Why rows were not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkError {
    /// The database does not answer, or not in time.
    Away(String),
    /// It answers and takes nothing, whatever the row: no rights, full, read-only, a newer schema.
    Refused(String),
    /// It has something against a row.
    Poison {
        /// Which of the batch, where it said so.
        index: Option<usize>,
        /// Its words.
        reason: String,
    },
}

/// Sizes and pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// Rows of the first batch, and of the first after a failure.
    pub first_rows: usize,
    /// No batch has more rows.
    pub most_rows: usize,
    /// No batch has more bytes of payload, but one row where it alone is larger.
    pub most_bytes: usize,
    /// The pause after the first failure; it doubles with each further one.
    pub first_pause: Duration,
    /// No pause is longer.
    pub longest_pause: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            first_rows: 16,
            most_rows: 512,
            most_bytes: 1_000_000,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
        }
    }
}

/// When the next step is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once: there may be more.
    Now,
    /// Not before; rows that come meanwhile change nothing.
    At(Instant),
    /// When there are rows again.
    Idle,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When to take the next one.
    pub next: Next,
    /// Rows stored.
    pub stored: usize,
    /// What is to be said.
    pub notices: Vec<Notice>,
}

/// Carries rows from a [`Keeper`] to a [`Sink`]. It holds no row between two steps: what it brings is what the
/// keeper has at its head.
#[derive(Clone, Debug)]
pub struct Drain {
    rhythm: Rhythm,
    /// Rows of the next batch.
    rows: usize,
    /// One of so many rows at the head is known to be poison.
    suspects: usize,
    buried_in_a_row: u32,
    failures: u32,
    not_before: Option<Instant>,
    trouble: OutageTracker,
}

impl Drain {
    /// A drain that has carried nothing yet.
    #[must_use]
    pub fn new(rhythm: Rhythm) -> Self {
        Self {
            rhythm,
            rows: rhythm.first_rows,
            suspects: 0,
            buried_in_a_row: 0,
            failures: 0,
            not_before: None,
            trouble: OutageTracker::new(),
        }
    }

    /// Brings one batch. The keeper is free for others while the sink works. `clock` tells the time, since the sink
    /// may take long; `chance`, between 0 and 1, makes pauses differ.
    pub fn step(
        &mut self,
        keeper: &Mutex<Keeper>,
        sink: &mut impl Sink,
        clock: impl Fn() -> Instant,
        chance: f64,
    ) -> Step {
        let now = clock();
        let mut step = Step { next: Next::Idle, stored: 0, notices: Vec::new() };
        if let Some(at) = self.not_before.filter(|at| now < *at) {
            step.next = Next::At(at);
            return step;
        }
        self.not_before = None;
        let mut batch = lock(keeper).head(now, self.rows, self.rhythm.most_bytes);
        if let Some(damaged) = batch.first().filter(|row| row.is_damaged) {
            self.put_aside(&mut step, keeper, sink, &clock, damaged, DAMAGED, chance);
            step.next = self.not_before.map_or(Next::Now, Next::At);
            return step;
        }
        batch.truncate(batch.iter().position(|row| row.is_damaged).unwrap_or(batch.len()));
        let Some(last) = batch.last() else {
            self.suspects = 0;
            return step;
        };
        match sink.store(&batch) {
            Ok(()) => {
                let now = clock();
                lock(keeper).confirm(now, last.seq);
                step.stored = batch.len();
                self.stored(batch.len());
                step.notices.extend(self.trouble.on_success(now).map(Notice::SinkBack));
            }
            Err(SinkError::Away(reason) | SinkError::Refused(reason)) => {
                self.pause(&mut step, clock(), reason, chance);
            }
            Err(SinkError::Poison { reason, .. }) if batch.len() == 1 => {
                self.put_aside(&mut step, keeper, sink, &clock, last, &reason, chance);
            }
            Err(SinkError::Poison { index, .. }) => {
                // What comes before it is good, so the next batch ends there; else in the middle.
                let index = index.filter(|index| *index < batch.len());
                self.suspects = index.map_or(batch.len(), |index| index + 1);
                self.rows = index.unwrap_or(batch.len() / 2).max(1);
            }
        }
        step.next = self.not_before.map_or(Next::Now, Next::At);
        step
    }

    /// A step of a drain like this one did not come back in time and was given up: a failure like any other. Should it
    /// come back after all, it has brought rows that are then there twice, which is nothing new.
    pub fn hung(&mut self, now: Instant, reason: String, chance: f64) -> Step {
        let mut step = Step { next: Next::Idle, stored: 0, notices: Vec::new() };
        self.pause(&mut step, now, reason, chance);
        step.next = self.not_before.map_or(Next::Now, Next::At);
        step
    }

    /// Whether the sink takes nothing at present.
    #[must_use]
    pub(crate) fn is_away(&self) -> bool {
        self.trouble.is_on()
    }

    /// The next step is due at once: there will be no later one.
    pub fn hurry(&mut self) {
        self.not_before = None;
    }

    fn stored(&mut self, rows: usize) {
        (self.failures, self.buried_in_a_row) = (0, 0);
        self.suspects = self.suspects.saturating_sub(rows);
        self.rows = match self.suspects {
            // A search ends with a batch of one: from there it grows as from a first one.
            0 => (self.rows * 2).clamp(self.rhythm.first_rows, self.rhythm.most_rows),
            suspects => suspects.div_ceil(2),
        };
    }

    /// Puts one row aside, or waits where the database is away.
    #[allow(clippy::too_many_arguments, reason = "all that a step has in hand")]
    fn put_aside(
        &mut self,
        step: &mut Step,
        keeper: &Mutex<Keeper>,
        sink: &mut impl Sink,
        clock: &impl Fn() -> Instant,
        row: &Kept,
        reason: &str,
        chance: f64,
    ) {
        match bury(keeper, sink, clock, row, reason) {
            Ok(buried) => {
                step.notices.push(Notice::Buried(buried));
                // The disk is at fault for a damaged row, not the database.
                if row.is_damaged {
                    self.suspects = self.suspects.saturating_sub(1);
                } else {
                    self.buried(clock(), chance);
                }
            }
            Err(away) => self.pause(step, clock(), away, chance),
        }
    }

    /// One row was put aside, or lost.
    fn buried(&mut self, now: Instant, chance: f64) {
        self.suspects = 0;
        self.rows = self.rhythm.first_rows;
        self.buried_in_a_row = self.buried_in_a_row.saturating_add(1);
        if let Some(too_many) = self.buried_in_a_row.checked_sub(BURIALS_IN_A_ROW + 1) {
            self.not_before = Some(now + self.rhythm.pause(too_many, chance));
        }
    }

    fn pause(&mut self, step: &mut Step, now: Instant, reason: String, chance: f64) {
        self.not_before = Some(now + self.rhythm.pause(self.failures, chance));
        self.failures = self.failures.saturating_add(1);
        // A batch may have been what was too much within the sink's deadline.
        self.rows = self.rhythm.first_rows.min(self.rows);
        if let Some(say) = self.trouble.on_failure(now, &reason) {
            step.notices.push(Notice::SinkAway { say, reason });
        }
    }
}

impl Rhythm {
    /// The pause after so many failures before this one. Chance takes up to a quarter off.
    #[must_use]
    pub(crate) fn pause(&self, failures: u32, chance: f64) -> Duration {
        let doubled = self.first_pause.saturating_mul(2_u32.saturating_pow(failures));
        doubled.min(self.longest_pause).mul_f64(1.0 - 0.25 * chance.clamp(0.0, 1.0))
    }
}

/// Finds a place for a row that is poison, and lets go of it.
///
/// # Errors
/// The database is away, in its words: the row stays where it is.
fn bury(
    keeper: &Mutex<Keeper>,
    sink: &mut impl Sink,
    clock: &impl Fn() -> Instant,
    row: &Kept,
    reason: &str,
) -> Result<Buried, String> {
    let grave = match sink.bury(row, reason) {
        Ok(()) => {
            lock(keeper).confirm(clock(), row.seq);
            Grave::Database
        }
        Err(SinkError::Away(away)) => return Err(away),
        Err(SinkError::Refused(_) | SinkError::Poison { .. }) => {
            if lock(keeper).reject(clock(), row, reason) { Grave::Journal } else { Grave::None }
        }
    };
    let Kept { entry, .. } = row;
    let (kind, bank, reason) = (entry.kind.clone(), entry.bank.clone(), reason.to_owned());
    Ok(Buried { kind, bank, taken_at_ms: entry.taken_at_ms, reason, grave })
}

/// A keeper whose holder panicked is still in order: its rows are on the disk or in its memory.
fn lock(keeper: &Mutex<Keeper>) -> MutexGuard<'_, Keeper> {
    keeper.lock().unwrap_or_else(PoisonError::into_inner)
}
