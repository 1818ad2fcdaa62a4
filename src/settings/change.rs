//! Compares two loads of the settings.

use std::collections::BTreeSet;

use crate::settings::load::LoadedSettings;

/// The dotted names of all settings that differ, including those of added and removed banks.
#[must_use]
pub(crate) fn changed(before: &LoadedSettings, after: &LoadedSettings) -> Vec<String> {
    let places = before.layers.paths().chain(after.layers.paths());
    let differ = places.filter(|place| {
        let plain = |loaded: &LoadedSettings| {
            loaded.layers.value(*place).map(|value| format!("{:?}", untagged(value)))
        };
        plain(before) != plain(after)
    });
    differ.map(|place| place.to_string()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The value without its origin.
fn untagged(value: figment::value::Value) -> Option<serde_json::Value> {
    serde_json::to_value(value).ok()
}
