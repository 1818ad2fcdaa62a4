//! Stores the ledger on disk: read once, then written when something changed, on a worker thread, so that a hanging
//! disk blocks nothing.
//!
//! ```text
//!             no file, read, or damaged and moved aside
//!  Unread ──────────────────────────────────────────────► Loaded ◄─► written when something changed
//!    │ ▲ └─ newer version: Refused, the file is not touched
//!    └─┘ can't be read: logged, retried
//! ```

use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use slog::{Logger, error, info, warn};

use crate::atomic_file::AtomicFile;
use crate::outage::{HumanDuration, NoticeKind, OutageTracker};
use crate::stats::ledger::{Ledger, LedgerError};
use crate::supervise::{Worker, WorkerError};

/// The write interval while the counters do not change, for the health models.
const QUIET: Duration = Duration::from_secs(600);
/// The maximum number of threads that hang on a dead disk.
const MOST_ABANDONED: usize = 3;

#[derive(Clone, Debug)]
pub struct LedgerFile {
    pub(crate) path: PathBuf,
    /// The write interval, which is what a power cut may lose.
    pub(crate) every: Duration,
    /// The timeout of a read or write.
    pub(crate) deadline: Duration,
}

pub(super) struct LedgerStore {
    file: Arc<AtomicFile>,
    every: Duration,
    deadline: Duration,
    log: Logger,
    worker: Worker,
    state: LedgerState,
    busy: bool,
    tried: Option<Instant>,
    written: Option<(Instant, Arc<Ledger>)>,
    trouble: OutageTracker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LedgerState {
    Unread,
    Loaded,
    Refused,
}

/// The I/O operation that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LedgerIo {
    Read,
    Write,
}

pub(super) enum LedgerFileContent {
    /// There is no file, as on the first start.
    Nothing,
    Ledger(Box<Ledger>),
    /// It was damaged and has been moved to `moved_to`.
    Damaged {
        why: LedgerError,
        moved_to: PathBuf,
    },
    /// It has a newer version and must not be touched.
    Newer(LedgerError),
}

impl LedgerStore {
    pub(crate) fn of(LedgerFile { path, every, deadline }: LedgerFile, log: Logger) -> Self {
        let (file, worker) = (Arc::new(AtomicFile::state(path)), Worker::new("ledger", MOST_ABANDONED));
        let (state, trouble) = (LedgerState::Unread, OutageTracker::new());
        Self { file, every, deadline, log, worker, state, busy: false, tried: None, written: None, trouble }
    }

    pub(crate) fn due(&self, now: Instant, ledger: Option<&Ledger>) -> Option<LedgerIo> {
        let rested = self.tried.is_none_or(|tried| now.saturating_duration_since(tried) >= self.every);
        if self.busy || !rested {
            return None;
        }
        match self.state {
            LedgerState::Unread => Some(LedgerIo::Read),
            LedgerState::Loaded => ledger.filter(|ledger| self.is_new(now, ledger)).map(|_| LedgerIo::Write),
            LedgerState::Refused => None,
        }
    }

    fn is_new(&self, now: Instant, ledger: &Ledger) -> bool {
        self.written.as_ref().is_none_or(|(at, written)| {
            let quiet = now.saturating_duration_since(*at) < QUIET;
            if quiet { !written.counted_as(ledger) } else { **written != *ledger }
        })
    }

    /// Reads the file. The result must be passed to [`LedgerStore::on_read`].
    pub(crate) fn read(
        &mut self,
        now: Instant,
    ) -> impl Future<Output = Result<io::Result<LedgerFileContent>, WorkerError>> + use<> {
        (self.busy, self.tried) = (true, Some(now));
        let file = self.file.clone();
        self.worker.call(self.deadline, move || read_file(file.path()))
    }

