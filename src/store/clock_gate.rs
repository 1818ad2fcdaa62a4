//! Rows that were taken before the system's clock was set wait here, and get their right time once it is.
//!
//! A small machine without a battery-backed clock starts in 1970 or at its last shutdown, until the network tells it
//! the time. A row's time is off by what the clock is put forward later: `wall - monotonic` differs by just that, so
//!
//! ```text
//! corrected = time the row bears + (wall - monotonic now) - (wall - monotonic when it came)
//!           = wall now - monotonic age of the row
//! ```
//! Pure: both clocks are handed in. A machine that was asleep shows as a jump, since its monotonic clock slept too.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// No row was taken before this program was made: 2026-11-01, milliseconds since 1970, UTC. A release bumps it. It is
/// a constant so that the same source gives the same program whenever it is built; an old one only makes the gate
/// more lenient, never wrong.
pub const MADE_AT_MS: i64 = 1_793_491_200_000;

/// Clocks are drawn to the right time slowly; what is faster than this between two looks is a jump.
pub(super) const JUMP_MS: i64 = 1_000;

/// A clock that has not jumped for so long is trusted with giving up what is old.
const TRUSTED_AFTER: Duration = Duration::from_secs(600);

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The one that only ever goes on.
    pub monotonic: Instant,
    /// The one people read: milliseconds since 1970, UTC.
    pub wall_ms: i64,
}

/// What the wall clock did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockNews {
    /// It stands before the program was made, so it has not been set: rows wait.
    Unset,
    /// It was set: what had waited goes on, with corrected times.
    Set {
        /// By how much: milliseconds.
        by_ms: i64,
    },
    /// It was put forward (or back, where negative) while it was running.
    Jumped {
        /// By how much: milliseconds.
        by_ms: i64,
    },
}

/// A row with the time it was taken at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed<T> {
    /// Milliseconds since 1970, UTC.
    pub taken_at_ms: i64,
    /// The row.
    pub row: T,
}

/// What passed the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed<T> {
    /// What is to be said of the clock.
    pub news: Option<ClockNews>,
    /// Rows whose time is right, in the order they came.
    pub rows: Vec<Timed<T>>,
    /// Rows that were dropped, the oldest, since too many waited.
    pub dropped: u64,
}

/// The gate. Look at the clocks as often as rows come, or every few seconds.
#[derive(Debug)]
pub struct ClockGate<T> {
    made_at_ms: i64,
    most_waiting: usize,
    /// The first moment seen: monotonic times are counted from there.
    start: Option<Instant>,
    /// `wall - monotonic` at the last look.
    offset_ms: i64,
    /// The same when the clock was last seen unset: a row may have been taken just before it was set.
    unset_offset_ms: Option<i64>,
    /// Since when the clock has not jumped.
    steady_since: Option<Instant>,
    waiting: VecDeque<Waiting<T>>,
}

#[derive(Debug)]
struct Waiting<T> {
    row: Timed<T>,
    /// `wall - monotonic` when it came; nothing for a row that was taken by a clock that was set, or whose clock
    /// nobody saw.
    offset_ms: Option<i64>,
}

impl<T> ClockGate<T> {
    /// A gate that lets nothing pass from before `made_at_ms` (milliseconds since 1970, UTC; [`MADE_AT_MS`] in
    /// earnest), and keeps at most so many rows waiting.
    #[must_use]
    pub fn new(made_at_ms: i64, most_waiting: usize) -> Self {
        Self {
            made_at_ms,
            most_waiting,
            start: None,
            offset_ms: 0,
            unset_offset_ms: None,
            steady_since: None,
            waiting: VecDeque::new(),
        }
    }

    /// Takes rows with the times they bear, and lets go what has its right time by now.
    pub fn pass(&mut self, now: Moment, rows: impl IntoIterator<Item = Timed<T>>) -> Passed<T> {
        let news = self.look(now);
        for row in rows {
            let unset = row.taken_at_ms < self.made_at_ms;
            let offset_ms = unset.then_some(self.unset_offset_ms).flatten();
            self.waiting.push_back(Waiting { row, offset_ms });
        }
        let surplus = self.waiting.len().saturating_sub(self.most_waiting);
        if self.is_set(now) {
            let rows = self.waiting.drain(..).map(|waiting| waiting.corrected(self.offset_ms));
            let (rows, lost): (Vec<_>, Vec<_>) = rows.partition(|row| row.taken_at_ms >= self.made_at_ms);
            return Passed { news, rows, dropped: lost.len() as u64 };
        }
        self.waiting.drain(..surplus);
        Passed { news, rows: Vec::new(), dropped: surplus as u64 }
    }

    /// How many rows wait for the clock.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The time by the wall clock, where it is set and has not jumped for ten minutes: good enough to say what is
    /// too old to keep. Nothing else should be given up by a clock that may be years ahead for a moment.
    #[must_use]
    pub fn trusted_ms(&self, now: Moment) -> Option<i64> {
        let steady = now.monotonic.saturating_duration_since(self.steady_since?);
        (self.is_set(now) && steady >= TRUSTED_AFTER).then_some(now.wall_ms)
    }

    /// Whether the wall clock shows a time that can be right.
    pub(super) fn is_set(&self, now: Moment) -> bool {
        now.wall_ms >= self.made_at_ms
    }

    fn look(&mut self, now: Moment) -> Option<ClockNews> {
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
            return (first || was_set).then_some(ClockNews::Unset);
        }
        if was_set && by_ms.abs() <= JUMP_MS {
            return None;
        }
        self.steady_since = Some(now.monotonic);
        match (first, was_set) {
            (true, _) => None,
            (_, true) => Some(ClockNews::Jumped { by_ms }),
            (_, false) => Some(ClockNews::Set { by_ms }),
        }
    }
}

impl<T> Waiting<T> {
    fn corrected(self, offset_ms: i64) -> Timed<T> {
        let by_ms = self.offset_ms.map_or(0, |came| offset_ms.saturating_sub(came));
        Timed { taken_at_ms: self.row.taken_at_ms.saturating_add(by_ms), row: self.row.row }
    }
}
