//! The database as the drain sees it: opened when it is needed, left when something is wrong with it.

use jiff::Timestamp;

use crate::settings::DatabaseSettings;
use crate::store::journal::{Kept, Sink, SinkError};
use crate::store::{Class, Pruned, Record, Retention, Store, StoreError, open};

/// The database of the settings.
pub struct Database {
    settings: DatabaseSettings,
    open: Option<Box<dyn Store>>,
}

impl Database {
    /// Not opened yet.
    #[must_use]
    pub fn new(settings: DatabaseSettings) -> Self {
        Self { settings, open: None }
    }

    /// One small step of retention, where the database is open; answers whether another would find more to do.
    ///
    /// # Errors
    /// The database's words.
    pub fn prune(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let keep = Retention { batteries: self.settings.retention, cells: self.settings.cell_retention };
        // What is not open has nothing to be pruned today.
        let Some(store) = &mut self.open else { return Ok(false) };
        match store.prune(now, &keep) {
            Ok(Pruned { more, .. }) => Ok(more),
            Err(error) => {
                self.open = None;
                Err(error)
            }
        }
    }

    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut store = match self.open.take() {
            Some(store) => store,
            None => open(&self.settings)?,
        };
        let done = work(&mut *store);
        // Whatever is not about the data may be about the connection.
        if done.as_ref().err().is_none_or(|error| error.class() == Class::Data) {
            self.open = Some(store);
        }
        done
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
        self.with(|store| store.insert(&records)).map_err(away)
    }

    fn bury(&mut self, row: &Kept, reason: &str) -> Result<(), SinkError> {
        let at = Timestamp::now();
        self.with(|store| store.bury(&row.entry.payload, reason, at)).map_err(away)
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