    /// Handles the result of a read and returns the ledger to load, or `None` if there is none yet.
    pub(crate) fn on_read(
        &mut self,
        found: Result<io::Result<LedgerFileContent>, WorkerError>,
    ) -> Option<Ledger> {
        self.busy = false;
        let found = match found {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return self.failed(&error.to_string()),
            Err(error) => return self.failed(&error.to_string()),
        };
        self.recovered();
        // The first write is not delayed, because it shows whether the file can be written.
        self.tried = None;
        let target = self.file.path().display().to_string();
        let (state, ledger) = match found {
            LedgerFileContent::Nothing => (LedgerState::Loaded, Some(Ledger::default())),
            LedgerFileContent::Ledger(ledger) => (LedgerState::Loaded, Some(*ledger)),
            LedgerFileContent::Damaged { why, moved_to } => {
                error!(self.log, "ledger corrupt, moved aside; counters restart at zero"; "reason" => %why, "target" => target,
                    "moved_to" => %moved_to.display());
                (LedgerState::Loaded, Some(Ledger::default()))
            }
            LedgerFileContent::Newer(why) => {
                error!(self.log, "ledger has a newer version, counters are not saved"; "reason" => %why, "target" => target,
                    "remedy" => "run the newer version again, or move the file away to restart at zero");
                (LedgerState::Refused, None)
            }
        };
        self.state = state;
        ledger
    }

    /// Writes the ledger. The result must be passed to [`LedgerStore::on_written`].
    pub(crate) fn write(
        &mut self,
        now: Instant,
        ledger: &Ledger,
        deadline: Duration,
    ) -> impl Future<Output = Result<io::Result<()>, WorkerError>> + use<> {
        (self.busy, self.tried) = (true, Some(now));
        let (file, content) = (self.file.clone(), Arc::new(ledger.clone()));
        self.written = Some((now, content.clone()));
        self.worker.call(deadline.min(self.deadline), move || write(&file, &content))
    }

    /// Handles the result of a write and returns the ledger that is on disk now, if it succeeded.
    pub(crate) fn on_written(&mut self, outcome: Result<io::Result<()>, WorkerError>) -> Option<Arc<Ledger>> {
        self.busy = false;
        let why = match outcome {
            Ok(Ok(())) => {
                self.recovered();
                return self.written.as_ref().map(|(_, written)| written.clone());
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.written = None;
        self.failed(&why)
    }

    /// Forgets a pending operation whose result will not be received.
    pub(crate) fn abort_io(&mut self) {
        self.busy = false;
        self.written = None;
    }

    /// Whether there are changes that are not on disk.
    pub(crate) fn has_unsaved(&self, ledger: &Ledger) -> bool {
        self.state == LedgerState::Loaded
            && self.written.as_ref().is_none_or(|(_, written)| **written != *ledger)
    }

    fn failed<T>(&mut self, reason: &str) -> Option<T> {
        let say = self.trouble.on_failure(Instant::now(), reason)?;
        let target = self.file.path().display().to_string();
        match say.kind {
            NoticeKind::Reminder => {
                warn!(self.log, "ledger still not saved"; "since" => HumanDuration(say.lasted), "tries" => say.failures,
                "reason" => reason, "target" => target)
            }
            NoticeKind::Started | NoticeKind::NewReason => {
                warn!(self.log, "ledger not saved"; "reason" => reason, "target" => target);
            }
        }
        None
    }

    fn recovered(&mut self) {
        if let Some(back) = self.trouble.on_success(Instant::now()) {
            info!(self.log, "ledger saved again"; "outage" => HumanDuration(back.lasted));
        }
    }
}

/// Writes the ledger; runs on the worker thread. The folder is flushed as well, because a power cut could otherwise
/// restore the old content.
fn write(file: &AtomicFile, ledger: &Ledger) -> io::Result<()> {
    file.replace(&ledger.to_bytes()?)?;
    let folder = file.path().parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Reads the file; runs on the worker thread. A damaged file is moved aside so that it can still be inspected.
fn read_file(path: &Path) -> io::Result<LedgerFileContent> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LedgerFileContent::Nothing),
        Err(error) => return Err(error),
    };
    match Ledger::from_bytes(&bytes) {
        Ok(ledger) => Ok(LedgerFileContent::Ledger(Box::new(ledger))),
        Err(why @ LedgerError::Newer { .. }) => Ok(LedgerFileContent::Newer(why)),
        Err(why @ LedgerError::Damaged(_)) => {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(".damaged");
            let moved_to = path.with_file_name(name);
            fs::rename(path, &moved_to)?;
            Ok(LedgerFileContent::Damaged { why, moved_to })
        }
    }
}
