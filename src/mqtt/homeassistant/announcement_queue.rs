//! Announcements that are still to be sent. They are large, so they go in slices with state in between, and a new
//! connection goes on with what the broker was not sent before; the rest follows, as it may have forgotten it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::mqtt::message::Message;

/// Bytes of one slice, except for a message that alone is larger.
const SLICE: usize = 16_000;

/// Topics that are remembered as sent; a bank of 128 batteries has fewer.
const MOST_SENT: usize = 4_096;

/// What is to be announced, in order.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    waiting: VecDeque<Message>,
    /// Banks with entities to take over from pytes_serial, and how many.
    moved: Vec<(Arc<str>, usize)>,
    /// Since when there is anything.
    since: Option<Instant>,
    /// By topic: what the broker was sent last, on whichever connection.
    sent: BTreeMap<String, u64>,
}

impl Backlog {
    /// A new connection: all of it is to be announced again.
    pub(crate) fn restart(&mut self) {
        self.waiting.clear();
        self.moved.clear();
        self.since = None;
    }

    /// More is to be announced; what waits for the same topic gives way. The order of a migration is kept, and that of
    /// several messages to one topic: what waits to be cleared is cleared after the announcements that now come later, and
    /// what Home Assistant was to let go or remove is not forgotten.
    pub(crate) fn add(&mut self, messages: Vec<Message>, moved: Vec<(Arc<str>, usize)>, now: Instant) {
        if !messages.is_empty() {
            self.since.get_or_insert(now);
        }
        let topics: BTreeSet<&str> = messages.iter().map(|message| message.topic.as_str()).collect();
        if !moved.is_empty() || topics.len() < messages.len() {
            let gives_way = |old: &Message, new: &Message| {
                old.topic == new.topic && (old.retained || old.payload == new.payload)
            };
            self.waiting.retain(|old| !messages.iter().any(|new| gives_way(old, new)));
            let (clears, waiting): (Vec<_>, Vec<_>) =
                self.waiting.drain(..).partition(|message| message.payload.is_empty());
            self.waiting.extend(waiting.into_iter().chain(messages).chain(clears));
            self.moved.extend(moved);
            return;
        }
        let (known, new): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| self.sent.get(&message.topic) == Some(&hash(message)));
        for message in new.into_iter().chain(known) {
            match self.waiting.iter_mut().rfind(|old| old.topic == message.topic) {
                Some(old) => *old = message,
                None => self.waiting.push_back(message),
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What goes next; it stays until it was [`sent`](Self::sent).
    pub(crate) fn slice(&self) -> Vec<Message> {
        let mut bytes = 0;
        let fits = |message: &&Message| {
            let is_first = bytes == 0;
            bytes += message.payload.len();
            is_first || bytes <= SLICE
        };
        self.waiting.iter().take_while(fits).cloned().collect()
    }

    /// The broker has the slice, or does not take it; answers which banks came over with the last of it.
    pub(crate) fn sent(&mut self, slice: &[Message]) -> Vec<(Arc<str>, usize)> {
        for message in self.waiting.drain(..slice.len().min(self.waiting.len())) {
            if self.sent.len() < MOST_SENT || self.sent.contains_key(&message.topic) {
                let hash = hash(&message);
                self.sent.insert(message.topic, hash);
            }
        }
        if self.waiting.is_empty() { std::mem::take(&mut self.moved) } else { Vec::new() }
    }

    /// Once all was sent: how long that took, from the first of it on.
    pub(crate) fn take_duration(&mut self, now: Instant) -> Option<Duration> {
        let since = self.since.take_if(|_| self.waiting.is_empty())?;
        Some(now.saturating_duration_since(since))
    }
}

fn hash(message: &Message) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.payload.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(topic: &str, bytes: usize) -> Message {
        Message::retained(format!("{topic}/config"), vec![b'x'; bytes])
    }

    fn topics(messages: &[Message]) -> Vec<&str> {
        messages.iter().map(|message| message.topic.trim_end_matches("/config")).collect()
    }

    #[test]
    fn a_new_connection_goes_on_where_the_last_one_broke() {
        let mut backlog = Backlog::default();
        let all = || ["a", "b", "c", "d"].map(|topic| config(topic, 7_000)).to_vec();
        backlog.add(all(), Vec::new(), Instant::now());
        let first = backlog.slice();
        assert_eq!(topics(&first), ["a", "b"]);
        backlog.sent(&first);
        assert_eq!(topics(&backlog.slice()), ["c", "d"]);
        backlog.restart();
        backlog.add(all(), Vec::new(), Instant::now());
        let next = backlog.slice();
        assert_eq!(topics(&next), ["c", "d"], "the broker has the others, unless it has forgotten them");
        backlog.sent(&next);
        assert_eq!(topics(&backlog.slice()), ["a", "b"]);
        backlog.restart();
        backlog.add(
            [config("a", 1), config("b", 60_000), config("e", 9)].to_vec(),
            Vec::new(),
            Instant::now(),
        );
        assert_eq!(topics(&backlog.slice()), ["a"], "these are new");
    }

    #[test]
    fn the_newest_of_a_topic_is_announced_and_a_migration_keeps_its_order() {
        let mut backlog = Backlog::default();
        backlog.add(vec![config("a", 1), config("b", 1)], Vec::new(), Instant::now());
        backlog.add(vec![config("a", 2)], Vec::new(), Instant::now());
        assert_eq!((topics(&backlog.slice()), backlog.slice()[0].payload.len()), (vec!["a", "b"], 2));
        let bank: Arc<str> = Arc::from("pytes");
        let over = vec![config("old", 1), config("a", 3), config("old", 0)];
        backlog.add(over, vec![(bank.clone(), 1)], Instant::now());
        let slice = backlog.slice();
        assert_eq!(topics(&slice), ["b", "old", "a", "old"]);
        assert_eq!(backlog.sent(&slice[..2]), []);
        assert_eq!(backlog.sent(&slice[2..]), [(bank, 1)]);
        assert!(backlog.is_empty());
        // Entities are removed from a message, which is then announced without them.
        backlog.add(vec![config("a", 1), config("b", 2), config("a", 3)], Vec::new(), Instant::now());
        backlog.add(vec![config("a", 4)], Vec::new(), Instant::now());
        let sizes: Vec<usize> = backlog.slice().iter().map(|message| message.payload.len()).collect();
        assert_eq!((topics(&backlog.slice()), sizes), (vec!["a", "b", "a"], vec![1, 2, 4]));
    }

    #[test]
    fn nothing_is_cleared_before_its_announcement_and_no_removal_is_lost_when_a_second_migration_begins() {
        let mut backlog = Backlog::default();
        let (bank, release) = (Arc::<str>::from("pytes"), |topic: &str| Message::fleeting(topic, "release"));
        let over = |old: &str, bytes| vec![release(old), config("new", bytes), Message::forget(old)];
        backlog.add(over("old 1", 1), vec![(bank.clone(), 1)], Instant::now());
        backlog.add(over("old 2", 2), vec![(bank.clone(), 1)], Instant::now());
        assert_eq!(topics(&backlog.slice()), ["old 1", "old 2", "new", "old 2", "old 1"]);
        // Some entities of a message are removed, and then others.
        let remove = |key: &str| Message::fleeting("new/config", key);
        backlog.add(vec![remove("a"), config("new", 3)], Vec::new(), Instant::now());
        backlog.add(vec![remove("b"), config("new", 4)], Vec::new(), Instant::now());
        backlog.add(vec![remove("b"), config("new", 5)], Vec::new(), Instant::now());
        let of_new = backlog.slice().into_iter().filter(|message| message.topic == "new/config");
        assert!(of_new.eq([remove("a"), remove("b"), config("new", 5)]));
        assert_eq!(topics(&backlog.slice())[5..], ["old 2", "old 1"]);
    }

    #[test]
    fn how_long_all_of_it_took_counts_from_the_first_slice_on() {
        let (mut backlog, start) = (Backlog::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        backlog.add(vec![config("a", 15_000), config("b", 15_000)], Vec::new(), start);
        backlog.sent(&backlog.slice());
        backlog.add(vec![config("c", 10)], Vec::new(), after(20));
        assert_eq!(backlog.take_duration(after(20)), None);
        backlog.sent(&backlog.slice());
        assert_eq!(backlog.take_duration(after(30)), Some(Duration::from_secs(30)));
        assert_eq!(backlog.take_duration(after(31)), None, "once");
    }
}
