//! An output that records every report for a test.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actix::{Actor, Context, Handler, Supervised};
use bankwatch::internals::messages::{LatestReports, ReportSink, SlotUpdated};
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::supervise::{ChildSpec, Ping, Role, Supervisor};

/// Records every report that it receives.
#[derive(Clone, Default)]
pub struct ReportRecorder {
    slot: LatestReports,
    reports: Arc<Mutex<Vec<Arc<BankReport>>>>,
    count: Arc<AtomicUsize>,
}

impl ReportRecorder {
    /// Starts a recorder as a child; returns it with its sink.
    pub fn start(supervisor: &mut Supervisor) -> (Self, ReportSink) {
        let seen = Self::default();
        let kept = seen.clone();
        let child = ChildSpec::new("seen").role(Role::Isolated).capacity(1);
        let output = supervisor.start_child(child, move |_| kept).unwrap();
        let outlet = ReportSink::newest_full(seen.slot.clone(), output.recipient());
        (seen, outlet)
    }

    /// The total number of reports.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Reports not taken yet.
    pub fn reports(&self) -> Vec<Arc<BankReport>> {
        self.reports.lock().unwrap().clone()
    }

    /// Takes all reports not taken yet.
    pub fn take(&self) -> Vec<Arc<BankReport>> {
        std::mem::take(&mut *self.reports.lock().unwrap())
    }
}

impl Actor for ReportRecorder {
    type Context = Context<Self>;
}

impl Supervised for ReportRecorder {}

impl Handler<SlotUpdated> for ReportRecorder {
    type Result = ();

    fn handle(&mut self, _: SlotUpdated, _: &mut Self::Context) {
        let reports = self.slot.take();
        let more = reports.len();
        self.reports.lock().unwrap().extend(reports);
        self.count.fetch_add(more, Ordering::SeqCst);
    }
}

impl Handler<Ping> for ReportRecorder {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}
