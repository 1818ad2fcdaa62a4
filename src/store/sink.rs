//! The database as the drain sees it: opened when it is needed, left when something is wrong with it.

use jiff::Timestamp;

use crate::settings::{DatabaseSettings, DatabaseUrl};
use crate::store::files::set_aside;
use crate::store::journal::{Kept, Notice, Sink, SinkError};
use crate::store::{AbortHandle, Class, Pruned, Record, Retention, Store, StoreError, open_with};

/// The database of the settings.
pub(crate) struct Database {
    settings: DatabaseSettings,
    /// Ends a call that hangs, from outside.
    abort: AbortHandle,
    open: Option<Box<dyn Store>>,
    /// The time by a clock that can be trusted: by no other are rows too old.
    now: Option<Timestamp>,
    /// No more rows come after these.
    is_ending: bool,
    notices: Vec<Notice>,
}

impl Database {
    /// Not opened yet.
    #[must_use]
    pub(crate) fn new(settings: DatabaseSettings, abort: AbortHandle) -> Self {
        Self { settings, abort, open: None, now: None, is_ending: false, notices: Vec::new() }
    }

    /// Takes note of the time, where the clock can be trusted: on a full disk what is past its retention goes by it.
    pub(crate) fn set_time(&mut self, now: Option<Timestamp>) {
        self.now = now;
    }

    /// The rows that come now are the last ones: all the room there is is theirs.
    pub(crate) fn end(&mut self) {
        self.is_ending = true;
    }

    /// What is to be logged since the last call.
    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// One small step of retention, where the database is open; answers whether another would find more to do.
    ///
    /// # Errors
    /// The database's words.
    pub(crate) fn prune(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        // What is not open has nothing to be pruned today.
        if self.open.is_none() {
            return Ok(false);
        }
        let keep = self.retention();
        match self.with(|store| store.prune(now, &keep)) {
            Ok(Pruned { more, .. }) => Ok(more),
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
        // Whatever is not about the data or about room may be about the connection.
        let stays =
            |error: &StoreError| error.class() == Class::Data || matches!(error, StoreError::Full { .. });
        if done.as_ref().err().is_none_or(stays) {
            self.open = Some(store);
        }
        done
    }

    /// The same, once more where the first failure can be mended from here.
    fn mended<T>(&mut self, work: impl Fn(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.with(&work) {
            Err(StoreError::Full { .. }) if self.makes_room() => self.with(work),
            Err(error) if self.start_over(&error) => self.with(work),
            done => done,
        }
    }

    /// Whether there is room now on a disk that was full.
    fn makes_room(&mut self) -> bool {
        let (keep, is_ending) = (self.retention(), self.is_ending);
        // The last rows have less than a second: the reserve is there at once, deleting is not.
        let now = self.now.filter(|_| !is_ending);
        let Some(store) = &mut self.open else { return false };
        let has_room = store.make_room(now, &keep).unwrap_or(false);
        if !has_room && is_ending {
            store.give_all_room();
        }
        has_room || is_ending
    }

    /// Whether a file that can't be gone on with is out of the way, so that a new one can be made in its place.
    fn start_over(&mut self, error: &StoreError) -> bool {
        let DatabaseUrl::Sqlite(file) = &self.settings.url else { return false };
        let reason = match error {
            StoreError::Removed { .. } => error.to_string(),
            StoreError::Corrupt { reason, .. } => match set_aside(file) {
                Ok(to) => {
                    format!("{} is damaged ({reason}) and was moved to {}", file.display(), to.display())
                }
                // Then the original error is reported.
                Err(_) => return false,
            },
            _ => return false,
        };
        self.open = None;
        self.notices.push(Notice::HistoryBegun { reason });
        true
    }
}

impl Sink for Database {
    fn store(&mut self, batch: &[Kept]) -> Result<(), SinkError> {
        let mut records = Vec::with_capacity(batch.len());
        for (index, kept) in batch.iter().enumerate() {
            let record = Record::from_bytes(&kept.entry.payload);
            records.push(
                record
                    .map_err(|error| SinkError::Poison { index: Some(index), reason: error.to_string() })?,
            );
        }
        self.mended(|store| store.insert(&records)).map_err(away)
    }

    fn bury(&mut self, row: &Kept, reason: &str) -> Result<(), SinkError> {
        let at = Timestamp::now();
        self.mended(|store| store.bury(&row.entry.payload, reason, at)).map_err(away)
    }
}

fn away(error: StoreError) -> SinkError {
    let reason = error.to_string();
    match error.class() {
        Class::Outside => SinkError::Away(reason),
        Class::Refused => SinkError::Refused(reason),
        Class::Data => SinkError::Poison { index: None, reason },
    }
}
