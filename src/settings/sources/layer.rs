//! One layer: what one source says, each value checked where its origin is still known.

use std::path::Path;

use figment::{
    Error, Metadata, Profile, Provider,
    util::nest,
    value::{Dict, Map, Value},
};

use crate::settings::check::problem::{Origin, Problem, Trouble};
use crate::settings::key::{FILE_SUFFIX, Place};
use crate::settings::lookup;
use crate::settings::lookup::Named;
use crate::settings::sections::bank::Expected;
use crate::settings::sources::text_file::{read_text, readable_by_all, unreadable};

/// One setting that was given. It is not `Debug`: its value may be a secret.
pub(crate) struct Given {
    pub(crate) place: Place,
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

impl Provider for Given {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let nested = nest(&self.place.to_string(), self.value.clone());
        Ok(Profile::Default.collect(nested.into_dict().unwrap_or_default()))
    }
}

/// What one source says.
#[derive(Default)]
pub(crate) struct Layer {
    pub(crate) givens: Vec<Given>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<String>,
    /// Only the predecessor's file says this.
    pub(crate) expected: Option<Expected>,
    /// Of a `pytes_serial.cfg`.
    pub(crate) pytes_serial: Option<PytesSerialFile>,
}

impl Layer {
    /// A layer that says only what is wrong with it.
    pub(crate) fn broken(problem: Problem) -> Self {
        Self { problems: vec![problem], ..Self::default() }
    }

    /// Takes a text, converting it to what the setting wants.
    pub(crate) fn text(&mut self, place: Place, text: &str, origin: Origin) {
        match place.key.kind.read(text) {
            Ok(value) => self.push(Given { place, value, origin }),
            Err(mismatch) => self.problems.push(Problem::new(origin, place, Trouble::Mismatch(mismatch))),
        }
    }

    /// Takes a value whose type was already written down.
    pub(crate) fn value(&mut self, place: Place, value: Value, origin: Origin) {
        match place.key.kind.check(&value) {
            Ok(()) => self.push(Given { place, value, origin }),
            Err(mismatch) => self.problems.push(Problem::new(origin, place, Trouble::Mismatch(mismatch))),
        }
    }

    /// Takes a secret from the file of that name, without the line end that editors leave behind it.
    pub(crate) fn secret_file(&mut self, place: Place, file: &Path, folder: &Path, origin: Origin) {
        let path = folder.join(file);
        match read_text(&path) {
            Ok(text) => {
                self.warnings.extend(readable_by_all(&path).map(|warning| format!("{place}: {warning}")));
                let secret =
                    text.strip_suffix('\n').map_or(text.as_str(), |line| line.trim_end_matches('\r'));
                self.text(place, secret, origin);
            }
            Err(error) => {
                let key = format!("{place}{}", FILE_SUFFIX);
                self.problems.push(Problem::new(origin, key, unreadable(path, &error)));
            }
        }
    }

    /// Takes a text for a dotted name; none where no setting has that name.
    pub(crate) fn dotted(&mut self, path: &[&str], text: &str, folder: &Path, origin: Origin) -> Option<()> {
        match lookup::locate(path)? {
            (Named::Value(key), bank) => self.text(Place { key, bank }, text, origin),
            (Named::SecretFile(key), bank) => {
                self.secret_file(Place { key, bank }, Path::new(text), folder, origin);
            }
        }
        Some(())
    }

    fn push(&mut self, given: Given) {
        let name = given.place.to_string();
        match self.givens.iter().find(|known| known.place.to_string() == name) {
            Some(known) => {
                let twice = Trouble::Twice(known.origin.to_string());
                self.problems.push(Problem::new(given.origin, name, twice));
            }
            None => self.givens.push(given),
        }
    }
}

/// What is in the file and in no setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PytesSerialFile {
    /// The bank's name as it is written there, where bankwatch can't use it as it is.
    pub(crate) unusable_name: Option<String>,
}
