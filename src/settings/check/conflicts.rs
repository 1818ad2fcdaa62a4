//! Settings that are right by themselves and wrong together.

use crate::settings::check::problem::{Problem, Trouble};
use crate::settings::endpoint::DatabaseUrl;
use crate::settings::key::{BANK, Place};
use crate::settings::lookup;
use crate::settings::lookup::Named;
use crate::settings::sections::Settings;
use crate::settings::sources::layers::Layers;

/// So many publications may go missing before a value is no longer shown.
const LIVES: u32 = 3;

/// All conflicts. A setting that is wrong by itself is in none: its default stands in for it.
pub(crate) fn conflicts(settings: &Settings, layers: &Layers, known: &[Problem]) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut conflict = |places: &[&[&str]], sentence: String| {
        let places: Vec<Place> = places.iter().filter_map(|path| place(path)).collect();
        let wrong = |place: &Place| known.iter().any(|problem| problem.key == place.to_string());
        if let Some(first) = places.first().filter(|_| !places.iter().any(wrong)) {
            let origin = layers.origin(*first).unwrap_or_default();
            found.push(Problem::new(origin, first, Trouble::Conflict(sentence)));
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
                    format!("bank {earlier_number} is named {:?} too; names must differ", bank.name),
                );
            }
            if earlier.link == bank.link && !bank.link.starts_with("replay:") {
                clash(
                    "link",
                    format!("bank {earlier_number} has the link {:?} too; each needs its own", bank.link),
                );
            }
        }
    }
    if settings.database.legacy_table && matches!(settings.database.url, DatabaseUrl::Sqlite(_)) {
        let sentence = "the predecessor's table needs a server: expected a mysql:// url beside it".to_owned();
        conflict(&[&["database", "legacy_table"], &["database", "url"]], sentence);
    }
    let [cert, key] = [&settings.mqtt.client_cert_file, &settings.mqtt.client_key_file];
    for (one, other, given, missing) in [
        ("client_cert_file", "client_key_file", cert, key),
        ("client_key_file", "client_cert_file", key, cert),
    ] {
        if given.is_some() && missing.is_none() {
            conflict(&[&["mqtt", one], &["mqtt", other]], format!("expected mqtt.{other} beside it"));
        }
    }
    let shared = |topic: &String| !topic.contains("{bank}");
    if settings.banks.len() > 1 && settings.mqtt.state_topic.as_ref().is_some_and(shared) {
        let sentence = "several banks would share one topic; expected {bank} in it".to_owned();
        conflict(&[&["mqtt", "state_topic"]], sentence);
    }
    let (life, pause) = (settings.mqtt.expire_after.given().copied(), settings.mqtt.publish_interval);
    if life.is_some_and(|life| life < LIVES * pause) {
        let sentence = format!(
            "values would be unavailable from one publication to the next; expected an mqtt.expire_after of at least \
             {}, {LIVES} times mqtt.publish_interval",
            humantime::format_duration(LIVES * pause)
        );
        conflict(&[&["mqtt", "expire_after"], &["mqtt", "publish_interval"]], sentence);
    }
    found
}

fn place(path: &[&str]) -> Option<Place> {
    match lookup::locate(path)? {
        (Named::Value(key), bank) => Some(Place { key, bank }),
        (Named::SecretFile(_), _) => None,
    }
}
