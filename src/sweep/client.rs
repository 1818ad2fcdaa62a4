//! One question at a time over a link, with a deadline on every wait.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::console::command::Command;
use crate::console::framing::answer::Answer;
use crate::console::framing::prompt::Prompt;
use crate::console::framing::{FrameStatus, Framer, MAX_ANSWER_BYTES};
use crate::console::transcript::CommandError;
use crate::link::Transport;

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct ConsoleTimeouts {
    /// For the first byte of an answer.
    pub first_byte: Duration,
    /// For the next bytes once an answer has begun.
    pub next_bytes: Duration,
    /// For a whole answer.
    pub whole_answer: Duration,
    /// How long the line must be quiet to count as quiet.
    pub quiet: Duration,
    /// For the frame that wakes a console to go out at 1200 baud (183 ms), and for the console to take it.
    pub wake: Duration,
    /// Behind the pager: an answer of many pages is left after this long, so that no sweep waits for it.
    pub paging: Duration,
}

impl Default for ConsoleTimeouts {
    /// Slow modules take up to some 3 s for the first byte; a dozen pages several seconds each (protocol,
    /// sections 4 and 5).
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(3),
            next_bytes: Duration::from_secs(1),
            whole_answer: Duration::from_secs(15),
            quiet: Duration::from_millis(300),
            wake: Duration::from_millis(700),
            paging: Duration::from_secs(2),
        }
    }
}

/// Any byte but a line end leaves the pager and is swallowed by it (protocol, section 4).
const LEAVE_PAGER: &[u8] = b"q";

/// How many of our own questions are remembered, to know a late answer from a stranger's.
const RECENT: usize = 8;

/// How far the pages of an answer are turned, beside [`Patience::paging`].
#[derive(Clone, Copy)]
pub struct PageLimit<'a> {
    /// Not beyond this moment.
    pub until: Option<Instant>,
    /// Not beyond a page on which this is so of what was said.
    pub stop_when: &'a dyn Fn(&Answer) -> bool,
}

impl PageLimit<'_> {
    /// All of them.
    pub(crate) const NONE: PageLimit<'static> = PageLimit { until: None, stop_when: &|_| false };

    fn go_on(&self, framer: &Framer) -> bool {
        let in_time = self.until.is_none_or(|until| Instant::now() < until);
        in_time && !framer.partial_answer().is_some_and(self.stop_when)
    }
}

/// How the end of a link shows. A port whose adapter was pulled fails with one of several errors, which all mean
/// the same.
fn gone(error: &io::Error) -> String {
    const EIO: i32 = 5;
    const ENXIO: i32 = 6;
    const ENODEV: i32 = 19;
    match error.raw_os_error() {
        Some(EIO | ENXIO | ENODEV) => "device gone".to_owned(),
        _ => error.to_string(),
    }
}

/// A conversation with one console.
pub struct ConsoleClient {
    link: Box<dyn Transport>,
    line_end: &'static [u8],
    patience: ConsoleTimeouts,
    chunk: Box<[u8; 4096]>,
    /// Something may still be on its way from a question that failed.
    unsettled: bool,
    asked: VecDeque<String>,
    stranger: Option<String>,
    prompt: Option<Prompt>,
}

