//! Loads the settings: reads all sources, merges their layers and checks the result.

use std::path::{Path, PathBuf};

use crate::settings::check::conflicts;
use crate::settings::check::problem::{Origin, ProblemKind, SettingsError, SettingsProblem};
use crate::settings::endpoint::resolve_link;
use crate::settings::key::BANK;
use crate::settings::sections::Settings;
use crate::settings::sources::layer::Layer;
use crate::settings::sources::layer::PytesSerialFile;
use crate::settings::sources::layers::Layers;
use crate::settings::sources::text_file::{read_text, readable_by_all, unreadable};
use crate::settings::sources::{Sources, environment, options_file, pytes_serial, toml_file};

/// The settings, with their warnings and origins.
#[derive(Clone, Debug)]
pub struct LoadedSettings {
    pub settings: Settings,
    pub file: Option<PathBuf>,
    pub warnings: Vec<String>,
    /// The origin of each setting.
    pub layers: Layers,
    /// If the file is a `pytes_serial.cfg`: what it contains beyond settings.
    pub(crate) pytes_serial: Option<PytesSerialFile>,
    looked_for: String,
}

impl LoadedSettings {
    /// Checks that a bank is configured.
    ///
    /// # Errors
    /// If there is none; the message explains how to configure one.
    pub fn require_bank(&self) -> Result<(), SettingsError> {
        if !self.settings.banks.is_empty() {
            return Ok(());
        }
        let looked = match &self.file {
            Some(file) => format!("[[bank]] in {}", file.display()),
            None => self.looked_for.clone(),
        };
        let problems = vec![SettingsProblem::new("", "", ProblemKind::NoBank { looked })];
        Err(SettingsError { problems, warnings: self.warnings.clone() })
    }
}

/// Reads all sources and checks everything.
///
/// # Errors
/// Returns all configuration errors at once.
pub fn load(sources: &Sources) -> Result<LoadedSettings, SettingsError> {
    let file = sources.file();
    let settings_folder = match file.and_then(Path::parent) {
        Some(folder) => sources.current_dir.join(folder),
        None => sources.current_dir.clone(),
    };

    let (mut problems, mut warnings, mut expected, mut pytes_serial) = (Vec::new(), Vec::new(), None, None);
    let mut layers = Layers::default();
    for layer in [
        file.map(|file| file_layer(file, &settings_folder, &sources.current_dir)),
        sources.options.as_deref().map(|file| options_file::layer(file, &settings_folder)),
        sources.credentials.as_deref().map(environment::credentials),
        Some(environment::variables(&sources.variables, &settings_folder)),
        Some(environment::overrides(&sources.overrides, &settings_folder)),
    ]
    .into_iter()
    .flatten()
    {
        problems.extend(layer.problems);
        warnings.extend(layer.warnings);
        expected = expected.or(layer.expected);
        pytes_serial = pytes_serial.or(layer.pytes_serial);
        layer.entries.into_iter().for_each(|given| layers.merge(given));
    }
    problems.extend(missing_banks(&layers));
    layers.complete(default_data_dir(sources));

    let data_dir = layers.data_dir(&sources.current_dir);
    let resolved = layers.resolved(&sources.current_dir, &data_dir, &settings_folder);
    match settings(&resolved, &data_dir, &settings_folder) {
        Ok(mut settings) => {
            if let Some(bank) = settings.banks.first_mut() {
                bank.expected = expected;
            }
            problems.extend(conflicts::conflicts(&settings, &layers, &problems));
            if problems.is_empty() {
                let key = settings.mqtt.client_key_file.as_deref();
                let readable = key.and_then(readable_by_all);
                warnings.extend(readable.map(|warning| format!("mqtt.client_key_file: {warning}")));
                let (file, looked_for) = (file.map(Path::to_owned), sources.looked_for());
                return Ok(LoadedSettings { settings, file, warnings, layers, pytes_serial, looked_for });
            }
        }
        // The values were checked one by one, so this is not expected; it is reported only if nothing else is.
        Err(error) if problems.is_empty() => {
            problems.push(SettingsProblem::new("", "", ProblemKind::Syntax(error.to_string())));
        }
        Err(_) => {}
    }
    Err(SettingsError { problems, warnings })
}

/// Reads the configuration file, which is a `bankwatch.toml` or a `pytes_serial.cfg`.
fn file_layer(file: &Path, folder: &Path, current_dir: &Path) -> Layer {
    let path = current_dir.join(file);
    let broken = |trouble| Layer::with_problem(SettingsProblem::new(Origin::file(file), "", trouble));
    match read_text(&path) {
        Ok(text) if pytes_serial::is_pytes_serial_file(file, &text) => {
            pytes_serial::layer(file, folder, &text)
        }
        Ok(text) => toml_file::layer(file, folder, &text),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            broken(ProblemKind::Syntax(error.to_string()))
        }
        Err(error) => broken(unreadable(path, &error)),
    }
}

/// The default of `data_dir` if the environment offers a better one than the table of keys.
fn default_data_dir(sources: &Sources) -> Option<(&Path, Origin)> {
    let state = || Some((sources.state_directory.as_deref()?, Origin::Variable("STATE_DIRECTORY".into())));
    let volume = || Some((sources.data_volume.as_deref()?, Origin::Default));
    [state(), volume()].into_iter().flatten().find(|(folder, _)| folder.is_dir())
}

/// Banks must be numbered without gaps, so that a variable for a missing bank is noticed.
fn missing_banks(layers: &Layers) -> Option<SettingsProblem> {
    let count = layers.banks().count();
    let stray = layers.banks().find(|bank| *bank > count)?;
    let missing = (1..).find(|number| !layers.banks().any(|bank| bank == *number))?;
    let sentence = format!("bank {missing} is missing; number the banks without gaps");
    Some(SettingsProblem::new("", format!("{BANK}.{stray}"), ProblemKind::Conflict(sentence)))
}

fn settings(layers: &Layers, data_dir: &Path, folder: &Path) -> Result<Settings, Box<figment::Error>> {
    let mut settings = Settings {
        data_dir: data_dir.to_owned(),
        banks: layers
            .banks()
            .map(|bank| layers.extract(&format!("{BANK}.{bank}")))
            .collect::<Result<_, _>>()?,
        json_file: layers.extract("json_file")?,
        database: layers.extract("database")?,
        mqtt: layers.extract("mqtt")?,
        events: layers.extract("events")?,
        http: layers.extract("http")?,
        log: layers.extract("log")?,
    };
    settings.database.url = settings.database.url.resolve_in(data_dir);
    for (number, bank) in layers.banks().zip(&mut settings.banks) {
        bank.link = resolve_link(&bank.link, folder);
        bank.cells_explicit = layers.is_given(&[BANK, &number.to_string(), "cells"]);
    }
    settings.mqtt.banks = settings.banks.iter().map(|bank| bank.name.clone()).collect();
    Ok(settings)
}
