//! Decides when to restart a child, how long to wait before, and when to give up. Pure: the caller passes the time and
//! the jitter.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use humantime::format_duration;
use serde::Serialize;

/// How much the service depends on a child, which decides what happens when its panic budget is exhausted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// An output: it becomes [`Failed`](crate::supervise::health::ChildState::Failed) and is retried later; no other
    /// child is affected.
    Isolated,
    /// Part of the chain that owns the port: the process must end and be restarted.
    Critical,
}

/// The timeouts and limits of supervision. The panic budget is what OTP calls restart intensity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisionPolicy {
    /// The pause after the first failure; it doubles with each further one.
    pub initial_backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
    /// After running for this long, the next failure counts as the first again.
    pub healthy_after: Duration,
    /// The most panics that are tolerated within this time.
    pub panic_budget: (usize, Duration),
    /// How long a failed isolated child waits for the next try.
    pub failed_retry_interval: Duration,
    /// The pause between two pings.
    pub ping_interval: Duration,
    /// The actor hangs if a ping is unanswered for this long.
    pub ping_timeout: Duration,
    /// The thread is blocked if a command is not received for this long.
    pub command_timeout: Duration,
}

impl Default for SupervisionPolicy {
    fn default() -> Self {
        Self {
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
            healthy_after: Duration::from_secs(60),
            panic_budget: (5, Duration::from_secs(60)),
            failed_retry_interval: Duration::from_secs(300),
            ping_interval: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(10),
            command_timeout: Duration::from_secs(5),
        }
    }
}

impl SupervisionPolicy {
    /// The pause after `failures` earlier failures. Jitter (0 to 1) takes up to a quarter off, so that pauses still
    /// grow and never exceed the maximum, and children that failed together do not restart together.
    fn backoff(&self, failures: u32, jitter: f64) -> Duration {
        let doubled =
            self.initial_backoff.saturating_mul(2_u32.saturating_pow(failures)).min(self.max_backoff);
        doubled.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0))
    }
}

/// Why an actor ended although it was not asked to stop. The texts are those that it gave its
/// [`StopHandle`](crate::supervise::StopHandle).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChildFailure {
    /// It stopped before its first poll was over.
    StartFailed(Option<String>),
    Stopped(Option<String>),
    /// It stopped because a restart won't help now.
    GaveUp(String),
    /// It panicked with this message.
    Panicked(String),
    /// It did not answer a ping within this time.
    Hung(Duration),
}

impl ChildFailure {
    /// Whether it points to a bug or a hang rather than to an outside condition that will pass.
    pub(crate) fn is_severe(&self) -> bool {
        matches!(self, Self::Panicked(_) | Self::Hung(_) | Self::GaveUp(_))
    }
}

impl fmt::Display for ChildFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartFailed(None) => write!(f, "stopped while starting"),
            Self::StartFailed(Some(reason)) => write!(f, "stopped while starting: {reason}"),
            Self::Stopped(None) => write!(f, "stopped"),
            Self::Stopped(Some(reason)) => write!(f, "stopped: {reason}"),
            Self::GaveUp(reason) => write!(f, "gave up: {reason}"),
            Self::Panicked(text) => write!(f, "panicked: {text}"),
            Self::Hung(after) => write!(f, "hung: no answer within {}", format_duration(*after)),
        }
    }
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestartDecision {
    /// Restart after this pause.
    Restart(Duration),
    /// The panic budget of an isolated child is exhausted: mark it as failed and retry after this pause.
    Fail(Duration),
    /// The panic budget of a critical child is exhausted: the process must end.
    Fatal,
}

/// Counts the failures of a child and decides about each.
#[derive(Debug)]
pub(crate) struct RestartTracker {
    policy: SupervisionPolicy,
    role: Role,
    /// Failures since the child was last healthy.
    failures: u32,
    /// The panics within the budget's time window.
    panics: VecDeque<Instant>,
    /// It has failed and not been healthy since: the next panic fails it at once.
    on_probation: bool,
}

impl RestartTracker {
    pub(crate) fn new(policy: SupervisionPolicy, role: Role) -> Self {
        Self { policy, role, failures: 0, panics: VecDeque::new(), on_probation: false }
    }

    /// Decides about a failure at `now`; `jitter` is between 0 and 1.
    pub(crate) fn decide(&mut self, failure: &ChildFailure, now: Instant, jitter: f64) -> RestartDecision {
        let exhausted = match failure {
            ChildFailure::GaveUp(_) => true,
            ChildFailure::Panicked(_) => self.panic_budget_exhausted(now) || self.on_probation,
            ChildFailure::StartFailed(_) | ChildFailure::Stopped(_) | ChildFailure::Hung(_) => false,
        };
        match self.role {
            Role::Critical if exhausted => RestartDecision::Fatal,
            Role::Isolated if exhausted => {
                self.on_probation = true;
                RestartDecision::Fail(self.policy.failed_retry_interval)
            }
            Role::Critical | Role::Isolated => {
                let pause = self.policy.backoff(self.failures, jitter);
                self.failures = self.failures.saturating_add(1);
                RestartDecision::Restart(pause)
            }
        }
    }

