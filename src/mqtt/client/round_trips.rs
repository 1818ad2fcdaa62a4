//! Decides how messages are grouped into round trips to the broker, and which ones the broker does not accept. Pure.
//!
//! A broker that does not accept a packet of that size closes the connection; before MQTT 5 it can't say why. So
//! messages that were under way at two losses are sent one at a time. One that then loses the connection twice more is
//! left out, and so is whatever is larger, unless a message of that size has gone through before: then it was the
//! network.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::mqtt::client::error::{Refusal, RefusalKind};
use crate::mqtt::message::Message;

/// Messages sent before the broker is asked whether it has them.
const IN_FLIGHT: usize = 32;

/// Bytes sent before the broker is asked that, except for a single message that is larger. The system's buffer of a
/// connection takes more at once (72 kB over Ethernet, measured), and it must: if a message is written in two parts and
/// the second part fails, the library reports it through a structure that it has not filled (paho.mqtt.c 1.3.16,
/// `MQTTAsync_writeComplete`), which ends the process.
const BYTES_IN_FLIGHT: usize = 64_000;

/// On a slow path less is under way, so that what is urgent does not wait for long; never less than this.
const LEAST_IN_FLIGHT: usize = 4_000;

/// A round trip is slow if it takes longer than the first, and quick if shorter than the second.
const SLOW: Duration = Duration::from_secs(1);
const QUICK: Duration = Duration::from_millis(250);

/// The broker is given the time for an answer once more for each so many bytes: 3 kB/s with the usual 5 s.
const BYTES_A_TURN: usize = 16_000;

/// A round trip of this size shows how fast the path is; the next may take so many times as long.
const MEASURABLE: usize = 2_000;
const SLOWER: u32 = 8;

/// Around topic and payload in a packet: header, lengths, packet identifier, no properties.
const AROUND: usize = 10;

/// Losses of the connection after which messages go one at a time, and after which one that went alone is left out.
const TOGETHER: u32 = 2;
const ALONE: u32 = 2;

/// No broker's limit is lower: over a message below this, in bytes, it was the network.
const LOWEST_LIMIT: usize = 1_000;

/// Topics whose losses are remembered; what is sent in one round trip is far less.
const MOST_SUSPECTS: usize = 1024;

/// Topics of one shape, which an access list allows or forbids together: the first two levels, how many there are,
/// and whether the broker keeps the message.
type Shape = (String, usize, bool);

/// Messages that go in one round trip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trip {
    pub(super) messages: Vec<Message>,
    /// The broker is to acknowledge it, which names what its access list forbids: always one message.
    pub(super) acknowledged: bool,
}

/// What is known of which messages the broker accepts, and how fast.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Whether the broker can say what it forbids (since MQTT 5).
    names_denials: bool,
    /// Shapes of which a message was acknowledged, or refused, on this connection.
    asked: BTreeSet<Shape>,
    /// Bytes for one round trip.
    window: usize,
    /// Time a byte took, where it is known of this connection.
    pace: Option<Duration>,
    /// By topic: how often the connection was lost with it under way.
    losses: BTreeMap<String, u32>,
    /// The largest that the broker has accepted, in bytes.
    taken: usize,
    /// The smallest that is left out, as it loses the connection.
    limit: Option<usize>,
}

impl Outgoing {
    pub(super) fn new(names_denials: bool) -> Self {
        Self {
            names_denials,
            asked: BTreeSet::new(),
            window: BYTES_IN_FLIGHT,
            pace: None,
            losses: BTreeMap::new(),
            taken: 0,
            limit: None,
        }
    }

    /// A new connection: the broker may have another access list, and the path may be another.
    pub(super) fn connected(&mut self) {
        self.asked.clear();
        self.pace = None;
    }

    /// In order, what goes in one round trip each, and what is left out; `largest` is what the broker has announced.
    pub(super) fn trips(
        &mut self,
        messages: Vec<Message>,
        largest: Option<usize>,
    ) -> (Vec<Trip>, Vec<Refusal>) {
        let (mut trips, mut refused, mut bytes) = (Vec::<Trip>::new(), Vec::new(), 0);
        let mut is_open = false;
        for message in messages {
            if let Some(refusal) = self.too_large(&message, largest) {
                refused.push(refusal);
                continue;
            }
            // Not one that the system's buffer may take in parts: where the rest of it can't be written, the library ends
            // the process.
            let may_ask = self.names_denials && size(&message) <= BYTES_IN_FLIGHT;
            let acknowledged = may_ask && self.asked.insert(shape(&message));
            let alone = acknowledged || self.is_suspect(&message.topic);
            bytes += size(&message);
            match trips.last_mut().filter(|_| is_open && !alone) {
                Some(trip) if trip.messages.len() < IN_FLIGHT && bytes <= self.window => {
                    trip.messages.push(message);
                }
                _ => {
                    bytes = size(&message);
                    trips.push(Trip { messages: vec![message], acknowledged });
                }
            }
            is_open = !alone;
        }
        (trips, refused)
    }

