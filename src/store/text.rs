//! Text from outside, as a database may hold it: bounded, without control characters.

use crate::model::identity::MAX_BARCODE_LEN;

/// At most `most` characters of `text`; what can't be printed becomes `?`.
pub(super) fn bounded(text: &str, most: usize) -> String {
    text.chars().take(most).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// A barcode, so far that one which is too long stays so.
pub(super) fn barcode(text: &str) -> String {
    bounded(text, MAX_BARCODE_LEN + 1)
}

/// What a library or a server said, in one line of bounded length.
pub(super) fn one_line(text: &str) -> String {
    bounded(text.trim(), 200)
}
