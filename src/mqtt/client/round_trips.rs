//! Groups messages into round trips to the broker, and finds messages that the broker does not accept. Pure.
//!
//! A broker that does not accept a packet of some size closes the connection; before MQTT 5 it can't say why. So
//! messages that were in flight when the connection was lost twice are sent one at a time. If the connection is lost
//! twice more over one of them, it is skipped, and so is any larger message, unless a message of that size has been
//! accepted before: then the network was at fault.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::mqtt::client::error::{MqttError, MqttErrorKind};
use crate::mqtt::message::Message;

/// Messages per round trip.
const MAX_IN_FLIGHT: usize = 32;

/// Bytes per round trip, except for a single larger message. The socket's send buffer accepts more at once (72 kB over
/// Ethernet, measured), and it must: if a message is written in two parts and the second part fails, Paho reports it
/// through a structure that it has not filled (paho.mqtt.c 1.3.16, `MQTTAsync_writeComplete`), which ends the process.
const MAX_BYTES_IN_FLIGHT: usize = 64_000;

/// On a slow path fewer bytes are in flight, so that urgent messages do not wait for long; never fewer than this.
const MIN_BYTES_IN_FLIGHT: usize = 4_000;

/// A round trip longer than this halves the bytes in flight.
const SLOW: Duration = Duration::from_secs(1);

/// A round trip shorter than this doubles the bytes in flight.
const FAST: Duration = Duration::from_millis(250);

/// The deadline grows by the base timeout for each so many bytes: 3 kB/s with the usual 5 s.
const BYTES_PER_TIMEOUT: usize = 16_000;

/// A round trip of at least so many bytes shows how fast the path is.
const MEASURABLE_BYTES: usize = 2_000;

/// The next round trip may take so many times as long as the measured speed suggests.
const SPEED_MARGIN: u32 = 8;

/// Header, lengths, packet identifier and empty properties of a PUBLISH packet, in bytes.
const PACKET_OVERHEAD: usize = 10;

/// Losses of the connection after which the messages in flight are sent one at a time.
const LOSSES_BEFORE_ALONE: u32 = 2;

/// Further losses after which a message that was sent alone is skipped.
const LOSSES_ALONE: u32 = 2;

/// No broker has a lower limit: if a smaller message loses the connection, the network is at fault.
const LOWEST_LIMIT: usize = 1_000;

/// Topics whose losses are remembered; far more than one round trip has.
const MAX_SUSPECTS: usize = 1024;

/// Topics that an access list allows or forbids together: the first two levels, the number of levels, and whether the
/// message is retained.
type TopicShape = (String, usize, bool);

/// Messages that are sent together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RoundTrip {
    pub(super) messages: Vec<Message>,
    /// The broker acknowledges the message (QoS 1) and so reports what its access list forbids: always a single
    /// message.
    pub(super) acknowledged: bool,
}

/// What is known about the messages that the broker accepts, and about the speed of the path.
#[derive(Debug)]
pub(super) struct RoundTripPlanner {
    /// Whether the broker reports what it forbids (since MQTT 5).
    reports_denials: bool,
    /// Shapes of which a message was acknowledged or refused on this connection.
    probed: BTreeSet<TopicShape>,
    /// Bytes per round trip.
    window: usize,
    /// Measured on this connection.
    time_per_byte: Option<Duration>,
    /// By topic: how often the connection was lost while a message to it was in flight.
    losses: BTreeMap<String, u32>,
    /// Size of the largest accepted message, in bytes.
    largest_accepted: usize,
    /// Size of the smallest skipped message, in bytes.
    limit: Option<usize>,
}

impl RoundTripPlanner {
    pub(super) fn new(reports_denials: bool) -> Self {
        Self {
            reports_denials,
            probed: BTreeSet::new(),
            window: MAX_BYTES_IN_FLIGHT,
            time_per_byte: None,
            losses: BTreeMap::new(),
            largest_accepted: 0,
            limit: None,
        }
    }

    /// The broker may have another access list than before, and the path may be another.
    pub(super) fn on_connected(&mut self) {
        self.probed.clear();
        self.time_per_byte = None;
    }

    /// Groups the messages in order. Returns the round trips, and an error for each skipped message. `max_packet_size`
    /// is what the broker has announced, in bytes.
    pub(super) fn plan(
        &mut self,
        messages: Vec<Message>,
        max_packet_size: Option<usize>,
    ) -> (Vec<RoundTrip>, Vec<MqttError>) {
        let (mut trips, mut skipped, mut bytes) = (Vec::<RoundTrip>::new(), Vec::new(), 0);
        let mut is_open = false;
        for message in messages {
            if let Some(error) = self.too_large(&message, max_packet_size) {
                skipped.push(error);
                continue;
            }
            // Not for a message that may be written in parts: if the rest can't be written, Paho ends the process.
            let may_acknowledge = self.reports_denials && size(&message) <= MAX_BYTES_IN_FLIGHT;
            let acknowledged = may_acknowledge && self.probed.insert(shape(&message));
            let alone = acknowledged || self.is_suspect(&message.topic);
            bytes += size(&message);
            match trips.last_mut().filter(|_| is_open && !alone) {
                Some(trip) if trip.messages.len() < MAX_IN_FLIGHT && bytes <= self.window => {
                    trip.messages.push(message);
                }
                _ => {
                    bytes = size(&message);
                    trips.push(RoundTrip { messages: vec![message], acknowledged });
                }
            }
            is_open = !alone;
        }
        (trips, skipped)
    }

