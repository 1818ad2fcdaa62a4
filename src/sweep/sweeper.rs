//! Runs sweeps: sends the commands of the poll plan, validates the answers, and collects the answers of one sweep in a
//! transcript.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::console::answers::log::{self, LogRecord};
use crate::console::answers::parsed::Rejected;
use crate::console::command::{Command, CommandName};
use crate::console::error::ParseError;
use crate::console::framing::answer::Answer;
use crate::console::transcript::{CommandError, Exchange, Transcript};
use crate::console::validation::{AnswerValidator, ReviewDecision};
use crate::model::place::Place;
use crate::model::reading::SweepKind;
use crate::sweep::client::{ConsoleClient, PageLimit};
use crate::sweep::poll_plan::{PlanStep, PollPlan, PollSchedule};

/// How an answer is judged: [`AnswerValidator::validate`], except in tests that need a parser with a bug.
pub(crate) type ValidateFn =
    fn(&mut AnswerValidator, Command, Duration, u32, Result<Answer, CommandError>) -> ReviewDecision;

/// Polls one bank, sweep after sweep.
pub struct Sweeper {
    bank: Arc<str>,
    began: Instant,
    plan: PollPlan,
    validator: AnswerValidator,
    validate_fn: ValidateFn,
    /// Answers to slow commands, for the next transcript.
    between_sweeps: Vec<Exchange>,
    /// The newest record when the battery's log was last read completely; older records are known.
    newest_record: Option<LogRecord>,
    sweep: Option<SweepInProgress>,
    last_command: Option<Command>,
}

struct SweepInProgress {
    began: Instant,
    began_at: Timestamp,
    exchanges: Vec<Exchange>,
}

/// The result of one step.
#[derive(Debug)]
pub enum SweepProgress {
    /// The sweep goes on.
    InProgress,
    Complete(Box<Transcript>),
    /// Nothing is due until this moment.
    Idle(Instant),
    /// No console answers: neither the command nor an empty line.
    NoResponse(CommandError),
    /// The link must be reopened; the reason.
    LinkGone(String),
}

impl Sweeper {
    #[must_use]
    pub fn new(bank: Arc<str>, schedule: PollSchedule, validate_fn: ValidateFn) -> Self {
        Self {
            bank,
            began: Instant::now(),
            plan: PollPlan::new(schedule),
            validator: AnswerValidator::default(),
            validate_fn,
            between_sweeps: Vec::new(),
            newest_record: None,
            sweep: None,
            last_command: None,
        }
    }

    /// To be called when the link was opened: a full sweep is due at once.
    pub fn on_link_open(&mut self) {
        self.sweep = None;
        self.between_sweeps.clear();
        self.plan.on_link_open(self.now());
    }

