//! Messages between actors, and their delivery to slow receivers.
//!
//! Every mailbox is bounded, and the serial port never waits: a message that does not fit into a full mailbox is
//! dropped, counted and logged. This also applies to outputs that need every report. Live outputs only take the
//! newest report of each bank from a slot and are notified with a single message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use actix::dev::{SendError, ToEnvelope};
use actix::{Actor, Addr, Handler, Message, Recipient};
use parking_lot::Mutex;
use slog::Logger;

mod drops;

pub(crate) use self::drops::Drops;
pub(crate) use crate::console::transcript::Transcript;
use crate::model::device_log::DeviceLogBatch;
use crate::model::event::Event;
use crate::model::reading::{BankReading, SweepKind};
use crate::model::report::BankReport;

/// The answers of one sweep, sent from `SerialActor` to `ParserActor`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct SweepDone(pub Arc<Transcript>);

/// A parsed reading, sent from `ParserActor` to `StatsActor`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ReadingReady(pub Arc<BankReading>);

/// A report, sent from `StatsActor` to outputs that need every report.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ReportReady(pub Arc<BankReport>);

/// An event, sent from `EventActor` to outputs.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct EventOccurred(pub Arc<Event>);

/// New records of a battery's own log, sent from `EventActor` to outputs that store them.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct DeviceLogRead(pub Arc<DeviceLogBatch>);

/// The slot of an output contains a newer report.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct SlotUpdated;

/// A bounded channel to the next stage. Messages that do not fit are dropped, counted and logged.
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
    /// Creates a channel to `actor`. Each `Queue` has a slot of its own in the mailbox, so create one and reuse it.
    #[cfg(feature = "internals")]
    pub fn to<A>(actor: Addr<A>) -> Self
    where
        A: Actor + Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        Self::named("", actor, &Logger::root(slog::Discard, slog::o!()))
    }

    /// Creates a channel that logs dropped messages under `name`.
    pub fn named<A>(name: &str, actor: Addr<A>, log: &Logger) -> Self
    where
        A: Actor + Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        Self { to: actor.recipient(), drops: Arc::new(Drops::of(name.to_owned(), log.clone())) }
    }

    /// Sends the message or drops and counts it; returns whether it was sent.
    pub(crate) fn try_send(&self, message: M) -> bool {
        let sent = self.to.try_send(message);
        match sent {
            Ok(()) => self.drops.sent(Instant::now()),
            Err(SendError::Full(_)) => self.drops.dropped(Instant::now()),
            // The receiver has stopped, which its supervisor logs.
            Err(SendError::Closed(_)) => self.drops.add(),
        }
        sent.is_ok()
    }

    #[cfg(feature = "internals")]
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.drops.count()
    }
}

/// The newest report of each bank and sweep kind: a summary does not replace the full reading before it.
#[derive(Clone, Debug, Default)]
pub struct LatestReports(Arc<Mutex<BTreeMap<LatestKey, Arc<BankReport>>>>);

type LatestKey = (Arc<str>, SweepKind);

fn latest_key(report: &BankReport) -> LatestKey {
    (report.reading.bank.clone(), report.reading.kind)
}

impl LatestReports {
    fn store(&self, report: Arc<BankReport>) {
        let mut newest = self.0.lock();
        newest.insert(latest_key(&report), report);
    }

    /// Takes the reports since the last call, oldest first: at most one per bank and kind.
    #[must_use]
    pub fn take(&self) -> Vec<Arc<BankReport>> {
        let mut newest = self.0.lock();
        let mut taken: Vec<_> = std::mem::take(&mut *newest).into_values().collect();
        taken.sort_by_key(|report| report.reading.taken_at);
        taken
    }

    /// Puts back unprocessed reports unless newer ones have arrived.
    pub(crate) fn put_back(&self, reports: Vec<Arc<BankReport>>) {
        let mut newest = self.0.lock();
        for report in reports {
            newest.entry(latest_key(&report)).or_insert(report);
        }
    }
}

/// The destination of reports: an output and its kind of delivery.
#[derive(Clone)]
pub struct ReportSink(SinkMode);

#[derive(Clone)]
enum SinkMode {
    Newest { slot: LatestReports, notify: Recipient<SlotUpdated>, full_only: bool },
    Every(Queue<ReportReady>),
}

impl ReportSink {
    /// Delivers the newest full reading of each bank through `slot`.
    #[must_use]
    pub fn newest_full(slot: LatestReports, notify: Recipient<SlotUpdated>) -> Self {
        Self(SinkMode::Newest { slot, notify, full_only: true })
    }

    /// Delivers the newest full reading and the newest summary of each bank through `slot`.
    #[must_use]
    pub(crate) fn newest(slot: LatestReports, notify: Recipient<SlotUpdated>) -> Self {
        Self(SinkMode::Newest { slot, notify, full_only: false })
    }

    /// Delivers every report through a queue.
    #[must_use]
    pub fn every(queue: Queue<ReportReady>) -> Self {
        Self(SinkMode::Every(queue))
    }

    /// Delivers a report. If the mailbox is full, it already contains a notification, and the output will find the
    /// newest report; a paused output finds it when it resumes.
    pub fn try_send(&self, report: &Arc<BankReport>) {
        match &self.0 {
            SinkMode::Newest { full_only: true, .. } if report.reading.kind != SweepKind::Full => {}
            SinkMode::Newest { slot, notify, .. } => {
                slot.store(report.clone());
                let _ = notify.try_send(SlotUpdated);
            }
            // A full queue counts what it drops.
            SinkMode::Every(queue) => {
                queue.try_send(ReportReady(report.clone()));
            }
        }
    }
}
