//! A layer: the settings of one source, each checked while its origin is known.

use std::path::Path;

use figment::{
    Error, Metadata, Profile, Provider,
    util::nest,
    value::{Dict, Map, Value},
};

use crate::settings::check::problem::{Origin, ProblemKind, SettingsProblem};
use crate::settings::key::{FILE_SUFFIX, SettingPath};
use crate::settings::lookup;
use crate::settings::lookup::NamedSetting;
use crate::settings::sections::bank::ExpectedCounts;
use crate::settings::sources::text_file::{read_text, readable_by_all, unreadable};

/// One setting of a layer. Not `Debug`, because its value may be a secret.
pub(crate) struct LayerEntry {
    pub(crate) place: SettingPath,
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

impl Provider for LayerEntry {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let nested = nest(&self.place.to_string(), self.value.clone());
        Ok(Profile::Default.collect(nested.into_dict().unwrap_or_default()))
    }
}

#[derive(Default)]
pub(crate) struct Layer {
    pub(crate) entries: Vec<LayerEntry>,
    pub(crate) problems: Vec<SettingsProblem>,
    pub(crate) warnings: Vec<String>,
    /// Only set by a `pytes_serial.cfg`.
    pub(crate) expected: Option<ExpectedCounts>,
    pub(crate) pytes_serial: Option<PytesSerialFile>,
}

impl Layer {
    pub(crate) fn with_problem(problem: SettingsProblem) -> Self {
        Self { problems: vec![problem], ..Self::default() }
    }

    /// Adds a text, converted to the type of the setting.
    pub(crate) fn add_text(&mut self, place: SettingPath, text: &str, origin: Origin) {
        match place.key.kind.parse(text) {
            Ok(value) => self.push(LayerEntry { place, value, origin }),
            Err(mismatch) => {
                self.problems.push(SettingsProblem::new(origin, place, ProblemKind::Mismatch(mismatch)))
            }
        }
    }

    /// Adds a value that has a type already.
    pub(crate) fn add_value(&mut self, place: SettingPath, value: Value, origin: Origin) {
        match place.key.kind.check(&value) {
            Ok(()) => self.push(LayerEntry { place, value, origin }),
            Err(mismatch) => {
                self.problems.push(SettingsProblem::new(origin, place, ProblemKind::Mismatch(mismatch)))
            }
        }
    }

    /// Adds a secret from a file, without the trailing newline that editors add.
    pub(crate) fn add_secret_file(&mut self, place: SettingPath, file: &Path, folder: &Path, origin: Origin) {
        let path = folder.join(file);
        match read_text(&path) {
            Ok(text) => {
                self.warnings.extend(readable_by_all(&path).map(|warning| format!("{place}: {warning}")));
                let secret =
                    text.strip_suffix('\n').map_or(text.as_str(), |line| line.trim_end_matches('\r'));
                self.add_text(place, secret, origin);
            }
            Err(error) => {
                let key = format!("{place}{}", FILE_SUFFIX);
                self.problems.push(SettingsProblem::new(origin, key, unreadable(path, &error)));
            }
        }
    }

    /// Adds a text for a dotted name; `None` if no setting has that name.
    pub(crate) fn add_dotted(
        &mut self,
        path: &[&str],
        text: &str,
        folder: &Path,
        origin: Origin,
    ) -> Option<()> {
        match lookup::locate(path)? {
            (NamedSetting::Value(key), bank) => self.add_text(SettingPath { key, bank }, text, origin),
            (NamedSetting::SecretFile(key), bank) => {
                self.add_secret_file(SettingPath { key, bank }, Path::new(text), folder, origin);
            }
        }
        Some(())
    }

    fn push(&mut self, given: LayerEntry) {
        let name = given.place.to_string();
        match self.entries.iter().find(|known| known.place.to_string() == name) {
            Some(known) => {
                let kind = ProblemKind::Twice(known.origin.to_string());
                self.problems.push(SettingsProblem::new(given.origin, name, kind));
            }
            None => self.entries.push(given),
        }
    }
}

/// What a `pytes_serial.cfg` contains beyond settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PytesSerialFile {
    /// The bank's original name, if bankwatch had to change it.
    pub(crate) unusable_name: Option<String>,
}
