//! Tracks outages and decides which failures to log: the first, each new reason, reminders at growing intervals, and
//! the recovery. Also formats durations for the log.
//!
//! ```text
//! working ──failure──► Started ──failure, new reason──► NewReason ──failure, past 1, 5, 15 min, 1 h, 2 h, …──► Reminder
//!    ▲                                                                                                            │
//!    └─────────────────────────────────────────── success: Recovery ──────────────────────────────────────────────┘
//! ```

use std::fmt;
use std::time::{Duration, Instant};

use slog::{Logger, info, warn};

/// How long after its start an outage is due for a reminder; after the last, every [`REMINDER_INTERVAL`].
const REMINDERS: [Duration; 4] =
    [Duration::from_secs(60), Duration::from_secs(5 * 60), Duration::from_secs(15 * 60), REMINDER_INTERVAL];

const REMINDER_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// The most reasons that are logged one by one during an outage. A reason that contains a number or a time is new at
/// each failure; beyond this limit only reminders are logged.
const MAX_REASONS: usize = 8;

/// Tracks the outages of a link or an output, and decides which of its failures to log.
///
/// The caller passes the time. If it steps back, that counts as no time passed.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutageTracker {
    outage: Option<OngoingOutage>,
}

#[derive(Clone, Debug)]
struct OngoingOutage {
    since: Instant,
    count: u64,
    reasons: Vec<String>,
    next_reminder: Duration,
}

/// A failure that should be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutageNotice {
    pub kind: NoticeKind,
    /// The time since the first failure.
    pub(crate) lasted: Duration,
    /// Failures in this outage, including this one.
    pub(crate) failures: u64,
}

impl OutageNotice {
    /// Logs `output down`, or `output still down` for a reminder.
    pub(crate) fn log_down(&self, log: &Logger, output: &str, reason: &str, target: &str) {
        match self.kind {
            NoticeKind::Reminder => {
                warn!(log, "output still down"; "output" => output, "since" => HumanDuration(self.lasted),
                "tries" => self.failures, "reason" => reason, "target" => target)
            }
            NoticeKind::Started | NoticeKind::NewReason => {
                warn!(log, "output down"; "output" => output, "reason" => reason, "target" => target);
            }
        }
    }
}

/// Why a failure is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// The first failure.
    Started,
    /// A reason that has not been logged in this outage.
    NewReason,
    /// The outage lasts.
    Reminder,
}

/// The end of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The time from the first failure to the recovery.
    pub lasted: Duration,
    pub failures: u64,
}

impl Recovery {
    /// Logs `output recovered`.
    pub(crate) fn log_recovered(&self, log: &Logger, output: &str) {
        info!(log, "output recovered"; "output" => output, "outage" => HumanDuration(self.lasted));
    }
}

impl OutageTracker {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn is_on(&self) -> bool {
        self.outage.is_some()
    }

    /// Records a failure; `Some` if it should be logged.
    pub(crate) fn on_failure(&mut self, now: Instant, reason: &str) -> Option<OutageNotice> {
        let Some(outage) = &mut self.outage else {
            self.outage = Some(OngoingOutage {
                since: now,
                count: 1,
                reasons: vec![reason.to_owned()],
                next_reminder: REMINDERS[0],
            });
            return Some(OutageNotice { kind: NoticeKind::Started, lasted: Duration::ZERO, failures: 1 });
        };
        outage.count += 1;
        let since = now.saturating_duration_since(outage.since);
        let due = since >= outage.next_reminder;
        if due {
            outage.next_reminder = next_reminder(since);
        }
        let is_known = outage.reasons.iter().any(|known| known == reason);
        let why = match (is_known, due) {
            (false, _) if outage.reasons.len() < MAX_REASONS => {
                outage.reasons.push(reason.to_owned());
                NoticeKind::NewReason
            }
            (_, true) => NoticeKind::Reminder,
            (_, false) => return None,
        };
        Some(OutageNotice { kind: why, lasted: since, failures: outage.count })
    }

    /// Records a success; `Some` if it ends an outage.
    pub(crate) fn on_success(&mut self, now: Instant) -> Option<Recovery> {
        self.outage.take().map(|outage| Recovery {
            lasted: now.saturating_duration_since(outage.since),
            failures: outage.count,
        })
    }
}

/// The first time after `since` at which a reminder is due.
fn next_reminder(since: Duration) -> Duration {
    REMINDERS.into_iter().find(|mark| *mark > since).unwrap_or_else(|| {
        let hours = since.as_secs() / REMINDER_INTERVAL.as_secs() + 1;
        Duration::from_secs(hours.saturating_mul(REMINDER_INTERVAL.as_secs()))
    })
}

/// Formats a duration for people, with a precision that suits its length: `4.2ms`, `1.21s`, `6m2.6s`, `2h3m4s`,
/// `3d4h5m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HumanDuration(pub Duration);

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded before the unit is chosen, so that 59.999 s becomes a minute and not 60 seconds.
        let millis = self.0.as_millis();
        let (hundredths, tenths, seconds) = ((millis + 5) / 10, (millis + 50) / 100, (millis + 500) / 1000);
        let minutes = (seconds + 30) / 60;
        if self.0 > Duration::ZERO && millis < 10 {
            decimal(f, self.0.as_micros() / 10, 2, "ms")
        } else if hundredths < 60 * 100 {
            decimal(f, hundredths, 2, "s")
        } else if tenths < 3600 * 10 {
            write!(f, "{}m", tenths / 600)?;
            decimal(f, tenths % 600, 1, "s")
        } else if seconds < 24 * 3600 {
            write!(f, "{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60)
        } else {
            write!(f, "{}d{}h{}m", minutes / 1440, minutes / 60 % 24, minutes % 60)
        }
    }
}

