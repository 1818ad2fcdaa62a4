//! Framing: finds the answer to a command in the bytes on the wire.
//!
//! ```text
//!            echo of the command                 `$$`                   a prompt
//!  Seeking ───────────────────────► Body ───────────────────► Ended ───────────────────► Answer
//!     │ ▲                            │ ▲  the echo again        │
//!     └─┘ another client's answer,   └─┘  restarts the body     └──── silence: the answer without a prompt
//!         noise, an old prompt
//! ```
//! An answer ends with `$$` and a prompt, not with the success line, which refusals lack. Whatever precedes the echo is
//! dropped: a late answer to an earlier command, unsolicited text, noise. An answer after an echo that may be a damaged
//! copy of ours is held back, and returned if the console then falls silent.

pub mod answer;
pub(crate) mod echo;
pub mod prompt;
pub mod recorded;
pub mod refusal;

use crate::console::framing::answer::{Answer, AnswerStatus, is_pager, latin1};
use crate::console::framing::prompt::Prompt;

/// Longer than any answer: a stack's 400 cells take 36 kB, a dozen pages of counters 8 kB.
pub(crate) const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// Longer than any command.
const MAX_ECHO: usize = 80;

/// What the bytes received so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub enum FrameStatus {
    Incomplete,
    /// The console waits at its pager: an empty line continues, any other byte exits.
    Pager,
    /// The console is back at its prompt without a complete answer to our command: it answered another client, or the
    /// answer was cut off. If ours is still to come, it starts at once.
    Prompt,
    /// More than [`MAX_ANSWER_BYTES`] arrived without an answer.
    TooLong,
    Complete(Answer),
}

/// Finds the answer to one command in bytes that arrive in pieces of any size.
#[derive(Debug)]
pub struct Framer {
    command: String,
    line: Vec<u8>,
    taken: usize,
    pager_reported: bool,
    foreign_ended: bool,
    /// The echo of a command that is not ours.
    foreign_command: Option<String>,
    /// The line before a start mark: an echo, if the mark follows.
    before_mark: String,
    body: Option<Answer>,
    /// The answer after what may be our own echo, damaged.
    behind_damaged_echo: Option<Answer>,
}

impl Framer {
    /// Expects the answer to `command` as it goes over the wire; an empty command is answered by a prompt alone.
    #[must_use]
    pub fn new(command: &str) -> Self {
        Self {
            command: command.to_owned(),
            line: Vec::new(),
            taken: 0,
            pager_reported: false,
            foreign_ended: false,
            foreign_command: None,
            before_mark: String::new(),
            body: None,
            behind_damaged_echo: None,
        }
    }

    /// Takes the next bytes. The first complete answer ends the call, and the bytes after it are dropped, since nothing
    /// requested them. Past [`MAX_ANSWER_BYTES`], nothing is buffered.
    pub fn push(&mut self, bytes: &[u8]) -> FrameStatus {
        if self.taken > MAX_ANSWER_BYTES {
            return FrameStatus::TooLong;
        }
        self.taken += bytes.len();
        let mut status = FrameStatus::Incomplete;
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\r' || byte == b'\n') {
            self.line.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            if self.line.is_empty() {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            status = self.on_line(&line);
            if matches!(status, FrameStatus::Complete(_)) {
                return status;
            }
            self.line = line;
            self.line.clear();
        }
        if self.taken > MAX_ANSWER_BYTES {
            self.line = Vec::new();
            (self.body, self.behind_damaged_echo) = (None, None);
            return FrameStatus::TooLong;
        }
        // The status of a line is outdated once the next one has started.
        if rest.is_empty() && self.line.is_empty() {
            return status;
        }
        let scanned = self.line.len();
        self.line.extend_from_slice(rest);
        self.on_open_line(scanned)
    }

    /// To be called when nothing has arrived for a while: an answer with its end mark is complete without a prompt. The
    /// one after a damaged echo counts if our own echo did not arrive.
    pub fn on_silence(&mut self) -> Option<Answer> {
        let answer = if self.body.is_some() { &mut self.body } else { &mut self.behind_damaged_echo };
        answer.take_if(|answer| answer.has_end_mark)
    }

    /// The command echoed by an answer that is not ours: another client's, or a late one to an earlier command.
    #[must_use]
    pub(crate) fn foreign_command(&self) -> Option<&str> {
        self.foreign_command.as_deref()
    }

    pub(crate) fn has_echo(&self) -> bool {
        self.body.is_some()
    }

    /// The answer so far; `None` before our echo.
    pub(crate) fn partial_answer(&self) -> Option<&Answer> {
        self.body.as_ref()
    }

    /// The pager is being exited: the answer ends early, without its success line.
    pub(crate) fn leave_pager(&mut self) {
        if let Some(body) = &mut self.body {
            body.status = AnswerStatus::Success;
        }
    }

    pub(crate) fn has_received(&self) -> bool {
        self.taken > 0
    }

