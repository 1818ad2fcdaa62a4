//! Trouble that lasts, told in a few lines: when it begins, when its reason is a new one, then ever more
//! rarely, and once when it is over. Also how a span of time is written in a line.
//!
//! ```text
//! fine ──failed──► Begun ──failed, new reason──► Changed ──failed, past 1 min, 5 min, 15 min, 1 h, 2 h, …──► Still
//!   ▲                                                                                                         │
//!   └───────────────────────────────────────── recovered: Recovered ──────────────────────────────────────────┘
//! ```

use std::fmt;
use std::time::{Duration, Instant};

use slog::{Logger, info, warn};

/// How far into the trouble a reminder is due; past the last, every further [`PACE_AT_LAST`].
const PACE: [Duration; 4] =
    [Duration::from_secs(60), Duration::from_secs(5 * 60), Duration::from_secs(15 * 60), PACE_AT_LAST];

/// Between two reminders of trouble that has become old.
const PACE_AT_LAST: Duration = Duration::from_secs(60 * 60);

/// Reasons told one by one in the course of one trouble. A reason that holds a number or a time is new at each
/// failure: past these, only the pace speaks.
const REASONS_TOLD: usize = 8;

/// Follows one thing that works or fails (a link, an output) and says which of its failures deserve a line.
///
/// The clock is handed in; times are expected not to step back (where they do, they count as no time passed).
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    outage: Option<Outage>,
}

#[derive(Clone, Debug)]
struct Outage {
    since: Instant,
    count: u64,
    reasons: Vec<String>,
    next_reminder: Duration,
}

/// A failure that deserves a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Say {
    /// Why now.
    pub why: Why,
    /// How long it has been failing.
    pub(crate) since: Duration,
    /// Failures so far, this one included.
    pub(crate) count: u64,
}

impl Say {
    /// The line of an output that takes nothing: `output away`, and where it has been silent for long `output still away`.
    pub(crate) fn tell_away(&self, log: &Logger, output: &str, reason: &str, target: &str) {
        match self.why {
            Why::Still => warn!(log, "output still away"; "output" => output, "since" => Took(self.since),
                "tries" => self.count, "reason" => reason, "target" => target),
            Why::Begun | Why::Changed => {
                warn!(log, "output away"; "output" => output, "reason" => reason, "target" => target);
            }
        }
    }
}

/// What makes a failure worth a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is the first one.
    Begun,
    /// It fails for a reason that has not been told yet in this trouble.
    Changed,
    /// It has been silent for long enough.
    Still,
}

/// The end of a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// From the first failure to the recovery.
    pub outage: Duration,
    /// Failures in that time.
    pub count: u64,
}

impl Recovered {
    /// The line of an output that takes what comes again: `output back`.
    pub(crate) fn tell_back(&self, log: &Logger, output: &str) {
        info!(log, "output back"; "output" => output, "outage" => Took(self.outage));
    }
}

impl Trouble {
    /// Nothing wrong yet.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Whether it is failing.
    #[must_use]
    pub(crate) fn is_on(&self) -> bool {
        self.outage.is_some()
    }

    /// Takes note of a failure; `Some` where it deserves a line.
    pub(crate) fn failed(&mut self, now: Instant, reason: &str) -> Option<Say> {
        let Some(outage) = &mut self.outage else {
            self.outage = Some(Outage {
                since: now,
                count: 1,
                reasons: vec![reason.to_owned()],
                next_reminder: PACE[0],
            });
            return Some(Say { why: Why::Begun, since: Duration::ZERO, count: 1 });
        };
        outage.count += 1;
        let since = now.saturating_duration_since(outage.since);
        let due = since >= outage.next_reminder;
        if due {
            outage.next_reminder = reminder_after(since);
        }
        let told = outage.reasons.iter().any(|known| known == reason);
        let why = match (told, due) {
            (false, _) if outage.reasons.len() < REASONS_TOLD => {
                outage.reasons.push(reason.to_owned());
                Why::Changed
            }
            (_, true) => Why::Still,
            (_, false) => return None,
        };
        Some(Say { why, since, count: outage.count })
    }

    /// Takes note that it works; `Some` where it did not before.
    pub(crate) fn recovered(&mut self, now: Instant) -> Option<Recovered> {
        self.outage.take().map(|outage| Recovered {
            outage: now.saturating_duration_since(outage.since),
            count: outage.count,
        })
    }
}

