//! Why an attempt to connect failed.

use std::time::Duration;

use crate::settings::MqttSettings;

use super::refusal::Refusal;

/// Looks for it. Blocks, each step no longer than `within`.
pub(super) fn of(settings: &MqttSettings, within: Duration) -> Refusal {
    Refusal::silent(settings, within)
}
