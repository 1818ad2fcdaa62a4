//! One answer of a console: its lines without echo, marks and prompt, and whether it says that it succeeded.

use std::borrow::Cow;
use std::ops::Range;

use crate::console::command::Command;
use crate::console::framing::prompt::Prompt;
use crate::console::framing::refusal::Refusal;
use crate::console::word_slot::WordSlot;

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `Command completed successfully`, in one of its spellings.
    Success,
    /// A known text of refusal.
    Refused(Refusal),
    /// Neither: a line is missing or damaged.
    Unclear,
}

/// The text between echo and end mark. Lines that are empty, the start mark, the success line and the pager
/// are left out; carriage returns and line feeds are line ends in any number and order, because consoles mix
/// them (protocol, section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    text: String,
    /// Each line's number and its place in the text.
    lines: Vec<(usize, Range<usize>)>,
    /// The echo, where there was one.
    pub echo: Option<String>,
    /// Whether the echo is only what damage left of the question: then the answer must name itself.
    pub(crate) echo_damaged: bool,
    /// How it ended.
    pub verdict: Verdict,
    /// Whether the end mark `$$` was seen.
    pub ended: bool,
    /// The prompt behind it.
    pub(crate) prompt: Option<Prompt>,
    /// Words in it that no second answer confirmed: they are not read.
    pub(crate) unconfirmed: Vec<WordSlot>,
}

impl Answer {
    pub(crate) fn begin(echo: Option<String>) -> Self {
        Self {
            text: String::new(),
            lines: Vec::new(),
            echo,
            echo_damaged: false,
            verdict: Verdict::Unclear,
            ended: false,
            prompt: None,
            unconfirmed: Vec::new(),
        }
    }

    /// Takes the next line of the body; answers whether it was the end mark.
    pub(crate) fn take(&mut self, line: &str) -> bool {
        self.take_numbered(self.lines.last().map_or(1, |(number, _)| number + 1), line)
    }

    /// The same of a line that has a number of its own.
    pub(crate) fn take_numbered(&mut self, number: usize, line: &str) -> bool {
        let line = behind_pager(line);
        let trimmed = line.trim();
        if trimmed == "$$" {
            self.ended = true;
        } else if trimmed.starts_with("Command completed successfully") {
            self.verdict = Verdict::Success;
        } else if let Some(refusal) = Refusal::in_line(trimmed) {
            self.verdict = Verdict::Refused(refusal);
        } else if !trimmed.is_empty() && trimmed != "@" {
            let start = self.text.len();
            self.text.push_str(line.trim_end());
            self.lines.push((number, start..self.text.len()));
        }
        self.ended
    }

    /// Its lines with their numbers, counted from 1 behind the echo without empty ones; of a file, the file's own.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines.iter().map(|(number, range)| (*number, &self.text[range.clone()]))
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether nothing was said between echo and end.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many bytes its lines hold.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Numbers the lines from 1, whatever numbers they had.
    pub(crate) fn renumber(&mut self) {
        (1..).zip(&mut self.lines).for_each(|(number, line)| line.0 = number);
    }

    /// The command that the echo names.
    #[must_use]
    pub fn command(&self) -> Option<Command> {
        self.echo.as_deref().and_then(|echo| echo.parse().ok())
    }
}

/// The pager's question (protocol, section 4).
pub(crate) fn is_pager(line: &str) -> bool {
    line.trim_start().starts_with("Press [Enter]") && line.trim_end().ends_with("to exit")
}

/// A line without the pager's question. The console erases the question with blanks between carriage returns; in a copy
/// without these the next line is glued to it.
fn behind_pager(line: &str) -> &str {
    let question = line.trim_start().strip_prefix("Press [Enter]");
    question.and_then(|rest| rest.split_once("to exit")).map_or(line, |(_, behind)| behind)
}

/// Every byte is a character: consoles print uninitialised bytes in genuine answers (protocol, section 4). A
/// control character says nothing and may steer the terminal that shows it, so all that is left of it is that
/// something was there.
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
    fn no_byte_becomes_a_control_character_but_blanks_and_line_ends() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        let text = latin1(&all);
        assert_eq!(text.chars().count(), all.len(), "none is lost");
        let controls: String = text.chars().filter(|c| c.is_control()).collect();
        assert_eq!(controls, "\t\n\r");
        assert_eq!(latin1(b"\xc8$ 3311"), "\u{c8}$ 3311");
    }
}