    /// How long the broker may take to answer, where it is given `patience` for nothing at all.
    pub(super) fn deadline(&self, trip: &Trip, patience: Duration) -> Duration {
        let bytes = u32::try_from(trip.bytes()).unwrap_or(u32::MAX);
        let usual = patience.mul_f64(f64::from(bytes) / BYTES_A_TURN as f64);
        let seen = self.pace.map(|pace| pace.saturating_mul(bytes).saturating_mul(SLOWER));
        patience + seen.map_or(usual, |seen| seen.min(usual))
    }

    /// The broker has received these.
    pub(super) fn taken(&mut self, trip: &Trip, within: Duration) {
        let bytes = trip.bytes();
        if within > SLOW {
            self.window = (self.window / 2).max(LEAST_IN_FLIGHT);
        } else if within < QUICK {
            self.window = (self.window * 2).min(BYTES_IN_FLIGHT);
        }
        if let Some(bytes) = u32::try_from(bytes).ok().filter(|_| bytes >= MEASURABLE) {
            self.pace = Some(within / bytes);
        }
        for message in &trip.messages {
            self.losses.remove(&message.topic);
            self.taken = self.taken.max(size(message));
        }
    }

    /// The connection was closed while these were under way. Returns what to log if that was not an accident.
    pub(super) fn lost(&mut self, trip: &Trip) -> Option<Refusal> {
        if self.losses.len() > MOST_SUSPECTS {
            self.losses.clear();
        }
        let mut most = 0;
        for message in &trip.messages {
            let count = self.losses.entry(message.topic.clone()).or_default();
            *count += 1;
            most = most.max(*count);
        }
        let largest = trip.messages.iter().max_by_key(|message| size(message))?;
        let bytes = size(largest);
        if let [message] = trip.messages.as_slice()
            && most >= TOGETHER + ALONE
        {
            self.losses.remove(&message.topic);
            if bytes > self.taken.max(LOWEST_LIMIT) {
                self.limit = Some(bytes);
                return Some(left_out(largest));
            }
            // It has taken as much before, but perhaps it has other settings now.
            self.taken = 0;
        }
        (most >= TOGETHER && bytes > self.taken.max(LOWEST_LIMIT)).then(|| {
            let sentence = format!(
                "the broker closes the connection whenever it is sent certain messages, the largest of {bytes} bytes to \
                 {:?}: probably larger than the broker's packet size limit; raise it",
                largest.topic
            );
            Refusal::new(RefusalKind::Lost, sentence)
        })
    }

    fn is_suspect(&self, topic: &str) -> bool {
        self.losses.get(topic).is_some_and(|losses| *losses >= TOGETHER)
    }

    fn too_large(&self, message: &Message, largest: Option<usize>) -> Option<Refusal> {
        let bytes = size(message);
        if let Some(largest) = largest.filter(|largest| bytes > *largest) {
            let sentence = format!(
                "the message to {:?} is larger than the broker takes ({bytes} of {largest} bytes): raise its limit \
                 of the packet size",
                message.topic
            );
            return Some(Refusal::new(RefusalKind::TooLarge, sentence));
        }
        self.limit.filter(|limit| bytes >= *limit).map(|_| left_out(message))
    }
}

impl Trip {
    fn bytes(&self) -> usize {
        self.messages.iter().map(size).sum()
    }
}

fn left_out(message: &Message) -> Refusal {
    let sentence = format!(
        "the message to {:?} of {} bytes is probably larger than the broker's packet size limit, since the broker \
         closes the connection over it: left out until the next start; raise the limit and restart the service",
        message.topic,
        size(message)
    );
    Refusal::new(RefusalKind::TooLarge, sentence)
}

fn size(message: &Message) -> usize {
    message.topic.len() + message.payload.len() + AROUND
}

