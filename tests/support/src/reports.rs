//! An output that keeps every report, for a test to look at.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actix::{Actor, Context, Handler, Supervised};
use bankwatch::internals::messages::{LatestReports, ReportSink, SlotUpdated};
use bankwatch::internals::model::report::BankReport;
use bankwatch::internals::supervise::{ChildSpec, Ping, Role, Supervisor};

/// An output that keeps every report it is shown.
#[derive(Clone, Default)]
pub struct Seen {
    slot: LatestReports,
    reports: Arc<Mutex<Vec<Arc<BankReport>>>>,
    count: Arc<AtomicUsize>,
}

impl Seen {
    /// Keeps one among the children, and how it is fed.
    pub fn keep(supervisor: &mut Supervisor) -> (Self, ReportSink) {
        let seen = Self::default();
        let kept = seen.clone();
        let child = ChildSpec::new("seen").role(Role::Isolated).capacity(1);
        let output = supervisor.start_child(child, move |_| kept).unwrap();
        let outlet = ReportSink::newest_full(seen.slot.clone(), output.recipient());
        (seen, outlet)
    }

    /// How many reports there were in all.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Those that nobody has taken yet.
    pub fn reports(&self) -> Vec<Arc<BankReport>> {
        self.reports.lock().unwrap().clone()
    }

    /// Takes them.
    pub fn take(&self) -> Vec<Arc<BankReport>> {
        std::mem::take(&mut *self.reports.lock().unwrap())
    }
}

impl Actor for Seen {
    type Context = Context<Self>;
}

impl Supervised for Seen {}

impl Handler<SlotUpdated> for Seen {
    type Result = ();

    fn handle(&mut self, _: SlotUpdated, _: &mut Self::Context) {
        let reports = self.slot.take();
        let more = reports.len();
        self.reports.lock().unwrap().extend(reports);
        self.count.fetch_add(more, Ordering::SeqCst);
    }
}

impl Handler<Ping> for Seen {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}
