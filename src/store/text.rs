//! Limits external text to what a database may store: bounded, without control characters.

use crate::model::identity::MAX_BARCODE_LEN;

/// At most `max_chars` characters of `text`; control characters become `?`.
pub(super) fn bounded(text: &str, max_chars: usize) -> String {
    text.chars().take(max_chars).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// A barcode, truncated such that one that is too long remains recognisable as such.
pub(super) fn barcode(text: &str) -> String {
    bounded(text, MAX_BARCODE_LEN + 1)
}

/// A message of a library or a server, on one line of bounded length.
pub(super) fn one_line(text: &str) -> String {
    bounded(text.trim(), 200)
}
