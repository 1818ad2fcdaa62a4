//! What changed between two loads of the settings.

use std::collections::BTreeSet;

use crate::settings::load::Loaded;

/// The dotted names of all settings that differ, banks that came or went included.
#[must_use]
pub(crate) fn changed(before: &Loaded, after: &Loaded) -> Vec<String> {
    let places = before.layers.places().chain(after.layers.places());
    let differ = places.filter(|place| {
        let plain =
            |loaded: &Loaded| loaded.layers.value(*place).map(|value| format!("{:?}", untagged(value)));
        plain(before) != plain(after)
    });
    differ.map(|place| place.to_string()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The value alone: each carries where it came from as well.
fn untagged(value: figment::value::Value) -> Option<serde_json::Value> {
    serde_json::to_value(value).ok()
}
