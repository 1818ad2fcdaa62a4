//! Buffers rows on disk, and in memory while the disk does not accept them: full, read-only, unplugged.
//!
//! Every entry passes through memory and leaves it once it is on the disk, so waiting rows are written in order as soon
//! as the disk works again. Meanwhile the database is fed from memory: a card that has become read-only costs only the
//! durability of the rows in transit.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::outage::OutageTracker;
use crate::store::journal::bounds::Bounds;
use crate::store::journal::entry::{JournalEntry, StoredEntry};
use crate::store::journal::error::JournalError;
use crate::store::journal::file::Journal;
use crate::store::journal::loss::{Loss, LossReason};
use crate::store::journal::notice::StoreNotice;
use crate::store::journal::open::DamagedFile;

/// Sequence numbers of rows in memory start here, far above those of rows on disk.
const FIRST_MEMORY_SEQ: i64 = 1 << 62;

/// The delay after the disk has failed; it doubles, because a retry may read the whole journal.
const FIRST_RETRY_DELAY: Duration = Duration::from_secs(1);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);

const MAX_TRANSACTION_BYTES: usize = 1_000_000;

/// All rows that the database does not have yet. The file is opened by the first call, not by the constructor.
#[derive(Debug)]
pub struct JournalBuffer {
    /// `None`: rows wait in memory only.
    path: Option<PathBuf>,
    bounds: Bounds,
    journal: Option<Journal>,
    /// Where a reopened journal continues its numbers.
    next_seq: i64,
    /// Rows of a journal that had to be closed: presumably they are still there.
    unopened_rows: u64,
    memory: VecDeque<JournalEntry>,
    memory_bytes: usize,
    /// Rows removed from the front of the memory so far.
    popped: i64,
    retry_at: Option<Instant>,
    retry_delay: Duration,
    disk: OutageTracker,
    loss_outage: OutageTracker,
    /// Dropped rows for which there was no notice yet.
    unreported: Option<Loss>,
    lost: u64,
    notices: Vec<StoreNotice>,
}

