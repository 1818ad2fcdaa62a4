//! Detects that the wall clock was set, by comparing it with the monotonic clock, and corrects earlier times.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A larger change between two observations is a step; smaller ones are the usual slewing of the clock.
const STEP_MS: i64 = 1_000;

/// An earlier time means that the clock has not been set: 2026-01-01.
const EARLIEST_S: i64 = 1_767_225_600;

/// The offset of the wall clock from the monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clocks {
    offset_ms: Option<i64>,
    /// The offset before the last step.
    before_ms: Option<i64>,
}

/// A step of the wall clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockStep {
    /// In milliseconds, negative if it was set back.
    pub(crate) by_ms: i64,
    /// Whether the clock had not been set before.
    pub(crate) was_unset: bool,
}

impl Clocks {
    /// Compares both clocks and returns the step if earlier times need a correction. A forward step of a clock that was
    /// already set may be a suspend of the machine, and times before it are right.
    pub(crate) fn look(&mut self, at: Timestamp, now: Duration) -> Option<ClockStep> {
        let offset_ms = at.as_millisecond().saturating_sub(millis(now));
        let before_ms = self.offset_ms.replace(offset_ms)?;
        let by_ms = offset_ms.saturating_sub(before_ms);
        let was_unset = !is_set(later(at, by_ms.saturating_neg()));
        if by_ms.abs() <= STEP_MS || (by_ms > 0 && !was_unset) {
            return None;
        }
        self.before_ms = Some(before_ms);
        Some(ClockStep { by_ms, was_unset })
    }

    /// Returns the correct time of `began`: `at` may be a time before the last step of the clock.
    pub(crate) fn correct_time(&self, at: Timestamp, began: Duration) -> Timestamp {
        let (Some(before_ms), Some(offset_ms)) = (self.before_ms, self.offset_ms) else { return at };
        let observed_ms = at.as_millisecond().saturating_sub(millis(began));
        let is_old = observed_ms.abs_diff(before_ms) < observed_ms.abs_diff(offset_ms);
        if is_old { later(at, offset_ms.saturating_sub(before_ms)) } else { at }
    }
}

/// Whether this is a time of a clock that has been set.
pub(super) fn is_set(at: Timestamp) -> bool {
    at.as_second() >= EARLIEST_S
}

/// Adds milliseconds; returns the time unchanged on overflow.
pub(super) fn later(at: Timestamp, ms: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_millis(ms)).unwrap_or(at)
}

/// Returns the time between both, or `None` if the clock had not been set at `start`.
pub(super) fn between(start: Timestamp, end: Timestamp) -> Option<Duration> {
    Duration::try_from(end.duration_since(start)).ok().filter(|_| is_set(start))
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