/// The first moment past `since` at which a reminder is due.
fn reminder_after(since: Duration) -> Duration {
    PACE.into_iter().find(|mark| *mark > since).unwrap_or_else(|| {
        let past = since.as_secs() / PACE_AT_LAST.as_secs() + 1;
        Duration::from_secs(past.saturating_mul(PACE_AT_LAST.as_secs()))
    })
}

/// A span of time as the log shows it: `4.2ms`, `1.21s`, `6m2.6s`, `2h3m4s`, `3d4h5m`. As exact as a reader cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Took(pub Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded before the unit is chosen, so that 59.999 s are a minute and not 60 seconds.
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

impl slog::Value for Took {
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
        let (mut trouble, start) = (Trouble::new(), Instant::now());
        assert_eq!(
            trouble.failed(start, "device gone"),
            Some(Say { why: Why::Begun, since: Duration::ZERO, count: 1 })
        );
        assert_eq!(trouble.failed(start + seconds(1), "device gone"), None);
    }

    #[test]
    fn a_new_reason_is_told_at_once_and_a_known_one_is_not_told_again() {
        let (mut trouble, start) = (Trouble::new(), Instant::now());
        trouble.failed(start, "refused");
        let say = trouble.failed(start + seconds(3), "timed out");
        assert_eq!(say, Some(Say { why: Why::Changed, since: seconds(3), count: 2 }));
        assert_eq!(trouble.failed(start + seconds(4), "refused"), None);
        assert_eq!(trouble.failed(start + seconds(5), "timed out"), None);
    }

    #[test]
    fn trouble_that_lasts_is_told_ever_more_rarely() {
        let (mut trouble, start) = (Trouble::new(), Instant::now());
        let told: Vec<u64> = (0..=3 * HOUR)
            .step_by(5)
            .filter(|s| trouble.failed(start + seconds(*s), "refused").is_some())
            .collect();
        assert_eq!(told, [0, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR]);
    }

    #[test]
    fn reminders_that_were_missed_are_not_made_up_for() {
        let (mut trouble, start) = (Trouble::new(), Instant::now());
        trouble.failed(start, "refused");
        let say = trouble.failed(start + seconds(20 * MINUTE), "refused");
        assert_eq!(say, Some(Say { why: Why::Still, since: seconds(20 * MINUTE), count: 2 }));
        assert_eq!(trouble.failed(start + seconds(20 * MINUTE + 1), "refused"), None);
    }

    #[test]
    fn the_recovery_is_told_once_with_the_whole_outage() {
        let (mut trouble, start) = (Trouble::new(), Instant::now());
        assert_eq!(trouble.recovered(start), None);
        trouble.failed(start, "refused");
        trouble.failed(start + seconds(1), "refused");
        assert!(trouble.is_on());
        let end = start + Duration::from_millis(362_600);
        assert_eq!(
            trouble.recovered(end),
            Some(Recovered { outage: Duration::from_millis(362_600), count: 2 })
        );
        assert_eq!(trouble.recovered(end), None);
        assert_eq!(trouble.failed(end, "refused").map(|say| say.why), Some(Why::Begun));
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
            assert_eq!(Took(Duration::from_micros(micros)).to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn however_often_it_fails_the_lines_are_few(
            waits in prop::collection::vec(0..200_u64, 1..400),
            reasons in prop::collection::vec(0..50_u8, 400),
        ) {
            let (mut trouble, start) = (Trouble::new(), Instant::now());
            let (mut at, mut told) = (0, 0);
            for (wait, reason) in waits.iter().zip(&reasons) {
                at += wait;
                told += usize::from(trouble.failed(start + seconds(at), &reason.to_string()).is_some());
            }
            let hours = usize::try_from(at / HOUR).unwrap();
            prop_assert!(told <= REASONS_TOLD + PACE.len() + hours, "{told} lines in {at} s");
            let count = waits.len() as u64;
            prop_assert_eq!(
                trouble.recovered(start + seconds(at)).map(|end| end.count),
                Some(count)
            );
        }

        #[test]
        fn a_longer_span_never_shows_a_sixtieth_minute_or_second(millis in 0..400_000_000_u64) {
            let shown = Took(Duration::from_millis(millis)).to_string();
            prop_assert!(!shown.contains("60"), "{shown}");
        }
    }
}
