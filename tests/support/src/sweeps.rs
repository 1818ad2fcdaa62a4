//! Full sweeps of a service, as its file shows them.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use crate::service::Service;

/// Looks whether sweeps go on and reach the file while something else is in trouble.
pub struct SweepWatch {
    notes: OwnedFd,
    loops: u64,
    since: Instant,
    interval: Duration,
}

impl SweepWatch {
    /// From now on; there should be one an `interval`.
    pub fn watch(service: &mut Service, interval: Duration) -> Self {
        let notes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("notes of files");
        // The names come in turns: the same note twice running would be one.
        let both = WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO;
        inotify::add_watch(&notes, service.folder(), both).expect("a folder to watch");
        Self { loops: sweep_count(service), since: Instant::now(), notes, interval }
    }

    /// Asserts that they came at their pace and that each was written.
    pub fn assert_regular(self, service: &mut Service) {
        const FILE: &CStr = c"bank_status.json";
        let (loops, due) =
            (sweep_count(service) - self.loops, self.since.elapsed().div_duration_f64(self.interval));
        let (mut room, mut written) = ([MaybeUninit::uninit(); 4096], 0.0);
        let mut notes = inotify::Reader::new(&self.notes, &mut room);
        loop {
            match notes.next() {
                Ok(note) if note.file_name() == Some(FILE) => written += 1.0,
                Ok(_) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => panic!("{error}"),
            }
        }
        // A busy machine is late now and then; who had to wait for a server would miss nearly all.
        let loops = f64::from(u32::try_from(loops).expect("a small number"));
        assert!(loops > 0.2 * due, "{loops} sweeps where {due:.0} were due");
        assert!(written > 0.8 * loops, "{written} of {loops} sweeps were written");
    }
}

/// How many full sweeps there were, by the file.
pub fn sweep_count(service: &mut Service) -> u64 {
    let status = service.wait("a first reading", |_| None);
    status["serial_stat"]["loops"].as_u64().expect("a number of sweeps")
}

/// Waits for so many more full sweeps.
pub fn wait_for_sweeps(service: &mut Service, more: u64) {
    let wanted = sweep_count(service) + more;
    service.wait("more sweeps", |status| {
        (status["serial_stat"]["loops"].as_u64() < Some(wanted)).then(|| format!("not {wanted} yet"))
    });
}
