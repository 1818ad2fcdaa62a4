//! The wall clock, which may be set while an event is active, and the monotonic clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Clocks are drawn to the right time slowly; what is faster than this between two looks is a step.
const STEP_MS: i64 = 1_000;

/// Before this was written no clock was right: 2026-01-01.
const RIGHT_SINCE_S: i64 = 1_767_225_600;

/// How far the first is ahead of the second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clocks {
    offset_ms: Option<i64>,
    /// The same before the last step.
    before_ms: Option<i64>,
}

/// The clock was set.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockStep {
    /// By how much: milliseconds, negative where it was set back.
    pub(crate) by_ms: i64,
    /// Whether it can't have been right before.
    pub(crate) was_unset: bool,
}

impl Clocks {
    /// Looks at both; answers whether times by the old clock need a correction. A step forward of a clock that was set
    /// may be a sleep of the machine, before which its times were right.
    pub(crate) fn look(&mut self, at: Timestamp, now: Duration) -> Option<ClockStep> {
        let offset_ms = at.as_millisecond().saturating_sub(millis(now));
        let before_ms = self.offset_ms.replace(offset_ms)?;
        let by_ms = offset_ms.saturating_sub(before_ms);
        let was_unset = !is_right(later(at, by_ms.saturating_neg()));
        if by_ms.abs() <= STEP_MS || (by_ms > 0 && !was_unset) {
            return None;
        }
        self.before_ms = Some(before_ms);
        Some(ClockStep { by_ms, was_unset })
    }

    /// The right time of what began at `began`: `at` may be by the clock before its last step.
    pub(crate) fn right_time(&self, at: Timestamp, began: Duration) -> Timestamp {
        let (Some(before_ms), Some(offset_ms)) = (self.before_ms, self.offset_ms) else { return at };
        let shown_ms = at.as_millisecond().saturating_sub(millis(began));
        let is_old = shown_ms.abs_diff(before_ms) < shown_ms.abs_diff(offset_ms);
        if is_old { later(at, offset_ms.saturating_sub(before_ms)) } else { at }
    }
}

/// Whether a clock that was set can have shown this.
pub(super) fn is_right(at: Timestamp) -> bool {
    at.as_second() >= RIGHT_SINCE_S
}

/// So many milliseconds later; as it is where no time is that late.
pub(super) fn later(at: Timestamp, ms: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_millis(ms)).unwrap_or(at)
}

/// From one moment to another by a clock that may have been set meanwhile; nothing where it can't have been right.
pub(super) fn between(begin: Timestamp, end: Timestamp) -> Option<Duration> {
    Duration::try_from(end.duration_since(begin)).ok().filter(|_| is_right(begin))
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
