//! Full sweeps of a service, as counted in its JSON file.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use crate::service::Service;

/// Checks that sweeps continue and are written to the file during another failure.
pub struct SweepWatch {
    inotify: OwnedFd,
    start_count: u64,
    since: Instant,
    interval: Duration,
}

impl SweepWatch {
    /// Starts now and expects a sweep per `interval`.
    pub fn watch(service: &mut Service, interval: Duration) -> Self {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("inotify");
        // Both events alternate: inotify merges consecutive identical events.
        let both = WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO;
        inotify::add_watch(&inotify, service.folder(), both).expect("a folder to watch");
        Self { start_count: sweep_count(service), since: Instant::now(), inotify, interval }
    }

    /// Asserts that sweeps came at the expected rate and that each was written.
    pub fn assert_regular(self, service: &mut Service) {
        const FILE: &CStr = c"bank_status.json";
        let (sweeps, due) =
            (sweep_count(service) - self.start_count, self.since.elapsed().div_duration_f64(self.interval));
        let (mut buffer, mut written) = ([MaybeUninit::uninit(); 4096], 0.0);
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        loop {
            match events.next() {
                Ok(event) if event.file_name() == Some(FILE) => written += 1.0,
                Ok(_) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => panic!("{error}"),
            }
        }
        // A busy machine may delay some sweeps; sweeps that wait for a server would be nearly all missing.
        let sweeps = f64::from(u32::try_from(sweeps).expect("a small number"));
        assert!(sweeps > 0.2 * due, "{sweeps} sweeps where {due:.0} were due");
        assert!(written > 0.8 * sweeps, "{written} of {sweeps} sweeps were written");
    }
}

/// Number of full sweeps according to the file.
pub fn sweep_count(service: &mut Service) -> u64 {
    let status = service.wait("a first reading", |_| None);
    status["serial_stat"]["loops"].as_u64().expect("a number of sweeps")
}

/// Waits for `more` full sweeps.
pub fn wait_for_sweeps(service: &mut Service, more: u64) {
    let target = sweep_count(service) + more;
    service.wait("more sweeps", |status| {
        (status["serial_stat"]["loops"].as_u64() < Some(target)).then(|| format!("not {target} yet"))
    });
}