    /// The child has run long enough to count as healthy: the backoff starts over.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
        self.on_probation = false;
    }

    fn panic_budget_exhausted(&mut self, now: Instant) -> bool {
        let (max_panics, window) = self.policy.panic_budget;
        self.panics.push_back(now);
        while self.panics.front().is_some_and(|&at| now.saturating_duration_since(at) > window) {
            self.panics.pop_front();
        }
        self.panics.len() > max_panics
    }
}

/// Throttles repeated log lines: a new reason is logged at once, the same one less and less often.
#[derive(Debug, Default)]
pub(crate) struct LogThrottle {
    reason: String,
    repeats: u64,
}

impl LogThrottle {
    /// At least one in this many repeats is logged.
    const MAX_SKIP: u64 = 64;

    /// Whether to log this occurrence: the 1st, 2nd, 4th, 8th … of the same reason.
    pub(crate) fn should_log(&mut self, reason: &str) -> bool {
        if self.reason != reason {
            reason.clone_into(&mut self.reason);
            self.repeats = 0;
        }
        self.repeats += 1;
        self.repeats.is_power_of_two() || self.repeats.is_multiple_of(Self::MAX_SKIP)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn panicked() -> ChildFailure {
        ChildFailure::Panicked("index out of bounds".into())
    }

    #[test]
    fn pauses_double_and_are_capped() {
        let mut tracker = RestartTracker::new(
            SupervisionPolicy { max_backoff: SECOND * 10, ..SupervisionPolicy::default() },
            Role::Isolated,
        );
        let now = Instant::now();
        let decisions: Vec<_> =
            (0..6).map(|_| tracker.decide(&ChildFailure::Stopped(None), now, 0.0)).collect();
        let expected = [1, 2, 4, 8, 10, 10].map(|s| RestartDecision::Restart(SECOND * s));
        assert_eq!(decisions, expected);
    }

    #[test]
    fn a_healthy_while_makes_pauses_begin_anew() {
        let mut tracker = RestartTracker::new(SupervisionPolicy::default(), Role::Critical);
        let now = Instant::now();
        for _ in 0..4 {
            tracker.decide(&ChildFailure::Stopped(None), now, 0.0);
        }
        tracker.reset();
        assert_eq!(tracker.decide(&ChildFailure::Stopped(None), now, 0.0), RestartDecision::Restart(SECOND));
    }

    #[test]
    fn panics_beyond_the_budget_fail_an_output_and_end_a_chain() {
        for (role, exhausted) in
            [(Role::Isolated, RestartDecision::Fail(SECOND * 300)), (Role::Critical, RestartDecision::Fatal)]
        {
            let mut tracker = RestartTracker::new(SupervisionPolicy::default(), role);
            let now = Instant::now();
            for _ in 0..5 {
                assert!(matches!(tracker.decide(&panicked(), now, 0.5), RestartDecision::Restart(_)));
            }
            assert_eq!(tracker.decide(&panicked(), now + SECOND * 59, 0.5), exhausted);
        }
    }

    #[test]
    fn panics_far_apart_never_spend_the_budget() {
        let mut tracker = RestartTracker::new(SupervisionPolicy::default(), Role::Critical);
        let start = Instant::now();
        for n in 0..100 {
            let decision = tracker.decide(&panicked(), start + SECOND * 13 * n, 0.5);
            assert!(matches!(decision, RestartDecision::Restart(_)), "panic {n}: {decision:?}");
        }
    }

    #[test]
    fn trouble_outside_is_retried_for_ever() {
        let mut tracker = RestartTracker::new(SupervisionPolicy::default(), Role::Critical);
        let now = Instant::now();
        for _ in 0..10_000 {
            let decision = tracker.decide(&ChildFailure::StartFailed(None), now, 0.0);
            assert!(matches!(decision, RestartDecision::Restart(pause) if pause <= SECOND * 60));
        }
    }

    #[test]
    fn a_failed_output_that_panics_again_fails_at_once_until_it_was_healthy() {
        let mut tracker = RestartTracker::new(SupervisionPolicy::default(), Role::Isolated);
        let start = Instant::now();
        tracker.decide(&ChildFailure::GaveUp("no thread left".into()), start, 0.0);
        let later = start + SECOND * 300;
        assert_eq!(tracker.decide(&panicked(), later, 0.0), RestartDecision::Fail(SECOND * 300));
        tracker.reset();
        assert!(matches!(
            tracker.decide(&panicked(), later + SECOND * 300, 0.0),
            RestartDecision::Restart(_)
        ));
    }

    #[test]
    fn repeats_are_told_at_a_decreasing_pace_and_a_new_reason_at_once() {
        let mut throttle = LogThrottle::default();
        let logged: Vec<_> = (1..=200).filter(|_| throttle.should_log("disk full")).collect();
        assert_eq!(logged, [1, 2, 4, 8, 16, 32, 64, 128, 192]);
        assert!(throttle.should_log("no such directory"));
    }

    proptest! {
        #[test]
        fn no_pause_passes_the_cap_or_shrinks(failures in 0_u32..200, a in 0.0..1.0, b in 0.0..1.0) {
            let policy = SupervisionPolicy::default();
            let (sooner, later) = (policy.backoff(failures, a), policy.backoff(failures + 1, b));
            prop_assert!(later <= policy.max_backoff && sooner >= policy.initial_backoff * 3 / 4);
            prop_assert!(later > sooner || later >= policy.max_backoff * 3 / 4);
        }
    }
}
