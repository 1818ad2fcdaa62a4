//! After what silence a value is no longer shown.

use std::time::Duration;

/// However fast a bank is read, a value lives so long: a moment's trouble of the network is no news.
const SHORTEST: Duration = Duration::from_secs(60);
/// A value may miss so many of its own intervals.
const INTERVALS: u32 = 3;
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
}
