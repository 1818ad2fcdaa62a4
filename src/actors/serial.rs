//! Owns the port of one bank: opens it, asks sweep after sweep, opens it anew when it is lost. It never waits for
//! anybody behind it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, Supervised, WrapFuture};
use slog::{Logger, info, warn};

use crate::console::command::Verb;
use crate::console::transcript::Lost;
use crate::link::Link;
use crate::messages::{Queue, Swept, Transcript};
use crate::model::reading::SweepKind;
use crate::supervise::{Flush, Ping};
use crate::sweep::conversation::{Conversation, Patience};
use crate::sweep::plan::Rhythm;
use crate::sweep::sweeper::{Judge, Sweeper, Swept as Step};
use crate::trouble::{Took, Trouble, Why};

/// All that the port's owner needs to know.
#[derive(Clone, Debug)]
pub struct SerialSettings {
    /// The bank's name.
    pub bank: Arc<str>,
    /// Where its console is.
    pub link: Link,
    /// What ends a question.
    pub line_end: &'static [u8],
    /// How often what is asked.
    pub rhythm: Rhythm,
    /// How long to wait for what.
    pub patience: Patience,
    /// The first pause before a lost link is opened again, and the longest.
    pub backoff: (Duration, Duration),
    /// How an answer is judged.
    pub judge: Judge,
}

/// The owner of one bank's port.
pub struct SerialActor {
    settings: SerialSettings,
    log: Logger,
    parser: Queue<Swept>,
}

impl SerialActor {
    /// Feeds `parser`.
    #[must_use]
    pub fn new(settings: SerialSettings, log: Logger, parser: Queue<Swept>) -> Self {
        Self { settings, log, parser }
    }
}

impl Actor for SerialActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let owner = Owner {
            settings: self.settings.clone(),
            log: self.log.clone(),
            parser: self.parser.clone(),
            trouble: Trouble::new(),
            pause: self.settings.backoff.0,
        };
        ctx.spawn(owner.own().into_actor(self));
    }
}

/// A restart drops the asking with its port, and `started` begins afresh.
impl Supervised for SerialActor {}

impl Handler<Ping> for SerialActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Flush> for SerialActor {
    type Result = ();

    fn handle(&mut self, _: Flush, _: &mut Self::Context) {}
}

/// One life of the owner.
struct Owner {
    settings: SerialSettings,
    log: Logger,
    parser: Queue<Swept>,
    trouble: Trouble,
    pause: Duration,
}

impl Owner {
    /// Asks for ever; whatever happens to the link is mended here.
    async fn own(mut self) {
        let SerialSettings { bank, rhythm, judge, .. } = self.settings.clone();
        let mut sweeper = Sweeper::new(bank, rhythm, judge);
        loop {
            let opened = Instant::now();
            let reason = match self.settings.link.open().await {
                Err(error) => error.to_string(),
                Ok(link) => {
                    let conversation =
                        Conversation::new(link, self.settings.line_end, self.settings.patience);
                    // The link is closed when this returns, before the pause: an adapter that is still held
                    // open comes back under another name.
                    self.ask(&mut sweeper, conversation, opened).await
                }
            };
            self.lost(&reason);
            actix_rt::time::sleep(self.pause.mul_f64(0.75 + 0.25 * fastrand::f64())).await;
            self.pause = (self.pause * 2).min(self.settings.backoff.1);
        }
    }

    /// Sweeps until the link is lost; answers why it was.
    async fn ask(
        &mut self,
        sweeper: &mut Sweeper,
        mut conversation: Conversation,
        opened: Instant,
    ) -> String {
        sweeper.opened();
        let mut first = true;
        loop {
            match sweeper.step(&mut conversation).await {
                Step::Going => {}
                Step::Idle(until) => tokio::time::sleep_until(until).await,
                Step::Silent(Lost::Silent) => return "console silent".to_owned(),
                Step::Silent(lost) => return format!("console not understood: {lost}"),
                Step::LinkGone => return "device gone".to_owned(),
                Step::Transcript(transcript) => {
                    if std::mem::take(&mut first) {
                        self.up(&transcript, opened);
                    }
                    // A full mailbox costs this sweep; the port does not wait. The queue counts it.
                    self.parser.offer(Swept(transcript.into()));
                }
            }
        }
    }

    fn up(&mut self, transcript: &Transcript, opened: Instant) {
        let table = transcript.exchanges.iter().find(|exchange| exchange.command == Verb::Pwr.alone());
        let prompt = table.and_then(|table| table.outcome.as_ref().ok()).and_then(|answer| answer.prompt);
        let prompt = prompt.map_or_else(|| "?".to_owned(), |prompt| prompt.to_string());
        self.pause = self.settings.backoff.0;
        let (bank, link) = (&*self.settings.bank, self.settings.link.to_string());
        if let Some(recovered) = self.trouble.recovered(Instant::now()) {
            info!(self.log, "link back"; "bank" => bank, "link" => link, "outage" => Took(recovered.outage));
        } else if transcript.kind == SweepKind::Full {
            info!(self.log, "link up"; "bank" => bank, "link" => link, "prompt" => prompt,
                "batteries" => transcript.known.len(), "took" => Took(opened.elapsed()));
        }
    }

    fn lost(&mut self, reason: &str) {
        let Some(say) = self.trouble.failed(Instant::now(), reason) else { return };
        let (bank, link) = (&*self.settings.bank, self.settings.link.to_string());
        match say.why {
            Why::Still => warn!(self.log, "link still lost"; "bank" => bank, "since" => Took(say.since),
                "tries" => say.count, "reason" => reason),
            Why::Begun | Why::Changed => warn!(self.log, "link lost"; "bank" => bank, "link" => link,
                "reason" => reason, "next_try" => Took(self.pause)),
        }
    }
}
