//! Where everything is said: the names of `docs/mqtt.md`, which are promises.

use crate::model::place::Place;
use crate::mqtt::client::client_id::client_id;
use crate::mqtt::message::Message;
use crate::settings::MqttSettings;

/// Says that something is there.
pub(crate) const ONLINE: &str = "online";
/// Says that it is not.
pub(crate) const OFFLINE: &str = "offline";

/// The topics under the settings' first levels.
#[derive(Clone, Debug)]
pub struct Topics {
    base: String,
    prefix: String,
    document: Option<String>,
    service_status: String,
}

impl Topics {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &MqttSettings) -> Self {
        Self {
            base: settings.base_topic.clone(),
            prefix: settings.discovery_prefix.clone(),
            document: settings.state_topic.clone(),
            service_status: format!("{}/service/{}/status", settings.base_topic, level(&client_id(settings))),
        }
    }

    /// Whether the service is there; also the last will. Each service has its own, so that two at one broker do not
    /// speak for each other.
    #[must_use]
    pub fn service_status(&self) -> String {
        self.service_status.clone()
    }

    /// Where earlier versions published whether the service is there, all at one topic; none where that would be Home
    /// Assistant's own.
    #[must_use]
    pub(crate) fn shared_status(&self) -> Option<String> {
        (self.base != self.prefix).then(|| format!("{}/status", self.base))
    }

    /// What the broker says when the connection is gone without a word.
    #[must_use]
    pub(crate) fn will(&self) -> Message {
        Message::retained(self.service_status(), OFFLINE)
    }

    /// What is to be said about what earlier versions left at [`shared_status`](Self::shared_status). Where they left
    /// `online`, one of them may be running: it contradicts. Otherwise it is cleared at the next connection.
    #[must_use]
    pub(crate) fn outdated(&self, kept: &Message) -> Option<Message> {
        let topic = self.shared_status().filter(|shared| *shared == kept.topic)?;
        match kept.payload.as_slice() {
            word if word == OFFLINE.as_bytes() => Some(Message::forget(topic)),
            word if word == ONLINE.as_bytes() => Some(Message::retained(topic, OFFLINE)),
            _ => None,
        }
    }

    /// Where a client hears itself.
    #[must_use]
    pub(crate) fn echo(&self, client_id: &str) -> String {
        format!("{}/echo/{}", self.base, level(client_id))
    }

    /// Whether a bank is there.
    #[must_use]
    pub(crate) fn bank_status(&self, bank: &str) -> String {
        format!("{}/{bank}/status", self.base)
    }

    /// Whether a battery is there.
    #[must_use]
    pub(crate) fn battery_status(&self, bank: &str, place: Place) -> String {
        format!("{}/{bank}/battery/{place}/status", self.base)
    }

    /// Whether they are there, of all batteries of a bank: a filter.
    #[must_use]
    pub(crate) fn battery_statuses(&self, bank: &str) -> String {
        format!("{}/{bank}/battery/+/status", self.base)
    }

    /// The battery whose [`battery_status`](Self::battery_status) this is.
    #[must_use]
    pub(crate) fn battery_of_status(&self, bank: &str, topic: &str) -> Option<Place> {
        let filter = self.battery_statuses(bank);
        let (begin, end) = filter.split_once('+')?;
        topic.strip_prefix(begin)?.strip_suffix(end)?.parse().ok()
    }

    /// A bank's totals.
    #[must_use]
    pub(crate) fn bank_state(&self, bank: &str) -> String {
        format!("{}/{bank}/state", self.base)
    }

    /// The spread over all cells of a bank.
    #[must_use]
    pub(crate) fn bank_cells(&self, bank: &str) -> String {
        format!("{}/{bank}/cells", self.base)
    }

    /// How the service fares with a bank.
    #[must_use]
    pub(crate) fn bank_service(&self, bank: &str) -> String {
        format!("{}/{bank}/service", self.base)
    }

    /// What the table says of a battery.
    #[must_use]
    pub(crate) fn battery_state(&self, bank: &str, place: Place) -> String {
        format!("{}/{bank}/battery/{place}/state", self.base)
    }

    /// A battery's details and facts.
    #[must_use]
    pub(crate) fn battery_detail(&self, bank: &str, place: Place) -> String {
        format!("{}/{bank}/battery/{place}/detail", self.base)
    }

    /// A battery's cells and their statistics.
    #[must_use]
    pub(crate) fn battery_cells(&self, bank: &str, place: Place) -> String {
        format!("{}/{bank}/battery/{place}/cells", self.base)
    }

    /// One event.
    #[must_use]
    pub(crate) fn event(&self, bank: &str) -> String {
        format!("{}/{bank}/event", self.base)
    }

    /// The status document, if it is wanted.
    #[must_use]
    pub(crate) fn document(&self, bank: &str) -> Option<String> {
        Some(self.document.as_ref()?.replace("{bank}", bank))
    }

    /// Home Assistant's discovery of a device.
    #[must_use]
    pub(crate) fn device_config(&self, object_id: &str) -> String {
        format!("{}/device/{object_id}/config", self.prefix)
    }

    /// Whether something is announced there, in our topics or in the predecessor's.
    #[must_use]
    pub(crate) fn is_discovery(&self, topic: &str) -> bool {
        topic
            .strip_prefix(&self.prefix)
            .is_some_and(|rest| rest.starts_with('/') && rest.ends_with("/config"))
    }

    /// Where Home Assistant says that it has started.
    #[must_use]
    pub(crate) fn birth(&self) -> String {
        format!("{}/status", self.prefix)
    }

    /// Where pytes_serial announced one entity to Home Assistant, by its unique id or, before 0.7.1, by a number; `+`
    /// for all of a bank's.
    #[must_use]
    pub(crate) fn predecessor_config(&self, bank: &str, unique_id: &str) -> String {
        format!("{}/sensor/{bank}/{unique_id}/config", self.prefix)
    }

    /// Whether pytes_serial announced an entity there.
    #[must_use]
    pub(crate) fn is_predecessor_config(&self, bank: &str, topic: &str) -> bool {
        let filter = self.predecessor_config(bank, "+");
        let name =
            filter.split_once('+').and_then(|(begin, end)| topic.strip_prefix(begin)?.strip_suffix(end));
        name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
    }
}

/// A client id as one level of a topic: what has a meaning there, as percent and its code, so that no two ids become
/// the same.
fn level(client_id: &str) -> String {
    let each = |c: char| {
        if "/+#%".contains(c) { format!("%{:02X}", u32::from(c)) } else { c.to_string() }
    };
    client_id.chars().map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_is_one_level_and_no_two_are_the_same() {
        assert_eq!(level("bankwatch-pi.lan-811c9dc5"), "bankwatch-pi.lan-811c9dc5");
        assert_eq!(level("Süd 1/+#"), "Süd 1%2F%2B%23");
        assert_ne!(level("a/b"), level("a%2Fb"));
    }
}
