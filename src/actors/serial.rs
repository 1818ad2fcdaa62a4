//! Owns the port of one bank: opens it, asks sweep after sweep, opens it anew when it is lost. It never waits for
//! anybody behind it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, Supervised, WrapFuture};
use slog::{Logger, info, warn};

use crate::console::command::CommandName;
use crate::console::framing::prompt::Prompt;
use crate::console::transcript::CommandError;
use crate::link::Link;
use crate::messages::{Queue, SweepDone, Transcript};
use crate::model::reading::SweepKind;
use crate::outage::{HumanDuration, NoticeKind, OutageTracker};
use crate::supervise::{Flush, Heartbeat, Ping};
use crate::sweep::client::{ConsoleClient, ConsoleTimeouts};
use crate::sweep::poll_plan::PollSchedule;
use crate::sweep::sweeper::{SweepProgress as Step, Sweeper, ValidateFn};
use crate::sweep::wake::{ConsoleState, probe_console};

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
    pub rhythm: PollSchedule,
    /// How long to wait for what.
    pub patience: ConsoleTimeouts,
    /// The first pause before a lost link is opened again, and the longest.
    pub backoff: (Duration, Duration),
    /// Whether a silent console may be woken.
    pub wake: bool,
    /// Beats whenever work is attempted, for whoever must know that this owner is alive.
    pub beat: Option<Heartbeat>,
    /// How an answer is judged.
    pub judge: ValidateFn,
}

/// The owner of one bank's port.
pub struct SerialActor {
    settings: SerialSettings,
    log: Logger,
    parser: Queue<SweepDone>,
}

impl SerialActor {
    /// Feeds `parser`.
    #[must_use]
    pub fn new(settings: SerialSettings, log: Logger, parser: Queue<SweepDone>) -> Self {
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
            trouble: OutageTracker::new(),
            pause: self.settings.backoff.0,
            company_told: false,
            prompt: None,
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

/// From one beat to the next while nothing is due.
const IDLE_BEAT: Duration = Duration::from_secs(5);

/// One life of the owner.
struct Owner {
    settings: SerialSettings,
    log: Logger,
    parser: Queue<SweepDone>,
    trouble: OutageTracker,
    pause: Duration,
    company_told: bool,
    prompt: Option<Prompt>,
}

impl Owner {
    /// Asks for ever; whatever happens to the link is mended here.
    async fn own(mut self) {
        let SerialSettings { bank, rhythm, judge, .. } = self.settings.clone();
        let mut sweeper = Sweeper::new(bank, rhythm, judge);
        loop {
            self.beat();
            let opened = Instant::now();
            let reason = match self.settings.link.open().await {
                Err(error) => error.to_string(),
                Ok(link) => {
                    let conversation =
                        ConsoleClient::new(link, self.settings.line_end, self.settings.patience);
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
        mut conversation: ConsoleClient,
        opened: Instant,
    ) -> String {
        let woken = match probe_console(
            &mut conversation,
            self.settings.wake.then_some(self.settings.link.line.baud),
        )
        .await
        {
            Ok(found) => matches!(found, ConsoleState::Woken(_)),
            Err(CommandError::LinkGone(why)) => return why,
            Err(lost) => return self.unanswered(&lost),
        };
        sweeper.on_link_open();
        let mut first = true;
        loop {
            let step = sweeper.step(&mut conversation).await;
            self.beat();
            self.tell_company(&mut conversation);
            match step {
                Step::InProgress => {}
                Step::Idle(until) => self.idle(until).await,
                Step::NoResponse(lost) => return unheard(&lost),
                Step::LinkGone(why) => return why,
                Step::Complete(transcript) => {
                    if std::mem::take(&mut first) {
                        self.up(&transcript, opened, woken);
                    }
                    // A full mailbox costs this sweep; the port does not wait. The queue counts it.
                    self.parser.try_send(SweepDone(transcript.into()));
                }
            }
        }
    }

    /// Nobody answered when the link was opened; a sleeping console is one reason.
    fn unanswered(&self, lost: &CommandError) -> String {
        let about_waking = match (lost, self.settings.wake, self.settings.link.target.can_set_speed()) {
            (CommandError::NoResponse, true, true) => ", and did not wake at 1200 baud",
            (CommandError::NoResponse, true, false) => {
                ", and this link can't wake it: that takes a serial port or rfc2217://"
            }
            _ => "",
        };
        unheard(lost) + about_waking
    }

    fn beat(&self) {
        self.settings.beat.iter().for_each(Heartbeat::beat);
    }

    /// Nothing is due. Whoever watches sees all the same that this owner will be there in time.
    async fn idle(&self, until: tokio::time::Instant) {
        while tokio::time::Instant::now() < until {
            self.beat();
            tokio::time::sleep_until(until.min(tokio::time::Instant::now() + IDLE_BEAT)).await;
        }
    }

    fn up(&mut self, transcript: &Transcript, opened: Instant, woken: bool) {
        let table = transcript.exchanges.iter().find(|exchange| exchange.command == CommandName::Pwr.bare());
        let prompt = table.and_then(|table| table.outcome.as_ref().ok()).and_then(|answer| answer.prompt);
        let prompt = prompt.map_or_else(|| "?".to_owned(), |prompt| prompt.to_string());
        self.pause = self.settings.backoff.0;
        let (bank, link) = (&*self.settings.bank, self.settings.link.to_string());
        if let Some(recovered) = self.trouble.on_success(Instant::now()) {
            info!(self.log, "link back"; "bank" => bank, "link" => link, "outage" => HumanDuration(recovered.lasted));
        } else if transcript.kind == SweepKind::Full {
            info!(self.log, "link up"; "bank" => bank, "link" => link, "prompt" => prompt,
                "woken" => woken, "batteries" => transcript.known_places.len(), "took" => HumanDuration(opened.elapsed()));
        }
    }

    /// Somebody else uses the console, or has changed its mode: told once, since it goes on working.
    fn tell_company(&mut self, conversation: &mut ConsoleClient) {
        let bank = &*self.settings.bank;
        if let Some(question) = conversation.take_foreign_command()
            && !std::mem::replace(&mut self.company_told, true)
        {
            warn!(self.log, "console shared"; "bank" => bank, "question" => question,
                "remedy" => "let one program alone use the console");
        }
        let prompt = conversation.prompt();
        if let (Some(before), Some(now)) = (self.prompt, prompt)
            && before != now
        {
            info!(self.log, "console mode changed"; "bank" => bank, "from" => before.text(), "to" => now.text());
        }
        self.prompt = prompt.or(self.prompt);
    }

    fn lost(&mut self, reason: &str) {
        let Some(say) = self.trouble.on_failure(Instant::now(), reason) else { return };
        let (bank, link) = (&*self.settings.bank, self.settings.link.to_string());
        match say.kind {
            NoticeKind::Reminder | NoticeKind::NewReason => {
                warn!(self.log, "link still lost"; "bank" => bank, "since" => HumanDuration(say.lasted),
                "tries" => say.failures, "reason" => reason)
            }
            NoticeKind::Started => warn!(self.log, "link lost"; "bank" => bank, "link" => link,
                "reason" => reason, "next_try" => HumanDuration(self.pause)),
        }
    }
}

/// Nobody is there, or nobody who can be understood.
fn unheard(lost: &CommandError) -> String {
    match lost {
        CommandError::NoResponse => "console silent".to_owned(),
        lost => format!("console not understood: {lost}"),
    }
}
