//! The sweep: what the plan says is asked, what comes back is reviewed, and the answers of one sweep become a
//! transcript.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::console::answers::log::{self, BatteryLogRecord};
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

/// How an answer is judged; [`AnswerValidator::judge`] but in tests that need a parser with a bug.
pub(crate) type ValidateFn =
    fn(&mut AnswerValidator, Command, Duration, u32, Result<Answer, CommandError>) -> ReviewDecision;

/// Asks one bank, sweep after sweep.
pub struct Sweeper {
    bank: Arc<str>,
    began: Instant,
    plan: PollPlan,
    review: AnswerValidator,
    judge: ValidateFn,
    /// Answers to slow questions, waiting for the next transcript.
    between: Vec<Exchange>,
    /// The newest record of the battery's log when it was last read through; what lies beyond is known.
    known: Option<BatteryLogRecord>,
    sweep: Option<SweepInProgress>,
    asked_last: Option<Command>,
}

/// A sweep under way.
struct SweepInProgress {
    began: Instant,
    began_at: Timestamp,
    exchanges: Vec<Exchange>,
}

/// What came of one step.
#[derive(Debug)]
pub enum SweepProgress {
    /// A question was put; nothing to tell yet.
    InProgress,
    /// A sweep is complete.
    Complete(Box<Transcript>),
    /// Nothing is due until then.
    Idle(Instant),
    /// Nobody is there who understands: the question and an empty line went without an answer.
    NoResponse(CommandError),
    /// The link must be opened anew: how it showed.
    LinkGone(String),
}

impl Sweeper {
    /// For `bank` at this rhythm.
    #[must_use]
    pub fn new(bank: Arc<str>, rhythm: PollSchedule, judge: ValidateFn) -> Self {
        Self {
            bank,
            began: Instant::now(),
            plan: PollPlan::new(rhythm),
            review: AnswerValidator::default(),
            judge,
            between: Vec::new(),
            known: None,
            sweep: None,
            asked_last: None,
        }
    }

    /// The link was opened: a full sweep is due at once.
    pub fn on_link_open(&mut self) {
        self.sweep = None;
        self.between.clear();
        self.plan.on_link_open(self.now());
    }

    /// The question put in the last step, if it put one.
    #[must_use]
    pub(crate) fn last_command(&self) -> Option<Command> {
        self.asked_last
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Does what is next, at most one question with its repetitions.
    pub async fn step(&mut self, conversation: &mut ConsoleClient) -> SweepProgress {
        self.asked_last = None;
        match self.plan.next_step(self.now()) {
            PlanStep::BeginSweep(_) => {
                self.review.begin_sweep();
                let exchanges = Vec::with_capacity(40);
                self.sweep =
                    Some(SweepInProgress { began: Instant::now(), began_at: Timestamp::now(), exchanges });
                SweepProgress::InProgress
            }
            PlanStep::Execute(command) => self.ask(conversation, command).await,
            PlanStep::EndSweep(kind) => self.end(kind),
            PlanStep::WaitUntil(until) => SweepProgress::Idle(self.began + until),
        }
    }

    async fn ask(&mut self, conversation: &mut ConsoleClient, command: Command) -> SweepProgress {
        let mut asked = 0;
        self.asked_last = Some(command);
        let outcome = loop {
            asked += 1;
            let heard = self.hear(conversation, command).await;
            if let Err(CommandError::LinkGone(why)) = heard {
                return SweepProgress::LinkGone(why);
            }
            match self.judge(command, asked, heard) {
                ReviewDecision::Accept(answer, found) => {
                    self.plan.on_answer(command, self.now(), &found);
                    self.remember(command, &answer);
                    break Ok(answer);
                }
                // Between two sweeps nothing is asked so often that the next one is late.
                ReviewDecision::Retry(lost) if self.sweep.is_none() && self.plan.is_sweep_due(self.now()) => {
                    self.plan.postpone(command, self.now());
                    break Err(lost);
                }
                ReviewDecision::Retry(_) => {}
                ReviewDecision::Fail(lost) => {
                    self.plan.on_failure(command, self.now(), &lost);
                    break Err(lost);
                }
            }
        };
        if let Err(lost @ (CommandError::NoResponse | CommandError::NoEcho | CommandError::TooLong)) =
            &outcome
        {
            match conversation.probe().await {
                Ok(_) => {}
                Err(CommandError::LinkGone(why)) => return SweepProgress::LinkGone(why),
                Err(_) => return SweepProgress::NoResponse(lost.clone()),
            }
        }
        self.keep(Exchange { command, outcome, attempts: asked });
        SweepProgress::InProgress
    }

    /// Puts the question. What batteries remember fills many pages: they are turned until a record comes that is
    /// known, or the next sweep is due.
    async fn hear(&self, conversation: &mut ConsoleClient, command: Command) -> Result<Answer, CommandError> {
        if !matches!(command.verb, Verb::Log | Verb::DataEvent | Verb::DataHistory) {
            return conversation.execute(command).await;
        }
        let known = |so_far: &Answer| {
            let known = self.known.as_ref().zip(log::parse(so_far).ok());
            known.is_some_and(|(known, log)| log.records.contains(known))
        };
        let until = Some(self.began + self.plan.next_sweep_at());
        conversation.execute_paged(command, PageLimit { until, stop_when: &known }).await
    }

    /// Keeps the newest record of a log, once it was read as often as it has to be.
    fn remember(&mut self, command: Command, answer: &Answer) {
        if command.name == CommandName::Log && self.plan.device_log_complete(CommandName::Log) {
            let newest = log::parse(answer).ok().and_then(|log| log.records.into_iter().next());
            self.known = newest.or(self.known.take());
        }
    }

    /// A refusal is the console's word on what it can say, not a gap in the sweep, but for what every console
    /// must say. A failed slow question is simply asked later.
    fn keep(&mut self, exchange: Exchange) {
        let refused = matches!(exchange.outcome, Err(Lost::Rejected(Rejected::Refused(_))));
        if refused && !matches!(exchange.command.verb, Verb::Pwr | Verb::Bat) {
            return;
        }
        match &mut self.sweep {
            Some(sweep) => sweep.exchanges.push(exchange),
            None if exchange.outcome.is_ok() => self.between.push(exchange),
            None => {}
        }
    }

    /// A bug in a parser is a damaged answer, never the end of the port's owner.
    fn judge(&mut self, command: Command, asked: u32, heard: Result<Answer, CommandError>) -> ReviewDecision {
        let now = self.now();
        let judge = self.judge;
        let judged = catch_unwind(AssertUnwindSafe(|| judge(&mut self.review, command, now, asked, heard)));
        judged.unwrap_or_else(|_| {
            self.review = AnswerValidator::default();
            let nothing = ParseError::Nothing {
                expected: "an answer that this version can read (this is a bug)",
                lines: 0,
            };
            ReviewDecision::Fail(CommandError::Rejected(Rejected::Unreadable(nothing)))
        })
    }

    fn end(&mut self, kind: SweepKind) -> SweepProgress {
        let Some(SweepInProgress { began, began_at, mut exchanges }) = self.sweep.take() else {
            return SweepProgress::InProgress;
        };
        exchanges.append(&mut self.between);
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
