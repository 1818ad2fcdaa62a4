//! Sends one command at a time over a link, with a timeout on every wait.

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

#[derive(Clone, Copy, Debug)]
pub struct ConsoleTimeouts {
    /// Until the first byte of an answer.
    pub first_byte: Duration,
    /// Until the next bytes, once an answer has started.
    pub next_bytes: Duration,
    /// For a complete answer.
    pub whole_answer: Duration,
    /// How long the line must be silent to be considered idle.
    pub quiet: Duration,
    /// For the wake-up frame to be sent at 1200 baud (183 ms) and processed by the console.
    pub wake: Duration,
    /// Total time for requesting further pages of an answer, so that no sweep waits for many pages.
    pub paging: Duration,
}

impl Default for ConsoleTimeouts {
    /// Slow modules take up to about 3 s for the first byte; a dozen pages take several seconds each (protocol,
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

/// Any byte except a line end exits the pager, which consumes it (protocol, section 4).
const EXIT_PAGER: &[u8] = b"q";

/// How many of our own commands are remembered, to distinguish a late answer from another client's.
const MAX_RECENT: usize = 8;

/// Limits the pages that are requested, in addition to [`ConsoleTimeouts::paging`].
#[derive(Clone, Copy)]
pub struct PageLimit<'a> {
    /// No further page after this moment.
    pub until: Option<Instant>,
    /// No further page once this is true for the answer so far.
    pub stop_when: &'a dyn Fn(&Answer) -> bool,
}

impl PageLimit<'_> {
    pub(crate) const NONE: PageLimit<'static> = PageLimit { until: None, stop_when: &|_| false };

    fn allows_next_page(&self, framer: &Framer) -> bool {
        let in_time = self.until.is_none_or(|until| Instant::now() < until);
        in_time && !framer.partial_answer().is_some_and(self.stop_when)
    }
}

/// Describes a lost link. A port whose adapter was unplugged fails with one of several errors, all with the same
/// meaning.
fn describe_link_error(error: &io::Error) -> String {
    const EIO: i32 = 5;
    const ENXIO: i32 = 6;
    const ENODEV: i32 = 19;
    match error.raw_os_error() {
        Some(EIO | ENXIO | ENODEV) => "device gone".to_owned(),
        _ => error.to_string(),
    }
}

pub struct ConsoleClient {
    link: Box<dyn Transport>,
    line_end: &'static [u8],
    timeouts: ConsoleTimeouts,
    chunk: Box<[u8; 4096]>,
    /// Bytes may still arrive from a failed command.
    needs_drain: bool,
    recent_commands: VecDeque<String>,
    foreign_command: Option<String>,
    prompt: Option<Prompt>,
}

impl ConsoleClient {
    /// Ends each command with `line_end`.
    #[must_use]
    pub fn new(link: Box<dyn Transport>, line_end: &'static [u8], timeouts: ConsoleTimeouts) -> Self {
        Self {
            link,
            line_end,
            timeouts,
            chunk: Box::new([0; 4096]),
            needs_drain: true,
            recent_commands: VecDeque::new(),
            foreign_command: None,
            prompt: None,
        }
    }

    /// Sends `command` and waits for the complete answer.
    ///
    /// # Errors
    /// Returns [`CommandError::LinkGone`] if the link must be reopened. After any other error, the command may be sent
    /// again.
    pub async fn execute(&mut self, command: Command) -> Result<Answer, CommandError> {
        self.execute_paged(command, PageLimit::NONE).await
    }

    /// Like [`Self::execute`], but requests the pages of the answer only up to `pages`.
    ///
    /// # Errors
    /// The same as for [`Self::execute`].
    pub async fn execute_paged(
        &mut self,
        command: Command,
        pages: PageLimit<'_>,
    ) -> Result<Answer, CommandError> {
        self.request(&command.to_string(), pages).await
    }

    /// Sends an empty line and returns the prompt.
    ///
    /// # Errors
    /// Returns an error if no console answers, or if the link must be reopened.
    pub(crate) async fn probe(&mut self) -> Result<Option<Prompt>, CommandError> {
        self.request("", PageLimit::NONE).await.map(|answer| answer.prompt)
    }

    async fn request(&mut self, command: &str, pages: PageLimit<'_>) -> Result<Answer, CommandError> {
        if self.needs_drain {
            self.drain().await?;
        }
        let deadline = Instant::now() + self.timeouts.whole_answer;
        let response = timeout(self.timeouts.whole_answer, self.exchange(command, pages, deadline)).await;
        let outcome = response.unwrap_or(Err(CommandError::Truncated));
        self.needs_drain = outcome.is_err();
        outcome
    }

