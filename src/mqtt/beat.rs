//! How often a bank is really read: each interval, unless its sweeps take longer.

use std::collections::VecDeque;
use std::time::Duration;

/// So many sweeps in a row have to agree: one that was full of time-outs must not have a dead bank look alive for long.
const AGREE: usize = 3;

/// The time from one full sweep to the next, as the last ones show it.
#[derive(Clone, Debug)]
pub struct Beat {
    interval: Duration,
    lately: VecDeque<Duration>,
    now: Duration,
}

impl Beat {
    /// For a bank that is to be read each `interval`.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self { interval, lately: VecDeque::new(), now: interval }
    }

    /// What it is after a sweep that took so long.
    pub fn after(&mut self, took: Duration) -> Duration {
        if self.lately.len() == AGREE {
            self.lately.pop_front();
        }
        self.lately.push_back(self.interval.max(took));
        let (least, most) = (self.lately.iter().min(), self.lately.iter().max());
        if let (Some(least), Some(most)) = (least, most) {
            self.now = self.now.clamp(*least, *most);
        }
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_follows_what_three_sweeps_in_a_row_agree_on_and_comes_back() {
        let mut beat = Beat::new(seconds(5));
        let mut after = |took| beat.after(seconds(took)).as_secs();
        assert_eq!([2, 45, 2, 2].map(&mut after), [5; 4], "one slow sweep is no habit");
        assert_eq!([9, 11, 10].map(&mut after), [5, 5, 9]);
        assert_eq!([45, 9, 10].map(&mut after), [10, 10, 10]);
        assert_eq!([2, 2, 2].map(&mut after), [10, 10, 5]);
        assert_eq!(
            Beat::new(seconds(5)).after(seconds(9)),
            seconds(9),
            "of the first, nothing else is known"
        );
    }
}
