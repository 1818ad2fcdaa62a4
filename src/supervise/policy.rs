//! When to restart, how long to pause, when to give up. Pure: time and chance are handed in.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use humantime::format_duration;
use serde::Serialize;

/// What a child is to the service, which decides what its spent budget means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// At the end of the flow: past its budget it is [`Failed`](crate::supervise::State::Failed) and tried again later,
    /// and nobody else notices.
    Output,
    /// A link of the chain that owns the port: past its budget the process must end and start afresh.
    Chain,
}

/// The times and limits of supervision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The pause after the first trouble; it doubles with each further one.
    pub first: Duration,
    /// No pause is longer.
    pub cap: Duration,
    /// A life as long as this makes the next trouble a first one.
    pub healthy_after: Duration,
    /// More panics than this number within this time are too many.
    pub panic_budget: (usize, Duration),
    /// How often a failed output is tried again.
    pub retry_failed_every: Duration,
    /// The rest between two pings.
    pub ping_every: Duration,
    /// A ping unanswered for so long means that the actor hangs.
    pub ping_timeout: Duration,
    /// An order not taken for so long means that the thread is blocked.
    pub order_timeout: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            cap: Duration::from_secs(60),
            healthy_after: Duration::from_secs(60),
            panic_budget: (5, Duration::from_secs(60)),
            retry_failed_every: Duration::from_secs(300),
            ping_every: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(10),
            order_timeout: Duration::from_secs(5),
        }
    }
}

impl Policy {
    /// The pause before try number `failures` + 1. Jitter takes up to a quarter off, so that pauses still
    /// grow, never pass the cap, and children that failed together do not return together.
    fn pause(&self, failures: u32, chance: f64) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(failures)).min(self.cap);
        doubled.mul_f64(1.0 - 0.25 * chance.clamp(0.0, 1.0))
    }
}

/// Why a life of an actor ended though nobody had asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It stopped before its first turn was over, with the reason it left on its
    /// [`Lifeline`](crate::supervise::Lifeline).
    StartFailed(Option<String>),
    /// It stopped, with the reason it left.
    Stopped(Option<String>),
    /// It said that a restart won't help now.
    GaveUp(String),
    /// It panicked, with the panic's text.
    Panicked(String),
    /// It left a ping unanswered for so long.
    Hung(Duration),
}

impl Trouble {
    /// A bug or a blockade, rather than something outside that will pass.
    pub(crate) fn is_severe(&self) -> bool {
        matches!(self, Self::Panicked(_) | Self::Hung(_) | Self::GaveUp(_))
    }
}

impl fmt::Display for Trouble {
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

/// What to do about a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Restart after a pause.
    Restart(Duration),
    /// An output's budget is spent: failed, tried again after a long pause.
    Fail(Duration),
    /// A chain's budget is spent: the process must end.
    Fatal,
}

/// Remembers a child's troubles and decides about the next one.
#[derive(Debug)]
pub(crate) struct Judge {
    policy: Policy,
    role: Role,
    /// Troubles since the last healthy while.
    failures: u32,
    /// The panics within the budget's window.
    panics: VecDeque<Instant>,
    /// It has failed and not been healthy since: the next panic fails it at once.
    on_probation: bool,
}

impl Judge {
    pub(crate) fn new(policy: Policy, role: Role) -> Self {
        Self { policy, role, failures: 0, panics: VecDeque::new(), on_probation: false }
    }

    /// Decides about a trouble at `now`; `chance` is between 0 and 1.
    pub(crate) fn judge(&mut self, trouble: &Trouble, now: Instant, chance: f64) -> Verdict {
        let spent = match trouble {
            Trouble::GaveUp(_) => true,
            Trouble::Panicked(_) => self.panics_are_too_many(now) || self.on_probation,
            Trouble::StartFailed(_) | Trouble::Stopped(_) | Trouble::Hung(_) => false,
        };
        match self.role {
            Role::Chain if spent => Verdict::Fatal,
            Role::Output if spent => {
                self.on_probation = true;
                Verdict::Fail(self.policy.retry_failed_every)
            }
            Role::Chain | Role::Output => {
                let pause = self.policy.pause(self.failures, chance);
                self.failures = self.failures.saturating_add(1);
                Verdict::Restart(pause)
            }
        }
    }

    /// It has lived for a healthy while: pauses begin anew.
    pub(crate) fn healthy(&mut self) {
        self.failures = 0;
        self.on_probation = false;
    }

    fn panics_are_too_many(&mut self, now: Instant) -> bool {
        let (most, window) = self.policy.panic_budget;
        self.panics.push_back(now);
        while self.panics.front().is_some_and(|&at| now.saturating_duration_since(at) > window) {
            self.panics.pop_front();
        }
        self.panics.len() > most
    }
}

