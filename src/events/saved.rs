//! Active events on disk, so that a restart raises no event again and durations continue.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::event::{Condition, EventLevel};
use crate::model::place::Place;
use crate::settings::read_text;

/// The version of the file format.
const VERSION: u32 = 1;

/// The state of one bank.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedBank {
    /// The places at which a battery was seen.
    pub(crate) known: BTreeSet<Place>,
    #[serde(rename = "standing")]
    pub active: Vec<SavedEvent>,
}

/// An active event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedEvent {
    /// `None` for the bank itself.
    pub(crate) battery: Option<Place>,
    pub(crate) barcode: Option<String>,
    pub word: String,
    #[serde(flatten)]
    pub(crate) condition: Condition,
    /// The name that the console printed.
    pub(crate) name: Option<String>,
    pub(crate) level: EventLevel,
    pub(crate) text: String,
    pub(crate) raised_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct SavedFile<B> {
    version: u32,
    #[serde(flatten)]
    bank: B,
}

impl SavedBank {
    #[must_use]
    pub fn file_name(bank: &str) -> String {
        format!("{bank}_standing_events.json")
    }

    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&SavedFile { version: VERSION, bank: self })?)
    }

    /// Reads the file; a missing file is an empty state.
    ///
    /// # Errors
    /// Returns an error if the file can't be read or has another format or version.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = match read_text(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let form: SavedFile<Self> = serde_json::from_str(&text)?;
        if form.version != VERSION {
            let message = format!("expected version {VERSION}, found {}", form.version);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(form.bank)
    }
}
