//! Tracks the actual time between full sweeps of a bank, which exceeds the configured interval if sweeps are slow.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::reading::OFFLINE_AFTER;

/// The number of recent sweeps that must agree, so that a single sweep full of timeouts does not delay the detection of
/// a dead bank.
const AGREEING_SWEEPS: usize = 3;

/// A slow sweep may be followed by another one, so a bank may be silent for this multiple of the slowest recent sweep.
const SLOW_SWEEPS: u32 = 2;

/// The time from one full sweep to the next, as observed over the most recent ones.
#[derive(Clone, Debug)]
pub(crate) struct ObservedInterval {
    configured: Duration,
    recent: VecDeque<Duration>,
    observed: Duration,
}

impl ObservedInterval {
    #[must_use]
    pub(crate) fn new(interval: Duration) -> Self {
        Self { configured: interval, recent: VecDeque::new(), observed: interval }
    }

    /// Records the duration of a full sweep.
    pub(crate) fn record(&mut self, took: Duration) {
        if self.recent.len() == AGREEING_SWEEPS {
            self.recent.pop_front();
        }
        self.recent.push_back(self.configured.max(took));
        let (least, most) = (self.recent.iter().min(), self.recent.iter().max());
        if let (Some(least), Some(most)) = (least, most) {
            self.observed = self.observed.clamp(*least, *most);
        }
    }

    #[must_use]
    pub(crate) fn interval(&self) -> Duration {
        self.observed
    }

    /// Returns the duration of the slowest recent full sweep, at least the configured interval.
    #[must_use]
    pub(crate) fn slowest(&self) -> Duration {
        self.recent.iter().max().copied().unwrap_or(self.configured)
    }

    /// Returns the time without a reading, counted from the end of the last sweep, after which the bank is offline.
    #[must_use]
    pub(crate) fn offline_after(&self) -> Duration {
        self.observed.saturating_mul(OFFLINE_AFTER).max(self.slowest().saturating_mul(SLOW_SWEEPS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_follows_three_agreeing_sweeps_and_returns() {
        let mut beat = ObservedInterval::new(seconds(5));
        let mut after = |took| {
            beat.record(seconds(took));
            beat.interval().as_secs()
        };
        assert_eq!([2, 45, 2, 2].map(&mut after), [5; 4], "one slow sweep changes nothing");
        assert_eq!([9, 11, 10].map(&mut after), [5, 5, 9]);
        assert_eq!([45, 9, 10].map(&mut after), [10, 10, 10]);
        assert_eq!([2, 2, 2].map(&mut after), [10, 10, 5]);
        let mut first = ObservedInterval::new(seconds(5));
        first.record(seconds(9));
        assert_eq!(first.interval(), seconds(9), "the first sweep is taken as it is");
    }

    #[test]
    fn offline_allows_for_a_second_slow_sweep() {
        let mut beat = ObservedInterval::new(seconds(5));
        assert_eq!(beat.offline_after(), seconds(15));
        let mut after = |took| {
            beat.record(seconds(took));
            beat.offline_after().as_secs()
        };
        assert_eq!([2, 45, 2, 2, 2].map(&mut after), [15, 90, 90, 90, 15]);
        assert_eq!([45, 45, 45].map(&mut after), [90, 90, 135], "three agreeing sweeps count in full");
    }
}
