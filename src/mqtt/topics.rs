//! Where everything is said: the names of `docs/mqtt.md`, which are promises.

use super::message::Message;
use crate::model::place::Place;
use crate::settings::MqttSettings;

/// Says that something is there.
pub const ONLINE: &str = "online";
/// Says that it is not.
pub const OFFLINE: &str = "offline";

/// The topics under the settings' first levels.
#[derive(Clone, Debug)]
pub struct Topics {
    base: String,
    prefix: String,
    document: Option<String>,
}

impl Topics {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &MqttSettings) -> Self {
        Self {
            base: settings.base_topic.clone(),
            prefix: settings.discovery_prefix.clone(),
            document: settings.state_topic.clone(),
        }
    }

    /// Whether the service is there; also the last will.
    #[must_use]
    pub fn service_status(&self) -> String {
        format!("{}/status", self.base)
    }

    /// What the broker says when the connection is gone without a word.
    #[must_use]
    pub fn will(&self) -> Message {
        Message::retained(self.service_status(), OFFLINE)
    }

    /// Where a client hears itself. An id may hold what has a meaning in filters.
    #[must_use]
    pub fn echo(&self, client_id: &str) -> String {
        format!("{}/echo/{}", self.base, client_id.replace(['+', '#', '/'], "-"))
    }

    /// Whether a bank is there.
    #[must_use]
    pub fn bank_status(&self, bank: &str) -> String {
        format!("{}/{bank}/status", self.base)
    }

    /// Whether a battery is there.
    #[must_use]
    pub fn battery_status(&self, bank: &str, place: Place) -> String {
        format!("{}/{bank}/battery/{place}/status", self.base)
    }

    /// Whether they are there, of all batteries of a bank: a filter.
    #[must_use]
    pub fn battery_statuses(&self, bank: &str) -> String {
        format!("{}/{bank}/battery/+/status", self.base)
    }

    /// The battery whose [`battery_status`](Self::battery_status) this is.
    #[must_use]
    pub fn battery_of_status(&self, bank: &str, topic: &str) -> Option<Place> {
        let filter = self.battery_statuses(bank);
        let (begin, end) = filter.split_once('+')?;
        topic.strip_prefix(begin)?.strip_suffix(end)?.parse().ok()
    }

    /// A bank's totals.
    #[must_use]
    pub fn bank_state(&self, bank: &str) -> String {
        format!("{}/{bank}/state", self.base)
    }

    /// The spread over all cells of a bank.
    #[must_use]
    pub fn bank_cells(&self, bank: &str) -> String {
        format!("{}/{bank}/cells", self.base)
    }

    /// How the service fares with a bank.
    #[must_use]
    pub fn bank_service(&self, bank: &str) -> String {
        format!("{}/{bank}/service", self.base)
    }

    /// What the table says of a battery.
    #[must_use]
    pub fn battery_state(&self, bank: &str, place: Place) -> String {
        format!("{}/{bank}/battery/{place}/state", self.base)
    }

    /// A battery's details and facts.
    #[must_use]
    pub fn battery_detail(&self, bank: &str, place: Place) -> String {
        format!("{}/{bank}/battery/{place}/detail", self.base)
    }

    /// A battery's cells and their statistics.
    #[must_use]
    pub fn battery_cells(&self, bank: &str, place: Place) -> String {
        format!("{}/{bank}/battery/{place}/cells", self.base)
    }

    /// One event.
    #[must_use]
    pub fn event(&self, bank: &str) -> String {
        format!("{}/{bank}/event", self.base)
    }

    /// The status document, if it is wanted.
    #[must_use]
    pub fn document(&self, bank: &str) -> Option<String> {
        Some(self.document.as_ref()?.replace("{bank}", bank))
    }

    /// Home Assistant's discovery of a device.
    #[must_use]
    pub fn device_config(&self, object_id: &str) -> String {
        format!("{}/device/{object_id}/config", self.prefix)
    }

    /// Whether something is announced there, in our topics or in the predecessor's.
    #[must_use]
    pub fn is_discovery(&self, topic: &str) -> bool {
        topic
            .strip_prefix(&self.prefix)
            .is_some_and(|rest| rest.starts_with('/') && rest.ends_with("/config"))
    }

    /// Where Home Assistant says that it has started.
    #[must_use]
    pub fn birth(&self) -> String {
        format!("{}/status", self.prefix)
    }

    /// Where the predecessor told Home Assistant of one entity; `+` for all of a bank's.
    #[must_use]
    pub fn predecessor_config(&self, bank: &str, unique_id: &str) -> String {
        format!("{}/sensor/{bank}/{unique_id}/config", self.prefix)
    }
}
