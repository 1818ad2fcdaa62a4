//! One layer: what one source says, each value checked where its origin is still known.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use figment::{
    Error, Metadata, Profile, Provider,
    util::nest,
    value::{Dict, Map, Value},
};

use super::{
    bank::Expected,
    key::{self, Named, Place},
    problem::{Origin, Problem, Trouble},
    pytes_serial::PytesSerialFile,
};

/// One setting that was given. It is not `Debug`: its value may be a secret.
pub(super) struct Given {
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
pub(super) struct Layer {
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
                let key = format!("{place}{}", key::FILE_SUFFIX);
                self.problems.push(Problem::new(origin, key, unreadable(path, &error)));
            }
        }
    }

    /// Takes a text for a dotted name; none where no setting has that name.
    pub(crate) fn dotted(&mut self, path: &[&str], text: &str, folder: &Path, origin: Origin) -> Option<()> {
        match key::locate(path)? {
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

/// The text of a file that people write: settings, a secret, a catalogue. A device named by mistake has no end, so there is one here.
///
/// # Errors
/// Those of the system; it is larger than 1 MiB, or no UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    const MOST_BYTES: u64 = 1024 * 1024;
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "expected UTF-8 text, found other bytes"))
}

/// A warning if every user of this machine may read the secret in this file. Files that a container engine mounts below
/// `/run/secrets` have such a mode, but are visible only in the container.
pub(super) fn readable_by_all(path: &Path) -> Option<String> {
    if path.starts_with("/run/secrets") {
        return None;
    }
    let mode = fs::metadata(path).ok()?.mode() & 0o777;
    let name = path.display();
    (mode & 0o004 != 0).then(|| {
        format!("every user of this machine can read the secret file {name} (mode {mode:03o}); run: chmod o= {name}")
    })
}

/// A file that can't be read, in the system's words.
pub(super) fn unreadable(path: PathBuf, error: &std::io::Error) -> Trouble {
    Trouble::Unreadable { path, reason: error.to_string() }
}
