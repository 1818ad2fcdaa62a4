//! After what silence a value is no longer shown.

use std::time::Duration;

use crate::model::facts::slow_questions;
use crate::model::observed_interval::ObservedInterval;
use crate::settings::MqttSettings;

/// However fast a bank is read, a value lives so long: a moment's trouble of the network is no news.
const SHORTEST: Duration = Duration::from_secs(60);
/// A value may miss so many of its own intervals.
const INTERVALS: u32 = 3;
/// A shorter life is announced once so many sweeps in a row allow it; a longer one at once.
const CALM: u32 = 20;
/// What is worked out is rounded up to this, so that a sweep a little longer changes nothing.
const STEP: Duration = Duration::from_secs(10);

/// How long Home Assistant shows a value that is not said again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Of measurements.
    pub measured: Duration,
    /// Of facts, which are asked more rarely.
    pub facts: Duration,
}

impl Expiry {
    /// For a bank of which a full sweep is said each `interval` and facts each `facts_every`; `given` is what the
    /// settings say of measurements.
    #[must_use]
    pub fn new(given: Option<Duration>, interval: Duration, facts_every: Duration) -> Self {
        let measured = given.unwrap_or_else(|| SHORTEST.max(rounded_up(INTERVALS * interval)));
        Self { measured, facts: measured.max(rounded_up(INTERVALS * facts_every)) }
    }
}

/// How long what is said of one bank lives, as its sweeps turn out.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    given: Option<Duration>,
    publish_interval: Duration,
    facts_every: Duration,
    beat: ObservedInterval,
    now: Expiry,
    /// Sweeps in a row after which it could have been shorter.
    calm: u32,
}

impl Life {
    /// For a bank that is to be read each `interval`, and its facts each `facts_every`.
    #[must_use]
    pub(crate) fn new(settings: &MqttSettings, interval: Duration, facts_every: Duration) -> Self {
        let (given, publish_interval) = (settings.expire_after.given().copied(), settings.publish_interval);
        let now = Expiry::new(given, interval.max(publish_interval), facts_every);
        Self { given, publish_interval, facts_every, beat: ObservedInterval::new(interval), now, calm: 0 }
    }

    /// How long it is now.
    #[must_use]
    pub(crate) fn expiry(&self) -> Expiry {
        self.now
    }

    /// After so long without a reading, counted from the end of the last sweep, the bank is offline.
    #[must_use]
    pub(crate) fn silence(&self) -> Duration {
        self.beat.offline_after()
    }

    /// Records a full sweep over so many batteries. Sweeps that take longer than their interval come back to back:
    /// their values must live accordingly longer.
    pub(crate) fn swept(&mut self, took: Duration, batteries: usize) {
        self.beat.record(took);
        let interval = self.beat.interval();
        // Slow questions go one a sweep.
        let round = interval * u32::try_from(slow_questions(batteries)).unwrap_or(u32::MAX);
        let said_each = interval.max(self.publish_interval);
        let mut next = Expiry::new(self.given, said_each, self.facts_every.max(round));
        if self.given.is_none() {
            // The next sweep may take as long as the slowest of the last ones.
            next.measured = next.measured.max(rounded_up(self.beat.slowest()) + STEP);
        }
        self.settle(next);
    }

    /// Each change is announced to Home Assistant, in all of its messages: sweeps that are slow now and then must not
    /// change it to and fro.
    fn settle(&mut self, next: Expiry) {
        let longer =
            Expiry { measured: next.measured.max(self.now.measured), facts: next.facts.max(self.now.facts) };
        let is_shorter = next != longer;
        self.calm = if is_shorter && longer == self.now { self.calm + 1 } else { 0 };
        self.now = if self.calm >= CALM { next } else { longer };
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
    fn three_intervals_and_at_least_a_minute() {
        let expiry = |interval| Expiry::new(None, seconds(interval), seconds(900));
        assert_eq!(expiry(10), Expiry { measured: seconds(60), facts: seconds(2_700) });
        assert_eq!(expiry(60).measured, seconds(180));
        assert_eq!(expiry(21).measured, seconds(70), "rounded up");
        assert_eq!(expiry(2_000), Expiry { measured: seconds(6_000), facts: seconds(6_000) });
    }

    #[test]
    fn the_settings_have_the_last_word_on_measurements() {
        let expiry = Expiry::new(Some(seconds(7)), seconds(10), seconds(900));
        assert_eq!(expiry, Expiry { measured: seconds(7), facts: seconds(2_700) });
    }

    #[test]
    fn a_life_grows_with_the_first_slow_sweep_and_shrinks_when_all_are_quick_again() {
        let (publish_interval, facts_every) = (seconds(10), seconds(900));
        let (beat, now) =
            (ObservedInterval::new(seconds(10)), Expiry::new(None, publish_interval, facts_every));
        let mut life = Life { given: None, publish_interval, facts_every, beat, now, calm: 0 };
        let mut after = |took, sweeps| {
            (0..sweeps).for_each(|_| life.swept(seconds(took), 2));
            (life.expiry().measured.as_secs(), life.silence().as_secs())
        };
        assert_eq!(after(2, 3), (60, 30));
        assert_eq!(after(75, 1), (90, 150));
        assert_eq!(after(75, 2), (230, 225), "three in a row are how it is");
        assert_eq!(after(2, 3).1, 30, "the bank's own silence follows the last three");
        assert_eq!(after(2, 10).0, 230);
        assert_eq!(after(2, 10).0, 60);
    }
}
