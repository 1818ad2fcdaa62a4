//! Owns the port of one bank: opens the link, polls sweep after sweep, and reopens a lost link. It never waits for the
//! actors that it feeds.

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

#[derive(Clone, Debug)]
pub struct SerialSettings {
    pub bank: Arc<str>,
    pub link: Link,
    /// Ends each command.
    pub line_end: &'static [u8],
    pub rhythm: PollSchedule,
    pub patience: ConsoleTimeouts,
    /// The first and the longest pause before a lost link is reopened.
    pub backoff: (Duration, Duration),
    pub wake: bool,
    /// Beats whenever work is attempted, for the watchdog.
    pub beat: Option<Heartbeat>,
    pub judge: ValidateFn,
}

pub struct SerialActor {
    settings: SerialSettings,
    log: Logger,
    parser: Queue<SweepDone>,
}

impl SerialActor {
    #[must_use]
    pub fn new(settings: SerialSettings, log: Logger, parser: Queue<SweepDone>) -> Self {
        Self { settings, log, parser }
    }
}

impl Actor for SerialActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let poll_loop = PollLoop {
            settings: self.settings.clone(),
            log: self.log.clone(),
            parser: self.parser.clone(),
            outage: OutageTracker::new(),
            pause: self.settings.backoff.0,
            sharing_logged: false,
            prompt: None,
        };
        ctx.spawn(poll_loop.run().into_actor(self));
    }
}

/// A restart drops the poll loop with its port, and `started` creates a new one.
impl Supervised for SerialActor {}

impl Handler<Ping> for SerialActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Flush> for SerialActor {
    type Result = ();

    fn handle(&mut self, _: Flush, _: &mut Self::Context) {}
}

/// The heartbeat interval while no command is due.
const IDLE_BEAT: Duration = Duration::from_secs(5);

/// The state of the poll loop.
struct PollLoop {
    settings: SerialSettings,
    log: Logger,
    parser: Queue<SweepDone>,
    outage: OutageTracker,
    pause: Duration,
    sharing_logged: bool,
    prompt: Option<Prompt>,
}

impl PollLoop {
    /// Polls forever; reopens the link whenever it is lost.
    async fn run(mut self) {
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
                    // Closes the link before the pause: an adapter that is still open would reappear under another
                    // name.
                    self.poll_until_lost(&mut sweeper, conversation, opened).await
                }
            };
            self.log_link_lost(&reason);
            actix_rt::time::sleep(self.pause.mul_f64(0.75 + 0.25 * fastrand::f64())).await;
            self.pause = (self.pause * 2).min(self.settings.backoff.1);
        }
    }

    /// Sweeps until the link is lost; returns the reason.
    async fn poll_until_lost(
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
            Err(lost) => return self.no_answer_reason(&lost),
        };
        sweeper.on_link_open();
        let mut first = true;
        loop {
            let step = sweeper.step(&mut conversation).await;
            self.beat();
            self.log_console_changes(&mut conversation);
            match step {
                Step::InProgress => {}
                Step::Idle(until) => self.wait_until(until).await,
                Step::NoResponse(lost) => return silence_reason(&lost),
                Step::LinkGone(why) => return why,
                Step::Complete(transcript) => {
                    if std::mem::take(&mut first) {
                        self.log_link_up(&transcript, opened, woken);
                    }
                    // If the mailbox is full, this sweep is dropped and counted by the queue; the port never waits.
                    self.parser.try_send(SweepDone(transcript.into()));
                }
            }
        }
    }

    /// Why the console did not answer when the link was opened; it may be asleep.
    fn no_answer_reason(&self, lost: &CommandError) -> String {
        let wake_hint = match (lost, self.settings.wake, self.settings.link.target.can_set_speed()) {
            (CommandError::NoResponse, true, true) => ", and did not wake at 1200 baud",
            (CommandError::NoResponse, true, false) => {
                ", and this link can't wake it: waking needs a serial port or rfc2217://"
            }
            _ => "",
        };
        silence_reason(lost) + wake_hint
    }

    fn beat(&self) {
        self.settings.beat.iter().for_each(Heartbeat::beat);
    }

    /// Waits for the next command and keeps the heartbeat going.
    async fn wait_until(&self, until: tokio::time::Instant) {
        while tokio::time::Instant::now() < until {
            self.beat();
            tokio::time::sleep_until(until.min(tokio::time::Instant::now() + IDLE_BEAT)).await;
        }
    }

    fn log_link_up(&mut self, transcript: &Transcript, opened: Instant, woken: bool) {
        let table = transcript.exchanges.iter().find(|exchange| exchange.command == CommandName::Pwr.bare());
        let prompt = table.and_then(|table| table.outcome.as_ref().ok()).and_then(|answer| answer.prompt);
        let prompt = prompt.map_or_else(|| "?".to_owned(), |prompt| prompt.to_string());
        self.pause = self.settings.backoff.0;
        let (bank, link) = (&*self.settings.bank, self.settings.link.to_string());
        if let Some(recovered) = self.outage.on_success(Instant::now()) {
            info!(self.log, "link back"; "bank" => bank, "link" => link, "outage" => HumanDuration(recovered.lasted));
        } else if transcript.kind == SweepKind::Full {
            info!(self.log, "link up"; "bank" => bank, "link" => link, "prompt" => prompt,
                "woken" => woken, "batteries" => transcript.known_places.len(), "took" => HumanDuration(opened.elapsed()));
        }
    }

    /// Logs once that another client uses the console, and each change of the console's mode. Polling continues.
    fn log_console_changes(&mut self, conversation: &mut ConsoleClient) {
        let bank = &*self.settings.bank;
        if let Some(question) = conversation.take_foreign_command()
            && !std::mem::replace(&mut self.sharing_logged, true)
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

    fn log_link_lost(&mut self, reason: &str) {
        let Some(notice) = self.outage.on_failure(Instant::now(), reason) else { return };
        let (bank, link) = (&*self.settings.bank, self.settings.link.to_string());
        match notice.kind {
            NoticeKind::Reminder | NoticeKind::NewReason => {
                warn!(self.log, "link still lost"; "bank" => bank, "since" => HumanDuration(notice.lasted),
                "tries" => notice.failures, "reason" => reason)
            }
            NoticeKind::Started => warn!(self.log, "link lost"; "bank" => bank, "link" => link,
                "reason" => reason, "next_try" => HumanDuration(self.pause)),
        }
    }
}

/// Whether the console is silent or its answers are unintelligible.
fn silence_reason(lost: &CommandError) -> String {
    match lost {
        CommandError::NoResponse => "console silent".to_owned(),
        lost => format!("console not understood: {lost}"),
    }
}
