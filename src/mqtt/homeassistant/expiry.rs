//! After how long without an update Home Assistant shows a value as unavailable.

use std::time::Duration;

use crate::model::facts::slow_questions;
use crate::model::observed_interval::ObservedInterval;
use crate::settings::MqttSettings;

/// Shortest expiry time, however fast a bank is polled: a brief network problem should not show.
const MIN_EXPIRY: Duration = Duration::from_secs(60);

/// A value may be missing for this many of its intervals.
const MAX_MISSED_INTERVALS: u32 = 3;

/// A shorter expiry time applies after so many sweeps in a row that allow it; a longer one at once.
const SHORTEN_AFTER: u32 = 20;

/// Expiry times are rounded up to a multiple of this, so that slightly longer sweeps change nothing.
const STEP: Duration = Duration::from_secs(10);

/// How long Home Assistant shows a value that is not updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    pub measured: Duration,
    /// Facts are read more rarely.
    pub facts: Duration,
}

impl Expiry {
    /// For a bank of which full readings are published every `interval` and facts every `facts_every`; `configured` is
    /// the value for measurements from the settings.
    #[must_use]
    pub fn new(configured: Option<Duration>, interval: Duration, facts_every: Duration) -> Self {
        let measured =
            configured.unwrap_or_else(|| MIN_EXPIRY.max(rounded_up(MAX_MISSED_INTERVALS * interval)));
        Self { measured, facts: measured.max(rounded_up(MAX_MISSED_INTERVALS * facts_every)) }
    }
}

/// Adapts the expiry times of one bank to the duration of its sweeps.
#[derive(Clone, Debug)]
pub(crate) struct ExpiryPolicy {
    configured: Option<Duration>,
    publish_interval: Duration,
    facts_every: Duration,
    beat: ObservedInterval,
    current: Expiry,
    /// Sweeps in a row that allowed a shorter expiry time.
    shorter_sweeps: u32,
}

impl ExpiryPolicy {
    /// For a bank that is polled every `interval`, and its facts every `facts_every`.
    #[must_use]
    pub(crate) fn new(settings: &MqttSettings, interval: Duration, facts_every: Duration) -> Self {
        let (configured, publish_interval) =
            (settings.expire_after.given().copied(), settings.publish_interval);
        let current = Expiry::new(configured, interval.max(publish_interval), facts_every);
        Self {
            configured,
            publish_interval,
            facts_every,
            beat: ObservedInterval::new(interval),
            current,
            shorter_sweeps: 0,
        }
    }

    #[must_use]
    pub(crate) fn expiry(&self) -> Expiry {
        self.current
    }

    /// The bank is offline this long after the end of the last sweep.
    #[must_use]
    pub(crate) fn offline_after(&self) -> Duration {
        self.beat.offline_after()
    }

    /// Records a full sweep. Sweeps that take longer than their interval run back to back, so their values must expire
    /// later.
    pub(crate) fn record_sweep(&mut self, took: Duration, batteries: usize) {
        self.beat.record(took);
        let interval = self.beat.interval();
        // One slow command is sent per sweep.
        let round = interval * u32::try_from(slow_questions(batteries)).unwrap_or(u32::MAX);
        let published_every = interval.max(self.publish_interval);
        let mut next = Expiry::new(self.configured, published_every, self.facts_every.max(round));
        if self.configured.is_none() {
            // The next sweep may take as long as the slowest recent one.
            next.measured = next.measured.max(rounded_up(self.beat.slowest()) + STEP);
        }
        self.apply(next);
    }

    /// Each change republishes all discovery messages, so occasional slow sweeps must not change it back and forth.
    fn apply(&mut self, next: Expiry) {
        let longer = Expiry {
            measured: next.measured.max(self.current.measured),
            facts: next.facts.max(self.current.facts),
        };
        let is_shorter = next != longer;
        self.shorter_sweeps = if is_shorter && longer == self.current { self.shorter_sweeps + 1 } else { 0 };
        self.current = if self.shorter_sweeps >= SHORTEN_AFTER { next } else { longer };
    }
}

fn rounded_up(span: Duration) -> Duration {
    let steps = span.as_millis().div_ceil(STEP.as_millis());
    u32::try_from(steps).map_or(span, |steps| STEP * steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn values_expire_after_three_intervals_and_at_least_a_minute() {
        let expiry = |interval| Expiry::new(None, seconds(interval), seconds(900));
        assert_eq!(expiry(10), Expiry { measured: seconds(60), facts: seconds(2_700) });
        assert_eq!(expiry(60).measured, seconds(180));
        assert_eq!(expiry(21).measured, seconds(70), "rounded up");
        assert_eq!(expiry(2_000), Expiry { measured: seconds(6_000), facts: seconds(6_000) });
    }

    #[test]
    fn the_settings_override_the_expiry_of_measurements() {
        let expiry = Expiry::new(Some(seconds(7)), seconds(10), seconds(900));
        assert_eq!(expiry, Expiry { measured: seconds(7), facts: seconds(2_700) });
    }

    #[test]
    fn one_slow_sweep_extends_the_expiry_and_only_many_fast_ones_shorten_it() {
        let (publish_interval, facts_every) = (seconds(10), seconds(900));
        let (beat, current) =
            (ObservedInterval::new(seconds(10)), Expiry::new(None, publish_interval, facts_every));
        let mut policy = ExpiryPolicy {
            configured: None,
            publish_interval,
            facts_every,
            beat,
            current,
            shorter_sweeps: 0,
        };
        let mut after = |took, sweeps| {
            (0..sweeps).for_each(|_| policy.record_sweep(seconds(took), 2));
            (policy.expiry().measured.as_secs(), policy.offline_after().as_secs())
        };
        assert_eq!(after(2, 3), (60, 30));
        assert_eq!(after(75, 1), (90, 150));
        assert_eq!(after(75, 2), (230, 225), "three slow sweeps in a row are the rule");
        assert_eq!(after(2, 3).1, 30, "the offline time follows the last three sweeps");
        assert_eq!(after(2, 10).0, 230);
        assert_eq!(after(2, 10).0, 60);
    }
}
