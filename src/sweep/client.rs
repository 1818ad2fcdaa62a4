//! One question at a time over a link, with a deadline on every wait.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::console::command::Command;
use crate::console::framing::answer::Answer;
use crate::console::framing::prompt::Prompt;
use crate::console::framing::{Framer, MOST_BYTES, Progress};
use crate::console::transcript::Lost;
use crate::link::Transport;

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the first byte of an answer.
    pub first: Duration,
    /// For the next bytes once an answer has begun.
    pub between: Duration,
    /// For a whole answer.
    pub whole: Duration,
    /// How long the line must be quiet to count as quiet.
    pub quiet: Duration,
    /// For the frame that wakes a console to go out at 1200 baud (183 ms), and for the console to take it.
    pub wake: Duration,
    /// Behind the pager: an answer of many pages is left after this long, so that no sweep waits for it.
    pub pages: Duration,
}

impl Default for Patience {
    /// Slow modules take up to some 3 s for the first byte; a dozen pages several seconds each (protocol,
    /// sections 4 and 5).
    fn default() -> Self {
        Self {
            first: Duration::from_secs(3),
            between: Duration::from_secs(1),
            whole: Duration::from_secs(15),
            quiet: Duration::from_millis(300),
            wake: Duration::from_millis(700),
            pages: Duration::from_secs(2),
        }
    }
}

/// Any byte but a line end leaves the pager and is swallowed by it (protocol, section 4).
const LEAVE_PAGER: &[u8] = b"q";

/// How many of our own questions are remembered, to know a late answer from a stranger's.
const RECENT: usize = 8;

/// How far the pages of an answer are turned, beside [`Patience::paging`].
#[derive(Clone, Copy)]
pub struct Pages<'a> {
    /// Not beyond this moment.
    pub until: Option<Instant>,
    /// Not beyond a page on which this is so of what was said.
    pub enough: &'a dyn Fn(&Answer) -> bool,
}

