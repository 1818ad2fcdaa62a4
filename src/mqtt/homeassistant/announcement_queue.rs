//! Discovery messages that are still to be published. They are large, so they are sent in batches with state in
//! between, and a new connection continues with the messages that the broker has not received; the others follow, since
//! it may have lost them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::mqtt::message::Message;

/// Size of a batch in bytes, except for a single larger message.
const BATCH_BYTES: usize = 16_000;

/// Topics that are remembered as sent; a bank of 128 batteries has fewer.
const MAX_SENT: usize = 4_096;

#[derive(Debug, Default)]
pub(crate) struct AnnouncementQueue {
    queue: VecDeque<Message>,
    /// Entities that the queued messages take over from pytes_serial, by bank.
    moved: Vec<(Arc<str>, usize)>,
    /// When the first message was queued.
    queued_at: Option<Instant>,
    /// By topic: hash of the message sent last, on any connection.
    sent: BTreeMap<String, u64>,
}

impl AnnouncementQueue {
    /// For a new connection, on which everything is announced again.
    pub(crate) fn reset(&mut self) {
        self.queue.clear();
        self.moved.clear();
        self.queued_at = None;
    }

    /// Queues messages, replacing queued ones to the same topic. A migration, and several messages to one topic, keep
    /// their order: topics that are queued to be cleared are cleared after the new announcements, and queued releases
    /// and removals are not dropped.
    pub(crate) fn enqueue(&mut self, messages: Vec<Message>, moved: Vec<(Arc<str>, usize)>, now: Instant) {
        if !messages.is_empty() {
            self.queued_at.get_or_insert(now);
        }
        let topics: BTreeSet<&str> = messages.iter().map(|message| message.topic.as_str()).collect();
        if !moved.is_empty() || topics.len() < messages.len() {
            let replaces = |old: &Message, new: &Message| {
                old.topic == new.topic && (old.retained || old.payload == new.payload)
            };
            self.queue.retain(|old| !messages.iter().any(|new| replaces(old, new)));
            let (clears, queued): (Vec<_>, Vec<_>) =
                self.queue.drain(..).partition(|message| message.payload.is_empty());
            self.queue.extend(queued.into_iter().chain(messages).chain(clears));
            self.moved.extend(moved);
            return;
        }
        let (known, new): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| self.sent.get(&message.topic) == Some(&hash(message)));
        for message in new.into_iter().chain(known) {
            match self.queue.iter_mut().rfind(|old| old.topic == message.topic) {
                Some(old) => *old = message,
                None => self.queue.push_back(message),
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The next messages to send. They stay queued until [`mark_sent`](Self::mark_sent).
    pub(crate) fn next_batch(&self) -> Vec<Message> {
        let mut bytes = 0;
        let fits = |message: &&Message| {
            let is_first = bytes == 0;
            bytes += message.payload.len();
            is_first || bytes <= BATCH_BYTES
        };
        self.queue.iter().take_while(fits).cloned().collect()
    }

    /// The broker has received or rejected the batch. After the last one, returns the entities taken over.
    pub(crate) fn mark_sent(&mut self, batch: &[Message]) -> Vec<(Arc<str>, usize)> {
        for message in self.queue.drain(..batch.len().min(self.queue.len())) {
            if self.sent.len() < MAX_SENT || self.sent.contains_key(&message.topic) {
                let hash = hash(&message);
                self.sent.insert(message.topic, hash);
            }
        }
        if self.queue.is_empty() { std::mem::take(&mut self.moved) } else { Vec::new() }
    }

    /// Once the queue is empty: the time since the first message was queued.
    pub(crate) fn take_duration(&mut self, now: Instant) -> Option<Duration> {
        let queued_at = self.queued_at.take_if(|_| self.queue.is_empty())?;
        Some(now.saturating_duration_since(queued_at))
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
    fn a_new_connection_continues_where_the_last_one_broke() {
        let mut queue = AnnouncementQueue::default();
        let all = || ["a", "b", "c", "d"].map(|topic| config(topic, 7_000)).to_vec();
        queue.enqueue(all(), Vec::new(), Instant::now());
        let first = queue.next_batch();
        assert_eq!(topics(&first), ["a", "b"]);
        queue.mark_sent(&first);
        assert_eq!(topics(&queue.next_batch()), ["c", "d"]);
        queue.reset();
        queue.enqueue(all(), Vec::new(), Instant::now());
        let next = queue.next_batch();
        assert_eq!(topics(&next), ["c", "d"], "the broker has received the others");
        queue.mark_sent(&next);
        assert_eq!(topics(&queue.next_batch()), ["a", "b"]);
        queue.reset();
        queue.enqueue(
            [config("a", 1), config("b", 60_000), config("e", 9)].to_vec(),
            Vec::new(),
            Instant::now(),
        );
        assert_eq!(topics(&queue.next_batch()), ["a"], "changed messages come first");
    }

    #[test]
    fn newer_messages_replace_older_ones_and_a_migration_keeps_its_order() {
        let mut queue = AnnouncementQueue::default();
        queue.enqueue(vec![config("a", 1), config("b", 1)], Vec::new(), Instant::now());
        queue.enqueue(vec![config("a", 2)], Vec::new(), Instant::now());
        assert_eq!((topics(&queue.next_batch()), queue.next_batch()[0].payload.len()), (vec!["a", "b"], 2));
        let bank: Arc<str> = Arc::from("pytes");
        let over = vec![config("old", 1), config("a", 3), config("old", 0)];
        queue.enqueue(over, vec![(bank.clone(), 1)], Instant::now());
        let batch = queue.next_batch();
        assert_eq!(topics(&batch), ["b", "old", "a", "old"]);
        assert_eq!(queue.mark_sent(&batch[..2]), []);
        assert_eq!(queue.mark_sent(&batch[2..]), [(bank, 1)]);
        assert!(queue.is_empty());
        // Entities are removed from a message, which is then announced without them.
        queue.enqueue(vec![config("a", 1), config("b", 2), config("a", 3)], Vec::new(), Instant::now());
        queue.enqueue(vec![config("a", 4)], Vec::new(), Instant::now());
        let sizes: Vec<usize> = queue.next_batch().iter().map(|message| message.payload.len()).collect();
        assert_eq!((topics(&queue.next_batch()), sizes), (vec!["a", "b", "a"], vec![1, 2, 4]));
    }

    #[test]
    fn a_second_migration_neither_clears_early_nor_loses_a_removal() {
        let mut queue = AnnouncementQueue::default();
        let (bank, release) = (Arc::<str>::from("pytes"), |topic: &str| Message::transient(topic, "release"));
        let over = |old: &str, bytes| vec![release(old), config("new", bytes), Message::clear_retained(old)];
        queue.enqueue(over("old 1", 1), vec![(bank.clone(), 1)], Instant::now());
        queue.enqueue(over("old 2", 2), vec![(bank.clone(), 1)], Instant::now());
        assert_eq!(topics(&queue.next_batch()), ["old 1", "old 2", "new", "old 2", "old 1"]);
        // Some entities of a message are removed, and then others.
        let remove = |key: &str| Message::transient("new/config", key);
        queue.enqueue(vec![remove("a"), config("new", 3)], Vec::new(), Instant::now());
        queue.enqueue(vec![remove("b"), config("new", 4)], Vec::new(), Instant::now());
        queue.enqueue(vec![remove("b"), config("new", 5)], Vec::new(), Instant::now());
        let of_new = queue.next_batch().into_iter().filter(|message| message.topic == "new/config");
        assert!(of_new.eq([remove("a"), remove("b"), config("new", 5)]));
        assert_eq!(topics(&queue.next_batch())[5..], ["old 2", "old 1"]);
    }

    #[test]
    fn the_duration_counts_from_the_first_batch() {
        let (mut queue, start) = (AnnouncementQueue::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        queue.enqueue(vec![config("a", 15_000), config("b", 15_000)], Vec::new(), start);
        queue.mark_sent(&queue.next_batch());
        queue.enqueue(vec![config("c", 10)], Vec::new(), after(20));
        assert_eq!(queue.take_duration(after(20)), None);
        queue.mark_sent(&queue.next_batch());
        assert_eq!(queue.take_duration(after(30)), Some(Duration::from_secs(30)));
        assert_eq!(queue.take_duration(after(31)), None, "once");
    }
}
