//! How often a bank is really read: each interval, unless its sweeps take longer.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::reading::OFFLINE_AFTER;

/// So many sweeps in a row have to agree: one that was full of time-outs must not have a dead bank look alive for long.
const AGREE: usize = 3;

/// A sweep that took long may be followed by one that takes as long: a bank may be silent for so many times that.
const SLOW_AGAIN: u32 = 2;

/// The time from one full sweep to the next, as the last ones show it.
#[derive(Clone, Debug)]
pub(crate) struct Beat {
    configured: Duration,
    lately: VecDeque<Duration>,
    observed: Duration,
}

impl Beat {
    /// For a bank that is to be read each `interval`.
    #[must_use]
    pub(crate) fn new(interval: Duration) -> Self {
        Self { configured: interval, lately: VecDeque::new(), observed: interval }
    }

    /// Records a full sweep that took so long.
    pub(crate) fn after(&mut self, took: Duration) {
        if self.lately.len() == AGREE {
            self.lately.pop_front();
        }
        self.lately.push_back(self.configured.max(took));
        let (least, most) = (self.lately.iter().min(), self.lately.iter().max());
        if let (Some(least), Some(most)) = (least, most) {
            self.observed = self.observed.clamp(*least, *most);
        }
    }

    /// The time from one full sweep to the next.
    #[must_use]
    pub(crate) fn interval(&self) -> Duration {
        self.observed
    }

    /// The slowest of the last full sweeps, at least the interval.
    #[must_use]
    pub(crate) fn slowest(&self) -> Duration {
        self.lately.iter().max().copied().unwrap_or(self.configured)
    }

    /// After so long without a reading, counted from the end of the last sweep, the bank is offline.
    #[must_use]
    pub(crate) fn silence(&self) -> Duration {
        self.observed.saturating_mul(OFFLINE_AFTER).max(self.slowest().saturating_mul(SLOW_AGAIN))
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
        let mut beat = Beat::new(seconds(5));
        let mut after = |took| {
            beat.after(seconds(took));
            beat.interval().as_secs()
        };
        assert_eq!([2, 45, 2, 2].map(&mut after), [5; 4], "one slow sweep is no habit");
        assert_eq!([9, 11, 10].map(&mut after), [5, 5, 9]);
        assert_eq!([45, 9, 10].map(&mut after), [10, 10, 10]);
        assert_eq!([2, 2, 2].map(&mut after), [10, 10, 5]);
        let mut first = Beat::new(seconds(5));
        first.after(seconds(9));
        assert_eq!(first.interval(), seconds(9), "of the first, nothing else is known");
    }

    #[test]
    fn offline_allows_for_a_second_slow_sweep() {
        let mut beat = Beat::new(seconds(5));
        assert_eq!(beat.silence(), seconds(15));
        let mut after = |took| {
            beat.after(seconds(took));
            beat.silence().as_secs()
        };
        assert_eq!([2, 45, 2, 2, 2].map(&mut after), [15, 90, 90, 90, 15]);
        assert_eq!([45, 45, 45].map(&mut after), [90, 90, 135], "the habit of three sweeps counts in full");
    }
}
