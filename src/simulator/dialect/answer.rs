//! The body of an answer and the values printed in it.

use crate::simulator::dialect::text::AnswerText;
use crate::simulator::printed::PrintedValues;

/// An answer without echo and prompt.
pub(crate) struct AnswerBody {
    pub(crate) text: AnswerText,
    pub(crate) values: PrintedValues,
    /// Whether the success line follows.
    pub(crate) success: bool,
    /// Whether the success line ends in an exclamation mark.
    pub(crate) exclamation: bool,
}

impl AnswerBody {
    pub(super) fn done(text: AnswerText, values: PrintedValues) -> Self {
        Self { text, values, success: true, exclamation: false }
    }

    pub(super) fn refusal(text: AnswerText, first_line: &str) -> Self {
        Self {
            text,
            values: PrintedValues::Refusal(first_line.to_owned()),
            success: false,
            exclamation: false,
        }
    }
}