    fn on_line(&mut self, bytes: &[u8]) -> FrameStatus {
        let line = latin1(bytes);
        if is_pager(&line) {
            return self.pager(&line);
        }
        self.pager_reported = false;
        if let Some(done) = self.finished(&line) {
            return done;
        }
        if self.is_echo(&line) {
            self.body = Some(Answer::new(Some(self.command.clone())));
            self.foreign_ended = false;
            return FrameStatus::Incomplete;
        }
        match &mut self.body {
            Some(body) if body.has_end_mark => FrameStatus::Incomplete,
            Some(_) if Prompt::is_alone_on(&line) => FrameStatus::Prompt,
            Some(body) => {
                body.push_line(&line);
                FrameStatus::Incomplete
            }
            None => {
                if let Some(answer) = self.behind_damaged_echo.as_mut().filter(|answer| !answer.has_end_mark)
                {
                    answer.push_line(&line);
                }
                self.before_echo(&line)
            }
        }
    }

    /// Checks the last line while it has no line end: only prompts and pagers need none. Of the `scanned` bytes, only
    /// as many are looked at again as a prompt or pager can have started in.
    fn on_open_line(&mut self, scanned: usize) -> FrameStatus {
        const LONGEST: usize = 64;
        let line = latin1(&self.line[scanned.saturating_sub(LONGEST)..]).into_owned();
        if is_pager(&line) {
            return self.pager(&line);
        }
        if let Some(done) = self.finished(&line) {
            return done;
        }
        match &self.body {
            Some(_) if Prompt::at_end_of(&line).is_some() => FrameStatus::Prompt,
            Some(_) => FrameStatus::Incomplete,
            None => self.prompt_before_echo(&line),
        }
    }

    /// Reports a pager once, whether its line is still open or ends with the carriage return that some consoles send.
    /// A prompt in the line completes an answer that has its end mark, as it does when the bytes come one by one.
    fn pager(&mut self, line: &str) -> FrameStatus {
        if let Some(done) = self.finished(line) {
            return done;
        }
        self.drop_truncated(line);
        if std::mem::replace(&mut self.pager_reported, true) {
            FrameStatus::Incomplete
        } else {
            FrameStatus::Pager
        }
    }

    /// Drops the answer after a damaged echo if a prompt comes before its end mark; returns the prompt.
    fn drop_truncated(&mut self, line: &str) -> Option<Prompt> {
        let prompt = Prompt::first_in(line)?;
        self.behind_damaged_echo.take_if(|answer| !answer.has_end_mark);
        Some(prompt)
    }

    fn is_echo(&self, line: &str) -> bool {
        // The first test is cheap and rules out nearly every line.
        !self.command.is_empty()
            && line.trim_end().ends_with(&self.command)
            && Prompt::strip(line).trim_start_matches(|c: char| !c.is_ascii_graphic()) == self.command
    }

    /// The answer, once a prompt follows its end mark, whatever comes after that.
    fn finished(&mut self, line: &str) -> Option<FrameStatus> {
        self.body.as_ref().filter(|body| body.has_end_mark)?;
        let prompt = Prompt::first_in(line)?;
        let mut body = self.body.take()?;
        body.prompt = Some(prompt);
        Some(FrameStatus::Complete(body))
    }

    /// A start mark after an echo that is not ours: another client's, or our own that was damaged.
    fn start_foreign_answer(&mut self) {
        let echo = Prompt::strip(&self.before_mark).trim_start_matches(|c: char| !c.is_ascii_graphic());
        let echo: String = echo.chars().take(MAX_ECHO).collect();
        self.behind_damaged_echo.take_if(|answer| !answer.has_end_mark);
        if echo::may_be_damaged_echo(&self.command, &echo) {
            let answer = self.behind_damaged_echo.insert(Answer::new(Some(echo)));
            answer.echo_damaged = true;
        } else {
            self.foreign_command = Some(echo);
        }
    }

    /// A complete line before our echo: part of an answer that is not ours, or of one after a damaged echo.
    fn before_echo(&mut self, line: &str) -> FrameStatus {
        match line.trim() {
            "$$" => {
                self.foreign_ended = true;
                return FrameStatus::Incomplete;
            }
            "@" => self.start_foreign_answer(),
            other => self.before_mark = other.chars().take(MAX_ECHO).collect(),
        }
        self.prompt_before_echo(line)
    }

    /// Marks need their line end; a prompt does not, including the one that answers an empty command.
    fn prompt_before_echo(&mut self, line: &str) -> FrameStatus {
        // Anywhere in the line: if the bytes come one by one, the prompt is found at the end of an open line.
        if let (Some(prompt), Some(answer)) = (self.drop_truncated(line), &mut self.behind_damaged_echo) {
            answer.prompt.get_or_insert(prompt);
        }
        let Some(prompt) = Prompt::at_end_of(line) else { return FrameStatus::Incomplete };
        if self.command.is_empty() {
            let mut answer = Answer::new(None);
            answer.prompt = Some(prompt);
            return FrameStatus::Complete(answer);
        }
        if std::mem::take(&mut self.foreign_ended) { FrameStatus::Prompt } else { FrameStatus::Incomplete }
    }
}

#[cfg(test)]
mod tests;
