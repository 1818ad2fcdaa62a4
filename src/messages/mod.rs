//! What crosses actors, and what happens to it when the other side is slow.
//!
//! Every mailbox is bounded and the port is never made to wait: a stage whose mailbox is full loses the message,
//! which is counted and logged. So does an output that wants every report. Live outputs take the newest report instead:
//! a slot a bank and one nudge to look into it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use actix::dev::{SendError, ToEnvelope};
use actix::{Actor, Addr, Handler, Message, Recipient};
use slog::Logger;

mod drops;

pub(crate) use self::drops::Drops;
pub(crate) use crate::console::transcript::Transcript;
use crate::model::device_log::DeviceLogBatch;
use crate::model::event::Event;
use crate::model::reading::{BankReading, SweepKind};
use crate::model::report::BankReport;

/// The answers of one sweep: from the port's owner to the parser.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct SweepDone(pub Arc<Transcript>);

/// What they say: from the parser to the statistics.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ReadingReady(pub Arc<BankReading>);

/// What it amounts to: from the statistics to an output that wants every report.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ReportReady(pub Arc<BankReport>);

/// Something began, ended or happened: from the events to whoever tells of it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct EventOccurred(pub Arc<Event>);

/// What a battery remembers by itself and nobody was told before: from the events to whoever keeps it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct DeviceLogRead(pub Arc<DeviceLogBatch>);

/// Look into the slot: something newer is there.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct SlotUpdated;

/// A bounded way to the next stage. What does not fit is dropped, counted and logged.
#[derive(Clone)]
pub struct Queue<M>
where
    M: Message + Send,
    M::Result: Send,
{
    to: Recipient<M>,
    drops: Arc<Drops>,
}

impl<M> Queue<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    /// A way to `actor`. Its mailbox bounds every `Queue` made by itself, so one is made and kept.
    pub fn to<A>(actor: Addr<A>) -> Self
    where
        A: Actor + Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        Self::named("", actor, &Logger::root(slog::Discard, slog::o!()))
    }

    /// The same by a name, under which it logs what it drops.
    pub fn named<A>(name: &str, actor: Addr<A>, log: &Logger) -> Self
    where
        A: Actor + Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        Self { to: actor.recipient(), drops: Arc::new(Drops::of(name.to_owned(), log.clone())) }
    }

    /// Sends, or drops and counts; answers whether it was sent.
    pub(crate) fn try_send(&self, message: M) -> bool {
        let sent = self.to.try_send(message);
        match sent {
            Ok(()) => self.drops.sent(Instant::now()),
            Err(SendError::Full(_)) => self.drops.dropped(Instant::now()),
            // Its reader has ended, which its supervisor logs.
            Err(SendError::Closed(_)) => self.drops.add(),
        }
        sent.is_ok()
    }

    /// How many were dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.drops.count()
    }

    /// The counter of what was dropped, which outlives the queue.
    #[must_use]
    pub(crate) fn drops(&self) -> &Arc<Drops> {
        &self.drops
    }
}

/// The newest report of each bank and kind, for an output that wants nothing else: a summary does not drive out
/// the full reading before it.
#[derive(Clone, Debug, Default)]
pub struct LatestReports(Arc<Mutex<BTreeMap<LatestKey, Arc<BankReport>>>>);

/// The bank, and how much was asked.
type LatestKey = (Arc<str>, SweepKind);

fn latest_key(report: &BankReport) -> LatestKey {
    (report.reading.bank.clone(), report.reading.kind)
}

impl LatestReports {
    fn put(&self, report: Arc<BankReport>) {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        newest.insert(latest_key(&report), report);
    }

    /// Takes what is newer than at the last call, the older first: at most one report a bank and kind.
    #[must_use]
    pub fn take(&self) -> Vec<Arc<BankReport>> {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken: Vec<_> = std::mem::take(&mut *newest).into_values().collect();
        taken.sort_by_key(|report| report.reading.taken_at);
        taken
    }

    /// Lays back what could not be used, where nothing newer has come meanwhile.
    pub(crate) fn put_back(&self, reports: Vec<Arc<BankReport>>) {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for report in reports {
            newest.entry(latest_key(&report)).or_insert(report);
        }
    }
}

/// Where reports go: who is fed, and what he wants.
#[derive(Clone)]
pub struct ReportSink(SinkMode);

#[derive(Clone)]
enum SinkMode {
    Newest { slot: LatestReports, nudge: Recipient<SlotUpdated>, full_only: bool },
    Every(Queue<ReportReady>),
}

impl ReportSink {
    /// The newest full reading of each bank, through `slot`, for an output that looks when nudged.
    #[must_use]
    pub fn newest_full(slot: LatestReports, nudge: Recipient<SlotUpdated>) -> Self {
        Self(SinkMode::Newest { slot, nudge, full_only: true })
    }

    /// The newest full reading and the newest summary of each bank.
    #[must_use]
    pub(crate) fn newest(slot: LatestReports, nudge: Recipient<SlotUpdated>) -> Self {
        Self(SinkMode::Newest { slot, nudge, full_only: false })
    }

    /// Every report, through a queue, for an output that may miss none.
    #[must_use]
    pub fn every(queue: Queue<ReportReady>) -> Self {
        Self(SinkMode::Every(queue))
    }

    /// Hands over a report. A mailbox that is full has a nudge in it already, and whoever looks finds the
    /// newest; an output that is paused finds it when it goes on.
    pub fn try_send(&self, report: &Arc<BankReport>) {
        match &self.0 {
            SinkMode::Newest { full_only: true, .. } if report.reading.kind != SweepKind::Full => {}
            SinkMode::Newest { slot, nudge, .. } => {
                slot.put(report.clone());
                let _ = nudge.try_send(SlotUpdated);
            }
            // A full queue counts what it drops.
            SinkMode::Every(queue) => {
                queue.try_send(ReportReady(report.clone()));
            }
        }
    }
}
