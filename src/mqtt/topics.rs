//! MQTT topics. They are part of the public interface: see `docs/mqtt.md`.

use crate::model::place::Place;
use crate::mqtt::client::client_id::client_id;
use crate::mqtt::message::Message;
use crate::settings::MqttSettings;

pub(crate) const ONLINE: &str = "online";
pub(crate) const OFFLINE: &str = "offline";

#[derive(Clone, Debug)]
pub struct Topics {
    base: String,
    prefix: String,
    document_pattern: Option<String>,
    service_status: String,
}

impl Topics {
    #[must_use]
    pub fn new(settings: &MqttSettings) -> Self {
        Self {
            base: settings.base_topic.clone(),
            prefix: settings.discovery_prefix.clone(),
            document_pattern: settings.state_topic.clone(),
            service_status: format!(
                "{}/service/{}/status",
                settings.base_topic,
                topic_level(&client_id(settings))
            ),
        }
    }

    /// Status and last will of the service. Each service has its own topic, so that two at one broker don't overwrite
    /// each other's status.
    #[must_use]
    pub fn service_status(&self) -> String {
        self.service_status.clone()
    }

    /// The status topic that all services of earlier versions shared; `None` if it would be Home Assistant's own status
    /// topic.
    #[must_use]
    pub(crate) fn shared_status(&self) -> Option<String> {
        (self.base != self.prefix).then(|| format!("{}/status", self.base))
    }

    #[must_use]
    pub(crate) fn last_will(&self) -> Message {
        Message::retained(self.service_status(), OFFLINE)
    }

    /// Corrects a status that earlier versions left at [`shared_status`](Self::shared_status): `online` is set to
    /// `offline`, which a running earlier version corrects; `offline` is cleared.
    #[must_use]
    pub(crate) fn correct_shared_status(&self, retained: &Message) -> Option<Message> {
        let topic = self.shared_status().filter(|shared| *shared == retained.topic)?;
        match retained.payload.as_slice() {
            status if status == OFFLINE.as_bytes() => Some(Message::clear_retained(topic)),
            status if status == ONLINE.as_bytes() => Some(Message::retained(topic, OFFLINE)),
            _ => None,
        }
    }

    /// A topic to which only the client itself publishes and subscribes.
    #[must_use]
    pub(crate) fn echo(&self, client_id: &str) -> String {
        format!("{}/echo/{}", self.base, topic_level(client_id))
    }

    #[must_use]
    pub(crate) fn bank_status(&self, bank: &str) -> String {
        format!("{}/{bank}/status", self.base)
    }

    #[must_use]
    pub(crate) fn battery_status(&self, bank: &str, place: Place) -> String {
        format!("{}/{bank}/battery/{place}/status", self.base)
    }

    /// The filter for [`battery_status`](Self::battery_status) of all batteries.
    #[must_use]
    pub(crate) fn battery_status_filter(&self, bank: &str) -> String {
        format!("{}/{bank}/battery/+/status", self.base)
    }

    /// The battery of a [`battery_status`](Self::battery_status) topic.
    #[must_use]
    pub(crate) fn battery_from_status(&self, bank: &str, topic: &str) -> Option<Place> {
        let filter = self.battery_status_filter(bank);
        let (begin, end) = filter.split_once('+')?;
        topic.strip_prefix(begin)?.strip_suffix(end)?.parse().ok()
    }

    /// Totals of the bank.
    #[must_use]
    pub(crate) fn bank_state(&self, bank: &str) -> String {
        format!("{}/{bank}/state", self.base)
    }

    /// Statistics over all cells of the bank.
    #[must_use]
    pub(crate) fn bank_cells(&self, bank: &str) -> String {
        format!("{}/{bank}/cells", self.base)
    }

    /// Statistics of the service about the bank.
    #[must_use]
    pub(crate) fn bank_service(&self, bank: &str) -> String {
        format!("{}/{bank}/service", self.base)
    }

    /// Values from the table.
    #[must_use]
    pub(crate) fn battery_state(&self, bank: &str, place: Place) -> String {
        format!("{}/{bank}/battery/{place}/state", self.base)
    }

    /// Details and facts.
    #[must_use]
    pub(crate) fn battery_detail(&self, bank: &str, place: Place) -> String {
        format!("{}/{bank}/battery/{place}/detail", self.base)
    }

    /// Cells and their statistics.
    #[must_use]
    pub(crate) fn battery_cells(&self, bank: &str, place: Place) -> String {
        format!("{}/{bank}/battery/{place}/cells", self.base)
    }

    #[must_use]
    pub(crate) fn event(&self, bank: &str) -> String {
        format!("{}/{bank}/event", self.base)
    }

    /// The status document; `None` if it is disabled.
    #[must_use]
    pub(crate) fn document(&self, bank: &str) -> Option<String> {
        Some(self.document_pattern.as_ref()?.replace("{bank}", bank))
    }

    /// The discovery message of a device.
    #[must_use]
    pub(crate) fn device_config(&self, object_id: &str) -> String {
        format!("{}/device/{object_id}/config", self.prefix)
    }

    /// Whether it is a discovery topic, of bankwatch or of pytes_serial.
    #[must_use]
    pub(crate) fn is_discovery(&self, topic: &str) -> bool {
        topic
            .strip_prefix(&self.prefix)
            .is_some_and(|rest| rest.starts_with('/') && rest.ends_with("/config"))
    }

    /// Home Assistant's birth and last will messages.
    #[must_use]
    pub(crate) fn ha_status(&self) -> String {
        format!("{}/status", self.prefix)
    }

    /// The discovery topic of one entity of pytes_serial: with its unique id, before 0.7.1 with a number. `+` for the
    /// filter of all entities of a bank.
    #[must_use]
    pub(crate) fn legacy_config(&self, bank: &str, unique_id: &str) -> String {
        format!("{}/sensor/{bank}/{unique_id}/config", self.prefix)
    }

    #[must_use]
    pub(crate) fn is_legacy_config(&self, bank: &str, topic: &str) -> bool {
        let filter = self.legacy_config(bank, "+");
        let name =
            filter.split_once('+').and_then(|(begin, end)| topic.strip_prefix(begin)?.strip_suffix(end));
        name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
    }
}

/// A client id as one topic level. Characters with a meaning in topics are percent-encoded, so that different ids stay
/// different.
fn topic_level(client_id: &str) -> String {
    let each = |c: char| {
        if "/+#%".contains(c) { format!("%{:02X}", u32::from(c)) } else { c.to_string() }
    };
    client_id.chars().map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_is_one_level_and_stays_unique() {
        assert_eq!(topic_level("bankwatch-pi.lan-811c9dc5"), "bankwatch-pi.lan-811c9dc5");
        assert_eq!(topic_level("Süd 1/+#"), "Süd 1%2F%2B%23");
        assert_ne!(topic_level("a/b"), topic_level("a%2Fb"));
    }
}
