//! Parses the answers of a sweep into a reading. It is stateless, so a restart loses only the current sweep.

use actix::{Actor, Context, Handler, Supervised};

use crate::messages::{Queue, ReadingReady, SweepDone, Transcript};
use crate::model::reading::BankReading;
use crate::supervise::{Flush, Ping};

/// How a transcript becomes a reading; [`crate::console::assemble::assemble`] but in tests that need a bug.
pub(crate) type Assemble = fn(&Transcript) -> BankReading;

pub struct ParserActor {
    assemble: Assemble,
    stats: Queue<ReadingReady>,
}

impl ParserActor {
    #[must_use]
    pub fn new(assemble: Assemble, stats: Queue<ReadingReady>) -> Self {
        Self { assemble, stats }
    }
}

impl Actor for ParserActor {
    type Context = Context<Self>;
}

impl Supervised for ParserActor {}

impl Handler<SweepDone> for ParserActor {
    type Result = ();

    fn handle(&mut self, SweepDone(transcript): SweepDone, _: &mut Self::Context) {
        self.stats.try_send(ReadingReady((self.assemble)(&transcript).into()));
    }
}

impl Handler<Ping> for ParserActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Flush> for ParserActor {
    type Result = ();

    /// Everything queued before has been handled.
    fn handle(&mut self, _: Flush, _: &mut Self::Context) {}
}
