//! What surrounds the process: variables, credentials, the command line.

use std::path::Path;

use crate::settings::check::problem::{Origin, Problem, Trouble};
use crate::settings::key::Place;
use crate::settings::lookup;
use crate::settings::sections::SECTIONS;
use crate::settings::sources::layer::Layer;
use crate::settings::sources::text_file::unreadable;

/// What our variables begin with.
pub(crate) const PREFIX: &str = "BANKWATCH_";

/// `BANKWATCH_MQTT__URL`, `BANKWATCH_BANK__2__LINK`. An unknown one is a warning only: variables outlive the
/// versions they were written for.
pub(crate) fn variables(variables: &[(String, String)], folder: &Path) -> Layer {
    let mut layer = Layer::default();
    for (variable, text) in variables {
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        let name = name.to_ascii_lowercase();
        let path: Vec<&str> = name.split("__").collect();
        if layer.dotted(&path, text, folder, Origin::Variable(variable.clone())).is_none() {
            let spelt = |near: String| {
                format!("; did you mean {PREFIX}{}?", near.to_ascii_uppercase().replace('.', "__"))
            };
            let hint = lookup::nearest_path(&path).map(spelt).unwrap_or_default();
            layer.warnings.push(format!("variable {variable} belongs to no setting{hint}"));
        }
    }
    layer
}

/// `mqtt.url=…`, `bank.2.link=…`.
pub(crate) fn overrides(overrides: &[String], folder: &Path) -> Layer {
    let mut layer = Layer::default();
    for text in overrides {
        let Some((name, text)) = text.split_once('=') else {
            let trouble = Trouble::Syntax("expected NAME=VALUE, such as mqtt.url=mqtt://broker:1883".into());
            layer.problems.push(Problem::new(Origin::CommandLine, "", trouble));
            continue;
        };
        let path: Vec<&str> = name.trim().split('.').collect();
        if layer.dotted(&path, text, folder, Origin::CommandLine).is_none() {
            let trouble = Trouble::Unknown { nearest: lookup::nearest_path(&path) };
            layer.problems.push(Problem::new(Origin::CommandLine, name.trim(), trouble));
        }
    }
    layer
}

/// Secrets that systemd hands over (`LoadCredential=mqtt_password:…`): a file a secret, `<section>_<name>`.
pub(crate) fn credentials(folder: &Path) -> Layer {
    let mut layer = Layer::default();
    for key in SECTIONS.iter().copied().flatten().filter(|key| key.kind.is_secret()) {
        let name = format!("{}_{}", key.section, key.name);
        let file = folder.join(&name);
        let origin = Origin::Credential(name);
        let place = Place { key, bank: None };
        match file.try_exists() {
            Ok(true) => layer.secret_file(place, &file, folder, origin),
            Ok(false) => {}
            Err(error) => layer.problems.push(Problem::new(origin, place, unreadable(file, &error))),
        }
    }
    layer
}
