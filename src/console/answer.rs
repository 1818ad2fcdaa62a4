//! One answer of a console: its lines without echo, marks and prompt, and whether it says that it succeeded.

use std::borrow::Cow;
use std::ops::Range;

use crate::console::command::Command;
use crate::console::prompt::Prompt;
use crate::console::refusal::Refusal;

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
    lines: Vec<Range<usize>>,
    /// The echo, where there was one.
    pub echo: Option<String>,
    /// How it ended.
    pub verdict: Verdict,
    /// Whether the end mark `$$` was seen.
    pub ended: bool,
    /// The prompt behind it.
    pub prompt: Option<Prompt>,
}

impl Answer {
    pub(super) fn begin(echo: Option<String>) -> Self {
        Self {
            text: String::new(),
            lines: Vec::new(),
            echo,
            verdict: Verdict::Unclear,
            ended: false,
            prompt: None,
        }
    }

    /// Takes the next line of the body; answers whether it was the end mark.
    pub(super) fn take(&mut self, line: &str) -> bool {
        let trimmed = line.trim();
        if trimmed == "$$" {
            self.ended = true;
        } else if trimmed.starts_with("Command completed successfully") {
            self.verdict = Verdict::Success;
        } else if let Some(refusal) = Refusal::in_line(trimmed) {
            self.verdict = Verdict::Refused(refusal);
        } else if !trimmed.is_empty() && trimmed != "@" && !is_pager(trimmed) {
            let start = self.text.len();
            self.text.push_str(line.trim_end());
            self.lines.push(start..self.text.len());
        }
        self.ended
    }

    /// Its lines with their numbers, counted from 1 behind the echo without empty ones.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines.iter().enumerate().map(|(index, range)| (index + 1, &self.text[range.clone()]))
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether nothing was said between echo and end.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many bytes its lines hold.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Reads a transcript that lies in a file: line ends of any kind, `#` comments before the echo, the echo,
    /// end mark and prompt each present or not, the echo perhaps twice.
    #[must_use]
    pub fn from_transcript(bytes: &[u8]) -> Self {
        let text = latin1(bytes);
        let mut answer = Self::begin(None);
        let mut lines = text.split(['\r', '\n']);
        let asked = text.split(['\r', '\n']).position(|line| is_command(Prompt::strip(line)));
        if let Some(echo) = asked.and_then(|at| lines.nth(at)) {
            answer.echo = Some(Prompt::strip(echo).to_owned());
        }
        for line in lines {
            if answer.ended || answer.verdict != Verdict::Unclear {
                answer.prompt = answer.prompt.or_else(|| Prompt::at_end_of(line));
            }
            let comment = answer.echo.is_none() && line.starts_with('#');
            let echo = answer.echo.as_deref().is_some_and(|echo| echo == Prompt::strip(line));
            if !answer.ended && !comment && !echo && !Prompt::is_alone_on(line) {
                answer.take(line);
            }
        }
        answer
    }

    /// The command that the echo names.
    #[must_use]
    pub fn command(&self) -> Option<Command> {
        self.echo.as_deref().and_then(|echo| echo.parse().ok())
    }
}

fn is_command(line: &str) -> bool {
    line.parse::<Command>().is_ok()
}

/// The pager's question (protocol, section 4).
pub(super) fn is_pager(line: &str) -> bool {
    line.trim_start().starts_with("Press [Enter]") && line.trim_end().ends_with("to exit")
}

/// Every byte is a character: consoles print uninitialised bytes in genuine answers (protocol, section 4). A
/// control character says nothing and may steer the terminal that shows it, so all that is left of it is that
/// something was there.
pub(super) fn latin1(bytes: &[u8]) -> Cow<'_, str> {
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
