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
//! is dropped: a late answer to an earlier question, unsolicited text, noise.

use crate::console::answer::{Answer, Verdict, is_pager, latin1};
use crate::console::prompt::Prompt;

/// More than any console says to one question: a stack's 400 cells take 36 kB, a dozen pages of counters 8 kB.
pub const MOST_BYTES: usize = 256 * 1024;

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
            self.body = None;
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

    /// Nothing has come for a while: an answer whose end mark was seen stands without its prompt.
    pub fn silence(&mut self) -> Option<Answer> {
        self.body.take_if(|body| body.ended)
    }

    /// The question that somebody else's answer echoed, or a late answer to an earlier question of ours.
    #[must_use]
    pub fn stranger(&self) -> Option<&str> {
        self.stranger.as_deref()
    }

    /// Whether our echo was seen.
    #[must_use]
    pub fn echoed(&self) -> bool {
        self.body.is_some()
    }

    /// What came of the answer so far; nothing before our echo.
    #[must_use]
    pub fn so_far(&self) -> Option<&Answer> {
        self.body.as_ref()
    }

    /// The pager is being left: the answer ends early, without saying that it succeeded.
    pub fn leave_pager(&mut self) {
        if let Some(body) = &mut self.body {
            body.verdict = Verdict::Success;
        }
    }

    /// Whether anything was heard at all.
    #[must_use]
    pub fn heard(&self) -> bool {
        self.taken > 0
    }

    fn whole_line(&mut self, bytes: &[u8]) -> Progress {
        let line = latin1(bytes);
        if is_pager(&line) {
            return self.pager();
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
            None => self.before_echo(&line),
        }
    }

    /// The last line is still open: only a prompt or a pager need no line end. Of its first `seen` bytes only
    /// as many are looked at again as such a text can have begun in.
    fn open_line(&mut self, seen: usize) -> Progress {
        const LONGEST: usize = 64;
        let line = latin1(&self.line[seen.saturating_sub(LONGEST)..]).into_owned();
        if is_pager(&line) {
            return self.pager();
        }
        if let Some(done) = self.finished(&line) {
            return done;
        }
        match &self.body {
            Some(_) if Prompt::at_end_of(&line).is_some() => Progress::Prompt,
            Some(_) => Progress::Incomplete,
            None => self.before_echo(&line),
        }
    }

    /// The pager is told once, whether its line is still open or some consoles' carriage return has come.
    fn pager(&mut self) -> Progress {
        if std::mem::replace(&mut self.pager_told, true) { Progress::Incomplete } else { Progress::Pager }
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

    /// A line before our echo: someone else's, or the prompt that an empty question asks for.
    fn before_echo(&mut self, line: &str) -> Progress {
        match line.trim() {
            "$$" => {
                self.stranger_ended = true;
                return Progress::Incomplete;
            }
            "@" => self.stranger = Some(Prompt::strip(&self.before_mark).chars().take(MOST_ECHO).collect()),
            other => self.before_mark = other.chars().take(MOST_ECHO).collect(),
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
mod tests {
    use super::*;
    use crate::console::refusal::Refusal;

    fn answer(question: &str, bytes: &[u8]) -> Answer {
        match Framer::new(question).push(bytes) {
            Progress::Complete(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    const TIME: &[u8] =
        b"time\n\r@\r\n\rRTC 2026-11-22 06:00:00\r\n\rCommand completed successfully\r\n\r$$\r\n\rpylon>";

    #[test]
    fn echo_marks_and_prompt_are_not_part_of_an_answer() {
        let time = answer("time", TIME);
        assert_eq!(time.lines().collect::<Vec<_>>(), [(1, "RTC 2026-11-22 06:00:00")]);
        assert_eq!((time.verdict, time.prompt), (Verdict::Success, Some(Prompt::Pylon)));
    }

    #[test]
    fn bytes_may_be_cut_anywhere() {
        let whole = answer("time", TIME);
        for cut in 1..TIME.len() {
            let mut framer = Framer::new("time");
            assert_eq!(framer.push(&TIME[..cut]), Progress::Incomplete, "cut at {cut}");
            assert_eq!(framer.push(&TIME[cut..]), Progress::Complete(whole.clone()), "cut at {cut}");
        }
    }

    #[test]
    fn a_late_answer_to_an_earlier_question_is_dropped() {
        let mut bytes =
            b"pwr 1\n\r@\r\r\n Power  1\r\r\n\rCommand completed successfully\r\n\r$$\r\n\rpylon>".to_vec();
        assert_eq!(Framer::new("time").push(&bytes), Progress::Prompt);
        bytes.extend_from_slice(TIME);
        assert_eq!(answer("time", &bytes), answer("time", TIME));
    }

    #[test]
    fn noise_and_unsolicited_text_around_do_not_matter() {
        let bytes = [b"\xfe\0\xffbattery says hello\r\n\0\xfe", TIME, b"\r\nmore"].concat();
        assert_eq!(answer("time", &bytes), answer("time", TIME));
    }

    #[test]
    fn a_repeated_echo_begins_the_body_anew() {
        let torn = [b"time\n\r@\r\n\rRTC 2026-1", b"\r\npylon>time\r\n".as_slice(), TIME].concat();
        assert_eq!(answer("time", &torn), answer("time", TIME));
    }

    #[test]
    fn each_prompt_ends_an_answer_and_silence_ends_one_without() {
        for prompt in ["pylon>", "pylon_debug>", "PYTES>", "PYTES_debug>"] {
            let bytes = [&TIME[..TIME.len() - 6], prompt.as_bytes()].concat();
            assert_eq!(answer("time", &bytes).prompt.map(|p| p.text()), Some(prompt));
        }
        let mut framer = Framer::new("time");
        assert_eq!(framer.push(&TIME[..TIME.len() - 6]), Progress::Incomplete);
        assert_eq!(framer.silence().map(|answer| answer.verdict), Some(Verdict::Success));
        let mut torn = Framer::new("time");
        torn.push(&TIME[..40]);
        assert_eq!(torn.silence(), None);
    }

    #[test]
    fn a_prompt_without_an_end_mark_tells_of_a_torn_answer() {
        let torn = [&TIME[..40], b"\r\n\rpylon>"].concat();
        assert_eq!(Framer::new("time").push(&torn), Progress::Prompt);
    }

    #[test]
    fn the_pager_is_told_once_and_leaves_no_trace() {
        let mut framer = Framer::new("log");
        let pager = b"Press [Enter] to be continued,other key to exit";
        let first = [b"log\n\r@\r\n\r Index : 1\r\n\r$\r\n\r".as_slice(), pager].concat();
        assert_eq!(framer.push(&first), Progress::Pager);
        assert_eq!(framer.push(b""), Progress::Incomplete);
        let rest = b"\r                                                  \r\r\n Index : 0\r\n\rCommand completed successfully\r\n\r$$\r\n\rPYTES>";
        let Progress::Complete(log) = framer.push(rest) else { panic!("no answer") };
        let lines: Vec<_> = log.lines().map(|(_, line)| line.trim()).collect();
        assert_eq!(lines, ["Index : 1", "$", "Index : 0"]);
    }

    #[test]
    fn a_pager_is_told_wherever_the_bytes_are_cut_but_not_once_the_console_went_on() {
        let first =
            b"log\n\r@\r\n\r Index : 1\n\rPress [Enter] to be continued,other key to exit\r".as_slice();
        let erase = b"\r                                                  \r\r\r\n".as_slice();
        for cut in 1..=first.len() {
            let mut framer = Framer::new("log");
            let told = [framer.push(&first[..cut]), framer.push(&first[cut..])];
            assert_eq!(told.iter().filter(|told| **told == Progress::Pager).count(), 1, "cut at {cut}");
            assert_eq!(framer.push(erase), Progress::Incomplete, "cut at {cut}");
        }
        let more = [first, erase, b" Index : 0\r\n".as_slice()].concat();
        assert_eq!(Framer::new("log").push(&more), Progress::Incomplete);
        assert_eq!(Framer::new("log").push(&more[..more.len() - 4]), Progress::Incomplete);
    }

    #[test]
    fn a_pager_is_told_also_behind_its_carriage_return_but_not_once_it_was_passed() {
        let pager = b"log\n\r@\r\n\r Index : 1\n\rPress [Enter] to be continued,other key to exit\r";
        assert_eq!(Framer::new("log").push(pager), Progress::Pager);
        let passed = [pager.as_slice(), b"\r          \r\r\r\n Index : 0\r\n"].concat();
        assert_eq!(Framer::new("log").push(&passed), Progress::Incomplete);
        let mut bytewise = Framer::new("log");
        let told = pager.chunks(1).filter(|byte| bytewise.push(byte) == Progress::Pager).count();
        assert_eq!(told, 1);
    }

    #[test]
    fn what_is_typed_behind_the_prompt_does_not_undo_the_answer() {
        let bytes = [TIME, b"time\r\n\r@\r\n"].concat();
        assert_eq!(answer("time", &bytes), answer("time", TIME));
    }

    #[test]
    fn a_late_prompt_in_an_answer_is_none_of_its_lines() {
        let late = [&TIME[..9], b"\r\npylon>\r\n".as_slice(), &TIME[9..]].concat();
        assert_eq!(answer("time", &late), answer("time", TIME));
    }

    #[test]
    fn a_refusal_is_an_answer() {
        let soh = answer("soh 1", b"soh 1\n\r@\r\r\nUnknown command 'soh' - try 'help'\r\n\r$$\r\n\rpylon>");
        assert_eq!(soh.verdict, Verdict::Refused(Refusal::UnknownCommand));
    }

    #[test]
    fn an_empty_question_is_answered_by_a_prompt() {
        assert_eq!(answer("", b"\n\rPYTES_debug>").prompt, Some(Prompt::PytesDebug));
    }

    /// What a framer keeps in memory, in bytes.
    fn held(framer: &Framer) -> usize {
        framer.line.capacity() + framer.body.as_ref().map_or(0, Answer::bytes)
    }

    #[test]
    fn noise_without_end_is_cut_off_and_not_held() {
        let beginnings: [&[u8]; 3] = [b"", b"pwr\r\n@\r\n", &[TIME, b"pwr\r\n$$\r\n"].concat()];
        for beginning in beginnings {
            let mut framer = Framer::new("pwr");
            framer.push(beginning);
            let noise = [b'x'; 4096];
            let mut told = Progress::Incomplete;
            for _ in 0..100 * 1024 * 1024 / noise.len() {
                told = framer.push(&noise);
                assert!(held(&framer) < 1024 * 1024);
            }
            assert_eq!(told, Progress::TooLong);
            assert_eq!(held(&framer), 0);
        }
    }

    #[test]
    fn bytes_that_come_one_by_one_cost_no_more_for_a_long_line() {
        let mut framer = Framer::new("pwr");
        framer.push(b"pwr\r\n$$\r\n");
        let began = std::time::Instant::now();
        while framer.push(b" ") != Progress::TooLong {}
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    }
}
