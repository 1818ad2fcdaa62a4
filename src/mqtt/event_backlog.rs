//! Events that are not published yet, oldest first. Bounded: while the broker is unreachable, the newest stay.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::model::event::Event;

const CAPACITY: usize = 256;

/// Clones share the same events.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventBacklog(Arc<Mutex<VecDeque<Arc<Event>>>>);

impl EventBacklog {
    pub(crate) fn push(&self, event: Arc<Event>) {
        let mut events = self.lock();
        events.push_back(event);
        if events.len() > CAPACITY {
            events.pop_front();
        }
    }

    pub(crate) fn take(&self) -> EventBatch<'_> {
        EventBatch { events: self.lock().drain(..).collect(), from: self }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Event>>> {
        self.0.lock()
    }
}

/// Events that are being published. If the batch is dropped without [`ack`](Self::ack), they go back before newer ones.
#[derive(Debug)]
#[must_use]
pub(crate) struct EventBatch<'a> {
    events: Vec<Arc<Event>>,
    from: &'a EventBacklog,
}

impl EventBatch<'_> {
    pub(crate) fn events(&self) -> &[Arc<Event>] {
        &self.events
    }

    /// The broker has received the events.
    pub(crate) fn ack(mut self) {
        self.events.clear();
    }
}

impl Drop for EventBatch<'_> {
    fn drop(&mut self) {
        let mut backlog = self.from.lock();
        let room = CAPACITY.saturating_sub(backlog.len());
        self.events.drain(..).rev().take(room).for_each(|event| backlog.push_front(event));
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{CAPACITY, EventBacklog};
    use crate::model::event::{Condition, Event, EventKind, EventLevel, LINK};

    fn push(backlog: &EventBacklog, numbers: impl Iterator<Item = usize>) {
        for number in numbers {
            backlog.push(
                Event {
                    bank: "pytes".into(),
                    battery: None,
                    barcode: None,
                    kind: EventKind::Noted,
                    word: LINK.into(),
                    condition: Condition::Bit(0),
                    name: None,
                    level: EventLevel::Info,
                    text: number.to_string(),
                    raised_at: Timestamp::UNIX_EPOCH,
                    at: Timestamp::UNIX_EPOCH,
                    duration: None,
                }
                .into(),
            );
        }
    }

    fn texts(backlog: &EventBacklog) -> Vec<usize> {
        let batch = backlog.take();
        let texts = batch.events().iter().filter_map(|event| event.text.parse().ok()).collect();
        batch.ack();
        texts
    }

    #[test]
    fn a_dropped_batch_goes_back_before_newer_events() {
        let backlog = EventBacklog::default();
        push(&backlog, 0..3);
        let batch = backlog.take();
        push(&backlog, 3..5);
        drop(batch);
        assert_eq!(texts(&backlog), [0, 1, 2, 3, 4]);
        assert!(backlog.take().events().is_empty());
    }

    #[test]
    fn a_full_backlog_keeps_the_newest() {
        let backlog = EventBacklog::default();
        push(&backlog, 0..CAPACITY + 10);
        let batch = backlog.take();
        push(&backlog, CAPACITY + 10..CAPACITY + 15);
        drop(batch);
        assert_eq!(texts(&backlog), Vec::from_iter(15..CAPACITY + 15));
    }
}