    async fn exchange(
        &mut self,
        command: &str,
        pages: PageLimit<'_>,
        deadline: Instant,
    ) -> Result<Answer, CommandError> {
        let paging_deadline = Instant::now() + self.timeouts.paging;
        let pages = PageLimit {
            until: Some(pages.until.map_or(paging_deadline, |until| until.min(paging_deadline))),
            ..pages
        };
        self.write(&[command.as_bytes(), self.line_end].concat()).await?;
        let mut framer = Framer::new(command);
        let outcome = self.read_response(&mut framer, command, pages, deadline).await;
        if let Some(echo) =
            framer.foreign_command().filter(|echo| !self.recent_commands.iter().any(|recent| recent == echo))
        {
            self.foreign_command = Some(echo.to_owned());
        }
        if self.recent_commands.len() == MAX_RECENT {
            self.recent_commands.pop_front();
        }
        self.recent_commands.push_back(command.to_owned());
        self.prompt = outcome.as_ref().ok().and_then(|answer| answer.prompt).or(self.prompt);
        outcome
    }

    async fn read_response(
        &mut self,
        framer: &mut Framer,
        command: &str,
        pages: PageLimit<'_>,
        deadline: Instant,
    ) -> Result<Answer, CommandError> {
        let mut wait = self.timeouts.first_byte;
        while Instant::now() < deadline {
            let Some(taken) = self.read_chunk(wait).await? else {
                return framer.on_silence().ok_or(match (framer.has_received(), framer.has_echo()) {
                    (false, _) => CommandError::NoResponse,
                    (true, false) => CommandError::NoEcho,
                    (true, true) => CommandError::Truncated,
                });
            };
            wait = self.timeouts.next_bytes;
            match framer.push(&self.chunk[..taken]) {
                FrameStatus::Complete(answer) => return Ok(answer),
                FrameStatus::TooLong => return Err(CommandError::TooLong),
                FrameStatus::Incomplete => {}
                FrameStatus::Prompt => wait = self.timeouts.quiet,
                // An empty command has no pages: another client left the pager open.
                FrameStatus::Pager if !command.is_empty() && pages.allows_next_page(framer) => {
                    self.write(self.line_end).await?;
                    wait = self.timeouts.first_byte;
                }
                FrameStatus::Pager => {
                    framer.leave_pager();
                    self.write(EXIT_PAGER).await?;
                }
            }
        }
        Err(CommandError::Truncated)
    }

    /// Discards what is still arriving, so that a late answer is not taken for the next one. A console that never falls
    /// silent is treated as noise by the framing.
    async fn drain(&mut self) -> Result<(), CommandError> {
        let deadline = Instant::now() + self.timeouts.first_byte;
        let mut received = 0;
        while Instant::now() < deadline && received < MAX_ANSWER_BYTES {
            let Some(taken) = self.read_chunk(self.timeouts.quiet).await? else { break };
            received += taken;
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let sent = async {
            self.link.write_all(bytes).await?;
            self.link.flush().await
        };
        match timeout(self.timeouts.first_byte, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(CommandError::LinkGone(describe_link_error(&error))),
            Err(_) => Err(CommandError::LinkGone("the link accepts no more bytes".to_owned())),
        }
    }

    pub(crate) fn timeouts(&self) -> ConsoleTimeouts {
        self.timeouts
    }

    /// Changes the line's speed; returns whether this link supports it.
    ///
    /// # Errors
    /// Returns [`CommandError::LinkGone`] if the link must be reopened.
    pub(crate) fn set_speed(&mut self, baud: u32) -> Result<bool, CommandError> {
        self.link.set_speed(baud).map_err(|error| CommandError::LinkGone(describe_link_error(&error)))
    }

    /// Sends bytes that are not a command, and expects no answer.
    ///
    /// # Errors
    /// Returns [`CommandError::LinkGone`] if the link must be reopened.
    pub(super) async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        self.needs_drain = true;
        self.write(bytes).await
    }

    /// The prompt after the last answer.
    #[must_use]
    pub fn prompt(&self) -> Option<Prompt> {
        self.prompt
    }

    /// The command of another client whose answer was received since the last call.
    pub(crate) fn take_foreign_command(&mut self) -> Option<String> {
        self.foreign_command.take()
    }

    /// Reads the next bytes; `None` on timeout. The end of the stream means that the adapter or the bridge is gone.
    async fn read_chunk(&mut self, wait: Duration) -> Result<Option<usize>, CommandError> {
        match timeout(wait, self.link.read(self.chunk.as_mut_slice())).await {
            Err(_) => Ok(None),
            Ok(Ok(0)) => Err(CommandError::LinkGone("device gone".to_owned())),
            Ok(Err(error)) => Err(CommandError::LinkGone(describe_link_error(&error))),
            Ok(Ok(taken)) => Ok(Some(taken)),
        }
    }
}
