//! Keeps rows on disk, and in memory while the disk does not take them: full, read-only, unplugged.
//!
//! Every entry goes through memory and leaves it once it is on the disk, so what waited there is written in order as
//! soon as the disk is back. Meanwhile the database, where it is well, is fed from memory: a card that has become
//! read-only costs nothing but the safety of what is under way.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Bounds, Entry, Journal, JournalError, Kept, Loss, LossReason, Notice, SetAside};
use crate::outage::OutageTracker;

/// Numbers of rows in memory begin here, far past those of rows on disk.
const MEMORY: i64 = 1 << 62;

/// The rest after the disk has failed; it doubles, since a try may cost reading the whole journal.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(30);

/// Bytes of payload written in one transaction.
const CHUNK_BYTES: usize = 1_000_000;

/// All that the database does not have yet. Making one touches nothing; the file is opened with the first call.
#[derive(Debug)]
pub struct Keeper {
    /// Nothing: rows wait in memory alone.
    path: Option<PathBuf>,
    bounds: Bounds,
    journal: Option<Journal>,
    /// Where a journal that is opened anew goes on counting.
    next_seq: i64,
    /// Rows of a journal that had to be closed: they are thought to be still there.
    unread: u64,
    memory: VecDeque<Entry>,
    memory_bytes: usize,
    /// Rows that have left the front of the memory.
    gone: i64,
    retry_at: Option<Instant>,
    rest: Duration,
    disk: OutageTracker,
    losing: OutageTracker,
    /// Lost, and not told yet.
    untold: Option<Loss>,
    lost: u64,
    notices: Vec<Notice>,
}