fn shape(message: &Message) -> Shape {
    let levels: Vec<&str> = message.topic.split('/').collect();
    (levels.iter().take(2).copied().collect::<Vec<_>>().join("/"), levels.len(), message.retained)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, bytes: usize) -> Message {
        Message::fleeting(topic, vec![b'x'; bytes])
    }

    fn sizes(trips: &[Trip]) -> Vec<usize> {
        trips.iter().map(|trip| trip.messages.len()).collect()
    }

    /// Sends them to a broker that closes the connection over a packet larger than `limit`; returns the refusals.
    fn sent(
        outgoing: &mut Outgoing,
        messages: &[Message],
        limit: usize,
    ) -> Result<Vec<String>, Option<String>> {
        outgoing.connected();
        let (trips, refused) = outgoing.trips(messages.to_vec(), None);
        for trip in trips {
            if trip.messages.iter().any(|message| size(message) > limit) {
                return Err(outgoing.lost(&trip).map(|refusal| refusal.to_string()));
            }
            outgoing.taken(&trip, Duration::from_millis(1));
        }
        Ok(refused.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_message_beyond_the_brokers_limit_is_found_and_left_out_and_all_others_go() {
        let mut outgoing = Outgoing::new(false);
        let messages = [message("a", 100), message("b", 5_000), message("c", 20_000), message("d", 300)];
        assert_eq!(sent(&mut outgoing, &messages, 10_000), Err(None), "once a broker may restart");
        let told = sent(&mut outgoing, &messages, 10_000).unwrap_err().unwrap();
        assert!(told.contains("20011 bytes to \"c\"") && told.contains("probably larger"), "{told}");
        assert!(sent(&mut outgoing, &messages, 10_000).is_err(), "now alone, after what goes through");
        let told = sent(&mut outgoing, &messages, 10_000).unwrap_err().unwrap();
        assert!(told.contains("left out until the next start"), "{told}");
        for _ in 0..3 {
            let told = sent(&mut outgoing, &messages, 10_000).unwrap();
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].contains("\"c\" of 20011 bytes"), "{told:?}");
        }
        let larger = [message("e", 30_000), message("f", 8_000)];
        assert_eq!(
            sent(&mut outgoing, &larger, 10_000).unwrap().len(),
            1,
            "what is larger need not be tried"
        );
    }

    #[test]
    fn a_network_that_breaks_over_and_over_has_nothing_left_out_that_has_gone_through_before() {
        let mut outgoing = Outgoing::new(false);
        let messages = [message("a", 100), message("b", 20_000)];
        assert_eq!(sent(&mut outgoing, &messages, 64_000), Ok(vec![]));
        for _ in 0..5 {
            assert!(sent(&mut outgoing, &messages, 50).is_err());
        }
        assert_eq!(sent(&mut outgoing, &messages, 64_000), Ok(vec![]));
        assert_eq!(outgoing.limit, None);
    }

    #[test]
    fn what_the_broker_announces_is_honoured_up_front() {
        let (trips, refused) =
            Outgoing::new(true).trips(vec![message("a", 100), message("b", 3_000)], Some(2_000));
        assert_eq!(sizes(&trips), [1]);
        assert!(refused[0].to_string().contains("(3011 of 2000 bytes)"), "{}", refused[0]);
    }

    #[test]
    fn the_first_of_each_shape_of_topic_is_acknowledged_on_each_connection_where_that_names_denials() {
        let topics = ["bankwatch/b/state", "bankwatch/b/battery/1/state", "bankwatch/b/battery/2/state"];
        let messages: Vec<Message> = topics.iter().map(|topic| message(topic, 10)).collect();
        let acknowledged = |outgoing: &mut Outgoing| -> Vec<bool> {
            let (trips, _) = outgoing.trips(messages.clone(), None);
            trips.iter().map(|trip| trip.acknowledged).collect()
        };
        let mut outgoing = Outgoing::new(true);
        assert_eq!(acknowledged(&mut outgoing), [true, true, false]);
        assert_eq!(acknowledged(&mut outgoing), [false]);
        outgoing.connected();
        assert_eq!(acknowledged(&mut outgoing), [true, true, false]);
        assert_eq!(acknowledged(&mut Outgoing::new(false)), [false], "before MQTT 5 it would name none");
        let large = |bytes| vec![message("a", bytes)];
        assert!(!outgoing.trips(large(BYTES_IN_FLIGHT), None).0[0].acknowledged, "it is sent in parts");
        assert!(outgoing.trips(large(100), None).0[0].acknowledged, "the next of its shape is");
    }

    #[test]
    fn less_is_under_way_on_a_slow_path_and_it_has_time_for_it() {
        let mut outgoing = Outgoing::new(false);
        let messages: Vec<Message> = (0..20).map(|n| message(&n.to_string(), 6_000)).collect();
        let (trips, _) = outgoing.trips(messages.clone(), None);
        assert_eq!(sizes(&trips), [10, 10]);
        let patience = Duration::from_secs(5);
        // At 8 kB/s.
        assert!(outgoing.deadline(&trips[0], patience) > Duration::from_secs(8));
        outgoing.taken(&trips[0], Duration::from_secs(8));
        outgoing.taken(&trips[1], Duration::from_secs(8));
        assert_eq!(sizes(&outgoing.trips(messages.clone(), None).0)[..2], [2, 2]);
        for _ in 0..4 {
            outgoing.taken(&trips[0], Duration::from_millis(20));
        }
        assert_eq!(sizes(&outgoing.trips(messages, None).0), [10, 10]);
        assert!(outgoing.deadline(&trips[0], patience) < Duration::from_secs(6), "a quick one that hangs");
    }
}
