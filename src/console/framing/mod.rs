//! Framing: which of the bytes on the wire are the answer to the question asked.
//!
//! ```text
//!            echo of the question                `$$`                   a prompt
//!  Seeking ───────────────────────► Body ───────────────────► Ended ───────────────────► Answer
//!     │ ▲                            │ ▲  the echo again        │
//!     └─┘ a stranger's answer,       └─┘  begins the body       └──── silence: the answer without a prompt
//!         noise, an old prompt            anew
//! ```
//! The end is `$$` and a prompt, never the success line, which no refusal carries. What stands before the echo
//! is dropped: a late answer to an earlier question, unsolicited text, noise. An answer behind an echo that
//! may be a damaged one of ours is kept aside, and handed out where the console then falls silent.

pub mod answer;
pub(crate) mod echo;
pub mod prompt;
pub mod recorded;
pub mod refusal;

use crate::console::framing::answer::{Answer, Verdict, is_pager, latin1};
use crate::console::framing::prompt::Prompt;

/// More than any console says to one question: a stack's 400 cells take 36 kB, a dozen pages of counters 8 kB.
pub(crate) const MOST_BYTES: usize = 256 * 1024;

/// More than any question has.
const MOST_ECHO: usize = 80;

/// What the bytes so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// More must come.
    Incomplete,
    /// The console waits at its pager: an empty line goes on, any other byte leaves.
    Pager,
    /// The console is back at its prompt, and what came before was no whole answer to our question: a
    /// stranger's, or a torn one. If ours is still to come, it begins at once.
    Prompt,
    /// More than [`MOST_BYTES`] came and no answer was among them.
    TooLong,
    /// The answer.
    Complete(Answer),
}

/// Finds the answer to one question in bytes that arrive cut anywhere.
#[derive(Debug)]
pub struct Framer {
    question: String,
    line: Vec<u8>,
    taken: usize,
    pager_told: bool,
    stranger_ended: bool,
    /// The question a stranger's answer echoes, and the line that may turn out to be one.
    stranger: Option<String>,
    before_mark: String,
    body: Option<Answer>,
    /// The answer behind what may be our echo, damaged.
    aside: Option<Answer>,
}

impl Framer {
    /// For the answer to `question` as it goes over the wire; the empty question asks for a prompt alone.
    #[must_use]
    pub fn new(question: &str) -> Self {
        Self {
            question: question.to_owned(),
            line: Vec::new(),
            taken: 0,
            pager_told: false,
            stranger_ended: false,
            stranger: None,
            before_mark: String::new(),
            body: None,
            aside: None,
        }
    }

    /// Takes the next bytes. The first answer ends the call; bytes behind it are dropped, since nobody asked for
    /// them. Once too much came, nothing more is held.
    pub fn push(&mut self, bytes: &[u8]) -> Progress {
        if self.taken > MOST_BYTES {
            return Progress::TooLong;
        }
        self.taken += bytes.len();
        let mut news = Progress::Incomplete;
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\r' || byte == b'\n') {
            self.line.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            if self.line.is_empty() {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            news = self.whole_line(&line);
            if matches!(news, Progress::Complete(_)) {
                return news;
            }
            self.line = line;
            self.line.clear();
        }
        if self.taken > MOST_BYTES {
            self.line = Vec::new();
            (self.body, self.aside) = (None, None);
            return Progress::TooLong;
        }
        // What was told of the line before is over once the next one has begun.
        if rest.is_empty() && self.line.is_empty() {
            return news;
        }
        let seen = self.line.len();
        self.line.extend_from_slice(rest);
        self.open_line(seen)
    }

    /// Nothing has come for a while: an answer whose end mark was seen is complete without its prompt. One behind a
    /// damaged echo counts where our own echo did not come.
    pub fn silence(&mut self) -> Option<Answer> {
        let answer = if self.body.is_some() { &mut self.body } else { &mut self.aside };
        answer.take_if(|answer| answer.ended)
    }

    /// The question that somebody else's answer echoed, or a late answer to an earlier question of ours.
    #[must_use]
    pub(crate) fn stranger(&self) -> Option<&str> {
        self.stranger.as_deref()
    }

    /// Whether our echo was seen.
    #[must_use]
    pub(crate) fn echoed(&self) -> bool {
        self.body.is_some()
    }

    /// What came of the answer so far; nothing before our echo.
    #[must_use]
    pub(crate) fn so_far(&self) -> Option<&Answer> {
        self.body.as_ref()
    }

    /// The pager is being left: the answer ends early, without saying that it succeeded.
    pub(crate) fn leave_pager(&mut self) {
        if let Some(body) = &mut self.body {
            body.verdict = Verdict::Success;
        }
    }

    /// Whether anything was heard at all.
    #[must_use]
    pub(crate) fn heard(&self) -> bool {
        self.taken > 0
    }