    /// How long the broker may take to answer; `base` is the timeout of an empty round trip.
    pub(super) fn deadline(&self, trip: &RoundTrip, base: Duration) -> Duration {
        let bytes = u32::try_from(trip.bytes()).unwrap_or(u32::MAX);
        let usual = base.mul_f64(f64::from(bytes) / BYTES_PER_TIMEOUT as f64);
        let measured = self.time_per_byte.map(|time| time.saturating_mul(bytes).saturating_mul(SPEED_MARGIN));
        base + measured.map_or(usual, |measured| measured.min(usual))
    }

    /// The broker has received the messages.
    pub(super) fn on_received(&mut self, trip: &RoundTrip, took: Duration) {
        let bytes = trip.bytes();
        if took > SLOW {
            self.window = (self.window / 2).max(MIN_BYTES_IN_FLIGHT);
        } else if took < FAST {
            self.window = (self.window * 2).min(MAX_BYTES_IN_FLIGHT);
        }
        if let Some(bytes) = u32::try_from(bytes).ok().filter(|_| bytes >= MEASURABLE_BYTES) {
            self.time_per_byte = Some(took / bytes);
        }
        for message in &trip.messages {
            self.losses.remove(&message.topic);
            self.largest_accepted = self.largest_accepted.max(size(message));
        }
    }

    /// The connection was lost while the messages were in flight. Returns an error if they are the likely reason.
    pub(super) fn on_connection_lost(&mut self, trip: &RoundTrip) -> Option<MqttError> {
        if self.losses.len() > MAX_SUSPECTS {
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
            && most >= LOSSES_BEFORE_ALONE + LOSSES_ALONE
        {
            self.losses.remove(&message.topic);
            if bytes > self.largest_accepted.max(LOWEST_LIMIT) {
                self.limit = Some(bytes);
                return Some(skipped(largest));
            }
            // The broker has accepted as much before, but its settings may have changed.
            self.largest_accepted = 0;
        }
        (most >= LOSSES_BEFORE_ALONE && bytes > self.largest_accepted.max(LOWEST_LIMIT)).then(|| {
            let text = format!(
                "the broker closes the connection whenever it is sent certain messages, the largest of {bytes} bytes to \
                 {:?}: probably larger than the broker's packet size limit; raise it",
                largest.topic
            );
            MqttError::new(MqttErrorKind::ConnectionLost, text)
        })
    }

    fn is_suspect(&self, topic: &str) -> bool {
        self.losses.get(topic).is_some_and(|losses| *losses >= LOSSES_BEFORE_ALONE)
    }

    fn too_large(&self, message: &Message, max_packet_size: Option<usize>) -> Option<MqttError> {
        let bytes = size(message);
        if let Some(max) = max_packet_size.filter(|max| bytes > *max) {
            let text = format!(
                "the message to {:?} exceeds the broker's packet size limit ({bytes} of {max} bytes): raise the limit",
                message.topic
            );
            return Some(MqttError::new(MqttErrorKind::TooLarge, text));
        }
        self.limit.filter(|limit| bytes >= *limit).map(|_| skipped(message))
    }
}

impl RoundTrip {
    fn bytes(&self) -> usize {
        self.messages.iter().map(size).sum()
    }
}

fn skipped(message: &Message) -> MqttError {
    let text = format!(
        "the message to {:?} of {} bytes is probably larger than the broker's packet size limit, since the broker \
         closes the connection over it: skipped until the next start; raise the limit and restart the service",
        message.topic,
        size(message)
    );
    MqttError::new(MqttErrorKind::TooLarge, text)
}

/// In bytes, as a packet.
fn size(message: &Message) -> usize {
    message.topic.len() + message.payload.len() + PACKET_OVERHEAD
}

fn shape(message: &Message) -> TopicShape {
    let levels: Vec<&str> = message.topic.split('/').collect();
    (levels.iter().take(2).copied().collect::<Vec<_>>().join("/"), levels.len(), message.retained)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, bytes: usize) -> Message {
        Message::transient(topic, vec![b'x'; bytes])
    }

    fn sizes(trips: &[RoundTrip]) -> Vec<usize> {
        trips.iter().map(|trip| trip.messages.len()).collect()
    }

