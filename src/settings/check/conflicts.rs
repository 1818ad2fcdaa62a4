//! Finds settings that are valid by themselves but not together.

use crate::settings::check::problem::{ProblemKind, SettingsProblem};
use crate::settings::endpoint::DatabaseUrl;
use crate::settings::key::{BANK, SettingPath};
use crate::settings::lookup;
use crate::settings::lookup::NamedSetting;
use crate::settings::sections::Settings;
use crate::settings::sources::layers::Layers;

/// The number of publish intervals that a value must remain valid for at least.
const MIN_INTERVALS: u32 = 3;

/// Returns all conflicts. A setting that is invalid by itself is skipped, because its default was used instead.
pub(crate) fn conflicts(
    settings: &Settings,
    layers: &Layers,
    known: &[SettingsProblem],
) -> Vec<SettingsProblem> {
    let mut found = Vec::new();
    let mut conflict = |places: &[&[&str]], sentence: String| {
        let places: Vec<SettingPath> = places.iter().filter_map(|path| place(path)).collect();
        let wrong = |place: &SettingPath| known.iter().any(|problem| problem.key == place.to_string());
        if let Some(first) = places.first().filter(|_| !places.iter().any(wrong)) {
            let origin = layers.origin(*first).unwrap_or_default();
            found.push(SettingsProblem::new(origin, first, ProblemKind::Conflict(sentence)));
        }
    };

    let banks: Vec<_> = layers.banks().zip(&settings.banks).collect();
    for (at, (number, bank)) in banks.iter().enumerate() {
        for (earlier_number, earlier) in banks.iter().take(at) {
            let mut clash = |setting: &str, sentence: String| {
                let [number, earlier] = [number, earlier_number].map(ToString::to_string);
                conflict(&[&[BANK, &number, setting], &[BANK, &earlier, setting]], sentence);
            };
            if earlier.name == bank.name {
                clash(
                    "name",
                    format!(
                        "bank {earlier_number} is named {:?} as well; bank names must be unique",
                        bank.name
                    ),
                );
            }
            if earlier.link == bank.link && !bank.link.starts_with("replay:") {
                clash(
                    "link",
                    format!(
                        "bank {earlier_number} has the link {:?} as well; each bank needs its own link",
                        bank.link
                    ),
                );
            }
        }
    }
    if settings.database.legacy_table && matches!(settings.database.url, DatabaseUrl::Sqlite(_)) {
        let sentence =
            "the pytes_serial table needs a MariaDB or MySQL server; set database.url to mysql://…"
                .to_owned();
        conflict(&[&["database", "legacy_table"], &["database", "url"]], sentence);
    }
    let [cert, key] = [&settings.mqtt.client_cert_file, &settings.mqtt.client_key_file];
    for (one, other, given, missing) in [
        ("client_cert_file", "client_key_file", cert, key),
        ("client_key_file", "client_cert_file", key, cert),
    ] {
        if given.is_some() && missing.is_none() {
            conflict(&[&["mqtt", one], &["mqtt", other]], format!("set mqtt.{other} as well"));
        }
    }
    let shared = |topic: &String| !topic.contains("{bank}");
    if settings.banks.len() > 1 && settings.mqtt.state_topic.as_ref().is_some_and(shared) {
        let sentence = "several banks would share one topic; add {bank} to the topic".to_owned();
        conflict(&[&["mqtt", "state_topic"]], sentence);
    }
    let (life, pause) = (settings.mqtt.expire_after.given().copied(), settings.mqtt.publish_interval);
    if life.is_some_and(|life| life < MIN_INTERVALS * pause) {
        let sentence = format!(
            "values would be unavailable from one publication to the next; set mqtt.expire_after to at least {}, \
             {MIN_INTERVALS} times mqtt.publish_interval",
            humantime::format_duration(MIN_INTERVALS * pause)
        );
        conflict(&[&["mqtt", "expire_after"], &["mqtt", "publish_interval"]], sentence);
    }
    found
}

fn place(path: &[&str]) -> Option<SettingPath> {
    match lookup::locate(path)? {
        (NamedSetting::Value(key), bank) => Some(SettingPath { key, bank }),
        (NamedSetting::SecretFile(_), _) => None,
    }
}