impl Keeper {
    /// Keeps rows in the file at `path`, which need not be there, within these bounds.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, bounds: Bounds) -> Self {
        Self { path: Some(path.into()), ..Self::in_memory_alone(bounds) }
    }

    /// Keeps rows in memory alone, in front of a database that lies on the same disk as a journal would.
    #[must_use]
    pub fn in_memory_alone(bounds: Bounds) -> Self {
        Self {
            path: None,
            bounds,
            journal: None,
            next_seq: 1,
            unread: 0,
            memory: VecDeque::new(),
            memory_bytes: 0,
            gone: 0,
            retry_at: None,
            rest: FIRST_REST,
            disk: OutageTracker::new(),
            losing: OutageTracker::new(),
            untold: None,
            lost: 0,
            notices: Vec::new(),
        }
    }

    /// Where the journal is, if there is one.
    #[must_use]
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Keeps the entries in this order. Those that waited in memory come before them; what is on the disk when this
    /// returns survives a power cut. `wall_ms` is the time by a clock that can be trusted (milliseconds since 1970,
    /// UTC): without it, nothing is too old.
    pub fn keep(&mut self, now: Instant, wall_ms: Option<i64>, entries: Vec<Entry>) {
        self.memory_bytes += entries.iter().map(size).sum::<usize>();
        self.memory.extend(entries);
        if let Some(before) = wall_ms.map(|wall| wall.saturating_sub(millis(self.bounds.age))) {
            self.expire(now, before);
        }
        self.write(now);
        self.shrink_memory();
        self.tell_losses(now);
    }

    /// The oldest rows in order: at most so many, and no more bytes of payload than these, but one row where there
    /// is one.
    pub fn head(&mut self, now: Instant, rows: usize, bytes: usize) -> Vec<Kept> {
        let on_disk = self.on_disk(now, |journal| journal.head(rows, bytes)).unwrap_or_default();
        if !on_disk.is_empty() {
            return on_disk;
        }
        let mut left = bytes;
        let fits = |(index, entry): &(usize, &Entry)| {
            let fits = *index == 0 || size(entry) <= left;
            left = left.saturating_sub(size(entry));
            fits
        };
        let first = self.first_in_memory();
        let head = self.memory.iter().take(rows).enumerate().take_while(fits);
        (first..)
            .zip(head)
            .map(|(seq, (_, entry))| Kept { seq, entry: entry.clone(), is_damaged: false })
            .collect()
    }

    /// Lets go of every row up to this number of a [`head`](Self::head): the database has them.
    pub fn confirm(&mut self, now: Instant, up_to: i64) {
        // A journal that is not open holds nothing that was just delivered from it.
        if up_to < MEMORY && self.journal.is_some() {
            self.on_disk(now, |journal| journal.confirm(up_to));
        }
        while self.first_in_memory() <= up_to && self.leave_memory().is_some() {}
        if self.is_empty() {
            // Only an empty journal makes losing rows a thing of the past: full ones lose in fits and starts.
            self.losing.on_success(now);
        }
    }

    /// Puts a row aside that nobody takes, among the journal's own dead letters; it is the head. Answers whether the
    /// disk took it: if not, the row is lost, so that the rest goes on.
    pub(crate) fn reject(&mut self, now: Instant, kept: &Kept, reason: &str) -> bool {
        let on_disk = kept.seq < MEMORY;
        if on_disk && self.on_disk(now, |journal| journal.reject(kept.seq, reason)).is_some() {
            return true;
        }
        self.confirm(now, kept.seq);
        self.lose(Loss::of(LossReason::Refused, [kept.entry.taken_at_ms]));
        false
    }

    /// Writes what is still in memory and takes what is confirmed out of the file. At the end of the service.
    pub fn flush(&mut self, now: Instant) {
        self.retry_at = None;
        self.write(now);
        self.on_disk(now, Journal::tidy);
    }

    /// How many rows wait, on disk and in memory, as far as is known: those of an earlier process count from when
    /// the journal is open.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.journal.as_ref().map_or(self.unread, Journal::len) + self.memory.len() as u64
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many rows wait in memory, since the disk does not take them.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        self.memory.len()
    }

    /// How many rows were lost so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Bytes that the rows take on disk; 0 while it does not answer.
    pub fn bytes(&mut self, now: Instant) -> u64 {
        self.on_disk(now, Journal::bytes).unwrap_or(0)
    }

    /// When the oldest row was taken: milliseconds since 1970, UTC.
    pub fn oldest(&mut self, now: Instant) -> Option<i64> {
        let in_memory = self.memory.front().map(|entry| entry.taken_at_ms);
        self.on_disk(now, Journal::oldest).flatten().or(in_memory)
    }

    /// What is to be said since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    fn first_in_memory(&self) -> i64 {
        MEMORY + self.gone
    }

    fn leave_memory(&mut self) -> Option<Entry> {
        let entry = self.memory.pop_front()?;
        self.gone += 1;
        self.memory_bytes -= size(&entry);
        Some(entry)
    }

    fn expire(&mut self, now: Instant, before_ms: i64) {
        let lost = self.on_disk(now, |journal| journal.expire(before_ms)).flatten();
        self.lose(lost);
        while self.memory.front().is_some_and(|oldest| oldest.taken_at_ms < before_ms) {
            let times = self.leave_memory().map(|entry| entry.taken_at_ms);
            self.lose(Loss::of(LossReason::Old, times));
        }
    }

    /// Writes what is in memory, a chunk a transaction.
    fn write(&mut self, now: Instant) {
        while !self.memory.is_empty() {
            let mut bytes = 0;
            let within = |entry: &&Entry| {
                bytes += size(entry);
                bytes <= CHUNK_BYTES
            };
            let count = self.memory.iter().take_while(within).count().max(1);
            // Out of the memory for the moment, since the disk's way leads through the whole keeper.
            let chunk: Vec<Entry> = self.memory.drain(..count).collect();
            let written = self.on_disk(now, |journal| journal.append(&chunk));
            let Some(lost) = written else {
                chunk.into_iter().rev().for_each(|entry| self.memory.push_front(entry));
                return;
            };
            self.gone += count as i64;
            self.memory_bytes -= chunk.iter().map(size).sum::<usize>();
            self.lose(lost);
        }
        if self.journal.is_some()
            && let Some(recovered) = self.disk.on_success(now)
        {
            self.notices.push(Notice::DiskBack(recovered));
        }
    }

    /// Does something with the journal, which is opened where it is not; nothing where the disk fails or rests.
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
            if let Some(SetAside { to, reason }) = opened.set_aside {
                self.notices.push(Notice::SetAside { to, reason });
            }
            let mut journal = opened.journal;
            journal.number_from(self.next_seq);
            self.journal = Some(journal);
        }
        self.journal.as_mut().ok_or(JournalError::Removed { path })
    }

    fn failed(&mut self, now: Instant, error: &JournalError) {
        self.retry_at = Some(now + self.rest);
        self.rest = (self.rest * 2).min(LONGEST_REST);
        let reason = error.to_string();
        if let Some(say) = self.disk.on_failure(now, &reason) {
            self.notices.push(Notice::DiskAway { say, reason });
        }
        if error.leaves_it_open() {
            return;
        }
        if let Some(mut journal) = self.journal.take() {
            (self.next_seq, self.unread) = (journal.next_seq(), journal.len());
            if matches!(error, JournalError::Removed { .. }) {
                let rows = std::mem::take(&mut self.unread);
                let oldest = journal.oldest().ok().flatten();
                self.lose(Loss::of(LossReason::Removed, oldest).map(|loss| Loss { rows, ..loss }));
            }
        }
    }

    fn shrink_memory(&mut self) {
        while self.memory_bytes as u64 > self.bounds.memory_bytes {
            let times = self.leave_memory().map(|entry| entry.taken_at_ms);
            self.lose(Loss::of(LossReason::Memory, times));
        }
    }

    fn lose(&mut self, loss: Option<Loss>) {
        let Some(loss) = loss else { return };
        self.lost += loss.rows;
        self.untold = Some(self.untold.map_or(loss, |untold| untold.with(loss)));
    }

    /// Once when it begins, then ever more rarely, each time with all that went meanwhile.
    fn tell_losses(&mut self, now: Instant) {
        let Some(loss) = self.untold else { return };
        if let Some(say) = self.losing.on_failure(now, loss.why.words()) {
            self.untold = None;
            self.notices.push(Notice::Lost { loss, say });
        }
    }
}

/// What an entry counts for.
fn size(entry: &Entry) -> usize {
    entry.payload.len() + entry.bank.len() + entry.kind.len()
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