impl JournalBuffer {
    /// Buffers rows in the file at `path`, which need not exist.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, bounds: Bounds) -> Self {
        Self { path: Some(path.into()), ..Self::in_memory_only(bounds) }
    }

    /// Buffers rows in memory only, for a database on the same disk as a journal would be.
    #[must_use]
    pub fn in_memory_only(bounds: Bounds) -> Self {
        Self {
            path: None,
            bounds,
            journal: None,
            next_seq: 1,
            unopened_rows: 0,
            memory: VecDeque::new(),
            memory_bytes: 0,
            popped: 0,
            retry_at: None,
            retry_delay: FIRST_RETRY_DELAY,
            disk: OutageTracker::new(),
            loss_outage: OutageTracker::new(),
            unreported: None,
            lost: 0,
            notices: Vec::new(),
        }
    }

    /// Appends the entries in this order, after those that wait in memory. What is on the disk when this returns
    /// survives a power cut. `wall_ms` is the time of a trusted clock (milliseconds since 1970, UTC): without it,
    /// nothing expires.
    pub fn append(&mut self, now: Instant, wall_ms: Option<i64>, entries: Vec<JournalEntry>) {
        self.memory_bytes += entries.iter().map(size).sum::<usize>();
        self.memory.extend(entries);
        if let Some(before) = wall_ms.map(|wall| wall.saturating_sub(millis(self.bounds.age))) {
            self.expire(now, before);
        }
        self.write(now);
        self.shrink_memory();
        self.report_losses(now);
    }

    /// The oldest rows in order: at most `rows`, with at most `bytes` of payload, but at least one if there is one.
    pub fn head(&mut self, now: Instant, rows: usize, bytes: usize) -> Vec<StoredEntry> {
        let on_disk = self.on_disk(now, |journal| journal.head(rows, bytes)).unwrap_or_default();
        if !on_disk.is_empty() {
            return on_disk;
        }
        let mut left = bytes;
        let fits = |(index, entry): &(usize, &JournalEntry)| {
            let fits = *index == 0 || size(entry) <= left;
            left = left.saturating_sub(size(entry));
            fits
        };
        let first = self.first_in_memory();
        let head = self.memory.iter().take(rows).enumerate().take_while(fits);
        (first..)
            .zip(head)
            .map(|(seq, (_, entry))| StoredEntry { seq, entry: entry.clone(), is_damaged: false })
            .collect()
    }

    /// Confirms every row up to this sequence number of a [`head`](Self::head): the database has them.
    pub fn confirm(&mut self, now: Instant, up_to: i64) {
        // A journal closed since `head` delivers its rows again once it is reopened, which the sink tolerates.
        if up_to < FIRST_MEMORY_SEQ && self.journal.is_some() {
            self.on_disk(now, |journal| journal.confirm(up_to));
        }
        while self.first_in_memory() <= up_to && self.pop_memory().is_some() {}
        if self.is_empty() {
            // Only an empty journal ends a loss: a full one loses rows in bursts.
            self.loss_outage.on_success(now);
        }
    }

    /// Moves the head, which the database rejects, to the journal's own dead letters. Returns whether the disk accepted
    /// it: if not, the row is lost, so that the others go on.
    pub(crate) fn dead_letter(&mut self, now: Instant, row: &StoredEntry, reason: &str) -> bool {
        let on_disk = row.seq < FIRST_MEMORY_SEQ;
        if on_disk && self.on_disk(now, |journal| journal.dead_letter(row.seq, reason)).is_some() {
            return true;
        }
        self.confirm(now, row.seq);
        self.lose(Loss::of(LossReason::Refused, [row.entry.taken_at_ms]));
        false
    }

    /// Writes the rows in memory and deletes the confirmed ones from the file, at shutdown.
    pub fn flush(&mut self, now: Instant) {
        self.retry_at = None;
        self.write(now);
        self.on_disk(now, Journal::delete_confirmed);
    }

    /// The number of rows waiting on disk and in memory, as far as known: those of an earlier process count once the
    /// journal is open.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.journal.as_ref().map_or(self.unopened_rows, Journal::len) + self.memory.len() as u64
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of rows waiting in memory because the disk does not accept them.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        self.memory.len()
    }

    #[cfg(feature = "internals")]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Bytes used by the rows on disk; 0 while the disk fails.
    #[cfg(feature = "internals")]
    pub fn bytes(&mut self, now: Instant) -> u64 {
        self.on_disk(now, Journal::bytes).unwrap_or(0)
    }

    /// When the oldest row was taken: milliseconds since 1970, UTC.
    #[cfg(feature = "internals")]
    pub fn oldest(&mut self, now: Instant) -> Option<i64> {
        let in_memory = self.memory.front().map(|entry| entry.taken_at_ms);
        self.on_disk(now, Journal::oldest).flatten().or(in_memory)
    }

    /// The notices since the last call.
    pub fn take_notices(&mut self) -> Vec<StoreNotice> {
        std::mem::take(&mut self.notices)
    }

    fn first_in_memory(&self) -> i64 {
        FIRST_MEMORY_SEQ + self.popped
    }

    fn pop_memory(&mut self) -> Option<JournalEntry> {
        let entry = self.memory.pop_front()?;
        self.popped += 1;
        self.memory_bytes -= size(&entry);
        Some(entry)
    }

    fn expire(&mut self, now: Instant, before_ms: i64) {
        let lost = self.on_disk(now, |journal| journal.expire(before_ms)).flatten();
        self.lose(lost);
        while self.memory.front().is_some_and(|oldest| oldest.taken_at_ms < before_ms) {
            let times = self.pop_memory().map(|entry| entry.taken_at_ms);
            self.lose(Loss::of(LossReason::Expired, times));
        }
    }

    /// Writes the rows in memory, a chunk per transaction.
    fn write(&mut self, now: Instant) {
        while !self.memory.is_empty() {
            let mut bytes = 0;
            let within = |entry: &&JournalEntry| {
                bytes += size(entry);
                bytes <= MAX_TRANSACTION_BYTES
            };
            let count = self.memory.iter().take_while(within).count().max(1);
            // Taken out of the memory, because `on_disk` borrows all of `self`.
            let chunk: Vec<JournalEntry> = self.memory.drain(..count).collect();
            let written = self.on_disk(now, |journal| journal.append(&chunk));
            let Some(lost) = written else {
                chunk.into_iter().rev().for_each(|entry| self.memory.push_front(entry));
                return;
            };
            self.popped += count as i64;
            self.memory_bytes -= chunk.iter().map(size).sum::<usize>();
            self.lose(lost);
        }
        if self.journal.is_some()
            && let Some(recovered) = self.disk.on_success(now)
        {
            self.notices.push(StoreNotice::DiskRecovered(recovered));
        }
    }

    /// Calls `work` with the journal, opening it if necessary; `None` if the disk fails or a retry is not due yet.
    fn on_disk<T>(
        &mut self,
        now: Instant,
        work: impl FnOnce(&mut Journal) -> Result<T, JournalError>,
    ) -> Option<T> {
        let path = self.path.clone()?;
        if self.journal.is_none() && self.retry_at.is_some_and(|at| now < at) {
            return None;
        }
        match self.open(path).and_then(work) {
            Ok(done) => Some(done),
            Err(error) => {
                self.failed(now, &error);
                None
            }
        }
    }

    fn open(&mut self, path: PathBuf) -> Result<&mut Journal, JournalError> {
        if self.journal.is_none() {
            let opened = Journal::open(&path, self.bounds)?;
            if let Some(DamagedFile { to, reason }) = opened.set_aside {
                self.notices.push(StoreNotice::JournalMoved { to, reason });
            }
            let mut journal = opened.journal;
            journal.skip_to_seq(self.next_seq);
            self.journal = Some(journal);
        }
        self.journal.as_mut().ok_or(JournalError::Removed { path })
    }

    fn failed(&mut self, now: Instant, error: &JournalError) {
        self.retry_at = Some(now + self.retry_delay);
        self.retry_delay = (self.retry_delay * 2).min(MAX_RETRY_DELAY);
        let reason = error.to_string();
        if let Some(outage) = self.disk.on_failure(now, &reason) {
            self.notices.push(StoreNotice::DiskDown { outage, reason });
        }
        if error.keeps_connection() {
            return;
        }
        if let Some(mut journal) = self.journal.take() {
            (self.next_seq, self.unopened_rows) = (journal.next_seq(), journal.len());
            if matches!(error, JournalError::Removed { .. }) {
                let rows = std::mem::take(&mut self.unopened_rows);
                let oldest = journal.oldest().ok().flatten();
                self.lose(Loss::of(LossReason::Removed, oldest).map(|loss| Loss { rows, ..loss }));
            }
        }
    }

    fn shrink_memory(&mut self) {
        while self.memory_bytes as u64 > self.bounds.memory_bytes {
            let times = self.pop_memory().map(|entry| entry.taken_at_ms);
            self.lose(Loss::of(LossReason::MemoryFull, times));
        }
    }

    fn lose(&mut self, loss: Option<Loss>) {
        let Some(loss) = loss else { return };
        self.lost += loss.rows;
        self.unreported = Some(self.unreported.map_or(loss, |unreported| unreported.merge(loss)));
    }

    /// Adds a notice when rows start being dropped and then less and less often, each with the total since the last.
    fn report_losses(&mut self, now: Instant) {
        let Some(loss) = self.unreported else { return };
        if let Some(outage) = self.loss_outage.on_failure(now, loss.reason.as_str()) {
            self.unreported = None;
            self.notices.push(StoreNotice::RowsLost { loss, outage });
        }
    }
}

/// Bytes that an entry counts for.
fn size(entry: &JournalEntry) -> usize {
    entry.payload.len() + entry.bank.len() + entry.kind.len()
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