    /// Sends the messages to a broker that closes the connection over a packet larger than `limit`; returns the errors.
    fn send(
        planner: &mut RoundTripPlanner,
        messages: &[Message],
        limit: usize,
    ) -> Result<Vec<String>, Option<String>> {
        planner.on_connected();
        let (trips, skipped) = planner.plan(messages.to_vec(), None);
        for trip in trips {
            if trip.messages.iter().any(|message| size(message) > limit) {
                return Err(planner.on_connection_lost(&trip).map(|error| error.to_string()));
            }
            planner.on_received(&trip, Duration::from_millis(1));
        }
        Ok(skipped.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn only_messages_beyond_the_limit_are_skipped() {
        let mut planner = RoundTripPlanner::new(false);
        let messages = [message("a", 100), message("b", 5_000), message("c", 20_000), message("d", 300)];
        assert_eq!(
            send(&mut planner, &messages, 10_000),
            Err(None),
            "a single loss may be a restart of the broker"
        );
        let error = send(&mut planner, &messages, 10_000).unwrap_err().unwrap();
        assert!(error.contains("20011 bytes to \"c\"") && error.contains("probably larger"), "{error}");
        assert!(
            send(&mut planner, &messages, 10_000).is_err(),
            "now sent alone, after the messages that are accepted"
        );
        let error = send(&mut planner, &messages, 10_000).unwrap_err().unwrap();
        assert!(error.contains("skipped until the next start"), "{error}");
        for _ in 0..3 {
            let errors = send(&mut planner, &messages, 10_000).unwrap();
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert!(errors[0].contains("\"c\" of 20011 bytes"), "{errors:?}");
        }
        let larger = [message("e", 30_000), message("f", 8_000)];
        assert_eq!(
            send(&mut planner, &larger, 10_000).unwrap().len(),
            1,
            "a larger message is skipped without trying"
        );
    }

    #[test]
    fn an_unstable_network_skips_no_message_accepted_before() {
        let mut planner = RoundTripPlanner::new(false);
        let messages = [message("a", 100), message("b", 20_000)];
        assert_eq!(send(&mut planner, &messages, 64_000), Ok(vec![]));
        for _ in 0..5 {
            assert!(send(&mut planner, &messages, 50).is_err());
        }
        assert_eq!(send(&mut planner, &messages, 64_000), Ok(vec![]));
        assert_eq!(planner.limit, None);
    }

    #[test]
    fn an_announced_packet_size_limit_is_respected() {
        let (trips, skipped) =
            RoundTripPlanner::new(true).plan(vec![message("a", 100), message("b", 3_000)], Some(2_000));
        assert_eq!(sizes(&trips), [1]);
        assert!(skipped[0].to_string().contains("(3011 of 2000 bytes)"), "{}", skipped[0]);
    }

    #[test]
    fn the_first_message_of_each_topic_shape_is_acknowledged() {
        let topics = ["bankwatch/b/state", "bankwatch/b/battery/1/state", "bankwatch/b/battery/2/state"];
        let messages: Vec<Message> = topics.iter().map(|topic| message(topic, 10)).collect();
        let acknowledged = |planner: &mut RoundTripPlanner| -> Vec<bool> {
            let (trips, _) = planner.plan(messages.clone(), None);
            trips.iter().map(|trip| trip.acknowledged).collect()
        };
        let mut planner = RoundTripPlanner::new(true);
        assert_eq!(acknowledged(&mut planner), [true, true, false]);
        assert_eq!(acknowledged(&mut planner), [false]);
        planner.on_connected();
        assert_eq!(acknowledged(&mut planner), [true, true, false]);
        assert_eq!(
            acknowledged(&mut RoundTripPlanner::new(false)),
            [false],
            "before MQTT 5 the broker reports no denial"
        );
        let large = |bytes| vec![message("a", bytes)];
        assert!(
            !planner.plan(large(MAX_BYTES_IN_FLIGHT), None).0[0].acknowledged,
            "it may be written in parts"
        );
        assert!(
            planner.plan(large(100), None).0[0].acknowledged,
            "the next one of its shape is acknowledged"
        );
    }

    #[test]
    fn a_slow_path_has_fewer_bytes_in_flight_and_longer_deadlines() {
        let mut planner = RoundTripPlanner::new(false);
        let messages: Vec<Message> = (0..20).map(|n| message(&n.to_string(), 6_000)).collect();
        let (trips, _) = planner.plan(messages.clone(), None);
        assert_eq!(sizes(&trips), [10, 10]);
        let base = Duration::from_secs(5);
        // At 8 kB/s.
        assert!(planner.deadline(&trips[0], base) > Duration::from_secs(8));
        planner.on_received(&trips[0], Duration::from_secs(8));
        planner.on_received(&trips[1], Duration::from_secs(8));
        assert_eq!(sizes(&planner.plan(messages.clone(), None).0)[..2], [2, 2]);
        for _ in 0..4 {
            planner.on_received(&trips[0], Duration::from_millis(20));
        }
        assert_eq!(sizes(&planner.plan(messages, None).0), [10, 10]);
        assert!(planner.deadline(&trips[0], base) < Duration::from_secs(6), "a fast path that hangs");
    }
}
