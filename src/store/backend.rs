//! The interface that both databases implement.

use csv::StringRecord;
use jiff::Timestamp;

use crate::store::error::StoreError;
use crate::store::model::record::Record;
use crate::store::sql::export::ExportQuery;
use crate::store::sql::history::{HistoryPoint, HistoryQuery, PruneProgress, Retention};
use crate::store::sql::migrations::SchemaVersion;

/// The number of dead letters kept, the newest ones.
pub(crate) const MAX_DEAD_LETTERS: i32 = 1000;

/// A database for the history. Every call blocks, and belongs on a thread of its own.
pub trait Store: Send {
    /// The version of the schema when it was opened, and now.
    fn schema(&self) -> SchemaVersion;

    /// Stores records in order in one transaction, all or none. Existing records stay unchanged.
    ///
    /// # Errors
    /// With [`ErrorClass::Data`](crate::store::error::ErrorClass::Data) one of the records is at fault, and the others
    /// can be stored without it.
    fn insert(&mut self, records: &[Record]) -> Result<(), StoreError>;

    /// Stores a rejected record in the table `dead_letter`, which holds at most [`MAX_DEAD_LETTERS`].
    fn dead_letter(&mut self, body: &[u8], reason: &str, at: Timestamp) -> Result<(), StoreError>;

    /// One small step of retention, which takes milliseconds; [`PruneProgress::more`] tells whether to go on. Every ten
    /// minutes is often enough; with every sweep it would wear a flash card.
    fn prune(&mut self, now: Timestamp, keep: &Retention) -> Result<PruneProgress, StoreError>;

    /// Deletes rows past their retention on a full disk, although that needs space itself. `now` is the time of a
    /// trusted clock; without it, nothing expires. Returns whether there is space for rows now.
    fn make_room(&mut self, now: Option<Timestamp>, keep: &Retention) -> Result<bool, StoreError>;

    /// Frees the space reserved for [`make_room`](Self::make_room), for the last rows.
    fn release_reserve(&mut self);

    /// Returns to the file system what retention has freed, if that is much; new rows would reuse it anyway. It may
    /// take a minute, in which nothing else can write, and as much space as the file has.
    fn shrink(&mut self) -> Result<(), StoreError>;

    /// The requested history, oldest first.
    #[cfg_attr(not(feature = "internals"), expect(dead_code, reason = "no command queries the history yet"))]
    fn history(&mut self, query: &HistoryQuery<'_>) -> Result<Vec<HistoryPoint>, StoreError>;

    /// Passes the header and then the selected rows to `each`, bank after bank, each in order of time, until it returns
    /// false. Writers do not wait for it.
    ///
    /// # Errors
    /// Also if there is no such bank.
    fn export(
        &mut self,
        query: &ExportQuery<'_>,
        each: &mut dyn FnMut(&StringRecord) -> bool,
    ) -> Result<(), StoreError>;
}
