//! Value types of the sections, and how they are deserialized.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer, de::Error};

/// A setting that the service determines by itself unless it is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AutoOr<T> {
    #[default]
    Auto,
    Given(T),
}

impl<T> AutoOr<T> {
    /// The value, if it is set.
    pub(crate) fn given(&self) -> Option<&T> {
        match self {
            Self::Auto => None,
            Self::Given(value) => Some(value),
        }
    }
}

/// Resolves a relative path against `folder` and removes redundant dots.
pub(crate) fn resolve_in(folder: &Path, path: impl AsRef<Path>) -> PathBuf {
    folder.join(path).components().collect()
}

/// Reads `"10s"`, `"1m 30s"`, `"7d"` or `"0s"`.
pub(crate) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    humantime::parse_duration(&String::deserialize(from)?).map_err(D::Error::custom)
}

/// Reads `"auto"` or a text.
pub(crate) fn auto_or_text<'de, D: Deserializer<'de>>(from: D) -> Result<AutoOr<String>, D::Error> {
    let text = String::deserialize(from)?;
    Ok(if text == "auto" { AutoOr::Auto } else { AutoOr::Given(text) })
}

/// Reads `"auto"` or a duration.
pub(crate) fn auto_or_duration<'de, D: Deserializer<'de>>(from: D) -> Result<AutoOr<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    if text == "auto" {
        return Ok(AutoOr::Auto);
    }
    humantime::parse_duration(&text).map(AutoOr::Given).map_err(D::Error::custom)
}

/// Reads a text; the empty text means `None`.
pub(crate) fn non_empty<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: From<String>,
{
    let text = String::deserialize(from)?;
    Ok(if text.is_empty() { None } else { Some(T::from(text)) })
}