/// Folds repeats for the log: a new reason is told, the same again at a decreasing pace.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    reason: String,
    repeats: u64,
}

impl Fold {
    /// Even at the slowest pace one in so many is told.
    const AT_LEAST_EVERY: u64 = 64;

    /// Whether this occurrence is worth a line: the 1st, 2nd, 4th, 8th … of the same reason.
    pub(crate) fn is_worth_a_line(&mut self, reason: &str) -> bool {
        if self.reason != reason {
            reason.clone_into(&mut self.reason);
            self.repeats = 0;
        }
        self.repeats += 1;
        self.repeats.is_power_of_two() || self.repeats.is_multiple_of(Self::AT_LEAST_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn panicked() -> Trouble {
        Trouble::Panicked("index out of bounds".into())
    }

    #[test]
    fn pauses_double_and_are_capped() {
        let mut judge = Judge::new(Policy { cap: SECOND * 10, ..Policy::default() }, Role::Output);
        let now = Instant::now();
        let pauses: Vec<_> = (0..6).map(|_| judge.judge(&Trouble::Stopped(None), now, 0.0)).collect();
        let seconds = [1, 2, 4, 8, 10, 10].map(|s| Verdict::Restart(SECOND * s));
        assert_eq!(pauses, seconds);
    }

    #[test]
    fn a_healthy_while_makes_pauses_begin_anew() {
        let mut judge = Judge::new(Policy::default(), Role::Chain);
        let now = Instant::now();
        for _ in 0..4 {
            judge.judge(&Trouble::Stopped(None), now, 0.0);
        }
        judge.healthy();
        assert_eq!(judge.judge(&Trouble::Stopped(None), now, 0.0), Verdict::Restart(SECOND));
    }

    #[test]
    fn panics_beyond_the_budget_fail_an_output_and_end_a_chain() {
        for (role, spent) in [(Role::Output, Verdict::Fail(SECOND * 300)), (Role::Chain, Verdict::Fatal)] {
            let mut judge = Judge::new(Policy::default(), role);
            let now = Instant::now();
            for _ in 0..5 {
                assert!(matches!(judge.judge(&panicked(), now, 0.5), Verdict::Restart(_)));
            }
            assert_eq!(judge.judge(&panicked(), now + SECOND * 59, 0.5), spent);
        }
    }

    #[test]
    fn panics_far_apart_never_spend_the_budget() {
        let mut judge = Judge::new(Policy::default(), Role::Chain);
        let start = Instant::now();
        for n in 0..100 {
            let verdict = judge.judge(&panicked(), start + SECOND * 13 * n, 0.5);
            assert!(matches!(verdict, Verdict::Restart(_)), "panic {n}: {verdict:?}");
        }
    }

    #[test]
    fn trouble_outside_is_retried_for_ever() {
        let mut judge = Judge::new(Policy::default(), Role::Chain);
        let now = Instant::now();
        for _ in 0..10_000 {
            let verdict = judge.judge(&Trouble::StartFailed(None), now, 0.0);
            assert!(matches!(verdict, Verdict::Restart(pause) if pause <= SECOND * 60));
        }
    }

    #[test]
    fn a_failed_output_that_panics_again_fails_at_once_until_it_was_healthy() {
        let mut judge = Judge::new(Policy::default(), Role::Output);
        let start = Instant::now();
        judge.judge(&Trouble::GaveUp("no thread left".into()), start, 0.0);
        let later = start + SECOND * 300;
        assert_eq!(judge.judge(&panicked(), later, 0.0), Verdict::Fail(SECOND * 300));
        judge.healthy();
        assert!(matches!(judge.judge(&panicked(), later + SECOND * 300, 0.0), Verdict::Restart(_)));
    }

    #[test]
    fn repeats_are_told_at_a_decreasing_pace_and_a_new_reason_at_once() {
        let mut fold = Fold::default();
        let told: Vec<_> = (1..=200).filter(|_| fold.is_worth_a_line("disk full")).collect();
        assert_eq!(told, [1, 2, 4, 8, 16, 32, 64, 128, 192]);
        assert!(fold.is_worth_a_line("no such directory"));
    }

    proptest! {
        #[test]
        fn no_pause_passes_the_cap_or_shrinks(failures in 0_u32..200, a in 0.0..1.0, b in 0.0..1.0) {
            let policy = Policy::default();
            let (sooner, later) = (policy.pause(failures, a), policy.pause(failures + 1, b));
            prop_assert!(later <= policy.cap && sooner >= policy.first * 3 / 4);
            prop_assert!(later > sooner || later >= policy.cap * 3 / 4);
        }
    }
}
