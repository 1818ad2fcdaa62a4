//! Events that the broker does not have yet, oldest first. Bounded: while it is away for long, the newest stay.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::event::Event;

/// Events that wait while the broker is away.
const MOST: usize = 256;

/// What is to be said of events; whoever holds it sees the same.
#[derive(Clone, Debug, Default)]
pub struct Unsaid(Arc<Mutex<VecDeque<Arc<Event>>>>);

impl Unsaid {
    /// One more happened.
    pub fn push(&self, event: Arc<Event>) {
        let mut events = self.lock();
        events.push_back(event);
        if events.len() > MOST {
            events.pop_front();
        }
    }

    /// All of them, to be said now.
    #[must_use]
    pub fn take(&self) -> Vec<Arc<Event>> {
        self.lock().drain(..).collect()
    }

    /// They could not be said; what has happened since comes after them.
    pub fn give_back(&self, taken: Vec<Arc<Event>>) {
        let mut events = self.lock();
        let room = MOST.saturating_sub(events.len());
        taken.into_iter().rev().take(room).for_each(|event| events.push_front(event));
    }

    /// Nothing that can be left half done happens under this lock.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Event>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{MOST, Unsaid};
    use crate::model::event::{Event, EventKind, EventLevel, LINK, Sign};

    fn push(unsaid: &Unsaid, numbers: impl Iterator<Item = usize>) {
        for number in numbers {
            unsaid.push(
                Event {
                    bank: "pytes".into(),
                    battery: None,
                    barcode: None,
                    kind: EventKind::Noted,
                    word: LINK.into(),
                    sign: Sign::Bit(0),
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
        unsaid.take().iter().filter_map(|event| event.text.parse().ok()).collect()
    }

    #[test]
    fn what_could_not_be_said_is_said_before_what_happened_since() {
        let unsaid = Unsaid::default();
        push(&unsaid, 0..3);
        let taken = unsaid.take();
        push(&unsaid, 3..5);
        unsaid.give_back(taken);
        assert_eq!(texts(&unsaid), [0, 1, 2, 3, 4]);
        assert!(unsaid.take().is_empty());
    }

    #[test]
    fn the_newest_stay() {
        let unsaid = Unsaid::default();
        push(&unsaid, 0..MOST + 10);
        let taken = unsaid.take();
        push(&unsaid, MOST + 10..MOST + 15);
        unsaid.give_back(taken);
        assert_eq!(texts(&unsaid), Vec::from_iter(15..MOST + 15));
    }
}
