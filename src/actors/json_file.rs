//! Writes `<bank>_status.json`: the newest full reading of each bank, replaced as a whole.
//!
//! The folder may be a network mount that hangs, so files are written on a worker thread with a deadline; a
//! folder that is missing, full or read-only is told once, and the newest reading goes out when it is back.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Supervised, WrapFuture};
use jiff::tz::TimeZone;
use slog::{Logger, info, warn};

use crate::atomic_file;
use crate::messages::{Nudge, Slot};
use crate::status::Status;
use crate::supervise::{Flush, Lifeline, Ping, Worker, WorkerError};
use crate::trouble::{Took, Trouble, Why};

/// How many writes may hang before the output gives up for a while.
const MOST_ABANDONED: usize = 3;

/// The file's writer.
pub struct JsonFileActor {
    directory: PathBuf,
    /// How long one round of writing may take.
    deadline: Duration,
    slot: Slot,
    log: Logger,
    lifeline: Lifeline,
    /// Outlives restarts, so that threads that hang stay counted.
    worker: Worker,
    trouble: Trouble,
}

/// A file that could not be written.
struct Failed {
    target: PathBuf,
    reason: String,
}

impl JsonFileActor {
    /// Writes what `slot` holds into `directory`; a round of writing may take `deadline`.
    #[must_use]
    pub fn new(directory: PathBuf, deadline: Duration, slot: Slot, log: Logger, lifeline: Lifeline) -> Self {
        let worker = Worker::new("json file", MOST_ABANDONED);
        Self { directory, deadline, slot, log, lifeline, worker, trouble: Trouble::new() }
    }

    fn told(&mut self, outcome: Result<Result<(), Failed>, WorkerError>, ctx: &mut Context<Self>) {
        let failed = match outcome {
            Ok(Ok(())) => {
                if let Some(back) = self.trouble.recovered(Instant::now()) {
                    info!(self.log, "output back"; "output" => "json_file", "outage" => Took(back.outage));
                }
                return;
            }
            Ok(Err(failed)) => failed,
            Err(error @ WorkerError::Exhausted { .. }) => {
                // The supervisor tries again every few minutes; until then readings cost nothing here.
                self.lifeline.give_up(format!("writing to {} hangs: {error}", self.directory.display()));
                ctx.stop();
                return;
            }
            Err(error) => Failed { target: self.directory.clone(), reason: error.to_string() },
        };
        if let Some(say) = self.trouble.failed(Instant::now(), &failed.reason) {
            let target = failed.target.display().to_string();
            match say.why {
                Why::Still => {
                    warn!(self.log, "output still away"; "output" => "json_file", "since" => Took(say.since),
                    "tries" => say.count, "reason" => failed.reason, "target" => target)
                }
                Why::Begun | Why::Changed => warn!(self.log, "output away"; "output" => "json_file",
                    "reason" => failed.reason, "target" => target),
            }
        }
    }
}

impl Actor for JsonFileActor {
    type Context = Context<Self>;

    /// What came in while it was away is still in the slot.
    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(Nudge);
    }
}

impl Supervised for JsonFileActor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.trouble = Trouble::new();
    }
}

impl Handler<Nudge> for JsonFileActor {
    type Result = ();

    /// The mailbox waits while the worker writes: nudges that come meanwhile are one, and the slot holds the
    /// newest.
    fn handle(&mut self, _: Nudge, ctx: &mut Self::Context) {
        let reports = self.slot.take();
        if reports.is_empty() {
            return;
        }
        let directory = self.directory.clone();
        let write = move || {
            for report in reports {
                let target = directory.join(format!("{}_status.json", report.reading.bank));
                let status = Status::of(&report, &TimeZone::system());
                let written = serde_json::to_vec(&status).map_err(std::io::Error::from);
                let written = written.and_then(|content| atomic_file::replace(&target, &content));
                written.map_err(|error| Failed { target, reason: error.to_string() })?;
            }
            Ok(())
        };
        let written = self.worker.call(self.deadline, write);
        ctx.wait(written.into_actor(self).map(|outcome, actor, ctx| actor.told(outcome, ctx)));
    }
}

impl Handler<Ping> for JsonFileActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Flush> for JsonFileActor {
    type Result = ();

    /// A nudge queued before has been written by now, since the mailbox waits for its writing.
    fn handle(&mut self, _: Flush, _: &mut Self::Context) {}
}
