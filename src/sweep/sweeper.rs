//! The sweep: what the plan says is asked, what comes back is reviewed, and the answers of one sweep become a
//! transcript.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::console::answer::Answer;
use crate::console::command::{Command, Verb};
use crate::console::error::ParseError;
use crate::console::parsed::Rejected;
use crate::console::review::{Review, Verdict};
use crate::console::transcript::{Exchange, Lost, Transcript};
use crate::model::place::Place;
use crate::model::reading::SweepKind;
use crate::sweep::conversation::Conversation;
use crate::sweep::plan::{Plan, Rhythm, Step};

/// How an answer is judged; [`Review::judge`] but in tests that need a parser with a bug.
pub type Judge = fn(&mut Review, Command, Duration, u32, Result<Answer, Lost>) -> Verdict;

/// Asks one bank, sweep after sweep.
pub struct Sweeper {
    bank: Arc<str>,
    began: Instant,
    plan: Plan,
    review: Review,
    judge: Judge,
    /// Answers to slow questions, waiting for the next transcript.
    between: Vec<Exchange>,
    sweep: Option<Under>,
    tables_lost: u32,
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
    /// The console did not answer two tables running: it is silent, or this is no console.
    Silent(Lost),
    /// The link must be opened anew.
    LinkGone,
}

/// A console that leaves so many group tables running without an answer is not there.
const TABLES_LOST: u32 = 2;

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
            sweep: None,
            tables_lost: 0,
        }
    }

    /// The link was opened: a full sweep is due at once.
    pub fn opened(&mut self) {
        self.sweep = None;
        self.between.clear();
        self.tables_lost = 0;
        self.plan.opened(self.now());
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Does what is next, at most one question with its repetitions.
    pub async fn step(&mut self, conversation: &mut Conversation) -> Swept {
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
        let outcome = loop {
            asked += 1;
            let heard = conversation.ask(command).await;
            if heard == Err(Lost::LinkGone) {
                return Swept::LinkGone;
            }
            match self.judge(command, asked, heard) {
                Verdict::Fine(answer, found) => {
                    self.plan.answered(command, self.now(), &found);
                    break Ok(answer);
                }
                Verdict::Again(_) => {}
                Verdict::Lost(lost) => {
                    self.plan.lost(command, self.now(), &lost);
                    break Err(lost);
                }
            }
        };
        let silent = self.silent(command, &outcome);
        let exchange = Exchange { command, outcome, asked };
        match &mut self.sweep {
            Some(sweep) => sweep.exchanges.push(exchange),
            // Without a place in a sweep a slow answer waits for the next; a failed one is simply asked later.
            None if exchange.outcome.is_ok() => self.between.push(exchange),
            None => {}
        }
        silent.map_or(Swept::Going, Swept::Silent)
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

    fn silent(&mut self, command: Command, outcome: &Result<Answer, Lost>) -> Option<Lost> {
        if command != Verb::Pwr.alone() {
            return None;
        }
        match outcome {
            Err(lost @ (Lost::Silent | Lost::NoEcho | Lost::TooLong)) => {
                self.tables_lost += 1;
                (self.tables_lost >= TABLES_LOST).then(|| lost.clone())
            }
            _ => {
                self.tables_lost = 0;
                None
            }
        }
    }

    fn end(&mut self, kind: SweepKind) -> Swept {
        let Some(Under { began, began_at, mut exchanges }) = self.sweep.take() else { return Swept::Going };
        exchanges.append(&mut self.between);
        let known: Vec<Place> = self.plan.known().collect();
        let transcript =
            Transcript { bank: self.bank.clone(), kind, began_at, took: began.elapsed(), known, exchanges };
        Swept::Transcript(Box::new(transcript))
    }
}
