//! Settings from environment variables, systemd credentials and the command line.

use std::path::Path;

use crate::settings::check::problem::{Origin, ProblemKind, SettingsProblem};
use crate::settings::key::SettingPath;
use crate::settings::lookup;
use crate::settings::sections::SECTIONS;
use crate::settings::sources::layer::Layer;
use crate::settings::sources::text_file::unreadable;

pub(crate) const PREFIX: &str = "BANKWATCH_";

/// Reads `BANKWATCH_MQTT__URL`, `BANKWATCH_BANK__2__LINK`. An unknown variable is only a warning, because variables
/// outlive the version that they were written for.
pub(crate) fn variables(variables: &[(String, String)], folder: &Path) -> Layer {
    let mut layer = Layer::default();
    for (variable, text) in variables {
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        let name = name.to_ascii_lowercase();
        let path: Vec<&str> = name.split("__").collect();
        if layer.add_dotted(&path, text, folder, Origin::Variable(variable.clone())).is_none() {
            let suggest = |near: String| {
                format!("; did you mean {PREFIX}{}?", near.to_ascii_uppercase().replace('.', "__"))
            };
            let hint = lookup::nearest_path(&path).map(suggest).unwrap_or_default();
            layer.warnings.push(format!("variable {variable} matches no setting{hint}"));
        }
    }
    layer
}

/// Reads `mqtt.url=…`, `bank.2.link=…`.
pub(crate) fn overrides(overrides: &[String], folder: &Path) -> Layer {
    let mut layer = Layer::default();
    for text in overrides {
        let Some((name, text)) = text.split_once('=') else {
            let kind = ProblemKind::Syntax("expected NAME=VALUE, such as mqtt.url=mqtt://broker:1883".into());
            layer.problems.push(SettingsProblem::new(Origin::CommandLine, "", kind));
            continue;
        };
        let path: Vec<&str> = name.trim().split('.').collect();
        if layer.add_dotted(&path, text, folder, Origin::CommandLine).is_none() {
            let kind = ProblemKind::Unknown { nearest: lookup::nearest_path(&path) };
            layer.problems.push(SettingsProblem::new(Origin::CommandLine, name.trim(), kind));
        }
    }
    layer
}

/// Reads systemd credentials (`LoadCredential=mqtt_password:…`): one file `<section>_<name>` per secret.
pub(crate) fn credentials(folder: &Path) -> Layer {
    let mut layer = Layer::default();
    for key in SECTIONS.iter().copied().flatten().filter(|key| key.kind.is_secret()) {
        let name = format!("{}_{}", key.section, key.name);
        let file = folder.join(&name);
        let origin = Origin::Credential(name);
        let place = SettingPath { key, bank: None };
        match file.try_exists() {
            Ok(true) => layer.add_secret_file(place, &file, folder, origin),
            Ok(false) => {}
            Err(error) => layer.problems.push(SettingsProblem::new(origin, place, unreadable(file, &error))),
        }
    }
    layer
}
