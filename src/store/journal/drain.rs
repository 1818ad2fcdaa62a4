//! Moves rows from the journal to the database, in order, in batches, retrying as long as necessary.
//!
//! A row that the database rejects must not block the rows behind it: bisection finds it, and it goes to a dead-letter
//! table.
//!
//! ```text
//!             stored: the batch grows                    poison in a batch of many: try the first half
//!            ┌──────┐                                   ┌──────┐
//!            │      ▼        poison                     │      ▼
//!  Idle ◄── Flowing ◄──────────────────────────────► Searching ── poison alone: dead letter, the rest goes on
//!   empty    │      ▲        all suspects stored        │
//!            │ down │ stored                            │ down
//!            ▼      │                                   ▼
//!           Pausing, 1 s doubling to 1 min, then a small batch
//! ```

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::outage::OutageTracker;
use crate::store::journal::buffer::JournalBuffer;
use crate::store::journal::entry::StoredEntry;
use crate::store::journal::notice::{DeadLetter, DeadLetterTable, StoreNotice};

/// Dead letters in a row without a single row stored between them; after these, each is followed by a pause like a
/// failure. A database that rejects every row is itself at fault, and must not turn a backlog into dead letters.
const MAX_DEAD_LETTERS_IN_A_ROW: u32 = 3;

/// The reason logged for a row that the journal's disk has corrupted.
const DAMAGED: &str = "damaged in the journal: its checksum does not match";

/// Where the rows go.
///
/// Both calls return within a deadline of the sink. Both may be repeated with rows that were accepted before, alone or
/// among others, because a crash may come between the sink's commit and the journal's confirmation: unique keys make
/// them idempotent.
pub trait JournalSink {
    /// Stores every row, in order, in one transaction: when this returns `Ok` all of them are durable, else none is.
    ///
    /// # Errors
    /// See [`SinkError`].
    fn store(&mut self, batch: &[StoredEntry]) -> Result<(), SinkError>;

    /// Puts a row that it rejects into its dead-letter table, with the reason.
    ///
    /// # Errors
    /// As [`store`](Self::store); if it rejects this too, the row goes to the journal's own dead letters.
    fn dead_letter(&mut self, row: &StoredEntry, reason: &str) -> Result<(), SinkError>;
}

/// Why rows were not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkError {
    /// The database does not respond, or not in time.
    Unavailable(String),
    /// It responds but accepts no row at all: missing privileges, full, read-only, a newer schema.
    Refused(String),
    /// It rejects a row.
    Poison {
        /// Which of the batch, if known.
        index: Option<usize>,
        /// Its message.
        reason: String,
    },
}

/// Batch sizes and retry pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainConfig {
    /// Rows of the first batch, and of the first after a failure.
    pub first_rows: usize,
    pub max_rows: usize,
    /// Bytes of payload per batch; a single larger row is still sent.
    pub max_bytes: usize,
    /// The pause after the first failure; it doubles with each further one.
    pub first_pause: Duration,
    pub max_pause: Duration,
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self {
            first_rows: 16,
            max_rows: 512,
            max_bytes: 1_000_000,
            first_pause: Duration::from_secs(1),
            max_pause: Duration::from_secs(60),
        }
    }
}

/// When the next step is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// At once: there may be more.
    Now,
    /// Not before this; new rows change nothing.
    At(Instant),
    /// When there are rows again.
    Idle,
}

/// The outcome of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct DrainStep {
    pub next: NextStep,
    pub stored: usize,
    pub notices: Vec<StoreNotice>,
}

/// Moves rows from a [`JournalBuffer`] to a [`JournalSink`]. It holds no row between two steps: each step takes the
/// head of the buffer.
#[derive(Clone, Debug)]
pub struct Drain {
    config: DrainConfig,
    /// Rows of the next batch.
    rows: usize,
    /// One of this many rows at the head is known to be poison.
    suspects: usize,
    dead_letters_in_a_row: u32,
    failures: u32,
    not_before: Option<Instant>,
    trouble: OutageTracker,
}

impl Drain {
    #[must_use]
    pub fn new(config: DrainConfig) -> Self {
        Self {
            config,
            rows: config.first_rows,
            suspects: 0,
            dead_letters_in_a_row: 0,
            failures: 0,
            not_before: None,
            trouble: OutageTracker::new(),
        }
    }

