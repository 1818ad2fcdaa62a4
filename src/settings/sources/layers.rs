//! Merges the layers: figment keeps the winning value of each setting and its origin.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

use figment::{Error, Figment, value::Value};
use serde::de::DeserializeOwned;

use crate::settings::check::kind::{PathBase, SettingKind};
use crate::settings::check::problem::Origin;
use crate::settings::key::{BANK, SettingPath};
use crate::settings::lookup;
use crate::settings::lookup::NamedSetting;
use crate::settings::sections::SECTIONS;
use crate::settings::sources::layer::LayerEntry;
use crate::settings::value::resolve_in;

/// The merged settings with their origins.
#[derive(Clone, Default)]
pub struct Layers {
    figment: Figment,
    banks: BTreeSet<usize>,
}

impl fmt::Debug for Layers {
    /// Omits the values, because they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers").field("banks", &self.banks).finish_non_exhaustive()
    }
}

impl Layers {
    /// Overrides a setting.
    pub(crate) fn merge(&mut self, given: LayerEntry) {
        self.banks.extend(given.place.bank);
        self.figment = std::mem::take(&mut self.figment).merge(given);
    }

    /// Adds the defaults below all layers; `data_dir` replaces the built-in default of the setting of that name.
    pub(crate) fn complete(&mut self, data_dir: Option<(&Path, Origin)>) {
        if let (Some((folder, origin)), Some(place)) = (data_dir, data_dir_place()) {
            self.join(LayerEntry { place, value: folder.to_string_lossy().into_owned().into(), origin });
        }
        for place in self.paths().collect::<Vec<_>>() {
            // Every default is valid, as a test checks.
            if let Ok(value) = place.key.kind.parse(place.key.default) {
                self.join(LayerEntry { place, value, origin: Origin::Default });
            }
        }
    }

    fn join(&mut self, given: LayerEntry) {
        self.figment = std::mem::take(&mut self.figment).join(given);
    }

    pub(crate) fn data_dir(&self, current: &Path) -> PathBuf {
        let text = data_dir_place().and_then(|place| self.value(place)?.into_string());
        resolve_in(current, text.unwrap_or_default())
    }

    /// The numbers of the banks in ascending order.
    pub(crate) fn banks(&self) -> impl Iterator<Item = usize> {
        self.banks.iter().copied()
    }

    /// The paths of all settings, bank by bank, in the order of the documentation.
    pub(crate) fn paths(&self) -> impl Iterator<Item = SettingPath> {
        SECTIONS.iter().copied().flat_map(|keys| {
            let is_bank = keys.first().is_some_and(|key| key.section == BANK);
            let banks = if is_bank { self.banks().map(Some).collect() } else { vec![None] };
            banks.into_iter().flat_map(|bank| keys.iter().map(move |key| SettingPath { key, bank }))
        })
    }

    #[must_use]
    pub(crate) fn value(&self, place: SettingPath) -> Option<Value> {
        self.figment.find_value(&place.to_string()).ok()
    }

    /// The origin of a setting; `None` for a default.
    #[must_use]
    pub(crate) fn origin(&self, place: SettingPath) -> Option<String> {
        let metadata = self.figment.find_metadata(&place.to_string())?;
        (metadata.name != Origin::Default.to_string()).then(|| metadata.name.clone().into_owned())
    }

    /// Whether any source sets the setting with this split dotted name.
    #[must_use]
    pub(crate) fn is_given(&self, path: &[&str]) -> bool {
        match lookup::locate(path) {
            Some((NamedSetting::Value(key), bank)) => self.origin(SettingPath { key, bank }).is_some(),
            _ => false,
        }
    }

    /// Resolves all relative paths.
    pub(crate) fn resolved(&self, current: &Path, data: &Path, settings: &Path) -> Self {
        let mut resolved = self.clone();
        for place in self.paths() {
            let base = match place.key.kind {
                SettingKind::Path(base) | SettingKind::OptionalPath(base) => match base {
                    PathBase::Current => current,
                    PathBase::Data => data,
                    PathBase::Settings => settings,
                },
                _ => continue,
            };
            let text =
                self.value(place).and_then(|value| value.into_string()).filter(|text| !text.is_empty());
            if let Some(text) = text {
                let value = resolve_in(base, text).to_string_lossy().into_owned().into();
                resolved.merge(LayerEntry { place, value, origin: Origin::Default });
            }
        }
        resolved
    }

    pub(crate) fn extract<T: DeserializeOwned>(&self, section: &str) -> Result<T, Box<Error>> {
        self.figment.extract_inner(section).map_err(Box::new)
    }
}

fn data_dir_place() -> Option<SettingPath> {
    match lookup::find("", "data_dir")? {
        NamedSetting::Value(key) => Some(SettingPath { key, bank: None }),
        NamedSetting::SecretFile(_) => None,
    }
}
