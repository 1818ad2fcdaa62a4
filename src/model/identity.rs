//! The identity of a battery: its barcode if the console states one, else its place.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::place::Place;

/// The identity of a battery, written as `barcode:H12` or `place:3`, so that a barcode can't be confused with a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Identity {
    /// The serial number.
    Barcode(String),
    /// The place of a battery without a usable serial number.
    Place(Place),
}

/// The longest barcode; the longest known one has 16 characters.
pub(crate) const MAX_BARCODE_LEN: usize = 64;

/// Whether a barcode can be the serial number of a single battery: unprogrammed or exchanged boards state zeros, `N/A`
/// or a few letters.
#[must_use]
pub(crate) fn is_plausible(barcode: &str) -> bool {
    const SHORTEST: usize = 6;
    let printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    let mut significant = barcode.bytes().filter(u8::is_ascii_alphanumeric);
    let first = significant.next();
    (SHORTEST..=MAX_BARCODE_LEN).contains(&barcode.len())
        && barcode.bytes().all(printable)
        && barcode.trim() == barcode
        && barcode.bytes().any(|byte| byte.is_ascii_digit())
        && significant.any(|byte| Some(byte) != first)
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected \"barcode:…\" or \"place:…\", but found {0:?}")]
pub struct ParseIdentityError(String);

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Barcode(barcode) => write!(f, "barcode:{barcode}"),
            Self::Place(place) => write!(f, "place:{place}"),
        }
    }
}

impl FromStr for Identity {
    type Err = ParseIdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = match text.split_once(':') {
            Some(("barcode", barcode)) if !barcode.is_empty() => Some(Self::Barcode(barcode.to_owned())),
            Some(("place", place)) => place.parse().ok().map(Self::Place),
            _ => None,
        };
        found.ok_or_else(|| ParseIdentityError(text.to_owned()))
    }
}

impl From<Identity> for String {
    fn from(identity: Identity) -> Self {
        identity.to_string()
    }
}

impl TryFrom<String> for Identity {
    type Error = ParseIdentityError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholder_barcodes_are_not_plausible() {
        let longest = format!("K2{}", "1".repeat(62));
        for barcode in ["K22110", "HPCR02403150117", "K221104-000001", "PPT 00001", &longest] {
            assert!(is_plausible(barcode), "{barcode}");
        }
        let longer = format!("{longest}1");
        let other =
            ["", "K2211", "0000000000000000", "00-00-00", "FFFFFFFFFFFFFFFF", "N/A", "NULL", "NOBARCODE"];
        let damaged = ["K221104\u{fffd}", " K22110", "K2211\n0", "K221104000000…"];
        for barcode in other.into_iter().chain(damaged).chain([&*longer]) {
            assert!(!is_plausible(barcode), "{barcode:?}");
        }
    }

    #[test]
    fn identities_round_trip_and_a_barcode_is_never_a_place() {
        let all = [
            Identity::Barcode("K221:17".into()),
            Identity::Barcode("place:1".into()),
            Identity::Place(Place::FIRST),
        ];
        for identity in all {
            assert_eq!(identity.to_string().parse(), Ok(identity));
        }
        for text in ["", "K221", "barcode:", "place:0", "place:x"] {
            assert!(text.parse::<Identity>().is_err(), "{text}");
        }
    }
}
