//! Keeps the ledger on disk: read once, written when something changed, on a worker thread, so that a disk that
//! hangs makes nobody wait.
//!
//! ```text
//!             nothing there, read, or damaged and set aside
//!  Unread ─────────────────────────────────────────────────► Kept ◄─► written when something changed
//!    │ ▲ └─ of a newer version: Refused, and the file is left alone
//!    └─┘ can't be read: told, tried again
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

/// Without a change of the counters, what was learned of health can wait so long.
const QUIET: Duration = Duration::from_secs(600);
/// Threads that may hang in a dead disk.
const MOST_ABANDONED: usize = 3;

/// Where a bank's ledger is kept.
#[derive(Clone, Debug)]
pub struct LedgerFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// From one writing to the next: what a power cut may cost.
    pub(crate) every: Duration,
    /// How long reading or writing may take.
    pub(crate) deadline: Duration,
}

/// The ledger's file, and what came of it so far.
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
    Kept,
    Refused,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LedgerIo {
    /// Read what was kept.
    Read,
    /// Write what is to be kept.
    Write,
}

/// What was found at the start.
pub(super) enum LedgerFileContent {
    /// No file: a first start.
    Nothing,
    /// What was kept.
    Ledger(Box<Ledger>),
    /// It was damaged and lies beside now.
    SetAside { why: LedgerError, beside: PathBuf },
    /// It must not be touched.
    Newer(LedgerError),
}

impl LedgerStore {
    /// Nothing read yet.
    pub(crate) fn of(LedgerFile { path, every, deadline }: LedgerFile, log: Logger) -> Self {
        let (file, worker) = (Arc::new(AtomicFile::state(path)), Worker::new("ledger", MOST_ABANDONED));
        let (state, trouble) = (LedgerState::Unread, OutageTracker::new());
        Self { file, every, deadline, log, worker, state, busy: false, tried: None, written: None, trouble }
    }

    /// What is due at `now` with this ledger.
    pub(crate) fn due(&self, now: Instant, ledger: Option<&Ledger>) -> Option<LedgerIo> {
        let rested = self.tried.is_none_or(|tried| now.saturating_duration_since(tried) >= self.every);
        if self.busy || !rested {
            return None;
        }
        match self.state {
            LedgerState::Unread => Some(LedgerIo::Read),
            LedgerState::Kept => ledger.filter(|ledger| self.is_new(now, ledger)).map(|_| LedgerIo::Write),
            LedgerState::Refused => None,
        }
    }

    fn is_new(&self, now: Instant, ledger: &Ledger) -> bool {
        self.written.as_ref().is_none_or(|(at, written)| {
            let quiet = now.saturating_duration_since(*at) < QUIET;
            if quiet { !written.counted_as(ledger) } else { **written != *ledger }
        })
    }

    /// Reads what was kept. What comes of it goes to [`LedgerStore::found`].
    pub(crate) fn read(
        &mut self,
        now: Instant,
    ) -> impl Future<Output = Result<io::Result<LedgerFileContent>, WorkerError>> + use<> {
        (self.busy, self.tried) = (true, Some(now));
        let file = self.file.clone();
        self.worker.call(self.deadline, move || look(file.path()))
    }

    /// Takes note of what was found and says what to go on with; nothing where that is not known.
    pub(crate) fn found(
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
        // The first writing need not wait: it shows at once whether there is a place to write to.
        self.tried = None;
        let target = self.file.path().display().to_string();
        let (state, ledger) = match found {
            LedgerFileContent::Nothing => (LedgerState::Kept, Some(Ledger::default())),
            LedgerFileContent::Ledger(ledger) => (LedgerState::Kept, Some(*ledger)),
            LedgerFileContent::SetAside { why, beside } => {
                error!(self.log, "ledger set aside, counters begin anew"; "reason" => %why, "target" => target,
                    "beside" => %beside.display());
                (LedgerState::Kept, Some(Ledger::default()))
            }
            LedgerFileContent::Newer(why) => {
                error!(self.log, "ledger left alone, counters are not kept"; "reason" => %why, "target" => target,
                    "remedy" => "run the newer version again, or move the file away to begin anew");
                (LedgerState::Refused, None)
            }
        };
        self.state = state;
        ledger
    }

    /// Writes the ledger. What comes of it goes to [`LedgerStore::wrote`].
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

    /// Takes note of how the writing ended, and says what is on disk now where it ended well.
    pub(crate) fn wrote(&mut self, outcome: Result<io::Result<()>, WorkerError>) -> Option<Arc<Ledger>> {
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

    /// Whoever waited for a reading or a writing is gone.
    pub(crate) fn forget_errand(&mut self) {
        self.busy = false;
        self.written = None;
    }

    /// Whether there is anything that is not on disk.
    pub(crate) fn lacks(&self, ledger: &Ledger) -> bool {
        self.state == LedgerState::Kept
            && self.written.as_ref().is_none_or(|(_, written)| **written != *ledger)
    }

    fn failed<T>(&mut self, reason: &str) -> Option<T> {
        let say = self.trouble.on_failure(Instant::now(), reason)?;
        let target = self.file.path().display().to_string();
        match say.kind {
            NoticeKind::Reminder => {
                warn!(self.log, "ledger still not kept"; "since" => HumanDuration(say.lasted), "tries" => say.failures,
                "reason" => reason, "target" => target)
            }
            NoticeKind::Started | NoticeKind::NewReason => {
                warn!(self.log, "ledger not kept"; "reason" => reason, "target" => target);
            }
        }
        None
    }

    fn recovered(&mut self) {
        if let Some(back) = self.trouble.on_success(Instant::now()) {
            info!(self.log, "ledger kept again"; "outage" => HumanDuration(back.lasted));
        }
    }
}

/// Brings the ledger to the disk, on the worker's thread. Its new name is there as well when this returns, or a power
/// cut could bring the old content back.
fn write(file: &AtomicFile, ledger: &Ledger) -> io::Result<()> {
    file.replace(&ledger.to_bytes()?)?;
    let folder = file.path().parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// What lies at `path`, on the worker's thread. A damaged file is moved aside, so that nothing of it is lost to
/// whoever may want to look.
fn look(path: &Path) -> io::Result<LedgerFileContent> {
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
            let beside = path.with_file_name(name);
            fs::rename(path, &beside)?;
            Ok(LedgerFileContent::SetAside { why, beside })
        }
    }
}
