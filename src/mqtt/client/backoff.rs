//! How long to wait before the next attempt. Pure: time and chance are handed in.

use std::time::Duration;

/// The pause after the first failure.
const FIRST: Duration = Duration::from_millis(250);

/// No pause is longer.
const CAP: Duration = Duration::from_secs(4);

/// A connection as long as this makes the next failure a first one.
const LASTED: Duration = Duration::from_secs(30);

/// The pauses between attempts: doubling from 250 ms to 4 s.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The pause after one more failure. `chance`, between 0 and 1, takes up to a quarter off, so that pauses
    /// never pass the cap and services that lost the same broker do not return together.
    pub(crate) fn pause(&mut self, chance: f64) -> Duration {
        let doubled = FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(CAP);
        self.failures = self.failures.saturating_add(1);
        doubled.mul_f64(1.0 - 0.25 * chance.clamp(0.0, 1.0))
    }

    /// A connection ended that had lasted for so long; pauses begin anew where that was long enough.
    pub(crate) fn lasted(&mut self, connected: Duration) {
        if connected >= LASTED {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pauses(backoff: &mut Backoff, count: usize) -> Vec<u128> {
        (0..count).map(|_| backoff.pause(0.0).as_millis()).collect()
    }

    #[test]
    fn pauses_double_up_to_four_seconds() {
        assert_eq!(pauses(&mut Backoff::new(), 7), [250, 500, 1000, 2000, 4000, 4000, 4000]);
    }

    #[test]
    fn a_connection_that_lasted_makes_pauses_begin_anew_and_a_short_one_does_not() {
        let mut backoff = Backoff::new();
        pauses(&mut backoff, 5);
        backoff.lasted(LASTED - Duration::from_millis(1));
        assert_eq!(pauses(&mut backoff, 1), [4000]);
        backoff.lasted(LASTED);
        assert_eq!(pauses(&mut backoff, 2), [250, 500]);
    }

    proptest! {
        #[test]
        fn chance_never_lengthens_a_pause_nor_takes_more_than_a_quarter(
            chances in prop::collection::vec(-1.0..2.0, 1..200),
        ) {
            let (mut with, mut without) = (Backoff::new(), Backoff::new());
            for chance in chances {
                let (pause, whole) = (with.pause(chance), without.pause(0.0));
                prop_assert!(pause <= whole && pause >= whole.mul_f64(0.749), "{pause:?} of {whole:?}");
            }
        }
    }
}
