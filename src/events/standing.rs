//! What stands, kept on disk, so that a restart raises nothing again and durations go on.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::event::{EventLevel, Sign};
use crate::model::place::Place;
use crate::settings::read_text;

/// The form of the file.
const VERSION: u32 = 1;

/// What stands in one bank.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedBank {
    /// The places at which a battery was seen.
    pub(crate) known: BTreeSet<Place>,
    /// What stands.
    pub standing: Vec<SavedEvent>,
}

/// One condition that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedEvent {
    /// Whose it is; none for the bank itself.
    pub(crate) battery: Option<Place>,
    /// That battery's serial number.
    pub(crate) barcode: Option<String>,
    /// The word that said it.
    pub word: String,
    /// What of that word.
    #[serde(flatten)]
    pub(crate) sign: Sign,
    /// The console's own name for it.
    pub(crate) name: Option<String>,
    /// Its weight when it was raised.
    pub(crate) level: EventLevel,
    /// What it means.
    pub(crate) text: String,
    /// When it was raised.
    pub(crate) raised_at: Timestamp,
}

/// The file: one a bank.
#[derive(Serialize, Deserialize)]
struct Form<B> {
    version: u32,
    #[serde(flatten)]
    bank: B,
}

impl SavedBank {
    /// The name of a bank's file in the folder of what the service writes.
    #[must_use]
    pub fn file_name(bank: &str) -> String {
        format!("{bank}_standing_events.json")
    }

    /// The content of the file.
    ///
    /// # Errors
    /// None in practice: all of it has a form in JSON.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&Form { version: VERSION, bank: self })?)
    }

    /// What the file holds; nothing where there is none yet.
    ///
    /// # Errors
    /// It can't be read, or is none of ours.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = match read_text(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let form: Form<Self> = serde_json::from_str(&text)?;
        if form.version != VERSION {
            let sentence = format!("expected version {VERSION} of it, found {}", form.version);
            return Err(io::Error::new(io::ErrorKind::InvalidData, sentence));
        }
        Ok(form.bank)
    }
}