    fn whole_line(&mut self, bytes: &[u8]) -> Progress {
        let line = latin1(bytes);
        if is_pager(&line) {
            return self.pager(&line);
        }
        self.pager_told = false;
        if let Some(done) = self.finished(&line) {
            return done;
        }
        if self.is_echo(&line) {
            self.body = Some(Answer::begin(Some(self.question.clone())));
            self.stranger_ended = false;
            return Progress::Incomplete;
        }
        match &mut self.body {
            Some(body) if body.ended => Progress::Incomplete,
            Some(_) if Prompt::is_alone_on(&line) => Progress::Prompt,
            Some(body) => {
                body.take(&line);
                Progress::Incomplete
            }
            None => {
                if let Some(aside) = self.aside.as_mut().filter(|aside| !aside.ended) {
                    aside.take(&line);
                }
                self.before_echo(&line)
            }
        }
    }

    /// The last line is still open: only a prompt or a pager need no line end. Of its first `seen` bytes only
    /// as many are looked at again as such a text can have begun in.
    fn open_line(&mut self, seen: usize) -> Progress {
        const LONGEST: usize = 64;
        let line = latin1(&self.line[seen.saturating_sub(LONGEST)..]).into_owned();
        if is_pager(&line) {
            return self.pager(&line);
        }
        if let Some(done) = self.finished(&line) {
            return done;
        }
        match &self.body {
            Some(_) if Prompt::at_end_of(&line).is_some() => Progress::Prompt,
            Some(_) => Progress::Incomplete,
            None => self.prompt_before_echo(&line),
        }
    }

    /// The pager is told once, whether its line is still open or some consoles' carriage return has come.
    fn pager(&mut self, line: &str) -> Progress {
        self.drop_torn(line);
        if std::mem::replace(&mut self.pager_told, true) { Progress::Incomplete } else { Progress::Pager }
    }

    /// Behind a prompt, an answer that is kept aside and has not ended never will; gives the prompt.
    fn drop_torn(&mut self, line: &str) -> Option<Prompt> {
        let prompt = Prompt::first_in(line)?;
        self.aside.take_if(|aside| !aside.ended);
        Some(prompt)
    }

    fn is_echo(&self, line: &str) -> bool {
        // The first test is cheap and rules out nearly every line.
        !self.question.is_empty()
            && line.trim_end().ends_with(&self.question)
            && Prompt::strip(line).trim_start_matches(|c: char| !c.is_ascii_graphic()) == self.question
    }

    /// The answer, once a prompt stands behind its end mark, whatever was typed or said behind that.
    fn finished(&mut self, line: &str) -> Option<Progress> {
        self.body.as_ref().filter(|body| body.ended)?;
        let prompt = Prompt::first_in(line)?;
        let mut body = self.body.take()?;
        body.prompt = Some(prompt);
        Some(Progress::Complete(body))
    }

    /// The start mark behind an echo that is not ours: a stranger's, or our own that was damaged.
    fn stranger_begins(&mut self) {
        let echo = Prompt::strip(&self.before_mark).trim_start_matches(|c: char| !c.is_ascii_graphic());
        let echo: String = echo.chars().take(MOST_ECHO).collect();
        self.aside.take_if(|aside| !aside.ended);
        if echo::is_left_of(&self.question, &echo) {
            let answer = self.aside.insert(Answer::begin(Some(echo)));
            answer.echo_damaged = true;
        } else {
            self.stranger = Some(echo);
        }
    }

    /// A whole line before our echo: of an answer that is not ours, or behind a damaged echo.
    fn before_echo(&mut self, line: &str) -> Progress {
        match line.trim() {
            "$$" => {
                self.stranger_ended = true;
                return Progress::Incomplete;
            }
            "@" => self.stranger_begins(),
            other => self.before_mark = other.chars().take(MOST_ECHO).collect(),
        }
        self.prompt_before_echo(line)
    }

    /// Marks need their line end; a prompt, also the one that an empty question asks for, does not.
    fn prompt_before_echo(&mut self, line: &str) -> Progress {
        // A prompt anywhere in a line: where bytes come one by one, it is seen at the end of an open line.
        if let (Some(prompt), Some(aside)) = (self.drop_torn(line), &mut self.aside) {
            aside.prompt.get_or_insert(prompt);
        }
        let Some(prompt) = Prompt::at_end_of(line) else { return Progress::Incomplete };
        if self.question.is_empty() {
            let mut answer = Answer::begin(None);
            answer.prompt = Some(prompt);
            return Progress::Complete(answer);
        }
        if std::mem::take(&mut self.stranger_ended) { Progress::Prompt } else { Progress::Incomplete }
    }
}

#[cfg(test)]
mod tests;