    /// The command sent in the last step, if any.
    #[must_use]
    pub(crate) fn last_command(&self) -> Option<Command> {
        self.last_command
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Does what is next: at most one command with its retries.
    pub async fn step(&mut self, client: &mut ConsoleClient) -> SweepProgress {
        self.last_command = None;
        match self.plan.next_step(self.now()) {
            PlanStep::BeginSweep(_) => {
                self.validator.begin_sweep();
                let exchanges = Vec::with_capacity(40);
                self.sweep =
                    Some(SweepInProgress { began: Instant::now(), began_at: Timestamp::now(), exchanges });
                SweepProgress::InProgress
            }
            PlanStep::Execute(command) => self.execute(client, command).await,
            PlanStep::EndSweep(kind) => self.finish_sweep(kind),
            PlanStep::WaitUntil(until) => SweepProgress::Idle(self.began + until),
        }
    }

    async fn execute(&mut self, client: &mut ConsoleClient, command: Command) -> SweepProgress {
        let mut attempts = 0;
        self.last_command = Some(command);
        let outcome = loop {
            attempts += 1;
            let response = self.request(client, command).await;
            if let Err(CommandError::LinkGone(reason)) = response {
                return SweepProgress::LinkGone(reason);
            }
            match self.validate(command, attempts, response) {
                ReviewDecision::Accept(answer, found) => {
                    self.plan.on_answer(command, self.now(), &found);
                    self.update_newest_record(command, &answer);
                    break Ok(answer);
                }
                // Between two sweeps, retries must not delay the next one.
                ReviewDecision::Retry(error)
                    if self.sweep.is_none() && self.plan.is_sweep_due(self.now()) =>
                {
                    self.plan.postpone(command, self.now());
                    break Err(error);
                }
                ReviewDecision::Retry(_) => {}
                ReviewDecision::Fail(error) => {
                    self.plan.on_failure(command, self.now(), &error);
                    break Err(error);
                }
            }
        };
        if let Err(error @ (CommandError::NoResponse | CommandError::NoEcho | CommandError::TooLong)) =
            &outcome
        {
            match client.probe().await {
                Ok(_) => {}
                Err(CommandError::LinkGone(reason)) => return SweepProgress::LinkGone(reason),
                Err(_) => return SweepProgress::NoResponse(error.clone()),
            }
        }
        self.record(Exchange { command, outcome, attempts });
        SweepProgress::InProgress
    }

    /// Sends the command. A device log has many pages, which are requested until a known record is found or the next
    /// sweep is due.
    async fn request(&self, client: &mut ConsoleClient, command: Command) -> Result<Answer, CommandError> {
        if !matches!(command.name, CommandName::Log | CommandName::DataEvent | CommandName::DataHistory) {
            return client.execute(command).await;
        }
        let known = |so_far: &Answer| {
            let known = self.newest_record.as_ref().zip(log::parse(so_far).ok());
            known.is_some_and(|(known, log)| log.records.contains(known))
        };
        let until = Some(self.began + self.plan.next_sweep_at());
        client.execute_paged(command, PageLimit { until, stop_when: &known }).await
    }

    /// Remembers the newest record of a log, once it has been read as often as needed.
    fn update_newest_record(&mut self, command: Command, answer: &Answer) {
        if command.name == CommandName::Log && self.plan.device_log_complete(CommandName::Log) {
            let newest = log::parse(answer).ok().and_then(|log| log.records.into_iter().next());
            self.newest_record = newest.or(self.newest_record.take());
        }
    }

    /// Records an exchange. A refusal is not a gap in the sweep, except for the commands that every console supports. A
    /// failed slow command is simply sent again later.
    fn record(&mut self, exchange: Exchange) {
        let refused = matches!(exchange.outcome, Err(CommandError::Rejected(Rejected::Refused(_))));
        if refused && !matches!(exchange.command.name, CommandName::Pwr | CommandName::Bat) {
            return;
        }
        match &mut self.sweep {
            Some(sweep) => sweep.exchanges.push(exchange),
            None if exchange.outcome.is_ok() => self.between_sweeps.push(exchange),
            None => {}
        }
    }

    /// A panic in a parser is treated as a damaged answer, so that it never ends `SerialActor`.
    fn validate(
        &mut self,
        command: Command,
        attempt: u32,
        response: Result<Answer, CommandError>,
    ) -> ReviewDecision {
        let now = self.now();
        let validate = self.validate_fn;
        let decision =
            catch_unwind(AssertUnwindSafe(|| validate(&mut self.validator, command, now, attempt, response)));
        decision.unwrap_or_else(|_| {
            self.validator = AnswerValidator::default();
            let nothing = ParseError::Nothing {
                expected: "an answer that this version can parse (this is a bug)",
                lines: 0,
            };
            ReviewDecision::Fail(CommandError::Rejected(Rejected::Unreadable(nothing)))
        })
    }

    fn finish_sweep(&mut self, kind: SweepKind) -> SweepProgress {
        let Some(SweepInProgress { began, began_at, mut exchanges }) = self.sweep.take() else {
            return SweepProgress::InProgress;
        };
        exchanges.append(&mut self.between_sweeps);
        let known: Vec<Place> = self.plan.known_places().collect();
        let (took, began) = (began.elapsed(), began.into_std());
        let transcript = Transcript {
            bank: self.bank.clone(),
            kind,
            started_at: began_at,
            started: began,
            took,
            known_places: known,
            exchanges,
        };
        SweepProgress::Complete(Box::new(transcript))
    }
}
