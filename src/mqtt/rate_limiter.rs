//! Limits how often a group is published: at most once per interval.

use std::time::{Duration, Instant};

/// A publication may come early by this fraction of the interval; otherwise a slightly early reading would wait for a
/// whole interval.
const EARLY_FRACTION: u32 = 10;

#[derive(Clone, Copy, Debug)]
pub(crate) struct RateLimiter {
    interval: Duration,
    next: Option<Instant>,
}

impl RateLimiter {
    /// Zero: no limit.
    #[must_use]
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, next: None }
    }

    /// When the next publication is allowed; `None`: at once.
    #[must_use]
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.next
    }

    /// Takes the turn if it has come.
    pub(crate) fn try_acquire(&mut self, now: Instant) -> bool {
        let early = self.interval / EARLY_FRACTION;
        if self.next.is_some_and(|next| now + early < next) {
            return false;
        }
        // Counted from the scheduled time, so that early publications do not raise the rate; never from a time in the
        // past.
        let from = self.next.filter(|next| *next > now).unwrap_or(now);
        self.next = Some(from + self.interval);
        true
    }

    /// Allows the next publication at once.
    pub(crate) fn reset(&mut self) {
        self.next = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_publications_do_not_raise_the_rate() {
        let (mut limiter, start) = (RateLimiter::new(Duration::from_secs(10)), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert!(limiter.try_acquire(at(0)));
        assert!(!limiter.try_acquire(at(2_000)));
        assert!(limiter.try_acquire(at(9_200)), "the next sweep was a little shorter");
        assert!(!limiter.try_acquire(at(18_400)), "early twice in a row is too often");
        assert!(limiter.try_acquire(at(20_000)));
        assert!(limiter.try_acquire(at(95_000)), "after a pause the schedule starts over");
        assert!(!limiter.try_acquire(at(96_000)));
    }

    #[test]
    fn an_interval_of_zero_is_no_limit() {
        let (mut limiter, now) = (RateLimiter::new(Duration::ZERO), Instant::now());
        assert!(limiter.try_acquire(now) && limiter.try_acquire(now));
    }
}
