//! One question at a time over a link, with a deadline on every wait.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::console::answer::Answer;
use crate::console::command::Command;
use crate::console::frame::{Framer, MOST_BYTES, Progress};
use crate::console::prompt::Prompt;
use crate::console::transcript::Lost;
use crate::link::Io;

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
            pages: Duration::from_secs(2),
        }
    }
}

/// Any byte but a line end leaves the pager and is swallowed by it (protocol, section 4).
const LEAVE_PAGER: &[u8] = b"q";

/// A conversation with one console.
pub struct Conversation {
    link: Box<dyn Io>,
    line_end: &'static [u8],
    patience: Patience,
    chunk: Box<[u8; 4096]>,
    /// Something may still be on its way from a question that failed.
    unsettled: bool,
}

impl Conversation {
    /// Speaks over `link`, ending each question with `line_end`.
    #[must_use]
    pub fn new(link: Box<dyn Io>, line_end: &'static [u8], patience: Patience) -> Self {
        Self { link, line_end, patience, chunk: Box::new([0; 4096]), unsettled: true }
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// There is none: [`Lost::LinkGone`] means that the link must be opened anew; after anything else the
    /// question may be put again.
    pub async fn ask(&mut self, command: Command) -> Result<Answer, Lost> {
        self.put(&command.to_string()).await
    }

    /// An empty line: is anybody there?
    ///
    /// # Errors
    /// Nobody, or the link is gone.
    pub async fn probe(&mut self) -> Result<Option<Prompt>, Lost> {
        self.put("").await.map(|answer| answer.prompt)
    }

    async fn put(&mut self, question: &str) -> Result<Answer, Lost> {
        if self.unsettled {
            self.settle().await?;
        }
        let deadline = Instant::now() + self.patience.whole;
        let asked = timeout(self.patience.whole, self.exchange(question, deadline)).await;
        let outcome = asked.unwrap_or(Err(Lost::Torn));
        self.unsettled = outcome.is_err();
        outcome
    }

    async fn exchange(&mut self, question: &str, deadline: Instant) -> Result<Answer, Lost> {
        let began = Instant::now();
        self.send(&[question.as_bytes(), self.line_end].concat()).await?;
        let mut framer = Framer::new(question);
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
                Progress::Pager if began.elapsed() < self.patience.pages => {
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
        match timeout(self.patience.first, self.link.write_all(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Lost::LinkGone),
        }
    }

    /// The next bytes; `None` when nothing came for `patience`. An end of the stream means that the adapter or
    /// the bridge is gone.
    async fn receive(&mut self, patience: Duration) -> Result<Option<usize>, Lost> {
        match timeout(patience, self.link.read(self.chunk.as_mut_slice())).await {
            Err(_) => Ok(None),
            Ok(Ok(0) | Err(_)) => Err(Lost::LinkGone),
            Ok(Ok(taken)) => Ok(Some(taken)),
        }
    }
}
