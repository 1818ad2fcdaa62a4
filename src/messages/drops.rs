//! Counts and logs messages dropped by full mailboxes: the first at once, then at growing intervals, and once after
//! it has stopped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use slog::{Logger, info, warn};

use crate::outage::{HumanDuration, OutageTracker};

/// The time without a drop after which it has stopped: a slow stage alternates between dropping and accepting.
const CALM: Duration = Duration::from_secs(300);

/// The messages that one queue has dropped.
#[derive(Debug)]
pub(crate) struct Drops {
    queue: String,
    log: Logger,
    count: AtomicU64,
    outage: Mutex<DropOutage>,
}

#[derive(Debug, Default)]
struct DropOutage {
    trouble: OutageTracker,
    last: Option<Instant>,
}

impl Drops {
    pub(super) fn of(queue: String, log: Logger) -> Self {
        Self { queue, log, count: AtomicU64::new(0), outage: Mutex::default() }
    }

    /// Messages dropped since the start.
    #[must_use]
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts and logs a message that was dropped at `now` because the queue was full.
    pub(super) fn dropped(&self, now: Instant) {
        self.add();
        let mut outage = self.outage.lock();
        outage.last = Some(now);
        if let Some(say) = outage.trouble.on_failure(now, "full") {
            warn!(self.log, "queue full, messages dropped"; "queue" => &self.queue, "dropped" => say.failures,
                "since" => HumanDuration(say.lasted));
        }
    }

    /// Records that a message was accepted at `now`.
    pub(super) fn sent(&self, now: Instant) {
        if self.count() == 0 {
            return;
        }
        let mut outage = self.outage.lock();
        let Some(last) = outage.last.filter(|last| now.saturating_duration_since(*last) >= CALM) else {
            return;
        };
        if let Some(recovered) = outage.trouble.on_success(last) {
            info!(self.log, "queue no longer drops messages"; "queue" => &self.queue, "dropped" => recovered.failures,
                "outage" => HumanDuration(recovered.lasted));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slog::{Drain, KV, Never, OwnedKVList, Record, o};

    use super::*;

    /// Captures the message and the keys of each line.
    #[derive(Clone, Default)]
    struct CapturedLines(Arc<std::sync::Mutex<Vec<String>>>);

    impl Drain for CapturedLines {
        type Ok = ();
        type Err = Never;

        fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
            let mut keys = Keys::default();
            record.kv().serialize(record, &mut keys).unwrap();
            self.0.lock().unwrap().push(format!("{}{}", record.msg(), keys.0));
            Ok(())
        }
    }

    #[derive(Default)]
    struct Keys(String);

    impl slog::Serializer for Keys {
        fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
            // The macros pass the last key first.
            self.0 = format!(" {key}={value}{}", self.0);
            Ok(())
        }
    }

    #[test]
    fn a_full_queue_is_logged_in_a_few_lines_and_its_end_in_one() {
        let kept = CapturedLines::default();
        let drops = Drops::of("db".to_owned(), Logger::root(kept.clone(), o!()));
        let start = Instant::now();
        // An hour in which every second message fits.
        for second in 0..3_600 {
            let now = start + Duration::from_secs(second);
            if second % 2 == 0 { drops.dropped(now) } else { drops.sent(now) }
        }
        assert_eq!(drops.count(), 1_800);
        let lines = |kept: &CapturedLines| kept.0.lock().unwrap().clone();
        let first = "queue full, messages dropped queue=db dropped=1 since=0s";
        assert_eq!((lines(&kept)[0].as_str(), lines(&kept).len()), (first, 4), "{:#?}", lines(&kept));
        drops.sent(start + Duration::from_secs(3_600 + 290));
        assert_eq!(lines(&kept).len(), 4, "it may resume");
        drops.sent(start + Duration::from_secs(3_600 + 300));
        drops.sent(start + Duration::from_secs(3_600 + 301));
        let lines = lines(&kept);
        assert_eq!(
            lines[4..],
            ["queue no longer drops messages queue=db dropped=1800 outage=59m58s"],
            "{lines:#?}"
        );
    }
}