impl Pages<'_> {
    /// All of them.
    pub(crate) const ALL: Pages<'static> = Pages { until: None, enough: &|_| false };

    fn go_on(&self, framer: &Framer) -> bool {
        let in_time = self.until.is_none_or(|until| Instant::now() < until);
        in_time && !framer.so_far().is_some_and(self.enough)
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
pub struct Conversation {
    link: Box<dyn Transport>,
    line_end: &'static [u8],
    patience: Patience,
    chunk: Box<[u8; 4096]>,
    /// Something may still be on its way from a question that failed.
    unsettled: bool,
    asked: VecDeque<String>,
    stranger: Option<String>,
    prompt: Option<Prompt>,
}

impl Conversation {
    /// Speaks over `link`, ending each question with `line_end`.
    #[must_use]
    pub fn new(link: Box<dyn Transport>, line_end: &'static [u8], patience: Patience) -> Self {
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
    /// There is none: [`Lost::LinkGone`] means that the link must be opened anew; after anything else the
    /// question may be put again.
    pub async fn ask(&mut self, command: Command) -> Result<Answer, Lost> {
        self.ask_pages(command, Pages::ALL).await
    }

    /// The same, turning its pages so far.
    ///
    /// # Errors
    /// As those of [`Self::execute`].
    pub async fn ask_pages(&mut self, command: Command, pages: Pages<'_>) -> Result<Answer, Lost> {
        self.put(&command.to_string(), pages).await
    }

    /// An empty line: is anybody there?
    ///
    /// # Errors
    /// Nobody, or the link is gone.
    pub(crate) async fn probe(&mut self) -> Result<Option<Prompt>, Lost> {
        self.put("", Pages::ALL).await.map(|answer| answer.prompt)
    }

    async fn put(&mut self, question: &str, pages: Pages<'_>) -> Result<Answer, Lost> {
        if self.unsettled {
            self.settle().await?;
        }
        let deadline = Instant::now() + self.patience.whole;
        let asked = timeout(self.patience.whole, self.exchange(question, pages, deadline)).await;
        let outcome = asked.unwrap_or(Err(Lost::Torn));
        self.unsettled = outcome.is_err();
        outcome
    }

    async fn exchange(
        &mut self,
        question: &str,
        pages: Pages<'_>,
        deadline: Instant,
    ) -> Result<Answer, Lost> {
        let turned_until = Instant::now() + self.patience.pages;
        let pages =
            Pages { until: Some(pages.until.map_or(turned_until, |until| until.min(turned_until))), ..pages };
        self.send(&[question.as_bytes(), self.line_end].concat()).await?;
        let mut framer = Framer::new(question);
        let outcome = self.hear(&mut framer, question, pages, deadline).await;
        if let Some(stranger) = framer.stranger().filter(|echo| !self.asked.iter().any(|asked| asked == echo))
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

    async fn hear(
        &mut self,
        framer: &mut Framer,
        question: &str,
        pages: Pages<'_>,
        deadline: Instant,
    ) -> Result<Answer, Lost> {
        let mut patience = self.patience.first;
        while Instant::now() < deadline {
            let Some(taken) = self.receive(patience).await? else {
                return framer.silence().ok_or(match (framer.heard(), framer.echoed()) {
                    (false, _) => Lost::Silent,
                    (true, false) => Lost::NoEcho,
                    (true, true) => Lost::Torn,
                });
            };
            patience = self.patience.between;
            match framer.push(&self.chunk[..taken]) {
                Progress::Complete(answer) => return Ok(answer),
                Progress::TooLong => return Err(Lost::TooLong),
                Progress::Incomplete => {}
                Progress::Prompt => patience = self.patience.quiet,
                // Who asks nothing wants no pages: some other client left the pager open.
                Progress::Pager if !question.is_empty() && pages.go_on(framer) => {
                    self.send(self.line_end).await?;
                    patience = self.patience.first;
                }
                Progress::Pager => {
                    framer.leave_pager();
                    self.send(LEAVE_PAGER).await?;
                }
            }
        }
        Err(Lost::Torn)
    }

    /// Reads away what is still on its way, so that a late answer is not taken for the next one. A console
    /// that never falls quiet is as good as noise; the framing tells.
    async fn settle(&mut self) -> Result<(), Lost> {
        let deadline = Instant::now() + self.patience.first;
        let mut heard = 0;
        while Instant::now() < deadline && heard < MOST_BYTES {
            let Some(taken) = self.receive(self.patience.quiet).await? else { break };
            heard += taken;
        }
        Ok(())
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        let sent = async {
            self.link.write_all(bytes).await?;
            self.link.flush().await
        };
        match timeout(self.patience.first, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Lost::LinkGone(gone(&error))),
            Err(_) => Err(Lost::LinkGone("the link takes no more bytes".to_owned())),
        }
    }

    /// How long it waits for what.
    #[must_use]
    pub(crate) fn patience(&self) -> Patience {
        self.patience
    }

    /// Changes the line's speed; answers whether this link can.
    ///
    /// # Errors
    /// The link is gone.
    pub(crate) fn set_speed(&mut self, baud: u32) -> Result<bool, Lost> {
        self.link.set_speed(baud).map_err(|error| Lost::LinkGone(gone(&error)))
    }

    /// Sends bytes that are no question, and expects nothing.
    ///
    /// # Errors
    /// The link is gone.
    pub(super) async fn type_raw(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        self.unsettled = true;
        self.send(bytes).await
    }

    /// The prompt behind the last answer.
    #[must_use]
    pub fn prompt(&self) -> Option<Prompt> {
        self.prompt
    }

    /// The question of another client whose answer came by, told once each time.
    pub(crate) fn stranger(&mut self) -> Option<String> {
        self.stranger.take()
    }

    /// The next bytes; `None` when nothing came for `patience`. An end of the stream means that the adapter or
    /// the bridge is gone.
    async fn receive(&mut self, patience: Duration) -> Result<Option<usize>, Lost> {
        match timeout(patience, self.link.read(self.chunk.as_mut_slice())).await {
            Err(_) => Ok(None),
            Ok(Ok(0)) => Err(Lost::LinkGone("device gone".to_owned())),
            Ok(Err(error)) => Err(Lost::LinkGone(gone(&error))),
            Ok(Ok(taken)) => Ok(Some(taken)),
        }
    }
}
