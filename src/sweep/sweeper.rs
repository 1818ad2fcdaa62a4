//! The sweep: what the plan says is asked, what comes back is reviewed, and the answers of one sweep become a
//! transcript.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::console::answers::log::{self, LogRecord};
use crate::console::answers::parsed::Rejected;
use crate::console::command::{Command, Verb};
use crate::console::error::ParseError;
use crate::console::framing::answer::Answer;
use crate::console::transcript::{Exchange, Lost, Transcript};
use crate::console::validation::{Review, Verdict};
use crate::model::place::Place;
use crate::model::reading::SweepKind;
use crate::sweep::client::{Conversation, Pages};
use crate::sweep::poll_plan::{Plan, Rhythm, Step};

/// How an answer is judged; [`Review::judge`] but in tests that need a parser with a bug.
pub(crate) type Judge = fn(&mut Review, Command, Duration, u32, Result<Answer, Lost>) -> Verdict;

/// Asks one bank, sweep after sweep.
pub struct Sweeper {
    bank: Arc<str>,
    began: Instant,
    plan: Plan,
    review: Review,
    judge: Judge,
    /// Answers to slow questions, waiting for the next transcript.
    between: Vec<Exchange>,
    /// The newest record of the battery's log when it was last read through; what lies beyond is known.
    known: Option<LogRecord>,
    sweep: Option<Under>,
    asked_last: Option<Command>,
}

/// A sweep under way.
struct Under {
    began: Instant,
    began_at: Timestamp,
    exchanges: Vec<Exchange>,
}

/// What came of one step.
#[derive(Debug)]
pub enum Swept {
    /// A question was put; nothing to tell yet.
    Going,
    /// A sweep is complete.
    Transcript(Box<Transcript>),
    /// Nothing is due until then.
    Idle(Instant),
    /// Nobody is there who understands: the question and an empty line went without an answer.
    Silent(Lost),
    /// The link must be opened anew: how it showed.
    LinkGone(String),
}

impl Sweeper {
    /// For `bank` at this rhythm.
    #[must_use]
    pub fn new(bank: Arc<str>, rhythm: Rhythm, judge: Judge) -> Self {
        Self {
            bank,
            began: Instant::now(),
            plan: Plan::new(rhythm),
            review: Review::default(),
            judge,
            between: Vec::new(),
            known: None,
            sweep: None,
            asked_last: None,
        }
    }

    /// The link was opened: a full sweep is due at once.
    pub fn opened(&mut self) {
        self.sweep = None;
        self.between.clear();
        self.plan.opened(self.now());
    }

    /// The question put in the last step, if it put one.
    #[must_use]
    pub(crate) fn asked_last(&self) -> Option<Command> {
        self.asked_last
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Does what is next, at most one question with its repetitions.
    pub async fn step(&mut self, conversation: &mut Conversation) -> Swept {
        self.asked_last = None;
        match self.plan.next(self.now()) {
            Step::Begin(_) => {
                self.review.begin();
                let exchanges = Vec::with_capacity(40);
                self.sweep = Some(Under { began: Instant::now(), began_at: Timestamp::now(), exchanges });
                Swept::Going
            }
            Step::Ask(command) => self.ask(conversation, command).await,
            Step::End(kind) => self.end(kind),
            Step::Wait(until) => Swept::Idle(self.began + until),
        }
    }

    async fn ask(&mut self, conversation: &mut Conversation, command: Command) -> Swept {
        let mut asked = 0;
        self.asked_last = Some(command);
        let outcome = loop {
            asked += 1;
            let heard = self.hear(conversation, command).await;
            if let Err(Lost::LinkGone(why)) = heard {
                return Swept::LinkGone(why);
            }
            match self.judge(command, asked, heard) {
                Verdict::Fine(answer, found) => {
                    self.plan.answered(command, self.now(), &found);
                    self.remember(command, &answer);
                    break Ok(answer);
                }
                // Between two sweeps nothing is asked so often that the next one is late.
                Verdict::Again(lost) if self.sweep.is_none() && self.plan.is_late(self.now()) => {
                    self.plan.postpone(command, self.now());
                    break Err(lost);
                }
                Verdict::Again(_) => {}
                Verdict::Lost(lost) => {
                    self.plan.lost(command, self.now(), &lost);
                    break Err(lost);
                }
            }
        };
        if let Err(lost @ (Lost::Silent | Lost::NoEcho | Lost::TooLong)) = &outcome {
            match conversation.probe().await {
                Ok(_) => {}
                Err(Lost::LinkGone(why)) => return Swept::LinkGone(why),
                Err(_) => return Swept::Silent(lost.clone()),
            }
        }
        self.keep(Exchange { command, outcome, asked });
        Swept::Going
    }

    /// Puts the question. What batteries remember fills many pages: they are turned until a record comes that is
    /// known, or the next sweep is due.
    async fn hear(&self, conversation: &mut Conversation, command: Command) -> Result<Answer, Lost> {
        if !matches!(command.verb, Verb::Log | Verb::DataEvent | Verb::DataHistory) {
            return conversation.ask(command).await;
        }
        let known = |so_far: &Answer| {
            let known = self.known.as_ref().zip(log::parse(so_far).ok());
            known.is_some_and(|(known, log)| log.records.contains(known))
        };
        let until = Some(self.began + self.plan.next_sweep());
        conversation.ask_pages(command, Pages { until, enough: &known }).await
    }

    /// Keeps the newest record of a log, once it was read as often as it has to be.
    fn remember(&mut self, command: Command, answer: &Answer) {
        if command.verb == Verb::Log && self.plan.is_recalled(Verb::Log) {
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
    fn judge(&mut self, command: Command, asked: u32, heard: Result<Answer, Lost>) -> Verdict {
        let now = self.now();
        let judge = self.judge;
        let judged = catch_unwind(AssertUnwindSafe(|| judge(&mut self.review, command, now, asked, heard)));
        judged.unwrap_or_else(|_| {
            self.review = Review::default();
            let nothing = ParseError::Nothing {
                expected: "an answer that this version can read (this is a bug)",
                lines: 0,
            };
            Verdict::Lost(Lost::Rejected(Rejected::Unreadable(nothing)))
        })
    }

    fn end(&mut self, kind: SweepKind) -> Swept {
        let Some(Under { began, began_at, mut exchanges }) = self.sweep.take() else { return Swept::Going };
        exchanges.append(&mut self.between);
        let known: Vec<Place> = self.plan.known().collect();
        let (took, began) = (began.elapsed(), began.into_std());
        let transcript =
            Transcript { bank: self.bank.clone(), kind, began_at, began, took, known, exchanges };
        Swept::Transcript(Box::new(transcript))
    }
}