impl ConsoleClient {
    /// Speaks over `link`, ending each question with `line_end`.
    #[must_use]
    pub fn new(link: Box<dyn Transport>, line_end: &'static [u8], patience: ConsoleTimeouts) -> Self {
        Self {
            link,
            line_end,
            patience,
            chunk: Box::new([0; 4096]),
            unsettled: true,
            asked: VecDeque::new(),
            stranger: None,
            prompt: None,
        }
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// There is none: [`CommandError::LinkGone`] means that the link must be opened anew; after anything else the
    /// question may be put again.
    pub async fn execute(&mut self, command: Command) -> Result<Answer, CommandError> {
        self.execute_paged(command, PageLimit::NONE).await
    }

    /// The same, turning its pages so far.
    ///
    /// # Errors
    /// As those of [`Self::execute`].
    pub async fn execute_paged(
        &mut self,
        command: Command,
        pages: PageLimit<'_>,
    ) -> Result<Answer, CommandError> {
        self.request(&command.to_string(), pages).await
    }

    /// An empty line: is anybody there?
    ///
    /// # Errors
    /// Nobody, or the link is gone.
    pub(crate) async fn probe(&mut self) -> Result<Option<Prompt>, CommandError> {
        self.request("", PageLimit::NONE).await.map(|answer| answer.prompt)
    }

    async fn request(&mut self, question: &str, pages: PageLimit<'_>) -> Result<Answer, CommandError> {
        if self.unsettled {
            self.drain().await?;
        }
        let deadline = Instant::now() + self.patience.whole_answer;
        let asked = timeout(self.patience.whole_answer, self.exchange(question, pages, deadline)).await;
        let outcome = asked.unwrap_or(Err(CommandError::Truncated));
        self.unsettled = outcome.is_err();
        outcome
    }

    async fn exchange(
        &mut self,
        question: &str,
        pages: PageLimit<'_>,
        deadline: Instant,
    ) -> Result<Answer, CommandError> {
        let turned_until = Instant::now() + self.patience.paging;
        let pages = PageLimit {
            until: Some(pages.until.map_or(turned_until, |until| until.min(turned_until))),
            ..pages
        };
        self.write(&[question.as_bytes(), self.line_end].concat()).await?;
        let mut framer = Framer::new(question);
        let outcome = self.read_response(&mut framer, question, pages, deadline).await;
        if let Some(stranger) =
            framer.foreign_command().filter(|echo| !self.asked.iter().any(|asked| asked == echo))
        {
            self.stranger = Some(stranger.to_owned());
        }
        if self.asked.len() == RECENT {
            self.asked.pop_front();
        }
        self.asked.push_back(question.to_owned());
        self.prompt = outcome.as_ref().ok().and_then(|answer| answer.prompt).or(self.prompt);
        outcome
    }

    async fn read_response(
        &mut self,
        framer: &mut Framer,
        question: &str,
        pages: PageLimit<'_>,
        deadline: Instant,
    ) -> Result<Answer, CommandError> {
        let mut patience = self.patience.first_byte;
        while Instant::now() < deadline {
            let Some(taken) = self.read_chunk(patience).await? else {
                return framer.on_silence().ok_or(match (framer.has_received(), framer.has_echo()) {
                    (false, _) => CommandError::NoResponse,
                    (true, false) => CommandError::NoEcho,
                    (true, true) => CommandError::Truncated,
                });
            };
            patience = self.patience.next_bytes;
            match framer.push(&self.chunk[..taken]) {
                FrameStatus::Complete(answer) => return Ok(answer),
                FrameStatus::TooLong => return Err(CommandError::TooLong),
                FrameStatus::Incomplete => {}
                FrameStatus::Prompt => patience = self.patience.quiet,
                // Who asks nothing wants no pages: some other client left the pager open.
                FrameStatus::Pager if !question.is_empty() && pages.go_on(framer) => {
                    self.write(self.line_end).await?;
                    patience = self.patience.first_byte;
                }
                FrameStatus::Pager => {
                    framer.leave_pager();
                    self.write(LEAVE_PAGER).await?;
                }
            }
        }
        Err(CommandError::Truncated)
    }

    /// Reads away what is still on its way, so that a late answer is not taken for the next one. A console
    /// that never falls quiet is as good as noise; the framing tells.
    async fn drain(&mut self) -> Result<(), CommandError> {
        let deadline = Instant::now() + self.patience.first_byte;
        let mut heard = 0;
        while Instant::now() < deadline && heard < MAX_ANSWER_BYTES {
            let Some(taken) = self.read_chunk(self.patience.quiet).await? else { break };
            heard += taken;
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let sent = async {
            self.link.write_all(bytes).await?;
            self.link.flush().await
        };
        match timeout(self.patience.first_byte, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(CommandError::LinkGone(gone(&error))),
            Err(_) => Err(CommandError::LinkGone("the link takes no more bytes".to_owned())),
        }
    }

    /// How long it waits for what.
    #[must_use]
    pub(crate) fn timeouts(&self) -> ConsoleTimeouts {
        self.patience
    }

    /// Changes the line's speed; answers whether this link can.
    ///
    /// # Errors
    /// The link is gone.
    pub(crate) fn set_speed(&mut self, baud: u32) -> Result<bool, CommandError> {
        self.link.set_speed(baud).map_err(|error| CommandError::LinkGone(gone(&error)))
    }

    /// Sends bytes that are no question, and expects nothing.
    ///
    /// # Errors
    /// The link is gone.
    pub(super) async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        self.unsettled = true;
        self.write(bytes).await
    }

    /// The prompt behind the last answer.
    #[must_use]
    pub fn prompt(&self) -> Option<Prompt> {
        self.prompt
    }

    /// The question of another client whose answer came by, told once each time.
    pub(crate) fn take_foreign_command(&mut self) -> Option<String> {
        self.stranger.take()
    }

    /// The next bytes; `None` when nothing came for `patience`. An end of the stream means that the adapter or
    /// the bridge is gone.
    async fn read_chunk(&mut self, patience: Duration) -> Result<Option<usize>, CommandError> {
        match timeout(patience, self.link.read(self.chunk.as_mut_slice())).await {
            Err(_) => Ok(None),
            Ok(Ok(0)) => Err(CommandError::LinkGone("device gone".to_owned())),
            Ok(Err(error)) => Err(CommandError::LinkGone(gone(&error))),
            Ok(Ok(taken)) => Ok(Some(taken)),
        }
    }
}
