//! How often state goes out: at most once an interval, the newest.

use std::time::{Duration, Instant};

/// A reading that comes this part of the interval early still goes, or each would wait for the next but one.
const EARLY: u32 = 10;

/// Allows one publication an interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    interval: Duration,
    next: Option<Instant>,
}

impl Pace {
    /// One an `interval`; zero: each.
    #[must_use]
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, next: None }
    }

    /// When the next may go; nothing: at once.
    #[must_use]
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Takes the turn if it has come.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let early = self.interval / EARLY;
        if self.next.is_some_and(|next| now + early < next) {
            return false;
        }
        // From the turn's own time, so that going early does not make it more often; never in the past.
        let from = self.next.filter(|next| *next > now).unwrap_or(now);
        self.next = Some(from + self.interval);
        true
    }

    /// The next may go at once.
    pub(crate) fn reset(&mut self) {
        self.next = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_a_little_early_go_and_the_mean_is_kept() {
        let (mut pace, start) = (Pace::new(Duration::from_secs(10)), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert!(pace.take(at(0)));
        assert!(!pace.take(at(2_000)));
        assert!(pace.take(at(9_200)), "the next sweep was a little shorter");
        assert!(!pace.take(at(18_400)), "twice early is too often");
        assert!(pace.take(at(20_000)));
        assert!(pace.take(at(95_000)), "after a pause the turns begin anew");
        assert!(!pace.take(at(96_000)));
    }

    #[test]
    fn without_an_interval_each_goes() {
        let (mut pace, now) = (Pace::new(Duration::ZERO), Instant::now());
        assert!(pace.take(now) && pace.take(now));
    }
}
