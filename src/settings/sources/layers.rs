//! The layers on top of one another: figment keeps what won, and where it came from.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

use figment::{Error, Figment, value::Value};
use serde::de::DeserializeOwned;

use crate::settings::check::kind::{Base, Kind};
use crate::settings::check::problem::Origin;
use crate::settings::key::{BANK, Place};
use crate::settings::lookup;
use crate::settings::lookup::Named;
use crate::settings::sections::SECTIONS;
use crate::settings::sources::layer::Given;
use crate::settings::value::lying_in;

/// What holds in the end, setting by setting.
#[derive(Clone, Default)]
pub struct Layers {
    figment: Figment,
    banks: BTreeSet<usize>,
}

impl fmt::Debug for Layers {
    /// The values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers").field("banks", &self.banks).finish_non_exhaustive()
    }
}

impl Layers {
    /// Lays a setting over what was there.
    pub(crate) fn merge(&mut self, given: Given) {
        self.banks.extend(given.place.bank);
        self.figment = std::mem::take(&mut self.figment).merge(given);
    }

    /// Lays the defaults under all there is; `data_dir` has another where the surroundings offer a folder.
    pub(crate) fn complete(&mut self, data_dir: Option<(&Path, Origin)>) {
        if let (Some((folder, origin)), Some(place)) = (data_dir, data_dir_place()) {
            self.join(Given { place, value: folder.to_string_lossy().into_owned().into(), origin });
        }
        for place in self.places().collect::<Vec<_>>() {
            // A default fits its own kind (a test says so); one that did not would be missing at extraction.
            if let Ok(value) = place.key.kind.read(place.key.default) {
                self.join(Given { place, value, origin: Origin::Default });
            }
        }
    }

    fn join(&mut self, given: Given) {
        self.figment = std::mem::take(&mut self.figment).join(given);
    }

    /// The folder of what the service writes.
    pub(crate) fn data_dir(&self, current: &Path) -> PathBuf {
        let text = data_dir_place().and_then(|place| self.value(place)?.into_string());
        lying_in(current, text.unwrap_or_default())
    }

    /// The numbers of the banks, ascending.
    pub(crate) fn banks(&self) -> impl Iterator<Item = usize> {
        self.banks.iter().copied()
    }

    /// Every setting there is, bank by bank, in the order in which people read them.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        SECTIONS.iter().copied().flat_map(|keys| {
            let is_bank = keys.first().is_some_and(|key| key.section == BANK);
            let banks = if is_bank { self.banks().map(Some).collect() } else { vec![None] };
            banks.into_iter().flat_map(|bank| keys.iter().map(move |key| Place { key, bank }))
        })
    }

    /// What holds.
    #[must_use]
    pub(crate) fn value(&self, place: Place) -> Option<Value> {
        self.figment.find_value(&place.to_string()).ok()
    }

    /// Where it came from, in words; none where it is the default.
    #[must_use]
    pub(crate) fn origin(&self, place: Place) -> Option<String> {
        let metadata = self.figment.find_metadata(&place.to_string())?;
        (metadata.name != Origin::Default.to_string()).then(|| metadata.name.clone().into_owned())
    }

    /// Whether any source has the setting of that dotted name, split.
    #[must_use]
    pub(crate) fn is_given(&self, path: &[&str]) -> bool {
        match lookup::locate(path) {
            Some((Named::Value(key), bank)) => self.origin(Place { key, bank }).is_some(),
            _ => false,
        }
    }

    /// The same with relative paths made whole.
    pub(crate) fn resolved(&self, current: &Path, data: &Path, settings: &Path) -> Self {
        let mut resolved = self.clone();
        for place in self.places() {
            let base = match place.key.kind {
                Kind::Path(base) | Kind::OptionalPath(base) => match base {
                    Base::Current => current,
                    Base::Data => data,
                    Base::Settings => settings,
                },
                _ => continue,
            };
            let text =
                self.value(place).and_then(|value| value.into_string()).filter(|text| !text.is_empty());
            if let Some(text) = text {
                let value = lying_in(base, text).to_string_lossy().into_owned().into();
                resolved.merge(Given { place, value, origin: Origin::Default });
            }
        }
        resolved
    }

    /// A section as its type.
    pub(crate) fn extract<T: DeserializeOwned>(&self, section: &str) -> Result<T, Box<Error>> {
        self.figment.extract_inner(section).map_err(Box::new)
    }
}

fn data_dir_place() -> Option<Place> {
    match lookup::find("", "data_dir")? {
        Named::Value(key) => Some(Place { key, bank: None }),
        Named::SecretFile(_) => None,
    }
}
