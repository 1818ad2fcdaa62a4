//! Waiting for a condition, with a deadline.

use std::panic::Location;
use std::time::{Duration, Instant};

/// The time between two checks.
const PACE: Duration = Duration::from_millis(2);

/// Resolves as soon as the condition holds; panics with the caller's line if the deadline passes.
#[track_caller]
pub fn until(deadline: Duration, mut condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let (caller, start) = (Location::caller(), Instant::now());
    async move {
        while !condition() {
            assert!(start.elapsed() < deadline, "not within {deadline:?} at {caller}");
            tokio::time::sleep(PACE).await;
        }
    }
}
