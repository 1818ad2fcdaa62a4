//! The database as the drain's sink: opened when it is needed, and reopened after an error.

use jiff::Timestamp;

use crate::settings::{DatabaseSettings, DatabaseUrl};
use crate::store::backend::Store;
use crate::store::error::{ErrorClass, StoreError};
use crate::store::files::move_damaged;
use crate::store::journal::{JournalSink, SinkError, StoreNotice, StoredEntry};
use crate::store::mariadb::AbortHandle;
use crate::store::model::record::Record;
use crate::store::open::open_with;
use crate::store::sql::history::{PruneProgress, Retention};

pub(crate) struct DatabaseSink {
    settings: DatabaseSettings,
    /// Aborts a hanging call from another thread.
    abort: AbortHandle,
    open: Option<Box<dyn Store>>,
    /// The time of a trusted clock; without it, no rows expire.
    now: Option<Timestamp>,
    /// No more rows follow.
    is_ending: bool,
    notices: Vec<StoreNotice>,
}

impl DatabaseSink {
    #[must_use]
    pub(crate) fn new(settings: DatabaseSettings, abort: AbortHandle) -> Self {
        Self { settings, abort, open: None, now: None, is_ending: false, notices: Vec::new() }
    }

    /// Sets the time of a trusted clock, by which rows expire on a full disk.
    pub(crate) fn set_time(&mut self, now: Option<Timestamp>) {
        self.now = now;
    }

    /// The next rows are the last ones: they may use the reserve.
    pub(crate) fn shut_down(&mut self) {
        self.is_ending = true;
    }

    /// The notices since the last call.
    pub(crate) fn take_notices(&mut self) -> Vec<StoreNotice> {
        std::mem::take(&mut self.notices)
    }

    /// One small step of retention, if the database is open; returns whether there is more to do.
    pub(crate) fn prune(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        // Not worth opening it: retention can wait until rows come, which open it.
        if self.open.is_none() {
            return Ok(false);
        }
        let keep = self.retention();
        match self.with(|store| store.prune(now, &keep)) {
            Ok(PruneProgress { more, .. }) => Ok(more),
            Err(StoreError::Full { .. }) => {
                self.with(|store| store.make_room(Some(now), &keep)).map(|_| false)
            }
            Err(error) if self.start_over(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn retention(&self) -> Retention {
        Retention { batteries: self.settings.retention, cells: self.settings.cell_retention }
    }

    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut store = match self.open.take() {
            Some(store) => store,
            None => open_with(&self.settings, &self.abort)?,
        };
        let done = work(&mut *store);
        // Any error that is not about the data or about space may be about the connection.
        let keeps_connection = |error: &StoreError| {
            error.class() == ErrorClass::Data || matches!(error, StoreError::Full { .. })
        };
        if done.as_ref().err().is_none_or(keeps_connection) {
            self.open = Some(store);
        }
        done
    }

    /// The same, and once more if the cause of the first failure could be removed.
    fn with_retry<T>(
        &mut self,
        work: impl Fn(&mut dyn Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.with(&work) {
            Err(StoreError::Full { .. }) if self.make_room() => self.with(work),
            Err(error) if self.start_over(&error) => self.with(work),
            done => done,
        }
    }

    /// Returns whether there is space now on a disk that was full.
    fn make_room(&mut self) -> bool {
        let (keep, is_ending) = (self.retention(), self.is_ending);
        // The last rows have less than a second: releasing the reserve is immediate, deleting is not.
        let now = self.now.filter(|_| !is_ending);
        let Some(store) = &mut self.open else { return false };
        let has_room = store.make_room(now, &keep).unwrap_or(false);
        if !has_room && is_ending {
            store.release_reserve();
        }
        has_room || is_ending
    }

    /// Returns whether an unusable file was moved away, so that a new one can be created in its place.
    fn start_over(&mut self, error: &StoreError) -> bool {
        let DatabaseUrl::Sqlite(file) = &self.settings.url else { return false };
        let reason = match error {
            StoreError::Removed { .. } => error.to_string(),
            StoreError::Corrupt { reason, .. } => match move_damaged(file) {
                Ok(to) => {
                    format!("{} is damaged ({reason}) and was moved to {}", file.display(), to.display())
                }
                // The original error is reported.
                Err(_) => return false,
            },
            _ => return false,
        };
        self.open = None;
        self.notices.push(StoreNotice::HistoryReplaced { reason });
        true
    }
}

impl JournalSink for DatabaseSink {
    fn store(&mut self, batch: &[StoredEntry]) -> Result<(), SinkError> {
        let mut records = Vec::with_capacity(batch.len());
        for (index, kept) in batch.iter().enumerate() {
            let record = Record::from_bytes(&kept.entry.payload);
            records.push(
                record
                    .map_err(|error| SinkError::Poison { index: Some(index), reason: error.to_string() })?,
            );
        }
        self.with_retry(|store| store.insert(&records)).map_err(sink_error)
    }

    fn dead_letter(&mut self, row: &StoredEntry, reason: &str) -> Result<(), SinkError> {
        let at = Timestamp::now();
        self.with_retry(|store| store.dead_letter(&row.entry.payload, reason, at)).map_err(sink_error)
    }
}

fn sink_error(error: StoreError) -> SinkError {
    let reason = error.to_string();
    match error.class() {
        ErrorClass::Outside => SinkError::Unavailable(reason),
        ErrorClass::Refused => SinkError::Refused(reason),
        ErrorClass::Data => SinkError::Poison { index: None, reason },
    }
}
