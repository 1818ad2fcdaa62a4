//! Events that the broker does not have yet, oldest first. Bounded: while it is away for long, the newest stay.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::event::Event;

/// Events that wait while the broker is away.
const MOST: usize = 256;

/// What is to be said of events; whoever holds it sees the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unsaid(Arc<Mutex<VecDeque<Arc<Event>>>>);

impl Unsaid {
    /// One more happened.
    pub(crate) fn push(&self, event: Arc<Event>) {
        let mut events = self.lock();
        events.push_back(event);
        if events.len() > MOST {
            events.pop_front();
        }
    }

    /// All of them, to be said now.
    pub(crate) fn take(&self) -> Taken<'_> {
        Taken { events: self.lock().drain(..).collect(), from: self }
    }

    /// Nothing that can be left half done happens under this lock.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Event>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events that are being said. Whatever ends that before they were, they go back: before what has happened since.
#[derive(Debug)]
#[must_use]
pub(crate) struct Taken<'a> {
    events: Vec<Arc<Event>>,
    from: &'a Unsaid,
}

impl Taken<'_> {
    /// Which they are.
    pub(crate) fn events(&self) -> &[Arc<Event>] {
        &self.events
    }

    /// The broker has them.
    pub(crate) fn said(mut self) {
        self.events.clear();
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut waiting = self.from.lock();
        let room = MOST.saturating_sub(waiting.len());
        self.events.drain(..).rev().take(room).for_each(|event| waiting.push_front(event));
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{MOST, Unsaid};
    use crate::model::event::{Condition, Event, EventKind, EventLevel, LINK};

    fn push(unsaid: &Unsaid, numbers: impl Iterator<Item = usize>) {
        for number in numbers {
            unsaid.push(
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

    fn texts(unsaid: &Unsaid) -> Vec<usize> {
        let taken = unsaid.take();
        let texts = taken.events().iter().filter_map(|event| event.text.parse().ok()).collect();
        taken.said();
        texts
    }

    #[test]
    fn what_could_not_be_said_is_said_before_what_happened_since() {
        let unsaid = Unsaid::default();
        push(&unsaid, 0..3);
        let taken = unsaid.take();
        push(&unsaid, 3..5);
        drop(taken);
        assert_eq!(texts(&unsaid), [0, 1, 2, 3, 4]);
        assert!(unsaid.take().events().is_empty());
    }

    #[test]
    fn the_newest_stay() {
        let unsaid = Unsaid::default();
        push(&unsaid, 0..MOST + 10);
        let taken = unsaid.take();
        push(&unsaid, MOST + 10..MOST + 15);
        drop(taken);
        assert_eq!(texts(&unsaid), Vec::from_iter(15..MOST + 15));
    }
}