    /// Stores one batch. The buffer is not locked while the sink works. `clock` gives the time, because the sink may
    /// take long; `chance`, between 0 and 1, adds jitter to pauses.
    pub fn step(
        &mut self,
        buffer: &Mutex<JournalBuffer>,
        sink: &mut impl JournalSink,
        clock: impl Fn() -> Instant,
        chance: f64,
    ) -> DrainStep {
        let now = clock();
        let mut step = DrainStep { next: NextStep::Idle, stored: 0, notices: Vec::new() };
        if let Some(at) = self.not_before.filter(|at| now < *at) {
            step.next = NextStep::At(at);
            return step;
        }
        self.not_before = None;
        let mut batch = buffer.lock().head(now, self.rows, self.config.max_bytes);
        if let Some(damaged) = batch.first().filter(|row| row.is_damaged) {
            self.dead_letter_row(&mut step, buffer, sink, &clock, damaged, DAMAGED, chance);
            step.next = self.not_before.map_or(NextStep::Now, NextStep::At);
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
                buffer.lock().confirm(now, last.seq);
                step.stored = batch.len();
                self.on_stored(batch.len());
                step.notices.extend(self.trouble.on_success(now).map(StoreNotice::DatabaseRecovered));
            }
            Err(SinkError::Unavailable(reason) | SinkError::Refused(reason)) => {
                self.pause(&mut step, clock(), reason, chance);
            }
            Err(SinkError::Poison { reason, .. }) if batch.len() == 1 => {
                self.dead_letter_row(&mut step, buffer, sink, &clock, last, &reason, chance);
            }
            Err(SinkError::Poison { index, .. }) => {
                // The rows before it are good, so the next batch ends there; if unknown, in the middle.
                let index = index.filter(|index| *index < batch.len());
                self.suspects = index.map_or(batch.len(), |index| index + 1);
                self.rows = index.unwrap_or(batch.len() / 2).max(1);
            }
        }
        step.next = self.not_before.map_or(NextStep::Now, NextStep::At);
        step
    }

    /// A step of a clone of this drain did not return in time and was abandoned: a failure like any other. If it
    /// completes after all, its rows are sent twice, which is harmless.
    pub fn on_timeout(&mut self, now: Instant, reason: String, chance: f64) -> DrainStep {
        let mut step = DrainStep { next: NextStep::Idle, stored: 0, notices: Vec::new() };
        self.pause(&mut step, now, reason, chance);
        step.next = self.not_before.map_or(NextStep::Now, NextStep::At);
        step
    }

    /// Whether the sink accepts nothing at present.
    #[must_use]
    pub(crate) fn is_sink_down(&self) -> bool {
        self.trouble.is_on()
    }

    /// Makes the next step due at once, at shutdown.
    pub fn skip_pause(&mut self) {
        self.not_before = None;
    }

    fn on_stored(&mut self, rows: usize) {
        (self.failures, self.dead_letters_in_a_row) = (0, 0);
        self.suspects = self.suspects.saturating_sub(rows);
        self.rows = match self.suspects {
            // A search ends with a batch of one, which grows again like a first batch.
            0 => (self.rows * 2).clamp(self.config.first_rows, self.config.max_rows),
            suspects => suspects.div_ceil(2),
        };
    }

    /// Makes one row a dead letter, or pauses if the database is down.
    #[allow(clippy::too_many_arguments, reason = "the whole state of a step")]
    fn dead_letter_row(
        &mut self,
        step: &mut DrainStep,
        buffer: &Mutex<JournalBuffer>,
        sink: &mut impl JournalSink,
        clock: &impl Fn() -> Instant,
        row: &StoredEntry,
        reason: &str,
        chance: f64,
    ) {
        match dead_letter(buffer, sink, clock, row, reason) {
            Ok(letter) => {
                step.notices.push(StoreNotice::DeadLettered(letter));
                // A damaged row is the disk's fault, not the database's.
                if row.is_damaged {
                    self.suspects = self.suspects.saturating_sub(1);
                } else {
                    self.on_dead_letter(clock(), chance);
                }
            }
            Err(reason) => self.pause(step, clock(), reason, chance),
        }
    }

    /// One row became a dead letter, or was lost.
    fn on_dead_letter(&mut self, now: Instant, chance: f64) {
        self.suspects = 0;
        self.rows = self.config.first_rows;
        self.dead_letters_in_a_row = self.dead_letters_in_a_row.saturating_add(1);
        if let Some(too_many) = self.dead_letters_in_a_row.checked_sub(MAX_DEAD_LETTERS_IN_A_ROW + 1) {
            self.not_before = Some(now + self.config.pause(too_many, chance));
        }
    }

    fn pause(&mut self, step: &mut DrainStep, now: Instant, reason: String, chance: f64) {
        self.not_before = Some(now + self.config.pause(self.failures, chance));
        self.failures = self.failures.saturating_add(1);
        // The batch may have been too large for the sink's deadline.
        self.rows = self.config.first_rows.min(self.rows);
        if let Some(outage) = self.trouble.on_failure(now, &reason) {
            step.notices.push(StoreNotice::DatabaseDown { outage, reason });
        }
    }
}

impl DrainConfig {
    /// The pause after this many earlier failures, shortened at random by up to a quarter.
    #[must_use]
    pub(crate) fn pause(&self, failures: u32, chance: f64) -> Duration {
        let doubled = self.first_pause.saturating_mul(2_u32.saturating_pow(failures));
        doubled.min(self.max_pause).mul_f64(1.0 - 0.25 * chance.clamp(0.0, 1.0))
    }
}

/// Moves a poison row to a dead-letter table.
///
/// # Errors
/// The database's message if it is down: the row stays where it is.
fn dead_letter(
    buffer: &Mutex<JournalBuffer>,
    sink: &mut impl JournalSink,
    clock: &impl Fn() -> Instant,
    row: &StoredEntry,
    reason: &str,
) -> Result<DeadLetter, String> {
    let table = match sink.dead_letter(row, reason) {
        Ok(()) => {
            buffer.lock().confirm(clock(), row.seq);
            DeadLetterTable::Database
        }
        Err(SinkError::Unavailable(reason)) => return Err(reason),
        Err(SinkError::Refused(_) | SinkError::Poison { .. }) => {
            if buffer.lock().dead_letter(clock(), row, reason) {
                DeadLetterTable::Journal
            } else {
                DeadLetterTable::None
            }
        }
    };
    let StoredEntry { entry, .. } = row;
    let (kind, bank, reason) = (entry.kind.clone(), entry.bank.clone(), reason.to_owned());
    Ok(DeadLetter { kind, bank, taken_at_ms: entry.taken_at_ms, reason, table })
}