/// Writes `value` / 10^`places` without trailing zeros.
fn decimal(f: &mut fmt::Formatter<'_>, value: u128, places: u32, unit: &str) -> fmt::Result {
    let (mut whole, mut places) = (value, places);
    while places > 0 && whole.is_multiple_of(10) {
        whole /= 10;
        places -= 1;
    }
    let (divisor, width) = (10_u128.pow(places), places as usize);
    match places {
        0 => write!(f, "{whole}{unit}"),
        _ => write!(f, "{}.{:0width$}{unit}", whole / divisor, whole % divisor),
    }
}

impl slog::Value for HumanDuration {
    fn serialize(
        &self,
        _: &slog::Record<'_>,
        key: slog::Key,
        serializer: &mut dyn slog::Serializer,
    ) -> slog::Result {
        serializer.emit_arguments(key, &format_args!("{self}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_failure_is_told_and_its_repetition_is_not() {
        let (mut tracker, start) = (OutageTracker::new(), Instant::now());
        assert_eq!(
            tracker.on_failure(start, "device gone"),
            Some(OutageNotice { kind: NoticeKind::Started, lasted: Duration::ZERO, failures: 1 })
        );
        assert_eq!(tracker.on_failure(start + seconds(1), "device gone"), None);
    }

    #[test]
    fn a_new_reason_is_told_at_once_and_a_known_one_is_not_told_again() {
        let (mut tracker, start) = (OutageTracker::new(), Instant::now());
        tracker.on_failure(start, "refused");
        let notice = tracker.on_failure(start + seconds(3), "timed out");
        assert_eq!(
            notice,
            Some(OutageNotice { kind: NoticeKind::NewReason, lasted: seconds(3), failures: 2 })
        );
        assert_eq!(tracker.on_failure(start + seconds(4), "refused"), None);
        assert_eq!(tracker.on_failure(start + seconds(5), "timed out"), None);
    }

    #[test]
    fn trouble_that_lasts_is_told_ever_more_rarely() {
        let (mut tracker, start) = (OutageTracker::new(), Instant::now());
        let logged: Vec<u64> = (0..=3 * HOUR)
            .step_by(5)
            .filter(|s| tracker.on_failure(start + seconds(*s), "refused").is_some())
            .collect();
        assert_eq!(logged, [0, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR]);
    }

    #[test]
    fn reminders_that_were_missed_are_not_made_up_for() {
        let (mut tracker, start) = (OutageTracker::new(), Instant::now());
        tracker.on_failure(start, "refused");
        let notice = tracker.on_failure(start + seconds(20 * MINUTE), "refused");
        assert_eq!(
            notice,
            Some(OutageNotice { kind: NoticeKind::Reminder, lasted: seconds(20 * MINUTE), failures: 2 })
        );
        assert_eq!(tracker.on_failure(start + seconds(20 * MINUTE + 1), "refused"), None);
    }

    #[test]
    fn the_recovery_is_told_once_with_the_whole_outage() {
        let (mut tracker, start) = (OutageTracker::new(), Instant::now());
        assert_eq!(tracker.on_success(start), None);
        tracker.on_failure(start, "refused");
        tracker.on_failure(start + seconds(1), "refused");
        assert!(tracker.is_on());
        let end = start + Duration::from_millis(362_600);
        assert_eq!(
            tracker.on_success(end),
            Some(Recovery { lasted: Duration::from_millis(362_600), failures: 2 })
        );
        assert_eq!(tracker.on_success(end), None);
        assert_eq!(tracker.on_failure(end, "refused").map(|notice| notice.kind), Some(NoticeKind::Started));
    }

    #[test]
    fn spans_are_as_exact_as_a_reader_cares() {
        let cases = [
            (0, "0s"),
            (50, "0.05ms"),
            (4_200, "4.2ms"),
            (210_000, "0.21s"),
            (1_000_000, "1s"),
            (1_214_000, "1.21s"),
            (59_994_000, "59.99s"),
            (59_996_000, "1m0s"),
            (70_000_000, "1m10s"),
            (362_600_000, "6m2.6s"),
            (3_599_960_000, "1h0m0s"),
            (7_384_000_000, "2h3m4s"),
            (86_399_600_000, "1d0h0m"),
            (273_900_000_000, "3d4h5m"),
        ];
        for (micros, shown) in cases {
            assert_eq!(HumanDuration(Duration::from_micros(micros)).to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn however_often_it_fails_the_lines_are_few(
            waits in prop::collection::vec(0..200_u64, 1..400),
            reasons in prop::collection::vec(0..50_u8, 400),
        ) {
            let (mut tracker, start) = (OutageTracker::new(), Instant::now());
            let (mut at, mut logged) = (0, 0);
            for (wait, reason) in waits.iter().zip(&reasons) {
                at += wait;
                logged += usize::from(tracker.on_failure(start + seconds(at), &reason.to_string()).is_some());
            }
            let hours = usize::try_from(at / HOUR).unwrap();
            prop_assert!(logged <= MAX_REASONS + REMINDERS.len() + hours, "{logged} lines in {at} s");
            let count = waits.len() as u64;
            prop_assert_eq!(
                tracker.on_success(start + seconds(at)).map(|end| end.failures),
                Some(count)
            );
        }

        #[test]
        fn a_longer_span_never_shows_a_sixtieth_minute_or_second(millis in 0..400_000_000_u64) {
            let shown = HumanDuration(Duration::from_millis(millis)).to_string();
            prop_assert!(!shown.contains("60"), "{shown}");
        }
    }
}
