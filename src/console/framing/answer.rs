//! One answer of a console: its lines without echo, marks and prompt, and whether the command succeeded.

use std::borrow::Cow;
use std::ops::Range;

use crate::console::command::Command;
use crate::console::framing::prompt::Prompt;
use crate::console::framing::refusal::CommandRefusal;
use crate::console::word_slot::WordSlot;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerStatus {
    /// `Command completed successfully`, in one of its spellings.
    Success,
    /// One of the known error texts.
    Refused(CommandRefusal),
    /// Neither: the final line is missing or damaged.
    Unclear,
}

/// The text between echo and end mark, without empty lines, start mark, success line and pager. Carriage returns and
/// line feeds are line ends in any number and order, because consoles mix them (protocol, section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    text: String,
    /// Each line's number and its range in `text`.
    lines: Vec<(usize, Range<usize>)>,
    pub echo: Option<String>,
    /// Whether the echo is a damaged copy of the command: then the answer must identify itself.
    pub(crate) echo_damaged: bool,
    pub status: AnswerStatus,
    /// Whether the end mark `$$` was seen.
    pub has_end_mark: bool,
    pub(crate) prompt: Option<Prompt>,
    /// Words that no second answer confirmed: they are ignored when parsing.
    pub(crate) unconfirmed: Vec<WordSlot>,
}

impl Answer {
    pub(crate) fn new(echo: Option<String>) -> Self {
        Self {
            text: String::new(),
            lines: Vec::new(),
            echo,
            echo_damaged: false,
            status: AnswerStatus::Unclear,
            has_end_mark: false,
            prompt: None,
            unconfirmed: Vec::new(),
        }
    }

    /// Adds the next line of the body; returns whether the end mark has been seen.
    pub(crate) fn push_line(&mut self, line: &str) -> bool {
        self.push_numbered_line(self.lines.last().map_or(1, |(number, _)| number + 1), line)
    }

    /// Like [`Self::push_line`], for a line that has its own number.
    pub(crate) fn push_numbered_line(&mut self, number: usize, line: &str) -> bool {
        let line = strip_pager(line);
        let trimmed = line.trim();
        if trimmed == "$$" {
            self.has_end_mark = true;
        } else if trimmed.starts_with("Command completed successfully") {
            self.status = AnswerStatus::Success;
        } else if let Some(refusal) = CommandRefusal::in_line(trimmed) {
            self.status = AnswerStatus::Refused(refusal);
        } else if !trimmed.is_empty() && trimmed != "@" {
            let start = self.text.len();
            self.text.push_str(line.trim_end());
            self.lines.push((number, start..self.text.len()));
        }
        self.has_end_mark
    }

    /// The lines with their numbers: counted from 1 after the echo, without empty lines, or the file's own numbers.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines.iter().map(|(number, range)| (*number, &self.text[range.clone()]))
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Numbers the lines from 1.
    pub(crate) fn renumber(&mut self) {
        (1..).zip(&mut self.lines).for_each(|(number, line)| line.0 = number);
    }

    /// The command in the echo, if it is a known one.
    pub fn command(&self) -> Option<Command> {
        self.echo.as_deref().and_then(|echo| echo.parse().ok())
    }
}

/// Whether `line` is the pager's prompt (protocol, section 4).
pub(crate) fn is_pager(line: &str) -> bool {
    line.trim_start().starts_with("Press [Enter]") && line.trim_end().ends_with("to exit")
}

/// A line without the pager's prompt. The console overwrites it with blanks between carriage returns; in a copy without
/// these, the next line follows on the same line.
fn strip_pager(line: &str) -> &str {
    let pager = line.trim_start().strip_prefix("Press [Enter]");
    pager.and_then(|rest| rest.split_once("to exit")).map_or(line, |(_, rest)| rest)
}

/// Decodes every byte as one character: consoles print uninitialised bytes in genuine answers (protocol, section 4).
/// Control characters become U+FFFD, since they could affect the terminal that displays them.
pub(crate) fn latin1(bytes: &[u8]) -> Cow<'_, str> {
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\r' | b'\n' | b' '..=b'~');
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.iter().all(is_text) => text.into(),
        _ => {
            let shown = |byte: &u8| match char::from(*byte) {
                control if control.is_control() && !is_text(byte) => char::REPLACEMENT_CHARACTER,
                other => other,
            };
            bytes.iter().map(shown).collect::<String>().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_other_than_white_space_are_replaced() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        let text = latin1(&all);
        assert_eq!(text.chars().count(), all.len(), "none is lost");
        let controls: String = text.chars().filter(|c| c.is_control()).collect();
        assert_eq!(controls, "\t\n\r");
        assert_eq!(latin1(b"\xc8$ 3311"), "\u{c8}$ 3311");
    }
}
