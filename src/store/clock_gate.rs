//! Holds back rows recorded before the system clock was set, and corrects their timestamps once it is.
//!
//! A small machine without a battery-backed clock starts in 1970 or at its last shutdown, until it gets the time from
//! the network. A row's time is wrong by the later correction of the clock, which is the change of `wall - monotonic`:
//!
//! ```text
//! corrected = time of the row + (wall - monotonic now) - (wall - monotonic when it was received)
//!           = wall now - monotonic age of the row
//! ```
//! Pure: both clocks are passed in. A suspended machine shows as a jump, because its monotonic clock was suspended too.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// No row was taken before this version was released: 2026-11-01, milliseconds since 1970, UTC. Each release raises it.
/// It is a constant for reproducible builds; an old value makes the gate more lenient, never wrong.
pub const RELEASED_AT_MS: i64 = 1_793_491_200_000;

/// Clocks are slewed slowly; a larger change between two updates is a jump.
pub(super) const JUMP_MS: i64 = 1_000;

/// A clock that has not jumped for this long is trusted to expire old rows.
const TRUST_AFTER: Duration = Duration::from_secs(600);

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    pub monotonic: Instant,
    /// Milliseconds since 1970, UTC.
    pub wall_ms: i64,
}

/// A change of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockChange {
    /// It shows a time before the release, so it is not set: rows wait.
    Unset,
    /// It was set: waiting rows pass with corrected times.
    Set { by_ms: i64 },
    /// It was stepped forward, or back if negative, while it was set.
    Jumped { by_ms: i64 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedRow<T> {
    /// Milliseconds since 1970, UTC.
    pub taken_at_ms: i64,
    pub row: T,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateOutput<T> {
    pub clock: Option<ClockChange>,
    /// Rows with correct times, in order.
    pub rows: Vec<TimedRow<T>>,
    /// Rows dropped because too many waited.
    pub dropped: u64,
}

/// Call [`pass`](Self::pass) with the clocks for each row, or at least every few seconds.
#[derive(Debug)]
pub struct ClockGate<T> {
    released_at_ms: i64,
    max_waiting: usize,
    /// The first reading: monotonic times count from there.
    start: Option<Instant>,
    /// `wall - monotonic` at the last update.
    offset_ms: i64,
    /// The same at the last update with an unset clock: a row may have been taken just before the clock was set.
    unset_offset_ms: Option<i64>,
    /// Since when the clock is set and has not jumped; `None` while it is unset.
    steady_since: Option<Instant>,
    waiting: VecDeque<WaitingRow<T>>,
}

#[derive(Debug)]
struct WaitingRow<T> {
    row: TimedRow<T>,
    /// `wall - monotonic` when it was received; `None` for a row of a clock that was set or unknown.
    offset_ms: Option<i64>,
}

impl<T> ClockGate<T> {
    /// A gate that lets nothing pass from before `released_at_ms` (milliseconds since 1970, UTC; [`RELEASED_AT_MS`] in
    /// production), and holds at most `max_waiting` rows.
    #[must_use]
    pub fn new(released_at_ms: i64, max_waiting: usize) -> Self {
        Self {
            released_at_ms,
            max_waiting,
            start: None,
            offset_ms: 0,
            unset_offset_ms: None,
            steady_since: None,
            waiting: VecDeque::new(),
        }
    }

    /// Adds rows, and returns all rows whose time is correct now.
    pub fn pass(&mut self, now: ClockReading, rows: impl IntoIterator<Item = TimedRow<T>>) -> GateOutput<T> {
        let clock = self.update(now);
        for row in rows {
            let unset = row.taken_at_ms < self.released_at_ms;
            let offset_ms = unset.then_some(self.unset_offset_ms).flatten();
            self.waiting.push_back(WaitingRow { row, offset_ms });
        }
        let surplus = self.waiting.len().saturating_sub(self.max_waiting);
        if self.is_set(now) {
            let rows = self.waiting.drain(..).map(|waiting| waiting.corrected(self.offset_ms));
            let (rows, lost): (Vec<_>, Vec<_>) = rows.partition(|row| row.taken_at_ms >= self.released_at_ms);
            return GateOutput { clock, rows, dropped: lost.len() as u64 };
        }
        self.waiting.drain(..surplus);
        GateOutput { clock, rows: Vec::new(), dropped: surplus as u64 }
    }

    #[cfg(feature = "internals")]
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The wall-clock time, if it is set and has not jumped for ten minutes. Old rows must expire by no other clock: it
    /// may be years ahead for a moment.
    #[must_use]
    pub fn trusted_ms(&self, now: ClockReading) -> Option<i64> {
        let steady = now.monotonic.saturating_duration_since(self.steady_since?);
        (self.is_set(now) && steady >= TRUST_AFTER).then_some(now.wall_ms)
    }

    /// Whether the wall clock may be right.
    pub(super) fn is_set(&self, now: ClockReading) -> bool {
        now.wall_ms >= self.released_at_ms
    }

    fn update(&mut self, now: ClockReading) -> Option<ClockChange> {
        let first = self.start.is_none();
        let start = *self.start.get_or_insert(now.monotonic);
        let elapsed = now.monotonic.saturating_duration_since(start).as_millis();
        let offset = now.wall_ms.saturating_sub(i64::try_from(elapsed).unwrap_or(i64::MAX));
        let by_ms = if first { 0 } else { offset.saturating_sub(self.offset_ms) };
        let was_set = !first && self.steady_since.is_some();
        self.offset_ms = offset;
        if !self.is_set(now) {
            self.unset_offset_ms = Some(offset);
            self.steady_since = None;
            return (first || was_set).then_some(ClockChange::Unset);
        }
        if was_set && by_ms.abs() <= JUMP_MS {
            return None;
        }
        self.steady_since = Some(now.monotonic);
        match (first, was_set) {
            (true, _) => None,
            (_, true) => Some(ClockChange::Jumped { by_ms }),
            (_, false) => Some(ClockChange::Set { by_ms }),
        }
    }
}

impl<T> WaitingRow<T> {
    fn corrected(self, offset_ms: i64) -> TimedRow<T> {
        let by_ms = self.offset_ms.map_or(0, |came| offset_ms.saturating_sub(came));
        TimedRow { taken_at_ms: self.row.taken_at_ms.saturating_add(by_ms), row: self.row.row }
    }
}
