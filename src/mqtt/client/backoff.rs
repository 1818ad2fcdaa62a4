//! Delays between attempts to connect: exponential with jitter. Pure.

use std::time::Duration;

const INITIAL: Duration = Duration::from_millis(250);

const MAX: Duration = Duration::from_secs(4);

/// A connection that lasted this long resets the delay.
const RESET_AFTER: Duration = Duration::from_secs(30);

/// Doubles the delay from 250 ms up to 4 s.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The delay after one more failure. `random`, between 0 and 1, takes up to a quarter off, so that services that
    /// lost the same broker do not reconnect at the same moment.
    pub(crate) fn next_delay(&mut self, random: f64) -> Duration {
        let doubled = INITIAL.saturating_mul(2_u32.saturating_pow(self.failures)).min(MAX);
        self.failures = self.failures.saturating_add(1);
        doubled.mul_f64(1.0 - 0.25 * random.clamp(0.0, 1.0))
    }

    pub(crate) fn on_disconnected(&mut self, connected: Duration) {
        if connected >= RESET_AFTER {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn delays(backoff: &mut Backoff, count: usize) -> Vec<u128> {
        (0..count).map(|_| backoff.next_delay(0.0).as_millis()).collect()
    }

    #[test]
    fn delays_double_up_to_four_seconds() {
        assert_eq!(delays(&mut Backoff::default(), 7), [250, 500, 1000, 2000, 4000, 4000, 4000]);
    }

    #[test]
    fn only_a_connection_that_lasted_resets_the_delay() {
        let mut backoff = Backoff::default();
        delays(&mut backoff, 5);
        backoff.on_disconnected(RESET_AFTER - Duration::from_millis(1));
        assert_eq!(delays(&mut backoff, 1), [4000]);
        backoff.on_disconnected(RESET_AFTER);
        assert_eq!(delays(&mut backoff, 2), [250, 500]);
    }

    proptest! {
        #[test]
        fn jitter_shortens_a_delay_by_at_most_a_quarter(
            randoms in prop::collection::vec(-1.0..2.0, 1..200),
        ) {
            let (mut with, mut without) = (Backoff::default(), Backoff::default());
            for random in randoms {
                let (delay, full) = (with.next_delay(random), without.next_delay(0.0));
                prop_assert!(delay <= full && delay >= full.mul_f64(0.749), "{delay:?} of {full:?}");
            }
        }
    }
}
